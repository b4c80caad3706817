//! What calls to Redis are for, and what they come to.

use edge_worker::telemetry::labels::REDIS_OPERATIONS;

/// What a call was for: the `op` label of `gateway_redis_operations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
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
    Revoked,
    Circuits,
}

impl Operation {
    pub const ALL: [Operation; 11] = [
        Self::Ping,
        Self::CacheRead,
        Self::CacheWrite,
        Self::Publish,
        Self::Tail,
        Self::Snapshot,
        Self::Legacy,
        Self::ApiKey,
        Self::Bans,
        Self::Revoked,
        Self::Circuits,
    ];

    /// As in `labels::REDIS_OPERATIONS`.
    #[must_use]
    pub fn label(self) -> &'static str {
        REDIS_OPERATIONS.get(self as usize).copied().unwrap_or_default()
    }
}

/// How a call ended: a place in `labels::REDIS_RESULTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum OperationEnd {
    Succeeded,
    Failed,
    /// Not sent, because the breaker was open.
    Blocked,
}

const _: () = assert!(REDIS_OPERATIONS.len() == Operation::ALL.len(), "every operation has a word");
