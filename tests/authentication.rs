//! Tokens at the door: which are accepted, and the reason word of each one that is not.

use crate::harness::token::{ISSUER, SHARED_SECRET, TENANT, USER, now};
use crate::harness::{Backend, Client, Command, Edge, Key, Metrics, Response, Token};

/// A row of class `user` that goes to ticket-service.
const ROW: &str = "/api/v1/tickets";

#[test]
fn a_valid_token_reaches_the_service() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    edge.fetch_as(&Token::valid().build(), ROW).expect_status(200);
    let received = backend.only();
    assert_eq!(received.target(), ROW);
    assert_eq!(received.header("x-user-id"), Some(USER));
    edge.counts("gateway_auth_attempts_total", &[], 1);
    edge.counts("gateway_auth_failures_total", &[], 0);
    edge.counts("gateway_http_requests_total", &[("status", "200"), ("method", "GET")], 1);
}

#[test]
fn the_token_is_forwarded_unchanged() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    assert_eq!(backend.only().header("authorization"), Some(format!("Bearer {token}").as_str()));
}

#[test]
fn every_faulty_token_is_refused_with_its_reason() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for (reason, token) in faulty_tokens() {
        let answer = edge.fetch_as(&token, ROW);
        expect_reason(&answer, reason);
        edge.metrics_say(reason, |metrics| failures(metrics, reason) >= 1);
    }
    assert_eq!(backend.hits(), 0, "no refused request reaches a service");
}

fn faulty_tokens() -> Vec<(&'static str, String)> {
    let mut tokens = faulty_signatures();
    tokens.extend(faulty_claims().into_iter().map(|(reason, token)| (reason, token.build())));
    tokens
}

fn faulty_signatures() -> Vec<(&'static str, String)> {
    let valid = Token::valid();
    let claims = valid.claims_text();
    let header = r#"{"alg":"RS256","typ":"JWT","kid":"current"}"#;
    let public_key = Key::Secret(Key::Current.public_pem().as_bytes().to_vec());
    let twice = claims.replacen('{', &format!("{{\"tenant_id\":\"{TENANT}\","), 1);
    let mut altered = valid.build();
    let end = altered.len() - 10;
    altered.replace_range(end..end + 1, if altered.get(end..=end) == Some("A") { "B" } else { "A" });
    vec![
        ("malformed", "0123456789abcdef0123456789abcdef".to_owned()),
        ("malformed", "a.b".to_owned()),
        ("malformed", format!("{}.", valid.build())),
        ("malformed", Token::raw(header, "{not json", &Key::Current)),
        ("malformed", Token::raw(header, &twice, &Key::Current)),
        ("malformed", Token::raw(r#"{"alg":"RS256","crit":["exp"]}"#, &claims, &Key::Current)),
        ("malformed", valid.clone().claim("padding", "p".repeat(8192)).build()),
        ("alg_not_allowed", format!("{}.", Token::unsigned(r#"{"alg":"none"}"#, &claims))),
        ("alg_not_allowed", Token::raw(r#"{"alg":"HS256"}"#, &claims, &public_key)),
        ("alg_not_allowed", valid.clone().signed_with(Key::Ec).build()),
        ("alg_not_allowed", valid.clone().signed_with(Key::Ed).build()),
        ("unknown_kid", valid.clone().header("kid", "nobody").build()),
        ("bad_signature", valid.signed_with(Key::Foreign).build()),
        ("bad_signature", altered),
    ]
}

fn faulty_claims() -> Vec<(&'static str, Token)> {
    let valid = Token::valid;
    vec![
        ("expired", valid().expires_in(-31)),
        ("expired", valid().without("exp")),
        ("not_yet_valid", valid().claim("nbf", now() + 60)),
        ("not_yet_valid", valid().claim("iat", now() + 60)),
        ("wrong_issuer", valid().claim("iss", "someone-else")),
        ("wrong_issuer", valid().without("iss")),
        ("wrong_audience", valid().claim("aud", "another-api")),
        ("wrong_audience", valid().without("aud")),
        ("wrong_type", valid().claim("type", "refresh")),
        ("wrong_type", valid().without("type")),
        ("missing_subject", valid().without("sub")),
        ("missing_subject", valid().claim("sub", "")),
        ("missing_subject", valid().claim("sub", "a b")),
        ("missing_tenant", valid().without("tenant_id")),
        ("missing_tenant", valid().claim("tenant_id", serde_json::Value::Null)),
        ("missing_tenant", valid().claim("tenant_id", "")),
        ("missing_tenant", valid().claim("tenant_id", "not-a-uuid")),
        ("missing_jti", valid().without("jti")),
    ]
}

#[test]
fn a_request_without_a_bearer_token_is_refused() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    expect_reason(&edge.get(ROW), "missing_token");
    let basic = edge.client().request("GET", ROW).header("Authorization", "Basic dTpw").send();
    expect_reason(&basic, "missing_token");
    edge.counts("gateway_auth_failures_total", &[("reason", "missing_token")], 2);
    assert_eq!(backend.hits(), 0);
}

#[test]
fn two_authorization_headers_are_malformed() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let answer = edge.client().request("GET", ROW).bearer(&token).bearer(&token).send();
    expect_reason(&answer, "malformed");
    assert_eq!(backend.hits(), 0);
}

#[test]
fn the_scheme_is_read_in_any_case() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let value = format!("bEaReR {}", Token::valid().build());
    edge.client().request("GET", ROW).header("Authorization", &value).send().expect_status(200);
}

#[test]
fn tokens_of_both_keys_are_accepted_whatever_their_kid_says() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let tokens = [
        Token::valid(),
        Token::valid().header("kid", "previous"),
        Token::valid().header("kid", "dev"),
        Token::valid().without_header("kid"),
        Token::valid().signed_with(Key::Previous),
        Token::valid().signed_with(Key::Previous).header("kid", "previous"),
        Token::valid().signed_with(Key::Previous).without_header("kid"),
    ];
    for token in &tokens {
        edge.fetch_as(&token.build(), ROW).expect_status(200);
    }
    assert_eq!(backend.hits(), tokens.len());
}

#[test]
fn the_clock_may_be_off_by_the_skew() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    edge.fetch_as(&Token::valid().expires_in(-20).build(), ROW).expect_status(200);
    edge.fetch_as(&Token::valid().claim("nbf", now() + 20).build(), ROW).expect_status(200);
}

#[test]
fn a_known_token_is_not_verified_again() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let mut client = edge.client();
    for _ in 0..5 {
        client.fetch_as(&token, ROW).expect_status(200);
    }
    let metrics = edge.metrics_say("five validations", |metrics| validations(metrics, &[]) == 5);
    assert_eq!(validations(&metrics, &[("result", "verified")]), 1);
    assert_eq!(validations(&metrics, &[("result", "cache_hit")]), 4);
    assert_eq!(metrics.count("gateway_cache_hits_total", &[("cache", "token")]), 4);
    assert_eq!(metrics.count("gateway_cache_misses_total", &[("cache", "token")]), 1);
}

#[test]
fn workers_share_what_they_verified() {
    let backend = Backend::start();
    let edge = Command::run(&backend).workers(2).start();
    let token = Token::valid().build();
    for _ in 0..32 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    let metrics = edge.metrics_say("all validations", |metrics| validations(metrics, &[]) == 32);
    assert!(validations(&metrics, &[("result", "verified")]) <= 2, "at most a race at the start");
}

#[test]
fn a_cached_token_expires_all_the_same() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("JWT_CLOCK_SKEW_SECS", "0").start();
    let token = Token::valid().expires_in(3).build();
    edge.fetch_as(&token, ROW).expect_status(200);
    let refused = crate::harness::eventually("the token expires", || {
        let answer = edge.fetch_as(&token, ROW);
        (answer.status != 200).then_some(answer)
    });
    expect_reason(&refused, "expired");
}

#[test]
fn a_public_row_lets_any_token_pass_unverified() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let faulty = Token::valid().signed_with(Key::Foreign).build();
    let mut client = edge.client();
    client.request("POST", "/api/v1/auth/login").bearer(&faulty).body("{}").send().expect_status(200);
    let received = backend.only();
    assert_eq!(received.target(), "/auth/login");
    assert_eq!(received.header("authorization"), Some(format!("Bearer {faulty}").as_str()));
    for name in ["x-user-id", "x-tenant-id", "x-user-role", "x-tenant-source"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(edge.metrics().count("gateway_auth_attempts_total", &[]), 0);
}

#[test]
fn a_refresh_passes_through_and_its_refusal_stays_401() {
    let refusal = r#"{"success":false,"error":"Token reuse detected"}"#;
    let backend = Backend::start().on(
        "/auth/refresh",
        crate::harness::Script::answer(401, &[("content-type", "application/json")], refusal),
    );
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let answer = client.request("POST", "/api/v1/auth/refresh").body(r#"{"refreshToken":"x"}"#).send();
    assert_eq!((answer.status, answer.text().as_str()), (401, refusal));
    assert_eq!(backend.only().body.bytes, br#"{"refreshToken":"x"}"#);
}

#[test]
fn shared_secret_tokens_are_accepted_only_where_configured() {
    let secret = Key::Secret(SHARED_SECRET.as_bytes().to_vec());
    let backend = Backend::start();
    let edge = Command::run(&backend).shared_secret_tokens().start();
    let token = Token::valid().without_header("kid").without("jti").without("aud").signed_with(secret);
    edge.fetch_as(&token.build(), ROW).expect_status(200);
    expect_reason(&edge.fetch_as(&token.clone().claim("iss", "x").build(), ROW), "wrong_issuer");
    expect_reason(&edge.fetch_as(&token.claim("aud", "x").build(), ROW), "wrong_audience");
    expect_reason(&edge.fetch_as(&Token::valid().build(), ROW), "alg_not_allowed");
    let wrong = Key::Secret(b"another secret of more than 32 bytes".to_vec());
    let forged = Token::valid().without_header("kid").signed_with(wrong).build();
    expect_reason(&edge.fetch_as(&forged, ROW), "bad_signature");
}

#[test]
fn elliptic_keys_are_accepted_only_where_listed() {
    let backend = Backend::start();
    let command = Command::run(&backend);
    let keys = command.file("jwks.json", include_str!("harness/jwks.json"));
    let edge = command.set("JWT_ALGORITHMS", "RS256,ES256,EdDSA").set("JWKS_FILE", &keys).start();
    for (key, kid) in [(Key::Ec, "ec"), (Key::Ed, "ed"), (Key::Current, "current")] {
        edge.fetch_as(&Token::valid().signed_with(key).header("kid", kid).build(), ROW).expect_status(200);
    }
    let crossed = Token::valid().signed_with(Key::Ec).header("kid", "ed").build();
    assert_eq!(edge.fetch_as(&crossed, ROW).status, 401);
}

#[test]
fn issuers_and_audiences_may_be_lists() {
    let backend = Backend::start();
    let list = format!("tickettoken,{ISSUER}");
    let edge = Command::run(&backend).set("JWT_ISSUER", &list).set("JWT_AUDIENCE", &list).start();
    edge.fetch_as(&Token::valid().build(), ROW).expect_status(200);
    let other = Token::valid().claim("iss", "tickettoken").claim("aud", "tickettoken");
    edge.fetch_as(&other.build(), ROW).expect_status(200);
    expect_reason(&edge.fetch_as(&other.claim("iss", "ticket").build(), ROW), "wrong_issuer");
}

#[test]
fn a_refused_request_leaves_the_connection_in_step() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client: Client = edge.client();
    expect_reason(&client.get(ROW), "missing_token");
    client.fetch_as(&Token::valid().build(), ROW).expect_status(200);
}

fn expect_reason(answer: &Response, reason: &str) {
    let problem = answer.expect_problem(401, "AUTHENTICATION_ERROR");
    assert_eq!(problem["reason"], reason, "{problem}");
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{reason}\"");
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()));
}

fn failures(metrics: &Metrics, reason: &str) -> u64 {
    metrics.count("gateway_auth_failures_total", &[("reason", reason)])
}

fn validations(metrics: &Metrics, labels: &[(&str, &str)]) -> u64 {
    metrics.count("gateway_token_validation_duration_seconds_count", labels)
}
