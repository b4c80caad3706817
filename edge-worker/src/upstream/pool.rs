//! Idle keep-alive connections to upstream instances, last in, first out, so that the warmest is used first.

use crate::clock::Millis;
use crate::net::io::Stream;
use std::cell::RefCell;

/// The idle connections of one worker, by instance.
pub struct Pools {
    instances: Vec<RefCell<Vec<Idle>>>,
    idle_max: usize,
}

/// Where an instance's connections are kept: dense over all instances of all services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolIndex(pub usize);

struct Idle {
    stream: Stream,
    since: Millis,
}

impl Pools {
    #[must_use]
    pub fn new(instances: usize, idle_max: usize) -> Self {
        Pools { instances: (0..instances).map(|_| RefCell::default()).collect(), idle_max }
    }

    /// A live idle connection, if there is one. Each is looked at first (400 ns): what arrived on it since its
    /// last answer would be taken for the answer to another client's request. Such ones are closed.
    #[must_use]
    pub fn take(&self, index: PoolIndex) -> Option<Stream> {
        let mut idle = self.instances.get(index.0)?.borrow_mut();
        while let Some(candidate) = idle.pop() {
            if candidate.stream.is_quiet() {
                return Some(candidate.stream);
            }
        }
        None
    }

    /// Takes a connection back whose last exchange ended cleanly on both sides.
    pub fn put(&self, index: PoolIndex, stream: Stream, now: Millis) {
        let Some(idle) = self.instances.get(index.0) else { return };
        let mut idle = idle.borrow_mut();
        if idle.len() < self.idle_max {
            idle.push(Idle { stream, since: now });
        }
    }

    /// Closes what has been idle for longer than the service's own keep-alive time allows.
    pub fn sweep(&self, now: Millis, idle_ms: impl Fn(PoolIndex) -> u64) {
        for (index, idle) in self.instances.iter().enumerate() {
            let limit = idle_ms(PoolIndex(index));
            // Oldest first, because the newest are used first.
            let mut idle = idle.borrow_mut();
            let stale = idle.iter().take_while(|entry| now.0.saturating_sub(entry.since.0) > limit).count();
            idle.drain(..stale);
        }
    }
}
