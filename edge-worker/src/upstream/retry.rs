//! Retry: when a call that failed is made once more (platform contract, section 1).
//!
//! At most once, after a pause, inside the request's deadline and the service's budget, and only where the service
//! cannot do twice what was asked once: reads, and writes whose row and key let the service recognise the second.
//! A pooled connection that died while nobody used it is no failed call: it is replaced before a byte is written
//! (`pool`).

use crate::clock::Millis;
use crate::config::routes::Idempotency;
use crate::http::head::{KnownHeader, RequestHead};
use crate::http::method::Method;
use crate::identity::uuid::is_uuid;
use crate::pipeline::circuit::Passage;
use std::ops::RangeInclusive;

/// What may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    Never,
    /// A write with a key on a row that knows none: only what was never sent.
    Unsent,
    /// A write that the service knows by its key: while it has not been answered.
    ByKey,
    /// Reading twice is reading once.
    Read,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection was to be had: the service got nothing.
    Unconnected,
    /// The connection ended before a byte of an answer came.
    Unanswered,
    /// It ended within the answer's head.
    HalfAnswered,
    Answered {
        status: u16,
        /// With `Retry-After`.
        sheds: bool,
    },
}

/// What a second attempt depends on.
#[derive(Clone, Copy)]
pub struct Second<'c> {
    pub repeatable: Repeatable,
    pub deadline: Millis,
    pub passage: &'c Passage,
}

impl Repeatable {
    /// What a request says of itself, on a row with this rule for idempotency keys.
    #[must_use]
    pub fn of(method: Method, idempotency: Idempotency, head: &RequestHead, bytes: &[u8]) -> Repeatable {
        match (method.is_read(), idempotency) {
            (true, _) => Self::Read,
            (false, _) if !has_key(idempotency, head, bytes) => Self::Never,
            (false, Idempotency::None) => Self::Unsent,
            (false, Idempotency::Optional | Idempotency::RequiredUuid) => Self::ByKey,
        }
    }

    /// Whether the call may be made again after it failed so.
    #[must_use]
    pub fn after(self, failure: Failure) -> bool {
        match (self, failure) {
            (Self::Never, _) => false,
            (Self::Unsent, failure) => failure == Failure::Unconnected,
            (Self::ByKey | Self::Read, Failure::Unconnected | Failure::Unanswered) => true,
            (Self::Read, Failure::HalfAnswered) => true,
            (Self::Read, Failure::Answered { status, sheds }) => !sheds && matches!(status, 502..=504),
            (Self::ByKey, Failure::HalfAnswered | Failure::Answered { .. }) => false,
        }
    }
}

impl Second<'_> {
    /// Whether the call, which failed so, is to be made again; if so, its passage is good for it.
    #[must_use]
    pub fn is_granted(self, failure: Failure, now: Millis) -> bool {
        self.repeatable.after(failure)
            && self.deadline.0.saturating_sub(now.0) >= PAUSE_MS.end() + ATTEMPT_MS_MIN
            && self.passage.again()
    }
}

/// One key of the platform's shape (section 11), under one of its names or the same under both.
fn has_key(idempotency: Idempotency, head: &RequestHead, bytes: &[u8]) -> bool {
    let own = || head.values(KnownHeader::IdempotencyKey, bytes);
    let mut keys = own().chain(head.values(KnownHeader::XIdempotencyKey, bytes));
    let Some(key) = keys.next() else { return false };
    let is_legal = match idempotency {
        Idempotency::None | Idempotency::Optional => {
            let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=KEY_BYTES_MAX).contains(&key.len()) && key.iter().all(legal)
        }
        // The alias does not do there.
        Idempotency::RequiredUuid => is_uuid(key) && own().next().is_some(),
    };
    is_legal && keys.all(|other| other == key)
}

/// Milliseconds between the failure and the second call: whoever failed together does not come back together.
#[must_use]
pub fn pause_ms() -> u64 {
    rand::random_range(PAUSE_MS)
}

pub const PAUSE_MS: RangeInclusive<u64> = 50..=100;
/// What a second attempt has to have: one that our own clock cuts off says nothing, and turns a service's words into a
/// time-out.
const ATTEMPT_MS_MIN: u64 = 250;
const KEY_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests;
