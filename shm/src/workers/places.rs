//! Places at a service: how the workers of a node share one cap, without a lock and without a counter that all write.
//!
//! Writer: each worker its own cells. Readers: the other workers.
//! A worker uses no place that is not in its cell. To take more it first says so in its cell, then passes a full fence,
//! then sums the cells of all workers; if the sum is over the cap, it takes back what it said.
//! What follows: the places that are kept never exceed the cap, at no instant and whatever the interleaving. Of all
//! workers that keep what they took, look at the one whose fence was the last: it saw the cells of the others, so its
//! sum was no less than theirs and its own together. Two that reach for the last place at the same moment may both see
//! too much and both take it back; they lose a moment, never the bound. So whoever is refused has to look again before
//! it gives up: the bulkhead's queue always has room for one.
//! Torn state: none. A worker that dies keeps its places until its block is cleared, and then has none.

use super::WorkerBlock;
use crate::atomics::{Word, fence_all};

impl WorkerBlock {
    /// Takes `places` in all at `service`, its place in the configuration, for the owner of this block, and says
    /// whether they may be kept: only if `workers`, this block among them, then hold no more than `cap`. If not, the
    /// owner has what it had.
    pub fn take_places(&self, service: usize, places: u64, workers: &[WorkerBlock], cap: u64) -> bool {
        let Some(own) = self.places.get(service) else { return false };
        take(own, places, workers.iter().filter_map(|worker| worker.places.get(service)), cap)
    }

    /// Gives places back: from now on the owner has `places`.
    pub fn set_places(&self, service: usize, places: u64) {
        if let Some(cell) = self.places.get(service) {
            // Partner: `observe` in `take`.
            cell.publish(places);
        }
    }

    /// Places that the owner has at `service`.
    #[must_use]
    pub fn places(&self, service: usize) -> u64 {
        self.places.get(service).map_or(0, Word::load)
    }

    /// So many requests of the owner wait for a place at `service`.
    pub fn set_waiting(&self, service: usize, count: u64) {
        if let Some(cell) = self.waiting.get(service) {
            cell.store(count);
        }
    }

    #[must_use]
    pub fn waiting(&self, service: usize) -> u64 {
        self.waiting.get(service).map_or(0, Word::load)
    }
}

fn take<'w>(own: &Word, places: u64, all: impl Iterator<Item = &'w Word>, cap: u64) -> bool {
    let before = own.load();
    own.store(places);
    // Partner: this fence in every other worker that takes a place.
    fence_all();
    // Partner: `publish` in `set_places`. What was done in a place that was given back is over.
    let sum = all.map(Word::observe).fold(0, u64::saturating_add);
    if sum > cap {
        own.store(before);
    }
    sum <= cap
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
