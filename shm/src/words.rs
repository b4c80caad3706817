//! What is written into words: worker slots, bounded texts, checksums. Plain values, nothing shared.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Most live workers of one node, generations that overlap in a reload included.
pub const SLOTS_MAX: usize = 64;

/// The number of the slot that a live worker owns: which block, journal and counters are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerSlot(u8);

impl WorkerSlot {
    /// In whose name the supervisor claims entries of the authority. It owns no block.
    pub(crate) const SUPERVISOR: WorkerSlot = WorkerSlot(126);

    /// `None` from `SLOTS_MAX` on.
    #[must_use]
    pub fn new(index: usize) -> Option<WorkerSlot> {
        u8::try_from(index).ok().filter(|_| index < SLOTS_MAX).map(WorkerSlot)
    }

    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn word(self) -> u64 {
        u64::from(self.0)
    }
}

/// Text of at most `N` bytes (`N` up to 248, a multiple of eight), stored in place.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    const FITS: () = assert!(N <= 248 && N.is_multiple_of(WORD_BYTES));

    /// The text, or `None` if it is longer than `N` bytes. Nothing is ever cut.
    #[must_use]
    pub fn new(text: &str) -> Option<Text<N>> {
        let () = Self::FITS;
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Text { length: u8::try_from(text.len()).ok()?, bytes })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("both ways to make a text check that it is UTF-8")
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The words that hold the text, the last one filled up with zeros.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.bytes[..words_for(self.len()) * WORD_BYTES].chunks_exact(WORD_BYTES).map(word)
    }

    /// Reads a text of `length` bytes from the front of `words` and moves `words` behind it. `None` if that
    /// is not what stands there: too long, too short or not UTF-8.
    pub(crate) fn take(length: u8, words: &mut &[u64]) -> Option<Text<N>> {
        let () = Self::FITS;
        let (own, rest) = words.split_at_checked(words_for(usize::from(length)))?;
        let mut text = Text { length, bytes: [0; N] };
        let target = text.bytes.get_mut(..own.len() * WORD_BYTES)?;
        for (bytes, word) in target.chunks_exact_mut(WORD_BYTES).zip(own) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        // The rest of the last word is zero in every text that was written here, and comparison relies on it.
        if target[usize::from(length)..].iter().any(|byte| *byte != 0) {
            return None;
        }
        std::str::from_utf8(text.as_bytes()).ok()?;
        *words = rest;
        Some(text)
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Text<N>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> std::fmt::Debug for Text<N> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.as_str())
    }
}

/// A 64-bit checksum that tells finished values from torn ones. It is no protection against a worker that
/// lies: the key is public.
#[inline]
pub(crate) fn checksum(seed: u64, words: &[u64]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed, CHECKSUM_KEY);
    for word in words {
        hasher.write_u64(*word);
    }
    hasher.finish()
}

/// Spreads a key over all bits (the finaliser of SplitMix64).
pub(crate) const fn mix(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

/// Words that hold `bytes` bytes.
pub(crate) const fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(WORD_BYTES)
}

/// A 256-bit digest as words.
#[inline]
pub(crate) fn digest_words(digest: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Up to eight bytes as one little-endian word.
pub(crate) fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD_BYTES];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

const WORD_BYTES: usize = 8;

/// Any constant will do: it only has to be the same in every process.
const CHECKSUM_KEY: u64 = 0x466c_6f6f_6467_6174;

#[cfg(all(test, not(loom)))]
mod tests;
