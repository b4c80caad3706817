//! Revocation: whether a token that is good in itself was withdrawn, by the node's mirror in the region.
//!
//! No round trip: the supervisor keeps the mirror. What it cannot tell for certain is a 503, never a pass and
//! never a 401. The older blacklist, which names whole tokens and is in no mirror, is asked for a token once, when the
//! node first sees it; the supervisor watches the token from then on and writes what it finds into the mirror.

use super::authenticate::{self, Authorization, Principal};
use super::rejection::Rejection;
use super::withdraw;
use crate::clock::UnixSeconds;
use crate::config::redis::ColdPolicy;
use crate::control::asks::{Answer, Question, SightAnswer};
use crate::identity::digests::Digests;
use crate::identity::fault::TokenFault;
use crate::worker::Worker;
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

/// Asks for a token that this node has not seen before. Without an answer in time the mirror, which was asked already,
/// decides.
///
/// # Errors
/// 401 if the token is listed.
pub async fn first_sight(
    worker: &Worker,
    principal: &Principal,
    authorization: Authorization<'_>,
) -> Result<(), Rejection> {
    if !worker.settings.users.older_blacklist {
        return Ok(());
    }
    let token = withdraw::name(principal, || authenticate::whole_token(authorization));
    let bearer = authenticate::presented(authorization);
    let question = Question::FirstSight { token, bearer, expires_at: principal.expires_at() };
    match worker.ask(question).await {
        Ok(Answer::FirstSight(SightAnswer::Listed)) => Err(Rejection::Unauthorized(TokenFault::Revoked)),
        Ok(_) | Err(_) => Ok(()),
    }
}
