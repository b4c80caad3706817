//! The figures of identity: what look-ups, caches, Redis and revocation come to, as a scrape shows it.

use crate::harness::token::{JTI, TENANT, USER, now};
use crate::harness::{Backend, Command, RedisServer, Script, Token, eventually};
use serde_json::json;

const ROW: &str = "/api/v1/tickets";
const LOOK_UP: &str = "/auth/internal/users/";

fn record() -> Script {
    let user = json!({ "id": USER, "tenantId": TENANT, "role": "customer", "status": "ACTIVE" });
    Script::answer(200, &[("content-type", "application/json")], json!({ "user": user }).to_string())
}

fn before(auth: &Backend, services: &Backend) -> Command {
    let command = Command::run(services).service("auth", auth).set("AUTH_USER_CHECK", "always");
    command.set("S2S_SERVICE_TOKEN", "a-fixed-service-token")
}

#[test]
fn the_caches_of_tokens_and_users_count_hits_and_misses() {
    let auth = Backend::named("auth").on(LOOK_UP, record());
    let services = Backend::start();
    let edge = before(&auth, &services).start();
    let token = Token::valid().build();
    for _ in 0..5 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    for cache in ["token", "user"] {
        edge.counts("gateway_cache_misses_total", &[("cache", cache)], 1);
        edge.counts("gateway_cache_hits_total", &[("cache", cache)], 4);
    }
    edge.counts("gateway_lookups_total", &[("question", "user"), ("result", "answered")], 1);
    edge.counts("gateway_lookups_waiting", &[], 0);
    edge.counts("gateway_auth_attempts_total", &[("result", "success")], 5);
}

#[test]
fn an_outage_is_counted_as_one_and_so_is_what_goes_on_without_the_answer() {
    let auth = Backend::named("auth").on(LOOK_UP, Script::answer(500, &[], ""));
    let services = Backend::start();
    let edge = before(&auth, &services).set("AUTH_OUTAGE_POLICY", "claims").start();
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    edge.counts("gateway_degraded_decisions_total", &[("why", "claims")], 1);
    edge.client().request("POST", "/api/v1/orders").bearer(&token).body("{}").send().expect_status(503);
    edge.counts("gateway_lookups_total", &[("question", "user"), ("result", "outage")], 2);
    edge.counts("gateway_auth_failures_total", &[("reason", "auth_unavailable")], 1);
    edge.counts("gateway_auth_failures_total", &[], 1);
    edge.counts("gateway_security_events_total", &[], 0);
}

#[test]
fn calls_to_redis_are_counted_by_purpose_and_outcome() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let edge = Command::run(&backend).set("REDIS_URL", &redis.url()).start();
    let operations = "gateway_redis_operations_total";
    edge.metrics_say("pings and reads succeed", |metrics| {
        metrics.count(operations, &[("op", "ping"), ("result", "ok")]) > 0
            && metrics.count(operations, &[("op", "tail"), ("result", "ok")]) > 0
            && metrics.count(operations, &[("op", "snapshot"), ("result", "ok")]) > 0
            && metrics.count("gateway_redis_operation_duration_seconds_count", &[("op", "ping")]) > 0
    });
    redis.kill();
    edge.metrics_say("calls fail, and then are not made", |metrics| {
        metrics.count(operations, &[("op", "tail"), ("result", "error")]) > 0
            && metrics.count(operations, &[("op", "tail"), ("result", "blocked")]) > 0
    });
}

#[test]
fn a_revocation_counts_once_under_where_it_came_from() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    redis.command(&["SET", "session:blacklist:jti:early", "1", "EX", "900"]);
    let edge = Command::run(&backend).set("REDIS_URL", &redis.url()).start();
    let total = "gateway_revocations_total";
    edge.counts(total, &[("kind", "jti"), ("source", "snapshot")], 1);
    let expiry = (now() + 900).to_string();
    let entry = ["XADD", "gateway:revocations", "*", "v", "1", "kind", "jti", "id", "late", "exp", &expiry];
    redis.command(&entry);
    redis.command(&entry);
    edge.counts(total, &[("kind", "jti"), ("source", "stream")], 1);
    let token = Token::valid().build();
    edge.client().request("POST", "/api/v1/auth/logout").bearer(&token).send().expect_status(200);
    edge.counts(total, &[("kind", "jti"), ("source", "node")], 1);
    eventually("the own revocation is in Redis", || {
        redis.command(&["EXISTS", &format!("session:blacklist:jti:{JTI}")]).starts_with(":1").then_some(())
    });
    let metrics = edge.metrics();
    assert_eq!(metrics.count(total, &[]), 3, "what comes back by the stream is known already");
    assert_eq!(metrics.count("gateway_revocation_entries", &[("table", "tokens")]), 3);
    assert_eq!(metrics.count("gateway_revocation_entries", &[("table", "cutoffs")]), 0);
    assert_eq!(metrics.count("gateway_revocations_lost_total", &[]), 0);
}

#[test]
fn staleness_is_small_while_the_stream_is_read_and_grows_when_it_is_not() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let edge = Command::run(&backend).set("REDIS_URL", &redis.url()).start();
    let staleness = "gateway_revocation_staleness_seconds";
    edge.counts("gateway_security_events_total", &[], 0);
    edge.metrics_say("the stream is read", |metrics| {
        metrics.has(staleness, &[]) && metrics.value(staleness, &[]) < 2.0
    });
    redis.kill();
    edge.metrics_say("it grows", |metrics| metrics.value(staleness, &[]) > 2.5);
    redis.restart();
    edge.metrics_say("it is read again", |metrics| metrics.value(staleness, &[]) < 2.0);
}

#[test]
fn what_a_cold_node_lets_pass_by_policy_is_counted() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    redis.kill();
    let command = Command::run(&backend).set("REDIS_URL", &redis.url());
    let edge = command.set("REVOCATION_COLD_POLICY", "serve").start();
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    edge.fetch_as(&token, ROW).expect_status(200);
    edge.counts("gateway_degraded_decisions_total", &[("why", "cold_mirror")], 2);
}
