//! Bad settings never start: every problem is told at once, with what to do, and no secret is printed.

use crate::harness::token::{ISSUER, OTHER_USER, SHARED_SECRET, TENANT, USER};
use crate::harness::{Backend, Command, Edge, Key, RedisServer, Script, Token, eventually};
use serde_json::json;

/// What `check` needs to be content in development.
fn check() -> Command {
    Command::bare(&["check"])
        .set("NODE_ENV", "development")
        .set("JWT_PUBLIC_KEY", Key::Current.public_pem())
        .set("AUTH_USER_CHECK", "off")
}

/// A production environment without a mistake.
fn production() -> Command {
    let command = in_production(check()).set("REDIS_URL", "redis://:a-long-password@redis.internal:6379/0");
    crate::harness::edge::SERVICES
        .iter()
        .fold(command, |command, entry| command.set(entry.1, &format!("http://{}.internal:3000", entry.0)))
}

/// What production needs beside services and Redis.
fn in_production(command: Command) -> Command {
    command
        .set("NODE_ENV", "production")
        .unset("AUTH_USER_CHECK")
        .set("JWT_ISSUER", ISSUER)
        .set("S2S_SERVICE_TOKEN", "a-token")
        .set("CACHE_MAC_KEY", SHARED_SECRET)
}

#[test]
fn good_settings_pass_the_check() {
    check().finish().expect_code(0);
}

#[test]
fn the_environment_must_be_named() {
    check().unset("NODE_ENV").finish().expect_code(78).expect_words(&["NODE_ENV"]);
    check().set("NODE_ENV", "prod").finish().expect_code(78).expect_words(&["NODE_ENV"]);
}

#[test]
fn every_problem_is_told_at_once() {
    let command = check()
        .set("PORT", "70000")
        .set("JWT_CLOCK_SKEW_SECS", "9999")
        .set("LOG_LEVEL", "loud")
        .set("TRUSTED_PROXIES", "10.0.0.0/33")
        .set("VENUE_SERVICE_URL", "ftp://venue")
        .set("SHUTDOWN_TIMEOUT_MS", "5")
        .set("JWT_PUBLIC_KEY", "not a key");
    let names = [
        "PORT",
        "JWT_CLOCK_SKEW_SECS",
        "LOG_LEVEL",
        "TRUSTED_PROXIES",
        "VENUE_SERVICE_URL",
        "SHUTDOWN_TIMEOUT_MS",
        "JWT_PUBLIC_KEY",
    ];
    command.finish().expect_code(78).expect_words(&names);
}

#[test]
fn an_edge_with_bad_settings_never_listens() {
    let backend = Backend::start();
    let finished = Command::run(&backend).set("JWT_CLOCK_SKEW_SECS", "-1").finish();
    finished.expect_code(78).expect_words(&["JWT_CLOCK_SKEW_SECS"]);
    assert!(!finished.output.contains("\"listening\""), "{}", finished.output);
    assert_eq!(backend.connections(), 0);
}

#[test]
fn keys_are_needed() {
    check().unset("JWT_PUBLIC_KEY").finish().expect_code(78).expect_words(&["JWT_PUBLIC_KEY"]);
    let weak = include_str!("keys/weak1024.public.pem");
    check().set("JWT_PUBLIC_KEY", weak).finish().expect_code(78).expect_words(&["JWT_PUBLIC_KEY", "2048"]);
}

#[test]
fn a_secret_that_is_too_short_is_refused_and_not_shown() {
    let finished = check().set("JWT_ALGORITHMS", "HS256").set("JWT_SECRET", "hush-hush").finish();
    finished.expect_code(78).expect_words(&["JWT_SECRET"]);
    assert!(!finished.output.contains("hush-hush"), "{}", finished.output);
}

#[test]
fn a_secret_may_come_from_a_file_but_not_twice() {
    let command = check().set("JWT_ALGORITHMS", "HS256").unset("JWT_PUBLIC_KEY");
    let path = command.file("secret", SHARED_SECRET);
    let command = command.set("JWT_SECRET_FILE", &path);
    command.finish().expect_code(0);
    let path = command.file("secret", SHARED_SECRET);
    let both = command.set("JWT_SECRET_FILE", &path).set("JWT_SECRET", SHARED_SECRET);
    both.finish().expect_code(78).expect_words(&["JWT_SECRET"]);
}

#[test]
fn production_has_stricter_rules() {
    let finished = production()
        .set("JWT_ALGORITHMS", "RS256,HS256")
        .set("JWT_SECRET", "dev-secret-change-in-production")
        .unset("JWT_ISSUER")
        .set("REDIS_URL", "redis://redis.internal:6379/0")
        .set("TRUSTED_PROXIES", "0.0.0.0/0")
        .set("PORT", "0")
        .unset("ORDER_SERVICE_URL")
        .finish();
    finished.expect_code(78).expect_words(&[
        "JWT_SECRET",
        "JWT_ISSUER",
        "REDIS_PASSWORD",
        "TRUSTED_PROXIES",
        "PORT: is 0",
        "ORDER_SERVICE_URL",
    ]);
    assert!(!finished.output.contains("dev-secret-change"), "{}", finished.output);
}

#[test]
fn users_are_checked_where_there_is_a_credential() {
    check().set("AUTH_USER_CHECK", "always").finish().expect_code(78).expect_words(&["S2S_PRIVATE_KEY"]);
    let unset = check().unset("AUTH_USER_CHECK");
    unset.finish().expect_code(0).expect_words(&["AUTH_USER_CHECK", "taken as off"]);
    let given = unset.argument("--print").set("S2S_SERVICE_TOKEN", "a-token").finish();
    given.expect_code(0).expect_words(&["AUTH_USER_CHECK = always (default)"]);
}

#[test]
fn a_complete_production_environment_passes_the_check() {
    production().finish().expect_code(0).expect_words(&["configuration ok"]);
    let incomplete = production().unset("S2S_SERVICE_TOKEN").unset("CACHE_MAC_KEY").finish();
    incomplete.expect_code(78).expect_words(&["S2S_PRIVATE_KEY", "CACHE_MAC_KEY"]);
}

#[test]
fn production_starts_and_looks_its_users_up() {
    let record = |id: &str, status: &str| {
        let user = json!({ "user": { "id": id, "tenantId": TENANT, "role": "customer", "status": status } });
        Script::answer(200, &[("content-type", "application/json")], user.to_string())
    };
    let auth = Backend::named("auth").on("/auth/internal/users/", record(USER, "ACTIVE"));
    let (services, redis) = (Backend::start(), RedisServer::start());
    let password = "a-long-password";
    redis.command(&["CONFIG", "SET", "requirepass", password]);
    let url = redis.url().replace("redis://", &format!("redis://:{password}@"));
    let port = crate::harness::redis::free_address().port();
    let command = in_production(Command::run(&services)).service("auth", &auth);
    let edge = command.set("PORT", &port.to_string()).set("REDIS_URL", &url).start();
    let token = Token::valid().build();
    eventually("the revocation store is read", || {
        (edge.fetch_as(&token, "/api/v1/tickets").status == 200).then_some(())
    });
    assert_eq!(services.only().header("x-user-id"), Some(USER));
    assert_eq!(auth.hits(), 1);
    auth.script("/auth/internal/users/", record(OTHER_USER, "SUSPENDED"));
    let other = Token::valid().user(OTHER_USER).build();
    edge.fetch_as(&other, "/api/v1/tickets").expect_problem(401, "AUTHENTICATION_ERROR");
    edge.get("/api/v1/branding/pricing/tiers").expect_status(200);
}

#[test]
fn services_over_tls_are_accepted_and_their_authorities_checked() {
    let command = check().set("VENUE_SERVICE_URL", "https://venue.internal");
    command.finish().expect_code(0);
    let path = command.file("ca.pem", "no certificate at all");
    let finished = command.set("UPSTREAM_CA_FILE", &path).finish();
    finished.expect_code(78).expect_words(&["UPSTREAM_CA_FILE", "without a certificate", "in PEM"]);
}

#[test]
fn production_may_require_tls_of_every_service() {
    let finished = production().set("UPSTREAM_TLS_REQUIRED", "true").finish();
    finished
        .expect_code(78)
        .expect_words(&["VENUE_SERVICE_URL", "is http while UPSTREAM_TLS_REQUIRED is true"]);
}

#[test]
fn a_file_may_hold_settings_and_its_mistakes_have_lines() {
    let command = check();
    let path = command.file("floodgate.toml", "[server]\nport = 8080\nprot = 1\n");
    let finished = command.set("FLOODGATE_CONFIG", &path).finish();
    finished.expect_code(78).expect_words(&["floodgate.toml:3", "prot"]);
}

#[test]
fn the_effective_settings_are_printed_without_secrets() {
    let command = Command::bare(&["check", "--print"])
        .set("NODE_ENV", "development")
        .set("JWT_ALGORITHMS", "HS256")
        .set("JWT_SECRET", SHARED_SECRET)
        .set("AUTH_USER_CHECK", "off")
        .set("LOG_LEVEL", "warn");
    let finished = command.finish();
    finished.expect_code(0).expect_words(&["LOG_LEVEL = warn", "JWT_SECRET", "PORT = 3000"]);
    assert!(!finished.output.contains(SHARED_SECRET), "{}", finished.output);
}

#[test]
fn the_start_is_logged_without_secrets() {
    let backend = Backend::start();
    let edge = Command::run(&backend).shared_secret_tokens().start();
    let log = edge.log_lines().join("\n");
    assert!(log.contains("AUTH_USER_CHECK"), "the effective configuration is logged:\n{log}");
    assert!(!log.contains(SHARED_SECRET), "{log}");
}

#[test]
fn the_route_table_is_printed_with_a_reason_for_every_public_row() {
    let finished = Command::bare(&["routes"])
        .set("NODE_ENV", "development")
        .set("JWT_PUBLIC_KEY", Key::Current.public_pem())
        .finish();
    finished.expect_code(0).expect_words(&[
        "/api/v1/auth/login",
        "/api/v1/tickets/purchase",
        "T1",
        "not yet held",
    ]);
}

#[test]
fn a_table_with_a_mistake_is_refused() {
    let command = check();
    let table = "routes = [\n  { id = \"X\", path = \"/x/**\", methods = \"A\", service = \"nobody\", access = \"user\" },\n]\n";
    let path = command.file("floodgate.toml", table);
    command
        .set("FLOODGATE_CONFIG", &path)
        .finish()
        .expect_code(78)
        .expect_words(&["floodgate.toml:2", "routes[0].service"]);
}

#[test]
fn a_public_row_without_a_reason_is_refused() {
    let command = check();
    let table = "routes = [\n  { id = \"X\", path = \"/x\", methods = \"R\", service = \"auth\", access = \"pub\" },\n]\n";
    let path = command.file("floodgate.toml", table);
    command.set("FLOODGATE_CONFIG", &path).finish().expect_code(78).expect_words(&["reason"]);
}

#[test]
fn two_edges_do_not_share_a_port_by_accident() {
    let backend = Backend::start();
    let first = Edge::start(&backend);
    let port = first.address().port().to_string();
    let second = Command::run(&backend).set("PORT", &port).finish();
    assert_ne!(second.status.code(), Some(0), "{}", second.output);
    second.expect_words(&["PORT"]);
}

#[test]
fn an_unknown_command_is_refused_with_a_usage() {
    let finished = Command::bare(&["serve"]).finish();
    assert_ne!(finished.status.code(), Some(0));
    finished.expect_words(&["Usage"]);
}
