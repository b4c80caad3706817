//! Where a request goes: one of its service's endpoints, and a connection to it, from the pool or new within the
//! deadline.

use super::endpoint::{Board, Endpoint, Visit};
use super::handshakes::Handshakes;
use super::pool::Pool;
use super::security::{Securities, Security};
use crate::clock::Nanos;
use crate::config::limits::CONNECT_TIMEOUT_MS;
use crate::config::services::{Service, ServiceId};
use crate::control::endpoint_set::{EndpointSet, Listed};
use crate::net::io::{SecureFault, SocketWheel, Stream};
use crate::net::tls::Handshake;
use crate::telemetry::metrics::Meters;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shm::endpoints::{Choice, EndpointIndex, EndpointKey};
use shm::names::NameId;
use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Every place a request can go to, with the worker's connections to it.
pub struct Upstreams {
    /// By service. Never borrowed across an await, so that they can be exchanged between any two requests.
    groups: RefCell<Vec<Group>>,
    /// What they were made from.
    set: RefCell<Rc<EndpointSet>>,
    board: Board,
    scrape: PathBuf,
    idle_max: usize,
    random: RefCell<SmallRng>,
    securities: Securities,
    pub handshakes: Handshakes,
}

/// The endpoints of a service.
#[derive(Default)]
struct Group {
    endpoints: Vec<Rc<Endpoint>>,
    /// Theirs, in the same order, if the region knows all of them; else none.
    indexes: Vec<EndpointIndex>,
    idle_ms: u64,
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
    /// Where it goes when it is given back.
    pub endpoint: Option<Rc<Endpoint>>,
}

/// Why no connection was to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    Refused,
    Unresolved,
    /// No TLS with it.
    Insecure,
    TimedOut,
}

impl Upstreams {
    /// Knows no endpoint yet; see [`Upstreams::adopt`].
    #[must_use]
    pub fn new(board: Board, securities: Securities, scrape: &Path, idle_max: usize) -> Self {
        Upstreams {
            groups: RefCell::default(),
            set: RefCell::default(),
            board,
            scrape: scrape.to_owned(),
            idle_max,
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            securities,
            handshakes: Handshakes::default(),
        }
    }

    /// Requests go to these endpoints from now on. What is in flight to others ends where it is, and their connections
    /// close behind it.
    pub fn adopt(&self, set: EndpointSet, services: &[Service], names: &[u16]) {
        let old = self.groups.take();
        let known: Vec<&Rc<Endpoint>> = old.iter().flat_map(|group| &group.endpoints).collect();
        let described = set.services.iter().zip(services).zip(names).zip(0..);
        let groups: Vec<Group> = described
            .map(|(((listed, service), name), id)| {
                let endpoint = |listed: &Listed| {
                    let (id, key) = (ServiceId(id), NameId::new(*name));
                    let key = key.map(|name| EndpointKey::of(name, listed.address));
                    self.endpoint(&known, *listed, (service, id), key)
                };
                Group::new(listed.iter().filter_map(endpoint).collect(), service.pool_idle_ms)
            })
            .collect();
        for gone in known {
            if !groups.iter().any(|group| group.endpoints.iter().any(|kept| Rc::ptr_eq(kept, gone))) {
                gone.retire();
            }
        }
        self.groups.replace(groups);
        self.set.replace(Rc::new(set));
    }

    /// Where this worker calls the services.
    #[must_use]
    pub fn set(&self) -> Rc<EndpointSet> {
        Rc::clone(&self.set.borrow())
    }

    /// The one that is known already, or a new one.
    fn endpoint(
        &self,
        known: &[&Rc<Endpoint>],
        listed: Listed,
        (service, id): (&Service, ServiceId),
        key: Option<EndpointKey>,
    ) -> Option<Rc<Endpoint>> {
        let authority = &service.instances.get(usize::from(listed.instance))?.authority;
        let security = self.securities.of(id, listed.instance)?;
        let is_it = |endpoint: &&&Rc<Endpoint>| {
            let same_place = endpoint.service == id && endpoint.address == listed.address;
            // A URL with TLS and one without may have the same authority.
            same_place && endpoint.authority == *authority && Rc::ptr_eq(&endpoint.security, &security)
        };
        let endpoint = known.iter().find(is_it).map_or_else(
            || {
                Rc::new(Endpoint {
                    service: id,
                    address: listed.address,
                    authority: authority.clone(),
                    security: Rc::clone(&security),
                    index: Cell::new(None),
                    pool: Pool::default(),
                    listed: Cell::new(true),
                    alone: Cell::new(false),
                })
            },
            |endpoint| Rc::clone(endpoint),
        );
        if endpoint.index.get().is_none() {
            endpoint.index.set(key.and_then(|key| self.board.endpoints.find(key)));
        }
        Some(endpoint)
    }

    /// Which endpoint a call goes to: of two of its service's, the better one; not `except` if there is another. `None`
    /// while the service has no address.
    #[must_use]
    pub fn choose(
        &self,
        service: ServiceId,
        except: Option<&Rc<Endpoint>>,
        wheel: &SocketWheel,
    ) -> Option<Rc<Endpoint>> {
        let groups = self.groups.borrow();
        let group = groups.get(usize::from(service.0))?;
        match group.endpoints.as_slice() {
            [] => None,
            [only] => Some(Rc::clone(only)),
            several => {
                let random = self.random.borrow_mut().next_u64();
                let Some(place) = self.known(group, except, wheel, random) else {
                    return any_of(several, except, random);
                };
                several.get(place).map(Rc::clone)
            }
        }
    }

    /// By what the region knows of them.
    fn known(
        &self,
        group: &Group,
        except: Option<&Rc<Endpoint>>,
        wheel: &SocketWheel,
        random: u64,
    ) -> Option<usize> {
        let Board { endpoints, slot, rules } = &self.board;
        let except = except.and_then(|endpoint| endpoint.index.get());
        let choice = Choice { own: Some(*slot), instances: &group.indexes, except };
        let chosen = endpoints.choose(&choice, rules, wheel.now().0, random)?;
        group.indexes.iter().position(|index| *index == chosen)
    }

    /// A call to the endpoint begins.
    #[must_use]
    pub fn visit<'v>(&'v self, endpoint: &Endpoint, meters: &'v Meters, began: Nanos) -> Visit<'v> {
        Visit::begin(&self.board, meters, endpoint, began)
    }

    /// A connection that waits for its next exchange, if there is one.
    #[must_use]
    pub fn idle(&self, endpoint: Option<&Rc<Endpoint>>) -> Option<Connected> {
        let endpoint = endpoint?;
        let stream = endpoint.pool.take()?;
        Some(Connected { stream, reused: true, endpoint: Some(Rc::clone(endpoint)) })
    }

    /// A new connection for one exchange, in at most `within_ms` and [`CONNECT_TIMEOUT_MS`].
    ///
    /// # Errors
    /// See [`ConnectFault`].
    pub async fn connect(
        &self,
        destination: Destination,
        endpoint: Option<&Rc<Endpoint>>,
        within_ms: u64,
        wheel: &Rc<SocketWheel>,
    ) -> Result<Connected, ConnectFault> {
        let within = Duration::from_millis(within_ms.min(CONNECT_TIMEOUT_MS));
        match destination {
            Destination::Service(_) => {
                let endpoint = endpoint.ok_or(ConnectFault::Unresolved)?;
                let stream = self.reach(endpoint, within, wheel).await?;
                Ok(Connected { stream, reused: false, endpoint: Some(Rc::clone(endpoint)) })
            }
            Destination::Supervisor => {
                let stream = Stream::connect_unix(&self.scrape, within, wheel).await?;
                Ok(Connected { stream, reused: false, endpoint: None })
            }
        }
    }

    async fn reach(
        &self,
        endpoint: &Endpoint,
        within: Duration,
        wheel: &Rc<SocketWheel>,
    ) -> Result<Stream, ConnectFault> {
        let Security::Tls { trust, grievance } = &*endpoint.security else {
            return Ok(Stream::connect(endpoint.address, within, wheel).await?);
        };
        let fault = match Stream::connect_secured(endpoint.address, within, wheel, trust).await {
            Ok((stream, end)) => {
                self.handshakes.count(endpoint.service, end);
                return Ok(stream);
            }
            Err(SecureFault::Connect(error)) => return Err(error.into()),
            Err(SecureFault::Handshake(fault)) => fault,
        };
        let instance = (endpoint.service, endpoint.authority());
        self.handshakes.failed(wheel.now(), instance, grievance, &fault);
        Err(if fault.end == Handshake::Late { ConnectFault::TimedOut } else { ConnectFault::Insecure })
    }

    /// Gives a connection back after a clean exchange.
    pub fn release(&self, connected: Connected, wheel: &SocketWheel) {
        let Connected { stream, endpoint, .. } = connected;
        if let Some(endpoint) = endpoint.filter(|endpoint| endpoint.listed.get()) {
            endpoint.pool.put(stream, self.idle_max, wheel.now());
        }
    }

    /// Closes idle connections that are over their time.
    pub fn sweep(&self, wheel: &SocketWheel) {
        for group in self.groups.borrow().iter() {
            for endpoint in &group.endpoints {
                endpoint.pool.sweep(wheel.now(), group.idle_ms);
            }
        }
    }
}

impl Group {
    fn new(endpoints: Vec<Rc<Endpoint>>, idle_ms: u64) -> Group {
        endpoints.iter().for_each(|endpoint| endpoint.alone.set(endpoints.len() == 1));
        let indexes: Option<Vec<EndpointIndex>> =
            endpoints.iter().map(|endpoint| endpoint.index.get()).collect();
        Group { endpoints, indexes: indexes.unwrap_or_default(), idle_ms }
    }
}

/// Where nothing is known, one is as good as another.
fn any_of(several: &[Rc<Endpoint>], except: Option<&Rc<Endpoint>>, random: u64) -> Option<Rc<Endpoint>> {
    let place = usize::try_from(random % several.len() as u64).unwrap_or(0);
    let (before, after) = several.split_at_checked(place)?;
    let excepted = |endpoint: &&Rc<Endpoint>| except.is_some_and(|except| Rc::ptr_eq(except, endpoint));
    after.iter().chain(before).find(|endpoint| !excepted(endpoint)).map(Rc::clone)
}

impl From<io::Error> for ConnectFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests;
