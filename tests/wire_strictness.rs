//! Requests as bytes: what is ambiguous is refused and the connection closed; what is allowed arrives byte-exact.

use crate::harness::{Backend, Command, Edge, Script, Token};

const ROW: &str = "/api/v1/tickets";

/// A request head for the row with a valid token; `extra` are whole lines with CRLF.
fn head(method: &str, target: &str, extra: &str) -> String {
    let token = Token::valid().build();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: api.tickettoken.com\r\nAuthorization: Bearer {token}\r\n{extra}\r\n"
    )
}

/// Sends bytes on a connection of its own; the edge must answer so, close, and forward nothing.
fn is_refused(edge: &Edge, backend: &Backend, what: &str, bytes: impl AsRef<[u8]>, status: u16) {
    let before = backend.hits();
    let mut client = edge.client();
    client.send_raw(bytes);
    let answer = client.try_response_to("POST").unwrap_or_else(|fault| panic!("{what}: {fault}"));
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert!(client.is_closed(), "{what}: the connection stays open");
    assert_eq!(backend.hits(), before, "{what}: something was forwarded");
}

#[test]
fn ambiguous_framing_is_refused_and_nothing_is_forwarded() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let smuggled = "GET /api/v1/tickets/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        ("both framing fields", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        ("both, the other way", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        ("two different lengths", "Content-Length: 4\r\nContent-Length: 5\r\n"),
        ("two equal lengths", "Content-Length: 4\r\nContent-Length: 4\r\n"),
        ("a list of lengths", "Content-Length: 4, 4\r\n"),
        ("a signed length", "Content-Length: +4\r\n"),
        ("a negative length", "Content-Length: -1\r\n"),
        ("a hexadecimal length", "Content-Length: 0x4\r\n"),
        ("an empty length", "Content-Length: \r\n"),
        ("a length beyond 64 bits", "Content-Length: 18446744073709551616\r\n"),
        ("an unknown coding", "Transfer-Encoding: gzip\r\n"),
        ("chunked that is not last", "Transfer-Encoding: chunked, gzip\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
        ("chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("identity", "Transfer-Encoding: identity\r\n"),
        ("a coding with a tab inside", "Transfer-Encoding: \x0bchunked\r\n"),
        ("a quoted coding", "Transfer-Encoding: \"chunked\"\r\n"),
        ("an empty coding", "Transfer-Encoding: \r\n"),
    ];
    for (what, framing) in cases {
        let bytes = format!("{}0\r\n\r\n{smuggled}", head("POST", ROW, framing));
        is_refused(&edge, &backend, what, bytes, 400);
    }
    let count = cases.len() as u64;
    edge.counts("gateway_http_requests_total", &[("status", "400")], count);
}

#[test]
fn malformed_heads_are_refused() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let cases = [
        ("a bare LF", "GET / HTTP/1.1\nHost: a\n\n"),
        ("a bare LF in a field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        ("a bare CR", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
        ("a folded field", "GET / HTTP/1.1\r\nHost: a\r\nAccept: a\r\n b\r\n\r\n"),
        ("a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nAccept : b\r\n\r\n"),
        ("a line without a colon", "GET / HTTP/1.1\r\nHost: a\r\nAccept\r\n\r\n"),
        ("an empty name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
        ("a name with a bracket", "GET / HTTP/1.1\r\nHost: a\r\nA(b): c\r\n\r\n"),
        ("a control byte", "GET / HTTP/1.1\r\nHost: a\r\nAccept: a\x01b\r\n\r\n"),
        ("a NUL", "GET / HTTP/1.1\r\nHost: a\r\nAccept: a\0b\r\n\r\n"),
        ("a space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        ("no Host", "GET / HTTP/1.1\r\nAccept: b\r\n\r\n"),
        ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ("an unknown version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        ("version 2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ("no version", "GET /\r\nHost: a\r\n\r\n"),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a method with a bracket", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n"),
    ];
    for (what, bytes) in cases {
        is_refused(&edge, &backend, what, bytes, 400);
    }
}

#[test]
fn bad_chunks_are_refused() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let cases = [
        ("a size that is no number", "xyz\r\n\r\n"),
        ("an empty size", "\r\nabc\r\n0\r\n\r\n"),
        ("a signed size", "+3\r\nabc\r\n0\r\n\r\n"),
        ("a prefixed size", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000000\r\nabc"),
        ("data without CRLF", "3\r\nabcX\r\n0\r\n\r\n"),
        ("a bare LF after the size", "3\nabc\r\n0\r\n\r\n"),
        ("a bare LF after the data", "3\r\nabc\n0\r\n\r\n"),
        ("a space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
    ];
    for (what, body) in cases {
        let mut client = edge.client();
        client.send_raw(head("POST", "/api/v1/transfer/x", "Transfer-Encoding: chunked\r\n") + body);
        let answer = client.try_response_to("POST").unwrap_or_else(|fault| panic!("{what}: {fault}"));
        assert_eq!(answer.status, 400, "{what}");
        assert!(client.is_closed(), "{what}");
    }
    let completed = backend.received().iter().filter(|received| received.body.complete).count();
    assert_eq!(completed, 0, "no service takes a broken body for a whole one");
}

#[test]
fn an_endless_chunk_extension_is_refused() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let chunk = format!("3;{}\r\nabc\r\n0\r\n\r\n", "e".repeat(4096));
    client.send_raw(head("POST", "/api/v1/transfer/x", "Transfer-Encoding: chunked\r\n") + &chunk);
    assert_eq!(client.response_to("POST").status, 400);
    assert!(client.is_closed());
}

#[test]
fn sizes_have_limits_with_their_own_status() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let long_target = head("GET", &format!("{ROW}/{}", "a".repeat(8192)), "");
    is_refused(&edge, &backend, "a long target", long_target, 414);
    let large = head("GET", ROW, &format!("Cookie: {}\r\n", "c".repeat(33_000)));
    is_refused(&edge, &backend, "a large head", large, 431);
    let many = head("GET", ROW, &"Accept: a\r\n".repeat(100));
    is_refused(&edge, &backend, "too many fields", many, 431);
}

#[test]
fn paths_that_leave_their_row_are_refused_with_a_token_in_hand() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::of_role("superadmin").build();
    let paths = [
        "/api/v1/events/../internal/x",
        "/api/v1/events/./x",
        "/api/v1/events/%2e%2e/internal/x",
        "/api/v1/events/.%2e/x",
        "/api/v1/events/%2E./x",
        "/api/v1/events/..%2finternal",
        "/api/v1/events/a%2fb",
        "/api/v1/events/a%5cb",
        "/api/v1/events/a\\b",
        "/api/v1/events/a%00b",
        "/api/v1/events/a%0ab",
        "/api/v1/events/a%7fb",
        "/api/v1/events/a;b",
        "/api/v1/events/a%zz",
        "/api/v1/events/a%2",
        "/api/v1/events/a%252e%252e",
        "/api/v1/events/a%252fb",
        "/api/v1/events//a",
        "//api/v1/events",
        "/api/v1/events/a//",
        "/api/v1/events/a#b",
        "/api/v1/auth/login/%2e%2e/internal/users/u1",
        "/api/v1/search/%2e%2e/%2e%2e/internal/x",
    ];
    for path in paths {
        let answer = edge.fetch_as(&token, path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        answer.expect_problem(400, "INVALID_PATH");
    }
    assert_eq!(backend.hits(), 0);
    edge.counts("gateway_http_requests_total", &[("status", "400")], paths.len() as u64);
    edge.metrics_say("path attacks are security events", |metrics| {
        metrics.count("gateway_security_events_total", &[("severity", "high")]) >= 1
    });
}

#[test]
fn internal_paths_do_not_exist() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::of_role("superadmin").build();
    for path in [
        "/api/v1/auth/internal/users/u1",
        "/api/v1/auth/%69nternal/users/u1",
        "/api/v1/events/INTERNAL/x",
        "/internal",
    ] {
        edge.fetch_as(&token, path).expect_problem(404, "NOT_FOUND");
    }
    assert_eq!(backend.hits(), 0);
}

#[test]
fn bytes_outside_ascii_in_the_target_are_refused() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    client.send_raw(head("GET", "/api/v1/events/\u{e9}", ""));
    client.response_to("GET").expect_status(400);
    assert_eq!(backend.hits(), 0);
}

#[test]
fn a_target_is_forwarded_byte_for_byte() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let targets = [
        "/api/v1/tickets/a%3Fb%23c",
        "/api/v1/tickets/%41%7E!$&'()*+,=:@",
        "/api/v1/tickets?tag=a&tag=b",
        "/api/v1/tickets?a=%2F..%2F&b=+%20&&c",
        "/api/v1/tickets?",
        "/api/v1/tickets/x?y=?z/../",
    ];
    for target in targets {
        edge.fetch_as(&token, target).expect_status(200);
        assert_eq!(backend.last().target(), target);
    }
}

#[test]
fn one_trailing_slash_is_dropped_and_literals_take_the_tables_spelling() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    edge.fetch_as(&token, "/api/v1/tickets/").expect_status(200);
    assert_eq!(backend.last().target(), "/api/v1/tickets");
    edge.fetch_as(&token, "/API/v1/Tickets/AbC?Q=1").expect_status(200);
    assert_eq!(backend.last().target(), "/api/v1/tickets/AbC?Q=1");
    edge.client().request("POST", "/api/v1/auth/LOGIN").body("{}").send().expect_status(401);
}

#[test]
fn an_absolute_target_is_reduced_to_its_path() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    client.send_raw(head("GET", "http://api.tickettoken.com/api/v1/tickets?x=1", ""));
    client.response_to("GET").expect_status(200);
    assert_eq!(backend.only().target(), "/api/v1/tickets?x=1");
}

#[test]
fn methods_that_no_row_has_are_refused_with_allow() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    for method in ["CONNECT", "TRACE"] {
        let answer = edge.client().request(method, ROW).bearer(&token).send();
        assert_eq!(answer.status, 405, "{method}");
    }
    let answer = edge.client().request("DELETE", "/api/v1/search/events").bearer(&token).send();
    answer.expect_problem(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), Some("OPTIONS, GET, HEAD"));
    let options = edge.client().request("OPTIONS", "/api/v1/search/events").send();
    assert_eq!((options.status, options.body.length), (204, 0));
    assert!(options.header("allow").is_some_and(|allow| allow.contains("GET")), "{:?}", options.fields);
    assert_eq!(backend.hits(), 0);
}

#[test]
fn an_upgrade_is_not_implemented() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("GET", ROW).bearer(&Token::valid().build()).header("Connection", "Upgrade");
    request.header("Upgrade", "websocket").send().expect_problem(501, "NOT_IMPLEMENTED");
    assert_eq!(backend.hits(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::start()
        .on("/api/v1/tickets/1", Script::answer(200, &[], "one"))
        .on("/api/v1/tickets/2", Script::answer(404, &[], "two"));
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let first = head("GET", "/api/v1/tickets/1", "");
    let second = head("POST", "/api/v1/tickets/2", "Content-Length: 3\r\n") + "abc";
    let third = "GET /api/v1/tickets HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send_raw(format!("{first}{second}{third}{first}"));
    let answers = ["GET", "POST", "GET", "GET"].map(|method| client.response_to(method));
    assert_eq!(answers[0].text(), "one");
    assert_eq!((answers[1].status, answers[1].text().as_str()), (404, "two"));
    assert_eq!(answers[2].status, 401);
    assert_eq!(answers[3].text(), "one");
    assert_eq!(backend.hits(), 3);
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    for byte in head("POST", "/api/v1/transfer/x", "Content-Length: 2\r\n").into_bytes() {
        client.send_raw([byte]);
    }
    client.send_raw("h");
    client.send_raw("i");
    client.response_to("POST").expect_status(200);
    assert_eq!(backend.only().body.bytes, b"hi");
}

#[test]
fn a_client_of_version_1_0_gets_a_closed_connection_and_no_chunks() {
    let backend = Backend::start().on(ROW, Script::chunked(&["abc", "def"], &[]));
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    client.send_raw(head("GET", ROW, "").replace("HTTP/1.1", "HTTP/1.0"));
    let answer = client.response_to("GET");
    assert_eq!(answer.text(), "abcdef");
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_asks_for_close_gets_it() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("GET", ROW).bearer(&Token::valid().build()).header("Connection", "close");
    let answer = request.send();
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_client_that_stops_sending_still_gets_its_answer() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    client.send_raw(head("GET", ROW, ""));
    client.finish_sending();
    client.response_to("GET").expect_status(200);
    assert!(client.is_closed());
}

#[test]
fn a_body_is_asked_for_only_after_the_grant() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let expecting = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    let mut client = edge.client();
    client.send_raw(head("POST", "/api/v1/transfer/x", expecting));
    assert_eq!(client.head().start, b"HTTP/1.1 100 Continue");
    client.send_raw("hello");
    client.response_to("POST").expect_status(200);
    assert_eq!(backend.only().body.bytes, b"hello");
    assert_eq!(backend.only().header("expect"), None);
    let mut stranger = edge.client();
    stranger.send_raw(format!("POST /api/v1/transfer/x HTTP/1.1\r\nHost: a\r\n{expecting}\r\n"));
    let answer = stranger.response_to("POST");
    assert_eq!((answer.status, answer.interim.len()), (401, 0));
}

#[test]
fn an_empty_line_before_a_request_is_tolerated_but_not_a_flood() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    client.send_raw("\r\n".to_owned() + &head("GET", ROW, ""));
    client.response_to("GET").expect_status(200);
    let mut flood = edge.client();
    // The edge may close while the flood is still being written.
    let _ = flood.try_send_raw("\r\n".repeat(50_000));
    let refused = flood.try_response_to("GET").map_or(true, |answer| answer.status >= 400);
    assert!(refused);
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_timed_out() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("FLOODGATE_HEAD_TIMEOUT_MS", "300").start();
    let mut client = edge.client();
    client.send_raw("GET /api/v1/tickets HTTP/1.1\r\nHost: a\r\nAcc");
    client.response_to("GET").expect_problem(408, "REQUEST_TIMEOUT");
    assert!(client.is_closed());
    edge.counts("gateway_rejections_total", &[("reason", "head_timeout")], 1);
}

#[test]
fn a_head_that_drips_is_timed_out_all_the_same() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("FLOODGATE_HEAD_TIMEOUT_MS", "300").start();
    let mut client = edge.client();
    client.send_raw("GET /api/v1/tickets HTTP/1.1\r\nHost: a\r\n");
    let refused = crate::harness::holds_within(std::time::Duration::from_secs(5), || {
        client.try_send_raw("X-A: b\r\n").is_err()
    });
    assert!(refused, "every byte starts the time anew");
}

#[test]
fn a_body_that_stops_coming_is_timed_out() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("FLOODGATE_BODY_IDLE_TIMEOUT_MS", "300").start();
    let mut client = edge.client();
    client.send_raw(head("POST", "/api/v1/transfer/x", "Content-Length: 10\r\n") + "half");
    client.response_to("POST").expect_problem(408, "REQUEST_TIMEOUT");
    assert!(client.is_closed());
    assert!(backend.received().iter().all(|received| !received.body.complete));
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("FLOODGATE_KEEP_ALIVE_IDLE_MS", "300").start();
    let mut client = edge.client();
    client.get(ROW).expect_status(401);
    assert!(client.is_closed());
    edge.metrics_say("nothing is left open", |metrics| metrics.count("gateway_active_connections", &[]) == 0);
}

#[test]
fn connections_over_the_cap_are_told_so() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("FLOODGATE_CONNECTIONS_MAX", "3").start();
    let mut held: Vec<_> = (0..3).map(|_| edge.client()).collect();
    for client in &mut held {
        client.get(ROW).expect_status(401);
    }
    let mut fourth = edge.client();
    let answer = fourth.request("GET", ROW).try_send().expect("an honest answer, not silence");
    answer.expect_problem(503, "SERVICE_UNAVAILABLE");
    assert!(fourth.is_closed());
    drop(held);
    crate::harness::eventually("room for new connections", || {
        let answer = edge.client().request("GET", ROW).try_send().ok()?;
        (answer.status == 401).then_some(())
    });
}

#[test]
fn requests_over_the_in_flight_cap_are_told_so() {
    let gate = crate::harness::Gate::new();
    let backend = Backend::start().on(ROW, Script::gated(&gate));
    // Without shedding, which begins below the cap and ends some time after it.
    let command = Command::run(&backend).set("FLOODGATE_IN_FLIGHT_MAX", "2");
    let edge = command.set("FLOODGATE_SHED_IN_FLIGHT", "0").start();
    let mut waiting: Vec<_> = (0..2).map(|_| edge.client()).collect();
    for client in &mut waiting {
        client.send_raw(head("GET", ROW, ""));
    }
    crate::harness::eventually("both are at the service", || (backend.hits() == 2).then_some(()));
    let refused = edge.fetch_as(&Token::valid().build(), "/api/v1/events");
    refused.expect_problem(503, "SERVICE_UNAVAILABLE");
    gate.open();
    for client in &mut waiting {
        client.response_to("GET").expect_status(200);
    }
    edge.fetch_as(&Token::valid().build(), "/api/v1/events").expect_status(200);
}
