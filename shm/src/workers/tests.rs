//! Worker blocks: identity, gauges, and what a death leaves.

use super::*;
use crate::atomics::Zeroed;

#[test]
fn a_worker_is_known_by_pid_and_generation() {
    let block = WorkerBlock::zeroed();
    assert_eq!((block.phase(), block.pid()), (Phase::Empty, 0));
    block.begin(u32::MAX, 7);
    assert_eq!((block.phase(), block.pid(), block.generation()), (Phase::Starting, u32::MAX, 7));
    for phase in [Phase::Serving, Phase::Draining, Phase::Empty] {
        block.set_phase(phase);
        assert_eq!(block.phase(), phase);
    }
    for driver in [Driver::Uring, Driver::Epoll, Driver::Unknown] {
        block.set_driver(driver);
        assert_eq!(block.driver(), driver);
    }
    block.beat(1234);
    block.set_public_keys(3);
    block.set_endpoint_set(4);
    assert_eq!((block.heartbeat_ms(), block.public_keys(), block.endpoint_set()), (1234, 3, 4));
    block.begin(1, 8);
    let left = (block.heartbeat_ms(), block.public_keys(), block.endpoint_set());
    assert_eq!(left, (0, 0, 0), "a successor begins with nothing");
}

#[test]
fn gauges_count_up_and_down_and_stop_at_zero() {
    let block = WorkerBlock::zeroed();
    block.connections_add();
    block.requests_in_flight_add();
    block.in_flight_add(3);
    block.in_flight_add(3);
    assert_eq!((block.connections(), block.requests_in_flight(), block.in_flight(3)), (1, 1, 2));
    assert_eq!(block.in_flight(2), 0, "another service");
    block.connections_sub();
    block.requests_in_flight_sub();
    block.in_flight_sub(3);
    assert_eq!((block.connections(), block.requests_in_flight(), block.in_flight(3)), (0, 0, 1));
    block.connections_sub();
    assert_eq!(block.connections(), 0, "a gauge never wraps");
    block.in_flight_add(SERVICES_MAX);
    assert_eq!(block.in_flight(SERVICES_MAX), 0, "no such service");
}

#[test]
fn what_a_dead_worker_had_in_flight_goes_with_its_block() {
    let block = WorkerBlock::zeroed();
    block.begin(1, 1);
    block.connections_add();
    block.requests_in_flight_add();
    block.in_flight_add(63);
    block.set_places(63, 4);
    block.set_waiting(63, 2);
    block.set_pressure(7);
    block.beat(5);
    assert_eq!((block.places(63), block.waiting(63), block.pressure()), (4, 2, 7));
    block.clear();
    assert_eq!((block.places(63), block.waiting(63), block.pressure()), (0, 0, 0));
    assert_eq!((block.phase(), block.pid(), block.generation()), (Phase::Empty, 0, 0));
    assert_eq!((block.connections(), block.requests_in_flight(), block.in_flight(63)), (0, 0, 0));
    assert_eq!((block.heartbeat_ms(), block.driver()), (0, Driver::Unknown));
}
