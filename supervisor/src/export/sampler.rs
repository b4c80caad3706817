//! Which log lines are written when somebody causes very many: a budget a kind, and a count of what it left out.
//! Pure; time comes in.
//!
//! One a node, where the lines of all workers meet: what a flood can write does not grow with the cores. Each kind
//! has its own budget, so that a flood of one hides no other; audits and critical events have the largest.

use edge_worker::clock::Nanos;
use edge_worker::telemetry::labels::SUPPRESSIBLE;
use edge_worker::telemetry::log::event_line;
use edge_worker::telemetry::security_events::{Purpose, Row, SecurityEvent, Severity, TABLE};
use std::time::Duration;

/// Between two reports of what was left out.
pub const REPORT_PERIOD: Duration = Duration::from_secs(10);

/// A kind of lines that a client can cause as often as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Event(SecurityEvent),
    /// The access line of a request that the edge refused for the client's fault.
    RefusedRequest,
}

/// Lines of one kind: so many at once, and then so many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub burst: u32,
    pub lines_a_second: u32,
}

/// The budgets of all kinds, and what they left out since the last report.
pub struct Sampler {
    kinds: [Standing; KINDS],
    report_at: Nanos,
}

#[derive(Clone, Copy)]
struct Standing {
    /// When the lines written so far would have been written at the steady rate (GCRA, ITU-T I.371 annex A).
    paid_until: Nanos,
    suppressed: u64,
}

/// What one kind lost in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub kind: Kind,
    pub suppressed: u64,
}

const KINDS: usize = SUPPRESSIBLE.len();
/// The number of `Kind::RefusedRequest`, behind the events.
const REFUSED_REQUEST: usize = SecurityEvent::COUNT;
const _: () = assert!(REFUSED_REQUEST + 1 == KINDS);

impl Kind {
    /// Its place in `labels::SUPPRESSIBLE`.
    #[must_use]
    pub fn number(self) -> usize {
        match self {
            Self::Event(event) => event as usize,
            Self::RefusedRequest => REFUSED_REQUEST,
        }
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        SUPPRESSIBLE.get(self.number()).copied().unwrap_or_default()
    }

    /// `None` for a kind of which every line is written.
    #[must_use]
    pub fn budget(self) -> Option<Budget> {
        match self {
            Self::Event(event) => budget_of(event.row()),
            Self::RefusedRequest => Some(Budget { burst: 2_000, lines_a_second: 100 }),
        }
    }
}

const fn budget_of(row: &Row) -> Option<Budget> {
    Some(match (row.event, row.purpose, row.severity) {
        // Only who may give a node orders can cause it, and each has to be accounted for.
        (SecurityEvent::OperatorRevocation | SecurityEvent::OperatorCircuit, _, _) => return None,
        (_, Purpose::Audit, _) | (_, _, Severity::Critical) => Budget { burst: 1_000, lines_a_second: 10 },
        (_, _, Severity::High | Severity::Medium) => Budget { burst: 200, lines_a_second: 5 },
        (_, _, Severity::Low) => Budget { burst: 50, lines_a_second: 1 },
    })
}

/// What all security events that have a budget can write in a day, if every one of them is flooded and every line has
/// its greatest length.
pub const EVENT_BYTES_A_DAY_MAX: u64 = {
    let mut lines_a_second = 0;
    let mut index = 0;
    while index < TABLE.len() {
        if let Some(budget) = budget_of(&TABLE[index]) {
            lines_a_second += budget.lines_a_second as u64;
        }
        index += 1;
    }
    lines_a_second * 86_400 * event_line::LINE_BYTES_MAX as u64
};
const _: () = assert!(EVENT_BYTES_A_DAY_MAX < 22 << 30, "docs/reference/security-events.md says so");

impl Sampler {
    #[must_use]
    pub fn new(now: Nanos) -> Sampler {
        Sampler {
            kinds: [Standing { paid_until: now, suppressed: 0 }; KINDS],
            report_at: later(now, REPORT_PERIOD),
        }
    }

    /// Whether to write a line of this kind at `now`; one that is not is counted.
    pub fn admits(&mut self, kind: Kind, now: Nanos) -> bool {
        let Some(standing) = self.kinds.get_mut(kind.number()) else { return true };
        let Some(Budget { burst, lines_a_second }) = kind.budget() else { return true };
        let price = Duration::from_secs(1) / lines_a_second;
        let paid_until = Nanos(standing.paid_until.0.max(now.0));
        let admitted = paid_until.since(now) <= price * (burst - 1);
        if admitted {
            standing.paid_until = later(paid_until, price);
        } else {
            standing.suppressed += 1;
        }
        admitted
    }

    /// What was left out, once a period is over.
    pub fn due(&mut self, now: Nanos) -> Vec<Report> {
        if now.0 < self.report_at.0 {
            return Vec::new();
        }
        self.report_at = later(now, REPORT_PERIOD);
        self.reports()
    }

    /// What was left out since the last time.
    pub fn reports(&mut self) -> Vec<Report> {
        let kinds = TABLE.iter().map(|row| Kind::Event(row.event)).chain([Kind::RefusedRequest]);
        let taken = kinds
            .zip(&mut self.kinds)
            .map(|(kind, standing)| Report { kind, suppressed: std::mem::take(&mut standing.suppressed) });
        taken.filter(|report| report.suppressed > 0).collect()
    }
}

fn later(moment: Nanos, wait: Duration) -> Nanos {
    Nanos(moment.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
