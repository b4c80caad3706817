//! Binding on the loopback interface.

use super::Listeners;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[test]
fn port_zero_gives_every_slot_a_socket_of_its_own_on_one_port() {
    let listeners = Listeners::bind(ANY_PORT, 3).expect("loopback");
    assert_ne!(listeners.address().port(), 0);
    let mut descriptors = HashSet::new();
    for slot in 0..3 {
        let socket = listeners.socket(slot).expect("bound");
        assert_eq!(socket.local_addr().expect("address"), listeners.address());
        descriptors.insert(socket.as_raw_fd());
    }
    assert_eq!(descriptors.len(), 3);
    assert!(listeners.socket(3).is_none());
}

#[test]
fn connections_are_accepted_before_any_worker_runs() {
    let listeners = Listeners::bind(ANY_PORT, 2).expect("loopback");
    for _ in 0..20 {
        TcpStream::connect(listeners.address()).expect("queued by the kernel");
    }
}

#[test]
fn a_port_in_use_is_a_problem_that_names_it() {
    let other = TcpListener::bind(ANY_PORT).expect("loopback");
    let address = other.local_addr().expect("address");
    let problem = Listeners::bind(address, 1).expect_err("taken").to_string();
    assert!(problem.contains(&format!("port {} is in use", address.port())), "{problem}");
    assert!(problem.contains("ss -ltnp"), "{problem}");
}

#[test]
fn a_port_that_another_group_shares_is_refused_as_well() {
    let others = Listeners::bind(ANY_PORT, 1).expect("loopback");
    Listeners::bind(others.address(), 1)
        .expect_err("joining a foreign SO_REUSEPORT group would steal its connections");
}

#[test]
fn an_address_of_another_machine_is_a_problem_that_names_it() {
    let address = "192.0.2.1:0".parse().expect("address");
    let problem = Listeners::bind(address, 1).expect_err("TEST-NET-1 is nobody's").to_string();
    assert!(problem.contains("192.0.2.1 is not an address of this machine"), "{problem}");
}

#[test]
fn a_port_is_free_again_as_soon_as_its_listeners_are_dropped() {
    let first = Listeners::bind(ANY_PORT, 2).expect("loopback");
    let address = first.address();
    let _client = TcpStream::connect(address).expect("queued");
    drop(first);
    Listeners::bind(address, 2).expect("free again");
}
