//! The circuit breakers: one entry a service, shared by all processes of the node that call it.
//!
//! Writers and readers: workers, and the supervisor for its own calls and for operators.
//! Where it stands (`state`: position, generation, deadline) is one word, and every change of it is one
//! compare-and-swap that raises the generation. What is counted (`window`) carries the generation in the word
//! of the count itself, so that a change of state empties the window in the same instruction, and a result of
//! an earlier generation finds no place to be counted in.
//! Torn state: none. Every value of every word is legal, and whoever is refused knows when that ends: an open
//! circuit and the permit of a prober that was killed last `WAIT_MS_MAX` at most, whatever the word says. A
//! process that dies between two instructions leaves a call without its failure, and nothing else.
//! Entries are claimed by the id of the service's name and never given back, as names are not either.

use crate::SERVICES_MAX;
use crate::atomics::Word;
use crate::layout::{Field, Structure};
use crate::names::NameId;

mod state;
mod window;

pub use state::{Outcome, Parameters, Permit, Position, Transition, WAIT_MS_MAX};
pub(crate) use window::Tally;

use state::{Decision, Settlement, State};
use window::{Moment, Window};

/// The table; see the file's head.
#[repr(C, align(128))]
pub struct Breakers<const SERVICES: usize = SERVICES_MAX> {
    entries: [Breaker; SERVICES],
}

/// The breaker of one service.
#[repr(C, align(128))]
pub struct Breaker {
    /// Number of the service's name; zero: nobody's.
    owner: Word,
    state: Word,
    /// Keeps what every request loads apart from what every request writes.
    reserved: [Word; 14],
    calls: Tally,
    failures: Tally,
    retries: Tally,
    unused: [Word; 2],
}

/// The answer to a request that wants to call the service. Whoever gets a permit records the outcome,
/// whatever happens.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    Pass(Permit),
    /// As `Pass`, and it decides: the only call of the node while the circuit is half-open.
    Probe(Permit),
    /// Time after which it is worth asking again.
    Refused {
        retry_after_ms: u64,
    },
}

/// Whether a call may be made a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Retry {
    /// And it is counted.
    Granted,
    Spent,
}

/// A breaker as status pages, metrics and readiness see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub position: Position,
    /// Until an open circuit tries one call, or until the permit of a half-open one returns.
    pub left_ms: u64,
    /// Of the last ten seconds, since the circuit last changed.
    pub calls: u64,
    pub failures: u64,
    pub retries: u64,
    /// Counts changes of the circuit; wraps.
    pub generation: u32,
}

/// Retries are at most this share of the calls of the window (platform contract, section 1).
pub const RETRY_PERCENT_MAX: u64 = 10;

impl<const SERVICES: usize> Breakers<SERVICES> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Breakers",
        bytes: size_of::<Self>(),
        fields: &[Field("entries", std::mem::offset_of!(Self, entries), size_of::<[Breaker; SERVICES]>())],
    };

    /// The breaker of a service, a new one if it has none yet. Meant for start-up: keep the answer. `None` if
    /// the table is full: the configuration is refused before it comes to that.
    #[must_use]
    pub fn of(&self, service: NameId) -> Option<&Breaker> {
        let number = u64::from(service.number());
        let start = usize::from(service.number()) % SERVICES;
        let (behind, ahead) = self.entries.split_at(start);
        ahead.iter().chain(behind).find(|entry| {
            let owned = || entry.owner.load() == number;
            // Partner: the same exchange by another process. The loser looks whom the entry belongs to now.
            owned() || entry.owner.exchange(0, number) || owned()
        })
    }

    /// Visits every breaker that belongs to a service.
    pub fn each(&self, mut visit: impl FnMut(NameId, &Breaker)) {
        for entry in &self.entries {
            let owner = u16::try_from(entry.owner.load()).ok().and_then(NameId::new);
            if let Some(service) = owner {
                visit(service, entry);
            }
        }
    }
}

impl Breaker {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Breaker",
        bytes: size_of::<Self>(),
        fields: &[
            Field("owner", std::mem::offset_of!(Breaker, owner), size_of::<Word>()),
            Field("state", std::mem::offset_of!(Breaker, state), size_of::<Word>()),
            Field("reserved", std::mem::offset_of!(Breaker, reserved), size_of::<[Word; 14]>()),
            Field("calls", std::mem::offset_of!(Breaker, calls), size_of::<Tally>()),
            Field("failures", std::mem::offset_of!(Breaker, failures), size_of::<Tally>()),
            Field("retries", std::mem::offset_of!(Breaker, retries), size_of::<Tally>()),
            Field("unused", std::mem::offset_of!(Breaker, unused), size_of::<[Word; 2]>()),
        ],
    };

    /// May a call be made at `now_ms`, milliseconds of the monotonic clock? While the circuit is closed this
    /// is one load.
    #[inline]
    pub fn admit(&self, parameters: &Parameters, now_ms: u64) -> Admission {
        for _ in 0..TRIES_MAX {
            let seen = self.state.load();
            match State::unpack(seen).admit(parameters, now_ms) {
                Decision::Pass(permit) => return Admission::Pass(permit),
                Decision::Refuse { retry_after_ms } => return Admission::Refused { retry_after_ms },
                Decision::Probe(next) => {
                    // Partner: every other exchange of this word. One prober wins; the others see its permit.
                    if self.state.exchange(seen, next.pack()) {
                        return Admission::Probe(next.permit());
                    }
                }
            }
        }
        Admission::Refused { retry_after_ms: state::PROBED_RETRY_AFTER_MS }
    }

    /// How the call of `permit` ended. For a success while the circuit is closed this is two loads and an
    /// addition. The answer says what it changed, to the one process whose result changed it.
    #[inline]
    pub fn record(
        &self,
        permit: Permit,
        outcome: Outcome,
        parameters: &Parameters,
        now_ms: u64,
    ) -> Option<Transition> {
        let seen = self.state.load();
        let state = State::unpack(seen);
        match state.settle(permit, outcome, parameters, now_ms) {
            Settlement::Success => {
                self.calls.add(Moment::new(now_ms, state.generation));
                None
            }
            Settlement::Failure => self.fail(seen, parameters, now_ms),
            // Partner: the exchange in `admit`, `fail` and `command`: whoever was there first is right.
            Settlement::Become(next, transition) if self.state.exchange(seen, next.pack()) => transition,
            Settlement::Become(..) | Settlement::Nothing => None,
        }
    }

    /// May a call be made a second time, as far as the service's budget is concerned? The first retry of a
    /// window is always free, or a service that is hardly called would have none.
    pub fn retry(&self, now_ms: u64) -> Retry {
        let moment = Moment::new(now_ms, State::unpack(self.state.load()).generation);
        let calls = self.calls.sum(moment);
        let room = |retries: u64| retries * 100 <= calls * RETRY_PERCENT_MAX;
        if self.retries.add_if(moment, room) { Retry::Granted } else { Retry::Spent }
    }

    /// Refuses every call until `force_closed` or `reset`. This and the other two commands answer `None` if
    /// the circuit changed under them again and again: ask once more.
    pub fn force_open(&self) -> Option<Transition> {
        self.command(Position::ForcedOpen, Transition::ForcedOpen)
    }

    /// Lets every call pass until `force_open` or `reset`, whatever the results.
    pub fn force_closed(&self) -> Option<Transition> {
        self.command(Position::ForcedClosed, Transition::ForcedClosed)
    }

    /// Closes the circuit, forgets its window and takes back what an operator forced.
    pub fn reset(&self) -> Option<Transition> {
        self.command(Position::Closed, Transition::Reset)
    }

    #[must_use]
    pub fn view(&self, now_ms: u64) -> View {
        let state = State::unpack(self.state.load());
        let moment = Moment::new(now_ms, state.generation);
        let (position, left_ms) = state.seen_at(now_ms);
        let Window { calls, failures } = self.window(moment);
        let retries = self.retries.sum(moment);
        View { position, left_ms, calls, failures, retries, generation: state.generation }
    }

    #[cold]
    fn fail(&self, seen: u64, parameters: &Parameters, now_ms: u64) -> Option<Transition> {
        let state = State::unpack(seen);
        let moment = Moment::new(now_ms, state.generation);
        // The call first: a death in between must not leave a failure without a call.
        self.calls.add_exactly(moment);
        self.failures.add_exactly(moment);
        let next = state.after_failure(self.window(moment), parameters, now_ms)?;
        // Partner: every other exchange of this word. Only one of those whose failures cross the line opens.
        self.state.exchange(seen, next.pack()).then_some(Transition::Opened)
    }

    fn window(&self, moment: Moment) -> Window {
        // The other way round than they are counted, so that no failure is seen without its call.
        let failures = self.failures.sum(moment);
        let calls = self.calls.sum(moment);
        Window { calls, failures: failures.min(calls) }
    }

    fn command(&self, position: Position, transition: Transition) -> Option<Transition> {
        (0..COMMAND_TRIES_MAX).find_map(|_| {
            let seen = self.state.load();
            let next = State::unpack(seen).commanded(position);
            // Partner: every other exchange of this word.
            self.state.exchange(seen, next.pack()).then_some(transition)
        })
    }
}

/// Whoever loses a race for the state word sees one that refuses or passes; more than a second look is rare.
const TRIES_MAX: usize = 8;
const COMMAND_TRIES_MAX: usize = 1_000;

#[cfg(test)]
impl crate::atomics::Zeroed for Breaker {
    fn zeroed() -> Breaker {
        use crate::atomics::Zeroed;
        Breaker {
            owner: Word::zeroed(),
            state: Word::zeroed(),
            reserved: Zeroed::zeroed(),
            calls: Zeroed::zeroed(),
            failures: Zeroed::zeroed(),
            retries: Zeroed::zeroed(),
            unused: Zeroed::zeroed(),
        }
    }
}

#[cfg(test)]
impl<const SERVICES: usize> crate::atomics::Zeroed for Breakers<SERVICES> {
    fn zeroed() -> Self {
        Breakers { entries: crate::atomics::Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
