//! One value under a sequence word that names its writer: what a table of identities is made of.
//!
//! Writers: any worker, or in the authority the supervisor, that claims the sequence word by compare-and-swap
//! from a free value. Readers: everybody, without waiting. The sequence word is odd while a writer is at work
//! and carries the number of the writer's slot; every claim uses a new version, so that no value of it ever
//! comes twice.
//! Torn state: a dead writer leaves the word odd, and the entry is a miss for readers and is passed over by
//! writers until `sweep` voids the claim, after the writer has been reaped. A reader that ran beside a writer
//! finds the word changed, and the checksum over sequence and value stands behind that: torn, foreign or
//! changed is a miss.

use crate::atomics::{Word, fence_loads, fence_stores};
use crate::layout::{Field, Structure};
use crate::words::{WorkerSlot, checksum};

/// Room for a value of up to `WORDS` words.
#[repr(C, align(64))]
pub(crate) struct Entry<const WORDS: usize> {
    checksum: Word,
    length: Word,
    words: [Word; WORDS],
}

/// A value of a sequence word. Bit 0: claimed. Bits 1 to 7: the owner's slot. From bit 8 on: the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) fn new(word: u64) -> Sequence {
        Sequence(word)
    }

    /// A writer is at work, or died at it.
    pub(crate) fn claimed(self) -> bool {
        self.0 & 1 == 1
    }

    /// Never written, or voided after a death.
    pub(crate) fn vacant(self) -> bool {
        self.0 == 0 || self.0 & 0xff == VOID << 1
    }

    pub(crate) fn claimed_by(self, slot: WorkerSlot) -> bool {
        self.0 & 0xff == slot.word() << 1 | 1
    }

    fn claim(self, slot: WorkerSlot) -> Sequence {
        Sequence(self.next_version() | slot.word() << 1 | 1)
    }

    fn published(self) -> Sequence {
        Sequence(self.0 & !1)
    }

    fn voided(self) -> Sequence {
        Sequence(self.next_version() | VOID << 1)
    }

    fn next_version(self) -> u64 {
        (self.0 & !0xff).wrapping_add(1 << 8)
    }
}

/// The right to write one entry, from `claim` to `publish`. Dropping it is what a death does: the entry stays
/// claimed.
#[must_use]
pub(crate) struct Claim<'a, const WORDS: usize> {
    entry: &'a Entry<WORDS>,
    sequence: &'a Word,
    claimed: Sequence,
}

impl<const WORDS: usize> Entry<WORDS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Entry",
        bytes: size_of::<Self>(),
        fields: &[
            Field("checksum", std::mem::offset_of!(Self, checksum), size_of::<Word>()),
            Field("length", std::mem::offset_of!(Self, length), size_of::<Word>()),
            Field("words", std::mem::offset_of!(Self, words), size_of::<[Word; WORDS]>()),
        ],
    };

    /// Claims the entry whose sequence word was `seen`, or nothing if somebody else was faster or is at work.
    pub(crate) fn claim<'a>(
        &'a self,
        sequence: &'a Word,
        seen: Sequence,
        slot: WorkerSlot,
    ) -> Option<Claim<'a, WORDS>> {
        let claimed = seen.claim(slot);
        if seen.claimed() || !sequence.exchange(seen.0, claimed.0) {
            return None;
        }
        // Partner: `fence_loads` in `read`. A reader that sees any word stored from here on also sees the
        // claim.
        fence_stores();
        Some(Claim { entry: self, sequence, claimed })
    }

    /// The value that was published under `seen`, in the front of `buffer`; nothing if it is torn, foreign or
    /// changed. Takes the same number of steps whatever others do.
    #[inline]
    pub(crate) fn read<'b>(
        &self,
        sequence: &Word,
        seen: Sequence,
        buffer: &'b mut [u64; WORDS],
    ) -> Option<&'b [u64]> {
        if seen.claimed() || seen.vacant() {
            return None;
        }
        let length = usize::try_from(self.length.load()).ok()?;
        let value = buffer.get_mut(..length)?;
        for (word, own) in value.iter_mut().zip(&self.words) {
            *word = own.load();
        }
        let sum = self.checksum.load();
        // Partner: `fence_stores` in `claim`. If a word of a later writer was seen above, its claim is seen
        // below.
        fence_loads();
        if sequence.load() != seen.0 || checksum(seen.0, value) != sum {
            return None;
        }
        Some(value)
    }
}

impl<const WORDS: usize> Claim<'_, WORDS> {
    /// Writes the value. Words beyond `WORDS` would be lost, so that a longer value is an error of the
    /// caller's.
    pub(crate) fn fill(&self, value: &[u64]) {
        debug_assert!(value.len() <= WORDS, "a value fits its entry");
        for (word, own) in value.iter().zip(&self.entry.words) {
            own.store(*word);
        }
        self.entry.length.store(value.len() as u64);
        self.entry.checksum.store(checksum(self.claimed.published().0, value));
    }

    /// Shows the value to readers. False if the claim was swept meanwhile, which is only done to the dead:
    /// then nothing is shown.
    pub(crate) fn publish(self) -> bool {
        // Partner: the first look at the sequence word by a reader (`observe`).
        self.sequence.exchange(self.claimed.0, self.claimed.published().0)
    }
}

/// Frees an entry that `slot`'s dead worker left claimed, and says whether there was one.
pub(crate) fn sweep(sequence: &Word, slot: WorkerSlot) -> bool {
    let seen = Sequence(sequence.load());
    seen.claimed_by(slot) && sequence.exchange(seen.0, seen.voided().0)
}

/// Takes a value back that nobody is writing, and says whether there was one: readers miss it from now on.
pub(crate) fn discard(sequence: &Word) -> bool {
    let seen = Sequence(sequence.load());
    !seen.claimed() && !seen.vacant() && sequence.exchange(seen.0, seen.voided().0)
}

/// The slot number of nobody: an entry that was taken back from a dead writer.
const VOID: u64 = 127;

#[cfg(test)]
impl<const WORDS: usize> crate::atomics::Zeroed for Entry<WORDS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Entry { checksum: Word::zeroed(), length: Word::zeroed(), words: Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
