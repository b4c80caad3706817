//! Withdraw: which answers of auth-service withdraw tokens. The edge writes the revocation with the identity that
//! it verified, and only after a 2xx (platform section 4).

use super::authenticate::Principal;
use crate::clock::UnixSeconds;
use crate::control::asks::{Named, Withdrawal};
use crate::http::method::Method;

/// What an answer with 2xx to this request revokes. `path` is the one that the service gets, without its query.
#[must_use]
pub fn of(
    method: Method,
    path: &[u8],
    principal: &Principal,
    whole_token: impl FnOnce() -> String,
    now: UnixSeconds,
) -> Option<Withdrawal> {
    let user = |except: Option<&str>| Withdrawal::User {
        tenant: principal.tenant().to_owned(),
        subject: principal.subject().to_owned(),
        epoch: now,
        except: except.map(str::to_owned),
    };
    match (method, path) {
        (Method::Post, b"/auth/logout") => {
            let token = match principal.jti() {
                Some(jti) => Named::Jti(jti.to_owned()),
                None => Named::Sha256(whole_token()),
            };
            Some(Withdrawal::Token { token, expires_at: principal.expires_at() })
        }
        (Method::Delete, b"/auth/sessions/all") | (Method::Post, b"/auth/gdpr/delete") => Some(user(None)),
        // auth-service logs out the other devices.
        (Method::Put, b"/auth/change-password") => Some(user(principal.jti())),
        _ => None,
    }
}
