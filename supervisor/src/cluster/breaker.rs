//! Stops asking a Redis that does not answer: after some failures in a row every call fails at once for a moment,
//! then one call tries. Pure; time comes in.

use edge_worker::clock::Nanos;
use std::time::Duration;

/// Failures in a row that open it.
pub const FAILURES_MAX: u32 = 5;
/// How long every call fails at once. Short: a healed link must be noticed well within the second that a
/// revocation may take.
pub const OPEN: Duration = Duration::from_millis(250);
/// A trial without a result by then is taken as dead, and another call may try.
pub const TRIAL: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    /// Calls fail until then. Set once it has opened, until a success closes it.
    blocked_until: Option<Nanos>,
}

impl Breaker {
    /// Whether a call may go out. The one that is let out of an open breaker is the trial.
    pub fn admits(&mut self, now: Nanos) -> bool {
        match self.blocked_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.blocked_until = Some(after(now, TRIAL));
                true
            }
        }
    }

    pub fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    pub fn failed(&mut self, now: Nanos) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.blocked_until = Some(after(now, OPEN));
        }
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.blocked_until.is_some()
    }
}

fn after(now: Nanos, wait: Duration) -> Nanos {
    Nanos(now.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
