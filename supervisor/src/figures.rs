//! What the supervisor counts of its own work: in the region's cumulative block, so that the figures outlive it.
//!
//! One thread: the block has one writer.

use crate::cluster::operation::{Operation, OperationEnd};
use edge_worker::telemetry::labels::{Cache, CircuitPosition, RevocationSource, SharedRead};
use edge_worker::telemetry::metrics::{Metric, bucket};
use edge_worker::telemetry::security_events::SecurityEvent;
use shm::Shared;
use shm::counters::{Counters, SeriesKey};
use shm::names::NameId;
use std::time::Duration;

/// A handle; all of them count into the same block.
#[derive(Clone, Copy)]
pub struct Figures(&'static Counters);

impl Figures {
    #[must_use]
    pub fn new(shared: &'static Shared) -> Figures {
        Figures(&shared.cumulative)
    }

    /// A call to Redis ended.
    pub fn redis(self, operation: Operation, end: OperationEnd) {
        self.count(Metric::RedisOperations, operation as u16, end as u16);
    }

    /// How long a call to Redis took that did not wait on purpose.
    pub fn redis_took(self, operation: Operation, taken: Duration) {
        self.observe(Metric::RedisOperationDuration, operation as u16, taken);
    }

    /// A probe of what this number names ended; 0 is Redis.
    pub fn probed(self, check: u16, taken: Duration) {
        self.observe(Metric::HealthCheckDuration, check, taken);
    }

    /// An instance of the service with this name was ejected by a call of the supervisor's.
    pub fn instance_ejected(self, service: u16) {
        self.count(Metric::InstanceEjections, service, 0);
    }

    /// The shared cache was asked for a value.
    pub fn shared_read(self, cache: Cache, read: SharedRead) {
        self.count(Metric::SharedCacheReads, cache as u16, read as u16);
    }

    /// A value of the shared cache could not be read or written, or is forged.
    pub fn cache_failed(self, cache: Cache) {
        self.count(Metric::CacheErrors, cache as u16, 0);
    }

    /// A revocation took effect on this node. `kind` is a place in `labels::REVOCATION_KINDS`.
    pub fn revoked(self, kind: u16, source: RevocationSource) {
        self.count(Metric::Revocations, kind, source as u16);
    }

    /// A revocation found no place.
    pub fn revocation_lost(self) {
        self.count(Metric::RevocationsLost, 0, 0);
    }

    /// How many revocations of this node Redis does not have: those that wait for it, and those that it refuses.
    pub fn revocations_unpublished(self, waiting: usize, refused: usize) {
        // Places in `labels::UNPUBLISHED`.
        for (state, count) in [(0, waiting), (1, refused)] {
            self.set(Metric::RevocationsUnpublished, state, count);
        }
    }

    /// What others wrote to the revocation store and means nothing.
    pub fn revocations_malformed(self, entries: u64) {
        let cell = self.0.counter(SeriesKey::new(Metric::RevocationEntriesMalformed.number(), 0, 0, 0));
        self.0.add(cell, entries);
    }

    /// The revocation store was read whole.
    pub fn revocation_snapshot(self) {
        self.count(Metric::RevocationSnapshots, 0, 0);
    }

    /// A token is not watched for its older blacklist key.
    pub fn legacy_unwatched(self) {
        self.count(Metric::LegacyTokensUnwatched, 0, 0);
    }

    /// The circuit of a service changed.
    pub fn circuit_changed(self, service: NameId, to: CircuitPosition) {
        self.count(Metric::CircuitBreakerTransitions, service.number(), to as u16);
    }

    /// A call to the service was not made, because its circuit is open.
    pub fn left_alone(self, service: NameId) {
        self.count(Metric::CircuitBreakerRejections, service.number(), 0);
    }

    pub fn security_event(self, event: SecurityEvent) {
        self.count(Metric::SecurityEvents, event as u16, event.severity() as u16);
    }

    /// A log line was left out. `kind` is a place in `labels::SUPPRESSIBLE`.
    pub fn line_suppressed(self, kind: u16) {
        self.count(Metric::LogLinesSuppressed, kind, 0);
    }

    /// The worker in this slot died and will be replaced.
    pub fn worker_restarted(self, slot: u16) {
        self.count(Metric::WorkerRestarts, slot, 0);
    }

    /// A counter's value; 0 if it never counted.
    #[cfg(test)]
    pub fn counted(self, metric: Metric, first: u16, second: u16) -> u64 {
        let mut found = 0;
        self.0.each_counter(|key, value| {
            if key == SeriesKey::new(metric.number(), first, second, 0) {
                found = value;
            }
        });
        found
    }

    /// A gauge's value; 0 if it was never set.
    #[cfg(test)]
    pub fn gauged(self, metric: Metric, label: u16) -> u64 {
        let mut found = 0;
        self.0.each_gauge(|key, value| {
            if key == SeriesKey::new(metric.number(), label, 0, 0) {
                found = value;
            }
        });
        found
    }

    fn set(self, metric: Metric, label: u16, value: usize) {
        self.0.store(self.0.gauge(SeriesKey::new(metric.number(), label, 0, 0)), value as u64);
    }

    fn count(self, metric: Metric, first: u16, second: u16) {
        self.0.add(self.0.counter(SeriesKey::new(metric.number(), first, second, 0)), 1);
    }

    fn observe(self, metric: Metric, label: u16, taken: Duration) {
        let taken_ns = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        let cell = self.0.histogram(SeriesKey::new(metric.number(), label, 0, 0));
        self.0.observe(cell, bucket(metric.definition().buckets, taken_ns), taken_ns);
    }
}
