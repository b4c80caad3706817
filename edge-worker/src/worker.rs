//! The worker process: what it holds, how it starts, and how it leaves.

use crate::clock;
use crate::config::WorkerSettings;
use crate::control::asks::{Answer, Question, Unanswered};
use crate::control::endpoint_set::EndpointSet;
use crate::control::frames::{ToSupervisor, ToWorker};
use crate::control::key_set::{Holding, KeySet};
use crate::control::link::{Asks, News};
use crate::http::encode::HttpDate;
use crate::http::head::RequestHead;
use crate::identity::digests::Digests;
use crate::identity::keys::{KeyFault, KeyRing};
use crate::identity::roles::RoleIds;
use crate::identity::verifier::Verifier;
use crate::inheritance::{Inheritance, Leave, read_settings};
use crate::net::buffers::Buffers;
use crate::net::io::{self, AcceptGate, Driver, Listener, SocketWheel, Stream};
use crate::net::vigil::Vigils;
use crate::net::wheel::{Reason, TICK_MS, Wheel};
use crate::net::{door, guard};
use crate::pipeline::authorise::policy::Policy;
use crate::pipeline::bulkhead::Bulkheads;
use crate::pipeline::circuit::Circuits;
use crate::pipeline::parse::Ids;
use crate::pipeline::route::RouteTable;
use crate::pipeline::shedding::Shedding;
use crate::telemetry::labels::LookupEnd;
use crate::telemetry::metrics::Meters;
use crate::upstream::connect::Upstreams;
use crate::upstream::endpoint::Board;
use crate::upstream::exchange::Means;
use crate::upstream::security::Securities;
use shm::journal::Journal;
use shm::workers::{Driver as DriverCell, Phase, WorkerBlock};
use shm::{Authority, Shared, WorkerRegion, WorkerSlot};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

/// How often a worker shows that its loop runs.
const HEARTBEAT_MS: u64 = 250;
/// After the hard end of a drain, time for cut requests to be accounted.
const CUT_GRACE_MS: u64 = 500;
/// A drain without a supervisor to set its end.
const ORPHAN_CUT_MS: u64 = 30_000;

/// Everything a request needs, shared by all tasks of the process.
pub struct Worker {
    pub slot: WorkerSlot,
    pub settings: WorkerSettings,
    pub routes: RouteTable,
    /// Never borrowed across an await, so its keys can be exchanged between any two requests.
    pub verifier: RefCell<Verifier>,
    pub keys: Holding,
    pub digests: Digests,
    pub roles: RoleIds,
    pub policy: Policy,
    pub authority: &'static Authority,
    pub shared: &'static Shared,
    pub block: &'static WorkerBlock,
    pub journal: &'static Journal,
    pub meters: Meters,
    pub wheel: Rc<SocketWheel>,
    pub vigils: Rc<Vigils>,
    pub buffers: Buffers,
    pub heads: RefCell<Vec<RequestHead>>,
    pub upstreams: Upstreams,
    pub bulkheads: Bulkheads,
    pub circuits: Circuits,
    pub shedding: Shedding,
    pub ids: Ids,
    /// The `Date` of answers, refreshed every tick.
    pub date: RefCell<HttpDate>,
    pub gate: AcceptGate,
    pub load: Load,
    asks: Asks,
    /// Digests of the users about whom an ask is on its way that nobody waits for.
    pub asked_users: RefCell<HashSet<[u8; 32]>>,
}

/// What the worker carries at the moment, and what its drain has to report.
#[derive(Default)]
pub struct Load {
    pub connections: Cell<usize>,
    pub in_flight: Cell<usize>,
    /// Bodies that are awaited before their request has a place anywhere.
    pub bodies_awaited: Cell<usize>,
    /// Accept loops that have not ended.
    pub accepting: Cell<usize>,
    pub draining: Cell<bool>,
    /// Requests answered since the drain began.
    pub finished: Cell<u64>,
    /// The drain's hard end has passed.
    pub cutting: Cell<bool>,
    /// Requests whose connection was closed before their answer was complete.
    pub cut: Cell<u64>,
}

/// Runs a worker to its end. Called once a process, with nothing else running in it.
#[must_use]
pub fn run(inheritance: Inheritance) -> Leave {
    let settings = match read_settings(inheritance.settings.as_fd()) {
        Ok(settings) => settings,
        Err(fault) => return Leave::Fault(fault.to_string()),
    };
    let region = match WorkerRegion::attach(inheritance.authority, inheritance.shared) {
        Ok(region) => region,
        Err(fault) => return Leave::Fault(fault.to_string()),
    };
    let Some(slot) = WorkerSlot::new(inheritance.slot) else {
        return Leave::Fault(format!("slot {} does not exist", inheritance.slot));
    };
    let choice = settings.io_driver;
    let worker = match Worker::new(slot, inheritance.generation, settings, region) {
        Ok(worker) => Rc::new(worker),
        Err(fault) => return Leave::Fault(fault),
    };
    let (channels, listeners) = ((inheritance.control, inheritance.asks), inheritance.listeners);
    let ran = io::run(choice, |driver| worker.live(driver, channels, listeners));
    match ran {
        Ok(Ok(leave)) => leave,
        Ok(Err(error)) => Leave::Fault(format!("the worker cannot use what it inherited: {error}")),
        Err(error) => Leave::Fault(format!("no I/O driver can be had: {error}")),
    }
}

impl Worker {
    fn new(
        slot: WorkerSlot,
        generation: u32,
        mut settings: WorkerSettings,
        region: WorkerRegion,
    ) -> Result<Self, String> {
        let verifier = Verifier::new(&settings.tokens, &settings.names).map_err(|fault| fault.to_string())?;
        let digests = Digests::new(*settings.tokens.digest_key.expose());
        let roles = RoleIds::new(&settings.names).ok_or("the names of the roles are not in the region")?;
        let (source, venues) = (settings.tokens.permission_source, settings.users.venue_access);
        let policy = Policy::new(&settings.routes, &settings.names, source, venues)
            .map_err(|fault| fault.to_string())?;
        let (authority, shared) = (region.authority(), region.shared());
        let block = &shared.workers[slot.index()];
        block.begin(std::process::id(), generation);
        let now = clock::now().millis();
        let board = Board { endpoints: &shared.endpoints, slot, rules: settings.instances.rules() };
        let roots = std::mem::take(&mut settings.roots);
        let securities = Securities::new(&settings.services, &roots).map_err(|fault| fault.to_string())?;
        let limits = &settings.limits;
        let socket = &settings.local.metrics_socket;
        let upstreams = Upstreams::new(board, securities, socket, limits.pool_idle_max);
        let names = &settings.names.services;
        let circuits = Circuits::new(shared, &settings.services, &settings.routes, names);
        Ok(Worker {
            slot,
            routes: RouteTable::new(std::mem::take(&mut settings.routes)),
            verifier: RefCell::new(verifier),
            keys: Holding::default(),
            digests,
            roles,
            policy,
            authority,
            shared,
            block,
            journal: &shared.journals[slot.index()],
            meters: Meters::new(&shared.counters[slot.index()], &settings.names, slot.index() as u16),
            wheel: Rc::new(Wheel::new(now)),
            vigils: Rc::default(),
            buffers: Buffers::default(),
            heads: RefCell::default(),
            upstreams,
            bulkheads: Bulkheads::new(&settings.services, &shared.workers, block),
            circuits,
            shedding: Shedding::new(settings.shedding),
            ids: Ids::seeded(),
            date: RefCell::new(HttpDate::at(clock::wall_seconds().unsigned_abs())),
            gate: AcceptGate::default(),
            load: Load::default(),
            asks: Asks::default(),
            asked_users: RefCell::default(),
            settings,
        })
    }

    /// From the first accept to the last answer.
    async fn live(
        self: Rc<Self>,
        driver: Driver,
        (control, asks): (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream),
        listeners: Vec<std::net::TcpListener>,
    ) -> std::io::Result<Leave> {
        let cell = match driver {
            Driver::Uring => DriverCell::Uring,
            Driver::Epoll => DriverCell::Epoll,
        };
        self.block.set_driver(cell);
        // A wheel of its own that never turns: the drain's hard end must not cut the supervisor off.
        let still = Rc::new(Wheel::new(self.wheel.now()));
        let mut control = Stream::from_unix(control, driver, &still)?;
        let asks = Stream::from_unix(asks, driver, &still)?;
        let asking = Rc::clone(&self);
        io::spawn(async move {
            asking.asks.carry(asks, |news| asking.adopt(news)).await;
            asking.keys.end();
        });
        self.keys.first().await?;
        let listeners: Vec<Rc<Listener>> = listeners
            .into_iter()
            .map(|listener| Listener::from_std(listener, driver).map(Rc::new))
            .collect::<Result<_, _>>()?;
        for listener in &listeners {
            for _ in 0..driver.accepts_in_flight() {
                io::spawn(Rc::clone(&self).guard(door::admit(Rc::clone(&self), Rc::clone(listener))));
            }
        }
        io::spawn(Rc::clone(&self).tick());
        // Whoever serves without a heartbeat counts as stalled.
        self.block.beat(clock::now().millis().0);
        self.block.set_phase(Phase::Serving);
        self.tell(&mut control, ToSupervisor::Ready { driver: cell as u8 }).await;
        let cut_after_ms = self.await_drain(&mut control).await;
        let leave = self.drain(listeners, cut_after_ms).await;
        let frame = ToSupervisor::Drained { finished: self.load.finished.get(), cut: self.load.cut.get() };
        self.tell(&mut control, frame).await;
        Ok(leave)
    }

    fn adopt(&self, news: News) -> Result<(), KeyFault> {
        match news {
            News::Keys(set) => self.exchange_keys(&set),
            News::Endpoints(set) => {
                self.exchange_endpoints(set);
                Ok(())
            }
        }
    }

    /// Calls the services at these addresses from now on.
    fn exchange_endpoints(&self, set: EndpointSet) {
        let version = set.version;
        self.upstreams.adopt(set, &self.settings.services, &self.settings.names.services);
        self.block.set_endpoint_set(version);
    }

    /// Works with these keys from now on.
    fn exchange_keys(&self, set: &KeySet) -> Result<(), KeyFault> {
        let ring = KeyRing::new(&self.settings.tokens, &set.keys)?;
        self.verifier.borrow_mut().exchange(ring);
        self.block.set_public_keys(set.keys.len() as u64);
        self.keys.note(set);
        Ok(())
    }

    /// Time: the wheel, the heartbeat, the sweep of idle upstream connections, how late the loop is, and what follows
    /// from that and from what the other workers have in flight.
    async fn tick(self: Rc<Self>) {
        let mut beat_at = 0;
        let mut last = clock::now();
        loop {
            io::sleep(Duration::from_millis(TICK_MS)).await;
            let now = clock::now();
            let slept_ns = now.since(last).as_nanos() as u64;
            let lag_ns = slept_ns.saturating_sub(TICK_MS * 1_000_000);
            self.meters.loop_lag(lag_ns);
            last = now;
            self.block.set_pressure(self.shedding.look(&self.shared.workers, lag_ns, now.millis()));
            self.bulkheads.look(now.millis().0);
            self.wheel.advance(now.millis(), io::expire);
            self.asks.expire(now.millis());
            self.date.borrow_mut().refresh(clock::wall_seconds().unsigned_abs());
            if now.millis().0 >= beat_at {
                beat_at = now.millis().0 + HEARTBEAT_MS;
                self.block.beat(now.millis().0);
                self.meters.lookups_waiting(self.asks.waiting());
                self.upstreams.sweep(&self.wheel);
                self.complain();
                self.vigils.look(io::is_reset, io::shut_both);
                self.bulkheads.sweep(|client| self.load.cutting.get() || io::is_reset(client));
            }
        }
    }

    /// Tells the supervisor what operators have to know; whether it listens changes nothing here.
    fn complain(self: &Rc<Self>) {
        for complaint in self.upstreams.handshakes.report(&self.meters) {
            let worker = Rc::clone(self);
            io::spawn(async move { drop(worker.ask(Question::Complaint { complaint }).await) });
        }
    }

    /// Waits for the supervisor's word, or for its death, and returns the time the drain may take.
    async fn await_drain(&self, control: &mut Stream) -> u64 {
        let mut bytes = Vec::with_capacity(512);
        loop {
            let filled = control.read(bytes, Reason::Idle, u64::MAX / 2).await;
            bytes = filled.buffer;
            if filled.end.is_some() {
                // Until a successor can take the listeners over, going on would only keep the port from it.
                return ORPHAN_CUT_MS;
            }
            match ToWorker::decode(&mut bytes) {
                Ok(Some(ToWorker::Drain { cut_after_ms })) => return cut_after_ms,
                Ok(None) => {}
                Err(_) => return ORPHAN_CUT_MS,
            }
        }
    }

    /// Accepts what is queued, tells every client, waits for what is in flight, and cuts what does not end.
    async fn drain(self: &Rc<Self>, listeners: Vec<Rc<Listener>>, cut_after_ms: u64) -> Leave {
        self.block.set_phase(Phase::Draining);
        self.load.draining.set(true);
        self.gate.close();
        self.wheel.hasten(Some(Reason::Idle), Reason::Linger, self.settings.limits.drain_linger_ms);
        let began = clock::now();
        let elapsed_ms = || clock::now().since(began).as_millis() as u64;
        while self.load.accepting.get() > 0 && elapsed_ms() < cut_after_ms {
            io::sleep(Duration::from_millis(1)).await;
        }
        for listener in &listeners {
            door::empty(self, listener).await;
        }
        // Closed here and, by then, in the supervisor: whoever comes now is refused by the kernel.
        drop(listeners);
        while self.load.connections.get() > 0 && elapsed_ms() < cut_after_ms {
            io::sleep(Duration::from_millis(TICK_MS)).await;
        }
        if self.load.connections.get() > 0 {
            self.load.cutting.set(true);
            while self.load.connections.get() > 0 && elapsed_ms() < cut_after_ms + CUT_GRACE_MS {
                // Again at every tick: a connection that is busy sets its deadlines anew.
                self.wheel.hasten(None, Reason::Cut, 0);
                io::sleep(Duration::from_millis(TICK_MS)).await;
            }
            self.load.cut.set(self.load.cut.get() + self.load.in_flight.get() as u64);
        }
        match self.load.cut.get() {
            0 => Leave::Clean,
            cut => Leave::Cut(cut),
        }
    }

    async fn tell(&self, control: &mut Stream, frame: ToSupervisor) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        // A supervisor that is gone needs no telling; its death is noticed by the next read.
        let _ = control.write_all(bytes, HEARTBEAT_MS).await;
    }

    /// Asks the supervisor, and counts how that ended.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, question: Question) -> Result<Answer, Unanswered> {
        let kind = question.number();
        let answer = self.asks.ask(question, self.wheel.now()).await;
        let end = match &answer {
            Ok(answer) if answer.is_outage() => LookupEnd::Outage,
            Ok(_) => LookupEnd::Answered,
            Err(Unanswered::Late) => LookupEnd::Late,
            Err(Unanswered::Overloaded) => LookupEnd::Overloaded,
            Err(Unanswered::Gone) => LookupEnd::Gone,
        };
        self.meters.lookup(kind, end);
        answer
    }

    /// What an exchange with a service needs.
    #[must_use]
    pub fn means(&self) -> Means<'_> {
        Means {
            upstreams: &self.upstreams,
            meters: &self.meters,
            wheel: &self.wheel,
            vigils: &self.vigils,
            buffers: &self.buffers,
            limits: &self.settings.limits,
        }
    }

    /// Counts a panic and lets the worker live.
    pub async fn guard(self: Rc<Self>, task: impl Future<Output = ()>) {
        if guard::guarded(task).await.is_err() {
            self.meters.panicked();
        }
    }
}
