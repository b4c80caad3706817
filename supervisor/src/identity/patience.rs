//! How long a question may take, how often it is asked, and what is worth asking again.

use super::outage::Outage;
use std::time::Duration;
use tokio::time::Instant;

/// The times of one kind of question, `platform.md` section 5.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub total: Duration,
    pub attempt: Duration,
    /// Before each further attempt, give or take [`JITTER`]; as many as there may be.
    pub pauses: &'static [Duration],
    pub again: Again,
}

/// What is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Whatever may be over in a moment.
    Transient,
    /// Only a connection that was never made: the service saw nothing of the question.
    Connection,
}

/// Share by which a pause is longer or shorter, so that nodes do not come back in step.
pub const JITTER: f64 = 0.2;

impl Patience {
    /// getUserById and validateToken.
    pub const USER: Patience = Patience {
        total: Duration::from_secs(5),
        attempt: Duration::from_secs(2),
        pauses: &[Duration::from_millis(100), Duration::from_millis(200)],
        again: Again::Transient,
    };
    /// checkUserVenueAccess and getUserVenues. The one repetition goes out at once: its pause is not stated,
    /// and two attempts already fill the total.
    pub const VENUE: Patience = Patience {
        total: Duration::from_secs(3),
        attempt: Duration::from_millis(1_500),
        pauses: &[Duration::ZERO],
        again: Again::Connection,
    };
}

/// An attempt that gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub outage: Outage,
    pub kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Unconnected,
    Transient,
    /// Asking again would give the same, or do harm.
    Final,
}

impl Patience {
    /// Attempts until one succeeds, none is left, or time is up. Each gets the instant by which it must end
    /// itself. `random` gives numbers from 0 to 1.
    pub async fn persist<T, A>(
        &self,
        mut random: impl FnMut() -> f64,
        mut attempt: impl FnMut(Instant) -> A,
    ) -> Result<T, Outage>
    where
        A: Future<Output = Result<T, Failure>>,
    {
        let end = Instant::now() + self.total;
        let mut pauses = self.pauses.iter();
        loop {
            let failure = match attempt(end.min(Instant::now() + self.attempt)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(pause) = pauses.next().filter(|_| self.again.covers(failure.kind)) else {
                return Err(failure.outage);
            };
            let resumed = Instant::now() + pause.mul_f64(1.0 + JITTER * (2.0 * random() - 1.0));
            if resumed >= end {
                return Err(failure.outage);
            }
            tokio::time::sleep_until(resumed).await;
        }
    }
}

impl Again {
    fn covers(self, kind: FailureKind) -> bool {
        match kind {
            FailureKind::Unconnected => true,
            FailureKind::Transient => self == Self::Transient,
            FailureKind::Final => false,
        }
    }
}

#[cfg(test)]
mod tests;
