//! The breaker on a clock of the test.

use super::{Breaker, FAILURES_MAX, OPEN, TRIAL, after};
use edge_worker::clock::Nanos;

fn opened(now: Nanos) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..FAILURES_MAX {
        assert!(breaker.admits(now));
        breaker.failed(now);
    }
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let now = Nanos(1);
    let mut breaker = Breaker::default();
    for _ in 1..FAILURES_MAX {
        breaker.failed(now);
    }
    breaker.succeeded();
    for _ in 1..FAILURES_MAX {
        breaker.failed(now);
    }
    assert!(breaker.admits(now) && !breaker.is_open());
    breaker.failed(now);
    assert!(!breaker.admits(now) && breaker.is_open());
}

#[test]
fn one_trial_closes_it_or_opens_it_again() {
    let start = Nanos(1);
    let mut breaker = opened(start);
    let reset = after(start, OPEN);
    assert!(breaker.admits(reset), "the trial");
    assert!(!breaker.admits(reset), "one at a time");
    breaker.failed(reset);
    assert!(!breaker.admits(reset));
    let again = after(reset, OPEN);
    assert!(breaker.admits(again));
    breaker.succeeded();
    assert!(breaker.admits(again) && breaker.admits(again));
}

#[test]
fn a_trial_that_never_reports_makes_room_for_the_next() {
    let start = Nanos(1);
    let mut breaker = opened(start);
    let reset = after(start, OPEN);
    assert!(breaker.admits(reset));
    assert!(!breaker.admits(reset));
    assert!(breaker.admits(after(reset, TRIAL)));
}
