//! What the gateway answers itself, as status and JSON body, from the region and nothing else: no call, no
//! wait, no file. Workers and the supervisor's admin address give the same answers.

pub mod live;
pub mod ready;
pub mod health;

use crate::config::services::Service;
use crate::config::{Dependency, WorkerSettings};
use crate::control::endpoint_set::EndpointSet;
use crate::telemetry::labels::CircuitPosition;
use shm::Authority;
use shm::Shared;
use shm::breakers::{Breakers, View};
use shm::endpoints::{Endpoints, Rules};
use shm::names::NameId;
use shm::readiness::Readiness;
use shm::revocations::Completeness;
use shm::workers::WorkerBlock;
use std::collections::BTreeMap;

/// What an answer may look at.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub readiness: &'a Readiness,
    /// How far the mirror of revocations can be believed; `None` for a node that runs alone.
    pub revocations: Option<Completeness>,
    /// The blocks of all slots.
    pub workers: &'a [WorkerBlock],
    pub services: &'a [Service],
    pub breakers: &'a Breakers,
    /// Where the services are, what is known of that, and how it is judged.
    pub set: &'a EndpointSet,
    pub endpoints: &'a Endpoints,
    pub rules: Rules,
    /// Region names of the services, in their order.
    pub names: &'a [u16],
    /// What gates readiness.
    pub dependencies: &'a [Dependency],
    /// The monotonic clock, as heartbeats and probes are stamped.
    pub now_ms: u64,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
}

impl<'a> Node<'a> {
    /// The node as a worker with these settings sees it.
    #[must_use]
    pub fn new(
        authority: &'a Authority,
        shared: &'a Shared,
        settings: &'a WorkerSettings,
        set: &'a EndpointSet,
    ) -> Self {
        Node {
            readiness: &authority.readiness,
            revocations: settings.local.follows_redis.then(|| authority.revocations.completeness()),
            workers: &shared.workers,
            services: &settings.services,
            breakers: &shared.breakers,
            set,
            endpoints: &shared.endpoints,
            rules: settings.instances.rules(),
            names: &settings.names.services,
            dependencies: &settings.local.ready_dependencies,
            now_ms: crate::clock::now().millis().0,
            wall_ms: crate::clock::wall_millis(),
        }
    }

    /// The circuit of the service with this index.
    fn circuit(&self, service: usize) -> Option<View> {
        let name = NameId::new(*self.names.get(service)?)?;
        Some(self.breakers.of(name)?.view(self.now_ms))
    }

    /// Where the circuit of each service stands.
    fn circuits(&self) -> BTreeMap<&'a str, &'static str> {
        let word = |(index, service): (usize, &'a Service)| {
            Some((service.name.as_str(), CircuitPosition::of(self.circuit(index)?.position).word()))
        };
        self.services.iter().enumerate().filter_map(word).collect()
    }

    /// Seconds since the node started.
    fn uptime_s(&self) -> u64 {
        self.wall_ms.saturating_sub(self.readiness.started_at_ms()) / 1000
    }

    /// Resident memory of all processes of the node, as the supervisor last saw it.
    fn memory_bytes(&self) -> u64 {
        self.readiness.resident_bytes()
    }

    /// Index of the service with this name.
    fn service(&self, name: &str) -> Option<u8> {
        let index = self.services.iter().position(|service| service.name == name)?;
        u8::try_from(index).ok()
    }
}

/// Appends a value as JSON and returns the status it goes with.
fn answer(status: u16, value: &impl serde::Serialize, body: &mut Vec<u8>) -> u16 {
    serde_json::to_writer(body, value).expect("these bodies have string keys and a Vec takes any bytes");
    status
}

#[cfg(test)]
mod tests;
