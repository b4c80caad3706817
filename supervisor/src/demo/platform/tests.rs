//! Tests of the simulated services, through their sockets.

use super::{Platform, SERVICES};
use crate::demo::people::{AURORA, BOREALIS, HALL, PEOPLE};
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Runs a test inside the kind of runtime that the demo has.
fn on_the_platform<F: Future<Output = ()>>(test: impl FnOnce(Platform) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        test(Platform::start().await.expect("loopback ports are free")).await;
    });
}

/// One request on a connection of its own; gives status and body.
async fn ask(platform: &Platform, service: &str, request: &str, fields: &str, body: &str) -> (u16, String) {
    let urls: HashMap<String, String> = platform.urls().collect();
    let url = urls.get(&format!("{}_SERVICE_URL", service.to_uppercase())).expect("a service");
    let address = url.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{fields}\r\n"
    );
    stream.write_all((head + body).as_bytes()).await.expect("the service reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the service answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, body.to_owned())
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn every_service_is_alive_and_counts() {
    on_the_platform(async |platform| {
        for name in SERVICES {
            assert_eq!(ask(&platform, name, "GET /health/live", "", "").await.0, 200, "{name}");
            let (status, page) = ask(&platform, name, "GET /metrics", "", "").await;
            assert_eq!(status, 200);
            assert!(page.contains(&format!("demo_requests_total{{service=\"{name}\"}} 2")), "{page}");
        }
    });
}

#[test]
fn the_right_password_gives_tokens_and_the_wrong_one_does_not() {
    on_the_platform(async |platform| {
        let [fan, ..] = &PEOPLE;
        let good = json!({ "email": fan.email, "password": fan.password }).to_string();
        let (status, body) = ask(&platform, "auth", "POST /auth/login", "", &good).await;
        assert_eq!(status, 200, "{body}");
        let document = parse(&body);
        let token = document.pointer("/tokens/accessToken").and_then(Value::as_str).expect("a token");
        assert_eq!(token.split('.').count(), 3);
        let bad = json!({ "email": fan.email, "password": "guess" }).to_string();
        assert_eq!(ask(&platform, "auth", "POST /auth/login", "", &bad).await.0, 401);
        assert_eq!(ask(&platform, "auth", "POST /auth/login", "", "no json").await.0, 401);
    });
}

#[test]
fn a_refresh_token_is_good_once() {
    on_the_platform(async |platform| {
        let [fan, ..] = &PEOPLE;
        let credentials = json!({ "email": fan.email, "password": fan.password }).to_string();
        let (_, body) = ask(&platform, "auth", "POST /auth/login", "", &credentials).await;
        let refresh = parse(&body).pointer("/tokens/refreshToken").cloned().expect("a refresh token");
        let request = json!({ "refreshToken": refresh }).to_string();
        assert_eq!(ask(&platform, "auth", "POST /auth/refresh", "", &request).await.0, 200);
        assert_eq!(ask(&platform, "auth", "POST /auth/refresh", "", &request).await.0, 401);
    });
}

#[test]
fn a_tenant_sees_its_own_events_alone() {
    on_the_platform(async |platform| {
        for (tenant, other) in [(AURORA.id, BOREALIS.id), (BOREALIS.id, AURORA.id)] {
            let field = format!("x-tenant-id: {tenant}\r\n");
            let (status, body) = ask(&platform, "event", "GET /api/v1/events", &field, "").await;
            assert_eq!(status, 200);
            assert!(body.contains(tenant) && !body.contains(other), "{body}");
        }
        let (status, _) = ask(&platform, "event", "GET /api/v1/events/nothing", "", "").await;
        assert_eq!(status, 404);
    });
}

#[test]
fn everything_else_is_echoed_with_its_headers() {
    on_the_platform(async |platform| {
        let (status, body) =
            ask(&platform, "order", "PUT /api/v1/orders/1?x=%20", "X-One: two\r\n", "abc").await;
        assert_eq!(status, 200);
        let echo = parse(&body);
        assert_eq!(echo.get("target"), Some(&json!("/api/v1/orders/1?x=%20")));
        assert_eq!(echo.get("bodyBytes"), Some(&json!(3)));
        assert!(body.contains(r#"["x-one","two"]"#), "{body}");
    });
}

#[test]
fn a_users_record_is_for_the_edge_alone() {
    on_the_platform(async |platform| {
        let [fan, ..] = &PEOPLE;
        let record = format!("GET /auth/internal/users/{}", fan.id);
        let fields =
            |token: &str, tenant: &str| format!("x-service-token: {token}\r\nx-tenant-id: {tenant}\r\n");
        let own = platform.service_token().to_owned();
        let (status, body) = ask(&platform, "auth", &record, &fields(&own, AURORA.id), "").await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(parse(&body).pointer("/user/status"), Some(&json!("ACTIVE")));
        assert_eq!(ask(&platform, "auth", &record, &fields(&own, BOREALIS.id), "").await.0, 404);
        assert_eq!(ask(&platform, "auth", &record, &fields("guess", AURORA.id), "").await.0, 401);
        assert_eq!(
            ask(&platform, "auth", "GET /auth/internal/users/x", &fields(&own, AURORA.id), "").await.0,
            404
        );
    });
}

#[test]
fn venue_service_says_who_works_where_by_the_users_own_token() {
    on_the_platform(async |platform| {
        let [fan, staff, ..] = &PEOPLE;
        let check = format!("GET /api/v1/venues/{HALL}/check-access");
        for (person, access, venues) in [(fan, false, 0), (staff, true, 1)] {
            let credentials = json!({ "email": person.email, "password": person.password }).to_string();
            let (_, body) = ask(&platform, "auth", "POST /auth/login", "", &credentials).await;
            let token = parse(&body).pointer("/tokens/accessToken").cloned().expect("a token");
            let field = format!("authorization: Bearer {}\r\n", token.as_str().expect("text"));
            let (status, body) = ask(&platform, "venue", &check, &field, "").await;
            assert_eq!((status, parse(&body).get("hasAccess")), (200, Some(&json!(access))), "{body}");
            let (status, body) = ask(&platform, "venue", "GET /api/v1/venues/user", &field, "").await;
            assert_eq!((status, parse(&body).as_array().map(Vec::len)), (200, Some(venues)), "{body}");
        }
        for field in ["", "authorization: Bearer a.b.c\r\n"] {
            assert_eq!(ask(&platform, "venue", &check, field, "").await.0, 401);
        }
    });
}
