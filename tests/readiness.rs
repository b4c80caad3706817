//! Whether a node should get clients, as far as Redis and what was revoked are concerned: a real server that dies,
//! hangs, is slow and returns.

use crate::harness::{Backend, Command, Edge, RedisServer, Response, eventually};
use std::time::{Duration, Instant};

fn node(backend: &Backend, redis: &RedisServer) -> Command {
    Command::run(backend).set("REDIS_URL", &redis.url())
}

/// Waits for `/ready` to have this status, and this word for Redis; it answers in under 2 s whatever is down.
#[track_caller]
fn becomes(edge: &Edge, status: u16, redis: &str) -> Response {
    eventually(&format!("/ready is {status} and redis {redis}"), || {
        let asked = Instant::now();
        let answer = edge.get("/ready");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        (answer.status == status && answer.json()["checks"]["redis"] == redis).then_some(answer)
    })
}

#[test]
fn a_node_is_ready_while_redis_answers() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis).start();
    becomes(&edge, 200, "ok");
    edge.metrics_say("redis is up", |metrics| {
        metrics.value("gateway_redis_up", &[]) > 0.0
            && metrics.value("gateway_health_check_status", &[("check", "redis")]) > 0.0
            && metrics.count("gateway_health_check_duration_seconds_count", &[("check", "redis")]) > 0
    });
    redis.kill();
    let unready = becomes(&edge, 503, "error").json();
    assert_eq!(unready["error"], "redis is unreachable");
    edge.metrics_say("redis is down", |metrics| {
        metrics.has("gateway_redis_up", &[]) && metrics.count("gateway_redis_up", &[]) == 0
    });
    assert_eq!(edge.get("/live").status, 200);
    redis.restart();
    becomes(&edge, 200, "ok");
}

#[test]
fn a_redis_that_hangs_is_an_error_and_recovers() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis).start();
    becomes(&edge, 200, "ok");
    redis.stall();
    becomes(&edge, 503, "error");
    redis.resume();
    becomes(&edge, 200, "ok");
}

#[test]
fn a_redis_that_takes_longer_than_a_tenth_of_a_second_is_slow_and_the_node_ready() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis).start();
    becomes(&edge, 200, "ok");
    // Of several lengths, so that the probes do not fall into step with them.
    let mut lengths = ["230", "310", "390", "270", "350"].iter().cycle();
    eventually("a PING is slow", || {
        redis.command(&["CLIENT", "PAUSE", lengths.next().expect("without end"), "ALL"]);
        // Answered when the pause is over: nothing of ours waits in front of the edge's own PING.
        redis.command(&["PING"]);
        let answer = edge.get("/ready");
        (answer.status == 200 && answer.json()["checks"]["redis"] == "slow").then_some(())
    });
}

#[test]
fn a_node_that_has_not_read_what_was_revoked_is_not_ready() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    redis.kill();
    // Even where an operator says that Redis gates nothing.
    let edge = node(&backend, &redis).set("READY_DEPENDENCIES", "auth,venue").start();
    let unready = becomes(&edge, 503, "error").json();
    assert_eq!(unready["error"], "the revocations have not been read");
    redis.restart();
    becomes(&edge, 200, "ok");
    redis.kill();
    becomes(&edge, 200, "error");
}

#[test]
fn a_node_that_runs_alone_has_no_redis_to_wait_for() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    becomes(&edge, 200, "disabled");
    let metrics = edge.metrics();
    assert!(!metrics.has("gateway_redis_up", &[]));
    assert!(!metrics.has("gateway_revocation_staleness_seconds", &[]));
}
