//! The word that tells whole slots from torn ones, for a writer that is alone.
//!
//! Odd: the slot is being written, or its writer died at it. Even: it is whole. Every write ends at a value
//! that the word never had, so that a reader who finds the same even value before and after has read one slot.

use crate::atomics::{Word, fence_loads, fence_stores};

/// The version of one slot; zero if it was never written.
#[repr(transparent)]
pub(super) struct Version(Word);

impl Version {
    /// What `value` reads from the slot, given its version, or nothing if the slot was torn each time.
    #[inline]
    pub(super) fn read<T>(&self, value: impl Fn(u64) -> T) -> Option<T> {
        for _ in 0..TRIES {
            // Partner: `publish`.
            let seen = self.0.observe();
            if is_odd(seen) {
                continue;
            }
            let value = value(seen);
            // Partner: `fence_stores` in `begin` and `prepare`. If a word of a later write was seen above,
            // the version that came before that write is seen below.
            fence_loads();
            if self.0.load() == seen {
                return Some(value);
            }
        }
        None
    }

    /// Tears the slot: from here on until `publish` no reader believes it. Gives the version to publish.
    pub(super) fn begin(&self) -> u64 {
        let torn = self.0.load() | 1;
        self.0.store(torn);
        // Partner: `fence_loads` in `read`.
        fence_stores();
        torn.wrapping_add(1)
    }

    /// Prepares the next version while the slot stays whole: only what readers of the version before it do
    /// not look at may be written. Gives the version to publish.
    pub(super) fn prepare(&self) -> u64 {
        // Partner: `fence_loads` in `read`: who reads what is written from here on under an older version
        // sees that the slot has moved on.
        fence_stores();
        self.0.load().wrapping_add(2)
    }

    pub(super) fn publish(&self, version: u64) {
        debug_assert!(!is_odd(version), "what is published is whole");
        // Partner: the first look in `read`.
        self.0.publish(version);
    }

    pub(super) fn is_torn(&self) -> bool {
        is_odd(self.0.load())
    }
}

fn is_odd(version: u64) -> bool {
    version & 1 == 1
}

/// Looks at a slot that is torn. A write takes less than a look, so that a slot which is torn this often has a
/// writer that was stopped or is dead.
const TRIES: usize = 3;

#[cfg(test)]
impl crate::atomics::Zeroed for Version {
    fn zeroed() -> Version {
        Version(Word::zeroed())
    }
}
