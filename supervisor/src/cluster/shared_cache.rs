//! What one node asked a service, another need not: user records and access to venues, in Redis under a MAC.
//!
//! Redis keeps a user record for 300 s and no longer. Each value carries the time of its look-up, so that a node that
//! took it from here keeps it in its region until it is AUTH_USER_STALE_SECS old, counted from the look-up itself,
//! and an attacker who can write Redis cannot keep an old answer alive: what is older than its TTL is a miss.
//! A generation is a plain counter. Who can turn it back can at most revive a decision that young.
//! An event voids what Redis still holds of its user or venue, on every node that hears it (`forgotten`).

use super::answer::{number_of, text_of};
use super::connection::{CallFault, Connection};
use super::event::Event;
use super::forgotten::Forgotten;
use super::mac::{Forged, MacKey};
use super::operation::Operation;
use super::record::{
    ACCESS_DENIED_TTL, AccessQuestion, Cached, LIST_EMPTY_TTL, LIST_TTL, LIST_VENUES_MAX, USER_TTL,
    USER_UNKNOWN_TTL, UserRecord, VenueAccess, VenueListed, access_key, generation_key, is_fresh, list_key,
    user_key,
};
use crate::export::security_log::{About, SecurityLog};
use crate::figures::Figures;
use edge_worker::clock::{self, UnixSeconds};
use edge_worker::telemetry::labels::Cache;
use edge_worker::telemetry::security_events::SecurityEvent;
use redis::{Cmd, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Clones share the connection and the counts.
#[derive(Clone)]
pub struct SharedCache(Arc<Inner>);

struct Inner {
    connection: Connection,
    key: MacKey,
    access_ttl: Duration,
    security: SecurityLog,
    forgotten: Mutex<Forgotten>,
}

/// What was found. A fault of Redis is the caller's to see, and no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    Hit(Cached<T>),
    Miss,
}

impl SharedCache {
    /// `access_ttl` is VENUE_ACCESS_TTL_SECS.
    #[must_use]
    pub fn new(
        connection: Connection,
        key: MacKey,
        access_ttl: Duration,
        security: SecurityLog,
    ) -> SharedCache {
        SharedCache(Arc::new(Inner { connection, key, access_ttl, security, forgotten: Mutex::default() }))
    }

    /// What others said of the event's user or venue so far does not count here any more. To be called before the
    /// region forgets it, so that nothing old comes back from Redis.
    pub fn overtaken_by(&self, event: &Event) {
        let whose = match event {
            Event::ForgetUser { tenant, sub } => user_key(tenant, sub),
            Event::Venue { id, .. } => generation_key(id),
            _ => return,
        };
        self.forgotten().note(whose, clock::wall_seconds());
    }

    /// Events may have been missed: nothing that others said so far counts any more.
    pub fn overtaken(&self) {
        self.forgotten().note_all(clock::wall_seconds());
    }

    /// A hit without a record is a user that auth-service does not know.
    pub async fn user(&self, tenant: &str, user: &str) -> Result<Found<Option<UserRecord>>, CallFault> {
        let key = user_key(tenant, user);
        let value = self.0.connection.call(Operation::CacheRead, get(&key)).await?;
        let found: Option<Cached<Option<UserRecord>>> = self.opened(Cache::User, &key, &value);
        let found = found.filter(|cached| self.forgotten().admits(&key, cached.at));
        Ok(fresh(found, |record| if record.is_some() { USER_TTL } else { USER_UNKNOWN_TTL }))
    }

    /// `record` is `None` after a 404. `at` is when auth-service was asked.
    pub async fn store_user(
        &self,
        tenant: &str,
        user: &str,
        at: UnixSeconds,
        record: Option<&UserRecord>,
    ) -> Result<(), CallFault> {
        let ttl = if record.is_some() { USER_TTL } else { USER_UNKNOWN_TTL };
        self.store(&user_key(tenant, user), at, &record, ttl).await
    }

    /// Takes the user's record and list out of Redis, for nodes that start after the event and never hear of it. To be
    /// called by every node once it does not count them any more itself: the last one removes what others still wrote.
    pub async fn forget_user(&self, tenant: &str, user: &str) -> Result<(), CallFault> {
        let delete = |key| {
            let mut command = redis::cmd("DEL");
            command.arg(key);
            command
        };
        let commands = [user_key(tenant, user), list_key(tenant, user)].map(delete);
        for reply in self.0.connection.batch(Operation::CacheWrite, commands.into()).await? {
            reply?;
        }
        Ok(())
    }

    /// The decision, and the venue's generation now: to be kept before venue-service is asked, and stored with its
    /// answer, so that an answer that a change has overtaken is void.
    pub async fn access(&self, question: AccessQuestion<'_>) -> Result<(Found<VenueAccess>, u64), CallFault> {
        let key = access_key(question);
        let commands = vec![get(&key), get(&generation_key(question.venue))];
        let mut replies = self.0.connection.batch(Operation::CacheRead, commands).await?.into_iter();
        let value = replies.next().ok_or(CallFault::Link("replies are missing"))??;
        let generation = generation(&replies.next().ok_or(CallFault::Link("replies are missing"))??);
        let found: Option<Cached<VenueAccess>> = self.opened(Cache::VenueAccess, &key, &value);
        let found = fresh(found, |access| self.access_ttl(access));
        let stands = |cached: &Cached<VenueAccess>| {
            cached.value.generation == generation
                && self.forgotten().admits(&generation_key(question.venue), cached.at)
                && self.forgotten().admits(&user_key(question.tenant, question.user), cached.at)
        };
        let current = match found {
            Found::Hit(cached) if stands(&cached) => Found::Hit(cached),
            Found::Hit(_) | Found::Miss => Found::Miss,
        };
        Ok((current, generation))
    }

    pub async fn store_access(
        &self,
        question: AccessQuestion<'_>,
        at: UnixSeconds,
        access: &VenueAccess,
    ) -> Result<(), CallFault> {
        self.store(&access_key(question), at, access, self.access_ttl(access)).await
    }

    /// The user's venues; a miss if any of them has another generation now.
    pub async fn list(&self, tenant: &str, user: &str) -> Result<Found<Vec<VenueListed>>, CallFault> {
        let key = list_key(tenant, user);
        let value = self.0.connection.call(Operation::CacheRead, get(&key)).await?;
        let found: Option<Cached<Vec<VenueListed>>> = self.opened(Cache::VenueList, &key, &value);
        let Found::Hit(cached) = fresh(found, |list| list_ttl(list)) else { return Ok(Found::Miss) };
        if cached.value.len() > LIST_VENUES_MAX {
            return Ok(Found::Miss);
        }
        let ids: Vec<&str> = cached.value.iter().map(|venue| venue.id.as_str()).collect();
        let generations = self.generations(&ids).await?;
        let current = cached.value.iter().map(|venue| venue.generation).eq(generations);
        let forgotten = self.forgotten();
        let current = current
            && forgotten.admits(&user_key(tenant, user), cached.at)
            && ids.iter().all(|venue| forgotten.admits(&generation_key(venue), cached.at));
        Ok(if current { Found::Hit(cached) } else { Found::Miss })
    }

    /// A list of more than [`LIST_VENUES_MAX`] is not kept.
    pub async fn store_list(
        &self,
        tenant: &str,
        user: &str,
        at: UnixSeconds,
        list: &[VenueListed],
    ) -> Result<(), CallFault> {
        if list.len() > LIST_VENUES_MAX {
            return Ok(());
        }
        self.store(&list_key(tenant, user), at, &list, list_ttl(list)).await
    }

    /// The venues' generations, in their order; 0 for one that never changed. At most [`LIST_VENUES_MAX`].
    pub async fn generations(&self, venues: &[&str]) -> Result<Vec<u64>, CallFault> {
        let commands = venues.iter().take(LIST_VENUES_MAX).map(|venue| get(&generation_key(venue))).collect();
        let replies = self.0.connection.batch(Operation::CacheRead, commands).await?;
        replies.into_iter().map(|reply| reply.map(|value| generation(&value))).collect()
    }

    fn access_ttl(&self, access: &VenueAccess) -> Duration {
        if access.allowed { self.0.access_ttl } else { ACCESS_DENIED_TTL.min(self.0.access_ttl) }
    }

    async fn store(
        &self,
        key: &str,
        at: UnixSeconds,
        value: &impl Serialize,
        ttl: Duration,
    ) -> Result<(), CallFault> {
        let text = serde_json::to_string(value).expect("records are made of texts, numbers and lists");
        let mut command = redis::cmd("SET");
        command.arg(key).arg(self.0.key.seal(key, at, &text)).arg("EX").arg(ttl.as_secs().max(1));
        self.0.connection.call(Operation::CacheWrite, command).await.map(drop)
    }

    /// A value that is absent, forged or of another shape is a miss; a forged one is reported.
    fn opened<T: DeserializeOwned>(&self, cache: Cache, key: &str, value: &Value) -> Option<Cached<T>> {
        if *value == Value::Nil {
            return None;
        }
        let text = text_of(value);
        let opened = text.as_deref().ok_or(Forged).and_then(|text| self.0.key.open(key, text));
        match opened {
            Ok((at, text)) => serde_json::from_str(text).ok().map(|value| Cached { value, at }),
            Err(Forged) => {
                self.report(cache);
                None
            }
        }
    }

    fn forgotten(&self) -> MutexGuard<'_, Forgotten> {
        self.0.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, cache: Cache) {
        self.figures().cache_failed(cache);
        let about = About { what: Some(cache.word()), ..About::default() };
        self.0.security.raise(SecurityEvent::CacheValueForged, about);
    }

    /// Where reads and writes are counted.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.0.security.figures()
    }
}

fn get(key: &str) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key);
    command
}

fn generation(value: &Value) -> u64 {
    number_of(value).and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

fn list_ttl(list: &[VenueListed]) -> Duration {
    if list.is_empty() { LIST_EMPTY_TTL } else { LIST_TTL }
}

fn fresh<T>(found: Option<Cached<T>>, ttl: impl FnOnce(&T) -> Duration) -> Found<T> {
    let now = clock::wall_seconds();
    let served = found.filter(|cached| is_fresh(cached.at, ttl(&cached.value), now));
    served.map_or(Found::Miss, Found::Hit)
}
