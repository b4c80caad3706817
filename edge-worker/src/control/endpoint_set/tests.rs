//! Which addresses are listed, and how long the longest set is.

use super::super::asks::{Said, decode, encode};
use super::*;
use crate::config::headers::Scheme;
use crate::config::sample;
use crate::config::services::{Instance, SERVICES};
use std::net::{Ipv6Addr, SocketAddrV6};

fn service(instances: &[&[&str]]) -> Service {
    let instance = |addresses: &&[&str]| Instance {
        scheme: Scheme::Http,
        host: "h".to_owned(),
        port: 1,
        authority: "h:1".to_owned(),
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
    };
    sample::service("auth", instances.iter().map(instance).collect())
}

#[test]
fn an_address_is_listed_once_for_the_first_instance_that_has_it() {
    let twice = service(&[&["10.0.0.1:1", "10.0.0.2:1"], &["10.0.0.2:1", "10.0.0.3:1"], &[]]);
    let (all, left_out) = listed(&twice);
    let all: Vec<(u8, String)> =
        all.iter().map(|listed| (listed.instance, listed.address.to_string())).collect();
    let expected = [(0, "10.0.0.1:1"), (1, "10.0.0.2:1"), (1, "10.0.0.3:1")];
    assert_eq!(all, expected.map(|(instance, address)| (instance, address.to_owned())));
    assert_eq!(left_out, 0);
    assert_eq!(listed(&service(&[])), (Vec::new(), 0));
}

#[test]
fn an_address_with_and_without_tls_is_spoken_to_over_tls_in_whatever_order() {
    let mut both = service(&[&["10.0.0.1:1", "10.0.0.2:1"], &["10.0.0.3:1", "10.0.0.1:1"]]);
    assert!(!overruled(&both));
    for secured in [0, 1] {
        for (place, instance) in both.instances.iter_mut().enumerate() {
            instance.scheme = if place == secured { Scheme::Https } else { Scheme::Http };
        }
        assert!(overruled(&both));
        let (all, left_out) = listed(&both);
        let shared = all.iter().filter(|listed| listed.address.to_string() == "10.0.0.1:1");
        let instances: Vec<u8> = shared.map(|listed| listed.instance).collect();
        assert_eq!((instances, all.len(), left_out), (vec![secured as u8], 3, 0));
    }
    both.instances[0].addresses.remove(0);
    assert!(!overruled(&both));
}

#[test]
fn the_order_of_addresses_makes_no_other_list() {
    let (one, other) = (service(&[&["10.0.0.1:1", "10.0.0.2:1"]]), service(&[&["10.0.0.2:1", "10.0.0.1:1"]]));
    assert_eq!(listed(&one), listed(&other));
}

#[test]
fn of_too_many_addresses_every_instance_keeps_its_first() {
    let many: Vec<String> = (0..40).map(|number| format!("10.0.1.{number}:1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (all, left_out) = listed(&service(&[&many, &["10.0.0.1:1"], &["10.0.0.2:1"]]));
    assert_eq!((all.len(), left_out), (INSTANCES_MAX, 10));
    assert!([1, 2].iter().all(|instance| all.iter().any(|listed| listed.instance == *instance)));
}

#[test]
fn the_longest_set_fits_into_a_frame() {
    let far = |port| SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from([0xfedc; 8]), port, 0, u32::MAX));
    let full = |_: &_| (0..INSTANCES_MAX).map(|_| Listed { instance: 31, address: far(65_535) }).collect();
    let set = EndpointSet { version: u64::MAX, services: SERVICES.iter().map(full).collect() };
    let mut bytes = Vec::new();
    assert!(encode(&Said::Endpoints(set.clone()), &mut bytes));
    assert_eq!(decode::<Said>(&mut bytes), Ok(Some(Said::Endpoints(set))));
}
