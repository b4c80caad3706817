//! Idle keep-alive connections to one endpoint, last in, first out, so that the warmest is used first.

use crate::clock::Millis;
use crate::net::io::Stream;
use std::cell::RefCell;

/// The idle connections of one worker.
#[derive(Default)]
pub struct Pool(RefCell<Vec<Idle>>);

struct Idle {
    stream: Stream,
    since: Millis,
}

impl Pool {
    /// A live idle connection, if there is one. Each is looked at first (400 ns): what arrived on it since its
    /// last answer would be taken for the answer to another client's request. Such ones are closed.
    #[must_use]
    pub fn take(&self) -> Option<Stream> {
        let mut idle = self.0.borrow_mut();
        while let Some(candidate) = idle.pop() {
            if candidate.stream.is_quiet() {
                return Some(candidate.stream);
            }
        }
        None
    }

    /// Takes a connection back whose last exchange ended cleanly on both sides; `idle_max` are kept.
    pub fn put(&self, stream: Stream, idle_max: usize, now: Millis) {
        let mut idle = self.0.borrow_mut();
        if idle.len() < idle_max {
            idle.push(Idle { stream, since: now });
        }
    }

    /// Closes what has been idle for longer than the service's own keep-alive time allows.
    pub fn sweep(&self, now: Millis, idle_ms: u64) {
        // Oldest first, because the newest are used first.
        let mut idle = self.0.borrow_mut();
        let stale = idle.iter().take_while(|entry| now.0.saturating_sub(entry.since.0) > idle_ms).count();
        idle.drain(..stale);
    }

    /// Closes all of them.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
