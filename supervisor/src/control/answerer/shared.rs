//! The shared cache as the answerer uses it: Redis may delay an answer by a moment, and is never why there is none.

use crate::cluster::connection::CallFault;
use crate::cluster::record::{AccessQuestion, Cached, UserRecord, VenueAccess, VenueListed};
use crate::cluster::shared_cache::{Found, SharedCache};
use crate::figures::Figures;
use edge_worker::clock::UnixSeconds;
use edge_worker::telemetry::labels::{Cache, SharedRead};
use std::time::Duration;

/// A value that is not here by then is a miss: with the whole look-up after it, an ask still ends in time. The read
/// goes on beside it, so that the breaker hears how it ended.
const READ: Duration = Duration::from_millis(200);

/// Without Redis or CACHE_MAC_KEY every read is a miss and nothing is written.
pub(super) struct Shared(Option<SharedCache>);

/// What a question about a venue found.
pub(super) struct FoundAccess {
    pub(super) hit: Option<Cached<VenueAccess>>,
    /// The venue's, from before its service is asked; without it an answer cannot be shared.
    pub(super) generation: Option<u64>,
}

/// Whose access to what, as it can wait for Redis by itself.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) tenant: String,
    pub(super) user: String,
    pub(super) venue: String,
    pub(super) permission: Option<String>,
}

impl Shared {
    pub(super) fn new(cache: Option<SharedCache>) -> Shared {
        Shared(cache)
    }

    pub(super) async fn user(&self, tenant: &str, user: &str) -> Option<Cached<Option<UserRecord>>> {
        let cache = self.0.clone()?;
        let (tenant, user) = (tenant.to_owned(), user.to_owned());
        let counts = cache.figures();
        let read = promptly(async move { cache.user(&tenant, &user).await }).await;
        counted(counts, Cache::User, read, hit)
    }

    /// `record` is `None` for a user that auth-service does not know.
    pub(super) fn share_user(
        &self,
        (tenant, user): (String, String),
        at: UnixSeconds,
        record: Option<UserRecord>,
    ) {
        let Some(cache) = self.0.clone() else { return };
        beside(cache.figures(), Cache::User, async move {
            cache.store_user(&tenant, &user, at, record.as_ref()).await
        });
    }

    pub(super) async fn access(&self, asked: &Asked) -> FoundAccess {
        let Some(cache) = self.0.clone() else { return FoundAccess { hit: None, generation: None } };
        let asked = asked.clone();
        let counts = cache.figures();
        let read = promptly(async move { cache.access(asked.question()).await }).await;
        let generation = read.as_ref().map(|(_, generation)| *generation);
        FoundAccess { hit: counted(counts, Cache::VenueAccess, read, |(found, _)| hit(found)), generation }
    }

    pub(super) fn share_access(&self, asked: Asked, at: UnixSeconds, access: VenueAccess) {
        let Some(cache) = self.0.clone() else { return };
        beside(cache.figures(), Cache::VenueAccess, async move {
            cache.store_access(asked.question(), at, &access).await
        });
    }

    pub(super) async fn list(&self, tenant: &str, user: &str) -> Option<Cached<Vec<VenueListed>>> {
        let cache = self.0.clone()?;
        let (tenant, user) = (tenant.to_owned(), user.to_owned());
        let counts = cache.figures();
        let read = promptly(async move { cache.list(&tenant, &user).await }).await;
        counted(counts, Cache::VenueList, read, hit)
    }

    /// Each venue with its generation after the answer: that a change has overtaken it, its event tells.
    pub(super) fn share_list(&self, (tenant, user): (String, String), at: UnixSeconds, venues: Vec<String>) {
        let Some(cache) = self.0.clone() else { return };
        beside(cache.figures(), Cache::VenueList, async move {
            let ids: Vec<&str> = venues.iter().map(String::as_str).collect();
            let generations = cache.generations(&ids).await?;
            let listed = venues.iter().cloned().zip(generations);
            let listed: Vec<_> = listed.map(|(id, generation)| VenueListed { id, generation }).collect();
            cache.store_list(&tenant, &user, at, &listed).await
        });
    }
}

impl Asked {
    fn question(&self) -> AccessQuestion<'_> {
        let Asked { tenant, user, venue, permission } = self;
        AccessQuestion { tenant, user, venue, permission: permission.as_deref() }
    }
}

fn hit<T>(found: Found<T>) -> Option<Cached<T>> {
    match found {
        Found::Hit(cached) => Some(cached),
        Found::Miss => None,
    }
}

/// Counts what a read came to; one that gave nothing is an error.
fn counted<T, Value>(
    figures: Figures,
    cache: Cache,
    read: Option<T>,
    hit: impl FnOnce(T) -> Option<Value>,
) -> Option<Value> {
    let Some(read) = read else {
        figures.shared_read(cache, SharedRead::Error);
        figures.cache_failed(cache);
        return None;
    };
    let value = hit(read);
    figures.shared_read(cache, if value.is_some() { SharedRead::Hit } else { SharedRead::Miss });
    value
}

async fn promptly<T: Send + 'static>(
    read: impl Future<Output = Result<T, CallFault>> + Send + 'static,
) -> Option<T> {
    let reading = tokio::spawn(read);
    tokio::time::timeout(READ, reading).await.ok()?.ok()?.ok()
}

/// What cannot be written is asked again by the other nodes; the connection says that Redis is down.
fn beside(
    figures: Figures,
    cache: Cache,
    write: impl Future<Output = Result<(), CallFault>> + Send + 'static,
) {
    tokio::spawn(async move {
        if write.await.is_err() {
            figures.cache_failed(cache);
        }
    });
}
