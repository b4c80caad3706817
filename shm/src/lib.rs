//! The region: what supervisor and workers share, lock-free, in two sealed memfds that outlive any process.
//!
//! ```text
//!   authority memfd                              shared memfd
//!   sealed: shrink, grow, future write           sealed: shrink, grow
//!   +-------------+                              +--------------+
//!   | header      | magic, layout hash, size,    | header       | the same boot id: the two belong together
//!   |             | boot id                      +--------------+
//!   +-------------+                              | workers[64]  | one block a slot: pid, phase, in flight
//!   | names       | append-only: text <-> NameId +--------------+
//!   +-------------+                              | counters[64] | series of one worker: one writer each
//!   | readiness   | what /ready answers from     | cumulative   | series of workers that are gone
//!   +-------------+                              +--------------+
//!   | revocations | digest -> until when;        | journals[64] | ring of records: worker -> supervisor
//!   |             | not_before: never evicts     +--------------+
//!   +-------------+                              | token_cache  | digest -> identity: every worker writes
//!   | access      | users, venues, keys: a cache +--------------+
//!   +-------------+                              | breakers     | a circuit a service: everybody writes
//!                                                +--------------+
//!                                                | endpoints    | health, latency, load of each instance
//!                                                +--------------+
//!        ^
//!        | written by the supervisor alone,
//!        | through the one mapping it made
//!        | before the seal
//! ```
//!
//! Three rules hold for every structure, and each file's head says how it keeps them.
//! A process may die between any two instructions: what it leaves is never mistaken for a finished value.
//! Nobody waits for anybody: there is no lock, and every loop is bounded by a table's size.
//! Nothing is reinterpreted: another layout, size or pairing of the memfds is a [`region::RegionFault`].
//!
//! A slot belongs to one live process at a time. The supervisor reuses it only after the process has been
//! reaped, and then in this order: [`token_cache::TokenCache::sweep`], [`counters::Counters::fold_into`],
//! [`endpoints::Endpoints::clear`], [`workers::WorkerBlock::clear`]. The journal needs nothing.
//!
//! A supervisor that makes or takes over a region calls [`revocations::Revocations::repair`] and
//! [`access::Access::repair`] before it starts a worker.

#![deny(unsafe_code)]
#![cfg_attr(loom, allow(dead_code, unused_imports))]

#[cfg(not(loom))]
pub mod region;
pub mod layout;
pub(crate) mod atomics;
pub mod words;
pub mod names;
pub mod readiness;
pub mod revocations;
pub mod workers;
pub mod counters;
pub mod journal;
pub(crate) mod entry;
pub mod token_cache;
pub mod breakers;
pub mod endpoints;
pub mod access;

pub use layout::{Authority, AuthorityWriter, Shared};
#[cfg(not(loom))]
pub use region::{RegionFault, SupervisorRegion, WorkerRegion};
pub use words::{SLOTS_MAX, Text, WorkerSlot};

/// Most services that a node proxies to: the width of every table with one row a service.
pub const SERVICES_MAX: usize = 64;
