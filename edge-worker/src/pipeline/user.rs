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

/// What a user's record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub role: Role,
    pub age: Age,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Fresh,
    /// Older than it should be: auth-service cannot be asked, or has not answered yet.
    Stale,
}

impl Outage {
    /// `reads`: the method is safe and the row's class is user or own.
    #[must_use]
    pub fn of(policy: OutagePolicy, reads: bool) -> Outage {
        if policy == OutagePolicy::Claims && reads { Outage::GoOn } else { Outage::Deny }
    }
}

/// Checks the user of one request, whose digest is `user`, and gives what the record says, if there is one; `person`
/// is asked for only if somebody has to be asked.
///
/// # Errors
/// 401 if the user is gone or inactive, 503 if nobody can tell.
pub async fn check(
    worker: &Rc<Worker>,
    user: &[u8; 32],
    outage: Outage,
    person: impl FnOnce() -> Person,
) -> Result<Option<Recorded>, Rejection> {
    let check = worker.settings.users.check;
    if check == UserCheck::Off {
        return Ok(None);
    }
    let now = clock::wall_seconds();
    let record = worker.authority.access.user(user, now);
    if let Some(record) = record.filter(|record| is_fresh(record, now)) {
        worker.meters.cache(Cache::User, CacheResult::Hit);
        return judge(worker, record, Age::Fresh);
    }
    worker.meters.cache(Cache::User, CacheResult::Miss);
    if check == UserCheck::Async {
        ask_beside(worker, user, person);
        return match record {
            Some(record) => judge(worker, record, Age::Stale),
            None => Ok(None),
        };
    }
    let question = Question::User { user: person() };
    match Box::pin(worker.ask(question)).await {
        Ok(Answer::User(UserAnswer::Live { role, degraded })) => {
            if degraded {
                worker.meters.degraded(Degraded::StaleRecord);
            }
            let age = if degraded { Age::Stale } else { Age::Fresh };
            Ok(Some(Recorded { role: Role::claimed(&role), age }))
        }
        Ok(Answer::User(UserAnswer::Inactive)) => Err(Rejection::Unauthorized(TokenFault::UserInactive)),
        Ok(Answer::User(UserAnswer::NotFound)) => Err(Rejection::Unauthorized(TokenFault::UserNotFound)),
        Ok(_) | Err(_) => match (record, outage) {
            // The supervisor cannot be asked either; its record is no older than it may be.
            (Some(record), _) => {
                worker.meters.degraded(Degraded::StaleRecord);
                judge(worker, record, Age::Stale)
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

/// Asks without anybody waiting: the answer binds whoever comes after it is in the region. Once a user at a time,
/// however many requests it makes meanwhile.
fn ask_beside(worker: &Rc<Worker>, user: &[u8; 32], person: impl FnOnce() -> Person) {
    if !worker.asked_users.borrow_mut().insert(*user) {
        return;
    }
    let (asking, user, question) = (Rc::clone(worker), *user, Question::User { user: person() });
    crate::net::io::spawn(async move {
        drop(asking.ask(question).await);
        asking.asked_users.borrow_mut().remove(&user);
    });
}

fn judge(worker: &Worker, record: UserRecord, age: Age) -> Result<Option<Recorded>, Rejection> {
    match record.status {
        UserStatus::Active => {
            // A role that has no name here gives no rights beyond a customer's.
            let role = worker.roles.role(record.role).unwrap_or(Role::Customer);
            Ok(Some(Recorded { role, age }))
        }
        UserStatus::Inactive => Err(Rejection::Unauthorized(TokenFault::UserInactive)),
        UserStatus::NotFound => Err(Rejection::Unauthorized(TokenFault::UserNotFound)),
    }
}
