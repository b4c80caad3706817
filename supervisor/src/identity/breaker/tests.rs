//! When it opens, what it lets through, and what closes it.

use super::*;

const PARAMETERS: Parameters = Parameters { error_percent: 50, reset_ms: 60_000, volume: 4 };

/// Makes a call at `at_ms` that ends at once; whether it was let through.
fn call(breaker: &mut Breaker, at_ms: u64, outcome: Outcome) -> bool {
    let passage = breaker.admit(Millis(at_ms));
    let passed = passage.is_some();
    if let Some(passage) = passage {
        breaker.record(passage, outcome, Millis(at_ms));
    }
    passed
}

fn opened_at(at_ms: u64) -> Breaker {
    let mut breaker = Breaker::new(PARAMETERS);
    for _ in 0..4 {
        assert!(call(&mut breaker, at_ms, Outcome::Failure));
    }
    assert_eq!(breaker.state(), State::Open { until: Millis(at_ms + 60_000) });
    breaker
}

#[test]
fn it_opens_at_the_volume_and_not_before() {
    let mut breaker = Breaker::new(PARAMETERS);
    for _ in 0..3 {
        call(&mut breaker, 1_000, Outcome::Failure);
        assert_eq!(breaker.state(), State::Closed);
    }
    call(&mut breaker, 1_000, Outcome::Success);
    assert_eq!(breaker.state(), State::Open { until: Millis(61_000) }, "three of four failed");
    assert!(!call(&mut breaker, 60_999, Outcome::Success));
}

#[test]
fn it_opens_at_the_share_of_failures_and_not_before() {
    let mut breaker = Breaker::new(PARAMETERS);
    for _ in 0..10 {
        call(&mut breaker, 0, Outcome::Success);
    }
    for _ in 0..9 {
        call(&mut breaker, 0, Outcome::Failure);
        assert_eq!(breaker.state(), State::Closed);
    }
    call(&mut breaker, 0, Outcome::Failure);
    assert_ne!(breaker.state(), State::Closed, "ten of twenty failed");
}

#[test]
fn neutral_calls_count_for_nothing() {
    let mut breaker = Breaker::new(PARAMETERS);
    for _ in 0..100 {
        call(&mut breaker, 0, Outcome::Neutral);
    }
    for _ in 0..3 {
        call(&mut breaker, 0, Outcome::Failure);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn failures_are_forgotten_after_ten_seconds() {
    let mut breaker = Breaker::new(PARAMETERS);
    for _ in 0..3 {
        call(&mut breaker, 500, Outcome::Failure);
    }
    call(&mut breaker, 10_000, Outcome::Failure);
    assert_eq!(breaker.state(), State::Closed, "the first bucket has just left the window");
    for at_ms in [10_500, 19_999, 19_999] {
        call(&mut breaker, at_ms, Outcome::Failure);
    }
    assert_ne!(breaker.state(), State::Closed, "four within ten buckets");
}

#[test]
fn a_clock_that_stands_still_or_jumps_does_no_harm() {
    let mut breaker = Breaker::new(PARAMETERS);
    for at_ms in [5_000, 4_000, 3_000] {
        call(&mut breaker, at_ms, Outcome::Failure);
    }
    call(&mut breaker, u64::MAX, Outcome::Failure);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn after_the_reset_one_trial_goes_out_and_its_success_closes() {
    let mut breaker = opened_at(0);
    let trial = breaker.admit(Millis(60_000)).expect("the trial");
    assert_eq!(breaker.admit(Millis(60_001)), None, "one at a time");
    breaker.record(trial, Outcome::Success, Millis(60_100));
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..3 {
        assert!(call(&mut breaker, 60_200, Outcome::Failure));
    }
    assert_eq!(breaker.state(), State::Closed, "the window began anew");
}

#[test]
fn a_failed_trial_opens_again() {
    let mut breaker = opened_at(0);
    assert!(call(&mut breaker, 60_000, Outcome::Failure));
    assert_eq!(breaker.state(), State::Open { until: Millis(120_000) });
}

#[test]
fn a_trial_that_says_nothing_makes_the_next_call_the_trial() {
    let mut breaker = opened_at(0);
    assert!(call(&mut breaker, 60_000, Outcome::Neutral));
    assert!(call(&mut breaker, 60_000, Outcome::Success));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn calls_from_before_a_change_have_nothing_to_say() {
    let mut breaker = Breaker::new(PARAMETERS);
    let (early, late) =
        (breaker.admit(Millis(0)).expect("closed"), breaker.admit(Millis(0)).expect("closed"));
    for _ in 0..4 {
        call(&mut breaker, 0, Outcome::Failure);
    }
    breaker.record(early, Outcome::Success, Millis(100));
    assert_ne!(breaker.state(), State::Closed);
    let trial = breaker.admit(Millis(60_000)).expect("the trial");
    breaker.record(late, Outcome::Failure, Millis(60_000));
    assert_eq!(breaker.state(), State::Trial);
    breaker.record(trial, Outcome::Success, Millis(60_000));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn the_platforms_table_gives_the_parameters() {
    let auth = services::ServiceId::find("auth").and_then(services::ServiceId::defaults).expect("a service");
    let expected = Parameters { error_percent: 50, reset_ms: 60_000, volume: 20 };
    assert_eq!(Parameters::from(auth.breaker), expected);
}
