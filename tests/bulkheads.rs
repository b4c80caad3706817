//! Places at a service: one cap for all workers of a node, and a short queue for who finds none.

use crate::harness::client::HOST;
use crate::harness::process::eventually_gone;
use crate::harness::{Backend, Client, Command, Edge, Gate, Response, Script, Token, eventually};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A row that gives its service 30 s, so that a wait may be long.
const ROW: &str = "/api/v1/transfer";
/// A row that takes long bodies.
const FILES: &str = "/api/v1/files/documents/x";

fn command(backend: &Backend, places: u32, queue: u32, queue_ms: u32) -> Command {
    Command::run(backend)
        .set("FLOODGATE_SERVICE_IN_FLIGHT_MAX_TICKET", &places.to_string())
        .set("FLOODGATE_SERVICE_QUEUE_MAX", &queue.to_string())
        .set("FLOODGATE_SERVICE_QUEUE_MS", &queue_ms.to_string())
}

fn token() -> String {
    Token::valid().build()
}

/// A request that was sent and has no answer yet.
fn sent(edge: &Edge, token: &str, name: &str) -> Client {
    let mut client = edge.client();
    client.request("GET", &format!("{ROW}/{name}")).bearer(token).send_only();
    client
}

fn waiting(edge: &Edge, count: u64) {
    edge.counts("gateway_bulkhead_waiting", &[("service", "ticket")], count);
}

fn refused(answer: &Response) {
    let problem = answer.expect_problem(503, "SERVICE_UNAVAILABLE");
    assert_eq!(problem["detail"], "The service is at capacity.");
    assert_eq!(answer.header("retry-after"), Some("2"));
}

fn refusals(edge: &Edge, reason: &str, count: u64) {
    let labels = [("service", "ticket"), ("reason", reason)];
    edge.counts("gateway_bulkhead_rejections_total", &labels, count);
}

/// One place, which the first request has until the gate opens.
fn held(queue: u32, queue_ms: u32) -> (Gate, Backend, Edge, Client) {
    let gate = Gate::new();
    let backend = Backend::start().on(ROW, Script::gated(&gate));
    let edge = command(&backend, 1, queue, queue_ms).start();
    let first = sent(&edge, &token(), "first");
    eventually("the first is at the service", || (backend.hits() == 1).then_some(()));
    (gate, backend, edge, first)
}

#[test]
fn two_workers_share_one_cap_exactly_and_nobody_starves() {
    const PLACES: u32 = 4;
    let backend = Backend::start().on(ROW, Script::slow_head(Duration::from_millis(3)));
    let edge = command(&backend, PLACES, 64, 15_000).workers(2).start();
    let token = token();
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let mut client = edge.client();
                for _ in 0..15 {
                    client.fetch_as(&token, ROW).expect_status(200);
                }
            });
        }
    });
    assert_eq!(backend.hits(), 24 * 15);
    assert_eq!(backend.busiest(), u64::from(PLACES), "never more, and as many as there are");
    waiting(&edge, 0);
    edge.counts("gateway_bulkhead_in_flight", &[("service", "ticket")], 0);
}

#[test]
fn who_came_first_is_served_first_and_a_full_queue_refuses_at_once() {
    let (gate, backend, edge, mut first) = held(3, 15_000);
    let token = token();
    let mut others: Vec<Client> = Vec::new();
    for (name, count) in [("second", 1), ("third", 2), ("fourth", 3)] {
        others.push(sent(&edge, &token, name));
        waiting(&edge, count);
    }
    let asked = Instant::now();
    refused(&edge.fetch_as(&token, &format!("{ROW}/fifth")));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    refusals(&edge, "queue_full", 1);
    edge.counts("gateway_rejections_total", &[("reason", "service_full")], 1);
    edge.fetch_as(&token, "/api/v1/events").expect_status(200);
    assert_eq!(backend.hits(), 2, "the first and the other service's");
    gate.open();
    first.response_to("GET").expect_status(200);
    for client in &mut others {
        client.response_to("GET").expect_status(200);
    }
    let targets: Vec<String> =
        backend.received().iter().map(|received| received.target().to_owned()).collect();
    let wanted = ["transfer/first", "events", "transfer/second", "transfer/third", "transfer/fourth"];
    assert_eq!(targets, wanted.map(|name| format!("/api/v1/{name}")));
}

#[test]
fn the_wait_counts_into_the_requests_time() {
    const WAIT: Duration = Duration::from_millis(300);
    let (gate, backend, edge, mut first) = held(1, 15_000);
    let asked = Instant::now();
    let mut second = sent(&edge, &token(), "second");
    waiting(&edge, 1);
    eventually("it has waited", || (asked.elapsed() > WAIT).then_some(()));
    gate.open();
    first.response_to("GET").expect_status(200);
    second.response_to("GET").expect_status(200);
    let left = |index: usize| {
        let received = backend.received();
        received[index]
            .header("x-timeout-remaining")
            .and_then(|text| text.parse::<u64>().ok())
            .expect("a number")
    };
    assert_eq!(left(0), 30_000);
    // It was waiting a moment later than it was sent.
    assert!(left(1) <= 30_000 - 250 && left(1) > 15_000, "{}", left(1));
}

#[test]
fn a_wait_that_is_too_long_is_refused_and_blames_nobody() {
    let (gate, backend, edge, mut first) = held(1, 100);
    let asked = Instant::now();
    refused(&edge.fetch_as(&token(), ROW));
    assert!(asked.elapsed() >= Duration::from_millis(100), "{:?}", asked.elapsed());
    refusals(&edge, "waited_too_long", 1);
    waiting(&edge, 0);
    assert_eq!(backend.hits(), 1);
    gate.open();
    first.response_to("GET").expect_status(200);
    edge.fetch_as(&token(), ROW).expect_status(200);
    // A request that waited in vain was no call.
    edge.counts("gateway_downstream_requests_total", &[("service", "ticket")], 2);
}

#[test]
fn half_of_a_requests_time_is_its_services() {
    let (_gate, _backend, edge, _first) = held(1, 15_000);
    let asked = Instant::now();
    // This row gives its service 5 s.
    refused(&edge.fetch_as(&token(), "/api/v1/tickets"));
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(2_500) && waited < Duration::from_millis(4_900), "{waited:?}");
}

#[test]
fn a_client_that_leaves_gives_its_place_in_the_queue_up() {
    let (gate, backend, edge, mut first) = held(1, 15_000);
    let token = token();
    let second = sent(&edge, &token, "second");
    waiting(&edge, 1);
    refused(&edge.fetch_as(&token, ROW));
    second.vanish();
    waiting(&edge, 0);
    let mut third = sent(&edge, &token, "third");
    waiting(&edge, 1);
    gate.open();
    first.response_to("GET").expect_status(200);
    third.response_to("GET").expect_status(200);
    assert!(backend.received().iter().all(|received| !received.target().ends_with("second")));
    edge.counts("gateway_http_requests_total", &[("status", "499")], 1);
}

#[test]
fn a_killed_worker_takes_its_places_with_it() {
    const PLACES: u32 = 12;
    let gate = Gate::new();
    let held = format!("{ROW}/held");
    let backend = Backend::start().on(&held, Script::gated(&gate));
    let edge = command(&backend, PLACES, 16, 200).workers(2).start();
    let token = token();
    let mut clients: Vec<Client> = Vec::new();
    eventually("every place is taken", || {
        // One that was let wait for too long has its answer, and another one takes its turn.
        clients.push(sent(&edge, &token, "held"));
        (backend.hits() == PLACES as usize).then_some(())
    });
    refused(&edge.fetch_as(&token, ROW));
    let gone = edge.kill_worker(0);
    eventually_gone(gone);
    edge.workers_are_replaced(2, gone);
    eventually("the places of the dead are free", || {
        (edge.fetch_as(&token, ROW).status == 200).then_some(())
    });
    let left = edge.metrics().count("gateway_bulkhead_in_flight", &[("service", "ticket")]);
    assert!(left < u64::from(PLACES), "{left}");
    gate.open();
}

#[test]
fn a_drain_serves_who_waits() {
    let (gate, backend, mut edge, mut first) = held(1, 15_000);
    let mut second = sent(&edge, &token(), "second");
    waiting(&edge, 1);
    let mut witness = edge.client();
    witness.get("/live").expect_status(200);
    edge.signal(Signal::TERM);
    eventually("the worker drains", || {
        (witness.get("/live").header("connection") == Some("close")).then_some(())
    });
    assert_eq!(backend.hits(), 1);
    gate.open();
    first.response_to("GET").expect_status(200);
    let answer = second.response_to("GET");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(edge.wait().code(), Some(0));
}

#[test]
fn nobody_waits_for_a_service_that_is_left_alone() {
    let (gate, backend, edge, mut first) = held(1, 15_000);
    edge.breaker(&["open", "ticket"]).expect_code(0);
    let asked = Instant::now();
    let answer = edge.fetch_as(&token(), ROW);
    assert_eq!(
        answer.expect_problem(503, "SERVICE_UNAVAILABLE")["detail"],
        "The service is recovering from failures."
    );
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    edge.breaker(&["reset", "ticket"]).expect_code(0);
    gate.open();
    first.response_to("GET").expect_status(200);
    assert_eq!(backend.hits(), 1);
}

/// A login that announces a body of so many bytes and sends none of it.
fn silent(edge: &Edge, body_bytes: u64) -> Client {
    let mut client = edge.client();
    client.send_raw(format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {body_bytes}\r\n\r\n"
    ));
    client
}

#[test]
fn clients_that_send_no_body_cannot_take_a_service_from_those_that_do() {
    const PLACES: usize = 4;
    const AWAITED: usize = 12;
    let backend = Backend::start();
    let command = Command::run(&backend).set("FLOODGATE_SERVICE_IN_FLIGHT_MAX_AUTH", &PLACES.to_string());
    let edge = command.set("FLOODGATE_IN_FLIGHT_MAX", &AWAITED.to_string()).start();
    let mut few: Vec<Client> = (0..PLACES).map(|_| silent(&edge, 65_536)).collect();
    let in_flight = || edge.metrics().count("gateway_bulkhead_in_flight", &[("service", "auth")]);
    eventually("half of the places are taken", || (in_flight() == PLACES as u64 / 2).then_some(()));

    // Whole in one write, or with a body that comes a moment later.
    let asked = Instant::now();
    let mut client = edge.client();
    client.send_raw(format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\n{{}}"
    ));
    client.response_to("POST").expect_status(200);
    let mut late = silent(&edge, 2);
    late.send_raw("{}");
    late.response_to("POST").expect_status(200);
    let mut chunked = edge.client();
    let request = chunked.request("POST", "/api/v1/auth/login");
    request.chunks(&[b"{", b"}"]).send().expect_status(200);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(backend.last().body.bytes, b"{}");

    // And then so many that not all are waited for.
    let many: Vec<Client> = (0..2 * AWAITED).map(|_| silent(&edge, 65_536)).collect();
    edge.metrics_say("some are refused, the others are not waited for long", |metrics| {
        metrics.count("gateway_rejections_total", &[("reason", "overloaded")]) > 0
            && metrics.count("gateway_rejections_total", &[("reason", "body_timeout")]) > 0
    });
    client.request("POST", "/api/v1/auth/login").body("{}").send().expect_status(200);
    assert_eq!(in_flight(), PLACES as u64 / 2);

    // Nothing is kept of those that left.
    for client in few.drain(..).chain(many) {
        client.vanish();
    }
    eventually("all places are free", || (in_flight() == 0).then_some(()));
    edge.client().request("POST", "/api/v1/auth/login").body("{}").send().expect_status(200);
}

#[test]
fn long_bodies_that_are_still_to_come_have_half_of_the_places() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("FLOODGATE_SERVICE_IN_FLIGHT_MAX_FILE", "2").start();
    let token = token();
    let announced = |length: u64| {
        let mut client = edge.client();
        client.send_raw(format!(
            "POST {FILES} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
        ));
        client
    };
    let mut first = announced(65_537);
    edge.counts("gateway_bulkhead_in_flight", &[("service", "file")], 1);
    refused(&announced(65_537).response_to("POST"));
    let mut endless = edge.client();
    let piece = vec![b'x'; 70_000];
    refused(&endless.request("POST", FILES).bearer(&token).chunks(&[&piece]).send());
    edge.counts("gateway_bulkhead_rejections_total", &[("service", "file"), ("reason", "long_body")], 2);
    edge.fetch_as(&token, FILES).expect_status(200);

    first.send_raw(vec![b'x'; 65_537]);
    first.response_to("POST").expect_status(200);
    edge.counts("gateway_bulkhead_in_flight", &[("service", "file")], 0);
    let mut last = announced(65_537);
    last.send_raw(vec![b'x'; 65_537]);
    last.response_to("POST").expect_status(200);
}
