//! The security events of the node, as a sampled stream of lines in the log and as exact counts.
//!
//! Workers count their own events; what the supervisor sees itself is raised here.

use super::sampler::{Kind, REPORT_PERIOD, Report, Sampler};
use crate::figures::Figures;
use edge_worker::clock;
use edge_worker::telemetry::log::Level;
use edge_worker::telemetry::log::event_line::{self, MESSAGE};
use edge_worker::telemetry::security_events::SecurityEvent;
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
    /// The user and the process that connected to the control socket.
    pub peer: Option<(u32, i32)>,
    /// Whom an order or a revocation is about; never a token.
    pub whom: Option<&'a str>,
    /// Why, in an operator's words or in those of Redis.
    pub reason: Option<&'a str>,
    /// What came of it, in a word.
    pub outcome: Option<&'static str>,
}

/// `target` of these lines: they are written whatever LOG_LEVEL says.
pub const TARGET: &str = "security_event";

/// The level of a line is fixed where it is written, so that the fields stand here for all of them.
macro_rules! line {
    ($level:expr, $event:expr, $about:expr) => {
        tracing::event!(
            target: TARGET,
            $level,
            event = $event.word(),
            severity = $event.severity().word(),
            requestId = $about.request_id,
            traceId = $about.traceparent.and_then(|parent| parent.split('-').nth(1)),
            userId = $about.user,
            tenantId = $about.tenant,
            what = $about.what,
            count = $about.count,
            uid = $about.peer.map(|(uid, _)| uid),
            pid = $about.peer.map(|(_, pid)| pid),
            whom = $about.whom,
            reason = $about.reason,
            outcome = $about.outcome,
            "{MESSAGE}"
        )
    };
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

    /// An event that the supervisor saw.
    pub fn raise(&self, event: SecurityEvent, about: About<'_>) {
        self.figures.security_event(event);
        if !self.admits(Kind::Event(event)) {
            return;
        }
        match event_line::level(event) {
            Level::Error => line!(tracing::Level::ERROR, event, about),
            Level::Warn => line!(tracing::Level::WARN, event, about),
            Level::Info => line!(tracing::Level::INFO, event, about),
        }
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
