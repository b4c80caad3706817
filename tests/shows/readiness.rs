//! `/ready` while what it depends on hangs, is down, or is left alone: status, body and time.

use super::tell;
use crate::harness::{Backend, Cable, Command, Edge, RedisServer, Script, Step, eventually};
use std::time::{Duration, Instant};

const PROMISED: Duration = Duration::from_secs(2);
/// Answers that are timed once the state is there.
const ANSWERS: usize = 50;

/// Waits until `/ready` says so, each answer within the promised time, and tells what it says then.
fn tell_when(edge: &Edge, what: &str, status: u16, error: Option<&str>) {
    let asked = || {
        let asked = Instant::now();
        let answer = edge.get("/ready");
        let took = asked.elapsed();
        assert!(took < PROMISED, "{what}: {took:?}");
        (answer, took)
    };
    let body = eventually(what, || {
        let (answer, _) = asked();
        let body = answer.json();
        (answer.status == status && body["error"].as_str() == error).then_some(body)
    });
    let longest = (0..ANSWERS).map(|_| asked().1).max().expect("some were timed");
    let checks = &body["checks"];
    let said = format!(
        "{status} status={} error={} redis={} authService={} venueService={} auth circuit={} venue circuit={}",
        body["status"],
        body["error"],
        checks["redis"],
        checks["authService"],
        checks["venueService"],
        body["circuitBreakers"]["auth"],
        body["circuitBreakers"]["venue"]
    );
    tell(&format!("/ready, {what}"), &format!("{said}; longest of {ANSWERS} answers {longest:.1?}"));
}

#[test]
fn ready_answers_in_time_whatever_is_down_and_names_it() {
    let (redis, services) = (RedisServer::start(), Backend::start());
    let (auth, venue) = (Backend::named("auth"), Backend::named("venue"));
    let cable = Cable::to(auth.address());
    let command = Command::run(&services).service("venue", &venue).set("REDIS_URL", &redis.url());
    let edge = command.service_url("auth", &format!("http://{}", cable.address())).start();
    tell_when(&edge, "all well", 200, None);
    redis.stall();
    tell_when(&edge, "Redis accepts and never answers", 503, Some("redis is unreachable"));
    redis.resume();
    tell_when(&edge, "Redis is back", 200, None);
    cable.cut();
    tell_when(&edge, "auth-service is down", 503, Some("auth-service is unreachable"));
    cable.heal();
    tell_when(&edge, "auth-service is back", 200, None);
    auth.script("/health", Script::of(vec![Step::Hang]));
    tell_when(&edge, "auth-service accepts and never answers", 503, Some("auth-service is unreachable"));
    auth.script("/health", Script::answer(200, &[], ""));
    tell_when(&edge, "auth-service answers again", 200, None);
    edge.breaker(&["open", "venue"]).expect_code(0);
    tell_when(
        &edge,
        "the circuit of venue-service is open",
        503,
        Some("the circuit of venue-service is open"),
    );
    edge.breaker(&["reset", "venue"]).expect_code(0);
    tell_when(&edge, "the circuit of venue-service is closed again", 200, None);
}
