//! What the shared cache holds, under which keys, and how long (`platform.md` section 5). Pure.

use edge_worker::clock::UnixSeconds;
use edge_worker::identity::uuid::Uuid;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub const USER_TTL: Duration = Duration::from_secs(300);
pub const USER_UNKNOWN_TTL: Duration = Duration::from_secs(30);
pub const ACCESS_DENIED_TTL: Duration = Duration::from_secs(60);
pub const LIST_TTL: Duration = Duration::from_secs(600);
pub const LIST_EMPTY_TTL: Duration = Duration::from_secs(60);
/// Venues of one user that are kept; a longer list is not.
pub const LIST_VENUES_MAX: usize = 500;
/// Clocks of two nodes differ by less.
pub const CLOCK_SKEW_S: i64 = 5;

/// What auth-service said of a user; nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRecord {
    pub id: String,
    pub tenant_id: String,
    pub role: String,
    pub status: String,
}

/// What venue-service said of a user and a venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueAccess {
    #[serde(rename = "a")]
    pub allowed: bool,
    pub role: Option<String>,
    #[serde(rename = "perms")]
    pub permissions: Vec<String>,
    #[serde(rename = "gen")]
    pub generation: u64,
}

/// A venue of a user's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueListed {
    pub id: String,
    #[serde(rename = "gen")]
    pub generation: u64,
}

/// Whose access to what. `permission` only if venue-service is asked for one (VENUE_ACCESS_MODE hmac).
#[derive(Clone, Copy, Debug)]
pub struct AccessQuestion<'request> {
    pub tenant: &'request str,
    pub user: &'request str,
    pub venue: &'request str,
    pub permission: Option<&'request str>,
}

/// A value and when the service said it. Its age counts from there on every node, however it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached<T> {
    pub value: T,
    pub at: UnixSeconds,
}

#[must_use]
pub fn user_key(tenant: &str, user: &str) -> String {
    format!("cache:user:{}:{}", component(tenant), component(user))
}

#[must_use]
pub fn access_key(question: AccessQuestion<'_>) -> String {
    let AccessQuestion { tenant, user, venue, permission } = question;
    let key = format!("cache:venue:access:{}:{}:{}", component(tenant), component(user), component(venue));
    permission.map_or_else(|| key.clone(), |permission| format!("{key}:{permission}"))
}

#[must_use]
pub fn list_key(tenant: &str, user: &str) -> String {
    format!("cache:venue:list:{}:{}", component(tenant), component(user))
}

#[must_use]
pub fn generation_key(venue: &str) -> String {
    format!("cache:venue:gen:{}", component(venue))
}

/// A name that may hold colons, written so that no two questions share a key. UUIDs compare without case, so that
/// another spelling of a venue is no way around its generation; for all else, case tells names apart.
fn component(text: &str) -> String {
    match Uuid::parse(text.as_bytes()) {
        Some(uuid) => uuid.as_str().to_owned(),
        None => text.replace('%', "%25").replace(':', "%3A"),
    }
}

/// Whether a value of this time may serve at `now`: neither older than `ttl` nor from the future.
#[must_use]
pub fn is_fresh(at: UnixSeconds, ttl: Duration, now: UnixSeconds) -> bool {
    let age_s = now.saturating_sub(at);
    let ttl_s = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    (-CLOCK_SKEW_S..=ttl_s.saturating_add(CLOCK_SKEW_S)).contains(&age_s)
}
