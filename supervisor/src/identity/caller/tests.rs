//! One attempt and several, against services that are well, slow, gone, and talking nonsense.

use super::*;
use crate::identity::circuit::Circuit;
use crate::identity::patience::Again;
use crate::identity::scripted::{self, Backend, Reply, json, nowhere};
use shm::breakers::{Parameters, Position};
use std::net::SocketAddr;

/// Long enough for a busy machine, without pauses.
const PATIENT: Patience = Patience {
    total: Duration::from_secs(30),
    attempt: Duration::from_secs(10),
    pauses: &[Duration::ZERO, Duration::ZERO],
    ..Patience::USER
};
const HASTY: Patience = Patience { attempt: Duration::from_millis(30), ..PATIENT };
/// Never opens.
const CLOSED: Parameters =
    Parameters { error_percent: 100, volume: u16::MAX, reset_ms: 600_000, probe_ms: 600_000 };
/// What a circuit of a moment has to wait for.
const PAUSE: Duration = Duration::from_millis(5);

fn caller(addresses: Vec<SocketAddr>, parameters: Parameters) -> Caller {
    let id = ServiceId::find("auth").expect("a service");
    scripted::caller(id, addresses, Circuit::lone(parameters))
}

fn question() -> Question {
    Question::get("/x?a=1".to_owned(), &Asker::default(), Credential::Nobody)
}

/// What becomes of a question whose service always replies so, and how often it was asked.
async fn outcome(reply: Reply, patience: Patience) -> (Result<u16, Why>, usize) {
    let backend = Backend::start([reply]).await;
    let answer = caller(vec![backend.address], CLOSED).ask(&question(), &patience).await;
    (answer.map(|answer| answer.status).map_err(|outage| outage.why), backend.seen().len())
}

fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

#[tokio::test]
async fn statuses_are_answers_or_outages() {
    let shed = |status| Reply::Answer(status, "Retry-After: 1\r\n", String::new());
    for (reply, expected) in [
        (json(200, "{}"), (Ok(200), 1)),
        (json(401, "{}"), (Ok(401), 1)),
        (json(403, "{}"), (Ok(403), 1)),
        (json(404, "{}"), (Ok(404), 1)),
        (json(429, "{}"), (Err(Why::Throttled), 1)),
        (json(500, "{}"), (Err(Why::Status(500)), 3)),
        (json(501, "{}"), (Err(Why::Status(501)), 1)),
        (json(502, "{}"), (Err(Why::Status(502)), 3)),
        (json(503, "{}"), (Err(Why::Status(503)), 3)),
        (shed(503), (Err(Why::Status(503)), 1)),
        (json(504, "{}"), (Err(Why::Status(504)), 3)),
        (json(599, "{}"), (Err(Why::Status(599)), 1)),
    ] {
        assert_eq!(outcome(reply, PATIENT).await, expected);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Backend::start([json(200, "{}")]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: http://{}/y\r\n", elsewhere.address);
        let text = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n");
        assert_eq!(outcome(bytes(&text), PATIENT).await, (Err(Why::Redirected), 1));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn nonsense_and_early_ends_are_cuts() {
    for text in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-",
    ] {
        assert_eq!(outcome(bytes(text), PATIENT).await, (Err(Why::Cut), 3), "{text:?}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(4 * HEAD_BYTES_MAX));
    assert_eq!(outcome(bytes(&endless), PATIENT).await.0, Err(Why::Cut), "the head is bounded");
}

#[tokio::test]
async fn longer_answers_are_not_read() {
    let fits = "x".repeat(ANSWER_BYTES_MAX);
    assert_eq!(outcome(json(200, fits.clone()), PATIENT).await, (Ok(200), 1));
    assert_eq!(outcome(json(200, fits.clone() + "x"), PATIENT).await, (Err(Why::Oversized), 1));
    let unannounced = format!("HTTP/1.1 200 OK\r\n\r\n{fits}x");
    assert_eq!(outcome(bytes(&unannounced), PATIENT).await, (Err(Why::Oversized), 1));
}

#[tokio::test]
async fn a_silent_service_is_asked_as_often_as_patience_says() {
    assert_eq!(outcome(Reply::Never, HASTY).await, (Err(Why::TimedOut), 3));
    for begun in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{"] {
        assert_eq!(outcome(Reply::Stall(begun), HASTY).await, (Err(Why::TimedOut), 3), "{begun:?}");
    }
    let venue = Patience { again: Again::Connection, ..HASTY };
    assert_eq!(outcome(Reply::Never, venue).await, (Err(Why::TimedOut), 1));
}

#[tokio::test]
async fn nobody_there_is_unconnected_and_no_address_unresolved() {
    let began = Instant::now();
    let refused = caller(vec![nowhere().await], CLOSED).ask(&question(), &PATIENT).await;
    assert_eq!(refused.err(), Some(Why::Unconnected.into()));
    let unresolved = caller(Vec::new(), CLOSED).ask(&question(), &PATIENT).await;
    assert_eq!(unresolved.err(), Some(Why::Unresolved.into()));
    assert!(began.elapsed() < PATIENT.attempt, "neither waits");
}

#[tokio::test]
async fn another_instance_is_asked_after_a_failed_one() {
    let backend = Backend::start([json(200, "{}")]).await;
    let caller = caller(vec![nowhere().await, backend.address], CLOSED);
    let venue = Patience { pauses: &[Duration::ZERO], again: Again::Connection, ..PATIENT };
    for _ in 0..3 {
        assert_eq!(caller.ask(&question(), &venue).await.map(|answer| answer.status), Ok(200));
    }
}

#[tokio::test]
async fn a_repeated_question_goes_elsewhere_whatever_others_asked_meanwhile() {
    let patient = Patience { pauses: &[PAUSE], ..PATIENT };
    // Which of the two goes first to whom is chance.
    for _ in 0..12 {
        let failing = Backend::start([json(500, "{}")]).await;
        let well = Backend::start([json(200, "{}")]).await;
        let caller = caller(vec![failing.address, well.address], CLOSED);
        let (one, other) = (question(), question());
        let answers = tokio::join!(caller.ask(&one, &patient), caller.ask(&other, &patient));
        assert_eq!([answers.0, answers.1].map(|answer| answer.map(|answer| answer.status)), [Ok(200); 2]);
    }
}

#[tokio::test]
async fn a_slow_instance_is_asked_less_than_a_fast_one() {
    let (slow, fast) = (Backend::start([json(200, "{}")]).await, Backend::start([json(200, "{}")]).await);
    let caller = caller(vec![slow.address, fast.address], CLOSED);
    for _ in 0..40 {
        let second = Duration::from_secs(1);
        caller.endpoints.record(caller.id, slow.address, Outcome::Success, second);
        caller.ask(&question(), &PATIENT).await.expect("an answer");
    }
    assert!(slow.seen().len() < 10 && fast.seen().len() > 30, "{} slow ones", slow.seen().len());
}

#[tokio::test]
async fn a_failure_is_over_when_the_service_is_back() {
    let backend = Backend::start([json(500, "{}"), bytes(""), json(200, "[1]")]).await;
    let answer = caller(vec![backend.address], CLOSED).ask(&question(), &PATIENT).await.expect("an answer");
    assert_eq!((answer.status, &*answer.body), (200, &b"[1]"[..]));
    assert_eq!(backend.seen().len(), 3);
}

#[tokio::test]
async fn connections_are_used_again() {
    let backend = Backend::start([json(200, "{}")]).await;
    let caller = caller(vec![backend.address], CLOSED);
    for _ in 0..20 {
        caller.ask(&question(), &PATIENT).await.expect("an answer");
    }
    assert_eq!((backend.seen().len(), backend.connections()), (20, 1));
}

#[tokio::test]
async fn a_question_names_the_instance_and_who_asks() {
    let backend = Backend::start([json(200, "{}")]).await;
    let asker = Asker {
        request_id: "request-1".to_owned(),
        correlation_id: "correlation-1".to_owned(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        tracestate: "vendor=1".to_owned(),
        forwarded_for: "203.0.113.7, 10.0.0.1".to_owned(),
    };
    let post = Question::post("/x?a=1".to_owned(), "{\"a\":1}".to_owned(), &asker, Credential::Nobody);
    caller(vec![backend.address], CLOSED).ask(&post, &PATIENT).await.expect("an answer");
    let seen = &backend.seen()[0];
    assert_eq!((seen.line.as_str(), seen.body.as_str()), ("POST /x?a=1 HTTP/1.1", "{\"a\":1}"));
    for (name, expected) in [
        ("host", "service.internal:3001"),
        ("x-request-id", "request-1"),
        ("x-correlation-id", "correlation-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "vendor=1"),
        ("x-forwarded-for", "203.0.113.7, 10.0.0.1"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "floodgate"),
    ] {
        assert_eq!(seen.header(name), Some(expected), "{name}");
    }
    let unfit = Asker { request_id: "a\r\nx-evil: 1".to_owned(), ..Asker::default() };
    let get = Question::get("/".to_owned(), &unfit, Credential::Nobody);
    assert_eq!(get.headers.len(), 2, "accept and user-agent: {:?}", get.headers);
}

#[tokio::test]
async fn failures_open_the_circuit_and_one_success_closes_it() {
    let parameters = Parameters { error_percent: 50, volume: 2, ..CLOSED };
    let backend = Backend::start([json(500, "{}")]).await;
    let caller_of = |parameters| caller(vec![backend.address], parameters);
    let opened = caller_of(parameters);
    assert_eq!(opened.ask(&question(), &PATIENT).await.err(), Some(Why::CircuitOpen.into()));
    assert_eq!(backend.seen().len(), 2, "the third attempt met the open circuit");
    assert_eq!(opened.ask(&question(), &PATIENT).await.err(), Some(Why::CircuitOpen.into()));
    assert_eq!(backend.seen().len(), 2);

    let well = Backend::start([json(500, "{}"), json(500, "{}"), json(200, "{}")]).await;
    let recovering = caller(vec![well.address], Parameters { reset_ms: 1, ..parameters });
    let patient = Patience { pauses: &[PAUSE, PAUSE], ..PATIENT };
    assert!(recovering.ask(&question(), &patient).await.is_ok(), "the probe after a moment");
    assert_eq!(recovering.circuit.position(), Position::Closed);
}

#[tokio::test]
async fn refusals_and_limits_leave_the_circuit_closed() {
    let parameters = Parameters { error_percent: 1, volume: 1, ..CLOSED };
    let shed = Reply::Answer(503, "Retry-After: 1\r\n", String::new());
    for reply in [json(401, "{}"), json(404, "{}"), json(429, "{}"), json(501, "{}"), shed] {
        let backend = Backend::start([reply]).await;
        let caller = caller(vec![backend.address], parameters);
        let _ = caller.ask(&question(), &PATIENT).await;
        assert_eq!(caller.circuit.position(), Position::Closed);
    }
    for reply in [json(500, "{}"), bytes("nonsense\r\n\r\n"), Reply::Never] {
        let backend = Backend::start([reply]).await;
        let caller = caller(vec![backend.address], parameters);
        let _ = caller.ask(&question(), &HASTY).await;
        assert_ne!(caller.circuit.position(), Position::Closed);
    }
}

#[tokio::test]
async fn a_question_that_is_given_up_does_not_hold_the_trial() {
    let parameters = Parameters { error_percent: 1, volume: 1, reset_ms: 1, ..CLOSED };
    let backend = Backend::start([json(500, "{}"), Reply::Never, json(200, "{}")]).await;
    let caller = caller(vec![backend.address], parameters);
    let once = Patience { pauses: &[], ..PATIENT };
    caller.ask(&question(), &once).await.expect_err("it failed");
    tokio::time::sleep(PAUSE).await;
    let given_up = question();
    tokio::select! {
        answer = caller.ask(&given_up, &once) => panic!("{answer:?}"),
        () = backend.wait_for_requests(2) => {}
    }
    assert!(caller.ask(&question(), &once).await.is_ok(), "the trial was free again");
}
