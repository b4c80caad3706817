//! Breakers: what opens, what closes, what is late, and what is counted.

use super::*;
use crate::atomics::Zeroed;

mod small_world;

const PARAMETERS: Parameters = Parameters { error_percent: 50, volume: 4, reset_ms: 60_000, probe_ms: 5_000 };
const NOW: u64 = 1_000_000;

fn pass(breaker: &Breaker, now_ms: u64) -> Permit {
    match breaker.admit(&PARAMETERS, now_ms) {
        Admission::Pass(permit) => permit,
        other => panic!("not let through: {other:?}"),
    }
}

fn probe(breaker: &Breaker, now_ms: u64) -> Permit {
    match breaker.admit(&PARAMETERS, now_ms) {
        Admission::Probe(permit) => permit,
        other => panic!("no probe: {other:?}"),
    }
}

fn call(breaker: &Breaker, outcome: Outcome, now_ms: u64) -> Option<Transition> {
    breaker.record(pass(breaker, now_ms), outcome, &PARAMETERS, now_ms)
}

fn opened() -> Breaker {
    let breaker = Breaker::zeroed();
    for _ in 1..PARAMETERS.volume {
        assert_eq!(call(&breaker, Outcome::Failure, NOW), None);
    }
    assert_eq!(call(&breaker, Outcome::Failure, NOW), Some(Transition::Opened));
    breaker
}

fn position(breaker: &Breaker, now_ms: u64) -> Position {
    breaker.view(now_ms).position
}

#[test]
fn it_opens_at_the_share_and_not_below_it() {
    let breaker = Breaker::zeroed();
    for outcome in [Outcome::Success, Outcome::Success, Outcome::Success, Outcome::Failure, Outcome::Failure]
    {
        assert_eq!(call(&breaker, outcome, NOW), None, "two of five are less than half");
    }
    assert_eq!(call(&breaker, Outcome::Neutral, NOW), None);
    assert_eq!(call(&breaker, Outcome::Failure, NOW), Some(Transition::Opened), "three of six");
    assert_eq!(breaker.admit(&PARAMETERS, NOW + 1), Admission::Refused { retry_after_ms: 59_999 });
    assert_eq!(breaker.admit(&PARAMETERS, NOW + 59_999), Admission::Refused { retry_after_ms: 1 });
}

#[test]
fn it_stays_closed_below_the_volume_however_many_fail() {
    let breaker = Breaker::zeroed();
    for second in 0..100 {
        // Three every ten seconds.
        for step in 0..3 {
            assert_eq!(call(&breaker, Outcome::Failure, NOW + second * 10_000 + step), None);
        }
    }
}

#[test]
fn what_is_ten_seconds_old_no_longer_counts() {
    let breaker = Breaker::zeroed();
    for second in 0..10 {
        call(&breaker, Outcome::Success, NOW + second * 1_000);
    }
    assert_eq!(breaker.view(NOW + 9_999).calls, 10);
    assert_eq!(breaker.view(NOW + 10_000).calls, 9);
    assert_eq!(breaker.view(NOW + 18_999).calls, 1);
    assert_eq!(breaker.view(NOW + 19_000).calls, 0);
}

#[test]
fn one_probe_is_let_through_and_its_success_closes() {
    let breaker = opened();
    let later = NOW + PARAMETERS.reset_ms;
    assert_eq!(position(&breaker, later - 1), Position::Open);
    assert_eq!(position(&breaker, later), Position::HalfOpen, "the next call is the probe");
    let permit = probe(&breaker, later);
    assert_eq!(breaker.admit(&PARAMETERS, later), Admission::Refused { retry_after_ms: 1_000 });
    assert_eq!(breaker.admit(&PARAMETERS, later + 4_500), Admission::Refused { retry_after_ms: 500 });
    assert_eq!(
        breaker.record(permit, Outcome::Success, &PARAMETERS, later + 4_600),
        Some(Transition::Closed)
    );
    let view = breaker.view(later + 4_600);
    assert_eq!((view.position, view.calls, view.failures), (Position::Closed, 0, 0));
}

#[test]
fn a_failed_probe_opens_for_the_whole_time_again() {
    let breaker = opened();
    let later = NOW + PARAMETERS.reset_ms;
    let permit = probe(&breaker, later);
    let reopened = breaker.record(permit, Outcome::Failure, &PARAMETERS, later + 100);
    assert_eq!(reopened, Some(Transition::Reopened));
    assert_eq!(breaker.admit(&PARAMETERS, later + 100), Admission::Refused { retry_after_ms: 60_000 });
}

#[test]
fn a_neutral_probe_gives_its_permit_back_at_once() {
    let breaker = opened();
    let later = NOW + PARAMETERS.reset_ms;
    assert_eq!(breaker.record(probe(&breaker, later), Outcome::Neutral, &PARAMETERS, later), None);
    assert_eq!((position(&breaker, later), breaker.view(later).left_ms), (Position::HalfOpen, 0));
    let _permit = probe(&breaker, later);
}

#[test]
fn the_permit_of_a_prober_that_died_returns() {
    let breaker = opened();
    let later = NOW + PARAMETERS.reset_ms;
    let dead = probe(&breaker, later);
    assert!(matches!(breaker.admit(&PARAMETERS, later + 4_999), Admission::Refused { .. }));
    let second = probe(&breaker, later + 5_000);
    // It was only slow after all.
    assert_eq!(breaker.record(dead, Outcome::Success, &PARAMETERS, later + 5_001), None);
    assert_eq!(position(&breaker, later + 5_001), Position::HalfOpen);
    let closed = breaker.record(second, Outcome::Success, &PARAMETERS, later + 5_002);
    assert_eq!(closed, Some(Transition::Closed));
}

#[test]
fn a_late_result_moves_no_newer_state_and_counts_in_no_newer_window() {
    let breaker = Breaker::zeroed();
    let late = || pass(&breaker, NOW);
    let (a, b, c, d) = (late(), late(), late(), late());
    for _ in 0..4 {
        call(&breaker, Outcome::Failure, NOW);
    }
    assert_eq!(position(&breaker, NOW), Position::Open);
    assert_eq!(breaker.record(a, Outcome::Success, &PARAMETERS, NOW), None);
    assert_eq!(position(&breaker, NOW), Position::Open, "a call from before says nothing of now");
    let later = NOW + PARAMETERS.reset_ms;
    let permit = probe(&breaker, later);
    assert_eq!(breaker.record(b, Outcome::Failure, &PARAMETERS, later), None);
    assert_eq!(position(&breaker, later), Position::HalfOpen);
    breaker.record(permit, Outcome::Success, &PARAMETERS, later);
    assert_eq!(breaker.record(c, Outcome::Failure, &PARAMETERS, later), None);
    assert_eq!(breaker.record(d, Outcome::Success, &PARAMETERS, later), None);
    assert_eq!(breaker.view(later).calls, 0);
}

#[test]
fn an_operator_forces_it_open_and_closed_and_takes_that_back() {
    let breaker = Breaker::zeroed();
    assert_eq!(breaker.force_open(), Some(Transition::ForcedOpen));
    let year = NOW + 365 * 86_400_000;
    assert_eq!(breaker.admit(&PARAMETERS, year), Admission::Refused { retry_after_ms: 60_000 });
    assert_eq!(position(&breaker, year), Position::ForcedOpen);
    assert_eq!(breaker.force_closed(), Some(Transition::ForcedClosed));
    for _ in 0..20 {
        assert_eq!(call(&breaker, Outcome::Failure, NOW), None, "it is closed by force");
    }
    let view = breaker.view(NOW);
    assert_eq!((view.position, view.calls, view.failures), (Position::ForcedClosed, 20, 20));
    assert_eq!(breaker.reset(), Some(Transition::Reset));
    let view = breaker.view(NOW);
    assert_eq!((view.position, view.calls, view.failures), (Position::Closed, 0, 0));
    let open = opened();
    assert_eq!(open.reset(), Some(Transition::Reset));
    assert_eq!(call(&open, Outcome::Failure, NOW), None, "and the window is empty");
}

#[test]
fn an_operator_beats_a_probe_that_is_out() {
    let breaker = opened();
    let later = NOW + PARAMETERS.reset_ms;
    let permit = probe(&breaker, later);
    breaker.force_open();
    assert_eq!(breaker.record(permit, Outcome::Success, &PARAMETERS, later), None);
    assert_eq!(position(&breaker, later), Position::ForcedOpen);
}

#[test]
fn retries_are_a_tenth_of_the_calls_and_the_first_is_free() {
    let breaker = Breaker::zeroed();
    assert_eq!(breaker.retry(NOW), Retry::Granted);
    assert_eq!(breaker.retry(NOW), Retry::Spent);
    for _ in 0..40 {
        call(&breaker, Outcome::Success, NOW + 1_000);
    }
    let granted = (0..100).filter(|_| breaker.retry(NOW + 2_000) == Retry::Granted).count();
    assert_eq!(granted, 4, "the fifth of 40 calls is the one that is free");
    assert_eq!(breaker.view(NOW + 2_000).retries, 5);
    assert_eq!(breaker.retry(NOW + 11_000), Retry::Spent, "four against no calls");
    assert_eq!(breaker.retry(NOW + 12_000), Retry::Granted, "all of that is over");
}

#[test]
fn every_word_has_a_way_back() {
    // Every position with every kind of deadline, and generations at both ends.
    let deadlines = [0, 1, NOW, NOW + 1, NOW + WAIT_MS_MAX, NOW + WAIT_MS_MAX + 1, (1 << 41) - 1];
    for deadline in deadlines {
        for low in (0..8).flat_map(|position| [position, position | 0x7f_fff8]) {
            let breaker = Breaker::zeroed();
            breaker.state.store(deadline << 23 | low);
            if position(&breaker, NOW) == Position::ForcedOpen {
                continue;
            }
            let wait_ms = match breaker.admit(&PARAMETERS, NOW) {
                Admission::Refused { .. } => breaker.view(NOW).left_ms,
                Admission::Pass(_) => 0,
                Admission::Probe(_) => PARAMETERS.probe_ms,
            };
            assert!(wait_ms <= WAIT_MS_MAX, "{deadline} {low:x}");
            let later = NOW + wait_ms;
            match breaker.admit(&PARAMETERS, later) {
                Admission::Pass(_) => {}
                Admission::Probe(permit) => {
                    let closed = breaker.record(permit, Outcome::Success, &PARAMETERS, later);
                    assert_eq!(closed, Some(Transition::Closed));
                }
                refused @ Admission::Refused { .. } => panic!("{deadline} {low:x}: {refused:?}"),
            }
            assert!(matches!(position(&breaker, later), Position::Closed | Position::ForcedClosed));
        }
    }
}

#[test]
fn whatever_stands_in_the_buckets_is_gone_in_a_minute() {
    for junk in [u64::MAX, u64::MAX >> 1, 1 << 40, (NOW / 1_000 + 60) << 40 | 0xff_ffff, 0xffff << 24 | 7] {
        let breaker = Breaker::zeroed();
        for tally in [&breaker.calls, &breaker.failures, &breaker.retries] {
            for bucket in tally.words() {
                bucket.store(junk);
            }
        }
        for second in 0..80 {
            call(&breaker, Outcome::Success, NOW + second * 1_000);
        }
        let view = breaker.view(NOW + 79_000);
        assert_eq!((view.calls, view.failures, view.retries), (10, 0, 0), "{junk:x}");
    }
}

#[test]
fn a_full_bucket_stops_counting_and_touches_nothing_else() {
    let breaker = Breaker::zeroed();
    call(&breaker, Outcome::Success, NOW);
    let full = ((NOW / 1_000) << 40) | (0xff_ffff - 1_024);
    let bucket = breaker.calls.words().iter().find(|bucket| bucket.load() != 0).expect("one was used");
    bucket.store(full - 1);
    for _ in 0..3 {
        call(&breaker, Outcome::Success, NOW);
        call(&breaker, Outcome::Failure, NOW);
    }
    assert_eq!(bucket.load(), full);
    assert_eq!(breaker.view(NOW).failures, 3);
}

#[test]
fn a_process_that_stood_still_takes_nothing_back() {
    let breaker = Breaker::zeroed();
    call(&breaker, Outcome::Success, NOW + 50_000);
    call(&breaker, Outcome::Success, NOW);
    call(&breaker, Outcome::Failure, NOW);
    assert_eq!(breaker.view(NOW + 50_000).calls, 1);
}

#[test]
fn in_one_second_a_newer_generation_takes_the_bucket_and_an_older_one_does_not() {
    for (older, newer) in [(4, 5), (4, 300), (0, 0x7ffe), (0xffff, 0), (0xffff, 0x1_0000)] {
        let [older, newer] = [older, newer].map(|generation| Moment::new(NOW, generation));
        let tally = Tally::zeroed();
        tally.add_exactly(older);
        tally.add_exactly(newer);
        assert_eq!((tally.sum(older), tally.sum(newer)), (0, 1));
        tally.add_exactly(older);
        tally.add(older);
        assert_eq!((tally.sum(older), tally.sum(newer)), (0, 1));
    }
}

#[test]
fn each_service_has_an_entry_of_its_own_that_stays() {
    let breakers = Breakers::<SERVICES_MAX>::zeroed();
    let id = |number| NameId::new(number).expect("not zero");
    // Two that start their search at the same place.
    let (first, second) = (id(7), id(7 + 64));
    breakers.of(first).expect("there is room").force_open();
    assert_eq!(position(breakers.of(second).expect("there is room"), NOW), Position::Closed);
    assert_eq!(position(breakers.of(first).expect("it is there"), NOW), Position::ForcedOpen);
    let mut seen = Vec::new();
    breakers.each(|service, breaker| seen.push((service, position(breaker, NOW))));
    assert_eq!(seen, [(first, Position::ForcedOpen), (second, Position::Closed)]);
    for number in 100..162 {
        assert!(breakers.of(id(number)).is_some());
    }
    assert!(breakers.of(id(200)).is_none(), "the table is full");
    assert!(breakers.of(second).is_some());
}
