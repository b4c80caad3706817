//! Verified tokens, shared by all workers: keyed BLAKE3-256 digest of a token -> who it speaks for.
//!
//! Writers: every worker, each entry under its own sequence word (see `entry`). Readers: every worker,
//! without waiting.
//! Torn state: an entry that is claimed, void or fails its checksum is a miss. A hit has the whole 256-bit
//! digest that was asked for, so that an identity can be missing but never another's. What a dead worker left
//! claimed is lost to the cache until `sweep`.
//!
//! A bucket's four sequence words and hints stand together on one line: a look-up touches that line and the
//! entry that matches; a sweep reads 4 MiB in one go and no entry at all.

use crate::atomics::Word;
use crate::entry::{self, Entry, Sequence};
use crate::layout::{Field, Structure};
use crate::words::{WorkerSlot, digest_words};

mod cached_token;

pub use cached_token::{CachedToken, PERMISSIONS_MAX, PermissionIds};

/// The cache: `BUCKETS` buckets (a power of two) of four entries; see the file's head.
#[repr(C, align(64))]
pub struct TokenCache<const BUCKETS: usize = 65_536> {
    buckets: [Bucket; BUCKETS],
    bodies: [[Entry<BODY_WORDS>; WAYS]; BUCKETS],
}

/// The line of a bucket.
#[repr(C, align(64))]
pub(crate) struct Bucket {
    sequences: [Word; WAYS],
    /// Upper half: seconds since 1970 when the token expires. Lower half: the digest's own bits, other than
    /// those that chose the bucket. Only a hint; the entry decides.
    hints: [Word; WAYS],
}

/// What became of a token that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// In a free place, in its own old one, or in that of an expired token.
    Stored,
    /// In the place of a token that was still good: the cache is too small for its users.
    Evicted,
    /// Nowhere, because the places of its bucket were all being written. The token will be verified again.
    Busy,
}

impl<const BUCKETS: usize> TokenCache<BUCKETS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "TokenCache",
        bytes: size_of::<Self>(),
        fields: &[
            Field("buckets", std::mem::offset_of!(Self, buckets), size_of::<[Bucket; BUCKETS]>()),
            Field(
                "bodies",
                std::mem::offset_of!(Self, bodies),
                size_of::<[[Entry<BODY_WORDS>; WAYS]; BUCKETS]>(),
            ),
        ],
    };

    /// What was stored for a token with this digest. Times, key and settings are not checked here: the caller
    /// does.
    #[inline]
    #[must_use]
    pub fn find(&self, digest: &[u8; 32]) -> Option<CachedToken> {
        let key = Key::new(digest);
        let (bucket, bodies) = self.bucket(key);
        let mut buffer = [0; BODY_WORDS];
        for ((sequence, hint), body) in bucket.sequences.iter().zip(&bucket.hints).zip(bodies) {
            // Partner: `publish` of the claim under which the entry was written.
            let seen = Sequence::new(sequence.observe());
            if hint.load() & HINT_DIGEST != key.hint() {
                continue;
            }
            let found = body.read(sequence, seen, &mut buffer).and_then(|value| value.split_first_chunk());
            if let Some((own, token)) = found
                && *own == key.0
                && let Some(token) = CachedToken::decode(token)
            {
                return Some(token);
            }
        }
        None
    }

    /// Stores a token in `slot`'s name at `now_s` (seconds since 1970): in its own place, a free one, an
    /// expired one's, or else in that of the one that expires first.
    pub fn store(&self, slot: WorkerSlot, digest: &[u8; 32], token: &CachedToken, now_s: i64) -> Placed {
        let key = Key::new(digest);
        let (bucket, bodies) = self.bucket(key);
        let mut value = [0; BODY_WORDS];
        let (own, rest) = value.split_first_chunk_mut().expect("an entry is longer than a digest");
        *own = key.0;
        let length = own.len() + token.encode(rest);

        let Some(place) = bucket.place(key, hint_seconds(now_s)) else { return Placed::Busy };
        let (sequence, body) = (&bucket.sequences[place.way], &bodies[place.way]);
        let Some(claim) = body.claim(sequence, place.seen, slot) else { return Placed::Busy };
        bucket.hints[place.way].store(hint_seconds(token.expires_at) << 32 | key.hint());
        claim.fill(&value[..length]);
        match claim.publish() {
            true if place.rank == Rank::Live => Placed::Evicted,
            true => Placed::Stored,
            false => Placed::Busy,
        }
    }

    /// Frees what `slot`'s worker was writing when it died, and says how many entries that were. Only after
    /// that worker has been reaped.
    pub fn sweep(&self, slot: WorkerSlot) -> usize {
        self.count_sequences(|sequence| entry::sweep(sequence, slot))
    }

    /// Entries that are being written, or that a dead worker left so.
    #[must_use]
    pub fn claimed_entries(&self) -> usize {
        self.count_sequences(|sequence| Sequence::new(sequence.load()).claimed())
    }

    fn count_sequences(&self, counts: impl Fn(&Word) -> bool) -> usize {
        let mut count = 0;
        for bucket in &self.buckets {
            for sequence in &bucket.sequences {
                count += usize::from(counts(sequence));
            }
        }
        count
    }

    fn bucket(&self, key: Key) -> (&Bucket, &[Entry<BODY_WORDS>; WAYS]) {
        const { assert!(BUCKETS.is_power_of_two()) };
        let index = usize::try_from(key.0[0] & (BUCKETS as u64 - 1)).expect("smaller than the table");
        (&self.buckets[index], &self.bodies[index])
    }
}

/// A digest as words.
#[derive(Clone, Copy)]
struct Key([u64; DIGEST_WORDS]);

impl Key {
    fn new(digest: &[u8; 32]) -> Key {
        Key(digest_words(digest))
    }

    fn hint(self) -> u64 {
        self.0[1] & HINT_DIGEST
    }
}

/// Where in its bucket a token goes.
struct Place {
    way: usize,
    seen: Sequence,
    rank: Rank,
}

/// What stands in a place, the one to give up first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The same token: never a second copy of it.
    Same,
    Vacant,
    Expired,
    Live,
}

impl Bucket {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Bucket",
        bytes: size_of::<Bucket>(),
        fields: &[
            Field("sequences", std::mem::offset_of!(Bucket, sequences), size_of::<[Word; WAYS]>()),
            Field("hints", std::mem::offset_of!(Bucket, hints), size_of::<[Word; WAYS]>()),
        ],
    };

    /// The place to give up, unless all are being written.
    fn place(&self, key: Key, now: u64) -> Option<Place> {
        let mut best: Option<(Rank, u64, Place)> = None;
        for (way, (sequence, hint)) in self.sequences.iter().zip(&self.hints).enumerate() {
            // Partner: `publish`, so that the hint belongs to what stands there.
            let seen = Sequence::new(sequence.observe());
            if seen.claimed() {
                continue;
            }
            let hint = hint.load();
            let expires = hint >> 32;
            let rank = match () {
                () if seen.vacant() => Rank::Vacant,
                () if hint & HINT_DIGEST == key.hint() => Rank::Same,
                () if expires <= now => Rank::Expired,
                () => Rank::Live,
            };
            if best.as_ref().is_none_or(|(other, at, _)| (rank, expires) < (*other, *at)) {
                best = Some((rank, expires, Place { way, seen, rank }));
            }
        }
        best.map(|(_, _, place)| place)
    }
}

/// Seconds since 1970 in 32 bits: until 2106.
fn hint_seconds(seconds: i64) -> u64 {
    u64::from(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

const WAYS: usize = 4;
const DIGEST_WORDS: usize = 4;
const HINT_DIGEST: u64 = 0xffff_ffff;

/// An entry is seven lines of 64 bytes, two words of which are its own.
pub(crate) const BODY_WORDS: usize = 54;
const _: () = assert!(DIGEST_WORDS + cached_token::WORDS_MAX <= BODY_WORDS);
#[cfg(not(loom))]
const _: () = assert!(size_of::<Entry<BODY_WORDS>>() == 7 * 64 && size_of::<Bucket>() == 64);

#[cfg(test)]
impl<const BUCKETS: usize> crate::atomics::Zeroed for TokenCache<BUCKETS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        TokenCache { buckets: Zeroed::zeroed(), bodies: Zeroed::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Bucket {
    fn zeroed() -> Bucket {
        use crate::atomics::Zeroed;
        Bucket { sequences: Zeroed::zeroed(), hints: Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
