//! Services that are well, slow, ill, silent, gone and talking nonsense.

use super::*;
use edge_worker::config::bulkheads::Bulkhead;
use edge_worker::config::headers::Scheme;
use edge_worker::config::instances::InstanceSettings;
use edge_worker::config::services::{Criticality, Instance, SERVICES};
use edge_worker::telemetry::metrics::Metric;
use shm::SupervisorRegion;
use shm::endpoints::Health;
use shm::readiness::CheckState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a service does with a probe.
#[derive(Clone, Copy)]
enum Behaviour {
    Answers(&'static str),
    AnswersAfter(Duration, &'static str),
    Silent,
    Closes,
}

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const ILL: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

async fn listen(behaviour: Behaviour) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("it listens");
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                assert!(head[..read].starts_with(b"GET /health/live HTTP/1.1\r\n"));
                let answer = match behaviour {
                    Behaviour::Answers(answer) => answer,
                    Behaviour::AnswersAfter(delay, answer) => {
                        tokio::time::sleep(delay).await;
                        answer
                    }
                    Behaviour::Silent => std::future::pending().await,
                    Behaviour::Closes => "",
                };
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

/// An address at which nothing listens.
async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it is bound")
}

fn service(addresses: Vec<SocketAddr>) -> Service {
    let instance = Instance {
        scheme: Scheme::Http,
        host: "localhost".to_owned(),
        port: 1,
        authority: "localhost:1".to_owned(),
        addresses,
    };
    Service {
        name: "venue".to_owned(),
        instances: vec![instance],
        criticality: Criticality::Ready,
        read_timeout_ms: 1,
        write_timeout_ms: 1,
        body_bytes_max: 1,
        pool_idle_ms: 1,
        health_path: "/health/live".to_owned(),
        breaker: SERVICES[0].breaker,
        bulkhead: Bulkhead { in_flight_max: 1, queue_max: 1, queue_ms: 1 },
    }
}

fn board(region: &'static SupervisorRegion) -> Board<'static> {
    Board { readiness: &region.authority().readiness, writer: region.writer(), shared: region.shared() }
}

fn probed(region: &'static SupervisorRegion, services: &[Service]) -> Probed {
    let names: Vec<u16> = (77..).take(services.len()).collect();
    let endpoints = Arc::new(Endpoints::of(services, &names, InstanceSettings::default().rules(), region));
    let verifier = Verifier::new(&[]).expect("the provider has every version");
    Probed { services: services.to_vec(), names, endpoints, redis: None, verifier }
}

/// Probes once and says what the region then holds of each service.
async fn probe_once(region: &'static SupervisorRegion, services: &[Service]) -> Vec<CheckState> {
    let board = board(region);
    round(board, &probed(region, services), &mut Streaks::default()).await;
    (0..services.len()).map(|index| board.readiness.state(Check::Service(index as u8))).collect()
}

fn region() -> &'static SupervisorRegion {
    Box::leak(Box::new(SupervisorRegion::create().expect("a memfd can be made")))
}

#[tokio::test]
async fn any_status_below_500_is_reachable_and_nothing_else() {
    let services = vec![
        service(vec![listen(Behaviour::Answers(WELL)).await]),
        service(vec![listen(Behaviour::Answers(NOT_FOUND)).await]),
        service(vec![listen(Behaviour::Answers(ILL)).await]),
        service(vec![listen(Behaviour::Answers("nonsense\r\n\r\n")).await]),
        service(vec![listen(Behaviour::Closes).await]),
        service(vec![nowhere().await]),
        service(Vec::new()),
    ];
    let states = probe_once(region(), &services).await;
    let reachable: Vec<_> = states.iter().map(|check| check.state != State::Error).collect();
    assert_eq!(reachable, [true, true, false, false, false, false, false]);
    assert!(states.iter().all(|check| check.at_ms > 0));
}

#[tokio::test]
async fn a_late_answer_is_slow_and_its_latency_is_kept() {
    let late = Behaviour::AnswersAfter(SLOW + Duration::from_millis(20), WELL);
    let states = probe_once(region(), &[service(vec![listen(late).await])]).await;
    assert_eq!(states[0].state, State::Slow);
    assert!(states[0].latency_us >= 120_000 - 16, "{:?}", states[0]);
}

#[tokio::test]
async fn a_silent_service_costs_one_timeout_for_all() {
    let silent = listen(Behaviour::Silent).await;
    let services = vec![service(vec![silent]), service(vec![silent])];
    let started = clock::now();
    let states = probe_once(region(), &services).await;
    assert!(clock::now().since(started) < 2 * PROBE_TIMEOUT, "the probes run at the same time");
    assert!(states.iter().all(|check| check.state == State::Error));
}

#[tokio::test]
async fn one_good_instance_makes_a_service_reachable() {
    let addresses =
        vec![nowhere().await, listen(Behaviour::Silent).await, listen(Behaviour::Answers(WELL)).await];
    let states = probe_once(region(), &[service(addresses)]).await;
    assert_ne!(states[0].state, State::Error);
}

#[tokio::test]
async fn each_instance_is_judged_by_its_own_checks() {
    let region = region();
    let (gone, well) = (nowhere().await, listen(Behaviour::Answers(WELL)).await);
    let failing = listen(Behaviour::Answers(ILL)).await;
    let addresses = [gone, well, failing, listen(Behaviour::Silent).await];
    let probed = probed(region, &[service(addresses.to_vec())]);
    // By address: the set has an order of its own.
    let health = || {
        let found = |address| probed.endpoints.find(0, address).expect("it has an entry");
        addresses.map(|address| region.shared().endpoints.health(found(address)))
    };
    assert_eq!(health(), [Health::Unknown; 4]);
    let mut streaks = Streaks::default();
    round(board(region), &probed, &mut streaks).await;
    assert_eq!(
        health(),
        [Health::Down, Health::Up, Health::Down, Health::Down],
        "of new ones the first check counts"
    );
    let index = probed.endpoints.find(0, failing).expect("it has an entry");
    region.shared().endpoints.set_health(region.writer(), index, Health::Up, 1);
    streaks = Streaks::default();
    round(board(region), &probed, &mut streaks).await;
    assert_eq!(health()[2], Health::Up, "one failed check is not enough");
    round(board(region), &probed, &mut streaks).await;
    assert_eq!(health()[2], Health::Down);
    assert_ne!(board(region).readiness.state(Check::Service(0)).state, State::Error, "one is well");
}

#[tokio::test]
async fn the_loop_begins_at_once_and_knows_the_nodes_memory() {
    let region = region();
    let services = vec![service(vec![listen(Behaviour::Answers(WELL)).await])];
    let all = probed(region, &services);
    let board = board(region);
    let probed = async {
        while board.readiness.state(Check::Service(0)).state == State::Unknown {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = run(board, &all) => {}
        () = probed => {}
    }
    assert!(board.readiness.resident_bytes() > 1 << 20);
}

#[tokio::test]
async fn every_probe_is_measured() {
    let region = region();
    probe_once(region, &[service(vec![listen(Behaviour::Answers(WELL)).await])]).await;
    let mut measured = 0;
    region.shared().cumulative.each_histogram(|key, _, _, count| {
        assert_eq!((key.metric(), key.labels()), (Metric::HealthCheckDuration.number(), [77, 0, 0]));
        measured += count;
    });
    assert_eq!(measured, 1);
}
