//! `/ready`, `/health/ready`: should a load balancer send clients here?
//!
//! Ready is: the node serves, no worker's loop is stalled, every worker has the first public keys, it knows what was
//! revoked, and every dependency of READY_DEPENDENCIES that this edge has can be reached. A node that runs alone
//! follows nobody and has no Redis.

use super::{Node, answer};
use crate::config::Dependency;
use serde::Serialize;
use shm::readiness::{Check, NodePhase, State};
use shm::revocations::Completeness;
use shm::workers::{Phase, WorkerBlock};

/// A worker without a heartbeat for this long is stalled.
pub const STALLED_MS: u64 = 5_000;
/// More resident memory than this is a warning.
pub const MEMORY_WARNING_BYTES: u64 = 1 << 30;

/// The answer.
pub fn ready(node: &Node<'_>, body: &mut Vec<u8>) -> u16 {
    match node.readiness.phase() {
        NodePhase::Draining => return answer(503, &Draining { status: "draining" }, body),
        NodePhase::Starting | NodePhase::Serving => {}
    }
    let error = obstacle(node);
    let answer_body = Ready {
        status: if error.is_none() { "ready" } else { "not ready" },
        error,
        checks: Checks::of(node),
        circuit_breakers: Breakers {},
    };
    answer(if error.is_none() { 200 } else { 503 }, &answer_body, body)
}

/// What stands between the node and being ready.
#[must_use]
pub fn obstacle(node: &Node<'_>) -> Option<&'static str> {
    if node.readiness.phase() == NodePhase::Starting {
        return Some("starting");
    }
    if node.workers.iter().any(|worker| stalled(worker, node.now_ms)) {
        return Some("a worker does not respond");
    }
    if node.revocations == Some(Completeness::NeverSynced) {
        return Some("the revocations have not been read");
    }
    if node.readiness.keys_awaited() {
        return Some("the public keys were not fetched yet");
    }
    // The set is on its way from the supervisor, which knows of it first.
    let lacks_keys = |worker: &WorkerBlock| worker.phase() == Phase::Serving && worker.public_keys() == 0;
    if node.readiness.public_keys() > 0 && node.workers.iter().any(lacks_keys) {
        return Some("the public keys have not reached every worker");
    }
    for dependency in node.dependencies {
        let (check, error) = match dependency {
            Dependency::Redis => (Some(Check::Redis), "redis is unreachable"),
            Dependency::Auth => (node.service("auth").map(Check::Service), "auth-service is unreachable"),
            Dependency::Venue => (node.service("venue").map(Check::Service), "venue-service is unreachable"),
        };
        let reachable =
            check.is_some_and(|check| matches!(node.readiness.state(check).state, State::Ok | State::Slow));
        if !reachable {
            return Some(error);
        }
    }
    None
}

fn stalled(worker: &WorkerBlock, now_ms: u64) -> bool {
    worker.phase() == Phase::Serving && now_ms.saturating_sub(worker.heartbeat_ms()) > STALLED_MS
}

#[derive(Serialize)]
struct Draining {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    checks: Checks,
    #[serde(rename = "circuitBreakers")]
    circuit_breakers: Breakers,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checks {
    redis: &'static str,
    auth_service: &'static str,
    venue_service: &'static str,
    memory: &'static str,
    circuit_breakers: Breakers,
}

/// Service to state; empty as long as the edge has no breakers.
#[derive(Serialize)]
struct Breakers {}

impl Checks {
    fn of(node: &Node<'_>) -> Self {
        let service = |name: &str| {
            let state = node.service(name).map(|index| node.readiness.state(Check::Service(index)).state);
            match state {
                Some(State::Ok | State::Slow) => "ok",
                _ => "error",
            }
        };
        Checks {
            redis: match node.readiness.state(Check::Redis).state {
                State::Unknown if node.revocations.is_none() => "disabled",
                State::Ok => "ok",
                State::Slow => "slow",
                State::Error | State::Unknown => "error",
            },
            auth_service: service("auth"),
            venue_service: service("venue"),
            memory: if node.memory_bytes() > MEMORY_WARNING_BYTES { "warning" } else { "ok" },
            circuit_breakers: Breakers {},
        }
    }
}
