//! What the supervisor does about its workers. Pure: (state, event, now) -> actions.
//!
//! A *slot* is a worker's block in the region, its listener and its core; a *generation* is the set of
//! settings its worker runs. A reload will start the next generation in free slots on the same listeners,
//! which is why a start names slot, listener and generation apart; today slot and listener are the same
//! number.
//!
//! The node goes Starting -> Serving -> Draining -> over, and never back. A slot goes Starting -> Serving ->
//! (Draining) -> Waiting or Gone, and from Waiting to Starting again.

use edge_worker::clock::Millis;

/// The times and bounds of the plan, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// A worker that served this long was healthy: its death is answered at once and forgives earlier ones. Short,
    /// because until its successor accepts, clients wait in the slot's queue.
    pub stable_ms: u64,
    /// Wait after the second early death in a row; doubles with each further one.
    pub backoff_first_ms: u64,
    pub backoff_max_ms: u64,
    /// A worker is killed after this time without a new heartbeat.
    pub silence_max_ms: u64,
    /// A worker is killed if it is not ready after this time.
    pub start_max_ms: u64,
    /// The supervisor gives up if one slot fails this often before the node was ever ready.
    pub start_attempts_max: u32,
    /// From the signal to the moment workers stop accepting, so that load balancers see `/ready` fail first.
    pub drain_delay_ms: u64,
    /// From the signal to the hard stop.
    pub shutdown_timeout_ms: u64,
}

/// A silence grows by at most this much a look, so that a pause of the whole machine kills nobody.
pub const LOOK_MS_MAX: u64 = 1_000;
/// A worker cuts and reports on its own this long before the hard stop, or a tenth of what is left if that is
/// less.
const REPORT_MS: u64 = 1_000;
/// After the hard stop the supervisor leaves even if the kernel does not give a process back.
const REAP_MS: u64 = 1_000;

impl Policy {
    /// The fixed times with the two that are settings.
    #[must_use]
    pub fn new(drain_delay_ms: u64, shutdown_timeout_ms: u64) -> Self {
        Policy {
            stable_ms: 2_000,
            backoff_first_ms: 100,
            backoff_max_ms: 5_000,
            silence_max_ms: 5_000,
            start_max_ms: 10_000,
            start_attempts_max: 6,
            drain_delay_ms: drain_delay_ms.min(shutdown_timeout_ms),
            shutdown_timeout_ms,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Listeners are bound, the region stands: start the workers.
    Begin,
    /// A start did not come to a process.
    SpawnFailed { slot: usize },
    /// A worker said that it accepts.
    Ready { slot: usize },
    /// A worker said how its drain ended.
    Drained { slot: usize, finished: u64, cut: u64 },
    /// A worker is dead and reaped; every frame it sent was handled before.
    Died {
        slot: usize,
        exit: Exit,
        /// Requests its block in the region still counted.
        in_flight: u64,
    },
    /// The heartbeat word of a living worker, as read from the region.
    Beat { slot: usize, beat: u64 },
    /// SIGTERM or SIGINT.
    Terminate,
    /// The time of [`Plan::wake_at`] has come.
    Tick,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// What to do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Start {
        slot: usize,
        generation: u32,
        listener: usize,
        /// How often this slot was started before.
        restarts: u32,
    },
    /// Every worker is ready: the node serves.
    Serve,
    /// `/ready` fails from now on; workers still accept.
    AnnounceDrain,
    /// Tell a worker to stop accepting and to finish.
    Drain {
        slot: usize,
        cut_after_ms: u64,
    },
    Kill {
        slot: usize,
        why: Why,
    },
    /// The supervisor's work is done.
    Leave(Outcome),
}

/// Why a worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Silent,
    NeverReady,
    DrainOverdue,
}

/// How it all ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was cut.
    Drained,
    /// Requests that were cut, and workers that ended without a report during the drain.
    Cut { requests: u64, unreported: u64 },
    /// A slot's worker failed again and again before the node was ever ready.
    NeverReady { slot: usize },
}

/// The state. One value a supervisor.
#[derive(Clone, Debug)]
pub struct Plan {
    policy: Policy,
    generation: u32,
    node: Node,
    slots: Vec<Slot>,
    /// Set when the supervisor drains because it cannot start.
    failed: Option<usize>,
    requests_cut: u64,
    unreported: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Starting,
    Serving,
    /// Draining was announced; workers are told at `drain_at`.
    Announced {
        drain_at: Millis,
        stop_at: Millis,
    },
    Draining {
        stop_at: Millis,
    },
    /// The hard stop has come.
    Stopping {
        leave_at: Millis,
    },
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    life: Life,
    generation: u32,
    listener: usize,
    /// Since when this life serves, if it ever did.
    ready_at: Option<Millis>,
    starts: u32,
    early_deaths: u32,
    beat: u64,
    looked_at: Millis,
    silent_ms: u64,
    /// What its worker reported at the end of its drain.
    report: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Starting,
    Serving,
    Draining,
    /// Killed, not reaped yet.
    Killed,
    Waiting {
        until: Millis,
    },
    /// Nothing runs here and nothing will.
    Gone,
}

impl Plan {
    /// A plan for `workers` slots of generation 1. Nothing runs before [`Event::Begin`].
    #[must_use]
    pub fn new(policy: Policy, workers: usize) -> Self {
        let slots = (0..workers).map(Slot::new).collect();
        Plan {
            policy,
            generation: 1,
            node: Node::Starting,
            slots,
            failed: None,
            requests_cut: 0,
            unreported: 0,
        }
    }

    /// Takes one event into account.
    pub fn on(&mut self, event: Event, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Ready { slot } => self.ready(slot, now, &mut actions),
            Event::SpawnFailed { slot } => self.bury(slot, now, &mut actions),
            Event::Drained { slot, cut, .. } => self.report(slot, cut),
            Event::Died { slot, exit, in_flight } => {
                self.count_death(slot, exit, in_flight);
                self.bury(slot, now, &mut actions);
            }
            Event::Beat { slot, beat } => self.look(slot, beat, now, &mut actions),
            Event::Terminate => self.announce_drain(now, self.policy.drain_delay_ms, &mut actions),
            Event::Begin | Event::Tick => {}
        }
        self.pass_time(now, &mut actions);
        actions
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Option<Millis> {
        let waiting = self.slots.iter().filter_map(|slot| match slot.life {
            Life::Waiting { until } if self.starts_workers() => Some(until),
            _ => None,
        });
        let node = match self.node {
            Node::Announced { drain_at, .. } => Some(drain_at),
            Node::Draining { stop_at } => Some(stop_at),
            Node::Stopping { leave_at } => Some(leave_at),
            Node::Starting | Node::Serving | Node::Over => None,
        };
        waiting.chain(node).min()
    }

    /// Slots with a process.
    pub fn living(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.lives()).map(|(index, _)| index)
    }

    /// Whether the drain has begun; a further signal changes nothing then.
    #[must_use]
    pub fn leaving(&self) -> bool {
        !matches!(self.node, Node::Starting | Node::Serving)
    }

    fn starts_workers(&self) -> bool {
        matches!(self.node, Node::Starting | Node::Serving | Node::Announced { .. })
    }

    fn start_due(&mut self, now: Millis, actions: &mut Vec<Action>) {
        let generation = self.generation;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if matches!(slot.life, Life::Waiting { until } if until <= now) {
                slot.start(generation, now);
                let Slot { generation, listener, starts, .. } = *slot;
                actions.push(Action::Start { slot: index, generation, listener, restarts: starts - 1 });
            }
        }
    }

    fn ready(&mut self, index: usize, now: Millis, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.life == Life::Starting {
            slot.life = Life::Serving;
            slot.ready_at = Some(now);
            slot.silent_ms = 0;
        }
        if self.node == Node::Starting && self.slots.iter().all(|slot| slot.life == Life::Serving) {
            self.node = Node::Serving;
            actions.push(Action::Serve);
        }
    }

    fn report(&mut self, index: usize, cut: u64) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.report = Some(cut);
        }
    }

    /// While the node leaves, a death must be accounted for: by the worker's report, or else by what its
    /// block says was still in flight. A worker that was told to drain and neither reports nor ends cleanly
    /// counts as well.
    fn count_death(&mut self, index: usize, exit: Exit, in_flight: u64) {
        let (leaving, told) = (self.leaving(), !self.starts_workers());
        let Some(slot) = self.slots.get_mut(index).filter(|_| leaving) else { return };
        let report = slot.report.take();
        self.requests_cut += report.unwrap_or(in_flight);
        if report.is_none() && told && exit != Exit::Code(0) {
            self.unreported += 1;
        }
    }

    /// Puts a slot whose process is gone into its next life.
    fn bury(&mut self, index: usize, now: Millis, actions: &mut Vec<Action>) {
        let starts_workers = self.starts_workers();
        let policy = self.policy;
        let Some(slot) = self.slots.get_mut(index) else { return };
        if !slot.lives() {
            return;
        }
        if !starts_workers {
            slot.life = Life::Gone;
            return;
        }
        // Whoever had to be killed was not healthy, however long it hung.
        let healthy = slot.ready_at.filter(|_| slot.life != Life::Killed);
        let served_ms = healthy.map_or(0, |ready_at| now.0.saturating_sub(ready_at.0));
        slot.early_deaths =
            if served_ms >= policy.stable_ms { 0 } else { slot.early_deaths.saturating_add(1) };
        slot.life = Life::Waiting { until: Millis(now.0 + policy.backoff_ms(slot.early_deaths)) };
        if self.node == Node::Starting && slot.early_deaths >= policy.start_attempts_max {
            self.failed = Some(index);
            self.announce_drain(now, 0, actions);
        }
    }

    /// Judges a worker by its heartbeat. Only a change counts, whatever clock the worker writes.
    fn look(&mut self, index: usize, beat: u64, now: Millis, actions: &mut Vec<Action>) {
        let policy = self.policy;
        let Some(slot) = self.slots.get_mut(index) else { return };
        let passed_ms = now.0.saturating_sub(slot.looked_at.0).min(LOOK_MS_MAX);
        let beats = slot.beat != beat;
        (slot.beat, slot.looked_at) = (beat, now);
        slot.silent_ms = if beats && slot.life != Life::Starting { 0 } else { slot.silent_ms + passed_ms };
        let why = match slot.life {
            Life::Starting if slot.silent_ms >= policy.start_max_ms => Why::NeverReady,
            Life::Serving | Life::Draining if slot.silent_ms >= policy.silence_max_ms => Why::Silent,
            _ => return,
        };
        slot.life = Life::Killed;
        actions.push(Action::Kill { slot: index, why });
    }

    fn announce_drain(&mut self, now: Millis, delay_ms: u64, actions: &mut Vec<Action>) {
        if self.leaving() {
            return;
        }
        let stop_at = Millis(now.0 + self.policy.shutdown_timeout_ms);
        self.node = Node::Announced { drain_at: Millis(now.0 + delay_ms), stop_at };
        actions.push(Action::AnnounceDrain);
    }

    /// What the clock alone brings about.
    fn pass_time(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if let Node::Announced { drain_at, stop_at } = self.node
            && drain_at <= now
        {
            self.node = Node::Draining { stop_at };
            self.tell_workers(now, stop_at, actions);
        }
        if let Node::Draining { stop_at } = self.node
            && stop_at <= now
        {
            self.node = Node::Stopping { leave_at: Millis(stop_at.0 + REAP_MS) };
            self.kill_living(actions);
        }
        if self.starts_workers() {
            self.start_due(now, actions);
        }
        self.leave_if_over(now, actions);
    }

    fn tell_workers(&mut self, now: Millis, stop_at: Millis, actions: &mut Vec<Action>) {
        let left_ms = stop_at.0.saturating_sub(now.0);
        let cut_after_ms = left_ms - REPORT_MS.min(left_ms / 10);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            match slot.life {
                Life::Starting | Life::Serving => {
                    slot.life = Life::Draining;
                    actions.push(Action::Drain { slot: index, cut_after_ms });
                }
                Life::Waiting { .. } => slot.life = Life::Gone,
                Life::Draining | Life::Killed | Life::Gone => {}
            }
        }
    }

    fn kill_living(&mut self, actions: &mut Vec<Action>) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.lives() && slot.life != Life::Killed {
                slot.life = Life::Killed;
                actions.push(Action::Kill { slot: index, why: Why::DrainOverdue });
            }
        }
    }

    fn leave_if_over(&mut self, now: Millis, actions: &mut Vec<Action>) {
        let overdue = matches!(self.node, Node::Stopping { leave_at } if leave_at <= now);
        let stopping = matches!(self.node, Node::Draining { .. } | Node::Stopping { .. });
        let living = u64::try_from(self.living().count()).unwrap_or(u64::MAX);
        if overdue || (stopping && living == 0) {
            self.node = Node::Over;
            self.unreported += living;
            actions.push(Action::Leave(self.outcome()));
        }
    }

    fn outcome(&self) -> Outcome {
        match (self.failed, self.requests_cut, self.unreported) {
            (Some(slot), _, _) => Outcome::NeverReady { slot },
            (None, 0, 0) => Outcome::Drained,
            (None, requests, unreported) => Outcome::Cut { requests, unreported },
        }
    }
}

impl Slot {
    fn new(index: usize) -> Self {
        Slot {
            life: Life::Waiting { until: Millis(0) },
            generation: 0,
            listener: index,
            ready_at: None,
            starts: 0,
            early_deaths: 0,
            beat: 0,
            looked_at: Millis(0),
            silent_ms: 0,
            report: None,
        }
    }

    fn start(&mut self, generation: u32, now: Millis) {
        debug_assert!(!self.lives(), "one process a slot");
        self.life = Life::Starting;
        self.generation = generation;
        self.ready_at = None;
        self.starts = self.starts.saturating_add(1);
        self.beat = 0;
        self.looked_at = now;
        self.silent_ms = 0;
        self.report = None;
    }

    fn lives(&self) -> bool {
        matches!(self.life, Life::Starting | Life::Serving | Life::Draining | Life::Killed)
    }
}

impl Policy {
    /// Wait before the next start after so many early deaths in a row.
    fn backoff_ms(&self, early_deaths: u32) -> u64 {
        match early_deaths {
            0 | 1 => 0,
            more => self.backoff_first_ms.saturating_mul(1 << (more - 2).min(16)).min(self.backoff_max_ms),
        }
    }
}

#[cfg(test)]
mod tests;
