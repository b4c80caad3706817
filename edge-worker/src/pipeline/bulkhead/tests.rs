//! What a worker may take, keep and use again, alone and beside another one.

use super::*;
use crate::config::services::{Criticality, SERVICES};
use shm::SupervisorRegion;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

const SERVICE: ServiceId = ServiceId(0);

/// Two workers of one node, with so many places at one service.
fn two(in_flight_max: u64) -> [Bulkheads; 2] {
    let region: &'static SupervisorRegion =
        Box::leak(Box::new(SupervisorRegion::create().expect("a memfd can be made")));
    let service = Service {
        name: "x".to_owned(),
        instances: Vec::new(),
        criticality: Criticality::Normal,
        read_timeout_ms: 1,
        write_timeout_ms: 1,
        body_bytes_max: 1,
        pool_idle_ms: 1,
        health_path: String::new(),
        breaker: SERVICES[0].breaker,
        bulkhead: Limits { in_flight_max, queue_max: 8, queue_ms: 100 },
    };
    let blocks = &region.shared().workers;
    [0, 1].map(|slot| Bulkheads::new(std::slice::from_ref(&service), blocks, &blocks[slot]))
}

impl Bulkheads {
    fn only(&self) -> &Bulkhead {
        self.of(SERVICE).expect("there is one service")
    }

    /// So many requests come; how many have a place at once.
    fn come(&self, requests: u64) -> u64 {
        (0..requests).filter(|_| self.admit(SERVICE, self.only())).count() as u64
    }

    /// The same whose bodies are still to come.
    fn come_early(&self, requests: u64) -> u64 {
        (0..requests).filter(|_| self.admit_early(SERVICE, self.only())).count() as u64
    }

    fn standing_here(&self) -> (u64, u64) {
        (self.only().in_use.get(), self.own.places(0))
    }
}

#[test]
fn one_worker_may_take_all_and_two_never_more_than_all() {
    let [one, other] = two(10);
    assert_eq!(one.come(20), 10);
    assert_eq!(other.come(1), 0);
    one.give_back(SERVICE);
    assert_eq!((other.come(5), one.come(5)), (1, 0));
    assert_eq!((one.standing_here(), other.standing_here()), ((9, 9), (1, 1)));
}

#[test]
fn a_reserve_is_kept_while_a_service_is_used_and_given_back_when_it_is_not() {
    let [one, other] = two(1_000);
    assert_eq!(one.come(10), 10);
    one.look(1);
    assert_eq!(one.standing_here(), (10, 10 + 245));
    for _ in 0..10 {
        one.give_back(SERVICE);
    }
    assert_eq!(one.standing_here(), (0, 255), "until the next tick");
    assert_eq!(one.come(255), 255);
    assert_eq!(other.come(1_000), 745, "what is used is never taken");
    for _ in 0..255 {
        one.give_back(SERVICE);
    }
    one.look(2);
    one.look(3);
    assert_eq!(one.standing_here(), (0, 0));
    assert_eq!(other.come(1_000), 255);
}

#[test]
fn whoever_has_more_than_its_part_gives_way_to_who_waits_elsewhere() {
    let [one, other] = two(4);
    let (client, _peer) = UnixStream::pair().expect("a pair of sockets");
    assert_eq!(one.come(4), 4);
    let here = one.only().queue.join(client.as_raw_fd(), 100).expect("there is room");
    let there: Vec<_> =
        (0..3).map(|_| other.only().queue.join(client.as_raw_fd(), 100).expect("there is room")).collect();
    other.look(1);
    one.look(1);
    assert_eq!((one.come(1), other.come(1)), (0, 0));
    for _ in 0..2 {
        one.give_back(SERVICE);
    }
    assert_eq!(one.only().queue.len(), 1, "its own waiter has to wait");
    other.look(2);
    assert_eq!((one.standing_here(), other.standing_here()), ((2, 2), (2, 2)));
    one.give_back(SERVICE);
    assert_eq!((one.standing_here().0, one.only().queue.len()), (2, 0), "at its part it uses what is free");
    assert_eq!(one.only().queue.leave(&here), Some(Lot::Place));
    assert_eq!(there.iter().filter(|waiter| other.only().queue.leave(waiter).is_some()).count(), 2);
}

#[test]
fn a_place_that_is_free_again_goes_to_who_waits_and_not_to_who_comes() {
    let [one, _] = two(1);
    let (client, _peer) = UnixStream::pair().expect("a pair of sockets");
    assert_eq!(one.come(1), 1);
    let waiter = one.only().queue.join(client.as_raw_fd(), 50).expect("there is room");
    let late = one.only().queue.join(client.as_raw_fd(), 10).expect("there is room");
    one.look(9);
    assert_eq!(one.own.waiting(0), 2);
    one.look(10);
    assert_eq!((one.own.waiting(0), one.only().queue.leave(&late)), (1, Some(Lot::Late)));
    one.give_back(SERVICE);
    assert_eq!(one.only().queue.leave(&waiter), Some(Lot::Place));
    assert_eq!((one.standing_here(), one.own.waiting(0)), ((1, 1), 0));
    one.give_back(SERVICE);
    assert_eq!(one.standing_here(), (0, 0));
}

fn standing(taken_elsewhere: u64, claimants: u64, others_wait: bool) -> Standing {
    Standing { taken_elsewhere, claimants, others_wait }
}

#[test]
fn reserves_end_where_half_of_the_cap_is_taken() {
    let reserve = |in_use, elsewhere, claimants| {
        Terms::of(1_000, in_use, 0, standing(elsewhere, claimants, false)).reserve
    };
    assert_eq!(reserve(0, 0, 1), 250);
    assert_eq!(reserve(100, 0, 1), 200);
    assert_eq!(reserve(100, 100, 2), 75);
    assert_eq!(reserve(250, 249, 1), 0);
    assert_eq!(reserve(250, 250, 1), 0);
    assert_eq!(reserve(0, u64::MAX, 1), 0);
    for claimants in 1..=64 {
        assert!(reserve(0, 0, claimants) * claimants <= 250, "{claimants}");
    }
}

#[test]
fn nobody_keeps_a_reserve_while_somebody_waits() {
    assert_eq!(Terms::of(1_000, 0, 1, standing(0, 1, false)), Terms::free(0));
    assert_eq!(Terms::of(1_000, 0, 0, standing(0, 2, true)).reserve, 0);
}

#[test]
fn each_claimant_has_an_equal_part_while_others_wait() {
    let parts = |cap, claimants| {
        let terms = Terms::of(cap, 1, 1, standing(1, claimants, true));
        (terms.grows_to, terms.keeps)
    };
    assert_eq!(parts(8, 2), (4, 4));
    assert_eq!(parts(5, 2), (3, 3), "the odd one is used, too");
    assert_eq!(parts(1, 2), (1, 0), "the only place goes round");
    assert_eq!(parts(8, 1), (8, 8));
}

#[test]
fn a_worker_alone_takes_all_there_is() {
    let terms = Terms::of(8, 7, 3, standing(0, 1, false));
    assert_eq!((terms.grows_to, terms.keeps), (u64::MAX, u64::MAX));
}

#[test]
fn requests_whose_body_is_to_come_have_half_of_the_places_at_most() {
    let [one, other] = two(10);
    assert_eq!((one.come_early(3), other.come_early(9), one.come_early(9)), (3, 2, 0));
    assert_eq!(
        (one.standing_here(), other.standing_here()),
        ((3, 3), (2, 2)),
        "what was refused is not held"
    );
    assert_eq!((one.come(9), other.come(9)), (5, 0), "the other half is for whole ones");
    one.give_back(SERVICE);
    assert_eq!((one.come_early(1), other.come_early(1), other.come(1)), (0, 0, 1));
}

#[test]
fn a_reserve_is_no_way_around_the_half() {
    let [one, other] = two(1_000);
    assert_eq!(one.come(10), 10);
    one.look(1);
    assert_eq!(one.standing_here(), (10, 255));
    assert_eq!(other.come(600), 600);
    assert_eq!(one.come_early(1), 0);
    assert_eq!((one.standing_here(), one.come(1)), ((10, 255), 1), "the reserve stays");
}

#[test]
fn the_only_place_of_a_service_is_for_all() {
    let [one, other] = two(1);
    assert_eq!((one.come_early(1), other.come_early(1), other.come(1)), (1, 0, 0));
}

#[test]
fn who_has_waited_long_enough_gets_a_place_that_is_free_rather_than_a_refusal() {
    let [one, other] = two(1);
    let (client, _peer) = UnixStream::pair().expect("a pair of sockets");
    assert_eq!(other.come(1), 1);
    assert_eq!(one.come(1), 0);
    let waiter = one.only().queue.join(client.as_raw_fd(), 1).expect("there is room");
    other.give_back(SERVICE);
    one.look(25);
    assert_eq!(one.only().queue.leave(&waiter), Some(Lot::Place));
}
