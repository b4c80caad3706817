//! Every sequence of events up to a depth, over a small clock, beside a plain model that keeps lists.

use std::collections::HashSet;

use super::*;

const SMALL: Parameters = Parameters { error_percent: 50, volume: 2, reset_ms: 2_000, probe_ms: 1_000 };
const OUTSTANDING_MAX: usize = 3;
const DEPTH: usize = 8;
const OUTCOMES: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Neutral];

#[derive(Clone, Copy, Debug)]
enum Event {
    Admit,
    /// The result of one of the calls that are out.
    Settle(usize, Outcome),
    Retry,
    Wait(u64),
    ForceOpen,
    ForceClosed,
    Reset,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Model {
    now_ms: u64,
    circuit: Circuit,
    /// Counts changes.
    era: u32,
    /// Second and failure of every result of this era.
    results: Vec<(u64, bool)>,
    retries: Vec<u64>,
    out: Vec<Call>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Circuit {
    Closed,
    Open { until_ms: u64 },
    HalfOpen { permit_until_ms: Option<u64> },
    ForcedOpen,
    ForcedClosed,
}

/// A call that is out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Call {
    era: u32,
    /// Until when nobody else may probe.
    probes_until_ms: Option<u64>,
}

impl Model {
    fn recent(&self, second: u64) -> bool {
        second + 10 > self.now_ms / 1_000
    }

    fn window(&self) -> (u64, u64) {
        let recent: Vec<bool> =
            self.results.iter().filter(|result| self.recent(result.0)).map(|result| result.1).collect();
        (recent.len() as u64, recent.iter().filter(|failed| **failed).count() as u64)
    }

    fn retries(&self) -> u64 {
        self.retries.iter().filter(|second| self.recent(**second)).count() as u64
    }

    fn change(&mut self, circuit: Circuit) {
        self.circuit = circuit;
        self.era += 1;
        self.results.clear();
        self.retries.clear();
    }

    fn expected(&self) -> (Position, u64) {
        let left = |until_ms: u64| until_ms.saturating_sub(self.now_ms);
        match self.circuit {
            Circuit::Closed => (Position::Closed, 0),
            Circuit::Open { until_ms } if left(until_ms) > 0 => (Position::Open, left(until_ms)),
            Circuit::Open { .. } => (Position::HalfOpen, 0),
            Circuit::HalfOpen { permit_until_ms } => (Position::HalfOpen, permit_until_ms.map_or(0, left)),
            Circuit::ForcedOpen => (Position::ForcedOpen, 0),
            Circuit::ForcedClosed => (Position::ForcedClosed, 0),
        }
    }

    /// Whether a call is let through, and until when it probes.
    fn admit(&mut self) -> Option<Call> {
        match self.expected() {
            (Position::Closed | Position::ForcedClosed, _) => {
                Some(Call { era: self.era, probes_until_ms: None })
            }
            (Position::HalfOpen, 0) => {
                let until_ms = self.now_ms + SMALL.probe_ms;
                let others = self.out.iter().filter_map(|call| call.probes_until_ms);
                assert!(others.max().is_none_or(|other| other <= self.now_ms), "two probes: {self:?}");
                self.change(Circuit::HalfOpen { permit_until_ms: Some(until_ms) });
                Some(Call { era: self.era, probes_until_ms: Some(until_ms) })
            }
            _ => None,
        }
    }

    fn settle(&mut self, call: &Call, outcome: Outcome) -> Option<Transition> {
        if call.era != self.era {
            return None;
        }
        let open = Circuit::Open { until_ms: self.now_ms + SMALL.reset_ms };
        match (call.probes_until_ms.is_some(), outcome) {
            (true, Outcome::Success) => {
                self.change(Circuit::Closed);
                Some(Transition::Closed)
            }
            (true, Outcome::Failure) => {
                self.change(open);
                Some(Transition::Reopened)
            }
            (true, Outcome::Neutral) => {
                self.change(Circuit::HalfOpen { permit_until_ms: None });
                None
            }
            (false, Outcome::Neutral) => None,
            (false, Outcome::Success | Outcome::Failure) => {
                self.results.push((self.now_ms / 1_000, outcome == Outcome::Failure));
                let (calls, failures) = self.window();
                let bad = calls >= u64::from(SMALL.volume) && failures * 2 >= calls;
                if outcome == Outcome::Success || self.circuit == Circuit::ForcedClosed || !bad {
                    return None;
                }
                self.change(open);
                Some(Transition::Opened)
            }
        }
    }

    fn command(&mut self, circuit: Circuit) {
        self.change(circuit);
        // Only an operator takes a permit back before its time.
        for call in &mut self.out {
            call.probes_until_ms = None;
            call.era = u32::MAX;
        }
    }
}

/// The breaker beside its model. The permits that are out are remembered by their generation alone.
struct World {
    breaker: Breaker,
    model: Model,
    permits: Vec<Permit>,
    trace: Vec<Event>,
}

impl World {
    fn new(now_ms: u64) -> World {
        let model = Model {
            now_ms,
            circuit: Circuit::Closed,
            era: 0,
            results: Vec::new(),
            retries: Vec::new(),
            out: Vec::new(),
        };
        World { breaker: Breaker::zeroed(), model, permits: Vec::new(), trace: Vec::new() }
    }

    fn fork(&self) -> World {
        let breaker = Breaker::zeroed();
        for (to, from) in words(&breaker).zip(words(&self.breaker)) {
            to.store(from.load());
        }
        World { breaker, model: self.model.clone(), permits: self.permits.clone(), trace: self.trace.clone() }
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        let settled = (0..self.permits.len()).flat_map(|call| OUTCOMES.map(|end| Event::Settle(call, end)));
        let others = [Event::Admit, Event::Retry, Event::Wait(1_000), Event::Wait(9_000)];
        let orders = [Event::ForceOpen, Event::ForceClosed, Event::Reset];
        settled.chain(others).chain(orders)
    }

    fn step(&mut self, event: Event) {
        self.trace.push(event);
        match event {
            Event::Admit => self.admit(),
            Event::Settle(index, outcome) => {
                let (permit, call) = (self.permits.remove(index), self.model.out.remove(index));
                let expected = self.model.settle(&call, outcome);
                let changed = self.breaker.record(permit, outcome, &SMALL, self.model.now_ms);
                assert_eq!(changed, expected, "{:?}", self.trace);
            }
            Event::Retry => {
                let granted = self.model.retries() * 10 <= self.model.window().0;
                if granted {
                    self.model.retries.push(self.model.now_ms / 1_000);
                }
                let expected = if granted { Retry::Granted } else { Retry::Spent };
                assert_eq!(self.breaker.retry(self.model.now_ms), expected, "{:?}", self.trace);
            }
            Event::Wait(ms) => self.model.now_ms += ms,
            Event::ForceOpen => {
                self.model.command(Circuit::ForcedOpen);
                assert_eq!(self.breaker.force_open(), Some(Transition::ForcedOpen));
            }
            Event::ForceClosed => {
                self.model.command(Circuit::ForcedClosed);
                assert_eq!(self.breaker.force_closed(), Some(Transition::ForcedClosed));
            }
            Event::Reset => {
                self.model.command(Circuit::Closed);
                assert_eq!(self.breaker.reset(), Some(Transition::Reset));
            }
        }
        self.compare();
    }

    fn admit(&mut self) {
        let expected = self.model.admit();
        let permit = match (self.breaker.admit(&SMALL, self.model.now_ms), &expected) {
            (Admission::Pass(permit), Some(Call { probes_until_ms: None, .. })) => permit,
            (Admission::Probe(permit), Some(Call { probes_until_ms: Some(_), .. })) => permit,
            (Admission::Refused { retry_after_ms }, None) => {
                assert!((1..=SMALL.reset_ms).contains(&retry_after_ms), "{:?}", self.trace);
                return;
            }
            (given, expected) => panic!("{given:?} instead of {expected:?}: {:?}", self.trace),
        };
        // With more calls out, the process of this one is killed.
        if self.permits.len() < OUTSTANDING_MAX {
            self.permits.push(permit);
            self.model.out.extend(expected);
        }
    }

    fn compare(&self) {
        let view = self.breaker.view(self.model.now_ms);
        let (calls, failures) = self.model.window();
        let seen = (view.position, view.left_ms, view.calls, view.failures, view.retries);
        let (position, left_ms) = self.model.expected();
        assert_eq!(seen, (position, left_ms, calls, failures, self.model.retries()), "{:?}", self.trace);
        assert_eq!(view.generation, self.model.era, "{:?}", self.trace);
    }

    /// However it came to this: some time later a call is let through, and its success closes the circuit.
    fn has_a_way_back(&self) {
        if self.model.circuit == Circuit::ForcedOpen {
            return;
        }
        let World { breaker, model, trace, .. } = self.fork();
        let later = model.now_ms + SMALL.reset_ms.max(SMALL.probe_ms);
        match breaker.admit(&SMALL, later) {
            Admission::Pass(_) => {}
            Admission::Probe(permit) => {
                assert_eq!(breaker.record(permit, Outcome::Success, &SMALL, later), Some(Transition::Closed));
            }
            Admission::Refused { .. } => panic!("no way back: {trace:?}"),
        }
    }

    /// What tells two worlds apart.
    fn key(&self) -> (Vec<u64>, Model) {
        (words(&self.breaker).map(Word::load).collect(), self.model.clone())
    }
}

#[test]
fn every_short_history_agrees_with_a_plain_model() {
    let mut worlds = vec![World::new(500_000)];
    let mut histories = 0_u64;
    for _ in 0..DEPTH {
        let mut seen = HashSet::new();
        let mut next = Vec::new();
        for world in &worlds {
            for event in world.events() {
                let mut world = world.fork();
                world.step(event);
                histories += 1;
                if seen.insert(world.key()) {
                    world.has_a_way_back();
                    next.push(world);
                }
            }
        }
        worlds = next;
    }
    let kinds: HashSet<Position> =
        worlds.iter().map(|world| world.breaker.view(world.model.now_ms).position).collect();
    assert_eq!(kinds.len(), 5, "every position is reached");
    assert!(histories > 100_000, "{histories}");
}

fn words(breaker: &Breaker) -> impl Iterator<Item = &Word> {
    let tallies = [&breaker.calls, &breaker.failures, &breaker.retries];
    std::iter::once(&breaker.state).chain(tallies.into_iter().flat_map(Tally::words))
}
