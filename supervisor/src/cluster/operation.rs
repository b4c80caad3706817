//! What calls to Redis are for, and how many came to what.

use std::time::Duration;

/// What a call was for: the `op` label of `gateway_redis_operations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Operation {
    Ping,
    CacheRead,
    CacheWrite,
    Publish,
    Tail,
    Snapshot,
    Legacy,
    ApiKey,
    Bans,
}

impl Operation {
    pub const ALL: [Operation; 9] = [
        Self::Ping,
        Self::CacheRead,
        Self::CacheWrite,
        Self::Publish,
        Self::Tail,
        Self::Snapshot,
        Self::Legacy,
        Self::ApiKey,
        Self::Bans,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::Publish => "publish",
            Self::Tail => "tail",
            Self::Snapshot => "snapshot",
            Self::Legacy => "legacy_blacklist",
            Self::ApiKey => "api_key",
            Self::Bans => "bans",
        }
    }
}

/// Calls of one operation since the start; a batch is one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub succeeded: u64,
    pub failed: u64,
    /// Not sent, because the breaker was open.
    pub blocked: u64,
    /// Time of all that were sent.
    pub taken: Duration,
}
