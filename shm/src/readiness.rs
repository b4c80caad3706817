//! What the supervisor knows of Redis and the services, and the phase of the node: `/live` and `/ready`
//! answer from it.
//!
//! Writer: the supervisor. Readers: workers, from a read-only mapping, so that they only load.
//! Torn state: none. State, latency and time of a check are packed in one word; a supervisor that dies leaves
//! the last whole answer, and its age tells how old that is.

use crate::SERVICES_MAX;
use crate::atomics::Word;
use crate::layout::{AuthorityWriter, Field, Structure};

/// The table; see the file's head.
#[repr(C, align(128))]
pub struct Readiness {
    phase: Word,
    started_at_ms: Word,
    redis: Word,
    resident_bytes: Word,
    public_keys: Word,
    keys_awaited: Word,
    reserved: [Word; 10],
    services: [Word; SERVICES_MAX],
}

/// Something that the supervisor probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Redis,
    /// The service's place in the configuration, below `SERVICES_MAX`.
    Service(u8),
}

/// What the last probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not probed yet.
    Unknown,
    Ok,
    /// It answered, but later than 100 ms (platform contract, section 10).
    Slow,
    Error,
}

/// A probe's result. The default, all zero, is a check that was never made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckState {
    pub state: State,
    /// Microseconds in steps of 16, at most 16.7 s.
    pub latency_us: u32,
    /// Milliseconds on the clock that `set` was given.
    pub at_ms: u64,
}

/// Where the node stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePhase {
    Starting,
    Serving,
    Draining,
}

impl Readiness {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Readiness",
        bytes: size_of::<Self>(),
        fields: &[
            Field("phase", std::mem::offset_of!(Readiness, phase), size_of::<Word>()),
            Field("started_at_ms", std::mem::offset_of!(Readiness, started_at_ms), size_of::<Word>()),
            Field("redis", std::mem::offset_of!(Readiness, redis), size_of::<Word>()),
            Field("resident_bytes", std::mem::offset_of!(Readiness, resident_bytes), size_of::<Word>()),
            Field("public_keys", std::mem::offset_of!(Readiness, public_keys), size_of::<Word>()),
            Field("keys_awaited", std::mem::offset_of!(Readiness, keys_awaited), size_of::<Word>()),
            Field("reserved", std::mem::offset_of!(Readiness, reserved), size_of::<[Word; 10]>()),
            Field("services", std::mem::offset_of!(Readiness, services), size_of::<[Word; SERVICES_MAX]>()),
        ],
    };

    /// Records a probe: latency in microseconds, time in milliseconds (42 bits of it: until 2109 if since
    /// 1970). A service number from `SERVICES_MAX` on is ignored; the configuration is refused before it
    /// comes to that.
    pub fn set(&self, _writer: &AuthorityWriter, check: Check, state: State, latency_us: u32, at_ms: u64) {
        debug_assert!(self.word(check).is_some(), "a service number is below SERVICES_MAX");
        let Some(word) = self.word(check) else { return };
        let steps = u64::from(latency_us / LATENCY_STEP_US).min(LATENCY_STEPS_MAX);
        word.store((at_ms << AT_SHIFT) | (steps << LATENCY_SHIFT) | state as u64);
    }

    /// The last probe's result.
    #[must_use]
    pub fn state(&self, check: Check) -> CheckState {
        let word = self.word(check).map_or(0, Word::load);
        let steps = (word >> LATENCY_SHIFT) & LATENCY_STEPS_MAX;
        CheckState {
            state: State::from_word(word & STATE_MASK),
            latency_us: u32::try_from(steps).unwrap_or(u32::MAX).saturating_mul(LATENCY_STEP_US),
            at_ms: word >> AT_SHIFT,
        }
    }

    pub fn set_phase(&self, _writer: &AuthorityWriter, phase: NodePhase) {
        self.phase.store(phase as u64);
    }

    #[must_use]
    pub fn phase(&self) -> NodePhase {
        match self.phase.load() {
            1 => NodePhase::Serving,
            2 => NodePhase::Draining,
            _ => NodePhase::Starting,
        }
    }

    /// Milliseconds of the wall clock when the node started, for its uptime.
    pub fn set_started_at_ms(&self, _writer: &AuthorityWriter, at_ms: u64) {
        self.started_at_ms.store(at_ms);
    }

    #[must_use]
    pub fn started_at_ms(&self) -> u64 {
        self.started_at_ms.load()
    }

    /// Resident memory of all processes of the node; zero until it was first looked at.
    pub fn set_resident_bytes(&self, _writer: &AuthorityWriter, bytes: u64) {
        self.resident_bytes.store(bytes);
    }

    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load()
    }

    /// How many public keys tokens are verified with, and whether none can be because the first were not fetched yet.
    pub fn set_public_keys(&self, _writer: &AuthorityWriter, count: u64, awaited: bool) {
        self.public_keys.store(count);
        self.keys_awaited.store(u64::from(awaited));
    }

    #[must_use]
    pub fn public_keys(&self) -> u64 {
        self.public_keys.load()
    }

    #[must_use]
    pub fn keys_awaited(&self) -> bool {
        self.keys_awaited.load() != 0
    }

    fn word(&self, check: Check) -> Option<&Word> {
        match check {
            Check::Redis => Some(&self.redis),
            Check::Service(index) => self.services.get(usize::from(index)),
        }
    }
}

impl State {
    fn from_word(word: u64) -> State {
        match word {
            1 => State::Ok,
            2 => State::Slow,
            3 => State::Error,
            _ => State::Unknown,
        }
    }
}

const STATE_MASK: u64 = 0b11;
const LATENCY_SHIFT: u32 = 2;
const LATENCY_STEP_US: u32 = 16;
const LATENCY_STEPS_MAX: u64 = (1 << 20) - 1;
const AT_SHIFT: u32 = 22;

#[cfg(test)]
impl crate::atomics::Zeroed for Readiness {
    fn zeroed() -> Readiness {
        use crate::atomics::Zeroed;
        Readiness {
            phase: Word::zeroed(),
            started_at_ms: Word::zeroed(),
            redis: Word::zeroed(),
            resident_bytes: Word::zeroed(),
            public_keys: Word::zeroed(),
            keys_awaited: Word::zeroed(),
            reserved: Zeroed::zeroed(),
            services: Zeroed::zeroed(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
