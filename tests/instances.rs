//! Several instances of a service: calls spread over those that are well, and all workers know who is.

use crate::harness::{Backend, Client, Command, Edge, Gate, Metrics, Script, Step, Token, eventually};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";
const UP: &str = "gateway_instance_up";
const EJECTED: &str = "gateway_instance_ejected";
const IN_FLIGHT: &str = "gateway_instance_requests_in_flight";

/// `ticket` is at these backends, everything else at the first; no circuit opens.
fn before(backends: &[&Backend]) -> Command {
    let urls: Vec<String> = backends.iter().map(|backend| backend.url()).collect();
    Command::run(backends[0])
        .workers(2)
        .service_url("ticket", &urls.join(","))
        .set("CIRCUIT_BREAKER_VOLUME_THRESHOLD_TICKET", "65535")
}

fn three() -> [Backend; 3] {
    ["one", "two", "three"].map(Backend::named)
}

/// Calls one after the other, each on a connection of its own, so that both workers make some.
fn call(edge: &Edge, times: usize) -> Vec<u16> {
    let token = Token::valid().build();
    (0..times).map(|_| edge.fetch_as(&token, ROW).status).collect()
}

fn failures(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status != 200).count()
}

/// The same with so many at a time.
fn call_at_once(address: SocketAddr, clients: usize, times: usize) {
    let token = Token::valid().build();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                (0..times).for_each(|_| drop(client.fetch_as(&token, ROW)));
            });
        }
    });
}

/// Calls of clients, health checks not counted.
fn hits(backend: &Backend) -> usize {
    backend.received().iter().filter(|received| received.target() == ROW).count()
}

fn of(metrics: &Metrics, name: &str, backend: &Backend) -> f64 {
    let instance = backend.address().to_string();
    metrics.value(name, &[("service", "ticket"), ("instance", &instance)])
}

fn has(metrics: &Metrics, name: &str, backend: &Backend) -> bool {
    let instance = backend.address().to_string();
    metrics.has(name, &[("service", "ticket"), ("instance", &instance)])
}

fn waits_until_up(edge: &Edge, backend: &Backend, up: f64) {
    edge.metrics_say(&format!("{} is {up}", backend.address()), |metrics| {
        has(metrics, UP, backend) && of(metrics, UP, backend) == up
    });
}

/// Waits for a line with this message about this instance.
fn told(edge: &Edge, message: &str, address: &str) {
    eventually(message, || {
        let is_it = |record: &Value| record["msg"] == message && record["instance"] == address;
        edge.log_records().iter().any(is_it).then_some(())
    });
}

fn failing() -> Script {
    Script::answer(500, &[], "")
}

#[test]
fn calls_spread_over_the_instances() {
    let backends = three();
    let edge = before(&backends.each_ref()).start();
    // One late answer on a busy machine takes calls from its instance for a moment.
    eventually("all get their share", || {
        assert_eq!(failures(&call(&edge, 30)), 0);
        let counts = backends.each_ref().map(hits);
        counts.iter().all(|count| *count * 6 > counts.iter().sum()).then_some(())
    });
    let hosts = backends.each_ref().map(|backend| backend.last().header("host").map(str::to_owned));
    assert_eq!(hosts, backends.each_ref().map(|backend| Some(backend.address().to_string())));
}

#[test]
fn one_that_fails_is_ejected_for_all_workers_and_its_errors_end() {
    let backends = three();
    backends[0].script("/api", failing());
    let edge = before(&backends.each_ref()).set("FLOODGATE_EJECT_MS", "60000").start();
    let token = Token::valid().build();
    let mut client = edge.client();
    eventually("it is ejected", || {
        client.fetch_as(&token, ROW);
        (of(&edge.metrics(), EJECTED, &backends[0]) == 1.0).then_some(())
    });
    assert_eq!(hits(&backends[0]), 5, "five failures in a row");
    // Those came through one worker; these go through both.
    assert_eq!(failures(&call(&edge, 60)), 0);
    assert_eq!(hits(&backends[0]), 5);
    edge.counts("gateway_instance_ejections_total", &[("service", "ticket")], 1);
    told(&edge, "an instance is ejected", &backends[0].address().to_string());
    let instances = edge.ask_admin("/health").json()["instances"]["ticket"].clone();
    let is_it = |one: &&Value| one["address"] == backends[0].address().to_string();
    let shown = instances.as_array().and_then(|all| all.iter().find(is_it)).expect("it is shown");
    assert_eq!((shown["status"].as_str(), shown["sharePercent"].as_u64()), (Some("ejected"), Some(0)));
}

#[test]
fn one_that_is_ejected_comes_back_by_itself() {
    let backends = three();
    backends[0].script("/api", failing());
    let edge = before(&backends.each_ref())
        .set("FLOODGATE_EJECT_MS", "1500")
        .set("FLOODGATE_SLOW_START_MS", "0")
        .start();
    eventually("it is ejected", || {
        call(&edge, 5);
        (hits(&backends[0]) >= 5).then_some(())
    });
    told(&edge, "an instance is ejected", &backends[0].address().to_string());
    backends[0].script("/api", Script::echo());
    let before = hits(&backends[0]);
    eventually("it is called again", || {
        assert_eq!(failures(&call(&edge, 5)), 0);
        (hits(&backends[0]) > before).then_some(())
    });
    told(&edge, "an instance is back", &backends[0].address().to_string());
}

#[test]
fn a_slow_one_gets_fewer_calls() {
    let backends = three();
    backends[0].script("/api", Script::of(vec![Step::Pause(Duration::from_millis(100)), Step::Echo]));
    let edge = before(&backends.each_ref()).start();
    call_at_once(edge.address(), 8, 60);
    let counts = backends.each_ref().map(hits);
    assert!(counts[0] < 480 / 8, "a third would be 160: {counts:?}");
    let metrics = edge.metrics();
    assert!(of(&metrics, "gateway_instance_latency_seconds", &backends[0]) > 0.02, "{}", metrics.text());
}

#[test]
fn a_killed_one_is_left_out_and_comes_back_with_a_slow_start() {
    let [gone, well, _] = three();
    let address = gone.address();
    let edge = before(&[&well, &gone]).set("FLOODGATE_SLOW_START_MS", "6000").start();
    waits_until_up(&edge, &gone, 1.0);
    call(&edge, 20);
    drop(gone);
    let killed = Instant::now();
    let gone = eventually("it is down", || {
        call(&edge, 1);
        let label = address.to_string();
        let labels = [("service", "ticket"), ("instance", label.as_str())];
        let metrics = edge.metrics();
        (metrics.has(UP, &labels) && metrics.value(UP, &labels) == 0.0).then_some(address)
    });
    // Two checks of at most 1.5 s, two seconds apart, and the time of a busy machine.
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    assert_eq!(failures(&call(&edge, 50)), 0, "nobody calls it any more");
    told(&edge, "an instance is down", &address.to_string());
    assert_eq!(edge.get("/ready").status, 200, "a service is well while one of its instances is");

    let back = Backend::at("back", gone);
    waits_until_up(&edge, &back, 1.0);
    let share = |calls: usize| {
        let before = hits(&back);
        assert_eq!(failures(&call(&edge, calls)), 0);
        hits(&back) - before
    };
    let first = share(40);
    assert!(first < 14, "{first} of 40 at once");
    eventually("it has its full share", || (share(40) >= 14).then_some(()));
    told(&edge, "an instance is up", &address.to_string());
}

#[test]
fn when_all_are_down_all_are_called() {
    let backends = three();
    for backend in &backends {
        backend.script("/health", failing());
    }
    let edge = before(&backends.each_ref()).start();
    for backend in &backends {
        waits_until_up(&edge, backend, 0.0);
    }
    eventually("all are called", || {
        assert_eq!(failures(&call(&edge, 30)), 0);
        backends.iter().all(|backend| hits(backend) >= 10).then_some(())
    });
}

#[test]
fn when_more_are_ejected_than_may_be_all_are_called() {
    for (percent, called) in [("50", true), ("70", false)] {
        let backends = three();
        for backend in &backends[..2] {
            backend.script("/api", failing());
        }
        let edge = before(&backends.each_ref())
            .set("FLOODGATE_EJECTED_PERCENT_MAX", percent)
            .set("FLOODGATE_EJECT_MS", "60000")
            .start();
        eventually("both are ejected", || {
            call(&edge, 5);
            let metrics = edge.metrics();
            backends[..2].iter().all(|backend| of(&metrics, EJECTED, backend) == 1.0).then_some(())
        });
        let before: usize = backends[..2].iter().map(hits).sum();
        let failed = failures(&call(&edge, 60));
        let later: usize = backends[..2].iter().map(hits).sum();
        assert_eq!(
            (later > before, failed > 0),
            (called, called),
            "{percent} %: {before}, {later}, {failed}"
        );
    }
}

#[test]
fn a_killed_worker_leaves_no_call_in_flight() {
    let gate = Gate::new();
    let [held, other, _] = three();
    held.script("/api/v1/tickets/held", Script::gated(&gate));
    other.script("/api/v1/tickets/held", Script::gated(&gate));
    let edge = before(&[&held, &other]).start();
    let token = Token::valid().build();
    let mut clients: Vec<Client> = (0..16).map(|_| edge.client()).collect();
    for client in &mut clients {
        client.request("GET", "/api/v1/tickets/held").bearer(&token).send_only();
    }
    let in_flight = |metrics: &Metrics| of(metrics, IN_FLIGHT, &held) + of(metrics, IN_FLIGHT, &other);
    edge.metrics_say("all are in flight", |metrics| in_flight(metrics) == 16.0);
    let first = edge.kill_worker(0);
    let pids = edge.workers_are_replaced(2, first);
    edge.metrics_say("those of the other worker are left", |metrics| in_flight(metrics) < 16.0);
    for pid in pids {
        crate::harness::process::kill(pid, rustix::process::Signal::KILL);
        edge.workers_are_replaced(2, pid);
    }
    edge.metrics_say("nothing is in flight", |metrics| in_flight(metrics) == 0.0);
    gate.open();
    assert_eq!(failures(&call(&edge, 10)), 0);
    edge.metrics_say("and nothing stays", |metrics| in_flight(metrics) == 0.0);
}

/// A name of this test's own, as /etc/hosts has it.
fn entry(addresses: &[&str]) -> String {
    addresses.iter().map(|address| format!("{address} instances.test\n")).collect()
}

#[test]
fn a_name_is_followed_to_its_new_addresses_without_a_restart() {
    let gate = Gate::new();
    let old = Backend::at("old", SocketAddr::from(([127, 0, 1, 1], 0)));
    let port = old.address().port();
    let new = Backend::at("new", SocketAddr::from(([127, 0, 1, 2], port)));
    old.script("/api/v1/tickets/held", Script::gated(&gate));
    let command = Command::run(&new).workers(2).set("FLOODGATE_RESOLVE_MS", "200");
    let command = command.service_url("ticket", &format!("http://instances.test:{port}"));
    let hosts = command.file("hosts", &entry(&["127.0.1.1"]));
    let edge = command.hosts(&hosts).start();
    let write = |text: &str| std::fs::write(&hosts, text).expect("the file is the test's");
    let token = Token::valid().build();

    assert_eq!(failures(&call(&edge, 10)), 0);
    assert_eq!((hits(&old), hits(&new)), (10, 0));
    let host = old.last().header("host").map(str::to_owned);
    assert_eq!(host, Some(format!("instances.test:{port}")));
    let mut held = edge.client();
    held.request("GET", "/api/v1/tickets/held").bearer(&token).send_only();
    eventually("it is in flight", || (old.hits() == 11).then_some(()));

    write(&entry(&["127.0.1.2"]));
    edge.metrics_say("the new address is known and the old one is not", |metrics| {
        has(metrics, EJECTED, &new) && !has(metrics, EJECTED, &old)
    });
    // Both workers have heard of it when neither calls the old one any more.
    eventually("calls go to the new one", || {
        let before = hits(&old);
        assert_eq!(failures(&call(&edge, 20)), 0);
        (hits(&old) == before).then_some(())
    });
    assert!(hits(&new) >= 20);
    gate.open();
    assert_eq!(held.response_to("GET").text(), "late", "what was in flight is not cut");

    write(&entry(&["127.0.1.1", "127.0.1.2"]));
    edge.metrics_say("both are known", |metrics| has(metrics, EJECTED, &new) && has(metrics, EJECTED, &old));
    write("");
    eventually("the failure is in the log", || {
        let failed = "a service's host cannot be resolved";
        edge.log_lines().iter().any(|line| line.contains(failed)).then_some(())
    });
    assert_eq!(failures(&call(&edge, 20)), 0, "the last addresses stay");
}
