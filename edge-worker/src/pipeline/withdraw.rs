//! Withdraw: which answers of services void what was decided before. The edge acts with the identity that it verified,
//! and only after a 2xx (platform sections 4 and 5).

use super::authenticate::Principal;
use super::tenant_status::{TENANTS, TenantStatus};
use crate::config::services::ServiceId;
use crate::control::asks::Withdrawal;
use crate::http::method::Method;
use crate::http::target;
use crate::identity::uuid::Uuid;

/// A service whose answers withdraw something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirming {
    Auth,
    Venue,
}

impl Confirming {
    #[must_use]
    pub fn of(service: ServiceId) -> Option<Confirming> {
        [(Self::Auth, "auth"), (Self::Venue, "venue")]
            .into_iter()
            .find(|(_, name)| ServiceId::find(name) == Some(service))
            .map(|(confirming, _)| confirming)
    }
}

/// What an answer with 2xx to this request withdraws. The path is the one that the service gets, without its query.
#[must_use]
pub fn of(
    (service, method, path): (Confirming, Method, &[u8]),
    principal: &Principal,
    whole_token: impl FnOnce() -> String,
    status: TenantStatus<'_>,
) -> Option<Withdrawal> {
    let user = |except: Option<&str>| Withdrawal::User {
        tenant: principal.tenant().to_owned(),
        subject: principal.subject().to_owned(),
        except: except.map(str::to_owned),
    };
    // The service may decode the path before it looks at it.
    match (service, method, &*target::decode(path)) {
        (Confirming::Auth, Method::Post, b"/auth/logout") => {
            let token = principal.token_name(whole_token);
            Some(Withdrawal::Token { token, expires_at: principal.expires_at() })
        }
        (Confirming::Auth, Method::Delete, b"/auth/sessions/all")
        | (Confirming::Auth, Method::Post, b"/auth/gdpr/delete") => Some(user(None)),
        // auth-service logs out the other devices.
        (Confirming::Auth, Method::Put, b"/auth/change-password") => Some(user(principal.jti())),
        // These two decode the segment that they name.
        (Confirming::Auth, Method::Put, _) if path.starts_with(TENANTS) => {
            status.withdraws(path).map(|tenant| Withdrawal::Tenant { tenant })
        }
        _ => venue(service, method, path).map(|venue| Withdrawal::Venue { venue: venue.as_str().to_owned() }),
    }
}

/// The venue whose staff, or which itself, is another after this request.
fn venue(service: Confirming, method: Method, path: &[u8]) -> Option<Uuid> {
    let (venues, staff) = match service {
        Confirming::Auth => (b"/auth/venues/".as_slice(), b"/roles".as_slice()),
        Confirming::Venue => (b"/api/v1/venues/".as_slice(), b"/staff".as_slice()),
    };
    let rest = path.strip_prefix(venues)?;
    let (id, below) = rest.split_at(rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len()));
    let changes = match (service, below) {
        (Confirming::Venue, b"") => matches!(method, Method::Put | Method::Patch | Method::Delete),
        _ => below.strip_prefix(staff).is_some_and(|tail| tail.is_empty() || tail.starts_with(b"/")),
    };
    Uuid::parse(&target::decode(id)).filter(|_| changes && !method.is_read())
}

#[cfg(test)]
mod tests;
