//! What is published, claimed and freed.

use super::*;
use edge_worker::config::{Sources, load};
use shm::WorkerSlot;

/// A node whose first service is at these addresses, and nothing else anywhere.
fn node(addresses: &[&str]) -> (Endpoints, Vec<Service>, &'static SupervisorRegion) {
    let region: &'static SupervisorRegion =
        Box::leak(Box::new(SupervisorRegion::create().expect("a memfd can be made")));
    let key = include_str!("../../../tests/keys/current.public.pem");
    let environment = [("NODE_ENV", "development"), ("JWT_PUBLIC_KEY", key)];
    let environment = environment.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter();
    let sources = Sources { environment: environment.collect(), ..Sources::default() };
    let mut settings = load(&sources).expect("a valid configuration").settings.worker;
    crate::process::names::intern(region, &mut settings).expect("there is room");
    for service in &mut settings.services {
        service.instances.iter_mut().for_each(|instance| instance.addresses.clear());
    }
    move_to(&mut settings.services, addresses);
    (Endpoints::new(&settings, region), settings.services, region)
}

fn move_to(services: &mut [Service], addresses: &[&str]) {
    let parsed = addresses.iter().map(|text| address(text));
    services[0].instances[0].addresses = parsed.collect();
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn entries(region: &SupervisorRegion) -> usize {
    let mut count = 0;
    region.shared().endpoints.each(|_, _| count += 1);
    count
}

#[test]
fn only_a_change_makes_a_new_version_and_its_entries_are_there_first() {
    let (endpoints, mut services, region) = node(&["10.0.0.1:1", "10.0.0.2:1"]);
    let set = endpoints.watch();
    assert_eq!((set.borrow().version, set.borrow().services[0].len(), entries(region)), (1, 2, 2));
    endpoints.publish(&services);
    move_to(&mut services, &["10.0.0.2:1", "10.0.0.1:1"]);
    endpoints.publish(&services);
    assert_eq!(set.borrow().version, 1, "their order is no change");
    move_to(&mut services, &["10.0.0.2:1", "10.0.0.3:1"]);
    endpoints.publish(&services);
    assert_eq!((set.borrow().version, entries(region)), (2, 3));
    assert!(endpoints.find(0, address("10.0.0.3:1")).is_some());
    assert_eq!(endpoints.find(1, address("10.0.0.3:1")), None, "of another service");
    let seen = endpoints.seen(1);
    assert!(seen.len() == 2 && seen.iter().all(|one| one.service == "auth" && one.view.is_some()));
}

#[test]
fn an_entry_is_freed_when_every_worker_knows_better_and_nobody_is_there_any_more() {
    let (endpoints, mut services, region) = node(&["10.0.0.1:1"]);
    let gone = endpoints.find(0, address("10.0.0.1:1")).expect("it was claimed");
    let (shared, slots) = (region.shared(), [0, 5].map(|index| WorkerSlot::new(index).expect("small")));
    for slot in slots {
        shared.workers[slot.index()].begin(1, 1);
        shared.workers[slot.index()].set_endpoint_set(1);
    }
    move_to(&mut services, &["10.0.0.9:1"]);
    endpoints.publish(&services);
    shared.workers[0].set_endpoint_set(2);
    endpoints.sweep();
    assert_eq!(entries(region), 2, "a worker may still call it");
    shared.endpoints.in_flight_add(slots[1], gone);
    shared.workers[5].set_endpoint_set(2);
    endpoints.sweep();
    assert_eq!(entries(region), 2, "a call to it is in flight");
    shared.endpoints.in_flight_sub(slots[1], gone);
    endpoints.sweep();
    assert_eq!(entries(region), 1);
    assert!(endpoints.find(0, address("10.0.0.9:1")).is_some());
}

#[test]
fn an_instance_is_down_when_its_checks_say_so() {
    let (endpoints, _, region) = node(&["10.0.0.1:1", "10.0.0.2:1"]);
    let down = endpoints.find(0, address("10.0.0.1:1")).expect("it was claimed");
    region.shared().endpoints.set_health(region.writer(), down, Health::Down, 1);
    let is_down = |text| endpoints.is_down(0, address(text));
    assert_eq!(["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(is_down), [true, false, false]);
}

#[test]
fn a_worker_that_has_no_set_yet_holds_everything() {
    let (endpoints, mut services, region) = node(&["10.0.0.1:1"]);
    move_to(&mut services, &["10.0.0.2:1"]);
    region.shared().workers[3].begin(1, 1);
    endpoints.publish(&services);
    endpoints.sweep();
    assert_eq!(entries(region), 2);
    region.shared().workers[3].clear();
    endpoints.sweep();
    assert_eq!(entries(region), 1, "a dead one holds nothing");
}

#[test]
fn the_supervisor_calls_whom_workers_would_call() {
    let (endpoints, mut services, region) = node(&[]);
    let id = ServiceId(0);
    assert_eq!(endpoints.choose(id, None, 7), None, "there is no address");
    move_to(&mut services, &["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    endpoints.publish(&services);
    let chosen = |except: Option<&str>| -> Vec<String> {
        let randoms = (0..200_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let all = randoms.filter_map(|random| endpoints.choose(id, except.map(address), random));
        let texts: std::collections::BTreeSet<String> = all.map(|one| one.address.to_string()).collect();
        texts.into_iter().collect()
    };
    assert_eq!(chosen(None), ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    assert_eq!(chosen(Some("10.0.0.2:1")), ["10.0.0.1:1", "10.0.0.3:1"]);
    let failing = address("10.0.0.1:1");
    (0..5).for_each(|_| endpoints.record(id, failing, Outcome::Failure, Duration::from_millis(1)));
    assert_eq!(chosen(None), ["10.0.0.2:1", "10.0.0.3:1"], "workers see it ejected, too");
    let index = endpoints.find(0, failing).expect("it has an entry");
    let rules = edge_worker::config::instances::InstanceSettings::default().rules();
    let view = region.shared().endpoints.view(index, &rules, clock::now().millis().0);
    assert_eq!((view.ejections, view.in_flight), (1, 0));
}
