//! `/ready`, `/health/ready`: should a load balancer send clients here?
//!
//! Ready is: the node serves, no worker's loop is stalled, every worker has the first public keys, it knows what was
//! revoked, and every dependency of READY_DEPENDENCIES that this edge has can be reached, its circuit not open. A node
//! that runs alone follows nobody and has no Redis.

use super::{Node, answer};
use crate::config::Dependency;
use crate::telemetry::labels::CircuitPosition;
use serde::Serialize;
use shm::readiness::{Check, NodePhase, State};
use shm::revocations::Completeness;
use shm::workers::{Phase, WorkerBlock};
use std::collections::BTreeMap;

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
        circuit_breakers: node.circuits(),
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
        let (service, error, open) = match dependency {
            Dependency::Redis => (None, "redis is unreachable", ""),
            Dependency::Auth => {
                (node.service("auth"), "auth-service is unreachable", "the circuit of auth-service is open")
            }
            Dependency::Venue => (
                node.service("venue"),
                "venue-service is unreachable",
                "the circuit of venue-service is open",
            ),
        };
        let check = match dependency {
            Dependency::Redis => Some(Check::Redis),
            Dependency::Auth | Dependency::Venue => service.map(Check::Service),
        };
        let reachable =
            check.is_some_and(|check| matches!(node.readiness.state(check).state, State::Ok | State::Slow));
        if !reachable {
            return Some(error);
        }
        let circuit = service.and_then(|service| node.circuit(usize::from(service)));
        if circuit.is_some_and(|view| CircuitPosition::of(view.position) == CircuitPosition::Open) {
            return Some(open);
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
struct Ready<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    checks: Checks<'a>,
    #[serde(rename = "circuitBreakers")]
    circuit_breakers: BTreeMap<&'a str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checks<'a> {
    redis: &'static str,
    auth_service: &'static str,
    venue_service: &'static str,
    memory: &'static str,
    circuit_breakers: BTreeMap<&'a str, &'static str>,
}

impl<'a> Checks<'a> {
    fn of(node: &Node<'a>) -> Self {
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
            circuit_breakers: node.circuits(),
        }
    }
}
