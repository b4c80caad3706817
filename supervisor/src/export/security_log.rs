//! The security events of the node, as a sampled stream of lines in the log and as exact counts.
//!
//! Workers count their own events; what the supervisor sees itself is raised here.

use super::sampler::{Kind, REPORT_PERIOD, Report, Sampler};
use crate::figures::Figures;
use edge_worker::clock;
use edge_worker::telemetry::log::event_line::MESSAGE;
use edge_worker::telemetry::security_events::{SecurityEvent, Severity};
use shm::Shared;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones share the budgets.
#[derive(Clone)]
pub struct SecurityLog {
    figures: Figures,
    sampler: Arc<Mutex<Sampler>>,
}

/// What an event of the supervisor is about; what does not apply stays out of its line.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    pub user: Option<&'a str>,
    pub tenant: Option<&'a str>,
    pub request_id: Option<&'a str>,
    /// W3C trace context.
    pub traceparent: Option<&'a str>,
    /// Which cache, which kind of revocation.
    pub what: Option<&'static str>,
    /// How many of them.
    pub count: Option<usize>,
}

impl SecurityLog {
    #[must_use]
    pub fn new(shared: &'static Shared) -> SecurityLog {
        let sampler = Arc::new(Mutex::new(Sampler::new(clock::now())));
        SecurityLog { figures: Figures::new(shared), sampler }
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// An event that the supervisor saw. All of its own are critical.
    pub fn raise(&self, event: SecurityEvent, about: About<'_>) {
        debug_assert!(event.severity() == Severity::Critical, "{} is the workers' to raise", event.word());
        self.figures.security_event(event);
        if !self.admits(Kind::Event(event)) {
            return;
        }
        tracing::error!(
            event = event.word(),
            severity = event.severity().word(),
            requestId = about.request_id,
            traceId = about.traceparent.and_then(|parent| parent.split('-').nth(1)),
            userId = about.user,
            tenantId = about.tenant,
            what = about.what,
            count = about.count,
            "{MESSAGE}"
        );
    }

    /// Whether to write a line of this kind now; one that is left out is counted.
    pub fn admits(&self, kind: Kind) -> bool {
        let admitted = self.sampler().admits(kind, clock::now());
        if !admitted {
            self.figures.line_suppressed(u16::try_from(kind.number()).expect("kinds are few"));
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

#[cfg(test)]
mod tests;
