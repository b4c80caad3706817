//! A circuit breaker for the supervisor's own calls to one service: a pure state machine over given times.
//!
//! It stands in for the region's breaker, which the proxied calls will share, and has the same parameters:
//! `platform.md` section 1.

use edge_worker::clock::Millis;
use edge_worker::config::services;

/// The rolling window: ten buckets of a second.
const BUCKETS: usize = 10;
const BUCKET_MS: u64 = 1_000;

/// When the circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Share of failed calls from which it opens.
    pub error_percent: u8,
    /// From opening to the one trial call.
    pub reset_ms: u64,
    /// Calls in the window below which it stays closed.
    pub volume: u16,
}

impl From<services::Breaker> for Parameters {
    fn from(breaker: services::Breaker) -> Self {
        let services::Breaker { error_percent, reset_ms, volume } = breaker;
        Parameters { error_percent, reset_ms, volume }
    }
}

pub struct Breaker {
    parameters: Parameters,
    state: State,
    /// Counts changes of state: a call that began before the last one has nothing to say.
    generation: u64,
    window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open {
        until: Millis,
    },
    /// One call is out to see whether the service is back.
    Trial,
}

/// Leave to make one call; its outcome goes to [`Breaker::record`], whatever happens.
#[derive(Debug, PartialEq, Eq)]
pub struct Passage {
    generation: u64,
}

/// How a call ended, as far as the service's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// No connection, no answer in time, none at all, 500, 502, 504, or 503 without `Retry-After`.
    Failure,
    /// Given up by the edge, 501, or 503 with `Retry-After`.
    Neutral,
}

impl Breaker {
    #[must_use]
    pub fn new(parameters: Parameters) -> Breaker {
        Breaker { parameters, state: State::Closed, generation: 0, window: Window::default() }
    }

    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// `None` while the circuit is open, or a trial is out.
    pub fn admit(&mut self, now: Millis) -> Option<Passage> {
        match self.state {
            State::Closed => {}
            State::Open { until } if now >= until => self.become_state(State::Trial),
            State::Open { .. } | State::Trial => return None,
        }
        Some(Passage { generation: self.generation })
    }

    pub fn record(&mut self, passage: Passage, outcome: Outcome, now: Millis) {
        if passage.generation != self.generation {
            return;
        }
        let open = State::Open { until: Millis(now.0.saturating_add(self.parameters.reset_ms)) };
        match (self.state, outcome) {
            (State::Closed, Outcome::Neutral) => {}
            (State::Closed, _) => {
                self.window.count(outcome, now);
                if self.window.is_bad(self.parameters) {
                    self.become_state(open);
                }
            }
            (State::Trial, Outcome::Success) => {
                self.window = Window::default();
                self.become_state(State::Closed);
            }
            (State::Trial, Outcome::Failure) => self.become_state(open),
            // The trial said nothing, so the next call is one.
            (State::Trial, Outcome::Neutral) => self.become_state(State::Open { until: now }),
            (State::Open { .. }, _) => debug_assert!(false, "nobody passes an open circuit"),
        }
    }

    fn become_state(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

/// Calls and failures of the last ten seconds.
#[derive(Default)]
struct Window {
    buckets: [Bucket; BUCKETS],
    /// Number of the newest bucket since the clock's zero.
    newest: u64,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    calls: u64,
    failures: u64,
}

impl Window {
    fn count(&mut self, outcome: Outcome, now: Millis) {
        let number = (now.0 / BUCKET_MS).max(self.newest);
        let passed = usize::try_from(number - self.newest).unwrap_or(BUCKETS).min(BUCKETS);
        self.newest = number;
        self.buckets.rotate_right(passed);
        for bucket in self.buckets.iter_mut().take(passed) {
            *bucket = Bucket::default();
        }
        let [newest, ..] = &mut self.buckets;
        newest.calls += 1;
        newest.failures += u64::from(outcome == Outcome::Failure);
    }

    fn is_bad(&self, parameters: Parameters) -> bool {
        let calls: u64 = self.buckets.iter().map(|bucket| bucket.calls).sum();
        let failures: u64 = self.buckets.iter().map(|bucket| bucket.failures).sum();
        calls >= u64::from(parameters.volume) && failures * 100 >= calls * u64::from(parameters.error_percent)
    }
}

#[cfg(test)]
mod tests;
