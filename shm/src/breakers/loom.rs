//! Models of the state word and of the buckets: who probes, who opens, who counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

const PARAMETERS: Parameters = Parameters { error_percent: 100, volume: 2, reset_ms: 2_000, probe_ms: 1_000 };
const NOW: u64 = 100_000;

fn permit(breaker: &Breaker, now_ms: u64) -> Permit {
    match breaker.admit(&PARAMETERS, now_ms) {
        Admission::Pass(permit) | Admission::Probe(permit) => permit,
        Admission::Refused { .. } => panic!("nothing has failed yet"),
    }
}

/// An open circuit whose time is over at the time that is returned.
fn open() -> (Arc<Breaker>, u64) {
    let breaker = Arc::new(Breaker::zeroed());
    for _ in 0..2 {
        breaker.record(permit(&breaker, NOW), Outcome::Failure, &PARAMETERS, NOW);
    }
    (breaker, NOW + PARAMETERS.reset_ms)
}

fn word(admission: &Admission) -> &'static str {
    match admission {
        Admission::Pass(_) => "pass",
        Admission::Probe(_) => "probe",
        Admission::Refused { .. } => "refused",
    }
}

#[test]
fn one_of_two_probers_gets_the_permit() {
    let seen = outcomes(|| {
        let (breaker, later) = open();
        let other = Arc::clone(&breaker);
        let thread = ::loom::thread::spawn(move || word(&other.admit(&PARAMETERS, later)));
        let own = word(&breaker.admit(&PARAMETERS, later));
        (own, thread.join().expect("it does not panic"))
    });
    assert_eq!(seen, BTreeSet::from([("probe", "refused"), ("refused", "probe")]));
}

#[test]
fn one_of_two_failures_opens_and_says_so() {
    let seen = outcomes(|| {
        let breaker = Arc::new(Breaker::zeroed());
        let permits = [permit(&breaker, NOW), permit(&breaker, NOW)];
        let [own, others] = permits;
        let other = Arc::clone(&breaker);
        let thread = ::loom::thread::spawn(move || other.record(others, Outcome::Failure, &PARAMETERS, NOW));
        let own = breaker.record(own, Outcome::Failure, &PARAMETERS, NOW);
        let others = thread.join().expect("it does not panic");
        assert_eq!(breaker.view(NOW).position, Position::Open, "the second sees the first");
        (own, others)
    });
    let opened = Some(Transition::Opened);
    assert_eq!(seen, BTreeSet::from([(opened, None), (None, opened)]));
}

#[test]
fn a_success_beside_the_opener_comes_before_it_or_counts_for_nothing() {
    let seen = outcomes(|| {
        let breaker = Arc::new(Breaker::zeroed());
        breaker.record(permit(&breaker, NOW), Outcome::Failure, &PARAMETERS, NOW);
        let (failing, succeeding) = (permit(&breaker, NOW), permit(&breaker, NOW));
        let other = Arc::clone(&breaker);
        let thread =
            ::loom::thread::spawn(move || other.record(succeeding, Outcome::Success, &PARAMETERS, NOW));
        let opened = breaker.record(failing, Outcome::Failure, &PARAMETERS, NOW);
        assert_eq!(thread.join().expect("it does not panic"), None);
        let view = breaker.view(NOW);
        (opened, view.position, view.calls, view.failures)
    });
    let expected = [(Some(Transition::Opened), Position::Open, 0, 0), (None, Position::Closed, 3, 2)];
    assert_eq!(seen, BTreeSet::from(expected));
}

#[test]
fn a_prober_that_is_late_closes_or_is_replaced_and_never_both() {
    let seen = outcomes(|| {
        let (breaker, later) = open();
        let late = permit(&breaker, later);
        let returned = later + PARAMETERS.probe_ms;
        let other = Arc::clone(&breaker);
        let thread = ::loom::thread::spawn(move || word(&other.admit(&PARAMETERS, returned)));
        let own = breaker.record(late, Outcome::Success, &PARAMETERS, returned);
        (own, thread.join().expect("it does not panic"))
    });
    assert_eq!(seen, BTreeSet::from([(Some(Transition::Closed), "pass"), (None, "probe")]));
}

#[test]
fn an_order_stands_whatever_the_probe_says() {
    let seen = outcomes(|| {
        let (breaker, later) = open();
        let probe = permit(&breaker, later);
        let other = Arc::clone(&breaker);
        let thread = ::loom::thread::spawn(move || other.record(probe, Outcome::Failure, &PARAMETERS, later));
        assert_eq!(breaker.force_closed(), Some(Transition::ForcedClosed));
        let reopened = thread.join().expect("it does not panic");
        assert_eq!(breaker.view(later).position, Position::ForcedClosed);
        reopened
    });
    assert_eq!(seen, BTreeSet::from([None, Some(Transition::Reopened)]));
}

#[test]
fn two_that_begin_a_second_are_both_counted() {
    let seen = outcomes(|| {
        let breaker = Arc::new(Breaker::zeroed());
        // Ten seconds ago the same bucket was used.
        breaker.record(permit(&breaker, NOW), Outcome::Success, &PARAMETERS, NOW);
        let later = NOW + 10_000;
        let permits = [permit(&breaker, later), permit(&breaker, later)];
        let [own, others] = permits;
        let other = Arc::clone(&breaker);
        let thread =
            ::loom::thread::spawn(move || other.record(others, Outcome::Success, &PARAMETERS, later));
        breaker.record(own, Outcome::Success, &PARAMETERS, later);
        thread.join().expect("it does not panic");
        breaker.view(later).calls
    });
    assert_eq!(seen, BTreeSet::from([2]));
}

#[test]
fn the_last_retry_of_the_budget_is_given_once() {
    let seen = outcomes(|| {
        let breaker = Arc::new(Breaker::zeroed());
        let other = Arc::clone(&breaker);
        let thread = ::loom::thread::spawn(move || other.retry(NOW) == Retry::Granted);
        let own = breaker.retry(NOW) == Retry::Granted;
        (own, thread.join().expect("it does not panic"))
    });
    assert_eq!(seen, BTreeSet::from([(true, false), (false, true)]));
}

#[test]
fn two_that_claim_an_entry_for_one_service_share_it() {
    let seen = outcomes(|| {
        let breakers = Arc::new(Breakers::<2>::zeroed());
        let service = NameId::new(5).expect("not zero");
        let other = Arc::clone(&breakers);
        let thread = ::loom::thread::spawn(move || other.of(service).and_then(Breaker::force_open));
        let own = breakers.of(service).expect("there is room");
        assert_eq!(thread.join().expect("it does not panic"), Some(Transition::ForcedOpen));
        own.view(NOW).position
    });
    assert_eq!(seen, BTreeSet::from([Position::ForcedOpen]));
}
