//! A body that the edge needs to look into is read whole first; the service gets it as it was sent.

use crate::harness::token::{OTHER_TENANT, TENANT, USER};
use crate::harness::{Backend, Command, Edge, RedisServer, Script, Token, eventually, holds_within};
use std::time::Duration;

const ROW: &str = "/api/v1/tickets";
const KIB: usize = 1024;

fn status_of(tenant: &str) -> String {
    format!("/api/v1/auth/admin/tenants/{tenant}/status")
}

fn admin() -> String {
    Token::of_role("admin").user(USER).build()
}

fn theirs() -> String {
    Token::valid().tenant(OTHER_TENANT).build()
}

/// A change of the status as far as its framing, as raw bytes.
fn raw_head() -> String {
    format!("PUT {} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n", status_of(OTHER_TENANT), admin())
}

fn set_status(edge: &Edge, body: impl AsRef<[u8]>) -> u16 {
    edge.client().request("PUT", &status_of(OTHER_TENANT)).bearer(&admin()).body(body).send().status
}

fn is_revoked(edge: &Edge, token: &str) -> bool {
    edge.fetch_as(token, ROW).status == 401
}

#[test]
fn a_tenant_that_is_no_longer_active_loses_its_tokens_on_every_node() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = [(); 2].map(|()| Command::run(&backend).set("REDIS_URL", &redis.url()).start());
    backend.script("/auth/admin", Script::answer(409, &[], "{}"));
    assert_eq!(set_status(&nodes[0], r#"{"status":"suspended"}"#), 409);
    backend.script("/auth/admin", Script::answer(200, &[], "{}"));
    assert_eq!(set_status(&nodes[0], r#"{"status":"active"}"#), 200);
    assert_eq!(set_status(&nodes[0], r#"{"name":"Acme"}"#), 200);
    // What would have been withdrawn by then is known everywhere once a later revocation is. Tokens are older than what
    // revokes them, however slow the machine is.
    let (marker, theirs, foreign) = (Token::valid().user("marker").build(), theirs(), Token::valid().build());
    nodes[0].revoke(&["user", "--tenant", TENANT, "marker"]).expect_code(0);
    for node in &nodes {
        eventually("the later revocation is known", || is_revoked(node, &marker).then_some(()));
        assert!(!is_revoked(node, &theirs), "the service refused, or the tenant stays active");
    }
    assert_eq!(set_status(&nodes[0], r#"{"status":"suspended"}"#), 200);
    for node in &nodes {
        eventually("the tenant's token is refused", || is_revoked(node, &theirs).then_some(()));
        assert!(!is_revoked(node, &foreign), "another tenant");
    }
}

#[test]
fn a_confirmed_body_that_is_not_understood_withdraws_and_arrives_unchanged() {
    for body in [r#"{"status":"suspended","status":"active"}"#, "status=closed", "\u{feff}{}"] {
        let backend = Backend::start();
        let edge = Edge::start(&backend);
        let theirs = theirs();
        assert_eq!(set_status(&edge, body), 200);
        assert_eq!(backend.only().body.bytes, body.as_bytes());
        eventually("the tenant's token is refused", || is_revoked(&edge, &theirs).then_some(()));
    }
}

#[test]
fn bytes_and_framing_arrive_as_they_were_sent() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let body: Vec<u8> = (0..=255_u8).cycle().take(64 * KIB).collect();
    let mut client = edge.client();
    let put = |client: &mut crate::harness::Client, chunked: bool| {
        let request = client.request("PUT", &status_of(OTHER_TENANT)).bearer(&admin());
        let request = request.header("Content-Type", "application/json");
        let request = if chunked { request.chunks(&[b"x", &body[1..]]) } else { request.body(&body) };
        request.send().expect_status(200);
    };
    put(&mut client, false);
    assert_eq!(backend.last().header("content-length"), Some("65536"));
    assert_eq!(backend.last().body.bytes, body);
    put(&mut client, true);
    let received = backend.last();
    assert_eq!((received.header("transfer-encoding"), received.body.length), (Some("chunked"), 64 * 1024));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert!(received.body.complete && received.body.bytes[1..] == body[1..]);
}

#[test]
fn the_service_hears_nothing_of_a_body_that_is_not_whole_or_too_large() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let head = raw_head();
    let mut slow = edge.client();
    slow.send_raw(format!("{head}Content-Length: 22\r\n\r\n{{\"status\":"));
    assert!(!holds_within(Duration::from_millis(300), || backend.hits() > 0));
    slow.send_raw("\"suspended\"}");
    slow.response_to("PUT").expect_status(200);
    assert_eq!(backend.hits(), 1);
    let mut leaving = edge.client();
    leaving.send_raw(format!("{head}Content-Length: 22\r\n\r\n{{\"status\":"));
    leaving.vanish();
    edge.counts("gateway_http_requests_total", &[("status", "499")], 1);
    let mut declared = edge.client();
    let request = declared.request("PUT", &status_of(OTHER_TENANT)).bearer(&admin());
    request.body(vec![b'x'; 64 * KIB + 1]).send().expect_problem(413, "PAYLOAD_TOO_LARGE");
    let mut chunked = edge.client();
    let request = chunked.request("PUT", &status_of(OTHER_TENANT)).bearer(&admin());
    request.chunks(&[&[b'x'; 64 * KIB], b"y"]).send().expect_problem(413, "PAYLOAD_TOO_LARGE");
    let mut broken = edge.client();
    broken.send_raw(format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"));
    broken.response_to("PUT").expect_status(400);
    assert_eq!(backend.hits(), 1, "nothing of the four reached the service");
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_and_a_next_request_keeps_its_place() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let head = raw_head();
    let mut client = edge.client();
    client.send_raw(format!("{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    assert_eq!(client.head().start, b"HTTP/1.1 100 Continue");
    client.send_raw("{}");
    client.response_to("PUT").expect_status(200);
    let next = "GET /live HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send_raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{next}"));
    client.response_to("PUT").expect_status(200);
    client.response_to("GET").expect_status(200);
    client.send_raw(format!("{head}Content-Length: 2\r\n\r\n{{}}{next}"));
    client.response_to("PUT").expect_status(200);
    client.response_to("GET").expect_status(200);
    assert_eq!(backend.hits(), 3);
}
