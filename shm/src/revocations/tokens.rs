//! Revoked tokens: digest -> when the revocation ends.
//!
//! Order of writing: tag, version odd, slot, version even. A supervisor that dies in between leaves a torn
//! slot, which is nobody's: what stood there had expired, and what was to stand there was not acknowledged.
//! A live slot changes in one word only, its expiry, and only to a later one.

use super::Recorded;
use super::tags::{DIGEST_WORDS, Found, Key, Place, Standing, Tags, WAYS};
use super::version::Version;
use crate::atomics::Word;
use crate::layout::{Field, Structure};

#[repr(C, align(64))]
pub(crate) struct Tokens<const BUCKETS: usize> {
    tags: Tags<BUCKETS>,
    slots: [[TokenSlot; WAYS]; BUCKETS],
}

/// One revoked token.
#[repr(C, align(64))]
pub(crate) struct TokenSlot {
    version: Version,
    /// Seconds since 1970; zero if nothing stands here.
    expires_at_s: Word,
    digest: [Word; DIGEST_WORDS],
    reserved: [Word; 2],
}

impl<const BUCKETS: usize> Tokens<BUCKETS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Tokens",
        bytes: size_of::<Self>(),
        fields: &[
            Field("tags", std::mem::offset_of!(Self, tags), size_of::<Tags<BUCKETS>>()),
            Field("slots", std::mem::offset_of!(Self, slots), size_of::<[[TokenSlot; WAYS]; BUCKETS]>()),
        ],
    };

    #[inline]
    pub(super) fn find(&self, key: Key, now_s: u64) -> Found<()> {
        self.tags.find(key, |place| match self.slot(place).read() {
            None => Found::Torn,
            Some((own, expires_at_s)) if own == key && expires_at_s > now_s => Found::Live(()),
            Some(_) => Found::Absent,
        })
    }

    /// Under the writer's turn.
    pub(super) fn record(&self, key: Key, expires_at_s: u64, now_s: u64) -> Recorded {
        if expires_at_s <= now_s {
            return Recorded::Expired;
        }
        let Some((place, standing)) = self.tags.choose(key, |place| self.slot(place).standing(key, now_s))
        else {
            return Recorded::Full;
        };
        let slot = self.slot(place);
        let before = slot.expires_at_s.load();
        // An own slot that has expired may have lost its tag to a write that was never finished.
        self.tags.show(place, key);
        match standing {
            Standing::Own if before >= expires_at_s => Recorded::AlreadyThere,
            Standing::Own => {
                slot.expires_at_s.store(expires_at_s);
                if before > now_s { Recorded::Extended } else { Recorded::Inserted }
            }
            Standing::Free | Standing::Taken => {
                slot.write(key, expires_at_s);
                Recorded::Inserted
            }
        }
    }

    /// Hides what has expired in a bucket and says how much that was and how much is left.
    pub(super) fn sweep(&self, bucket: usize, now_s: u64) -> (usize, usize) {
        let (mut freed, mut kept) = (0, 0);
        for place in self.tags.shown(bucket) {
            let slot = self.slot(place);
            if !slot.version.is_torn() && slot.expires_at_s.load() <= now_s {
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
        self.slot(place).write(Key([0; DIGEST_WORDS]), 0);
        self.tags.hide(place);
    }

    pub(super) fn shown(&self, bucket: usize) -> impl Iterator<Item = Place> {
        self.tags.shown(bucket)
    }

    fn slot(&self, place: Place) -> &TokenSlot {
        &self.slots[place.bucket][place.way]
    }
}

impl TokenSlot {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "TokenSlot",
        bytes: size_of::<TokenSlot>(),
        fields: &[
            Field("version", std::mem::offset_of!(TokenSlot, version), size_of::<Version>()),
            Field("expires_at_s", std::mem::offset_of!(TokenSlot, expires_at_s), size_of::<Word>()),
            Field("digest", std::mem::offset_of!(TokenSlot, digest), size_of::<[Word; DIGEST_WORDS]>()),
            Field("reserved", std::mem::offset_of!(TokenSlot, reserved), size_of::<[Word; 2]>()),
        ],
    };

    #[inline]
    fn read(&self) -> Option<(Key, u64)> {
        self.version.read(|_| (self.key(), self.expires_at_s.load()))
    }

    fn key(&self) -> Key {
        Key(std::array::from_fn(|index| self.digest[index].load()))
    }

    fn standing(&self, key: Key, now_s: u64) -> Standing {
        match () {
            () if self.version.is_torn() => Standing::Free,
            () if self.expires_at_s.load() != 0 && self.key() == key => Standing::Own,
            () if self.expires_at_s.load() <= now_s => Standing::Free,
            () => Standing::Taken,
        }
    }

    fn write(&self, key: Key, expires_at_s: u64) {
        let version = self.version.begin();
        for (word, value) in self.digest.iter().zip(key.0) {
            word.store(value);
        }
        self.expires_at_s.store(expires_at_s);
        self.version.publish(version);
    }
}

/// Deaths at chosen moments.
#[cfg(all(test, not(loom)))]
impl<const BUCKETS: usize> Tokens<BUCKETS> {
    /// Dies between the tag and the slot.
    pub(super) fn show_other_key(&self, place: Place, key: Key) {
        self.tags.show(place, key);
    }

    /// Dies when all is written but the version.
    pub(super) fn tear(&self, key: Key, expires_at_s: u64) -> Place {
        assert_eq!(self.record(key, expires_at_s, 0), Recorded::Inserted);
        let mut places = (0..BUCKETS).flat_map(|bucket| self.shown(bucket));
        let place = places.find(|place| self.slot(*place).key() == key).expect("it was just written");
        self.slot(place).version.begin();
        place
    }
}

#[cfg(test)]
impl<const BUCKETS: usize> crate::atomics::Zeroed for Tokens<BUCKETS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Tokens { tags: Zeroed::zeroed(), slots: Zeroed::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for TokenSlot {
    fn zeroed() -> TokenSlot {
        use crate::atomics::Zeroed;
        TokenSlot {
            version: Zeroed::zeroed(),
            expires_at_s: Word::zeroed(),
            digest: Zeroed::zeroed(),
            reserved: Zeroed::zeroed(),
        }
    }
}
