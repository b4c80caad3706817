//! Attempts, pauses and the total, on a clock that stands still until everybody waits.

use super::*;
use crate::identity::outage::Why;
use std::cell::Cell;
use tokio::time::sleep_until;

const UNCONNECTED: Failure =
    Failure { outage: Outage { why: Why::Unconnected, alarm: None }, kind: FailureKind::Unconnected };
const LATE: Failure =
    Failure { outage: Outage { why: Why::TimedOut, alarm: None }, kind: FailureKind::Transient };
const FINAL: Failure =
    Failure { outage: Outage { why: Why::Throttled, alarm: None }, kind: FailureKind::Final };

/// Attempts that all fail so; how many there were, and how long it took.
async fn attempts(patience: Patience, random: f64, failure: Failure) -> (u32, Duration) {
    let (began, count) = (Instant::now(), Cell::new(0));
    let end = patience.persist(
        || random,
        |_| {
            count.set(count.get() + 1);
            async move { Err::<(), _>(failure) }
        },
    );
    assert_eq!(end.await, Err(failure.outage));
    (count.get(), began.elapsed())
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Equal but for the timer's granularity of a millisecond.
#[track_caller]
fn assert_took(taken: Duration, expected: Duration) {
    assert!(taken >= expected && taken <= expected + ms(4), "{taken:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_user_question_is_repeated_twice_after_jittered_pauses() {
    for (random, expected_ms) in [(0.0, 240), (0.5, 300), (1.0, 360)] {
        let (count, taken) = attempts(Patience::USER, random, LATE).await;
        assert_eq!(count, 3);
        assert_took(taken, ms(expected_ms));
    }
}

#[tokio::test(start_paused = true)]
async fn a_venue_question_is_repeated_once_and_only_without_a_connection() {
    assert_eq!(attempts(Patience::VENUE, 0.5, UNCONNECTED).await.0, 2);
    assert_eq!(attempts(Patience::VENUE, 0.5, LATE).await.0, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_final_is_not_repeated() {
    for patience in [Patience::USER, Patience::VENUE] {
        let (count, taken) = attempts(patience, 0.5, FINAL).await;
        assert_eq!((count, taken), (1, Duration::ZERO));
    }
}

/// Attempts that use up all the time they get.
async fn slow_attempts(patience: Patience, failure: Failure) -> (Vec<Duration>, Duration) {
    let (began, mut given) = (Instant::now(), Vec::new());
    let end = patience.persist(
        || 0.5,
        |until| {
            given.push(until - Instant::now());
            async move {
                sleep_until(until).await;
                Err::<(), _>(failure)
            }
        },
    );
    assert_eq!(end.await, Err(failure.outage));
    (given, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn nothing_takes_longer_than_its_total() {
    let (given, taken) = slow_attempts(Patience::USER, LATE).await;
    assert_eq!(given.len(), 3);
    assert_took(given[0], ms(2_000));
    assert_took(given[1], ms(2_000));
    assert!(given[2] <= ms(700), "{given:?}: the last attempt gets what is left");
    assert_took(taken, ms(5_000));

    let (given, taken) = slow_attempts(Patience::VENUE, UNCONNECTED).await;
    assert_eq!(given[0], ms(1_500));
    assert_eq!(given.len(), 2);
    assert!(taken <= ms(3_004), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn no_pause_goes_beyond_the_total() {
    let short = Patience { total: ms(50), ..Patience::USER };
    let (count, taken) = attempts(short, 0.5, LATE).await;
    assert_eq!((count, taken), (1, Duration::ZERO), "there would be no time left after the pause");
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_ends_it() {
    let count = Cell::new(0);
    let answer = Patience::USER.persist(
        || 0.5,
        |_| {
            count.set(count.get() + 1);
            let number = count.get();
            async move { if number < 3 { Err(LATE) } else { Ok(number) } }
        },
    );
    assert_eq!(answer.await, Ok(3));
}
