//! What a node reads from Redis to decide about access, on links of its own: a look-up must not wait behind a snapshot.

use super::api_keys::ApiKeys;
use super::connection::Connection;
use super::durable::DurableKeys;
use super::endpoint::EndpointFault;
use super::legacy::LegacyBlacklist;
use super::mac::MacKey;
use super::shared_cache::SharedCache;
use crate::export::security_log::SecurityLog;
use edge_worker::config::redis::RedisSettings;
use std::time::Duration;

/// Each is missing where the settings leave it out, and all of them where the node runs alone.
#[derive(Clone, Default)]
pub struct Reads {
    /// Without CACHE_MAC_KEY nobody could tell what nodes wrote from what others did.
    pub shared: Option<SharedCache>,
    /// LEGACY_BLACKLIST=false leaves it out.
    pub legacy: Option<LegacyBlacklist>,
    pub api_keys: Option<ApiKeys>,
    pub durable: Option<DurableKeys>,
}

impl Reads {
    /// `access_ttl` is VENUE_ACCESS_TTL_SECS.
    ///
    /// # Errors
    /// If the address of Redis cannot be used.
    pub fn new(
        settings: Option<&RedisSettings>,
        access_ttl: Duration,
        security: &SecurityLog,
    ) -> Result<Reads, EndpointFault> {
        let Some(settings) = settings else { return Ok(Reads::default()) };
        let connection = Connection::new(settings, security.figures())?;
        let key = settings.cache_mac_key.as_ref().and_then(MacKey::new);
        Ok(Reads {
            shared: key.map(|key| SharedCache::new(connection.clone(), key, access_ttl, security.clone())),
            legacy: settings.legacy_blacklist.then(|| LegacyBlacklist::new(connection.clone())),
            durable: Some(DurableKeys::new(connection.clone())),
            api_keys: Some(ApiKeys::new(connection, settings.api_key_templates.clone())),
        })
    }
}
