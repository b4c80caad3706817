//! Rolling counts: ten seconds in ten words, each with the second and the generation that it counts for.
//!
//! Writers and readers as the file above. A word of another second or generation counts for nothing and is
//! replaced by the next who counts there; no word is ever cleared. Nobody puts an older second or generation
//! in the place of a newer one, so that a process that stood still does not undo what others counted.
//! A plain `add` may fall into a word that was replaced in the instant since it was looked at: one call too
//! many, once a process at most. What opens circuits is added exactly.

use super::Parameters;
use crate::atomics::Word;
use crate::layout::{Field, Structure};

/// One rolling count.
#[repr(C)]
pub(crate) struct Tally {
    /// Second in the upper 24 bits, generation in 16, count in the lower 24.
    buckets: [Word; BUCKETS],
}

/// A second of the monotonic clock in a generation of the circuit.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    second: u64,
    generation: u64,
}

/// What closes and opens circuits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) calls: u64,
    pub(super) failures: u64,
}

/// What a bucket's word means to whoever counts at a moment.
enum Found {
    /// Its own, with room.
    Own,
    /// Counts for a moment that is over.
    Older,
    /// Counts for a later moment, or has no more room: nothing is added.
    Shut,
}

impl Tally {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Tally",
        bytes: size_of::<Self>(),
        fields: &[Field("buckets", std::mem::offset_of!(Tally, buckets), size_of::<[Word; BUCKETS]>())],
    };

    #[inline]
    pub(super) fn add(&self, moment: Moment) {
        let bucket = self.bucket(moment);
        match moment.find(bucket.load()) {
            Found::Own => bucket.add(1),
            Found::Older => self.add_exactly(moment),
            Found::Shut => {}
        }
    }

    /// Adds to the moment's bucket, or nowhere.
    #[cold]
    pub(super) fn add_exactly(&self, moment: Moment) {
        self.swap(moment, || true);
    }

    /// Adds if `room` says so of the sum without it, and says whether it did. Those who add in the same second
    /// never add together what `room` would have refused one of them.
    pub(super) fn add_if(&self, moment: Moment, room: impl Fn(u64) -> bool) -> bool {
        // The bucket was looked at before the sum was taken, so that a success means that nothing came between.
        self.swap(moment, || room(self.sum(moment)))
    }

    /// The count of the ten seconds that end with this one.
    pub(super) fn sum(&self, moment: Moment) -> u64 {
        // Partner: the exchange in `swap`. Who sees another's failure also sees its call.
        self.buckets.iter().map(|bucket| moment.share(bucket.observe())).sum()
    }

    fn swap(&self, moment: Moment, allowed: impl Fn() -> bool) -> bool {
        let bucket = self.bucket(moment);
        for _ in 0..TRIES_MAX {
            let seen = bucket.load();
            let next = match moment.find(seen) {
                Found::Own => seen + 1,
                Found::Older => moment.word() | 1,
                Found::Shut => return false,
            };
            if !allowed() {
                return false;
            }
            // Partner: `sum`.
            if bucket.exchange(seen, next) {
                return true;
            }
        }
        false
    }

    fn bucket(&self, moment: Moment) -> &Word {
        &self.buckets[(moment.second % BUCKETS as u64) as usize]
    }
}

impl Moment {
    #[inline]
    pub(super) fn new(now_ms: u64, generation: u32) -> Moment {
        Moment { second: now_ms / BUCKET_MS, generation: u64::from(generation) & GENERATION_MASK }
    }

    fn word(self) -> u64 {
        (self.second & SECOND_MASK) << SECOND_SHIFT | self.generation << GENERATION_SHIFT
    }

    #[inline]
    fn find(self, seen: u64) -> Found {
        let own = self.word();
        if seen & !COUNT_MASK == own {
            return if seen & COUNT_MASK < COUNT_MAX { Found::Own } else { Found::Shut };
        }
        let ahead = (seen >> SECOND_SHIFT).wrapping_sub(self.second) & SECOND_MASK;
        let newer = (seen >> GENERATION_SHIFT).wrapping_sub(self.generation) & GENERATION_MASK;
        match ahead {
            0 if newer < GENERATION_MASK / 2 => Found::Shut,
            // Further ahead than any process is behind: nobody counted there, so it must not stay.
            1..=AHEAD_MAX => Found::Shut,
            _ => Found::Older,
        }
    }

    /// What a word adds to the ten seconds that end with this moment.
    fn share(self, word: u64) -> u64 {
        let age = self.second.wrapping_sub(word >> SECOND_SHIFT) & SECOND_MASK;
        let own = (word >> GENERATION_SHIFT) & GENERATION_MASK == self.generation;
        if own && age < BUCKETS as u64 { word & COUNT_MASK } else { 0 }
    }
}

impl Window {
    pub(super) fn is_bad(self, parameters: &Parameters) -> bool {
        self.calls >= u64::from(parameters.volume)
            && self.failures * 100 >= self.calls * u64::from(parameters.error_percent)
    }
}

const BUCKETS: usize = 10;
const BUCKET_MS: u64 = 1_000;
const SECOND_SHIFT: u32 = 40;
/// 194 days, after which a bucket that was never used again could be taken for a new one.
const SECOND_MASK: u64 = (1 << 24) - 1;
const GENERATION_SHIFT: u32 = 24;
const GENERATION_MASK: u64 = (1 << 16) - 1;
const COUNT_MASK: u64 = (1 << 24) - 1;
/// Room above for what every process may add after it looked, so that a count never runs into the generation.
const COUNT_MAX: u64 = COUNT_MASK - 1_024;
/// Seconds by which the clock reading of a process that stood still may lag.
const AHEAD_MAX: u64 = 60;
/// Each try that fails is one of another process that did not.
const TRIES_MAX: usize = 64;

#[cfg(all(test, not(loom)))]
impl Tally {
    /// The bare words, for tests that copy, compare or spoil them.
    pub(super) fn words(&self) -> &[Word; BUCKETS] {
        &self.buckets
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Tally {
    fn zeroed() -> Tally {
        Tally { buckets: crate::atomics::Zeroed::zeroed() }
    }
}
