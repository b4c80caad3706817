//! Every sequence of events up to a depth for one instance, and every small set of instances, beside plain
//! models.

use std::collections::HashSet;

use super::*;

const SMALL: Rules = Rules {
    failures: 2,
    eject_ms: 1_000,
    eject_ms_max: 2_500,
    ejected_percent_max: 50,
    slow_start_ms: 2_000,
    decay_ms: 1_000,
};
const DEPTH: usize = 9;

#[derive(Clone, Copy, Debug)]
enum Event {
    Call(Outcome),
    Check(Health),
    Wait(u64),
}

const EVENTS: [Event; 7] = [
    Event::Call(Outcome::Success),
    Event::Call(Outcome::Failure),
    Event::Call(Outcome::Neutral),
    Event::Check(Health::Up),
    Event::Check(Health::Down),
    Event::Wait(500),
    Event::Wait(3_000),
];

/// What one remembers who keeps books.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Model {
    now_ms: u64,
    failed_in_a_row: u8,
    /// Start and end of the last ejection, and how many in a row it was.
    ejection: Option<(u64, u64, u8)>,
    health: Option<bool>,
    came_up_ms: Option<u64>,
}

impl Model {
    fn ejected_ms(&self) -> u64 {
        self.ejection.map_or(0, |(_, end_ms, _)| end_ms.saturating_sub(self.now_ms))
    }

    fn call(&mut self, outcome: Outcome) -> Option<Ejection> {
        match outcome {
            Outcome::Neutral => return None,
            Outcome::Success => self.failed_in_a_row = 0,
            Outcome::Failure if self.ejected_ms() > 0 => return None,
            Outcome::Failure => self.failed_in_a_row += 1,
        }
        if self.failed_in_a_row < SMALL.failures {
            return None;
        }
        let mut left = self.ejection.map_or(0, |(_, _, count)| count);
        let mut calm_ms = self.now_ms - self.ejection.map_or(0, |(_, end_ms, _)| end_ms);
        while left > 0 && calm_ms >= SMALL.eject_ms {
            (left, calm_ms) = (left - 1, calm_ms - SMALL.eject_ms);
        }
        let count = left + 1;
        let for_ms = (SMALL.eject_ms * u64::from(count)).min(SMALL.eject_ms_max);
        self.ejection = Some((self.now_ms, self.now_ms + for_ms, count));
        self.failed_in_a_row = 0;
        Some(Ejection { for_ms, count })
    }

    fn check(&mut self, health: Health) {
        let up = health == Health::Up;
        match self.health {
            Some(false) if up => {
                self.came_up_ms = Some(self.now_ms);
                (self.ejection, self.failed_in_a_row) = (None, 0);
            }
            Some(true) if !up => self.came_up_ms = None,
            _ => {}
        }
        self.health = Some(up);
    }

    fn share(&self) -> u16 {
        if self.health == Some(false) || self.ejected_ms() > 0 {
            return 0;
        }
        let returned = self.ejection.map(|ejection| ejection.1).max(self.came_up_ms);
        let age_ms = returned.map_or(SMALL.slow_start_ms, |returned| self.now_ms - returned);
        let full = u64::from(SHARE_FULL);
        let share = (full * age_ms / SMALL.slow_start_ms).clamp(full / 64, full);
        u16::try_from(share).expect("at most the full one")
    }
}

#[derive(Clone)]
struct World {
    words: [u64; 3],
    model: Model,
    trace: Vec<Event>,
}

impl World {
    fn step(&mut self, endpoints: &Endpoints<ENDPOINTS>, index: EndpointIndex, event: Event) {
        let entry = endpoints.entry(index);
        let cells = [&entry.health, &entry.ejection, &entry.latency];
        cells.iter().zip(self.words).for_each(|(cell, word)| cell.store(word));
        self.trace.push(event);
        match event {
            Event::Call(outcome) => {
                let ejection = endpoints.record(index, outcome, 1_000, &SMALL, self.model.now_ms);
                assert_eq!(ejection, self.model.call(outcome), "{:?}", self.trace);
            }
            Event::Check(health) => {
                endpoints.set_health(&AuthorityWriter::new(), index, health, self.model.now_ms);
                self.model.check(health);
            }
            Event::Wait(ms) => self.model.now_ms += ms,
        }
        let view = endpoints.view(index, &SMALL, self.model.now_ms);
        let seen = (view.ejected_ms, view.failures, view.share, view.health);
        let model = &self.model;
        let health = model.health.map_or(Health::Unknown, |up| if up { Health::Up } else { Health::Down });
        let expected = (model.ejected_ms(), model.failed_in_a_row, model.share(), health);
        assert_eq!(seen, expected, "{:?}", self.trace);
        assert!(view.ejected_ms <= SMALL.eject_ms_max, "every ejection ends: {:?}", self.trace);
        self.words = cells.map(Word::load);
    }
}

#[test]
fn every_short_history_of_an_instance_agrees_with_a_plain_model() {
    let (endpoints, [index, ..]) = table();
    let model = Model { now_ms: 100_000, failed_in_a_row: 0, ejection: None, health: None, came_up_ms: None };
    let mut worlds = vec![World { words: [0; 3], model, trace: Vec::new() }];
    let (mut histories, mut longest) = (0_u64, 0);
    for _ in 0..DEPTH {
        let mut seen = HashSet::new();
        let mut next = Vec::new();
        for world in &worlds {
            for event in EVENTS {
                let mut world = world.clone();
                world.step(&endpoints, index, event);
                histories += 1;
                longest = longest.max(world.model.ejection.map_or(0, |ejection| ejection.2));
                if seen.insert((world.words, world.model.clone())) {
                    next.push(world);
                }
            }
        }
        worlds = next;
    }
    assert!(histories > 10_000 && longest >= 2, "{histories}, {longest} ejections in a row");
}

#[test]
fn of_every_small_set_somebody_may_be_called_and_nobody_without_need_who_is_not_well() {
    const KINDS: [Standing; 3] = [Standing::Well, Standing::Ejected, Standing::Down];
    for count in 1..=5_u32 {
        for number in 0..3_usize.pow(count) {
            let set: Vec<Standing> = (0..count).map(|place| KINDS[number / 3_usize.pow(place) % 3]).collect();
            for percent in [0, 20, 34, 50, 100] {
                let chosen = eligible(set.iter().copied(), percent);
                let called: Vec<Standing> = set
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| chosen >> place & 1 == 1)
                    .map(|(_, kind)| *kind)
                    .collect();
                assert!(!called.is_empty() && chosen < 1 << count);
                let number_of = |kind| set.iter().filter(|own| **own == kind).count();
                let up = set.len() - number_of(Standing::Down);
                let too_many = number_of(Standing::Ejected) * 100 > up * usize::from(percent);
                let offered = |kind: &Standing| match kind {
                    Standing::Well => true,
                    Standing::Ejected => too_many || number_of(Standing::Well) == 0,
                    Standing::Down => false,
                };
                let expected: Vec<Standing> = set.iter().copied().filter(offered).collect();
                let expected = if expected.is_empty() { set.clone() } else { expected };
                assert_eq!(called, expected, "{set:?} with {percent} %");
            }
        }
    }
    assert_eq!(eligible(std::iter::empty(), 50), 0);
    assert_eq!(eligible(std::iter::repeat_n(Standing::Well, 70), 50), u64::MAX, "64 count");
}

#[test]
fn every_pair_is_as_likely_as_any_other() {
    for set in [0b11_u64, 0b1011, 0b1_0111_0001, u64::MAX] {
        let members: Vec<usize> = (0..64).filter(|place| set >> place & 1 == 1).collect();
        let mut counts = std::collections::HashMap::new();
        // All that 16 bits can say of the first, and as much of the second.
        for step in 0..(1 << 18) {
            let bits = (step % 512 * 128) | (step / 512 * 128) << 16;
            *counts.entry(pair(set, bits).expect("it has members")).or_insert(0_u32) += 1;
        }
        let pairs = members.len() * (members.len() - 1);
        assert_eq!(counts.len(), pairs);
        assert!(counts.keys().all(|(a, b)| a != b && members.contains(a) && members.contains(b)));
        let mean = f64::from(1 << 18) / pairs as f64;
        assert!(counts.values().all(|count| (f64::from(*count) / mean - 1.0).abs() < 0.3), "{set:b}");
    }
    assert_eq!((pair(0, 7), pair(0b100, u64::MAX)), (None, Some((2, 2))));
}

#[test]
fn the_cheaper_of_two_wins_whatever_the_random_bits_unless_it_has_to_stand_back() {
    let numbers = [0, 1, 2, 1_000, u64::MAX];
    let candidates: Vec<Candidate> = numbers
        .iter()
        .flat_map(|in_flight| numbers.map(|latency_us| (*in_flight, latency_us)))
        .map(|(in_flight, latency_us)| Candidate { in_flight, latency_us, share: SHARE_FULL })
        .collect();
    for first in &candidates {
        for second in &candidates {
            let sides = [0, 1 << 20, u64::MAX].map(|random| choose(*first, *second, random));
            let worse = |one: &Candidate, other: &Candidate| {
                let known = one.latency_us > 0 && other.latency_us > 0;
                one.in_flight > other.in_flight && (!known || one.latency_us >= other.latency_us)
            };
            // Products that overflow are equal.
            if worse(first, second) && second.in_flight < 1_001 && second.latency_us < 1_001 {
                assert_eq!(sides, [Side::Second; 3], "{first:?} {second:?}");
            }
            if first == second {
                assert_eq!(sides, [Side::First, Side::Second, Side::Second]);
            }
        }
    }
    let full = Candidate { in_flight: 9, latency_us: 9, share: SHARE_FULL };
    for share in [16, 256, 512, 1_000, SHARE_FULL] {
        let back = Candidate { in_flight: 0, latency_us: 1, share };
        let wins = (0..1 << 10).filter(|random| choose(back, full, *random) == Side::First).count();
        assert_eq!(wins, usize::from(share));
        let wins = (0..1 << 10).filter(|random| choose(full, back, *random << 10) == Side::Second).count();
        assert_eq!(wins, usize::from(share));
    }
}
