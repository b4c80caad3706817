//! Validation: whether auth-service itself still accepts a token, where `AUTH_REMOTE_VALIDATE` asks for that.
//!
//! A token is asked about when the node first sees it, and again once that is a minute ago; the time stands with the
//! token in the region's cache, so that the workers of a node ask once. A token that does not fit there is asked about
//! at every request.

use super::authenticate::{self, Authorization, Principal, TokenDigest};
use super::rejection::Rejection;
use super::user::Outage;
use crate::clock::{self, UnixSeconds};
use crate::control::asks::{Answer, Person, Question, ValidationAnswer};
use crate::identity::fault::TokenFault;
use crate::telemetry::labels::Degraded;
use crate::worker::Worker;

/// How long auth-service's word counts, seconds (platform section 5).
const VALID_S: i64 = 60;

/// Checks the token of one request; `person` is asked for only if auth-service has to be.
///
/// # Errors
/// 401 if auth-service refuses the token, 503 if nobody can tell.
pub async fn check(
    worker: &Worker,
    (principal, authorization, digest): (&Principal, Authorization<'_>, TokenDigest),
    outage: Outage,
    person: impl FnOnce() -> Person,
) -> Result<(), Rejection> {
    if !worker.settings.users.remote_validate || counts(principal.validated_at(), clock::wall_seconds()) {
        return Ok(());
    }
    let question = Question::Token {
        user: person(),
        token: principal.token_name(|| authenticate::whole_token(authorization)),
        expires_at: principal.expires_at(),
        bearer: authenticate::presented(authorization),
    };
    match Box::pin(worker.ask(question)).await {
        Ok(Answer::Token(ValidationAnswer::Valid)) => {
            let (cache, now) = (&worker.shared.token_cache, clock::wall_seconds());
            // A place that is being written is left alone; the token will be asked about again.
            let _ = authenticate::confirm((principal, digest), cache, worker.slot, now);
            Ok(())
        }
        Ok(Answer::Token(ValidationAnswer::Refused)) => Err(Rejection::Unauthorized(TokenFault::Revoked)),
        Ok(_) | Err(_) => match outage {
            Outage::GoOn => {
                worker.meters.degraded(Degraded::Claims);
                Ok(())
            }
            Outage::Deny => Err(Rejection::CheckUnavailable),
        },
    }
}

/// A time in the future is none: the clock was set back.
fn counts(validated_at: UnixSeconds, now: UnixSeconds) -> bool {
    (0..VALID_S).contains(&now.saturating_sub(validated_at))
}

#[cfg(test)]
mod tests;
