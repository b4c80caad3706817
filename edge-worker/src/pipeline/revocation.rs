//! Revocation: whether a token that is good in itself was withdrawn, by the node's mirror in the region.
//!
//! No round trip: the supervisor keeps the mirror. What it cannot tell for certain is a 503, never a pass and
//! never a 401. The older blacklist, which names whole tokens and is in no mirror, is asked for a token once, when the
//! node first sees it; the supervisor watches the token from then on and writes what it finds into the mirror.

use super::authenticate::{self, Authorization, Principal};
use super::marks::Marks;
use super::rejection::Rejection;
use crate::clock::UnixSeconds;
use crate::config::redis::ColdPolicy;
use crate::control::asks::{Answer, Question, SightAnswer, Unanswered};
use crate::identity::fault::TokenFault;
use crate::worker::Worker;
use shm::revocations::{Completeness, Presented, Revocations, Verdict};

/// Decides for one principal at `now`.
///
/// # Errors
/// 401 if the token is revoked, 503 if nobody can tell.
pub fn check(
    revocations: &Revocations,
    cold: ColdPolicy,
    (principal, marks): (&Principal, &Marks),
    now: UnixSeconds,
) -> Result<(), Rejection> {
    if cold == ColdPolicy::Deny && revocations.completeness() == Completeness::NeverSynced {
        return Err(Rejection::CheckUnavailable);
    }
    let presented = Presented {
        token: marks.token(),
        jti: marks.jti.as_ref(),
        user: &marks.user,
        tenant: &marks.tenant,
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
) -> Result<Sight, Rejection> {
    if !worker.settings.users.older_blacklist {
        return Ok(Sight::Watched);
    }
    let token = principal.token_name(|| authenticate::whole_token(authorization));
    let bearer = authenticate::presented(authorization);
    let question = Question::FirstSight { token, bearer, expires_at: principal.expires_at() };
    match worker.ask(question).await {
        Ok(Answer::FirstSight(SightAnswer::Listed)) => Err(Rejection::Unauthorized(TokenFault::Revoked)),
        Ok(_) | Err(Unanswered::Late) => Ok(Sight::Watched),
        Err(Unanswered::Overloaded | Unanswered::Gone) => Ok(Sight::Unknown),
    }
}

/// What the supervisor knows of a token after its first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It looks after the token from now on, or nobody has to.
    Watched,
    /// It was not told: the next request is a first sight again.
    Unknown,
}
