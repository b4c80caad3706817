//! The harness against itself: a client and a backend without an edge between them.

use super::script::answer_bytes;
use super::wire::{pattern_digest, value};
use super::*;
use serde_json::json;
use std::time::Duration;

#[test]
fn an_echo_tells_what_was_sent() {
    let backend = Backend::named("venue");
    let mut client = Client::connect(backend.address());
    let answer = client.request("POST", "/a?b=%20").header("X-One", "1").json(&json!({"c": 2})).send();
    assert_eq!(answer.status, 200);
    let echo = answer.json();
    assert_eq!(echo["service"], "venue");
    assert_eq!(echo["target"], "/a?b=%20");
    let received = backend.only();
    assert_eq!(received.header("x-one"), Some("1"));
    assert_eq!(received.body.bytes, br#"{"c":2}"#);
}

#[test]
fn a_connection_carries_several_requests() {
    let backend = Backend::start();
    let mut client = Client::connect(backend.address());
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!((backend.hits(), backend.connections()), (3, 1));
}

#[test]
fn health_probes_are_answered_and_not_recorded() {
    let backend = Backend::start();
    assert_eq!(Client::connect(backend.address()).get("/health/live").status, 200);
    assert_eq!(backend.hits(), 0);
}

#[test]
fn chunks_and_trailers_arrive_both_ways() {
    let backend = Backend::start().on("/down", Script::chunked(&["ab", "cde"], &[("x-sum", "5")]));
    let mut client = Client::connect(backend.address());
    let down = client.get("/down");
    assert_eq!(down.text(), "abcde");
    assert_eq!(value(&down.body.trailers, "x-sum"), Some("5"));
    client.request("POST", "/up").chunks(&[b"12", b"345"]).send();
    assert_eq!(backend.last().body.bytes, b"12345");
}

#[test]
fn a_cut_body_is_seen_as_cut() {
    let backend = Backend::start()
        .on("/length", Script::close_inside_body())
        .on("/chunks", Script::close_inside_chunks());
    for path in ["/length", "/chunks"] {
        let answer = Client::connect(backend.address()).get(path);
        assert!(!answer.body.complete, "{path}");
    }
}

#[test]
fn a_pattern_is_recognised_by_its_digest() {
    let length = 3 * 1024 * 1024 + 17;
    let backend = Backend::start().on("/down", Script::pattern(length));
    let mut client = Client::connect(backend.address());
    assert_eq!(client.get("/down").body.digest, pattern_digest(length));
    client.request("POST", "/up").pattern(length).send();
    assert_eq!(backend.last().body.digest, pattern_digest(length));
    assert_ne!(pattern_digest(length), pattern_digest(length + 1));
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let backend = Backend::start().on("/", Script::interim(103));
    let answer = Client::connect(backend.address()).get("/");
    assert_eq!((answer.interim, answer.status), (vec![103], 200));
}

#[test]
fn a_gate_holds_an_answer_back() {
    let gate = Gate::new();
    let backend = Backend::start().on("/", Script::gated(&gate));
    let mut client = Client::connect(backend.address());
    client.request("GET", "/").send_only();
    eventually("the request arrives", || (backend.hits() == 1).then_some(()));
    client.set_timeout(Duration::from_millis(50));
    assert!(client.try_response_to("GET").is_err(), "the gate is closed");
    gate.open();
    client.set_timeout(Duration::from_secs(5));
    assert_eq!(client.response_to("GET").text(), "late");
}

#[test]
fn a_backend_notices_a_client_that_vanishes() {
    let backend = Backend::start().on("/", Script::hanging());
    let mut client = Client::connect(backend.address());
    client.request("GET", "/").send_only();
    eventually("the request arrives", || (backend.hits() == 1).then_some(()));
    client.vanish();
    eventually("the backend notices", || (backend.hung_up() == 1).then_some(()));
}

#[test]
fn a_reset_is_a_reset() {
    let backend = Backend::start().on("/", Script::of(vec![Step::Reset]));
    let mut client = Client::connect(backend.address());
    let fault = client.request("GET", "/").try_send().expect_err("there is no answer");
    assert_eq!(fault.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn metrics_are_summed_over_matching_labels() {
    let text = "# TYPE a counter\na{x=\"1\",y=\"\\\"q\\\"\"} 2\na{x=\"2\",y=\"\"} 3\nb 0.5\n";
    let metrics = Metrics::parse(text);
    assert_eq!(metrics.count("a", &[]), 5);
    assert_eq!(metrics.count("a", &[("y", "\"q\"")]), 2);
    assert!(metrics.value("b", &[]) > 0.4);
    assert!(!metrics.has("a", &[("x", "3")]));
    assert_eq!(metrics.label_values("a", "x"), ["1", "2"]);
}

#[test]
fn tokens_carry_what_was_asked_for() {
    let token = Token::of_role("admin").without("jti").build();
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(Key::Current.public_pem().as_bytes());
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&[token::ISSUER]);
    let verified = jsonwebtoken::decode::<serde_json::Value>(&token, &key.expect("a key"), &rules);
    let claims = verified.expect("a valid signature").claims;
    assert_eq!(claims["role"], "admin");
    assert_eq!(claims.get("jti"), None);
}

#[test]
fn a_redis_server_answers_and_comes_back() {
    let mut redis = RedisServer::start();
    assert_eq!(redis.command(&["PING"]), "+PONG\r\n");
    redis.kill();
    redis.restart();
    assert!(redis.url().starts_with("redis://127.0.0.1:"));
}

#[test]
fn scripted_answers_state_their_length() {
    assert_eq!(answer_bytes(204, &[], b""), b"HTTP/1.1 204 Scripted\r\ncontent-length: 0\r\n\r\n");
}
