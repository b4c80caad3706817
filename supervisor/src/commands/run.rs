//! `floodgate run`: from a valid configuration to a serving node, and to its end.

use super::{ExitCode, complain};
use crate::process::handover;
use crate::process::hardening;
use crate::process::listeners::{self, Listeners};
use crate::process::log;
use crate::process::names;
use crate::process::notify::{Notifier, NotifyEnvironment};
use crate::process::plan::{Outcome, Policy};
use crate::process::reactor::Reactor;
use crate::process::reaper::Hooks;
use crate::process::resolve;
use crate::process::signals::Signals;
use crate::process::spawn::{Fence, OWN_EXECUTABLE, Spawner};
use edge_worker::clock;
use edge_worker::config::problem::Problem;
use edge_worker::config::{Loaded, Settings};
use shm::readiness::NodePhase;
use shm::{SLOTS_MAX, SupervisorRegion};
use std::io;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

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

/// Runs the node until it is told to leave.
#[must_use]
pub fn run(loaded: Loaded) -> ExitCode {
    log::install(loaded.settings.supervisor.log_format, loaded.settings.worker.log_level, io::stdout);
    match start(loaded) {
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

fn start(loaded: Loaded) -> Result<Outcome, StartFault> {
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
    LocalSet::new().block_on(&runtime, serve(loaded.settings))
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
async fn serve(mut settings: Settings) -> Result<Outcome, StartFault> {
    let signals = Signals::install().map_err(StartFault::system("signals cannot be received"))?;
    let (requested, requests) = mpsc::unbounded_channel();
    tokio::spawn(signals.forward(requested));
    let supervisor = &settings.supervisor;
    let workers = supervisor.workers.clamp(1, SLOTS_MAX);
    let listeners = Listeners::bind(supervisor.listen, workers).map_err(StartFault::Unavailable)?;
    let region = region()?;
    resolve::resolve(&mut settings.worker.services).await;
    names::intern(region, &mut settings.worker).map_err(|fault| {
        StartFault::system("the configuration has too many names")(io::Error::other(fault))
    })?;
    let policy = Policy::new(supervisor.drain_delay_ms, supervisor.shutdown_timeout_ms);
    tracing::info!(listening = %listeners.address(), workers, region = %region.boot_id(), "listening");
    let spawner = spawner(&settings, listeners, region)?;
    let notifier = Notifier::new(&NotifyEnvironment::read());
    Ok(Reactor::new(policy, spawner, region, requests, notifier, Hooks::none()).run().await)
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
