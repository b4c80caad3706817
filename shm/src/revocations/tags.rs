//! Where a digest may stand: two buckets that it chooses itself, and a tag for each place in them.
//!
//! A look-up reads the tags of both buckets, every one of them and never fewer, so that no place that was
//! freed can hide one behind it: there are no chains and no tombstones. A digest takes the emptier bucket and
//! never moves. Tags are hints: the slot behind one decides.

use crate::atomics::{Word, fence_loads};
use crate::layout::{Field, Structure};
use crate::words::digest_words;

/// The tags of a table of `BUCKETS` (a power of two) times `WAYS` places.
#[repr(C, align(64))]
pub(crate) struct Tags<const BUCKETS: usize> {
    lines: [TagLine; BUCKETS],
}

/// The tags of one bucket, two a word; zero where nothing stands.
#[repr(C, align(64))]
pub(crate) struct TagLine {
    words: [Word; TAG_WORDS],
}

/// A digest as words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u64; DIGEST_WORDS]);

#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) bucket: usize,
    pub(super) way: usize,
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    Live(T),
    Absent,
    /// A slot that may be the one is torn.
    Torn,
}

/// What stands in a place, as a writer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The key that is to be written, live or expired.
    Own,
    /// Nothing that anybody may still ask for.
    Free,
    /// Another key that is live.
    Taken,
}

impl Key {
    pub(super) fn new(digest: &[u8; 32]) -> Key {
        Key(digest_words(digest))
    }

    fn tag(self) -> u64 {
        (self.0[2] & TAG_MASK).max(1)
    }
}

impl<const BUCKETS: usize> Tags<BUCKETS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Tags",
        bytes: size_of::<Self>(),
        fields: &[Field("lines", std::mem::offset_of!(Self, lines), size_of::<[TagLine; BUCKETS]>())],
    };

    /// Looks at every place whose tag is the key's.
    #[inline]
    pub(super) fn find<T>(&self, key: Key, look: impl Fn(Place) -> Found<T>) -> Found<T> {
        let tag = key.tag();
        let mut result = Found::Absent;
        for bucket in homes::<BUCKETS>(key) {
            for (index, word) in self.lines[bucket].words.iter().enumerate() {
                let word = word.load();
                for (half, own) in [word & TAG_MASK, word >> TAG_BITS].into_iter().enumerate() {
                    if own != tag {
                        continue;
                    }
                    // The slot that is looked at is not older than its tag.
                    fence_loads();
                    match look(Place { bucket, way: index * TAGS_A_WORD + half }) {
                        Found::Live(value) => return Found::Live(value),
                        Found::Torn => result = Found::Torn,
                        Found::Absent => {}
                    }
                }
            }
        }
        result
    }

    /// The key's own place, or else a free one in the bucket that has more of them; nothing if all are taken.
    pub(super) fn choose(&self, key: Key, look: impl Fn(Place) -> Standing) -> Option<(Place, Standing)> {
        let mut best: Option<(usize, Place)> = None;
        for bucket in homes::<BUCKETS>(key) {
            let mut free = 0;
            let mut first = None;
            for place in (0..WAYS).map(|way| Place { bucket, way }) {
                match look(place) {
                    Standing::Own => return Some((place, Standing::Own)),
                    Standing::Free => {
                        free += 1;
                        first = first.or(Some(place));
                    }
                    Standing::Taken => {}
                }
            }
            if let Some(place) = first
                && best.is_none_or(|(most, _)| free > most)
            {
                best = Some((free, place));
            }
        }
        best.map(|(_, place)| (place, Standing::Free))
    }

    /// Shows readers that the key may stand in a place.
    pub(super) fn show(&self, place: Place, key: Key) {
        self.set(place, key.tag());
    }

    /// Hides a place from readers: they no longer look at it.
    pub(super) fn hide(&self, place: Place) {
        self.set(place, 0);
    }

    /// The places of a bucket that are shown.
    pub(super) fn shown(&self, bucket: usize) -> impl Iterator<Item = Place> {
        let places = (0..WAYS).map(move |way| Place { bucket, way });
        places.filter(|place| {
            let (word, shift) = self.word(*place);
            (word.load() >> shift) & TAG_MASK != 0
        })
    }

    /// By load and store: the supervisor alone writes, and holds its turn.
    fn set(&self, place: Place, tag: u64) {
        let (word, shift) = self.word(place);
        word.store(word.load() & !(TAG_MASK << shift) | tag << shift);
    }

    fn word(&self, place: Place) -> (&Word, usize) {
        let word = &self.lines[place.bucket].words[place.way / TAGS_A_WORD];
        (word, place.way % TAGS_A_WORD * TAG_BITS)
    }
}

impl TagLine {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "TagLine",
        bytes: size_of::<TagLine>(),
        fields: &[Field("words", std::mem::offset_of!(TagLine, words), size_of::<[Word; TAG_WORDS]>())],
    };
}

/// The buckets of a key: two, or one if it chose the same twice.
fn homes<const BUCKETS: usize>(key: Key) -> impl Iterator<Item = usize> {
    const { assert!(BUCKETS.is_power_of_two()) };
    let [first, second] = [key.0[0], key.0[1]].map(|word| {
        usize::try_from(word & (BUCKETS as u64 - 1)).expect("a bucket's number is below their count")
    });
    std::iter::once(first).chain((second != first).then_some(second))
}

/// Places of a bucket. A model has few, because loom tries every order in which they can be read.
pub(crate) const WAYS: usize = if cfg!(loom) { 2 } else { 16 };
pub(super) const DIGEST_WORDS: usize = 4;
const TAGS_A_WORD: usize = 2;
const TAG_WORDS: usize = WAYS / TAGS_A_WORD;
const TAG_BITS: usize = 32;
const TAG_MASK: u64 = 0xffff_ffff;
#[cfg(not(loom))]
const _: () = assert!(size_of::<TagLine>() == 64, "the tags of a bucket are one cache line");

#[cfg(test)]
impl<const BUCKETS: usize> crate::atomics::Zeroed for Tags<BUCKETS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Tags { lines: Zeroed::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for TagLine {
    fn zeroed() -> TagLine {
        use crate::atomics::Zeroed;
        TagLine { words: Zeroed::zeroed() }
    }
}
