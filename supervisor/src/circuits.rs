//! Watches the circuits of the services: a log line for each change, and a word to the other nodes.
//!
//! Workers and the supervisor change circuits in the region; nobody has to tell this task, it looks.

use crate::cluster::circuits::{Bulletin, Notice};
use edge_worker::clock;
use edge_worker::config::WorkerSettings;
use edge_worker::telemetry::labels::CircuitPosition;
use shm::Shared;
use shm::breakers::{Breaker, Position, View};
use shm::names::NameId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Between two looks.
pub const PERIOD: Duration = Duration::from_secs(1);
/// Between two readings of what other nodes say.
const READ_PERIOD_MS: u64 = 5_000;
/// A circuit that is not closed is told again, so that the word outlives neither the node nor the fault for long.
const RENEWAL_MS: u64 = 60_000;

/// What other nodes say of their circuits, by service, for whoever shows circuits: `open on node-2`. Clones share it.
#[derive(Clone, Default)]
pub struct Elsewhere(Arc<Mutex<BTreeMap<String, String>>>);

/// The task, and what it knows.
pub struct Watch {
    watched: Vec<Watched>,
    bulletin: Option<Bulletin>,
    elsewhere: Elsewhere,
}

struct Watched {
    service: String,
    breaker: &'static Breaker,
    seen: Seen,
    /// What was last told to other nodes, and when.
    told: Option<(CircuitPosition, u64)>,
}

/// What a look saw of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    position: Position,
    generation: u32,
}

/// A difference between two looks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    to: Position,
    /// Changes since the last look: a circuit can be quicker than a look.
    steps: u32,
    calls: u64,
    failures: u64,
}

/// The breakers of the services that have a name in the region, in the order of the services.
pub fn of_services<'s>(
    shared: &'static Shared,
    settings: &'s WorkerSettings,
) -> impl Iterator<Item = (&'s str, NameId, &'static Breaker)> {
    let named = settings.services.iter().zip(&settings.names.services);
    named.filter_map(|(service, number)| {
        let name = NameId::new(*number)?;
        Some((service.name.as_str(), name, shared.breakers.of(name)?))
    })
}

impl Elsewhere {
    /// What is said of a service, if it is not that all is well.
    #[must_use]
    pub fn of(&self, service: &str) -> Option<String> {
        self.lock().get(service).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Of the services that have a name in the region. Without a bulletin, nobody else is told.
    #[must_use]
    pub fn new(
        shared: &'static Shared,
        settings: &WorkerSettings,
        bulletin: Option<Bulletin>,
        elsewhere: Elsewhere,
    ) -> Watch {
        let watched = of_services(shared, settings).map(|(service, _, breaker)| {
            let seen = Seen::of(&breaker.view(clock::now().millis().0));
            Watched { service: service.to_owned(), breaker, seen, told: None }
        });
        Watch { watched: watched.collect(), bulletin, elsewhere }
    }

    /// Watches until `end`; then this node's circuits are closed for everybody else, as there are none any more.
    pub async fn run(mut self, end: Arc<Notify>) {
        tokio::select! {
            () = self.watch() => {}
            () = end.notified() => self.leave().await,
        }
    }

    async fn leave(&self) {
        let open = self
            .watched
            .iter()
            .filter(|watched| watched.told.is_some_and(|(position, _)| position != CircuitPosition::Closed));
        let states: Vec<_> =
            open.map(|watched| (watched.service.as_str(), CircuitPosition::Closed.word())).collect();
        if let Some(bulletin) = &self.bulletin {
            // Redis that is down forgets by itself.
            let _ = bulletin.post(&states).await;
        }
    }

    async fn watch(&mut self) {
        let mut looks = tokio::time::interval(PERIOD);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut read_at = 0;
        loop {
            looks.tick().await;
            let now_ms = clock::now().millis().0;
            self.look(now_ms);
            let Some(bulletin) = self.bulletin.clone() else { continue };
            self.tell(&bulletin, now_ms).await;
            if now_ms >= read_at {
                read_at = now_ms + READ_PERIOD_MS;
                self.listen(&bulletin).await;
            }
        }
    }

    fn look(&mut self, now_ms: u64) {
        for watched in &mut self.watched {
            let view = watched.breaker.view(now_ms);
            if let Some(change) = watched.seen.change(&view) {
                change.log(&watched.service);
            }
            watched.seen = Seen::of(&view);
        }
    }

    /// What is closed and was never anything else is nobody's business.
    async fn tell(&mut self, bulletin: &Bulletin, now_ms: u64) {
        let due = self.watched.iter().filter_map(|watched| {
            let position = CircuitPosition::of(watched.seen.position);
            is_due(watched.told, position, now_ms).then_some((watched.service.as_str(), position.word()))
        });
        let due: Vec<_> = due.collect();
        // Redis that is down hears of it with the next look.
        if due.is_empty() || bulletin.post(&due).await.is_err() {
            return;
        }
        for watched in &mut self.watched {
            let position = CircuitPosition::of(watched.seen.position);
            if is_due(watched.told, position, now_ms) {
                watched.told = Some((position, now_ms));
            }
        }
    }

    async fn listen(&self, bulletin: &Bulletin) {
        let services: Vec<&str> = self.watched.iter().map(|watched| watched.service.as_str()).collect();
        let read = bulletin.read(&services).await;
        let mut elsewhere = self.elsewhere.lock();
        let Ok(notices) = read else {
            // What was said before may not hold any more.
            elsewhere.clear();
            return;
        };
        for (service, notice) in services.into_iter().zip(notices) {
            let said = notice.as_ref().and_then(words);
            let before = match said.clone() {
                Some(said) => elsewhere.insert(service.to_owned(), said),
                None => elsewhere.remove(service),
            };
            if let Some(said) = said.filter(|said| before.as_ref() != Some(said)) {
                tracing::info!(service, said, "a circuit of another node changed");
            }
        }
    }
}

/// A circuit that is not closed is told when it changed and again and again; one that is closed once, if it was not.
fn is_due(told: Option<(CircuitPosition, u64)>, position: CircuitPosition, now_ms: u64) -> bool {
    match (told, position) {
        (None, CircuitPosition::Closed) => false,
        (None, _) => true,
        (Some((told, _)), position) if told != position => true,
        (Some(_), CircuitPosition::Closed) => false,
        (Some((_, at_ms)), _) => now_ms.saturating_sub(at_ms) >= RENEWAL_MS,
    }
}

/// Redis is not trusted with what an operator reads: the state is one of ours, the node's name is bounded and plain.
fn words(notice: &Notice<'_>) -> Option<String> {
    let state = CircuitPosition::WORDS.iter().find(|word| **word == notice.state)?;
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let node: String = notice.node.chars().filter(plain).take(NODE_LETTERS_MAX).collect();
    (*state != CircuitPosition::Closed.word()).then(|| format!("{state} on {node}"))
}

/// A host name (RFC 1123 section 2.1).
const NODE_LETTERS_MAX: usize = 63;

impl Seen {
    fn of(view: &View) -> Seen {
        Seen { position: view.position, generation: view.generation }
    }

    fn change(self, view: &View) -> Option<Change> {
        (self != Seen::of(view)).then_some(Change {
            to: view.position,
            steps: view.generation.wrapping_sub(self.generation),
            calls: view.calls,
            failures: view.failures,
        })
    }
}

impl Change {
    fn log(&self, service: &str) {
        let Change { to, steps, calls, failures } = *self;
        let (state, held) = (CircuitPosition::of(to).word(), to.is_held());
        match to {
            Position::Open | Position::ForcedOpen => {
                tracing::warn!(service, state, held, steps, calls, failures, "a circuit changed");
            }
            Position::Closed | Position::HalfOpen | Position::ForcedClosed => {
                tracing::info!(service, state, held, steps, calls, failures, "a circuit changed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
