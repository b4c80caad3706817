//! The bodies of local answers, whole.

use super::health::{Detail, health, service_health};
use super::live::{health_live, live, startup};
use super::ready::{STALLED_MS, ready};
use super::*;
use crate::config::instances::InstanceSettings;
use crate::config::sample;
use crate::config::services::ServiceId;
use crate::control::endpoint_set::Listed;
use serde_json::{Value, json};
use shm::SupervisorRegion;
use shm::readiness::{Check, NodePhase, State};
use shm::revocations::Completeness;
use shm::workers::{Driver, Phase};

const WALL_MS: u64 = 1_764_000_000_123;
const NOW_MS: u64 = 100_000;
const AUTH: Check = Check::Service(0);
const VENUE: Check = Check::Service(1);

struct Bench {
    region: SupervisorRegion,
    services: Vec<Service>,
    names: Vec<u16>,
    dependencies: Vec<Dependency>,
    revocations: Option<Completeness>,
    set: EndpointSet,
}

impl Bench {
    /// A node that serves with one worker, and whose services are well.
    fn new() -> Self {
        let region = SupervisorRegion::create().expect("a memfd can be made");
        let readiness = &region.authority().readiness;
        readiness.set_phase(region.writer(), NodePhase::Serving);
        readiness.set_started_at_ms(region.writer(), WALL_MS - 61_000);
        readiness.set(region.writer(), AUTH, State::Ok, 1_600, WALL_MS);
        readiness.set(region.writer(), VENUE, State::Slow, 160_000, WALL_MS);
        let worker = &region.shared().workers[2];
        worker.begin(4_711, 1);
        worker.set_phase(Phase::Serving);
        worker.set_driver(Driver::Uring);
        worker.beat(NOW_MS - 40);
        worker.connections_add();
        let services = ["auth", "venue", "event"].map(|name| sample::service(name, Vec::new()));
        // As the settings of a node without Redis are read.
        let dependencies = vec![Dependency::Auth, Dependency::Venue];
        let set = EndpointSet::default();
        Bench {
            region,
            services: services.into(),
            names: vec![1, 2, 3],
            dependencies,
            revocations: None,
            set,
        }
    }

    /// The same with a Redis that answers.
    fn following(revocations: Completeness) -> Self {
        let mut bench = Bench::new();
        bench.dependencies.insert(0, Dependency::Redis);
        bench.revocations = Some(revocations);
        bench.set(Check::Redis, State::Ok);
        bench
    }

    fn set(&self, check: Check, state: State) {
        self.region.authority().readiness.set(self.region.writer(), check, state, 0, WALL_MS);
    }

    fn phase(&self, phase: NodePhase) {
        self.region.authority().readiness.set_phase(self.region.writer(), phase);
    }

    fn node(&self) -> Node<'_> {
        Node {
            readiness: &self.region.authority().readiness,
            revocations: self.revocations,
            workers: &self.region.shared().workers,
            services: &self.services,
            breakers: &self.region.shared().breakers,
            set: &self.set,
            endpoints: &self.region.shared().endpoints,
            rules: InstanceSettings::default().rules(),
            names: &self.names,
            dependencies: &self.dependencies,
            now_ms: NOW_MS,
            wall_ms: WALL_MS,
        }
    }

    fn ready(&self) -> (u16, Value) {
        read(|body| ready(&self.node(), body))
    }
}

fn read(write: impl FnOnce(&mut Vec<u8>) -> u16) -> (u16, Value) {
    let mut body = Vec::new();
    let status = write(&mut body);
    (status, serde_json::from_slice(&body).expect("a JSON body"))
}

#[test]
fn a_live_process_says_so_whatever_the_node_does() {
    assert_eq!(read(live), (200, json!({"status": "alive"})));
    assert_eq!(read(health_live), (200, json!({"status": "ok"})));
}

#[test]
fn a_node_whose_dependencies_answer_is_ready() {
    let expected = json!({
        "status": "ready",
        "checks": {
            "redis": "disabled",
            "authService": "ok",
            "venueService": "ok",
            "memory": "ok",
            "circuitBreakers": { "auth": "closed", "venue": "closed", "event": "closed" },
        },
        "circuitBreakers": { "auth": "closed", "venue": "closed", "event": "closed" },
    });
    assert_eq!(Bench::new().ready(), (200, expected));
}

#[test]
fn a_dependency_that_cannot_be_reached_makes_the_node_not_ready() {
    for (check, field, error) in [
        (AUTH, "authService", "auth-service is unreachable"),
        (VENUE, "venueService", "venue-service is unreachable"),
        (Check::Redis, "redis", "redis is unreachable"),
    ] {
        let bench = Bench::following(Completeness::Complete);
        assert_eq!(bench.ready().0, 200);
        bench.set(check, State::Error);
        let (status, body) = bench.ready();
        assert_eq!(status, 503);
        assert_eq!((&body["status"], &body["error"]), (&json!("not ready"), &json!(error)));
        assert_eq!(body["checks"][field], "error");
    }
}

#[test]
fn a_node_that_has_not_read_what_was_revoked_is_not_ready() {
    let mut bench = Bench::following(Completeness::NeverSynced);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["error"]), (503, &json!("the revocations have not been read")));
    bench.dependencies.remove(0);
    assert_eq!(bench.ready().0, 503, "that Redis gates nothing makes nobody know what was revoked");
    for known in [Completeness::Syncing, Completeness::Complete, Completeness::Overflowing] {
        assert_eq!(Bench::following(known).ready().0, 200, "{known:?}");
    }
}

#[test]
fn a_slow_redis_is_ready_and_one_that_was_never_probed_is_not() {
    let bench = Bench::following(Completeness::Complete);
    bench.set(Check::Redis, State::Slow);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["checks"]["redis"]), (200, &json!("slow")));
    bench.set(Check::Redis, State::Unknown);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["checks"]["redis"]), (503, &json!("error")));
}

#[test]
fn a_service_that_was_never_probed_is_not_reachable() {
    let bench = Bench::new();
    bench.set(AUTH, State::Unknown);
    assert_eq!(bench.ready().0, 503);
}

#[test]
fn only_the_configured_dependencies_gate_readiness() {
    let mut bench = Bench::new();
    bench.dependencies = vec![Dependency::Venue];
    bench.set(AUTH, State::Error);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["checks"]["authService"]), (200, &json!("error")));
    bench.set(Check::Service(2), State::Error);
    assert_eq!(bench.ready().0, 200, "event-service gates nothing");
}

#[test]
fn a_worker_whose_loop_stalls_makes_the_node_not_ready() {
    let bench = Bench::new();
    let worker = &bench.region.shared().workers[2];
    worker.beat(NOW_MS - STALLED_MS);
    assert_eq!(bench.ready().0, 200);
    worker.beat(NOW_MS - STALLED_MS - 1);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["error"]), (503, &json!("a worker does not respond")));
    worker.set_phase(Phase::Draining);
    assert_eq!(bench.ready().0, 200, "one that leaves takes no new clients");
}

#[test]
fn memory_beyond_a_gibibyte_is_a_warning_and_no_obstacle() {
    let bench = Bench::new();
    bench.region.authority().readiness.set_resident_bytes(bench.region.writer(), (1 << 30) + 1);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["checks"]["memory"]), (200, &json!("warning")));
}

#[test]
fn a_node_that_starts_or_drains_is_not_ready() {
    let bench = Bench::new();
    bench.phase(NodePhase::Draining);
    assert_eq!(bench.ready(), (503, json!({"status": "draining"})));
    bench.phase(NodePhase::Starting);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["status"], &body["error"]), (503, &json!("not ready"), &json!("starting")));
}

#[test]
fn startup_is_over_when_the_node_serves() {
    let bench = Bench::new();
    let started = json!({"status": "ok", "initialized": true, "uptime": 61});
    assert_eq!(read(|body| startup(&bench.node(), body)), (200, started.clone()));
    bench.phase(NodePhase::Draining);
    assert_eq!(read(|body| startup(&bench.node(), body)), (200, started));
    bench.phase(NodePhase::Starting);
    let starting =
        json!({"status": "starting", "message": "The workers are starting.", "initialized": false});
    assert_eq!(read(|body| startup(&bench.node(), body)), (503, starting));
}

#[test]
fn an_anonymous_client_learns_no_version_and_no_figure() {
    let bench = Bench::new();
    let body = read(|body| health(&bench.node(), Detail::Anonymous, body));
    assert_eq!(body, (200, json!({"status": "ok", "timestamp": "2025-11-24T16:00:00.123Z"})));
    bench.set(Check::Service(2), State::Error);
    let (status, body) = read(|body| health(&bench.node(), Detail::Anonymous, body));
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
}

#[test]
fn the_detail_of_health_shows_workers_and_dependencies() {
    let bench = Bench::new();
    let (_, body) = read(|body| health(&bench.node(), Detail::Full, body));
    assert_eq!((&body["uptime"], &body["version"]), (&json!(61), &json!(env!("CARGO_PKG_VERSION"))));
    let worker = json!({
        "slot": 2, "pid": 4_711, "generation": 1, "phase": "serving", "ioDriver": "uring",
        "connections": 1, "requestsInFlight": 0, "heartbeatAgeMs": 40,
    });
    assert_eq!(body["workers"], json!([worker]));
    assert_eq!(body["ioDriver"], "uring");
    let dependencies = json!([
        {"service": "auth", "status": "ok", "latencyMs": 1.6},
        {"service": "venue", "status": "slow", "latencyMs": 160.0},
        {"service": "event", "status": "unknown", "latencyMs": 0.0},
    ]);
    assert_eq!(body["dependencies"], dependencies);
}

#[test]
fn a_redis_that_does_not_answer_makes_the_node_degraded() {
    let bench = Bench::following(Completeness::Complete);
    let detail = || read(|body| health(&bench.node(), Detail::Full, body)).1;
    let first = |body: &Value| body["dependencies"][0].clone();
    assert_eq!(detail()["status"], "ok");
    assert_eq!(first(&detail()), json!({"service": "redis", "status": "ok", "latencyMs": 0.0}));
    bench.set(Check::Redis, State::Error);
    assert_eq!((&detail()["status"], &first(&detail())["status"]), (&json!("degraded"), &json!("error")));
}

#[test]
fn the_health_of_a_service_is_its_last_probe() {
    let bench = Bench::new();
    let of = |service: u8| read(|body| service_health(&bench.node(), ServiceId(service), body));
    assert_eq!(of(0), (200, json!({"status": "ok", "service": "auth"})));
    assert_eq!(of(1), (200, json!({"status": "degraded", "service": "venue"})));
    assert_eq!(of(2), (200, json!({"status": "degraded", "service": "event"})));
    bench.set(Check::Service(2), State::Error);
    assert_eq!(of(2), (503, json!({"status": "down", "service": "event"})));
}

#[test]
fn a_node_whose_first_keys_are_still_to_be_fetched_is_not_ready() {
    let bench = Bench::new();
    let readiness = &bench.region.authority().readiness;
    readiness.set_public_keys(bench.region.writer(), 0, true);
    let (status, body) = bench.ready();
    assert_eq!((status, &body["error"]), (503, &json!("the public keys were not fetched yet")));
    readiness.set_public_keys(bench.region.writer(), 1, false);
    let (status, body) = bench.ready();
    let error = json!("the public keys have not reached every worker");
    assert_eq!((status, &body["error"]), (503, &error), "the supervisor knows of them first");
    bench.region.shared().workers[2].set_public_keys(1);
    assert_eq!(bench.ready().0, 200);
}

#[test]
fn an_open_circuit_shows_and_that_of_a_dependency_makes_the_node_not_ready() {
    let bench = Bench::new();
    let breaker = |name: u16| {
        let name = shm::names::NameId::new(name).expect("not zero");
        bench.region.shared().breakers.of(name).expect("there is room")
    };
    let detail = || read(|body| health(&bench.node(), Detail::Full, body)).1;
    breaker(3).force_open().expect("nobody else changes it");
    let (status, body) = bench.ready();
    assert_eq!((status, &body["circuitBreakers"]["event"]), (200, &json!("open")), "nothing depends on it");
    assert_eq!(detail()["status"], "degraded");
    let circuit =
        json!({"state": "open", "held": true, "calls": 0, "failures": 0, "retries": 0, "leftMs": 0});
    assert_eq!(detail()["circuitBreakers"]["event"], circuit);
    let event = |body: &mut Vec<u8>| service_health(&bench.node(), ServiceId(2), body);
    bench.set(Check::Service(2), State::Ok);
    assert_eq!(read(event), (503, json!({"status": "down", "service": "event"})));
    breaker(3).reset().expect("nobody else changes it");
    assert_eq!(detail()["status"], "ok");
    assert_eq!(read(event).0, 200);

    breaker(2).force_open().expect("nobody else changes it");
    let (status, body) = bench.ready();
    assert_eq!((status, &body["error"]), (503, &json!("the circuit of venue-service is open")));
    breaker(2).force_closed().expect("nobody else changes it");
    breaker(1).force_open().expect("nobody else changes it");
    assert_eq!(bench.ready().1["error"], "the circuit of auth-service is open");
}

#[test]
fn the_full_health_shows_every_instance() {
    let mut bench = Bench::new();
    let listed = |port| Listed { instance: 0, address: ([10, 0, 0, 1], port).into() };
    let services = vec![vec![listed(1), listed(2), listed(3)], vec![listed(1)], Vec::new()];
    bench.set = EndpointSet { version: 1, services };
    let (table, writer) = (&bench.region.shared().endpoints, bench.region.writer());
    let mut indexes = Vec::new();
    bench.set.each(&bench.names, |_, _, key| indexes.extend(table.claim(writer, key)));
    let (rules, slot) = (InstanceSettings::default().rules(), shm::WorkerSlot::new(2).expect("small"));
    table.set_health(writer, indexes[0], shm::endpoints::Health::Up, NOW_MS);
    table.record(indexes[0], shm::breakers::Outcome::Success, 2_500, &rules, NOW_MS);
    table.in_flight_add(slot, indexes[0]);
    for _ in 0..5 {
        table.record(indexes[1], shm::breakers::Outcome::Failure, 1, &rules, NOW_MS);
    }
    table.set_health(writer, indexes[2], shm::endpoints::Health::Down, NOW_MS);
    let (_, body) = read(|body| health(&bench.node(), Detail::Full, body));
    let one = |port: u16, status: &str, share: u16| {
        json!({
            "address": format!("10.0.0.1:{port}"), "status": status, "ejectedMs": 0, "failures": 0,
            "inFlight": 0, "latencyMs": 0.0, "sharePercent": share,
        })
    };
    let mut auth = [one(1, "up", 100), one(2, "ejected", 0), one(3, "down", 0)];
    auth[0]["inFlight"] = json!(1);
    auth[0]["latencyMs"] = json!(2.5);
    auth[1]["ejectedMs"] = json!(30_000);
    assert_eq!(body["instances"], json!({ "auth": auth, "venue": [one(1, "unknown", 100)] }));
    let (_, body) = read(|body| health(&bench.node(), Detail::Anonymous, body));
    assert!(body.get("instances").is_none());
}
