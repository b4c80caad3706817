//! What a client sees, and what is counted, when a service fails in each of the ways services fail.

use crate::harness::polling::pause;
use crate::harness::token::USER;
use crate::harness::{Backend, Client, Command, Edge, Gate, Script, Step, Token, eventually};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";

fn edge_before(script: Script) -> (Backend, Edge) {
    let backend = Backend::start().on(ROW, script);
    let edge = Edge::start(&backend);
    (backend, edge)
}

fn token() -> String {
    Token::valid().build()
}

/// Waits until nothing is in flight any more.
fn is_released(edge: &Edge) {
    edge.metrics_say("no request is in flight", |metrics| {
        metrics.count("gateway_http_requests_in_flight", &[]) == 0
    });
}

#[test]
fn a_service_that_refuses_connections_is_unavailable() {
    let refused = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let url = format!("http://{}", refused.expect("a loopback port is free"));
    let backend = Backend::start();
    let edge = Command::run(&backend).service_url("ticket", &url).start();
    let answer = edge.fetch_as(&token(), ROW);
    let problem = answer.expect_problem(503, "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("5"));
    let text = problem.to_string();
    assert!(!text.contains("127.0.0.1") && !text.to_lowercase().contains("refused"), "{text}");
    edge.metrics_say("the connect error is counted", |metrics| {
        metrics
            .count("gateway_downstream_requests_total", &[("service", "ticket"), ("status", "connect_error")])
            >= 1
    });
    is_released(&edge);
}

#[test]
fn broken_answers_are_a_bad_gateway() {
    let cases = [
        ("garbage", Script::garbage()),
        ("close before the head", Script::close_before_head()),
        ("close inside the head", Script::close_inside_head()),
        ("a reset", Script::of(vec![Step::Reset])),
        ("an endless head", Script::huge_head(200_000)),
        ("an unknown version", Script::bytes_then_close("HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n")),
        ("a status that is no number", Script::bytes_then_close("HTTP/1.1 abc OK\r\n\r\n")),
        (
            "both framing fields",
            Script::bytes_then_close(
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
        ),
        (
            "two lengths",
            Script::bytes_then_close("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ),
        ("an injected line", Script::bytes_then_close("HTTP/1.1 200 OK\r\nx-a: b\nset-cookie: c\r\n\r\n")),
    ];
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let count = cases.len() as u64;
    for (what, script) in cases {
        backend.script("/transfer", Script::echo());
        backend.script("/api/v1/transfer", script);
        let mut client = edge.client();
        // A write without an idempotency key, so that nothing is tried twice.
        let answer = client.request("POST", "/api/v1/transfer/x").bearer(&token()).body("{}").send();
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        answer.expect_problem(502, "BAD_GATEWAY");
    }
    edge.counts("gateway_http_requests_total", &[("status", "502")], count);
    assert_eq!(backend.hits() as u64, count, "no write was sent twice");
    is_released(&edge);
}

#[test]
fn a_service_that_does_not_answer_is_timed_out() {
    let backend = Backend::start().on("/auth/login", Script::hanging());
    let edge = Edge::start(&backend);
    let started = Instant::now();
    let mut client = edge.client();
    let answer = client.request("POST", "/api/v1/auth/login").body("{}").send();
    answer.expect_problem(504, "SERVICE_TIMEOUT");
    let took = started.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&took), "row A1 has 5 s: {took:?}");
    eventually("the service's connection is given up", || (backend.hung_up() == 1).then_some(()));
    edge.counts("gateway_timeouts_total", &[("service", "auth")], 1);
    is_released(&edge);
}

#[test]
fn a_slow_upload_is_not_the_services_fault() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = "POST /api/v1/auth/login HTTP/1.1\r\nhost: edge\r\ncontent-length: 7\r\n\r\n";
    client.send_raw(request);
    // One byte a second: longer than the 5 s of row A1, never longer than a body may pause.
    for byte in b"abcdefg" {
        pause(Duration::from_secs(1));
        client.send_raw([*byte]);
    }
    client.response_to("POST").expect_status(200);
    assert_eq!(backend.last().body.length, 7);
    edge.counts("gateway_timeouts_total", &[], 0);
    is_released(&edge);
}

#[test]
fn an_answer_that_a_refused_body_broke_off_never_looks_whole() {
    let gate = Gate::new();
    let steps = vec![Step::Send(b"HTTP/1.1 200 OK\r\n\r\npart".to_vec()), Step::Await(gate.clone())];
    let script = Script { body_first: false, steps };
    for version in ["1.1", "1.0"] {
        let backend = Backend::start().on("/auth/login", script.clone());
        let edge = Edge::start(&backend);
        let mut client = edge.client();
        let length = if version == "1.1" { "transfer-encoding: chunked" } else { "content-length: 60000" };
        let first = if version == "1.1" { "3\r\nabc\r\n" } else { "abc" };
        client.send_raw(format!(
            "POST /api/v1/auth/login HTTP/{version}\r\nhost: edge\r\n{length}\r\n\r\n{first}"
        ));
        let head = client.head();
        // No chunk begins like this; a client of 1.0 breaks its body off instead.
        if version == "1.1" {
            client.send_raw("zz\r\n");
        } else {
            client.finish_sending();
        }
        let body = client.body_behind(&head, "POST");
        assert!(body.map_or(true, |body| !body.complete), "{version}: a part looks like the whole");
        is_released(&edge);
    }
    gate.open();
}

#[test]
fn a_slow_answer_within_the_deadline_arrives() {
    let (_backend, edge) = edge_before(Script::slow_head(Duration::from_millis(700)));
    assert_eq!(edge.fetch_as(&token(), ROW).text(), "slow");
    edge.counts("gateway_timeouts_total", &[], 0);
}

#[test]
fn a_cut_body_never_looks_complete() {
    let cases = [Script::close_inside_body(), Script::close_inside_chunks()];
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for script in cases {
        backend.script(ROW, script);
        let mut client = edge.client();
        // The head may be overtaken by the reset that follows it.
        if let Ok(answer) = client.request("GET", ROW).bearer(&token()).try_send() {
            assert!(answer.status == 502 || !answer.body.complete, "{}", answer.text());
            assert!(answer.status == 502 || client.is_closed());
        }
    }
    is_released(&edge);
}

#[test]
fn a_bad_chunk_of_a_service_ends_the_answer() {
    let bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\nabc\r\n0\r\n\r\n";
    let (_backend, edge) = edge_before(Script::bytes(bytes));
    let answer = edge.client().request("GET", ROW).bearer(&token()).try_send();
    assert!(answer.map_or(true, |answer| answer.status == 502 || !answer.body.complete));
    is_released(&edge);
}

#[test]
fn bytes_after_an_answer_never_reach_the_next_client() {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison");
    let (backend, edge) = edge_before(Script::bytes(bytes));
    assert_eq!(edge.fetch_as(&token(), ROW).text(), "ok");
    backend.script(ROW, Script::answer(200, &[], "clean"));
    for _ in 0..3 {
        assert_eq!(edge.fetch_as(&token(), ROW).text(), "clean");
    }
}

#[test]
fn answers_of_any_status_pass_as_they_are() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for status in [201, 301, 307, 400, 401, 403, 404, 409, 410, 422, 429, 500, 501] {
        let body = format!("{{\"status\":{status},\"trace\":\"kept\"}}");
        let fields = [("content-type", "application/json"), ("location", "https://example.com/x")];
        backend.script("/api/v1/transfer", Script::answer(status, &fields, &body));
        let mut client = edge.client();
        let answer = client.request("POST", "/api/v1/transfer/x").bearer(&token()).body("{}").send();
        assert_eq!((answer.status, answer.text()), (status, body));
        assert_eq!(answer.header("location"), Some("https://example.com/x"));
    }
}

#[test]
fn a_body_that_ends_with_the_connection_is_delivered() {
    let (_backend, edge) = edge_before(Script::close_delimited(b"until the end"));
    let token = token();
    let mut client = edge.client();
    for _ in 0..2 {
        let answer = client.fetch_as(&token, ROW);
        assert_eq!(answer.text(), "until the end");
        assert!(answer.body.complete);
    }
}

#[test]
fn interim_answers_do_not_confuse_the_final_one() {
    for status in [100, 102, 103] {
        let (_backend, edge) = edge_before(Script::interim(status));
        let token = token();
        let mut client = edge.client();
        for _ in 0..2 {
            let answer = client.fetch_as(&token, ROW);
            assert_eq!((answer.status, answer.text().as_str()), (200, "final"), "{status}");
        }
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let backend = Backend::start().on("/images", Script::early(409));
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("POST", "/api/v1/files/images/x").bearer(&token());
    let answer = request.pattern(20 * 1024 * 1024).send();
    assert_eq!((answer.status, answer.text().as_str()), (409, "early"));
    is_released(&edge);
}

#[test]
fn connections_to_a_service_are_reused() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = token();
    for _ in 0..10 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    let connections: std::collections::BTreeSet<u64> =
        backend.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections.len(), 1, "ten requests in a row need one connection");
}

#[test]
fn a_pooled_connection_that_went_stale_is_replaced_without_a_failure() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = token();
    for round in 0..5 {
        let mut client = edge.client();
        client.fetch_as(&token, ROW).expect_status(200);
        backend.close_connections();
        client.fetch_as(&token, ROW).expect_status(200);
        let request = client.request("POST", "/api/v1/transfer/x").bearer(&token).body(round.to_string());
        request.send().expect_status(200);
    }
    assert_eq!(backend.hits(), 15);
}

#[test]
fn a_write_is_not_sent_twice_without_a_key() {
    let backend = Backend::start().on("/api/v1/transfer", Script::close_before_head());
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let answer = client.request("POST", "/api/v1/transfer/x").bearer(&token()).body("{}").send();
    answer.expect_problem(502, "BAD_GATEWAY");
    assert_eq!(backend.hits(), 1);
}

#[test]
fn a_stalled_service_does_not_delay_others() {
    let gate = Gate::new();
    let stalled = Backend::named("ticket").on(ROW, Script::gated(&gate));
    let healthy = Backend::start();
    let edge = Command::run(&healthy).service("ticket", &stalled).start();
    let token = token();
    let mut waiting: Vec<Client> = (0..50).map(|_| edge.client()).collect();
    for client in &mut waiting {
        client.request("GET", ROW).bearer(&token).send_only();
    }
    eventually("all of them wait at the service", || (stalled.hits() == 50).then_some(()));
    let started = Instant::now();
    for _ in 0..20 {
        edge.fetch_as(&token, "/api/v1/events").expect_status(200);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    edge.metrics_say("the waiting requests are in flight", |metrics| {
        metrics.count("gateway_http_requests_in_flight", &[]) == 50
    });
    gate.open();
    for client in &mut waiting {
        client.response_to("GET").expect_status(200);
    }
    is_released(&edge);
}

#[test]
fn an_answer_that_only_the_connections_end_can_end_is_reset_where_its_client_reads_too_slowly() {
    let steps = vec![Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Step::Pattern(64 << 20)];
    let backend = Backend::start().on("/stream", Script::of(steps));
    let edge = Command::run(&backend).set("FLOODGATE_WRITE_TIMEOUT_MS", "1000").start();
    let mut client = edge.client();
    let token = token();
    client.send_raw(format!(
        "GET /api/v1/files/stream/x HTTP/1.0\r\nhost: edge\r\nauthorization: Bearer {token}\r\n\r\n"
    ));
    eventually("the service's connection is given up", || (backend.hung_up() == 1).then_some(()));
    let answer = client.try_response_to("GET");
    assert!(answer.map_or(true, |answer| !answer.body.complete), "a part looks like the whole");
    is_released(&edge);
}

#[test]
fn a_client_that_vanishes_releases_everything_and_is_counted() {
    let (backend, edge) = edge_before(Script::hanging());
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    eventually("the request is at the service", || (backend.hits() == 1).then_some(()));
    client.vanish();
    eventually("the service's connection is given up", || (backend.hung_up() == 1).then_some(()));
    let aborted = [("service", "ticket"), ("status", "aborted")];
    edge.metrics_say("the abort is counted", |metrics| {
        metrics.count("gateway_downstream_requests_total", &aborted) == 1
    });
    is_released(&edge);
}

#[test]
fn an_endless_answer_ends_with_its_client() {
    let (backend, edge) = edge_before(Script::endless_body());
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    assert_eq!(client.head().start, b"HTTP/1.1 200 OK");
    client.vanish();
    eventually("the service's connection is given up", || (backend.hung_up() == 1).then_some(()));
    is_released(&edge);
}

#[test]
fn a_slow_body_arrives_as_it_comes() {
    let gate = Gate::new();
    let (_backend, edge) = edge_before(Script::slow_body(&gate, b"finally"));
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token()).send_only();
    assert_eq!(client.head().start, b"HTTP/1.1 200 OK", "the head is not held back for the body");
    gate.open();
}

#[test]
fn a_venue_decision_that_nobody_can_make_fails_closed() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = token();
    let venue = format!("/api/v1/venues/{USER}/settings");
    edge.fetch_as(&token, &venue).expect_problem(503, "SERVICE_UNAVAILABLE");
    edge.fetch_as(&token, "/api/v1/venues/not-a-uuid/settings").expect_problem(404, "NOT_FOUND");
    let mut client = edge.client();
    let cancel = client.request("POST", "/api/v1/events").bearer(&token).body("{}").send();
    cancel.expect_problem(503, "SERVICE_UNAVAILABLE");
    let asked: Vec<_> = backend.received().into_iter().map(|received| received.target).collect();
    let questions = [format!("/api/v1/venues/{USER}/check-access"), "/api/v1/venues/user".to_owned()];
    assert_eq!(
        asked,
        questions.map(String::into_bytes),
        "what reached a service are the edge's own questions"
    );
}
