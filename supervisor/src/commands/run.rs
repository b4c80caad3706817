//! `floodgate run`: from a valid configuration to a serving node, and to its end.

use super::{ExitCode, complain};
use crate::admin::circuits::Circuits;
use crate::admin::control::{Control, Owner};
use crate::admin::{Admin, Current, sockets};
use crate::circuits::{Elsewhere, Watch};
use crate::cluster::circuits::Bulletin;
use crate::cluster::connection::{COMMAND_TIMEOUT, Connection};
use crate::cluster::endpoint::EndpointFault;
use crate::cluster::publisher::Publisher;
use crate::cluster::reads::Reads;
use crate::control::Answerer;
use crate::endpoints::resolve::{Resolver, look_up};
use crate::endpoints::{self, Endpoints};
use crate::export::render::Facts;
use crate::export::security_log::{About, SecurityLog};
use crate::export::spool::Spool;
use crate::export::{self, Exporter};
use crate::keys::fetch::Fetcher;
use crate::keys::remote::{self, Wishes};
use crate::keys::{Keys, reload};
use crate::line::{self, Verifier};
use crate::mirror::{self, Mirror, Withdrawals};
use crate::probes::{self, Board, Probed};
use crate::process::handover;
use crate::process::hardening;
use crate::process::listeners::{self, Listeners};
use crate::process::log;
use crate::process::names;
use crate::process::notify::{Notifier, NotifyEnvironment};
use crate::process::plan::{Outcome, Policy};
use crate::process::reactor::Reactor;
use crate::process::reaper::Hooks;
use crate::process::signals::Signals;
use crate::process::spawn::{Fence, OWN_EXECUTABLE, Spawner};
use edge_worker::clock;
use edge_worker::config::problem::Problem;
use edge_worker::config::{Loaded, Settings, Sources, SupervisorSettings, WorkerSettings};
use edge_worker::telemetry::labels::RevocationSource;
use edge_worker::telemetry::security_events::SecurityEvent;
use shm::readiness::NodePhase;
use shm::{SLOTS_MAX, SupervisorRegion};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, LocalSet};

/// How long the last log lines may take to be written.
const FLUSH: Duration = Duration::from_secs(2);
/// How long revocations may take to get to Redis when everything else has ended.
const HANDED_ON_WITHIN: Duration = Duration::from_secs(2);

/// Why the node does not start.
#[derive(Debug, thiserror::Error)]
enum StartFault {
    #[error("{0}")]
    Unavailable(Problem),
    #[error("{what}: {cause}")]
    System { what: &'static str, cause: io::Error },
}

impl StartFault {
    fn system(what: &'static str) -> impl Fn(io::Error) -> StartFault {
        move |cause| StartFault::System { what, cause }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unavailable(_) => ExitCode::Unavailable,
            Self::System { .. } => ExitCode::System,
        }
    }
}

/// Runs the node until it is told to leave. `sources` is where `loaded` came from.
#[must_use]
pub fn run(loaded: Loaded, sources: Sources) -> ExitCode {
    let spool = match Spool::stdout() {
        Ok(spool) => spool,
        Err(cause) => {
            eprintln!("floodgate: the log cannot be opened: {cause}");
            return ExitCode::System;
        }
    };
    let lines = spool.clone();
    let (format, level) = (loaded.settings.supervisor.log_format, loaded.settings.worker.log_level);
    log::install(format, level, move || lines.line_writer());
    let started = start(loaded, sources, &spool);
    // The last lines matter most; a reader that is stuck must not keep the process.
    spool.flush(FLUSH);
    match started {
        Ok(outcome) => exit_code(outcome),
        Err(StartFault::Unavailable(problem)) => {
            complain(std::slice::from_ref(&problem));
            StartFault::Unavailable(problem).exit_code()
        }
        Err(fault) => {
            eprintln!("floodgate: {fault}");
            fault.exit_code()
        }
    }
}

fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Drained => ExitCode::Success,
        Outcome::Cut { .. } => ExitCode::Cut,
        Outcome::NeverReady { .. } => ExitCode::Software,
    }
}

fn start(loaded: Loaded, sources: Sources, spool: &Spool) -> Result<Outcome, StartFault> {
    hardening::harden().map_err(StartFault::system("the process cannot be hardened"))?;
    let descriptors_max = hardening::raise_descriptor_limit()
        .map_err(StartFault::system("the limit on open descriptors cannot be raised"))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        descriptors_max,
        configuration = loaded.settings.print().trim_end().replace('\n', "; "),
        "floodgate starts"
    );
    announce(&loaded);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartFault::system("the supervisor's runtime cannot be made"))?;
    LocalSet::new().block_on(&runtime, serve(loaded.settings, sources, spool))
}

/// What is valid but deserves attention.
fn announce(loaded: &Loaded) {
    for notice in &loaded.notices {
        tracing::info!(notice, "configuration notice");
    }
    for warning in &loaded.warnings {
        tracing::warn!(warning = %warning, "configuration warning");
    }
    if let Some(kernel_max) = listeners::kernel_backlog_max()
        && kernel_max < listeners::BACKLOG
    {
        tracing::warn!(kernel_max, wanted = listeners::BACKLOG, "net.core.somaxconn cuts the accept queues");
    }
}

/// Everything that can fail fails before the first worker runs.
async fn serve(mut settings: Settings, sources: Sources, spool: &Spool) -> Result<Outcome, StartFault> {
    let signals = Signals::install().map_err(StartFault::system("signals cannot be received"))?;
    let (requested, requests) = mpsc::unbounded_channel();
    tokio::spawn(signals.forward(requested));
    let supervisor = &settings.supervisor;
    let workers = supervisor.workers.clamp(1, SLOTS_MAX);
    let listeners = Listeners::bind(supervisor.listen, workers).map_err(StartFault::Unavailable)?;
    if settings.worker.headers.external_port == 0 {
        settings.worker.headers.external_port = listeners.address().port();
    }
    let region = region()?;
    line::complete_roots(&settings.worker.services, &mut settings.worker.roots);
    names::intern(region, &mut settings.worker).map_err(|fault| {
        StartFault::system("the configuration has too many names")(io::Error::other(fault))
    })?;
    let endpoints = find_services(&mut settings.worker, region).await;
    let doors =
        Doors::open(supervisor).await.map_err(StartFault::system("the private address cannot be opened"))?;
    let policy = Policy::new(supervisor.drain_delay_ms, supervisor.shutdown_timeout_ms);
    tracing::info!(
        listening = %listeners.address(),
        admin = %doors.address,
        workers,
        region = %region.boot_id(),
        "listening"
    );
    let access_ttl = Duration::from_secs(settings.identity.venue_access_ttl_s);
    let security = SecurityLog::new(region.shared());
    let reads = Reads::new(settings.supervisor.redis.as_ref(), access_ttl, &security).map_err(redis_fault)?;
    let withdrawals = follow_revocations(&settings, region, &reads, &security)?;
    let (keys, wishes, reload) = keep_keys(&mut settings, sources, region)?;
    let spawner = spawner(&settings, listeners, region)?;
    let notifier = Notifier::new(&NotifyEnvironment::read());
    let exporter = Rc::new(RefCell::new(exporter(&settings, region, spool, security.clone())));
    let hooks = Hooks { reload: Box::new(move || reload.notify_one()), ..hooks(&exporter) };
    let tenant_format = settings.worker.tokens.tenant_format;
    let elsewhere = Elsewhere::default();
    let circuits = Circuits::new(region.shared(), &settings.worker, elsewhere.clone());
    let owner = Owner::of_process();
    let control = Control::new(withdrawals.clone(), security.clone(), tenant_format, owner, circuits);
    let last = withdrawals.clone();
    let told = (keys, wishes, Arc::clone(&endpoints));
    let answerer = Answerer::new(&settings, region, withdrawals, reads, told, security.clone())
        .map_err(|fault| StartFault::system("look-ups cannot be made")(io::Error::other(fault)))?;
    let answerer = Arc::new(answerer);
    drop(tokio::spawn(Arc::new(control).serve(doors.control)));
    let doors = (doors.listener, doors.socket);
    let verifier = Verifier::new(&settings.worker.roots)
        .map_err(|fault| StartFault::system("TLS cannot be used")(io::Error::other(fault)))?;
    let redis = link(&settings, &security)?;
    let watching = watch_circuits(&settings, region, &security, elsewhere)?;
    let own = (Rc::clone(&exporter), verifier);
    look_on(settings, doors, region, (spool.clone(), own), (workers, redis), endpoints);
    let outcome = Reactor::new(policy, spawner, region, requests, notifier, hooks, answerer).run().await;
    hand_on(&last, &security).await;
    watching.end().await;
    exporter.borrow_mut().finish();
    Ok(outcome)
}

/// Where the services are, now and from here on.
async fn find_services(settings: &mut WorkerSettings, region: &'static SupervisorRegion) -> Arc<Endpoints> {
    let services = &mut settings.services;
    let mut resolver = Resolver::new(services, look_up);
    resolver.round(services).await;
    let services = services.clone();
    let endpoints = Arc::new(Endpoints::new(settings, region));
    let period = Duration::from_millis(settings.instances.resolve_ms);
    drop(tokio::spawn(resolver.run(Arc::clone(&endpoints), services, period)));
    drop(tokio::spawn(endpoints::watch::run(Arc::clone(&endpoints))));
    endpoints
}

/// Gives the others what this node withdrew, and says how much they do not hear of: the outbox ends with the process.
async fn hand_on(withdrawals: &Withdrawals, security: &SecurityLog) {
    // Late or not, the number says it.
    let _ = withdrawals.waiting_after(HANDED_ON_WITHIN).await;
    let left = withdrawals.unpublished();
    if left > 0 {
        let about = About { count: Some(left), ..About::default() };
        security.raise(SecurityEvent::RevocationsUnpublished, about);
    }
}

/// The private address, the socket to which workers forward scrapes, and the one for orders of operators.
struct Doors {
    listener: TcpListener,
    address: SocketAddr,
    socket: UnixListener,
    control: UnixListener,
}

impl Doors {
    async fn open(settings: &SupervisorSettings) -> io::Result<Doors> {
        let listener = sockets::bind_address(settings.admin_listen).await.map_err(io::Error::other)?;
        let open = |name| sockets::bind_socket(&settings.runtime_dir, name).map_err(io::Error::other);
        let (socket, control) = (open(sockets::METRICS_SOCKET)?, open(sockets::CONTROL_SOCKET)?);
        Ok(Doors { address: listener.local_addr()?, listener, socket, control })
    }
}

fn exporter(
    settings: &Settings,
    region: &'static SupervisorRegion,
    spool: &Spool,
    security: SecurityLog,
) -> Exporter {
    Exporter::new(
        region.authority(),
        region.shared(),
        spool.clone(),
        security,
        settings.supervisor.log_format,
        settings.worker.log_level,
    )
}

fn hooks(exporter: &Rc<RefCell<Exporter>>) -> Hooks {
    let (reader, counter) = (Rc::clone(exporter), Rc::clone(exporter));
    Hooks {
        last_words: Box::new(move |slot| {
            reader.borrow_mut().drain_slot(slot);
        }),
        restarted: Box::new(move |slot| counter.borrow().restarted(slot)),
        ..Hooks::none()
    }
}

/// Everything beside keeping workers: access log, probes, metrics and health. Runs as long as the node.
fn look_on(
    settings: Settings,
    (address, socket): (TcpListener, UnixListener),
    region: &'static SupervisorRegion,
    (spool, (exporter, verifier)): (Spool, (Rc<RefCell<Exporter>>, Verifier)),
    (workers, redis): (usize, Option<Connection>),
    endpoints: Arc<Endpoints>,
) {
    let hash = blake3::hash(settings.print().as_bytes()).to_hex();
    let worker = settings.worker;
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("FLOODGATE_REVISION").unwrap_or("unknown").to_owned(),
        config_hash: hash.chars().take(16).collect(),
        config_applied_ms: clock::wall_millis(),
        workers,
        services: worker.services.iter().map(|service| service.name.clone()).collect(),
        follows_redis: redis.is_some(),
    };
    let (services, names) = (worker.services.clone(), worker.names.services.clone());
    let probed = Probed { services, names, endpoints: Arc::clone(&endpoints), redis, verifier };
    let metrics_enabled = settings.supervisor.metrics_enabled;
    let current = Current { settings: worker, facts, metrics_enabled, endpoints };
    let admin = Arc::new(Admin::new(region.authority(), region.shared(), spool, current));
    let board =
        Board { readiness: &region.authority().readiness, writer: region.writer(), shared: region.shared() };
    // A task each: a fault in one must not silence the others.
    drop(tokio::task::spawn_local(async move { export::run(&exporter).await }));
    drop(tokio::task::spawn_local(export::overload::run(region.shared())));
    drop(tokio::task::spawn_local(async move { probes::run(board, &probed).await }));
    drop(tokio::task::spawn_local(admin.serve(address, socket)));
}

/// From here on the region mirrors what was revoked. Without Redis the node runs alone.
fn follow_revocations(
    settings: &Settings,
    region: &'static SupervisorRegion,
    reads: &Reads,
    security: &SecurityLog,
) -> Result<Withdrawals, StartFault> {
    let tokens = &settings.worker.tokens;
    let mirror = Mirror::new(region, tokens.digest_key.expose(), tokens.clock_skew_s, security.clone());
    let mirror = mirror.before(reads.shared.clone());
    if let Some(legacy) = reads.legacy.clone() {
        let mirror = mirror.clone();
        drop(tokio::spawn(legacy.run(move |event| {
            // A full table has said so itself, in a critical event.
            let _ = mirror.apply(&event, RevocationSource::Legacy);
        })));
    }
    let Some(redis) = &settings.supervisor.redis else {
        return Ok(Withdrawals::new(mirror, None));
    };
    let publisher = Publisher::new(node_name(), tokens.clock_skew_s, security.clone());
    mirror::follow(redis, mirror.clone(), publisher.clone()).map_err(redis_fault)?;
    Ok(Withdrawals::new(mirror, Some(publisher)))
}

/// From here on changes of circuits are logged, and told to other nodes if there is a Redis to do it by, until the
/// notice.
fn watch_circuits(
    settings: &Settings,
    region: &'static SupervisorRegion,
    security: &SecurityLog,
    elsewhere: Elsewhere,
) -> Result<Watching, StartFault> {
    // A link of its own: readiness is judged by another.
    let bulletin = link(settings, security)?
        .map(|redis| Bulletin::new(redis, node_name(), region.boot_id().to_string()));
    let watch = Watch::new(region.shared(), &settings.worker, bulletin, elsewhere);
    let end = Arc::new(Notify::new());
    Ok(Watching { task: tokio::spawn(watch.run(Arc::clone(&end))), end })
}

/// The task that watches circuits.
struct Watching {
    task: JoinHandle<()>,
    end: Arc<Notify>,
}

impl Watching {
    /// Late is as good as never: what other nodes know of this one they forget by themselves.
    async fn end(self) {
        self.end.notify_one();
        let _ = tokio::time::timeout(COMMAND_TIMEOUT, self.task).await;
    }
}

/// A link to Redis for one purpose, if there is a Redis.
fn link(settings: &Settings, security: &SecurityLog) -> Result<Option<Connection>, StartFault> {
    let redis = settings.supervisor.redis.as_ref();
    redis.map(|redis| Connection::new(redis, security.figures())).transpose().map_err(redis_fault)
}

/// What other nodes know this one by.
fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn redis_fault(fault: EndpointFault) -> StartFault {
    StartFault::system("Redis cannot be used")(io::Error::other(fault))
}

/// The public keys from here on: what workers receive with their settings holds none.
fn keep_keys(
    settings: &mut Settings,
    sources: Sources,
    region: &'static SupervisorRegion,
) -> Result<(Arc<Keys>, Wishes, Arc<Notify>), StartFault> {
    let keys = Keys::new(&settings.worker.tokens, region)
        .map_err(|fault| StartFault::system("the public keys cannot be used")(io::Error::other(fault)))?;
    settings.worker.tokens.keys.clear();
    let (keys, asked) = (Arc::new(keys), Arc::new(Notify::new()));
    let running = settings.effective.clone();
    drop(tokio::spawn(reload::run(sources, running, Arc::clone(&keys), Arc::clone(&asked))));
    let Some(remote_keys) = &settings.supervisor.remote_keys else {
        return Ok((keys, Wishes::default(), asked));
    };
    let fetcher = Fetcher::new(remote_keys)
        .map_err(|fault| StartFault::system("keys cannot be fetched")(io::Error::other(fault)))?;
    let (wishes, wished) = remote::wishes();
    drop(tokio::task::spawn_local(remote::run(fetcher, Arc::clone(&keys), region, wished)));
    Ok((keys, wishes, asked))
}

/// The region lives as long as the process, as its mappings do.
fn region() -> Result<&'static SupervisorRegion, StartFault> {
    let region = SupervisorRegion::create()
        .map_err(|fault| StartFault::system("the region cannot be made")(io::Error::other(fault)))?;
    let region: &'static SupervisorRegion = Box::leak(Box::new(region));
    let readiness = &region.authority().readiness;
    readiness.set_started_at_ms(region.writer(), clock::wall_millis());
    readiness.set_phase(region.writer(), NodePhase::Starting);
    Ok(region)
}

fn spawner(
    settings: &Settings,
    listeners: Listeners,
    region: &SupervisorRegion,
) -> Result<Spawner, StartFault> {
    let failed = StartFault::system("workers cannot be prepared");
    Ok(Spawner {
        executable: OWN_EXECUTABLE.into(),
        settings: handover::seal(&settings.worker).map_err(&failed)?,
        authority: region.authority_fd().try_clone_to_owned().map_err(&failed)?,
        shared: region.shared_fd().try_clone_to_owned().map_err(&failed)?,
        listeners,
        cores: hardening::allowed_cores().map_err(&failed)?,
        fence: Fence::raise().map_err(&failed)?,
    })
}
