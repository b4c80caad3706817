//! Where the instances of the services are, on the way to a worker: the whole set, each time an address changes.
//!
//! The supervisor alone resolves names. What it tells a worker replaces the set before it between two requests;
//! a worker accepts no connection before it has its first one, which comes before its first keys.

use super::asks::ASK_BYTES_MAX;
use crate::config::headers::Scheme;
use crate::config::limits::INSTANCES_MAX;
use crate::config::services::{SERVICES, Service};
use serde::{Deserialize, Serialize};
use shm::endpoints::EndpointKey;
use shm::names::NameId;
use std::net::SocketAddr;

/// Every address at which an instance can be called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSet {
    /// From 1 upwards, in the order in which the sets hold.
    pub version: u64,
    /// By service, in the order of the settings; at most [`INSTANCES_MAX`] each.
    pub services: Vec<Vec<Listed>>,
}

impl EndpointSet {
    /// Visits every endpoint with the place of its service and its key in the region; `names` are those of the
    /// services there.
    pub fn each(&self, names: &[u16], mut visit: impl FnMut(usize, Listed, EndpointKey)) {
        for (service, (all, name)) in self.services.iter().zip(names).enumerate() {
            let Some(name) = NameId::new(*name) else { continue };
            for listed in all {
                visit(service, *listed, EndpointKey::of(name, listed.address));
            }
        }
    }
}

/// One of the addresses of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its place among the instances of its service.
    pub instance: u8,
    pub address: SocketAddr,
}

/// The longest one as a document, with the longest address.
const LISTED_BYTES_MAX: usize = 96;
const _: () = assert!(
    SERVICES.len() * INSTANCES_MAX * LISTED_BYTES_MAX + 1_024 <= ASK_BYTES_MAX,
    "a whole set fits into one frame"
);
const _: () = assert!(INSTANCES_MAX <= shm::endpoints::INSTANCES_MAX && INSTANCES_MAX <= u8::MAX as usize);

/// Where a service can be called: an address counts once, for the first instance that has it, but never for one without
/// TLS if one with TLS has it, too. If there are too many, every instance keeps its first ones; the other number says
/// how many are left out. The same addresses give the same list, whatever their order.
#[must_use]
pub fn listed(service: &Service) -> (Vec<Listed>, usize) {
    let longest = service.instances.iter().map(|instance| instance.addresses.len()).max().unwrap_or(0);
    let mut all: Vec<Listed> = Vec::new();
    for turn in 0..longest {
        for (instance, one) in (0..=u8::MAX).zip(&service.instances) {
            let address = one.addresses.get(turn).copied();
            let address =
                address.filter(|address| one.scheme == Scheme::Https || !is_secured(service, *address));
            let address = address.filter(|address| all.iter().all(|listed| listed.address != *address));
            all.extend(address.map(|address| Listed { instance, address }));
        }
    }
    let left_out = all.len().saturating_sub(INSTANCES_MAX);
    all.truncate(INSTANCES_MAX);
    all.sort_unstable_by_key(|listed| (listed.instance, listed.address));
    (all, left_out)
}

/// Whether an address is that of an instance with TLS and that of one without.
#[must_use]
pub fn overruled(service: &Service) -> bool {
    let plain = service.instances.iter().filter(|instance| instance.scheme == Scheme::Http);
    plain.flat_map(|instance| &instance.addresses).any(|address| is_secured(service, *address))
}

fn is_secured(service: &Service, address: SocketAddr) -> bool {
    let mut secured = service.instances.iter().filter(|instance| instance.scheme == Scheme::Https);
    secured.any(|instance| instance.addresses.contains(&address))
}

#[cfg(test)]
mod tests;
