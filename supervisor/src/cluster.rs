//! Redis, and nothing else speaks to it: what must be equal on every node passes here.
//!
//! `connection` is the one handle, with its time-outs and its breaker. `publisher` writes revocations, `tail` reads
//! everybody's, and `snapshot` closes a gap between the two. `shared_cache` lets a second node profit from what the
//! first has asked. Nothing here touches the region but to count: events and records leave
//! as values.

pub mod operation;
pub mod answer;
pub mod breaker;
pub mod throttle;
pub mod endpoint;
pub mod connection;
pub mod event;
pub mod stream;
pub mod outbox;
pub mod publisher;
pub mod snapshot;
pub mod durable;
pub mod tail;
pub mod legacy;
pub mod bans;
pub mod circuits;
pub mod mac;
pub mod record;
pub mod forgotten;
pub mod shared_cache;
pub mod api_keys;
pub mod reads;

#[cfg(test)]
mod tests;
