//! What the edge answers itself: health, readiness, metrics, service health, and the access log of it all.

use crate::harness::edge::driver;
use crate::harness::token::{OTHER_USER, TENANT, USER};
use crate::harness::{Backend, Command, Edge, Key, Script, Token, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

const HEALTH_TOKEN: &str = "Eigh8Oocahb8Ohkai4sheebae4shoYoo";

#[test]
fn liveness_needs_nothing() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for ask in [Edge::get as fn(&Edge, &str) -> _, Edge::ask_admin] {
        let live = ask(&edge, "/live");
        assert_eq!((live.status, live.text().as_str()), (200, r#"{"status":"alive"}"#));
        let live = ask(&edge, "/health/live");
        assert_eq!((live.status, live.text().as_str()), (200, r#"{"status":"ok"}"#));
    }
    assert_eq!(backend.hits(), 0);
}

#[test]
fn readiness_follows_the_services_that_gate_it() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("READY_DEPENDENCIES", "auth,venue").start();
    let ready = eventually("the probes succeed", || {
        let answer = edge.get("/ready");
        (answer.status == 200).then_some(answer)
    });
    let body = ready.json();
    assert_eq!(body["status"], "ready");
    assert_eq!(body["checks"]["authService"], "ok");
    assert_eq!(body["checks"]["venueService"], "ok");
    assert_eq!(edge.get("/health/ready").status, 200);
    backend.script("/health/live", Script::close_before_head());
    let unready = eventually("the probes fail", || {
        let answer = edge.get("/ready");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(unready.json()["status"], "not ready");
    assert_eq!(edge.get("/live").status, 200);
}

#[test]
fn readiness_answers_at_once_while_a_service_hangs() {
    let backend = Backend::start().on("/health", Script::hanging());
    let edge = Command::run(&backend).set("READY_DEPENDENCIES", "auth,venue").start();
    for _ in 0..5 {
        let started = Instant::now();
        assert_eq!(edge.get("/ready").status, 503);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

#[test]
fn startup_says_that_it_is_over() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let body = edge.get("/health/startup").json();
    assert_eq!((body["status"].as_str(), body["initialized"].as_bool()), (Some("ok"), Some(true)));
    assert!(body["uptime"].is_number(), "{body}");
}

#[test]
fn strangers_learn_nothing_from_health() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("HEALTH_TOKEN", HEALTH_TOKEN).start();
    let anonymous = edge.get("/health").json();
    let members: Vec<&String> = anonymous.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["status", "timestamp"]);
    let guess = edge.fetch_as(&HEALTH_TOKEN.replace('E', "e"), "/health").json();
    assert_eq!(guess.as_object().map(serde_json::Map::len), Some(2));
    let detail = edge.fetch_as(HEALTH_TOKEN, "/health").json();
    for member in ["uptime", "version", "workers"] {
        assert!(detail.get(member).is_some(), "{member} in {detail}");
    }
}

#[test]
fn metrics_are_for_scrapers_alone() {
    let backend = Backend::start();
    let open = Edge::start(&backend);
    let page = open.get("/metrics");
    page.expect_status(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let closed = Command::run(&backend).set("METRICS_ALLOWED_CIDRS", "10.0.0.0/8").start();
    closed.get("/metrics").expect_problem(404, "NOT_FOUND");
    closed.get("/api/v1/venues/metrics").expect_problem(404, "NOT_FOUND");
    assert_eq!(closed.ask_admin("/metrics").status, 200);
    assert_eq!(backend.hits(), 0);
}

#[test]
fn the_exposition_is_well_formed_and_names_no_tenant_or_user() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    edge.fetch_as(&Token::valid().build(), "/api/v1/tickets/ticket-of-a-fan").expect_status(200);
    edge.get("/api/v1/tickets/ticket-of-a-fan").expect_status(401);
    edge.get("/no/such/place/ticket-of-a-fan").expect_status(404);
    let metrics =
        edge.metrics_say("three requests", |metrics| metrics.count("gateway_http_requests_total", &[]) == 3);
    let text = metrics.text();
    for word in ["ticket-of-a-fan", crate::harness::token::TENANT, crate::harness::token::USER] {
        assert!(!text.contains(word), "{word}");
    }
    let paths = metrics.label_values("gateway_http_requests_total", "path");
    assert_eq!(paths, ["/api/v1/tickets/**", "unmatched"]);
    for name in ["gateway_http_requests_total", "gateway_auth_failures_total", "gateway_worker_up"] {
        assert!(
            text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} ")),
            "{name}"
        );
    }
    let durations = "gateway_http_request_duration_seconds_bucket";
    assert_eq!(metrics.count(durations, &[("le", "+Inf")]), 3);
}

#[test]
fn the_driver_in_use_is_told() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let metrics = edge.metrics();
    let drivers = metrics.label_values("gateway_io_driver_info", "driver");
    assert!(!drivers.is_empty(), "{}", metrics.text());
    if driver() != "auto" {
        assert!(metrics.has("gateway_io_driver_info", &[("driver", &driver())]), "{drivers:?}");
    }
    assert_eq!(metrics.count("gateway_worker_up", &[]), 1);
}

#[test]
fn an_administrator_sees_the_detail_of_health_by_the_same_proof_as_elsewhere() {
    let (backend, auth) = (Backend::start(), Backend::named("auth"));
    for (user, role) in [(USER, "admin"), (OTHER_USER, "customer")] {
        let user_record = json!({ "id": user, "tenantId": TENANT, "role": role, "status": "ACTIVE" });
        let body = json!({ "user": user_record }).to_string();
        let answer = Script::answer(200, &[("content-type", "application/json")], body);
        auth.script(&format!("/auth/internal/users/{user}"), answer);
    }
    let command = Command::run(&backend).service("auth", &auth);
    let edge = command.set("AUTH_USER_CHECK", "always").set("S2S_SERVICE_TOKEN", "a-token").start();
    let admin = || Token::of_role("admin").user(USER);
    for (what, token, sees_all) in [
        ("an administrator", admin(), true),
        ("one who is none any more", admin().user(OTHER_USER), false),
        ("a customer", Token::valid().user(OTHER_USER), false),
        ("an expired token", admin().expires_in(-3_600), false),
        ("a forged token", admin().signed_with(Key::Foreign), false),
    ] {
        let answer = edge.fetch_as(&token.build(), "/health");
        answer.expect_status(200);
        assert_eq!(answer.json().get("version").is_some(), sees_all, "{what}: {}", answer.text());
    }
}

#[test]
fn service_health_needs_no_token_and_no_upstream_request() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let answer = eventually("the first probe is through", || {
        let answer = edge.get("/api/v1/venues/health");
        (answer.status == 200).then_some(answer)
    });
    let body = answer.json();
    assert_eq!((body["status"].as_str(), body["service"].as_str()), (Some("ok"), Some("venue")));
    assert_eq!(backend.hits(), 0);
}

#[test]
fn an_unknown_path_is_a_problem_with_all_members() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let problem = edge.get("/nowhere?secret=1").expect_problem(404, "NOT_FOUND");
    assert_eq!(problem["instance"], "/nowhere", "no query");
    assert_eq!(problem["type"], "https://api.tickettoken.com/errors/not-found");
    edge.counts("gateway_http_requests_total", &[("path", "unmatched"), ("status", "404")], 1);
}

#[test]
fn every_request_has_one_line_in_the_access_log() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let token = Token::valid().build();
    let request = client.request("POST", "/api/v1/tickets/4711?code=secretcode").bearer(&token);
    request
        .header("X-Request-ID", "line-1")
        .header("User-Agent", "tests")
        .body("abc")
        .send()
        .expect_status(200);
    let record = edge.access_record("line-1");
    assert_eq!(record["method"], "POST");
    assert_eq!(record["path"], "/api/v1/tickets/**");
    assert_eq!((record["status"].as_u64(), record["upstreamStatus"].as_u64()), (Some(200), Some(200)));
    assert_eq!(record["service"], "ticket");
    assert_eq!(record["userId"], crate::harness::token::USER);
    assert_eq!(record["tenantId"], crate::harness::token::TENANT);
    assert_eq!(record["clientIp"], "127.0.0.1");
    assert_eq!(record["userAgent"], "tests");
    let lines = edge.log_lines();
    assert_eq!(lines.iter().filter(|line| line.contains("line-1")).count(), 1);
}

#[test]
fn no_secret_reaches_the_log() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("HEALTH_TOKEN", HEALTH_TOKEN).start();
    let token = Token::valid().build();
    let mut client = edge.client();
    let request = client.request("POST", "/api/v1/auth/login?token=querytoken").bearer(&token);
    let request = request.header("Cookie", "sid=cookiesecret").header("X-Request-ID", "line-2");
    request.body(r#"{"email":"a@b.example","password":"hunter2hunter2"}"#).send().expect_status(200);
    edge.access_record("line-2");
    let log = edge.log_lines().join("\n");
    for secret in
        [token.as_str(), "querytoken", "cookiesecret", "hunter2hunter2", "a@b.example", HEALTH_TOKEN]
    {
        assert!(!log.contains(secret), "{secret}");
    }
}
