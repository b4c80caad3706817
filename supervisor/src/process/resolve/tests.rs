//! Addresses, names and hosts that do not exist.

use super::{look_up, resolve};
use edge_worker::config::bulkheads::Bulkhead;
use edge_worker::config::services::{Criticality, Instance, SERVICES, Service};
use std::net::SocketAddr;

fn service(hosts: &[&str]) -> Service {
    let instance = |host: &&str| Instance {
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

#[tokio::test]
async fn an_address_needs_no_look_up() {
    let v4: SocketAddr = "192.0.2.7:80".parse().expect("address");
    let v6: SocketAddr = "[2001:db8::7]:80".parse().expect("address");
    assert_eq!(look_up("192.0.2.7".to_owned(), 80).await.expect("address"), [v4]);
    assert_eq!(look_up("[2001:db8::7]".to_owned(), 80).await.expect("address"), [v6]);
    assert_eq!(look_up("2001:db8::7".to_owned(), 80).await.expect("address"), [v6]);
}

#[tokio::test]
async fn a_name_gets_its_addresses_and_an_unknown_one_an_empty_list() {
    let mut services = [service(&["localhost", "no-such-host.invalid", "127.0.0.1"])];
    services[0].instances[1].addresses.push("192.0.2.1:1".parse().expect("address"));
    resolve(&mut services).await;
    let [local, unknown, plain] = &services[0].instances[..] else { panic!("three instances") };
    assert!(local.addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 3001));
    assert!(!local.addresses.is_empty());
    assert!(unknown.addresses.is_empty(), "an address of an earlier look-up must not survive");
    assert_eq!(plain.addresses.len(), 1);
}
