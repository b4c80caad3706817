//! User: whether the token's user still is one, and which role it has now, by the record of auth-service.
//!
//! A fresh record of the region decides at once. A stale or missing one is an ask; an outage never refuses a token
//! as such (platform section 5).

use super::rejection::Rejection;
use crate::clock::{self, UnixSeconds};
use crate::config::lookups::identity::{OutagePolicy, UserCheck};
use crate::control::asks::{Answer, Person, Question, UserAnswer};
use crate::identity::fault::TokenFault;
use crate::identity::roles::Role;
use crate::telemetry::labels::{Cache, CacheResult, Degraded};
use crate::worker::Worker;
use shm::access::{UserRecord, UserStatus};
use std::rc::Rc;

/// How long a record decides without being asked for again, seconds.
pub const FRESH_S: i64 = 300;

/// What an outage means for the request at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    Deny,
    /// It only reads, on a row that every user may use: the token's claims serve.
    GoOn,
}

impl Outage {
    /// `reads`: the method is safe and the row's class is user or own.
    #[must_use]
    pub fn of(policy: OutagePolicy, reads: bool) -> Outage {
        if policy == OutagePolicy::Claims && reads { Outage::GoOn } else { Outage::Deny }
    }
}

/// Checks the user of one request, whose digest is `user`, and gives the role of the record, if there is one; `person`
/// is asked for only if somebody has to be asked.
///
/// # Errors
/// 401 if the user is gone or inactive, 503 if nobody can tell.
pub async fn check(
    worker: &Rc<Worker>,
    user: &[u8; 32],
    outage: Outage,
    person: impl FnOnce() -> Person,
) -> Result<Option<Role>, Rejection> {
    let check = worker.settings.users.check;
    if check == UserCheck::Off {
        return Ok(None);
    }
    let now = clock::wall_seconds();
    let record = worker.authority.access.user(user, now);
    if let Some(record) = record.filter(|record| is_fresh(record, now)) {
        worker.meters.cache(Cache::User, CacheResult::Hit);
        return judge(worker, record);
    }
    worker.meters.cache(Cache::User, CacheResult::Miss);
    let question = Question::User { user: person() };
    if check == UserCheck::Async {
        let asking = Rc::clone(worker);
        // The answer binds whoever comes after it is in the region.
        crate::net::io::spawn(async move { drop(asking.ask(question).await) });
        return match record {
            Some(record) => judge(worker, record),
            None => Ok(None),
        };
    }
    match Box::pin(worker.ask(question)).await {
        Ok(Answer::User(UserAnswer::Live { role, degraded })) => {
            if degraded {
                worker.meters.degraded(Degraded::StaleRecord);
            }
            Ok(Some(Role::claimed(&role)))
        }
        Ok(Answer::User(UserAnswer::Inactive)) => Err(Rejection::Unauthorized(TokenFault::UserInactive)),
        Ok(Answer::User(UserAnswer::NotFound)) => Err(Rejection::Unauthorized(TokenFault::UserNotFound)),
        Ok(_) | Err(_) => match (record, outage) {
            // The supervisor cannot be asked either; its record is no older than it may be.
            (Some(record), _) => {
                worker.meters.degraded(Degraded::StaleRecord);
                judge(worker, record)
            }
            (None, Outage::GoOn) => {
                worker.meters.degraded(Degraded::Claims);
                Ok(None)
            }
            (None, Outage::Deny) => Err(Rejection::CheckUnavailable),
        },
    }
}

/// Whether a record decides without being asked for again. An absence is stored for as long as it may be believed, so
/// it never is stale.
#[must_use]
pub fn is_fresh(record: &UserRecord, now: UnixSeconds) -> bool {
    now.saturating_sub(record.fetched_at_s) < FRESH_S
}

fn judge(worker: &Worker, record: UserRecord) -> Result<Option<Role>, Rejection> {
    match record.status {
        UserStatus::Active => {
            // A role that has no name here gives no rights beyond a customer's.
            Ok(Some(worker.roles.role(record.role).unwrap_or(Role::Customer)))
        }
        UserStatus::Inactive => Err(Rejection::Unauthorized(TokenFault::UserInactive)),
        UserStatus::NotFound => Err(Rejection::Unauthorized(TokenFault::UserNotFound)),
    }
}
