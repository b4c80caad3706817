//! Addresses, names and hosts that do not exist, go away, come back and take their time.

use super::*;
use edge_worker::config::bulkheads::Bulkhead;
use edge_worker::config::headers::Scheme;
use edge_worker::config::services::{Criticality, SERVICES};
use std::sync::Mutex;
use tokio::sync::Notify;

pub(in super::super) fn service(hosts: &[&str]) -> Service {
    let instance = |host: &&str| Instance {
        scheme: Scheme::Http,
        host: (*host).to_owned(),
        port: 3001,
        authority: format!("{host}:3001"),
        addresses: Vec::new(),
    };
    Service {
        name: "auth".to_owned(),
        instances: hosts.iter().map(instance).collect(),
        criticality: Criticality::Ready,
        read_timeout_ms: 1,
        write_timeout_ms: 1,
        body_bytes_max: 1,
        pool_idle_ms: 1,
        health_path: "/health".to_owned(),
        breaker: SERVICES[0].breaker,
        bulkhead: Bulkhead { in_flight_max: 1, queue_max: 1, queue_ms: 1 },
    }
}

/// What a name stands for at the moment.
type Zone = Arc<Mutex<Result<Vec<SocketAddr>, io::ErrorKind>>>;

fn answers(zone: &Zone) -> impl Fn(String, u16) -> std::future::Ready<io::Result<Vec<SocketAddr>>> {
    let zone = Arc::clone(zone);
    move |_, _| std::future::ready(zone.lock().expect("no test panics with it").clone().map_err(Into::into))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[tokio::test]
async fn an_address_needs_no_look_up() {
    let (v4, v6) = (address("192.0.2.7:80"), address("[2001:db8::7]:80"));
    assert_eq!(look_up("192.0.2.7".to_owned(), 80).await.expect("address"), [v4]);
    assert_eq!(look_up("[2001:db8::7]".to_owned(), 80).await.expect("address"), [v6]);
    assert_eq!(look_up("2001:db8::7".to_owned(), 80).await.expect("address"), [v6]);
}

#[tokio::test]
async fn a_name_gets_its_addresses_and_an_unknown_one_keeps_what_it_had() {
    let mut services = [service(&["localhost", "no-such-host.invalid", "127.0.0.1"])];
    let before = address("192.0.2.1:1");
    services[0].instances[1].addresses.push(before);
    Resolver::new(&services, look_up).round(&mut services).await;
    let [local, unknown, plain] = &services[0].instances[..] else { panic!("three instances") };
    assert!(local.addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 3001));
    assert!(!local.addresses.is_empty());
    assert_eq!(unknown.addresses, [before]);
    assert_eq!(plain.addresses.len(), 1);
}

#[tokio::test]
async fn a_name_follows_its_addresses_whatever_their_order() {
    let (one, two) = (address("10.0.0.1:1"), address("10.0.0.2:1"));
    let zone = Zone::new(Mutex::new(Ok(vec![two, one, two])));
    let mut services = [service(&["name"])];
    let mut resolver = Resolver::new(&services, answers(&zone));
    let mut round = async |zone_is| {
        *zone.lock().expect("no test panics with it") = zone_is;
        resolver.round(&mut services).await;
        services[0].instances[0].addresses.clone()
    };
    assert_eq!(round(Ok(vec![two, one, two])).await, [one, two]);
    assert_eq!(round(Ok(vec![one, two])).await, [one, two]);
    assert_eq!(round(Err(io::ErrorKind::TimedOut)).await, [one, two], "a failure changes nothing");
    assert_eq!(round(Ok(Vec::new())).await, [one, two], "nor does an empty answer");
    let three = address("10.0.0.3:1");
    assert_eq!(round(Ok(vec![three])).await, [three, one, two], "new ones come first");
}

#[tokio::test]
async fn an_address_is_gone_when_ten_answers_in_a_row_lack_it() {
    let (one, two) = (address("10.0.0.1:1"), address("10.0.0.2:1"));
    let zone = Zone::new(Mutex::new(Ok(vec![one, two])));
    let mut services = [service(&["name"])];
    let mut resolver = Resolver::new(&services, answers(&zone));
    let mut round = async |zone_is| {
        *zone.lock().expect("no test panics with it") = zone_is;
        resolver.round(&mut services).await;
        services[0].instances[0].addresses.clone()
    };
    assert_eq!(round(Ok(vec![one, two])).await, [one, two]);
    // From now on the resolver gives one of two at a time.
    for turn in 0..30 {
        assert_eq!(round(Ok(vec![if turn % 2 == 0 { one } else { two }])).await.len(), 2);
    }
    assert_eq!(round(Ok(vec![one])).await, [one, two]);
    for _ in 0..8 {
        assert_eq!(round(Ok(vec![one])).await, [one, two]);
        assert_eq!(round(Err(io::ErrorKind::TimedOut)).await, [one, two], "a failure is no answer");
    }
    assert_eq!(round(Ok(vec![one])).await, [one]);
    assert_eq!(round(Ok(vec![one, two])).await, [one, two], "it may come back");
}

#[tokio::test]
async fn an_address_that_an_answer_lacks_is_gone_at_once_if_nobody_is_well_there_or_there_is_no_room() {
    let (one, two, three) = (address("10.0.0.1:1"), address("10.0.0.2:1"), address("10.0.0.3:1"));
    let zone = Zone::new(Mutex::new(Ok(vec![one, two, three])));
    let mut services = [service(&[]), service(&["name"])];
    let mut resolver = Resolver::new(&services, answers(&zone));
    resolver.round(&mut services).await;
    *zone.lock().expect("no test panics with it") = Ok(vec![three]);
    resolver.round(&mut services).await;
    resolver.forget(&mut services, |service, at| service == 1 && at != two);
    assert_eq!(services[1].instances[0].addresses, [three, two], "the last answer has the third");
    let many = (0..INSTANCES_MAX as u8).map(|last| SocketAddr::from(([10, 0, 1, last], 1)));
    let many: Vec<SocketAddr> = many.collect();
    *zone.lock().expect("no test panics with it") = Ok(many.clone());
    resolver.round(&mut services).await;
    assert_eq!(services[1].instances[0].addresses, many);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_hangs_is_not_started_twice_and_holds_nobody_else_up() {
    let (asked, answer) = (Arc::new(Mutex::new(0)), Arc::new(Notify::new()));
    let (counter, gate) = (Arc::clone(&asked), Arc::clone(&answer));
    let look_up = move |host: String, port| {
        let (counter, gate) = (Arc::clone(&counter), Arc::clone(&gate));
        async move {
            if host == "slow" {
                *counter.lock().expect("no test panics with it") += 1;
                gate.notified().await;
            }
            Ok(vec![SocketAddr::from(([10, 0, 0, 9], port))])
        }
    };
    let mut services = [service(&["slow", "fast"])];
    let mut resolver = Resolver::new(&services, look_up);
    let began = Instant::now();
    for _ in 0..3 {
        resolver.round(&mut services).await;
    }
    assert_eq!(began.elapsed(), ROUND * 3);
    assert_eq!(*asked.lock().expect("no test panics with it"), 1);
    assert_eq!((services[0].instances[0].addresses.len(), services[0].instances[1].addresses.len()), (0, 1));
    answer.notify_one();
    resolver.round(&mut services).await;
    assert_eq!(services[0].instances[0].addresses.len(), 1);
}
