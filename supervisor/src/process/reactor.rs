//! Carries out what the plan decides: one loop over workers, signals, heartbeats and the plan's own alarm.

use super::notify::Notifier;
use super::plan::{Action, Event, Exit, Outcome, Plan, Policy};
use super::reaper::{self, Hooks};
use super::signals::Request;
use super::spawn::Spawner;
use super::worker_link::{Notice, WorkerLink};
use crate::control::Answerer;
use edge_worker::clock::{self, Millis};
use edge_worker::control::frames::{ToSupervisor, ToWorker};
use shm::readiness::NodePhase;
use shm::{SupervisorRegion, WorkerSlot};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

/// Time between two looks at the heartbeats.
const LOOK: Duration = Duration::from_millis(500);
/// How long the loop sleeps when nothing has a time.
const FAR: Duration = Duration::from_secs(3_600);

/// The supervisor's main loop and everything it holds.
pub struct Reactor {
    plan: Plan,
    spawner: Spawner,
    region: &'static SupervisorRegion,
    requests: mpsc::UnboundedReceiver<Request>,
    notifier: Notifier,
    hooks: Hooks,
    answerer: Arc<Answerer>,
    /// By slot.
    workers: Vec<Option<WorkerLink>>,
    notices: mpsc::UnboundedReceiver<Notice>,
    noticed: mpsc::UnboundedSender<Notice>,
    started_at: Millis,
    drain_began_at: Option<Millis>,
    outcome: Option<Outcome>,
}

impl Reactor {
    #[must_use]
    pub fn new(
        policy: Policy,
        spawner: Spawner,
        region: &'static SupervisorRegion,
        requests: mpsc::UnboundedReceiver<Request>,
        notifier: Notifier,
        hooks: Hooks,
        answerer: Arc<Answerer>,
    ) -> Self {
        let (noticed, notices) = mpsc::unbounded_channel();
        let count = spawner.listeners.count();
        Reactor {
            plan: Plan::new(policy, count),
            spawner,
            region,
            requests,
            notifier,
            hooks,
            answerer,
            workers: (0..count).map(|_| None).collect(),
            notices,
            noticed,
            started_at: now(),
            drain_began_at: None,
            outcome: None,
        }
    }

    /// Starts the workers and keeps them until a signal ends it. Within a tokio runtime.
    pub async fn run(mut self) -> Outcome {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watchdog = tokio::time::interval(self.notifier.watchdog().unwrap_or(FAR));
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.take(Event::Begin);
        loop {
            if let Some(outcome) = self.outcome {
                return outcome;
            }
            let alarm = sleep_until(self.alarm_at());
            tokio::select! {
                Some(notice) = self.notices.recv() => self.hear(notice),
                Some(request) = self.requests.recv() => self.obey(request),
                _ = look.tick() => self.look(),
                _ = watchdog.tick() => self.feed_watchdog(),
                () = alarm => self.take(Event::Tick),
            }
        }
    }

    fn alarm_at(&self) -> Instant {
        let left = self.plan.wake_at().map(|at| Duration::from_millis(at.0.saturating_sub(now().0)));
        Instant::now() + left.unwrap_or(FAR)
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Frame { slot, frame: ToSupervisor::Ready { driver } } => {
                tracing::info!(slot, driver, "worker ready");
                self.take(Event::Ready { slot });
            }
            Notice::Frame { slot, frame: ToSupervisor::Drained { finished, cut } } => {
                tracing::info!(slot, finished, cut, elapsed_ms = self.drain_ms(), "worker drained");
                self.take(Event::Drained { slot, finished, cut });
            }
            Notice::Ended { slot, exit } => self.bury(slot, exit),
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Terminate(signal) if self.plan.leaving() => {
                tracing::info!(
                    signal,
                    elapsed_ms = self.drain_ms(),
                    "already draining; the signal changes nothing"
                );
            }
            Request::Terminate(signal) => {
                tracing::info!(signal, "asked to leave");
                self.take(Event::Terminate);
            }
            Request::Reload => (self.hooks.reload)(),
            Request::Upgrade => tracing::warn!("SIGUSR2: upgrade is not built yet; nothing changes"),
        }
    }

    fn look(&mut self) {
        let living: Vec<usize> = self.plan.living().collect();
        for slot in living {
            if let Some(block) = self.region.shared().workers.get(slot) {
                self.take(Event::Beat { slot, beat: block.heartbeat_ms() });
            }
        }
    }

    /// The loop runs, or we were not here; the rest of the condition is one worker that lives.
    fn feed_watchdog(&self) {
        if self.plan.living().next().is_some() {
            self.notifier.alive();
        }
    }

    fn bury(&mut self, slot: usize, exit: Exit) {
        if let Some(link) = self.workers.get_mut(slot) {
            *link = None;
        }
        let Some(worker) = WorkerSlot::new(slot) else { return };
        let remains = reaper::reap(self.region.shared(), worker, &mut self.hooks);
        let requests_in_flight = remains.requests_in_flight;
        if self.plan.leaving() && exit == Exit::Code(0) {
            tracing::info!(slot, requests_in_flight, elapsed_ms = self.drain_ms(), "worker left");
        } else {
            let connections = remains.connections;
            tracing::error!(
                slot,
                ?exit,
                requests_in_flight,
                connections,
                tokens_swept = remains.tokens_swept,
                "worker died"
            );
        }
        self.take(Event::Died { slot, exit, in_flight: requests_in_flight });
    }

    fn take(&mut self, event: Event) {
        // A start that fails is an event itself; the plan's back-off bounds the loop.
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in self.plan.on(event, now()) {
                events.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start { slot, generation, listener, restarts } => {
                return self.start(slot, generation, listener, restarts);
            }
            Action::Serve => self.serve(),
            Action::AnnounceDrain => self.announce_drain(),
            Action::Drain { slot, cut_after_ms } => self.drain(slot, cut_after_ms),
            Action::Kill { slot, why } => {
                tracing::error!(slot, ?why, "worker killed");
                if let Some(link) = self.link(slot) {
                    link.kill();
                }
            }
            Action::Leave(outcome) => {
                tracing::info!(?outcome, elapsed_ms = self.drain_ms(), "drain over");
                self.outcome = Some(outcome);
            }
        }
        None
    }

    fn start(&mut self, slot: usize, generation: u32, listener: usize, restarts: u32) -> Option<Event> {
        if restarts > 0
            && let Some(slot) = WorkerSlot::new(slot)
        {
            (self.hooks.restarted)(slot);
        }
        let spawned = self.spawner.spawn(slot, generation, listener);
        match spawned.and_then(|spawned| {
            WorkerLink::open(slot, spawned, self.noticed.clone(), Arc::clone(&self.answerer))
        }) {
            Ok(link) => {
                let pid = link.pid.as_raw_nonzero().get();
                tracing::info!(slot, generation, pid, restarts, "worker started");
                if let Some(place) = self.workers.get_mut(slot) {
                    *place = Some(link);
                }
                None
            }
            Err(fault) => {
                tracing::error!(slot, generation, restarts, fault = %fault, "a worker cannot be started");
                Some(Event::SpawnFailed { slot })
            }
        }
    }

    fn serve(&mut self) {
        self.set_phase(NodePhase::Serving);
        let elapsed_ms = now().0.saturating_sub(self.started_at.0);
        let address = self.spawner.listeners.address();
        tracing::info!(%address, workers = self.workers.len(), elapsed_ms, "serving");
        self.notifier.ready(&format!("serving on {address}"));
    }

    fn announce_drain(&mut self) {
        self.drain_began_at = Some(now());
        self.set_phase(NodePhase::Draining);
        let (requests, connections) = self.in_flight();
        tracing::info!(requests, connections, "draining: /ready fails, workers still accept");
        self.notifier.stopping("draining");
    }

    fn drain(&mut self, slot: usize, cut_after_ms: u64) {
        let elapsed_ms = self.drain_ms();
        let sent = self.link(slot).map(|link| link.send(ToWorker::Drain { cut_after_ms }));
        if self.plan.leaving() {
            self.spawner.listeners.close();
        }
        match sent {
            Some(Err(fault)) => {
                tracing::error!(slot, fault = %fault, elapsed_ms, "a worker cannot be told to drain")
            }
            _ => {
                tracing::info!(slot, cut_after_ms, elapsed_ms, "worker told to stop accepting and to finish")
            }
        }
    }

    fn link(&self, slot: usize) -> Option<&WorkerLink> {
        self.workers.get(slot)?.as_ref()
    }

    fn set_phase(&self, phase: NodePhase) {
        self.region.authority().readiness.set_phase(self.region.writer(), phase);
    }

    /// Requests and connections of all workers.
    fn in_flight(&self) -> (u64, u64) {
        let blocks = self.region.shared().workers.iter();
        blocks.fold((0, 0), |(requests, connections), block| {
            (requests + block.requests_in_flight(), connections + block.connections())
        })
    }

    fn drain_ms(&self) -> u64 {
        self.drain_began_at.map_or(0, |began| now().0.saturating_sub(began.0))
    }
}

fn now() -> Millis {
    clock::now().millis()
}

#[cfg(test)]
mod tests;
