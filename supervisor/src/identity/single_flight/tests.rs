//! Merging, bounds, and askers that go away.

use super::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

type Flight = Arc<SingleFlight<&'static str, u32>>;

fn flight(questions_max: usize) -> Flight {
    Arc::new(SingleFlight::new(InFlight::new(questions_max)))
}

/// Asks in a task of its own; the answer comes when the sender says so. Returns once the question is running.
async fn begin(flight: &Flight, key: &'static str) -> (oneshot::Sender<u32>, JoinHandle<Result<u32, Why>>) {
    let (sender, receiver) = oneshot::channel();
    let (begun, running) = oneshot::channel();
    let asked = Arc::clone(flight);
    let asker = tokio::spawn(async move {
        asked
            .ask(key, move || async move {
                let _ = begun.send(());
                receiver.await.unwrap_or(0)
            })
            .await
    });
    running.await.expect("the question runs");
    (sender, asker)
}

/// A second asker of the same key, already waiting.
async fn join(flight: &Flight, key: &'static str) -> JoinHandle<Result<u32, Why>> {
    assert!(flight.running.lock().contains_key(key), "it is running");
    let asked = Arc::clone(flight);
    let (waiting, begun) = oneshot::channel();
    let asker = tokio::spawn(async move {
        let question = asked.ask(key, || async { unreachable!("merged") });
        let _ = waiting.send(());
        question.await
    });
    begun.await.expect("the asker runs");
    tokio::task::yield_now().await;
    asker
}

#[tokio::test]
async fn equal_questions_are_asked_once() {
    let flight = flight(8);
    let (sender, first) = begin(&flight, "a").await;
    let mut others = Vec::new();
    for _ in 0..50 {
        others.push(join(&flight, "a").await);
    }
    assert_eq!(flight.running(), 1);
    sender.send(7).expect("the question waits");
    assert_eq!(first.await.expect("no panic"), Ok(7));
    for other in others {
        assert_eq!(other.await.expect("no panic"), Ok(7));
    }
    assert_eq!(flight.running(), 0);
}

#[tokio::test]
async fn a_later_question_is_asked_anew() {
    let flight = flight(8);
    assert_eq!(flight.ask("a", || async { 1 }).await, Ok(1));
    while flight.running() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(flight.ask("a", || async { 2 }).await, Ok(2));
}

#[tokio::test]
async fn an_asker_that_goes_away_takes_no_answer_with_it() {
    let flight = flight(8);
    let (sender, first) = begin(&flight, "a").await;
    let second = join(&flight, "a").await;
    first.abort();
    assert!(first.await.expect_err("aborted").is_cancelled());
    sender.send(7).expect("the question still waits");
    assert_eq!(second.await.expect("no panic"), Ok(7));
}

#[tokio::test]
async fn a_call_that_panics_is_lost_and_leaves_nothing_behind() {
    let flight = flight(1);
    let lost = flight.ask("a", || async { panic!("a defect of the call, on purpose") });
    assert_eq!(lost.await, Err(Why::Lost));
    assert_eq!(flight.running(), 0);
    while flight.in_flight.0.available_permits() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(flight.ask("a", || async { 3 }).await, Ok(3), "key and room are free again");
}

#[tokio::test]
async fn too_many_different_questions_are_refused_at_once_and_equal_ones_still_merge() {
    let in_flight = InFlight::new(2);
    let flight: Flight = Arc::new(SingleFlight::new(in_flight.clone()));
    let other: Flight = Arc::new(SingleFlight::new(in_flight));
    let (first, a) = begin(&flight, "a").await;
    let (second, b) = begin(&other, "b").await;
    assert_eq!(flight.ask("c", || async { 1 }).await, Err(Why::Overloaded), "the bound is the service's");
    let merged = join(&flight, "a").await;
    first.send(5).expect("it waits");
    assert_eq!(a.await.expect("no panic"), Ok(5));
    assert_eq!(merged.await.expect("no panic"), Ok(5));
    while flight.in_flight.0.available_permits() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(flight.ask("c", || async { 1 }).await, Ok(1));
    second.send(6).expect("it waits");
    assert_eq!(b.await.expect("no panic"), Ok(6));
}

#[test]
fn the_platforms_bound_is_the_default() {
    assert_eq!(InFlight::default().0.available_permits(), 256);
}
