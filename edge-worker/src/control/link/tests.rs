//! A worker's asks over a real socket pair, with a supervisor that is a plain thread.

use super::super::asks::{ListAnswer, Person, Said, UserAnswer, decode, encode};
use super::*;
use crate::clock;
use crate::config::IoDriver;
use crate::net::io::{Driver, run, sleep, spawn};
use crate::net::wheel::Wheel;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

fn question(subject: &str) -> Question {
    let text = || String::new();
    let user = Person {
        tenant: text(),
        subject: subject.to_owned(),
        forwarded_for: text(),
        request_id: text(),
        correlation_id: text(),
        traceparent: text(),
    };
    Question::User { user }
}

fn carried(driver: Driver, ours: UnixStream) -> Rc<Asks> {
    let asks = Rc::new(Asks::default());
    let wheel = Rc::new(Wheel::new(clock::now().millis()));
    let channel = Stream::from_unix(ours, driver, &wheel).expect("a socket pair can be adopted");
    let carrying = Rc::clone(&asks);
    spawn(async move { carrying.carry(channel, |_| Ok(())).await });
    asks
}

/// Reads one ask with blocking calls.
fn next_asked(stream: &mut UnixStream, inbox: &mut Vec<u8>) -> Asked {
    let mut block = [0; 4096];
    loop {
        if let Some(asked) = decode(inbox).expect("the worker speaks the format") {
            return asked;
        }
        let count = stream.read(&mut block).expect("the worker's end is open");
        assert!(count > 0, "the worker closed its end");
        inbox.extend_from_slice(&block[..count]);
    }
}

fn on_both<F: Future<Output = ()>>(main: impl Fn(Driver) -> F) {
    for choice in [IoDriver::Auto, IoDriver::Epoll] {
        run(choice, &main).expect("a driver can be had");
    }
}

#[test]
fn every_ask_gets_its_own_answer_in_whatever_order_they_come() {
    on_both(|driver| async move {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
        let supervisor = thread::spawn(move || {
            let mut inbox = Vec::new();
            let first = next_asked(&mut theirs, &mut inbox);
            let second = next_asked(&mut theirs, &mut inbox);
            let mut out = Vec::new();
            for asked in [second, first] {
                let Question::User { user } = asked.question else { panic!("only users were asked for") };
                let answer = Answer::User(UserAnswer::Live { role: user.subject, degraded: false });
                assert!(encode(&Said::Answered(Answered { id: asked.id, answer }), &mut out));
            }
            theirs.write_all(&out).expect("the worker's end is open");
            theirs
        });
        let asks = carried(driver, ours);
        let now = clock::now().millis();
        let (one, other) = join(asks.ask(question("one"), now), asks.ask(question("other"), now)).await;
        let live = |role: &str| Ok(Answer::User(UserAnswer::Live { role: role.into(), degraded: false }));
        assert_eq!((one, other), (live("one"), live("other")));
        assert_eq!(asks.waiting(), 0);
        drop(supervisor.join().expect("the supervisor's thread ends"));
    });
}

#[test]
fn an_ask_that_nobody_answers_ends_at_its_deadline_and_a_late_answer_is_nobodys() {
    on_both(|driver| async move {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
        let asks = carried(driver, ours);
        let now = clock::now().millis();
        let late = question("late");
        let deadline = Millis(now.0 + late.deadline_ms());
        let clock = async {
            asks.expire(Millis(deadline.0 - 1));
            assert_eq!(asks.waiting(), 1, "it is not late yet");
            asks.expire(deadline);
        };
        let (outcome, ()) = join(asks.ask(late, now), clock).await;
        assert_eq!(outcome, Err(Unanswered::Late));
        let mut out = Vec::new();
        let answered = Answered { id: 0, answer: Answer::VenueList(ListAnswer::Staff) };
        assert!(encode(&Said::Answered(answered), &mut out));
        theirs.write_all(&out).expect("the worker's end is open");
        sleep(Duration::from_millis(20)).await;
        assert_eq!(asks.waiting(), 0);
    });
}

#[test]
fn a_supervisor_that_is_gone_or_talks_nonsense_ends_every_ask_and_refuses_new_ones() {
    on_both(|driver| async move {
        for nonsense in [&b""[..], &u32::MAX.to_le_bytes()] {
            let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
            let asks = carried(driver, ours);
            let now = clock::now().millis();
            let leaving = async {
                theirs.write_all(nonsense).expect("the worker's end is open");
                theirs.shutdown(std::net::Shutdown::Write).expect("it is open");
            };
            let (outcome, ()) = join(asks.ask(question("u"), now), leaving).await;
            assert_eq!(outcome, Err(Unanswered::Gone));
            assert_eq!(asks.ask(question("u"), now).await, Err(Unanswered::Gone));
        }
    });
}

#[test]
fn asks_beyond_the_bound_are_refused_at_once() {
    let asks = Asks::default();
    let now = Millis(0);
    let places: Vec<_> =
        (0..ASKS_WAITING_MAX).map(|_| asks.post(question("u"), now).expect("there is room")).collect();
    assert!(matches!(asks.post(question("u"), now), Err(Unanswered::Overloaded)));
    drop(places);
    assert!(asks.post(question("u"), now).is_ok(), "a place that was given back can be had");
}
