//! `not_before` of users and tenants: digest -> cut-off.
//!
//! A slot has two banks, and its version says which of them counts. A live slot changes by writing the bank
//! that does not count, and then the version: a supervisor that dies in between leaves the older cut-off
//! whole. Only a slot that gets another key is torn meanwhile, as in `tokens`: then nothing in it had been
//! acknowledged, or it had expired.

use super::tags::{DIGEST_WORDS, Found, Key, Place, Standing, Tags, WAYS};
use super::version::Version;
use super::{Cutoff, Recorded, Scope};
use crate::atomics::Word;
use crate::layout::{Field, Structure};

#[repr(C, align(64))]
pub(crate) struct Cutoffs<const BUCKETS: usize> {
    tags: Tags<BUCKETS>,
    slots: [[CutoffSlot; WAYS]; BUCKETS],
}

/// One user or tenant.
#[repr(C, align(128))]
pub(crate) struct CutoffSlot {
    version: Version,
    /// Scope in the upper half, zero if nothing stands here; seconds since 1970 in the lower half.
    scope_and_expiry: Word,
    digest: [Word; DIGEST_WORDS],
    banks: [Bank; 2],
}

#[repr(C)]
pub(crate) struct Bank {
    /// Epoch in the upper half, floor in the lower half.
    times: Word,
    except: [Word; DIGEST_WORDS],
}

/// A digest and what it is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ScopedKey {
    pub(super) scope: Scope,
    pub(super) key: Key,
}

impl<const BUCKETS: usize> Cutoffs<BUCKETS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Cutoffs",
        bytes: size_of::<Self>(),
        fields: &[
            Field("tags", std::mem::offset_of!(Self, tags), size_of::<Tags<BUCKETS>>()),
            Field("slots", std::mem::offset_of!(Self, slots), size_of::<[[CutoffSlot; WAYS]; BUCKETS]>()),
        ],
    };

    #[inline]
    pub(super) fn find(&self, key: ScopedKey, now_s: u64) -> Found<Cutoff> {
        self.tags.find(key.key, |place| match self.slot(place).read(key) {
            None => Found::Torn,
            Some(Some((cutoff, expires_at_s))) if expires_at_s > now_s => Found::Live(cutoff),
            Some(_) => Found::Absent,
        })
    }

    /// Under the writer's turn.
    pub(super) fn record(&self, key: ScopedKey, cutoff: Cutoff, expires_at_s: u64, now_s: u64) -> Recorded {
        let expires_at_s = expires_at_s.min(EXPIRY_MASK);
        if expires_at_s <= now_s {
            return Recorded::Expired;
        }
        let look = |place| self.slot(place).standing(key, now_s);
        let Some((place, standing)) = self.tags.choose(key.key, look) else { return Recorded::Full };
        let slot = self.slot(place);
        // An own slot that has expired may have lost its tag to a write that was never finished.
        self.tags.show(place, key.key);
        match standing {
            Standing::Own => slot.raise(key.scope, cutoff, expires_at_s, now_s),
            Standing::Free | Standing::Taken => {
                slot.write(scope_and_expiry(key.scope, expires_at_s), key.key, cutoff);
                Recorded::Inserted
            }
        }
    }

    /// Hides what has expired in a bucket and says how much that was and how much is left.
    pub(super) fn sweep(&self, bucket: usize, now_s: u64) -> (usize, usize) {
        let (mut freed, mut kept) = (0, 0);
        for place in self.tags.shown(bucket) {
            let slot = self.slot(place);
            if !slot.version.is_torn() && slot.expires_at_s() <= now_s {
                self.tags.hide(place);
                freed += 1;
            } else {
                kept += 1;
            }
        }
        (freed, kept)
    }

    /// The torn places of a bucket.
    pub(super) fn torn(&self, bucket: usize) -> impl Iterator<Item = Place> {
        self.tags.shown(bucket).filter(|place| self.slot(*place).version.is_torn())
    }

    /// Empties a place.
    pub(super) fn clear(&self, place: Place) {
        self.slot(place).write(0, Key([0; DIGEST_WORDS]), Cutoff::new(0, None));
        self.tags.hide(place);
    }

    pub(super) fn shown(&self, bucket: usize) -> impl Iterator<Item = Place> {
        self.tags.shown(bucket)
    }

    fn slot(&self, place: Place) -> &CutoffSlot {
        &self.slots[place.bucket][place.way]
    }
}

impl CutoffSlot {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "CutoffSlot",
        bytes: size_of::<CutoffSlot>(),
        fields: &[
            Field("version", std::mem::offset_of!(CutoffSlot, version), size_of::<Version>()),
            Field("scope_and_expiry", std::mem::offset_of!(CutoffSlot, scope_and_expiry), size_of::<Word>()),
            Field("digest", std::mem::offset_of!(CutoffSlot, digest), size_of::<[Word; DIGEST_WORDS]>()),
            Field("banks", std::mem::offset_of!(CutoffSlot, banks), size_of::<[Bank; 2]>()),
        ],
    };

    /// The cut-off and its expiry, if the slot is the key's; nothing at all if the slot is torn.
    #[inline]
    fn read(&self, key: ScopedKey) -> Option<Option<(Cutoff, u64)>> {
        self.version
            .read(|version| self.is(key).then(|| (self.banks[bank_of(version)].read(), self.expires_at_s())))
    }

    fn is(&self, key: ScopedKey) -> bool {
        self.scope_and_expiry.load() >> SCOPE_SHIFT == key.scope as u64
            && self.digest.iter().zip(key.key.0).all(|(own, word)| own.load() == word)
    }

    fn expires_at_s(&self) -> u64 {
        self.scope_and_expiry.load() & EXPIRY_MASK
    }

    fn standing(&self, key: ScopedKey, now_s: u64) -> Standing {
        match () {
            () if self.version.is_torn() => Standing::Free,
            () if self.is(key) => Standing::Own,
            () if self.expires_at_s() <= now_s => Standing::Free,
            () => Standing::Taken,
        }
    }

    /// Adds to the cut-off that stands here. It is whole and of this key.
    fn raise(&self, scope: Scope, cutoff: Cutoff, expires_at_s: u64, now_s: u64) -> Recorded {
        let version = self.version.prepare();
        let before = self.banks[bank_of(version) ^ 1].read();
        let merged = before.merged(cutoff);
        let expiry_before_s = self.expires_at_s();
        // The expiry goes first: until the version follows, the older cut-off is kept longer, which is right.
        self.scope_and_expiry.store(scope_and_expiry(scope, expires_at_s.max(expiry_before_s)));
        if merged != before {
            self.banks[bank_of(version)].write(merged);
            self.version.publish(version);
        }
        match () {
            () if expiry_before_s <= now_s => Recorded::Inserted,
            () if merged == before && expires_at_s <= expiry_before_s => Recorded::AlreadyThere,
            () => Recorded::Extended,
        }
    }

    fn write(&self, scope_and_expiry: u64, key: Key, cutoff: Cutoff) {
        let version = self.version.begin();
        for (word, value) in self.digest.iter().zip(key.0) {
            word.store(value);
        }
        self.banks[bank_of(version)].write(cutoff);
        self.scope_and_expiry.store(scope_and_expiry);
        self.version.publish(version);
    }
}

impl Bank {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Bank",
        bytes: size_of::<Bank>(),
        fields: &[
            Field("times", std::mem::offset_of!(Bank, times), size_of::<Word>()),
            Field("except", std::mem::offset_of!(Bank, except), size_of::<[Word; DIGEST_WORDS]>()),
        ],
    };

    #[inline]
    fn read(&self) -> Cutoff {
        Cutoff::from_words(self.times.load(), std::array::from_fn(|index| self.except[index].load()))
    }

    fn write(&self, cutoff: Cutoff) {
        let (times, except) = cutoff.words();
        self.times.store(times);
        for (word, value) in self.except.iter().zip(except) {
            word.store(value);
        }
    }
}

/// The bank that counts under a version: every publication takes the other one.
fn bank_of(version: u64) -> usize {
    usize::from(version & 2 == 2)
}

fn scope_and_expiry(scope: Scope, expires_at_s: u64) -> u64 {
    (scope as u64) << SCOPE_SHIFT | expires_at_s
}

const SCOPE_SHIFT: usize = 32;
/// Expiries in 32 bits: until 2106.
const EXPIRY_MASK: u64 = 0xffff_ffff;

/// Deaths at chosen moments.
#[cfg(all(test, not(loom)))]
impl<const BUCKETS: usize> Cutoffs<BUCKETS> {
    /// Dies in the bank that does not count yet.
    pub(super) fn raise_by_half(&self, key: ScopedKey, cutoff: Cutoff) {
        let slot = self.own(key);
        slot.banks[bank_of(slot.version.prepare())].write(cutoff);
    }

    /// Dies when all is written but the version.
    pub(super) fn tear(&self, key: ScopedKey, cutoff: Cutoff) {
        assert_eq!(self.record(key, cutoff, EXPIRY_MASK, 0), Recorded::Inserted);
        self.tear_own(key);
    }

    pub(super) fn tear_own(&self, key: ScopedKey) {
        self.own(key).version.begin();
    }

    fn own(&self, key: ScopedKey) -> &CutoffSlot {
        let mut places = (0..BUCKETS).flat_map(|bucket| self.shown(bucket));
        let place = places.find(|place| self.slot(*place).is(key));
        self.slot(place.expect("the key has a slot"))
    }
}

#[cfg(test)]
impl<const BUCKETS: usize> crate::atomics::Zeroed for Cutoffs<BUCKETS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Cutoffs { tags: Zeroed::zeroed(), slots: Zeroed::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for CutoffSlot {
    fn zeroed() -> CutoffSlot {
        use crate::atomics::Zeroed;
        CutoffSlot {
            version: Zeroed::zeroed(),
            scope_and_expiry: Word::zeroed(),
            digest: Zeroed::zeroed(),
            banks: Zeroed::zeroed(),
        }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Bank {
    fn zeroed() -> Bank {
        use crate::atomics::Zeroed;
        Bank { times: Word::zeroed(), except: Zeroed::zeroed() }
    }
}
