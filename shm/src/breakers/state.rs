//! Where a circuit stands, as one word, and every decision about it. Nothing here is shared: the word comes
//! in, a new one goes out.

use super::window::Window;

/// When a circuit opens, and for how long. They come from the configuration of whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Share of failed calls of the window from which the circuit opens.
    pub error_percent: u8,
    /// Calls in the window below which it stays closed.
    pub volume: u16,
    /// From opening to the first probe; at most `WAIT_MS_MAX`.
    pub reset_ms: u64,
    /// After which the permit of a prober that said nothing is given to another one: longer than any call
    /// takes, at most `WAIT_MS_MAX`.
    pub probe_ms: u64,
}

/// How a call ended, as far as the service's health is concerned (platform contract, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Success,
    /// No connection, no answer in time, 500, 502, 504, or 503 without `Retry-After`.
    Failure,
    /// Given up by the client, 501, or 503 with `Retry-After`.
    Neutral,
}

/// Leave to make one call, of the generation that gave it.
#[derive(Debug, PartialEq, Eq, Hash)]
// Nobody spends a permit twice but a test, in a copy of its world.
#[cfg_attr(test, derive(Clone))]
#[must_use = "the outcome of the call is to be recorded"]
pub struct Permit {
    generation: u32,
}

/// Where a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    Closed,
    Open,
    /// One call at a time is let through to see whether the service is back.
    HalfOpen,
    /// By an operator.
    ForcedOpen,
    /// By an operator.
    ForcedClosed,
}

impl Position {
    /// Whether an operator holds it.
    #[must_use]
    pub fn is_held(self) -> bool {
        matches!(self, Self::ForcedOpen | Self::ForcedClosed)
    }
}

/// A change that a call or an operator brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transition {
    /// Too many calls failed.
    Opened,
    /// The probe failed.
    Reopened,
    /// The probe succeeded.
    Closed,
    ForcedOpen,
    ForcedClosed,
    Reset,
}

/// Longest time that an open circuit or a permit lasts: a deadline further away than this was not written by
/// anybody who is well, and counts as passed.
pub const WAIT_MS_MAX: u64 = 3_600_000;

/// What a client is told while a probe is out: how it ended is known soon.
pub(super) const PROBED_RETRY_AFTER_MS: u64 = 1_000;

/// The state word, taken apart: position in the low 3 bits, generation in 20, deadline in 41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    position: Position,
    pub(super) generation: u32,
    /// Of an open circuit: when it is tried. Of a half-open one: when the permit returns; zero if it is free.
    deadline_ms: u64,
}

pub(super) enum Decision {
    Pass(Permit),
    Refuse {
        retry_after_ms: u64,
    },
    /// Yes, if the state can be made this one.
    Probe(State),
}

pub(super) enum Settlement {
    Success,
    Failure,
    /// The probe decides.
    Become(State, Option<Transition>),
    /// Neutral, or of an earlier generation.
    Nothing,
}

impl State {
    #[inline]
    pub(super) fn unpack(word: u64) -> State {
        let position = match word & POSITION_MASK {
            1 => Position::Open,
            2 => Position::HalfOpen,
            3 => Position::ForcedOpen,
            4 => Position::ForcedClosed,
            _ => Position::Closed,
        };
        let generation = u32::try_from((word >> GENERATION_SHIFT) & GENERATION_MASK).unwrap_or(0);
        State { position, generation, deadline_ms: word >> DEADLINE_SHIFT }
    }

    pub(super) fn pack(self) -> u64 {
        debug_assert!(self.deadline_ms <= DEADLINE_MASK && u64::from(self.generation) <= GENERATION_MASK);
        let position = match self.position {
            Position::Closed => 0,
            Position::Open => 1,
            Position::HalfOpen => 2,
            Position::ForcedOpen => 3,
            Position::ForcedClosed => 4,
        };
        self.deadline_ms << DEADLINE_SHIFT | u64::from(self.generation) << GENERATION_SHIFT | position
    }

    /// What this generation hands out.
    pub(super) fn permit(self) -> Permit {
        Permit { generation: self.generation }
    }

    #[inline]
    pub(super) fn admit(self, parameters: &Parameters, now_ms: u64) -> Decision {
        match (self.position, self.left_ms(now_ms)) {
            (Position::Closed | Position::ForcedClosed, _) => Decision::Pass(self.permit()),
            (Position::ForcedOpen, _) => Decision::Refuse { retry_after_ms: parameters.reset_ms.max(1) },
            (Position::Open | Position::HalfOpen, 0) => {
                Decision::Probe(self.next(Position::HalfOpen, deadline(now_ms, parameters.probe_ms)))
            }
            (Position::Open, left_ms) => Decision::Refuse { retry_after_ms: left_ms },
            (Position::HalfOpen, left_ms) => {
                Decision::Refuse { retry_after_ms: left_ms.min(PROBED_RETRY_AFTER_MS) }
            }
        }
    }

    #[inline]
    pub(super) fn settle(
        self,
        permit: Permit,
        outcome: Outcome,
        parameters: &Parameters,
        now_ms: u64,
    ) -> Settlement {
        if permit.generation != self.generation {
            return Settlement::Nothing;
        }
        match (self.position, outcome) {
            (Position::Closed | Position::ForcedClosed, Outcome::Success) => Settlement::Success,
            (Position::Closed | Position::ForcedClosed, Outcome::Failure) => Settlement::Failure,
            (Position::HalfOpen, Outcome::Success) => {
                Settlement::Become(self.next(Position::Closed, 0), Some(Transition::Closed))
            }
            (Position::HalfOpen, Outcome::Failure) => {
                Settlement::Become(self.opened(parameters, now_ms), Some(Transition::Reopened))
            }
            // The probe said nothing, so the next call is one.
            (Position::HalfOpen, Outcome::Neutral) => {
                Settlement::Become(self.next(Position::HalfOpen, 0), None)
            }
            (Position::Closed | Position::ForcedClosed, Outcome::Neutral)
            | (Position::Open | Position::ForcedOpen, _) => Settlement::Nothing,
        }
    }

    /// The open state, if a closed circuit with this window is to open.
    pub(super) fn after_failure(self, window: Window, parameters: &Parameters, now_ms: u64) -> Option<State> {
        (self.position == Position::Closed && window.is_bad(parameters))
            .then(|| self.opened(parameters, now_ms))
    }

    /// What an operator ordered.
    pub(super) fn commanded(self, position: Position) -> State {
        self.next(position, 0)
    }

    /// As it will behave: an open circuit whose time is over waits for its probe.
    pub(super) fn seen_at(self, now_ms: u64) -> (Position, u64) {
        match (self.position, self.left_ms(now_ms)) {
            (Position::Open, 0) => (Position::HalfOpen, 0),
            (Position::Open | Position::HalfOpen, left_ms) => (self.position, left_ms),
            (Position::Closed | Position::ForcedOpen | Position::ForcedClosed, _) => (self.position, 0),
        }
    }

    fn opened(self, parameters: &Parameters, now_ms: u64) -> State {
        self.next(Position::Open, deadline(now_ms, parameters.reset_ms))
    }

    fn next(self, position: Position, deadline_ms: u64) -> State {
        let generation = u32::try_from((u64::from(self.generation) + 1) & GENERATION_MASK).unwrap_or(0);
        State { position, generation, deadline_ms }
    }

    #[inline]
    fn left_ms(self, now_ms: u64) -> u64 {
        let left_ms = self.deadline_ms.saturating_sub(now_ms);
        if left_ms <= WAIT_MS_MAX { left_ms } else { 0 }
    }
}

fn deadline(now_ms: u64, wait_ms: u64) -> u64 {
    // A permit that returns at once would be two.
    now_ms.saturating_add(wait_ms.clamp(1, WAIT_MS_MAX)) & DEADLINE_MASK
}

const POSITION_MASK: u64 = 0b111;
const GENERATION_SHIFT: u32 = 3;
const GENERATION_MASK: u64 = (1 << 20) - 1;
const DEADLINE_SHIFT: u32 = 23;
/// 69 years of uptime.
const DEADLINE_MASK: u64 = (1 << 41) - 1;
