//! Where the instances of the services are: the set that all workers get, and the entries of the region that belong to
//! it.
//!
//! An entry is claimed before anybody hears of its address, and freed when every worker has taken over a set
//! without it.

pub mod resolve;
pub mod watch;

use crate::figures::Figures;
use edge_worker::clock;
use edge_worker::config::WorkerSettings;
use edge_worker::config::services::{Service, ServiceId};
use edge_worker::control::endpoint_set::{EndpointSet, Listed, listed, overruled};
use shm::SupervisorRegion;
use shm::breakers::Outcome;
use shm::endpoints::{Choice, EndpointIndex, EndpointKey, Health, Rules, View};
use shm::names::NameId;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::sync::watch::{Receiver, Sender, channel};

/// The set that holds, and who is told of it. One a node.
pub struct Endpoints {
    /// Of the services, as in the log.
    services: Vec<String>,
    /// Their names in the region.
    names: Vec<u16>,
    rules: Rules,
    /// Whether its addresses with and without TLS were complained about, by service.
    overruled: Vec<Once>,
    published: Sender<Arc<EndpointSet>>,
    region: &'static SupervisorRegion,
}

/// An endpoint as status pages and metrics see it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: String,
    pub address: SocketAddr,
    /// `None` if the region has no room for it.
    pub view: Option<View>,
}

impl Endpoints {
    /// The first set: the addresses that the settings have by now.
    #[must_use]
    pub fn new(settings: &WorkerSettings, region: &'static SupervisorRegion) -> Endpoints {
        Endpoints::of(&settings.services, &settings.names.services, settings.instances.rules(), region)
    }

    /// Of services with these names in the region.
    #[must_use]
    pub fn of(
        services: &[Service],
        names: &[u16],
        rules: Rules,
        region: &'static SupervisorRegion,
    ) -> Endpoints {
        let (published, _) = channel(Arc::default());
        let endpoints = Endpoints {
            services: services.iter().map(|service| service.name.clone()).collect(),
            names: names.to_vec(),
            rules,
            overruled: services.iter().map(|_| Once::new()).collect(),
            published,
            region,
        };
        endpoints.publish(services);
        endpoints
    }

    /// Sees the set that holds now, and every later one.
    #[must_use]
    pub fn watch(&self) -> Receiver<Arc<EndpointSet>> {
        self.published.subscribe()
    }

    /// The services are where these say. Workers are told if that is new.
    pub fn publish(&self, services: &[Service]) {
        for (service, told) in services.iter().zip(&self.overruled).filter(|told| overruled(told.0)) {
            told.call_once(|| {
                let service = &service.name;
                tracing::warn!(service, "an address is both http and https; it is spoken to over TLS");
            });
        }
        let old = Arc::clone(&self.published.borrow());
        let (lists, left_out): (Vec<Vec<Listed>>, Vec<usize>) = services.iter().map(listed).unzip();
        if old.version > 0 && old.services == lists {
            return;
        }
        for (service, left_out) in self.services.iter().zip(left_out).filter(|(_, count)| *count > 0) {
            tracing::warn!(service, left_out, "a service has more addresses than can be used");
        }
        let set = Arc::new(EndpointSet { version: old.version + 1, services: lists });
        self.claim(&set);
        if old.version > 0 {
            self.log(&old, &set);
        }
        self.published.send_replace(set);
    }

    fn claim(&self, set: &EndpointSet) {
        let mut homeless = 0;
        set.each(&self.names, |_, _, key| {
            let claimed = self.region.shared().endpoints.claim(self.region.writer(), key);
            homeless += usize::from(claimed.is_none());
        });
        if homeless > 0 {
            tracing::error!(homeless, "the table of instances is full; nothing is known of the rest");
        }
    }

    /// What became of whose addresses.
    fn log(&self, old: &EndpointSet, new: &EndpointSet) {
        let none = Vec::new();
        for (index, (service, list)) in self.services.iter().zip(&new.services).enumerate() {
            let before = old.services.get(index).unwrap_or(&none);
            let (added, gone) = (missing(list, before), missing(before, list));
            if !(added.is_empty() && gone.is_empty()) {
                tracing::info!(service, added, gone, "a service's addresses have changed");
            }
        }
    }

    /// Frees the entries of addresses that nobody lists any more, unless a call to one of them is still in flight: then
    /// the next time. A worker that has not taken over the newest set may list any.
    pub fn sweep(&self) {
        let set = Arc::clone(&self.published.borrow());
        let (shared, writer) = (self.region.shared(), self.region.writer());
        if shared.workers.iter().any(|worker| worker.pid() != 0 && worker.endpoint_set() < set.version) {
            return;
        }
        let mut kept: HashSet<EndpointKey> = HashSet::new();
        set.each(&self.names, |_, _, key| kept.extend([key]));
        let mut gone: Vec<EndpointIndex> = Vec::new();
        shared.endpoints.each(|key, index| gone.extend((!kept.contains(&key)).then_some(index)));
        for index in gone {
            // In flight: it stays for the next sweep.
            let _ = shared.endpoints.free(writer, index);
        }
    }

    /// The entry of an address of the service with this index.
    #[must_use]
    pub fn find(&self, service: usize, address: SocketAddr) -> Option<EndpointIndex> {
        let name = NameId::new(*self.names.get(service)?)?;
        self.region.shared().endpoints.find(EndpointKey::of(name, address))
    }

    /// Whether the checks of the address of the service with this index fail.
    #[must_use]
    pub fn is_down(&self, service: usize, address: SocketAddr) -> bool {
        let index = self.find(service, address);
        index.is_some_and(|index| self.region.shared().endpoints.health(index) == Health::Down)
    }

    /// Where the supervisor itself calls a service, by the same rules as workers, with 64 `random` bits; not
    /// `except` if there is another. `None` while the service has no address.
    #[must_use]
    pub fn choose(&self, service: ServiceId, except: Option<SocketAddr>, random: u64) -> Option<Listed> {
        let set = Arc::clone(&self.published.borrow());
        let list = set.services.get(usize::from(service.0))?;
        let find = |listed: &Listed| self.find(usize::from(service.0), listed.address);
        let indexes: Option<Vec<EndpointIndex>> = list.iter().map(find).collect();
        // Where nothing is known, one is as good as another.
        let Some(indexes) = indexes else { return list.first().copied() };
        let excepted = list.iter().position(|listed| Some(listed.address) == except);
        let except = excepted.and_then(|place| indexes.get(place)).copied();
        let choice = Choice { own: None, instances: &indexes, except };
        let now_ms = clock::now().millis().0;
        let chosen = self.region.shared().endpoints.choose(&choice, &self.rules, now_ms, random)?;
        let place = indexes.iter().position(|index| *index == chosen)?;
        list.get(place).copied()
    }

    /// How a call of the supervisor's ended, and how long it took.
    pub fn record(&self, service: ServiceId, address: SocketAddr, outcome: Outcome, took: Duration) {
        let alone =
            self.published.borrow().services.get(usize::from(service.0)).is_some_and(|all| all.len() == 1);
        // There is nobody to call in its place: its circuit judges it.
        if alone && outcome == Outcome::Failure {
            return;
        }
        let Some(index) = self.find(usize::from(service.0), address) else { return };
        let (took_us, now_ms) = (u64::try_from(took.as_micros()), clock::now().millis().0);
        let table = &self.region.shared().endpoints;
        if table.record(index, outcome, took_us.unwrap_or(u64::MAX), &self.rules, now_ms).is_some()
            && let Some(name) = self.names.get(usize::from(service.0))
        {
            Figures::new(self.region.shared()).instance_ejected(*name);
        }
    }

    /// Everything that is known of the endpoints of the set.
    #[must_use]
    pub fn seen(&self, now_ms: u64) -> Vec<Seen> {
        let (set, table) = (Arc::clone(&self.published.borrow()), &self.region.shared().endpoints);
        let mut all = Vec::new();
        set.each(&self.names, |service, listed, key| {
            let service = self.services.get(service).cloned().unwrap_or_default();
            let view = table.find(key).map(|index| table.view(index, &self.rules, now_ms));
            all.push(Seen { service, address: listed.address, view });
        });
        all
    }
}

/// Addresses of one list that another lacks.
fn missing(list: &[Listed], other: &[Listed]) -> String {
    let lacks = |one: &&Listed| other.iter().all(|listed| listed.address != one.address);
    let addresses: Vec<String> = list.iter().filter(lacks).map(|one| one.address.to_string()).collect();
    addresses.join(" ")
}

#[cfg(test)]
mod tests;
