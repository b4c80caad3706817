//! Revocation: whether a token that is good in itself was withdrawn, by the node's mirror in the region.
//!
//! No round trip: the supervisor keeps the mirror. What it cannot tell for certain is a 503, never a pass and never a
//! 401; where it is full, or stale and the row wants to be sure, Redis itself is asked. The older blacklist names whole
//! tokens and is in no mirror: it is asked about a token once, when the node first sees it; the supervisor watches the
//! token from then on and writes what it finds into the mirror.

use super::authenticate::{self, Authorization, Principal};
use super::marks::Marks;
use super::rejection::Rejection;
use crate::clock::UnixSeconds;
use crate::config::redis::ColdPolicy;
use crate::config::routes::StalePolicy;
use crate::control::asks::{Answer, Question, RevokedAnswer, SightAnswer, Unanswered};
use crate::identity::fault::TokenFault;
use crate::worker::Worker;
use shm::revocations::{Completeness, Presented, Revocations, Verdict};

/// What the mirror's word is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    Decides,
    /// It may lack what Redis has, and the row, or a table without room, wants to be sure: ask.
    Doubtful,
}

/// Decides for one principal at `now`, by the mirror alone.
///
/// # Errors
/// 401 if the token is revoked, 503 if nobody can tell.
pub fn check(
    revocations: &Revocations,
    (cold, stale): (ColdPolicy, StalePolicy),
    (principal, marks): (&Principal, &Marks),
    now: UnixSeconds,
) -> Result<Mirror, Rejection> {
    let completeness = revocations.completeness();
    if cold == ColdPolicy::Deny && completeness == Completeness::NeverSynced {
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
        Verdict::Clear if stale == StalePolicy::Check && completeness != Completeness::Complete => {
            Ok(Mirror::Doubtful)
        }
        Verdict::Clear => Ok(Mirror::Decides),
        Verdict::Revoked(_) => Err(Rejection::Unauthorized(TokenFault::Revoked)),
        Verdict::Unsure if completeness == Completeness::Overflowing => Ok(Mirror::Doubtful),
        Verdict::Unsure => Err(Rejection::CheckUnavailable),
    }
}

/// Has Redis itself asked about a token of which the mirror cannot be sure.
///
/// # Errors
/// 401 if the token is revoked, 503 if Redis does not say.
pub async fn ask(
    worker: &Worker,
    principal: &Principal,
    authorization: Authorization<'_>,
) -> Result<(), Rejection> {
    let question = Question::Revoked {
        token: principal.token_name(|| authenticate::whole_token(authorization)),
        tenant: principal.tenant().to_owned(),
        subject: principal.subject().to_owned(),
        issued_at: principal.issued_at(),
    };
    match worker.ask(question).await {
        Ok(Answer::Revoked(RevokedAnswer::Clear)) => Ok(()),
        Ok(Answer::Revoked(RevokedAnswer::Revoked)) => Err(Rejection::Unauthorized(TokenFault::Revoked)),
        Ok(_) | Err(_) => Err(Rejection::CheckUnavailable),
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
