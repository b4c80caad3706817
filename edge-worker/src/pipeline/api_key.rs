//! API key: whether the key that a request brings is one of the platform's, and belongs to the venue it is about.
//!
//! A key adds a venue to a token and never replaces one (platform section 8): without a proven identity nobody looks at
//! it. The region remembers keys for 60 s under their keyed digest; one that is not there is an ask.

use super::audit::{VENUE_NAMES, venues_of};
use super::parse::Request;
use super::rejection::Rejection;
use super::route::Matched;
use crate::clock;
use crate::config::routes::VenueFrom;
use crate::config::routes::pattern::parameter;
use crate::config::secret::Secret;
use crate::config::services::ServiceId;
use crate::control::asks::{Answer, KeyAnswer, Question};
use crate::http::head::KnownHeader;
use crate::http::target::query::{QueryValue, query_value};
use crate::identity::digests::Digests;
use crate::telemetry::labels::{Cache, CacheResult};
use crate::worker::Worker;
use std::str;

/// Evidence that a request has a valid key, and that it is not about another venue than the key's.
#[derive(Debug)]
pub struct VenueKey(());

impl VenueKey {
    /// Whether the service is shown the key. Others must not see it: to event-service it would be a service's own
    /// credential.
    #[must_use]
    pub fn is_for(&self, service: ServiceId) -> bool {
        KEYED_SERVICES.iter().any(|name| ServiceId::find(name) == Some(service))
    }
}

/// The services that take a venue's key.
const KEYED_SERVICES: [&str; 2] = ["venue", "integration"];
/// The parameter of a path that names a venue, whatever the row asks for there.
const VENUE_PARAMETER: &str = "venueId";

/// Looks at the key of a request that brings one.
///
/// # Errors
/// 403 for a key that nobody has or of another venue, 503 if nobody can tell.
pub async fn check(
    worker: &Worker,
    request: &Request<'_>,
    matched: &Matched<'_>,
) -> Result<VenueKey, Rejection> {
    let mut sent = request.head.values(KnownHeader::XApiKey, request.bytes);
    // Two readers could take two different ones.
    let only = sent.next().filter(|_| sent.next().is_none());
    let key = only.and_then(legal).ok_or(Rejection::InvalidApiKey)?;
    let venue = venue_of(worker, key).await?;
    if is_about_another(&venue, &worker.digests, matched, request.target_bytes) {
        return Err(Rejection::CrossVenueKey);
    }
    Ok(VenueKey(()))
}

/// `[A-Za-z0-9._-]{32,128}`.
#[must_use]
pub fn legal(key: &[u8]) -> Option<&str> {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let legal = (32..=128).contains(&key.len()) && key.iter().all(known);
    legal.then(|| str::from_utf8(key).ok()).flatten()
}

/// The digest of the venue that the key belongs to.
async fn venue_of(worker: &Worker, key: &str) -> Result<[u8; 32], Rejection> {
    let known = worker.authority.access.api_key(&worker.digests.api_key(key), clock::wall_seconds());
    if let Some(record) = known {
        worker.meters.cache(Cache::ApiKey, CacheResult::Hit);
        return Ok(record.venue);
    }
    let question = Question::ApiKey { key: Secret::new(key.to_owned()) };
    let answer = worker.ask(question).await;
    let (result, venue) = match answer {
        Ok(Answer::ApiKey(KeyAnswer::Known { venue })) => {
            (CacheResult::Miss, Ok(worker.digests.venue(&venue)))
        }
        Ok(Answer::ApiKey(KeyAnswer::Unknown)) => (CacheResult::Miss, Err(Rejection::InvalidApiKey)),
        Ok(_) | Err(_) => (CacheResult::Error, Err(Rejection::CheckUnavailable)),
    };
    worker.meters.cache(Cache::ApiKey, result);
    venue
}

/// Whether path or query name a venue that is not the key's. Where two readers of a query could take two different
/// venues, one of them is.
fn is_about_another(own: &[u8; 32], digests: &Digests, matched: &Matched<'_>, target: &[u8]) -> bool {
    let is_other = |venue: &[u8]| str::from_utf8(venue).map_or(true, |venue| digests.venue(venue) != *own);
    let row = matched.row();
    let by_path = parameter(&row.segments, VENUE_PARAMETER)
        .is_some_and(|segment| is_other(&matched.decoded(segment, target)));
    let asks_query = venues_of(&row.access).any(|from| from == VenueFrom::Query);
    let in_query = matched.query(target).filter(|_| asks_query);
    let by_query = in_query.is_some_and(|query| match query_value(query, &VENUE_NAMES) {
        QueryValue::Absent => false,
        QueryValue::One(venue) => is_other(&venue),
        QueryValue::Several => true,
    });
    by_path || by_query
}

#[cfg(test)]
mod tests;
