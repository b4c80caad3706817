//! The end of an edge: what is in flight is finished, nothing new is taken, the exit code tells the truth.

use crate::harness::{Backend, Client, Command, Edge, Gate, Script, Token, eventually, holds_within};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";

fn token() -> String {
    Token::valid().build()
}

/// A connection that was opened before the signal, by which a test learns that its worker drains.
struct Witness(Client);

impl Witness {
    fn of(edge: &Edge) -> Witness {
        let mut client = edge.client();
        client.get("/live").expect_status(200);
        Witness(client)
    }

    /// Waits until the worker tells this connection to close.
    fn drain_has_begun(mut self) {
        eventually("the worker drains", || {
            let answer = self.0.get("/live");
            answer.expect_status(200);
            (answer.header("connection") == Some("close")).then_some(())
        });
    }
}

#[test]
fn an_idle_edge_ends_at_once_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let backend = Backend::start();
        let mut edge = Edge::start(&backend);
        let workers = edge.worker_pids();
        let started = Instant::now();
        edge.signal(signal);
        assert_eq!(edge.wait().code(), Some(0), "{signal:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        for pid in workers {
            crate::harness::process::eventually_gone(pid);
        }
    }
}

#[test]
fn a_request_in_flight_is_finished() {
    let gate = Gate::new();
    let backend = Backend::start().on(ROW, Script::gated(&gate));
    let mut edge = Edge::start(&backend);
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    eventually("the request is at the service", || (backend.hits() == 1).then_some(()));
    let witness = Witness::of(&edge);
    edge.signal(Signal::TERM);
    witness.drain_has_begun();
    gate.open();
    let answer = client.response_to("GET");
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(edge.wait().code(), Some(0));
}

#[test]
fn a_body_in_flight_is_finished() {
    let gate = Gate::new();
    let backend = Backend::start().on(ROW, Script::slow_body(&gate, &[b'x'; 100_000]));
    let mut edge = Edge::start(&backend);
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    eventually("the request is at the service", || (backend.hits() == 1).then_some(()));
    edge.signal(Signal::TERM);
    gate.open();
    let answer = client.response_to("GET");
    assert_eq!((answer.body.length, answer.body.complete), (100_000, true));
    assert_eq!(edge.wait().code(), Some(0));
}

#[test]
fn a_keep_alive_connection_loses_no_request_in_the_drain() {
    let backend = Backend::start();
    let mut edge = Edge::start(&backend);
    let token = token();
    let mut clients: Vec<Client> = (0..8).map(|_| edge.client()).collect();
    for client in &mut clients {
        client.fetch_as(&token, ROW).expect_status(200);
    }
    let witness = Witness::of(&edge);
    edge.signal(Signal::TERM);
    witness.drain_has_begun();
    for client in &mut clients {
        let answer = client.fetch_as(&token, ROW);
        answer.expect_status(200);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(edge.wait().code(), Some(0));
    assert!(backend.hits() >= 16);
}

#[test]
fn an_idle_connection_is_closed_after_the_linger() {
    let backend = Backend::start();
    let mut edge = Command::run(&backend).set("FLOODGATE_DRAIN_LINGER_MS", "200").start();
    let mut client = edge.client();
    client.get(ROW).expect_status(401);
    edge.signal(Signal::TERM);
    assert!(client.is_closed());
    assert_eq!(edge.wait().code(), Some(0));
}

#[test]
fn a_second_signal_does_not_shorten_the_drain() {
    let gate = Gate::new();
    let backend = Backend::start().on(ROW, Script::gated(&gate));
    let mut edge = Edge::start(&backend);
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    eventually("the request is at the service", || (backend.hits() == 1).then_some(()));
    let witness = Witness::of(&edge);
    edge.signal(Signal::TERM);
    witness.drain_has_begun();
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        edge.signal(signal);
    }
    gate.open();
    client.response_to("GET").expect_status(200);
    assert_eq!(edge.wait().code(), Some(0));
}

#[test]
fn what_outlasts_the_limit_is_cut_and_the_exit_code_says_so() {
    let backend = Backend::start().on("/api/v1/transfer", Script::hanging());
    let mut edge = Command::run(&backend)
        .set("SHUTDOWN_TIMEOUT_MS", "1000")
        .set("FLOODGATE_DRAIN_LINGER_MS", "100")
        .start();
    let mut client = edge.client();
    client.request("POST", "/api/v1/transfer/x").bearer(&token()).body("{}").send_only();
    eventually("the request is at the service", || (backend.hits() == 1).then_some(()));
    let started = Instant::now();
    assert_eq!(edge.terminate().code(), Some(1), "{:#?}", edge.log_lines());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn readiness_fails_before_the_listeners_close() {
    let backend = Backend::start();
    let mut edge = Command::run(&backend).set("DRAIN_DELAY_MS", "2000").start();
    edge.signal(Signal::TERM);
    let draining = eventually("readiness says draining", || {
        let answer = edge.client().get("/ready");
        (answer.text() == r#"{"status":"draining"}"#).then_some(answer.status)
    });
    assert_eq!(draining, 503);
    assert_eq!(edge.get("/live").status, 200);
    edge.fetch_as(&token(), ROW).expect_status(200);
    assert_eq!(edge.wait().code(), Some(0));
}

#[test]
fn the_phases_are_logged() {
    let backend = Backend::start();
    let mut edge = Edge::start(&backend);
    assert_eq!(edge.terminate().code(), Some(0));
    let told =
        holds_within(Duration::from_secs(2), || edge.log_lines().iter().any(|line| line.contains("drain")));
    assert!(told, "{:#?}", edge.log_lines());
}

#[test]
fn a_worker_killed_in_the_drain_does_not_hold_it_up() {
    let gate = Gate::new();
    let backend = Backend::start().on(ROW, Script::gated(&gate));
    let mut edge = Command::run(&backend).workers(2).start();
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    eventually("the request is at the service", || (backend.hits() == 1).then_some(()));
    let pids = edge.worker_pids();
    edge.signal(Signal::TERM);
    // A death before the signal is heard would be a crash like any other, and answered with a successor.
    eventually("the drain has begun", || {
        edge.log_lines().iter().any(|line| line.contains("draining")).then_some(())
    });
    for pid in pids {
        crate::harness::process::kill(pid, Signal::KILL);
    }
    assert_eq!(edge.wait().code(), Some(1), "a request was cut");
    gate.open();
}

#[test]
fn a_draining_edge_refuses_new_connections() {
    let gate = Gate::new();
    let backend = Backend::start().on(ROW, Script::gated(&gate));
    let mut edge = Edge::start(&backend);
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    eventually("the request is at the service", || (backend.hits() == 1).then_some(()));
    let witness = Witness::of(&edge);
    edge.signal(Signal::TERM);
    witness.drain_has_begun();
    // A client that is refused at once goes to another node; one that waits in a queue nobody serves does not.
    let refused = holds_within(Duration::from_secs(2), || Client::try_connect(edge.address()).is_err());
    gate.open();
    client.response_to("GET").expect_status(200);
    assert!(refused, "new connections wait in a queue that nobody serves");
    assert_eq!(edge.wait().code(), Some(0));
}
