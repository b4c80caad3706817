//! The word that the region is made of, and the only place that names atomics; loom swaps them here.
//!
//! Operations are named for what they mean. A plain `load` or `store` is relaxed: it says nothing about other
//! words. `publish` and `observe` are the two ends of a hand-over, as are the two fences.

// Banned elsewhere, so that this file stays the only one.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// One 64-bit atomic word; valid for every bit pattern.
#[repr(transparent)]
pub struct Word(AtomicU64);

impl Word {
    /// The value, without any promise about other words.
    #[inline]
    pub fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Stores without any promise about other words.
    #[inline]
    pub fn store(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value, and with it everything that its writer wrote before: Acquire, partner of `publish` and of a
    /// successful `exchange`.
    #[inline]
    pub fn observe(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Makes everything written before visible to whoever observes `value`: Release, partner of `observe`.
    #[inline]
    pub fn publish(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    /// Replaces `current` by `new` and says whether it did. AcqRel: partner of `observe`, of `publish` and of
    /// another `exchange`. A failure promises nothing (Relaxed).
    #[inline]
    pub fn exchange(&self, current: u64, new: u64) -> bool {
        self.0.compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Adds, whoever else writes, without any promise about other words. Wraps.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds, by load and store: only for words with a single writer, where it costs a tenth of an atomic
    /// addition.
    #[inline]
    pub fn add_alone(&self, amount: u64) {
        self.store(self.load().wrapping_add(amount));
    }

    /// Subtracts, by load and store, stopping at zero: only for words with a single writer.
    #[inline]
    pub fn subtract_alone(&self, amount: u64) {
        self.store(self.load().saturating_sub(amount));
    }
}

/// Orders the loads before it before the loads after it: partner of `fence_stores`.
#[inline]
pub(crate) fn fence_loads() {
    fence(Ordering::Acquire);
}

/// Orders the stores before it before the stores after it: partner of `fence_loads`.
#[inline]
pub(crate) fn fence_stores() {
    fence(Ordering::Release);
}

/// Orders everything before it before everything after it, a store before a load included: SeqCst, partner of the
/// same fence in another process. Of two that each store a word, pass it, and load the other's word, one at least
/// sees what the other stored.
#[inline]
pub(crate) fn fence_all() {
    fence(Ordering::SeqCst);
}

/// Structures as they stand in a new region, all bytes zero; for tests and models, which have no mapping.
#[cfg(test)]
pub(crate) trait Zeroed {
    fn zeroed() -> Self;
}

#[cfg(test)]
impl Zeroed for Word {
    fn zeroed() -> Word {
        Word(AtomicU64::new(0))
    }
}

#[cfg(test)]
impl<T: Zeroed, const N: usize> Zeroed for [T; N] {
    fn zeroed() -> [T; N] {
        std::array::from_fn(|_| T::zeroed())
    }
}

#[cfg(test)]
impl<T: Zeroed> Zeroed for crossbeam::utils::CachePadded<T> {
    fn zeroed() -> Self {
        crossbeam::utils::CachePadded::new(T::zeroed())
    }
}

/// Runs a model in every interleaving and collects what it returned. A model says which outcomes it expects,
/// because loom 0.7 leaves some interleavings out: a load and a store of one word by one thread hide an
/// earlier load of that word by another. Models therefore write in the main thread and read in the one that
/// they spawn.
#[cfg(all(test, loom))]
pub(crate) fn outcomes<T>(model: impl Fn() -> T + Send + Sync + 'static) -> std::collections::BTreeSet<T>
where
    T: Ord + Send + 'static,
{
    let seen = std::sync::Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let collected = std::sync::Arc::clone(&seen);
    loom::model(move || {
        let outcome = model();
        collected.lock().expect("no model panics while it holds this").insert(outcome);
    });
    std::mem::take(&mut *seen.lock().expect("no model panics while it holds this"))
}
