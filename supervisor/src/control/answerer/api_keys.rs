//! What an API key stands for, by its record in Redis.

use super::Answerer;
use crate::cluster::api_keys::ApiKeyRecord;
use edge_worker::clock;
use edge_worker::config::secret::Secret;
use edge_worker::control::asks::KeyAnswer;
use edge_worker::identity::uuid::is_uuid;
use shm::access::{ApiKey, Tier};

/// How long a key counts without being looked up again, seconds (platform section 8).
const KNOWN_S: i64 = 60;

impl Answerer {
    /// A key that is unknown is not remembered: whoever invents keys could push real ones out of the region.
    pub(super) async fn api_key(&self, key: Secret<String>) -> KeyAnswer {
        // Alone, the node knows of no keys, and cannot tell a real one from an invented one.
        let Some(keys) = &self.api_keys else { return KeyAnswer::Outage };
        let access = &self.region.authority().access;
        let asked = access.moment(self.region.writer());
        let now = clock::wall_seconds();
        let digest = self.digests.api_key(key.expose());
        let record = match self.merged.key(keys, (digest, asked), key).await {
            Ok(Some(record)) if is_uuid(record.venue_id.as_bytes()) => record,
            Ok(_) => return KeyAnswer::Unknown,
            Err(_) => return KeyAnswer::Outage,
        };
        let kept = ApiKey {
            venue: self.digests.venue(&record.venue_id),
            tier: tier(&record),
            rate_limit: record.rate_limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            expires_at_s: now.saturating_add(KNOWN_S),
        };
        access.store_api_key(self.region.writer(), &digest, &kept, asked, now);
        KeyAnswer::Known { venue: record.venue_id }
    }
}

/// A word that is no tier gives nothing above the lowest.
fn tier(record: &ApiKeyRecord) -> Tier {
    match record.tier.as_deref() {
        Some("premium") => Tier::Premium,
        Some("standard") => Tier::Standard,
        _ => Tier::Free,
    }
}

#[cfg(test)]
mod tests;
