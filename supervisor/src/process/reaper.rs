//! What is done about a dead worker's part of the region, in the order that `shm` demands.

use shm::{SLOTS_MAX, Shared, WorkerSlot};

/// What the supervisor does elsewhere when a worker is gone or replaced.
pub struct Hooks {
    /// Reads the slot's journal to its end: the worker's last words. Its block still names it.
    pub last_words: Box<dyn FnMut(WorkerSlot)>,
    /// Counts that a slot is started again.
    pub restarted: Box<dyn FnMut(WorkerSlot)>,
    /// Has the files of the public keys read again.
    pub reload: Box<dyn FnMut()>,
}

impl Hooks {
    /// Hooks that do nothing.
    #[must_use]
    pub fn none() -> Self {
        Hooks { last_words: Box::new(|_| {}), restarted: Box::new(|_| {}), reload: Box::new(|| {}) }
    }
}

/// What the dead worker's block said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remains {
    pub requests_in_flight: u64,
    pub connections: u64,
    /// Half-written entries of the token cache that were given back.
    pub tokens_swept: usize,
}

/// Reads, folds, sweeps and clears. Only after `waitpid`: the slot must have no writer any more.
pub fn reap(shared: &Shared, slot: WorkerSlot, hooks: &mut Hooks) -> Remains {
    debug_assert!(slot.index() < SLOTS_MAX);
    let block = &shared.workers[slot.index()];
    (hooks.last_words)(slot);
    let tokens_swept = shared.token_cache.sweep(slot);
    shared.counters[slot.index()].fold_into(&shared.cumulative);
    let remains = Remains {
        requests_in_flight: block.requests_in_flight(),
        connections: block.connections(),
        tokens_swept,
    };
    shared.endpoints.clear(slot);
    block.clear();
    remains
}
