//! A table of records under digests, of which any may be missing and none is ever another's.
//!
//! As in the token cache, a bucket's words stand together, and the four records stand apart; each is an
//! `Entry`, with its checksum, claimed in the supervisor's name. Beside each stands whose it is, so that all
//! records of a user or of a venue are found without reading one.

use crate::atomics::Word;
use crate::entry::{self, Entry, Sequence};
use crate::layout::{Field, Structure};
use crate::words::{WorkerSlot, digest_words};

/// A table of `BUCKETS` (a power of two) times four records of up to `WORDS` words, digest included.
#[repr(C, align(128))]
pub(crate) struct Shelf<const BUCKETS: usize, const WORDS: usize> {
    buckets: [ShelfBucket; BUCKETS],
    records: [[Entry<WORDS>; WAYS]; BUCKETS],
}

/// The words of a bucket.
#[repr(C, align(128))]
pub(crate) struct ShelfBucket {
    sequences: [Word; WAYS],
    /// Upper half: seconds since 1970 when the record expires. Lower half: bits of the digest. Only hints.
    hints: [Word; WAYS],
    /// Upper half: bits of the user's digest. Lower half: of the venue's. Two that are alike are forgotten
    /// together, which costs a look-up.
    owners: [Word; WAYS],
    reserved: [Word; WAYS],
}

/// A digest as words.
#[derive(Clone, Copy)]
pub(super) struct Key([u64; DIGEST_WORDS]);

/// Whose record it is.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    User(Key),
    Venue(Key),
}

/// A record that is to be stored.
pub(super) struct New<'a> {
    pub(super) key: Key,
    pub(super) user: Key,
    pub(super) venue: Option<Key>,
    pub(super) value: &'a [u64],
    pub(super) expires_at_s: u64,
}

/// What a record took the place of, the one to give up first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Same,
    Vacant,
    Expired,
    Live,
}

impl Key {
    pub(super) fn new(digest: &[u8; 32]) -> Key {
        Key(digest_words(digest))
    }

    fn hint(self) -> u64 {
        self.0[1] & HALF
    }

    fn owner_bits(self) -> u64 {
        self.0[2] & HALF
    }
}

impl<const BUCKETS: usize, const WORDS: usize> Shelf<BUCKETS, WORDS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Shelf",
        bytes: size_of::<Self>(),
        fields: &[
            Field("buckets", std::mem::offset_of!(Self, buckets), size_of::<[ShelfBucket; BUCKETS]>()),
            Field(
                "records",
                std::mem::offset_of!(Self, records),
                size_of::<[[Entry<WORDS>; WAYS]; BUCKETS]>(),
            ),
        ],
    };

    /// What `decode` makes of the record that was stored under the key.
    #[inline]
    pub(super) fn find<T>(&self, key: Key, decode: impl Fn(&[u64]) -> Option<T>) -> Option<T> {
        let (bucket, records) = self.bucket(key);
        let mut buffer = [0; WORDS];
        for ((sequence, hint), record) in bucket.sequences.iter().zip(&bucket.hints).zip(records) {
            // Partner: `publish` of the claim under which the record was written.
            let seen = Sequence::new(sequence.observe());
            if hint.load() & HALF != key.hint() {
                continue;
            }
            let found = record.read(sequence, seen, &mut buffer).and_then(|value| value.split_first_chunk());
            if let Some((own, value)) = found
                && *own == key.0
                && let Some(value) = decode(value)
            {
                return Some(value);
            }
        }
        None
    }

    /// Stores a record: in its own place, a free one, an expired one's, or else in that of the one that
    /// expires first. Under the writer's turn, so that every claim that is met is a dead supervisor's.
    pub(super) fn store(&self, new: &New<'_>, now_s: u64) -> Rank {
        let (bucket, records) = self.bucket(new.key);
        let mut value = [0; WORDS];
        let (own, rest) = value.split_first_chunk_mut().expect("a record is longer than a digest");
        *own = new.key.0;
        let rest = rest.get_mut(..new.value.len()).expect("the records of a shelf fit it");
        rest.copy_from_slice(new.value);

        for sequence in &bucket.sequences {
            entry::sweep(sequence, WorkerSlot::SUPERVISOR);
        }
        let (way, rank) = bucket.place(new.key, now_s);
        let sequence = &bucket.sequences[way];
        let seen = Sequence::new(sequence.observe());
        let claim = records[way].claim(sequence, seen, WorkerSlot::SUPERVISOR);
        let claim = claim.expect("the supervisor writes alone and has its turn");
        bucket.hints[way].store(new.expires_at_s << 32 | new.key.hint());
        let venue = new.venue.map_or(0, Key::owner_bits);
        bucket.owners[way].store(new.user.owner_bits() << 32 | venue);
        claim.fill(&value[..DIGEST_WORDS + new.value.len()]);
        let published = claim.publish();
        debug_assert!(published, "nobody sweeps while the supervisor writes");
        rank
    }

    /// Forgets all records of an owner, and says how many.
    pub(super) fn forget_owner(&self, owner: Owner) -> usize {
        self.forget(|owners| match owner {
            Owner::User(key) => owners >> 32 == key.owner_bits(),
            Owner::Venue(key) => owners & HALF == key.owner_bits(),
        })
    }

    pub(super) fn forget_all(&self) -> usize {
        self.forget(|_| true)
    }

    /// Frees what a dead supervisor was writing, and says how much that was.
    pub(super) fn repair(&self) -> usize {
        let sequences = self.buckets.iter().flat_map(|bucket| &bucket.sequences);
        sequences.filter(|sequence| entry::sweep(sequence, WorkerSlot::SUPERVISOR)).count()
    }

    fn forget(&self, wanted: impl Fn(u64) -> bool) -> usize {
        let ways = self.buckets.iter().flat_map(|bucket| bucket.sequences.iter().zip(&bucket.owners));
        ways.filter(|(_, owners)| wanted(owners.load()))
            .filter(|(sequence, _)| entry::discard(sequence))
            .count()
    }

    fn bucket(&self, key: Key) -> (&ShelfBucket, &[Entry<WORDS>; WAYS]) {
        const { assert!(BUCKETS.is_power_of_two()) };
        let index = usize::try_from(key.0[0] & (BUCKETS as u64 - 1)).expect("smaller than the table");
        (&self.buckets[index], &self.records[index])
    }
}

impl ShelfBucket {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "ShelfBucket",
        bytes: size_of::<ShelfBucket>(),
        fields: &[
            Field("sequences", std::mem::offset_of!(ShelfBucket, sequences), size_of::<[Word; WAYS]>()),
            Field("hints", std::mem::offset_of!(ShelfBucket, hints), size_of::<[Word; WAYS]>()),
            Field("owners", std::mem::offset_of!(ShelfBucket, owners), size_of::<[Word; WAYS]>()),
            Field("reserved", std::mem::offset_of!(ShelfBucket, reserved), size_of::<[Word; WAYS]>()),
        ],
    };

    /// The place to give up, and what stands there.
    fn place(&self, key: Key, now_s: u64) -> (usize, Rank) {
        let ranked = self.sequences.iter().zip(&self.hints).enumerate().map(|(way, (sequence, hint))| {
            let (seen, hint) = (Sequence::new(sequence.load()), hint.load());
            let expires_at_s = hint >> 32;
            let rank = match () {
                () if seen.vacant() => Rank::Vacant,
                () if hint & HALF == key.hint() => Rank::Same,
                () if expires_at_s <= now_s => Rank::Expired,
                () => Rank::Live,
            };
            (rank, expires_at_s, way)
        });
        let (rank, _, way) = ranked.min().expect("a bucket has places");
        (way, rank)
    }
}

const WAYS: usize = 4;
pub(super) const DIGEST_WORDS: usize = 4;
const HALF: u64 = 0xffff_ffff;

/// A death inside `store`.
#[cfg(all(test, not(loom)))]
impl<const BUCKETS: usize, const WORDS: usize> Shelf<BUCKETS, WORDS> {
    pub(super) fn tear(&self, key: Key) {
        let (bucket, records) = self.bucket(key);
        let (way, rank) = bucket.place(key, 0);
        assert!(rank == Rank::Same, "the key has a record");
        let sequence = &bucket.sequences[way];
        let seen = Sequence::new(sequence.observe());
        drop(records[way].claim(sequence, seen, WorkerSlot::SUPERVISOR).expect("nobody else writes"));
    }
}

#[cfg(test)]
impl<const BUCKETS: usize, const WORDS: usize> crate::atomics::Zeroed for Shelf<BUCKETS, WORDS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Shelf { buckets: Zeroed::zeroed(), records: Zeroed::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for ShelfBucket {
    fn zeroed() -> ShelfBucket {
        use crate::atomics::Zeroed;
        ShelfBucket {
            sequences: Zeroed::zeroed(),
            hints: Zeroed::zeroed(),
            owners: Zeroed::zeroed(),
            reserved: Zeroed::zeroed(),
        }
    }
}
