//! `/health` and `/<service>/health`: how the node and the services behind it are.

use super::{Node, answer};
use crate::config::services::{Service, ServiceId};
use crate::telemetry::labels::CircuitPosition;
use crate::telemetry::log::line::write_time;
use serde::Serialize;
use shm::breakers::View;
use shm::endpoints::{self, Health as InstanceHealth, SHARE_FULL};
use shm::readiness::{Check, State};
use shm::workers::{Driver, Phase};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How much the client may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Status and time: no version, no figure.
    Anonymous,
    /// All of it, for a bearer of HEALTH_TOKEN.
    Full,
}

/// `/health`. Degraded is: a service or Redis cannot be reached, or a circuit is open. (The limiter counts here once it
/// exists.)
pub fn health(node: &Node<'_>, detail: Detail, body: &mut Vec<u8>) -> u16 {
    let services = (0..node.services.len()).filter_map(|index| u8::try_from(index).ok()).map(Check::Service);
    let unreachable =
        services.chain([Check::Redis]).any(|check| node.readiness.state(check).state == State::Error);
    let views = || (0..node.services.len()).filter_map(|service| node.circuit(service));
    let open = views().any(|view| CircuitPosition::of(view.position) != CircuitPosition::Closed);
    let mut time = Vec::with_capacity(24);
    write_time(node.wall_ms, &mut time);
    let summary = Health {
        status: if unreachable || open { "degraded" } else { "ok" },
        timestamp: String::from_utf8_lossy(&time).into_owned(),
        detail: match detail {
            Detail::Anonymous => None,
            Detail::Full => Some(Figures::of(node)),
        },
    };
    answer(200, &summary, body)
}

/// `/<service>/health`, from the last probe and the circuit: no call is made for it.
pub fn service_health(node: &Node<'_>, service: ServiceId, body: &mut Vec<u8>) -> u16 {
    let name = node.services.get(usize::from(service.0)).map_or("", |service| service.name.as_str());
    let circuit = node.circuit(usize::from(service.0)).map(|view| CircuitPosition::of(view.position));
    let (status, word) = match node.readiness.state(Check::Service(service.0)).state {
        // Nobody gets through, whatever its health check says.
        _ if circuit == Some(CircuitPosition::Open) => (503, "down"),
        State::Ok if circuit == Some(CircuitPosition::HalfOpen) => (200, "degraded"),
        State::Ok => (200, "ok"),
        // Not probed yet is not known to be well.
        State::Slow | State::Unknown => (200, "degraded"),
        State::Error => (503, "down"),
    };
    answer(status, &ServiceHealth { status: word, service: name }, body)
}

#[derive(Serialize)]
struct ServiceHealth<'a> {
    status: &'static str,
    service: &'a str,
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    timestamp: String,
    #[serde(flatten)]
    detail: Option<Figures<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures<'a> {
    /// Seconds.
    uptime: u64,
    version: &'static str,
    memory_bytes: u64,
    io_driver: &'static str,
    workers: Vec<Worker>,
    circuit_breakers: BTreeMap<&'a str, Circuit>,
    instances: BTreeMap<&'a str, Vec<Instance>>,
    dependencies: Vec<Reachability<'a>>,
}

/// An instance at one of its addresses, as those see it who call it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    address: SocketAddr,
    status: &'static str,
    /// Milliseconds that it is still left out because calls to it failed.
    ejected_ms: u64,
    /// Failed calls in a row.
    failures: u8,
    in_flight: u64,
    /// Zero while it is not known.
    latency_ms: f64,
    /// What part of its usual calls it is offered.
    share_percent: u16,
}

/// A circuit, with the calls of the last ten seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Circuit {
    state: &'static str,
    /// By an operator.
    held: bool,
    calls: u64,
    failures: u64,
    retries: u64,
    /// Milliseconds until an open circuit tries a call.
    left_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    slot: usize,
    pid: u32,
    generation: u32,
    phase: &'static str,
    io_driver: &'static str,
    connections: u64,
    requests_in_flight: u64,
    /// Milliseconds since its last heartbeat.
    heartbeat_age_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reachability<'a> {
    service: &'a str,
    status: &'static str,
    latency_ms: f64,
}

impl<'a> Figures<'a> {
    fn of(node: &Node<'a>) -> Self {
        let workers: Vec<Worker> =
            (0..).zip(node.workers).filter_map(|(slot, block)| worker(slot, block, node)).collect();
        let redis = node.revocations.map(|_| (Check::Redis, "redis"));
        let services = (0..=u8::MAX).zip(node.services);
        let services = services.map(|(index, service)| (Check::Service(index), service.name.as_str()));
        let dependencies = redis.into_iter().chain(services).map(|(check, name)| {
            let check = node.readiness.state(check);
            Reachability {
                service: name,
                status: state_word(check.state),
                latency_ms: f64::from(check.latency_us) / 1000.0,
            }
        });
        Figures {
            uptime: node.uptime_s(),
            version: env!("CARGO_PKG_VERSION"),
            memory_bytes: node.memory_bytes(),
            io_driver: workers.first().map_or("unknown", |worker| worker.io_driver),
            dependencies: dependencies.collect(),
            circuit_breakers: circuits(node),
            instances: instances(node),
            workers,
        }
    }
}

fn circuits<'a>(node: &Node<'a>) -> BTreeMap<&'a str, Circuit> {
    let circuit = |(index, service): (usize, &'a Service)| {
        let View { position, left_ms, calls, failures, retries, .. } = node.circuit(index)?;
        let circuit = Circuit {
            state: CircuitPosition::of(position).word(),
            held: position.is_held(),
            calls,
            failures,
            retries,
            left_ms,
        };
        Some((service.name.as_str(), circuit))
    };
    node.services.iter().enumerate().filter_map(circuit).collect()
}

fn instances<'a>(node: &Node<'a>) -> BTreeMap<&'a str, Vec<Instance>> {
    let mut all: BTreeMap<&str, Vec<Instance>> = BTreeMap::new();
    node.set.each(node.names, |service, listed, key| {
        let Some(service) = node.services.get(service) else { return };
        let view = node.endpoints.find(key).map(|index| node.endpoints.view(index, &node.rules, node.now_ms));
        all.entry(&service.name).or_default().extend(view.map(|view| instance(listed.address, &view)));
    });
    all
}

fn instance(address: SocketAddr, view: &endpoints::View) -> Instance {
    Instance {
        address,
        status: match view.health {
            InstanceHealth::Down => "down",
            _ if view.ejected_ms > 0 => "ejected",
            InstanceHealth::Up => "up",
            InstanceHealth::Unknown => "unknown",
        },
        ejected_ms: view.ejected_ms,
        failures: view.failures,
        in_flight: view.in_flight,
        latency_ms: view.latency_us as f64 / 1000.0,
        share_percent: u16::try_from(u32::from(view.share) * 100 / u32::from(SHARE_FULL)).unwrap_or(100),
    }
}

fn worker(slot: usize, block: &shm::workers::WorkerBlock, node: &Node<'_>) -> Option<Worker> {
    let phase = match block.phase() {
        Phase::Empty => return None,
        Phase::Starting => "starting",
        Phase::Serving => "serving",
        Phase::Draining => "draining",
    };
    Some(Worker {
        slot,
        pid: block.pid(),
        generation: block.generation(),
        phase,
        io_driver: match block.driver() {
            Driver::Unknown => "unknown",
            Driver::Uring => "uring",
            Driver::Epoll => "epoll",
        },
        connections: block.connections(),
        requests_in_flight: block.requests_in_flight(),
        heartbeat_age_ms: node.now_ms.saturating_sub(block.heartbeat_ms()),
    })
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Unknown => "unknown",
        State::Ok => "ok",
        State::Slow => "slow",
        State::Error => "error",
    }
}
