//! Every security event, provoked through the listener: its line in the log, its count, and nothing secret in either.

use crate::harness::token::{JTI, Key, OTHER_TENANT, OTHER_USER, TENANT, USER};
use crate::harness::{Backend, Command, Edge, RedisServer, Script, Token, eventually};
use serde_json::{Value, json};

const ROW: &str = "/api/v1/tickets";
const VENUE: &str = "0190e2f4-aaaa-7bbb-8ccc-00112233aabb";

/// The lines of one event so far.
fn events(edge: &Edge, event: &str) -> Vec<Value> {
    let is_one = |record: &Value| record["msg"] == "security event" && record["event"] == event;
    edge.log_records().into_iter().filter(is_one).collect()
}

/// Waits for the only line of an event, and for its count.
#[track_caller]
fn only(edge: &Edge, event: &str, severity: &str) -> Value {
    let line = eventually(&format!("{event} is in the log"), || events(edge, event).pop());
    assert_eq!(events(edge, event).len(), 1, "{event}");
    assert_eq!(line["severity"], severity, "{line}");
    edge.counts("gateway_security_events_total", &[("event", event), ("severity", severity)], 1);
    line
}

/// What the log must never hold: the token and the address that is in it.
#[track_caller]
fn says_nothing_secret(edge: &Edge, tokens: &[String]) {
    for line in edge.log_lines() {
        assert!(!line.contains("fan@example.com"), "{line}");
        for part in tokens.iter().flat_map(|token| token.split('.').filter(|part| part.len() > 20)) {
            assert!(!line.contains(part), "a part of a token in {line}");
        }
    }
}

#[test]
fn a_path_that_leaves_its_route_is_a_high_event_without_an_identity() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    edge.get("/api/v1/events/%2e%2e/internal/users").expect_status(400);
    let line = only(&edge, "path_attack", "high");
    assert_eq!((&line["path"], &line["clientIp"]), (&"unmatched".into(), &"127.0.0.1".into()));
    assert_eq!((line.get("userId"), line.get("tenantId")), (None, None));
}

#[test]
fn refused_access_says_who_and_which_permission() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let mut client = edge.client();
    let request = client.request("GET", "/api/v1/auth/admin/users").bearer(&token);
    request.header("x-request-id", "asked-1").send().expect_status(403);
    let line = only(&edge, "authorization_denied", "medium");
    assert_eq!((&line["userId"], &line["tenantId"]), (&USER.into(), &TENANT.into()));
    assert_eq!((&line["role"], &line["reason"]), (&"customer".into(), &"role".into()));
    assert_eq!((&line["requestId"], &line["correlationId"]), (&"asked-1".into(), &"asked-1".into()));
    assert!(line["traceId"].as_str().is_some_and(|id| id.len() == 32), "{line}");
    edge.counts("gateway_authz_denials_total", &[("reason", "role")], 1);
    let access = edge.access_record("asked-1");
    assert_eq!((&access["event"], &access["severity"]), (&"authorization_denied".into(), &"medium".into()));
    let none = Token::of_role("door-staff").permissions(&[]).build();
    edge.client()
        .request("POST", "/api/v1/tickets/purchase")
        .bearer(&none)
        .body("{}")
        .send()
        .expect_status(403);
    let denied = eventually("the permission is named", || {
        events(&edge, "authorization_denied").into_iter().find(|line| line["reason"] == "permission")
    });
    assert_eq!(denied["permission"], "tickets:purchase");
    says_nothing_secret(&edge, &[token, none]);
}

#[test]
fn a_foreign_tenant_in_the_query_is_critical_and_counted() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    edge.fetch_as(&token, &format!("{ROW}?tenant_id={OTHER_TENANT}"))
        .expect_problem(403, "CROSS_TENANT_DENIED");
    let line = only(&edge, "tenant_mismatch", "critical");
    assert_eq!((&line["level"], &line["userId"]), (&"error".into(), &USER.into()));
    assert_eq!(line["path"], "/api/v1/tickets/**", "the query stays out of the log");
    edge.counts("gateway_cross_tenant_attempts_total", &[], 1);
    says_nothing_secret(&edge, &[token]);
}

#[test]
fn tokens_that_nobody_should_have_are_events_and_expired_ones_are_not() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let tokens = [
        Token::valid().claim("tenant_id", "").build(),
        Token::valid().header("kid", "stolen").build(),
        Token::valid().signed_with(Key::Foreign).build(),
        Token::valid().expires_in(-3_600).build(),
    ];
    for token in &tokens {
        edge.fetch_as(token, ROW).expect_status(401);
    }
    only(&edge, "tenantless_token", "high");
    only(&edge, "unknown_key", "medium");
    only(&edge, "forged_token", "medium");
    let metrics = edge.metrics_say("all four failed", |metrics| {
        metrics.count("gateway_auth_attempts_total", &[("result", "failure")]) == 4
    });
    assert_eq!(metrics.count("gateway_security_events_total", &[]), 3);
    for reason in ["missing_tenant", "unknown_kid", "bad_signature", "expired"] {
        assert_eq!(metrics.count("gateway_auth_failures_total", &[("reason", reason)]), 1, "{reason}");
    }
    says_nothing_secret(&edge, &tokens);
}

#[test]
fn a_revoked_token_is_a_high_event_with_the_user_it_was_made_for() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    edge.client().request("POST", "/api/v1/auth/logout").bearer(&token).send().expect_status(200);
    eventually("the token is withdrawn", || (edge.fetch_as(&token, ROW).status == 401).then_some(()));
    let line = only(&edge, "revoked_token_used", "high");
    assert_eq!((&line["userId"], &line["reason"]), (&USER.into(), &"revoked".into()));
    edge.counts("gateway_auth_failures_total", &[("reason", "revoked")], 1);
    says_nothing_secret(&edge, &[token]);
    assert!(edge.log_lines().iter().all(|line| !line.contains(JTI)), "the id of a token can revoke it");
}

#[test]
fn what_an_administrators_role_alone_opens_is_audited() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::of_role("admin").build();
    edge.fetch_as(&token, &format!("/api/v1/venues/{VENUE}/settings")).expect_status(200);
    let line = only(&edge, "admin_venue_bypass", "medium");
    assert_eq!((&line["venueId"], &line["role"]), (&VENUE.into(), &"admin".into()));
    edge.fetch_as(&token, &format!("/api/v1/tickets/users/{USER}")).expect_status(200);
    edge.fetch_as(&token, "/api/v1/tickets/users/44444444-dddd-4ddd-8ddd-444444444444").expect_status(200);
    only(&edge, "admin_owner_bypass", "medium");
    says_nothing_secret(&edge, &[token]);
}

#[test]
fn an_audit_is_not_lost_because_the_request_had_other_events() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::of_role("admin").build();
    let mut client = edge.client();
    let request = client.request("GET", &format!("/api/v1/venues/{VENUE}/settings")).bearer(&token);
    request.header("x-tenant-id", OTHER_TENANT).header("X_User_Id", "root").send().expect_status(200);
    only(&edge, "admin_venue_bypass", "medium");
    let line = only(&edge, "spoofed_identity_header", "low");
    assert_eq!((&line["level"], &line["userId"]), (&"info".into(), &USER.into()));
    backend.script("/api/v1/venues", Script::close_before_head());
    edge.fetch_as(&token, &format!("/api/v1/venues/{VENUE}/stats"));
    eventually("the bypass is audited although the service is gone", || {
        (events(&edge, "admin_venue_bypass").len() == 2).then_some(())
    });
    assert!(edge.log_lines().iter().all(|line| !line.contains(OTHER_TENANT)), "values of headers stay out");
}

#[test]
fn every_stripped_field_counts_once_whatever_becomes_of_the_request() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("GET", ROW).header("x-tenant-id", "a").header("X-Tenant-Id", "b");
    request.header("x-tenant-name", "c").header("x-internal-service", "d").send().expect_status(401);
    only(&edge, "spoofed_identity_header", "low");
    edge.counts("gateway_dangerous_headers_stripped_total", &[("header", "x-tenant-*")], 3);
    edge.counts("gateway_dangerous_headers_stripped_total", &[("header", "x-internal-*")], 1);
    let mut client = edge.client();
    client.request("GET", "/ready").header("x-admin-token", "x").send();
    eventually("a silent row has no access line but its event", || {
        (events(&edge, "spoofed_identity_header").len() == 2).then_some(())
    });
    assert!(edge.log_records().iter().all(|record| record["msg"] != "request" || record["path"] != "/ready"));
}

#[test]
fn what_a_trusted_proxy_adds_is_neither_counted_nor_an_event() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("TRUSTED_PROXIES", "loopback").start();
    let token = Token::valid().build();
    let mut client = edge.client();
    let request = client.request("GET", ROW).bearer(&token).header("x-forwarded-for", "203.0.113.7");
    request.header("x-real-ip", "203.0.113.7").header("x-venue-id", VENUE).send().expect_status(200);
    let line = only(&edge, "spoofed_identity_header", "low");
    assert_eq!(line["clientIp"], "203.0.113.7");
    edge.counts("gateway_dangerous_headers_stripped_total", &[], 1);
}

#[test]
fn a_refused_refresh_token_is_an_event_and_the_answer_passes() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    backend.script("/auth/refresh", Script::answer(401, &[], "{}"));
    let refresh = || edge.client().request("POST", "/api/v1/auth/refresh").body("{}").send().status;
    assert_eq!(refresh(), 401);
    only(&edge, "refresh_rejected", "low");
    edge.counts("gateway_auth_failures_total", &[("reason", "refresh_rejected")], 1);
    backend.script("/auth/refresh", Script::answer(500, &[], "{}"));
    backend.script("/auth/login", Script::answer(401, &[], "{}"));
    assert_eq!(refresh(), 500);
    edge.client().request("POST", "/api/v1/auth/login").body("{}").send().expect_status(401);
    edge.metrics_say("only a 401 of that row counts", |metrics| {
        metrics.count("gateway_http_requests_total", &[("path", "/api/v1/auth/login")]) == 1
            && metrics.count("gateway_security_events_total", &[]) == 1
    });
}

#[test]
fn a_user_whose_record_is_of_another_tenant_is_critical() {
    let user = json!({ "id": USER, "tenantId": OTHER_TENANT, "role": "customer", "status": "ACTIVE" });
    let body = json!({ "user": user }).to_string();
    let record = Script::answer(200, &[("content-type", "application/json")], body);
    let auth = Backend::named("auth").on("/auth/internal/users/", record);
    let services = Backend::start();
    let command = Command::run(&services).service("auth", &auth).set("AUTH_USER_CHECK", "always");
    let edge = command.set("S2S_SERVICE_TOKEN", "a-fixed-service-token").start();
    let token = Token::valid().build();
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&token).header("x-request-id", "asked-2").send().expect_status(401);
    let line = only(&edge, "record_tenant_mismatch", "critical");
    assert_eq!((&line["userId"], &line["tenantId"]), (&USER.into(), &TENANT.into()));
    assert_eq!((&line["requestId"], &line["level"]), (&"asked-2".into(), &"error".into()));
    assert!(line["traceId"].as_str().is_some_and(|id| id.len() == 32), "{line}");
    edge.counts("gateway_auth_failures_total", &[("reason", "user_not_found")], 1);
    says_nothing_secret(&edge, &[token]);
}

#[test]
fn a_denied_venue_says_which_and_a_service_that_cannot_tell_is_no_event() {
    let venue = Backend::named("venue");
    let denied = json!({ "hasAccess": false, "role": null, "permissions": [] }).to_string();
    venue.script("/api/v1/venues", Script::answer(200, &[("content-type", "application/json")], denied));
    let services = Backend::start();
    let edge = Command::run(&services).service("venue", &venue).start();
    let token = Token::valid().build();
    edge.fetch_as(&token, &format!("/api/v1/venues/{}/dashboard", VENUE.to_uppercase())).expect_status(404);
    let line = only(&edge, "venue_access_denied", "high");
    assert_eq!((&line["venueId"], &line["permission"]), (&VENUE.into(), &"reports:view".into()));
    assert_eq!((&line["userId"], &line["level"]), (&USER.into(), &"warn".into()));
    venue.script("/api/v1/venues", Script::answer(500, &[], ""));
    let other = "0190e2f4-aaaa-7bbb-8ccc-00112233aabc";
    edge.fetch_as(&token, &format!("/api/v1/venues/{other}/settings")).expect_status(503);
    edge.fetch_as(&token, "/api/v1/venues/no-uuid/settings").expect_status(404);
    edge.counts("gateway_security_events_total", &[], 1);
    says_nothing_secret(&edge, &[token]);
}

#[test]
fn a_superadmin_in_another_tenant_is_audited_with_both_tenants() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("CROSS_TENANT_ADMIN", "true").start();
    let token = Token::of_role("superadmin").build();
    let mut client = edge.client();
    let request = client.request("GET", ROW).bearer(&token).header("x-target-tenant-id", OTHER_TENANT);
    request.send().expect_status(200);
    let line = only(&edge, "cross_tenant_override", "high");
    assert_eq!((&line["tenantId"], &line["targetTenantId"]), (&TENANT.into(), &OTHER_TENANT.into()));
    assert_eq!((&line["role"], &line["userId"]), (&"superadmin".into(), &USER.into()));
}

#[test]
fn api_keys_that_nobody_has_or_of_another_venue_are_events_and_stay_out_of_the_log() {
    const KEY: &str = "vk_live.0123456789abcdef-0123456789ABCDEF";
    let (backend, redis) = (Backend::start(), RedisServer::start());
    redis.command(&["SET", &format!("api:key:{KEY}"), &json!({ "venueId": OTHER_USER }).to_string()]);
    let edge = Command::run(&backend).set("REDIS_URL", &redis.url()).start();
    let token = Token::valid().build();
    let foreign = KEY.replace("vk_live", "vk_fake");
    for key in [KEY, &foreign] {
        let mut client = edge.client();
        let request = client.request("GET", &format!("/api/v1/venues/{VENUE}")).bearer(&token);
        request.header("x-api-key", key).send().expect_status(403);
    }
    assert_eq!(only(&edge, "invalid_api_key", "medium")["keyStart"], "vk_fake.");
    let line = only(&edge, "cross_venue_api_attempt", "critical");
    assert_eq!(line["keyStart"], "vk_live.");
    assert_eq!((&line["userId"], &line["level"]), (&USER.into(), &"error".into()));
    edge.counts("gateway_lookups_total", &[("question", "api_key"), ("result", "answered")], 2);
    assert!(edge.log_lines().iter().all(|line| !line.contains("0123456789abcdef")), "a key is a credential");
    says_nothing_secret(&edge, &[token]);
}

#[test]
fn a_flood_of_refusals_is_counted_exactly_and_written_in_part() {
    const REQUESTS: u64 = 6_000;
    let backend = Backend::start();
    let mut edge = Command::run(&backend).workers(2).set("LOG_LEVEL", "info").start();
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = edge.client();
                for _ in 0..REQUESTS / 4 {
                    client.get("/api/v1/events/%2e%2e/x").expect_status(400);
                }
            });
        }
    });
    edge.counts("gateway_security_events_total", &[("event", "path_attack")], REQUESTS);
    let seconds = started.elapsed().as_secs() + 1;
    let suppressed =
        |kind: &str| edge.metrics().count("gateway_log_lines_suppressed_total", &[("kind", kind)]);
    let written = eventually("every event is either written or counted as left out", || {
        let written = events(&edge, "path_attack").len() as u64;
        (written + suppressed("path_attack") == REQUESTS).then_some(written)
    });
    assert!((200..=200 + 5 * seconds + 1).contains(&written), "{written} lines of events in {seconds} s");
    let of_access = |record: &Value| record["msg"] == "request" && record["reason"] == "invalid_path";
    let lines = eventually("every access line is either written or counted as left out", || {
        let lines = edge.log_records().iter().filter(|record| of_access(record)).count() as u64;
        (lines + suppressed("refused_request") == REQUESTS).then_some(lines)
    });
    assert!((2_000..=2_000 + 100 * seconds + 1).contains(&lines), "{lines} access lines in {seconds} s");
    // Another kind is not hidden.
    edge.fetch_as(&Token::of_role("admin").build(), &format!("/api/v1/venues/{VENUE}/settings"));
    only(&edge, "admin_venue_bypass", "medium");
    edge.terminate();
    eventually("what was left out is said", || {
        let records = edge.log_records();
        let said = records
            .iter()
            .filter(|record| record["msg"] == "log lines suppressed" && record["kind"] == "path_attack");
        let sum: u64 = said.filter_map(|record| record["suppressed"].as_u64()).sum();
        (sum == REQUESTS - written).then_some(())
    });
}
