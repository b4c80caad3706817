//! Turns the services' host names into addresses: once before workers start, then again and again, beside everything
//! else.
//!
//! A name that cannot be resolved keeps the addresses that it had. One that an answer lacks stays for some rounds more:
//! many resolvers answer with a few of their addresses at a time. A look-up that takes long goes on until it ends, and
//! no second one is started beside it.

use super::Endpoints;
use edge_worker::config::limits::INSTANCES_MAX;
use edge_worker::config::services::{Instance, Service};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

/// Time for all look-ups of a round together.
const ROUND: Duration = Duration::from_secs(5);
/// So many answers in a row lack an address before it is gone.
const ANSWERS_WITHOUT: u32 = 10;

/// Looks up the hosts of the services. `look_up` asks the system but in tests.
pub struct Resolver<L> {
    look_up: L,
    /// One an instance, in the order of the services.
    hosts: Vec<Host>,
}

/// What is known of the look-ups of an instance's host.
#[derive(Default)]
struct Host {
    running: Option<LookUp>,
    /// Why the last one failed, and was told to have failed.
    failing: Option<String>,
    /// The addresses that are kept although the last answer lacks them, and how many answers in a row did.
    absent: Vec<(u32, SocketAddr)>,
}

type LookUp = JoinHandle<io::Result<Vec<SocketAddr>>>;

impl<L, F> Resolver<L>
where
    L: Fn(String, u16) -> F,
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    #[must_use]
    pub fn new(services: &[Service], look_up: L) -> Resolver<L> {
        let hosts = services.iter().flat_map(|service| &service.instances).map(|_| Host::default());
        Resolver { look_up, hosts: hosts.collect() }
    }

    /// Looks every host up and fills in what is found. A host that does not resolve in time is logged when that begins;
    /// one without any address leaves its service answering 503, and all others work.
    pub async fn round(&mut self, services: &mut [Service]) {
        let deadline = Instant::now() + ROUND;
        let instances = services.iter().flat_map(|service| &service.instances);
        for (host, instance) in self.hosts.iter_mut().zip(instances) {
            if host.running.is_none() {
                let look_up = (self.look_up)(instance.host.clone(), instance.port);
                host.running = Some(tokio::spawn(look_up));
            }
        }
        let mut hosts = self.hosts.iter_mut();
        for Service { name, instances, .. } in services {
            for (instance, host) in instances.iter_mut().zip(&mut hosts) {
                host.settle(name, instance, deadline).await;
            }
        }
    }

    /// An address that the last answer lacks and where nobody is well is gone at once.
    fn forget(&mut self, services: &mut [Service], is_down: impl Fn(usize, SocketAddr) -> bool) {
        let mut hosts = self.hosts.iter_mut();
        for (index, service) in services.iter_mut().enumerate() {
            for (instance, host) in service.instances.iter_mut().zip(&mut hosts) {
                let gone = host.absent.extract_if(.., |(_, address)| is_down(index, *address));
                let gone: Vec<SocketAddr> = gone.map(|(_, address)| address).collect();
                instance.addresses.retain(|address| !gone.contains(address));
            }
        }
    }

    /// Keeps the node's set of endpoints as new as the names are.
    pub async fn run(mut self, endpoints: Arc<Endpoints>, mut services: Vec<Service>, period: Duration) {
        let mut rounds = interval_at(Instant::now() + period, period);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            self.round(&mut services).await;
            self.forget(&mut services, |service, address| endpoints.is_down(service, address));
            endpoints.publish(&services);
            endpoints.sweep();
        }
    }
}

impl Host {
    /// Waits for the look-up until `deadline`.
    async fn settle(&mut self, service: &str, instance: &mut Instance, deadline: Instant) {
        let Some(mut running) = self.running.take() else { return };
        let reason = match timeout_at(deadline, &mut running).await {
            Ok(Ok(Ok(mut addresses))) if !addresses.is_empty() => {
                // Resolvers turn their answers round, and that is no change.
                addresses.sort_unstable();
                addresses.dedup();
                instance.addresses = self.joined(addresses, &instance.addresses);
                if self.failing.take().is_some() {
                    tracing::info!(service, host = instance.host, "a service's host can be resolved again");
                }
                return;
            }
            Ok(Ok(Ok(_))) => "no address".to_owned(),
            Ok(Ok(Err(fault))) => fault.to_string(),
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => {
                self.running = Some(running);
                "no answer in time".to_owned()
            }
        };
        if self.failing.as_ref() != Some(&reason) {
            let kept = instance.addresses.len();
            let host = &instance.host;
            tracing::warn!(service, host, reason, kept, "a service's host cannot be resolved");
            self.failing = Some(reason);
        }
    }

    /// What was found, and behind it what was there `before` and has not been missing for long, while there is room.
    fn joined(&mut self, mut found: Vec<SocketAddr>, before: &[SocketAddr]) -> Vec<SocketAddr> {
        let answers = |address: SocketAddr| {
            self.absent.iter().find(|absent| absent.1 == address).map_or(1, |(answers, _)| answers + 1)
        };
        let missing = before.iter().filter(|address| !found.contains(address));
        let absent = missing.map(|address| (answers(*address), *address));
        let mut absent: Vec<_> = absent.filter(|(answers, _)| *answers < ANSWERS_WITHOUT).collect();
        absent.sort_unstable();
        absent.truncate(INSTANCES_MAX.saturating_sub(found.len()));
        found.extend(absent.iter().map(|(_, address)| *address));
        self.absent = absent;
        found
    }
}

/// By the system's resolver. An address stands for itself; brackets around IPv6 are those of the URL.
///
/// # Errors
/// The system's.
pub async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    Ok(tokio::net::lookup_host((bare, port)).await?.collect())
}

#[cfg(test)]
mod tests;
