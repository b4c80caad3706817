//! The security events of the node, as a sampled stream of lines in the log and as exact counts.
//!
//! Workers count their own events; what the supervisor sees itself is raised here. One thread: the supervisor's
//! counters have one writer.

use super::sampler::{Kind, REPORT_PERIOD, Report, Sampler};
use edge_worker::clock;
use edge_worker::telemetry::metrics::Metric;
use shm::Shared;
use shm::counters::SeriesKey;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones share the budgets.
#[derive(Clone)]
pub struct SecurityLog {
    shared: &'static Shared,
    sampler: Arc<Mutex<Sampler>>,
}

impl SecurityLog {
    #[must_use]
    pub fn new(shared: &'static Shared) -> SecurityLog {
        SecurityLog { shared, sampler: Arc::new(Mutex::new(Sampler::new(clock::now()))) }
    }

    /// Whether to write a line of this kind now; one that is left out is counted.
    pub fn admits(&self, kind: Kind) -> bool {
        let admitted = self.sampler().admits(kind, clock::now());
        if !admitted {
            let number = u16::try_from(kind.number()).expect("kinds are few");
            let own = &self.shared.cumulative;
            own.add(own.counter(SeriesKey::new(Metric::LogLinesSuppressed.number(), number, 0, 0)), 1);
        }
        admitted
    }

    /// Says what was left out, once a period.
    pub fn report(&self) {
        let due = self.sampler().due(clock::now());
        say(due);
    }

    /// Says what was left out since, at the end of the log.
    pub fn finish(&self) {
        let left = self.sampler().reports();
        say(left);
    }

    fn sampler(&self) -> MutexGuard<'_, Sampler> {
        // Nobody panics while holding it, and its value is complete at any time.
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say(reports: Vec<Report>) {
    for Report { kind, suppressed } in reports {
        let period_s = REPORT_PERIOD.as_secs();
        tracing::warn!(kind = kind.word(), suppressed, period_s, "log lines suppressed");
    }
}
