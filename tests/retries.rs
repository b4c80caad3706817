//! A call that failed is made once more where that is safe, and nowhere else.

use crate::harness::token::USER;
use crate::harness::{Backend, Command, Edge, Received, Script, Step, Token, holds_within};
use edge_worker::config::services::SERVICES;
use std::time::{Duration, Instant};

/// Reads of services that have done nothing yet, so that each has its whole budget.
const READS: [&str; 8] = [
    "/api/v1/tickets",
    "/api/v1/events",
    "/api/v1/refunds/1",
    "/api/v1/marketplace/listings",
    "/api/v1/notifications/status/1",
    "/api/v1/search",
    "/api/v1/files/download/1",
    "/api/v1/blockchain/1",
];
const KEY: &str = "5f0c9d7e-1111-4111-8111-0123456789ab";

fn admin() -> String {
    Token::of_role("admin").build()
}

fn read(edge: &Edge, path: &str) -> u16 {
    edge.fetch_as(&admin(), path).status
}

fn reset() -> Script {
    Script::of(vec![Step::Reset])
}

/// Requests of clients, in order.
fn calls(backend: &Backend) -> Vec<Received> {
    backend.received().into_iter().filter(|received| !received.target().contains("/health")).collect()
}

fn retries(edge: &Edge, service: &str) -> u64 {
    edge.metrics().count("gateway_downstream_retries_total", &[("service", service)])
}

#[test]
fn a_read_that_the_service_failed_is_made_once_more() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let failures = [
        ("502", Script::answer(502, &[], "no")),
        ("503 without a time", Script::answer(503, &[], "no")),
        ("504", Script::answer(504, &[], "no")),
        ("an end before the head", Script::close_before_head()),
        ("an end within the head", Script::close_inside_head()),
        ("a reset", reset()),
    ];
    for ((what, failure), path) in failures.into_iter().zip(READS) {
        let before = calls(&backend).len();
        backend.script_once("/", failure);
        let began = Instant::now();
        assert_eq!(read(&edge, path), 200, "{what}");
        assert!(began.elapsed() >= Duration::from_millis(50), "{what} was repeated at once");
        assert_eq!(calls(&backend).len() - before, 2, "{what}");
    }
    let metrics = edge.metrics();
    let count = |status: &str| metrics.count("gateway_downstream_requests_total", &[("status", status)]);
    assert_eq!(metrics.count("gateway_downstream_retries_total", &[]), 6);
    assert_eq!((count("502"), count("503"), count("504"), count("reset"), count("200")), (1, 1, 1, 3, 6));
}

#[test]
fn what_fails_twice_fails() {
    let backend = Backend::start().on("/", Script::answer(502, &[], "twice"));
    let edge = Edge::start(&backend);
    let answer = edge.fetch_as(&admin(), READS[0]);
    answer.expect_status(502);
    assert_eq!(answer.text(), "twice", "the service's own words");
    assert_eq!(calls(&backend).len(), 2);
}

#[test]
fn a_read_is_not_repeated_where_the_service_asks_for_time_or_has_decided() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let answers = [
        (500, Script::answer(500, &[], "")),
        (501, Script::answer(501, &[], "")),
        (503, Script::answer(503, &[("retry-after", "1")], "")),
        (429, Script::answer(429, &[("retry-after", "1")], "")),
        (404, Script::answer(404, &[], "")),
        (502, Script::garbage()),
    ];
    for ((status, script), path) in answers.into_iter().zip(READS) {
        let before = calls(&backend).len();
        backend.script_once("/", script);
        assert_eq!(read(&edge, path), status, "{path}");
        assert_eq!(calls(&backend).len() - before, 1, "{status}");
    }
    edge.counts("gateway_downstream_retries_total", &[], 0);
}

/// What is written, and how often it reaches the service that breaks off at first.
struct Write {
    what: &'static str,
    path: &'static str,
    key: Option<(&'static str, &'static str)>,
    failure: Script,
    status: u16,
    calls: usize,
}

#[test]
fn a_write_is_repeated_by_its_key_alone_and_only_while_it_is_unanswered() {
    const PURCHASE: &str = "/api/v1/tickets/purchase";
    const REFUND: &str = "/api/v1/refunds/create";
    let write = |what, path, key, failure, status, calls| Write { what, path, key, failure, status, calls };
    let key = |key| Some(("idempotency-key", key));
    let end = Script::close_before_head;
    let writes = [
        write("no key", PURCHASE, None, end(), 502, 1),
        write("a key", PURCHASE, key("buy-1_a"), end(), 200, 2),
        write("a key by its other name", PURCHASE, Some(("x-idempotency-key", "buy-2")), reset(), 200, 2),
        write("a malformed key", PURCHASE, key("buy.3"), end(), 502, 1),
        write("a UUID where one is needed", REFUND, key(KEY), end(), 200, 2),
        write("no UUID where one is needed", REFUND, key("buy-4"), end(), 502, 1),
        write("a row without keys", "/api/v1/marketplace/listings", key(KEY), end(), 502, 1),
        write("an answer", PURCHASE, key("buy-5"), Script::answer(503, &[], ""), 503, 1),
        write("half an answer", PURCHASE, key("buy-6"), Script::close_inside_head(), 502, 1),
    ];
    let token = Token::of_role("admin").permissions(&["tickets:purchase"]).build();
    for Write { what, path, key, failure, status, calls: wanted } in writes {
        let backend = Backend::start();
        let edge = Edge::start(&backend);
        backend.script_once("/", failure);
        let mut client = edge.client();
        let request = client.request("POST", path).bearer(&token);
        let request = match key {
            Some((name, key)) => request.header(name, key),
            None => request,
        };
        assert_eq!(request.body("{\"eventId\":1}").send().status, status, "{what}");
        let calls = calls(&backend);
        assert_eq!(calls.len(), wanted, "{what}");
        for call in &calls {
            assert_eq!(call.body.length, 13, "{what}");
            assert_eq!(key.and_then(|(name, _)| call.header(name)), key.map(|(_, key)| key), "{what}");
        }
    }
}

#[test]
fn a_body_that_is_still_on_its_way_is_not_sent_twice() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    backend.script_once("/", Script { body_first: false, steps: vec![Step::Close] });
    let token = Token::of_role("admin").permissions(&["tickets:purchase"]).build();
    let mut client = edge.client();
    client.send_raw(format!(
        "POST /api/v1/transfers/{USER}/accept HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {token}\r\n\
         idempotency-key: {KEY}\r\ncontent-length: 10\r\n\r\nabc"
    ));
    client.response_to("POST").expect_status(502);
    assert_eq!(calls(&backend).len(), 1);
}

/// Calls until the balancer, whose choice it is, has sent one to the instance that fails.
fn until_one_is_repeated(edge: &Edge, mut call: impl FnMut()) {
    let counted = || edge.metrics().count("gateway_downstream_retries_total", &[]);
    let before = counted();
    let repeated = (0..TRIES_MAX).any(|_| {
        let began = Instant::now();
        call();
        // It is counted a moment after its answer, and a second one would find no budget.
        began.elapsed() >= PAUSE_MIN && holds_within(Duration::from_secs(1), || counted() > before)
    });
    assert!(repeated, "of {TRIES_MAX} requests none went to the failing instance first");
}

const TRIES_MAX: usize = 40;
const PAUSE_MIN: Duration = Duration::from_millis(50);

#[test]
fn where_nothing_listens_any_more_even_a_body_on_its_way_is_sent_to_another_instance() {
    let (doomed, backend) = (Backend::named("doomed"), Backend::start());
    let urls = format!("{},{}", doomed.url(), backend.url());
    let mut command = Command::run(&backend);
    for service in SERVICES.map(|service| service.name) {
        command = command.service_url(service, &urls);
    }
    let edge = command.start();
    // The first look finds it well, and it takes two more to find it gone.
    drop(doomed);
    until_one_is_repeated(&edge, || assert_eq!(read(&edge, "/api/v1/search"), 200));
    let token = Token::of_role("admin").permissions(&["tickets:purchase"]).build();
    until_one_is_repeated(&edge, || {
        let mut client = edge.client();
        client.send_raw(format!(
            "POST /api/v1/tickets/purchase HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {token}\r\n\
             idempotency-key: {KEY}\r\ncontent-length: 6\r\n\r\nabc"
        ));
        client.send_raw("def");
        client.response_to("POST").expect_status(200);
        assert_eq!(backend.last().body.length, 6);
    });
    let metrics = edge.metrics();
    let failed = metrics.count("gateway_downstream_requests_total", &[("status", "connect_error")]);
    assert_eq!((failed, metrics.count("gateway_downstream_retries_total", &[])), (2, 2));
}

#[test]
fn the_second_attempt_is_another_instances_and_knows_the_time_left() {
    let (failing, healthy) = (Backend::named("failing"), Backend::named("healthy"));
    failing.script("/api", Script::answer(502, &[], ""));
    let urls = format!("{},{}", failing.url(), healthy.url());
    let edge = Command::run(&healthy).service_url("search", &urls).start();
    until_one_is_repeated(&edge, || assert_eq!(read(&edge, "/api/v1/search"), 200));
    let (first, second) = (failing.last(), healthy.last());
    assert_eq!(first.header("host"), Some(failing.address().to_string().as_str()));
    assert_eq!(second.header("host"), Some(healthy.address().to_string().as_str()));
    assert_eq!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.header("x-request-deadline"), second.header("x-request-deadline"));
    let left = |call: &Received| call.header("x-timeout-remaining").and_then(|left| left.parse::<u64>().ok());
    let (before, after) = (left(&first).expect("a number"), left(&second).expect("a number"));
    assert!((50..5_000).contains(&(before - after)), "{before} ms, then {after} ms");
}

#[test]
fn retries_are_at_most_a_tenth_of_the_calls_and_one() {
    let backend = Backend::start().on("/", Script::answer(502, &[], ""));
    let edge = Command::run(&backend).set("CIRCUIT_BREAKER_VOLUME_THRESHOLD", "1000").start();
    const REQUESTS: usize = 60;
    for _ in 0..REQUESTS {
        assert_eq!(read(&edge, "/api/v1/search"), 502);
    }
    let made = calls(&backend).len() - REQUESTS;
    assert!((2..=1 + (REQUESTS + made) / 10).contains(&made), "{made} retries of {REQUESTS} requests");
    assert_eq!(retries(&edge, "search"), made as u64);
    let listed = edge.breaker(&["list"]);
    listed.expect_code(0);
    let line = listed.output.lines().find(|line| line.starts_with("search")).expect("it has a line");
    assert!(line.split_whitespace().any(|word| word == made.to_string()), "{made} retries: {line}");
}

#[test]
fn there_is_no_second_attempt_without_time_for_it() {
    let backend = Backend::start().on("/", Script::answer(502, &[], ""));
    let edge = Command::run(&backend).set("FLOODGATE_READ_TIMEOUT_MS_SEARCH", "100").start();
    assert_eq!(read(&edge, "/api/v1/search"), 502);
    assert_eq!((calls(&backend).len(), retries(&edge, "search")), (1, 0));
}

#[test]
fn an_open_circuit_is_not_asked_a_second_time() {
    let backend = Backend::start().on("/", Script::answer(502, &[], ""));
    let edge = Command::run(&backend).set("CIRCUIT_BREAKER_VOLUME_THRESHOLD", "1").start();
    assert_eq!(read(&edge, "/api/v1/search"), 502, "and not the edge's own 503");
    assert_eq!((calls(&backend).len(), retries(&edge, "search")), (1, 0));
    assert_eq!(read(&edge, "/api/v1/search"), 503);
}
