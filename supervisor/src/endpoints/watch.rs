//! Says in the log what becomes of instances: ejected and back, down and up. Whoever causes it has better things to do.

use super::{Endpoints, Seen};
use edge_worker::clock;
use shm::endpoints::{Health, View};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Between two looks. A shorter ejection may go unseen here; the metric counts it.
const LOOK: Duration = Duration::from_secs(1);

/// How an instance is, to whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Well,
    Ejected,
    Down,
}

/// What is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Ejected,
    Returned,
    WentDown,
    CameUp,
}

/// How every instance was at the last look.
#[derive(Default)]
struct Book(HashMap<(String, SocketAddr), State>);

/// Looks for ever.
pub async fn run(endpoints: Arc<Endpoints>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut book = Book::default();
    loop {
        looks.tick().await;
        let seen = endpoints.seen(clock::now().millis().0);
        for (event, seen) in book.note(&seen) {
            log(event, seen);
        }
    }
}

impl Book {
    /// What has become of whom. Those that are gone are forgotten.
    fn note<'s>(&mut self, seen: &'s [Seen]) -> Vec<(Event, &'s Seen)> {
        let before = std::mem::take(&mut self.0);
        let mut events = Vec::new();
        for one in seen {
            let Some(view) = &one.view else { continue };
            let (key, state) = ((one.service.clone(), one.address), State::of(view));
            let was = before.get(&key).copied().unwrap_or(State::Well);
            events.extend(Event::of(was, state).map(|event| (event, one)));
            self.0.insert(key, state);
        }
        events
    }
}

impl State {
    fn of(view: &View) -> State {
        match view.health {
            Health::Down => State::Down,
            Health::Up | Health::Unknown if view.ejected_ms > 0 => State::Ejected,
            Health::Up | Health::Unknown => State::Well,
        }
    }
}

impl Event {
    fn of(was: State, is: State) -> Option<Event> {
        match (was, is) {
            (State::Well, State::Well) | (State::Ejected, State::Ejected) | (State::Down, State::Down) => {
                None
            }
            (_, State::Down) => Some(Event::WentDown),
            (_, State::Ejected) => Some(Event::Ejected),
            (State::Ejected, State::Well) => Some(Event::Returned),
            (State::Down, State::Well) => Some(Event::CameUp),
        }
    }
}

fn log(event: Event, seen: &Seen) {
    let Seen { service, address, view } = seen;
    let ejected_ms = view.as_ref().map_or(0, |view| view.ejected_ms);
    let ejections = view.as_ref().map_or(0, |view| view.ejections);
    match event {
        Event::Ejected => {
            tracing::warn!(service, instance = %address, ejected_ms, ejections, "an instance is ejected");
        }
        Event::Returned => tracing::info!(service, instance = %address, "an instance is back"),
        Event::WentDown => tracing::warn!(service, instance = %address, "an instance is down"),
        Event::CameUp => tracing::info!(service, instance = %address, "an instance is up"),
    }
}

#[cfg(test)]
mod tests;
