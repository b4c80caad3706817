//! Which endpoint is chosen, and what newer addresses do.

use super::*;
use crate::clock;
use crate::config::NameTable;
use crate::config::headers::Scheme;
use crate::config::instances::InstanceSettings;
use crate::config::sample;
use crate::config::services::Instance;
use crate::net::wheel::Wheel;
use shm::breakers::Outcome;
use shm::endpoints::Health;
use shm::{SupervisorRegion, WorkerSlot};
use std::net::SocketAddr;

const NAMES: [u16; 2] = [11, 12];
const ID: ServiceId = ServiceId(0);

struct Bench {
    region: SupervisorRegion,
    services: Vec<Service>,
    upstreams: Upstreams,
    meters: Meters,
    wheel: Rc<SocketWheel>,
    version: Cell<u64>,
}

impl Bench {
    fn new() -> Bench {
        let region = SupervisorRegion::create().expect("a memfd can be made");
        let instance = |host: &str| Instance {
            scheme: Scheme::Http,
            host: host.to_owned(),
            port: 80,
            authority: host.to_owned(),
            addresses: Vec::new(),
        };
        let service = |name: &str| sample::service(name, vec![instance("one"), instance("two")]);
        let services = vec![service("auth"), service("venue")];
        let securities = Securities::new(&services, &[]).expect("nothing is secured");
        let slot = WorkerSlot::new(3).expect("small");
        let endpoints = &region.shared().endpoints;
        let board = Board { endpoints, slot, rules: InstanceSettings::default().rules() };
        let names = NameTable { services: NAMES.to_vec(), ..NameTable::default() };
        Bench {
            upstreams: Upstreams::new(board, securities, Path::new("/nowhere"), 2),
            meters: Meters::new(&region.shared().counters[3], &names, 3),
            wheel: Rc::new(Wheel::new(clock::now().millis())),
            services,
            version: Cell::new(0),
            region,
        }
    }

    /// Both services are at these ports, those from 100 on by their second name, with entries if they are `claimed`.
    fn move_to(&self, ports: &[u16], claimed: bool) {
        let listed = |port: &u16| Listed { instance: u8::from(*port >= 100), address: at(*port) };
        let all: Vec<Listed> = ports.iter().map(listed).collect();
        self.version.set(self.version.get() + 1);
        let set = EndpointSet { version: self.version.get(), services: vec![all.clone(), all] };
        if claimed {
            set.each(&NAMES, |_, _, key| {
                self.region.shared().endpoints.claim(self.region.writer(), key).expect("there is room");
            });
        }
        self.upstreams.adopt(set, &self.services, &NAMES);
    }

    fn choose(&self, except: Option<&Rc<Endpoint>>) -> Option<Rc<Endpoint>> {
        self.upstreams.choose(ID, except, &self.wheel)
    }

    /// How often each port is chosen.
    fn spread<const N: usize>(&self, ports: [u16; N], except: Option<&Rc<Endpoint>>) -> [usize; N] {
        let mut counts = [0; N];
        for _ in 0..1_000 {
            let chosen = self.choose(except).expect("there are some").address.port();
            let place = ports.iter().position(|port| *port == chosen).expect("one of them");
            counts[place] += 1;
        }
        counts
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn a_service_without_an_address_has_nobody_to_call() {
    let bench = Bench::new();
    assert!(bench.choose(None).is_none());
    bench.move_to(&[], true);
    assert!(bench.choose(None).is_none());
    assert!(bench.upstreams.choose(ServiceId(7), None, &bench.wheel).is_none());
}

#[test]
fn calls_are_spread_and_a_repeated_one_goes_elsewhere_whether_the_region_knows_them_or_not() {
    for claimed in [true, false] {
        let bench = Bench::new();
        bench.move_to(&[1, 2, 100], claimed);
        let counts = bench.spread([1, 2, 100], None);
        assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
        let one = std::iter::from_fn(|| bench.choose(None)).find(|chosen| chosen.address.port() == 100);
        let one = one.expect("it is chosen some time");
        assert_eq!(one.authority(), "two");
        let counts = bench.spread([1, 2, 100], Some(&one));
        assert!(counts[2] == 0 && counts[0] > 200 && counts[1] > 200, "{counts:?}");
        bench.move_to(&[100], claimed);
        assert_eq!(bench.spread([100], Some(&one)), [1_000], "there is nobody else");
    }
}

#[test]
fn a_visit_is_in_flight_until_it_ends_and_is_recorded_once() {
    let bench = Bench::new();
    bench.move_to(&[1, 2], true);
    let endpoint = bench.choose(None).expect("there is one");
    let (table, rules) = (&bench.region.shared().endpoints, InstanceSettings::default().rules());
    let view = || table.view(endpoint.index.get().expect("it has an entry"), &rules, clock::now().millis().0);
    let began = clock::now();
    let later = Nanos(began.0 + 250_000_000);
    let visit = bench.upstreams.visit(&endpoint, &bench.meters, began);
    assert_eq!(view().in_flight, 1);
    visit.answered(200, false, later, 50);
    visit.failed();
    assert_eq!((view().failures, view().in_flight), (0, 1), "it is in flight while its body comes");
    assert!((199_000..=200_000).contains(&view().latency_us), "without the client's 50 ms: {:?}", view());
    drop(visit);
    assert_eq!(view().in_flight, 0);
    drop(bench.upstreams.visit(&endpoint, &bench.meters, began));
    assert_eq!((view().failures, view().in_flight), (0, 0), "a client that left says nothing");
    for (status, sheds, failures) in [(404, false, 0), (500, false, 1), (503, true, 1), (501, false, 1)] {
        bench.upstreams.visit(&endpoint, &bench.meters, began).answered(status, sheds, later, 0);
        assert_eq!(view().failures, failures, "{status}");
    }
    (0..4).for_each(|_| bench.upstreams.visit(&endpoint, &bench.meters, began).failed());
    assert_eq!((view().failures, view().ejections), (0, 1));
}

#[test]
fn an_only_endpoint_is_never_ejected() {
    let bench = Bench::new();
    bench.move_to(&[1], true);
    let endpoint = bench.choose(None).expect("there is one");
    let (table, rules) = (&bench.region.shared().endpoints, InstanceSettings::default().rules());
    let began = clock::now();
    let view = || table.view(endpoint.index.get().expect("it has an entry"), &rules, began.millis().0);
    (0..9).for_each(|_| bench.upstreams.visit(&endpoint, &bench.meters, began).failed());
    assert_eq!((view().failures, view().ejections), (0, 0), "there is nobody to call in its place");
    bench.upstreams.visit(&endpoint, &bench.meters, began).answered(200, false, began, 0);
    assert!(view().latency_us > 0);
    bench.move_to(&[1, 2], true);
    (0..5).for_each(|_| bench.upstreams.visit(&endpoint, &bench.meters, began).failed());
    assert_eq!(view().ejections, 1);
}

#[test]
fn an_address_that_goes_over_to_tls_keeps_no_connection_without() {
    let mut bench = Bench::new();
    for (instance, scheme) in bench.services[0].instances.iter_mut().zip([Scheme::Http, Scheme::Https]) {
        (instance.scheme, instance.authority) = (scheme, "one:443".to_owned());
    }
    bench.upstreams.securities = Securities::new(&bench.services, &[]).expect("a name and a provider");
    let adopt = |version, instance| {
        let listed = Listed { instance, address: at(443) };
        let set = EndpointSet { version, services: vec![vec![listed]] };
        bench.upstreams.adopt(set, &bench.services, &NAMES);
        bench.choose(None).expect("there is one")
    };
    let plain = adopt(1, 0);
    assert!(matches!(*plain.security, Security::Plain));
    let secured = adopt(2, 1);
    assert!(matches!(*secured.security, Security::Tls { .. }));
    assert!(!plain.listed.get() && secured.listed.get());
    assert!(Rc::ptr_eq(&secured, &adopt(3, 1)), "what stays is the same one");
}

#[test]
fn newer_addresses_replace_the_older_and_keep_what_stays() {
    let bench = Bench::new();
    bench.move_to(&[1, 2], true);
    let table = &bench.region.shared().endpoints;
    let seen = std::iter::from_fn(|| bench.choose(None)).find(|chosen| chosen.address.port() == 2);
    let stays = seen.expect("it is chosen some time");
    let gone = bench.choose(Some(&stays)).expect("the other one");
    bench.move_to(&[2, 3], true);
    let counts = bench.spread([2, 3], None);
    assert!(counts.iter().all(|count| *count > 300), "{counts:?}");
    assert!(stays.listed.get() && !gone.listed.get());
    let again = bench.choose(Some(&gone)).expect("there are some");
    assert!(Rc::ptr_eq(&again, &stays) || again.address.port() == 3, "its pool is the same one");
    let down = again.index.get().expect("it has an entry");
    table.set_health(bench.region.writer(), down, Health::Down, 1);
    let rules = InstanceSettings::default().rules();
    table.record(down, Outcome::Success, 1, &rules, 2);
    let other = bench.choose(None).expect("there are some");
    assert!(!Rc::ptr_eq(&other, &again), "who is down is left out");
    assert_eq!(bench.upstreams.set().version, 2);
}
