//! Revocation: whether a token that is good in itself was withdrawn, by the node's mirror in the region.
//!
//! No round trip: the supervisor keeps the mirror. What it cannot tell for certain is a 503, never a pass and
//! never a 401.

use super::authenticate::Principal;
use super::rejection::Rejection;
use crate::clock::UnixSeconds;
use crate::config::redis::ColdPolicy;
use crate::identity::digests::Digests;
use crate::identity::fault::TokenFault;
use shm::revocations::{Completeness, Presented, Revocations, Verdict};

/// Decides for one principal, whose digest is `user`, at `now`. `whole_token` gives the hexadecimal SHA-256 of a token
/// that has no id.
///
/// # Errors
/// 401 if the token is revoked, 503 if nobody can tell.
pub fn check(
    revocations: &Revocations,
    digests: &Digests,
    cold: ColdPolicy,
    (principal, user): (&Principal, &[u8; 32]),
    whole_token: impl FnOnce() -> String,
    now: UnixSeconds,
) -> Result<(), Rejection> {
    if cold == ColdPolicy::Deny && revocations.completeness() == Completeness::NeverSynced {
        return Err(Rejection::CheckUnavailable);
    }
    let jti = principal.jti().map(|jti| digests.token_id(jti));
    let token = jti.unwrap_or_else(|| digests.whole_token(&whole_token()));
    let presented = Presented {
        token: &token,
        jti: jti.as_ref(),
        user,
        tenant: &digests.tenant(principal.tenant()),
        issued_at_s: principal.issued_at(),
    };
    match revocations.verdict(&presented, now) {
        Verdict::Clear => Ok(()),
        Verdict::Revoked(_) => Err(Rejection::Unauthorized(TokenFault::Revoked)),
        Verdict::Unsure => Err(Rejection::CheckUnavailable),
    }
}
