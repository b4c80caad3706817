//! A connection to one of a service's instances: from the pool, or new within the deadline.

use super::pool::{PoolIndex, Pools};
use crate::config::limits::CONNECT_TIMEOUT_MS;
use crate::config::services::{Service, ServiceId};
use crate::net::io::{SocketWheel, Stream};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Every place a request can go to, with the worker's connections to it.
pub struct Upstreams {
    pools: Pools,
    services: Vec<Vec<Target>>,
    scrape: PathBuf,
    turn: Cell<usize>,
    idle_ms: Vec<u64>,
}

struct Target {
    addresses: Vec<SocketAddr>,
    authority: String,
    pool: PoolIndex,
}

/// Whom an exchange is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Service(ServiceId),
    /// The supervisor, which renders the metrics of all workers.
    Supervisor,
}

/// An open connection, and whether it has carried an exchange before.
pub struct Connected {
    pub stream: Stream,
    pub reused: bool,
    pub pool: Option<PoolIndex>,
}

/// Why no connection was to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    Refused,
    Unresolved,
    TimedOut,
}

impl Upstreams {
    #[must_use]
    pub fn new(services: &[Service], scrape: &Path, idle_max: usize) -> Self {
        let mut idle_ms = Vec::new();
        let mut target = |service: &Service, authority: &str, addresses: &[SocketAddr]| {
            idle_ms.push(service.pool_idle_ms);
            Target {
                addresses: addresses.to_vec(),
                authority: authority.to_owned(),
                pool: PoolIndex(idle_ms.len() - 1),
            }
        };
        let services = services
            .iter()
            .map(|service| {
                let instances = service.instances.iter();
                instances.map(|instance| target(service, &instance.authority, &instance.addresses)).collect()
            })
            .collect();
        let pools = Pools::new(idle_ms.len(), idle_max);
        Upstreams { pools, services, scrape: scrape.to_owned(), turn: Cell::new(0), idle_ms }
    }

    /// The instance whose turn it is, as an index for [`Upstreams::authority`] and [`Upstreams::connect`].
    #[must_use]
    pub fn choose(&self, service: ServiceId) -> usize {
        let count = self.services.get(usize::from(service.0)).map_or(0, Vec::len);
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        if count == 0 { 0 } else { turn % count }
    }

    /// What `Host` says to this instance.
    #[must_use]
    pub fn authority(&self, service: ServiceId, instance: usize) -> &str {
        self.target(service, instance).map_or("", |target| target.authority.as_str())
    }

    /// A connection that waits for its next exchange, if there is one.
    #[must_use]
    pub fn idle(&self, destination: Destination, instance: usize) -> Option<Connected> {
        let Destination::Service(service) = destination else { return None };
        let pool = self.target(service, instance)?.pool;
        let stream = self.pools.take(pool)?;
        Some(Connected { stream, reused: true, pool: Some(pool) })
    }

    /// A new connection for one exchange, in at most `within_ms` and [`CONNECT_TIMEOUT_MS`].
    ///
    /// # Errors
    /// See [`ConnectFault`].
    pub async fn connect(
        &self,
        destination: Destination,
        instance: usize,
        within_ms: u64,
        wheel: &Rc<SocketWheel>,
    ) -> Result<Connected, ConnectFault> {
        let within = Duration::from_millis(within_ms.min(CONNECT_TIMEOUT_MS));
        match destination {
            Destination::Service(service) => {
                let target = self.target(service, instance).ok_or(ConnectFault::Unresolved)?;
                self.open(target, within, wheel).await
            }
            Destination::Supervisor => {
                let stream = Stream::connect_unix(&self.scrape, within, wheel).await?;
                Ok(Connected { stream, reused: false, pool: None })
            }
        }
    }

    async fn open(
        &self,
        target: &Target,
        within: Duration,
        wheel: &Rc<SocketWheel>,
    ) -> Result<Connected, ConnectFault> {
        let mut fault = ConnectFault::Unresolved;
        for address in &target.addresses {
            match Stream::connect(*address, within, wheel).await {
                Ok(stream) => return Ok(Connected { stream, reused: false, pool: Some(target.pool) }),
                Err(error) => fault = ConnectFault::from(error),
            }
            if fault == ConnectFault::TimedOut {
                break;
            }
        }
        Err(fault)
    }

    /// Gives a connection back after a clean exchange.
    pub fn release(&self, connected: Connected, wheel: &SocketWheel) {
        if let Some(pool) = connected.pool {
            self.pools.put(pool, connected.stream, wheel.now());
        }
    }

    /// Closes idle connections that are over their time.
    pub fn sweep(&self, wheel: &SocketWheel) {
        self.pools.sweep(wheel.now(), |index| self.idle_ms.get(index.0).copied().unwrap_or(0));
    }

    fn target(&self, service: ServiceId, instance: usize) -> Option<&Target> {
        self.services.get(usize::from(service.0))?.get(instance)
    }
}

impl From<io::Error> for ConnectFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Refused,
        }
    }
}
