//! Where everything stands in the two memfds: the two outermost structures, their header, and the hash that
//! changes when any name, place or size in them does.
//!
//! Writers: the supervisor that makes the region writes each header before anybody else can see it; nobody
//! after that.
//! Torn state: none, because a memfd is handed on only when its header is complete.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::access::{Access, LONG_WORDS, SHORT_WORDS, Shelf, ShelfBucket};
use crate::atomics::Word;
use crate::breakers::{Breaker, Breakers, Tally};
use crate::counters::{Counter, Counters, Histogram};
use crate::endpoints::{Endpoint, Endpoints};
use crate::entry::Entry;
use crate::journal::{Journal, Record};
use crate::names::{Name, Names};
use crate::readiness::Readiness;
use crate::revocations::{Bank, CutoffSlot, Cutoffs, Head, Revocations, TagLine, Tags, TokenSlot, Tokens};
use crate::token_cache::{BODY_WORDS, Bucket, TokenCache};
use crate::workers::WorkerBlock;
use crate::{SERVICES_MAX, SLOTS_MAX};

/// What only the supervisor decides. Workers map it read-only: every method that they may call loads and
/// never stores.
#[repr(C)]
pub struct Authority {
    pub(crate) header: Header,
    pub names: Names,
    pub readiness: Readiness,
    pub revocations: Revocations,
    pub access: Access,
}

/// What workers write: each its own block, and all of them the token
/// cache, the breakers and the endpoints, where the supervisor writes too.
#[repr(C)]
pub struct Shared {
    pub(crate) header: Header,
    pub workers: [WorkerBlock; SLOTS_MAX],
    pub counters: [Counters; SLOTS_MAX],
    /// Sums of the workers that are gone; written by the supervisor, which also keeps its own series here.
    pub cumulative: Counters,
    pub journals: [Journal; SLOTS_MAX],
    pub token_cache: TokenCache,
    pub breakers: Breakers,
    pub endpoints: Endpoints,
}

/// Permission to write the authority. One exists in each supervisor and none in a worker, so that a worker
/// that tries does not compile; the seal is what stops one that was taken over.
#[derive(Debug)]
pub struct AuthorityWriter {
    turn: Mutex<()>,
}

impl AuthorityWriter {
    pub(crate) fn new() -> AuthorityWriter {
        AuthorityWriter { turn: Mutex::new(()) }
    }

    /// Waits until no other thread of this supervisor writes a structure that has one writer. Never held
    /// across a process: it lives in private memory.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first bytes of each memfd.
#[repr(C, align(128))]
pub(crate) struct Header {
    magic: Word,
    layout: Word,
    bytes: Word,
    boot: [Word; 2],
    reserved: [Word; 11],
}

/// A random number that ties an authority to its shared half and names the region in logs. It lasts until the
/// region is made anew; a successor keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub(crate) [u64; 2]);

impl std::fmt::Display for BootId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}{:016x}", self.0[0], self.0[1])
    }
}

/// What a header says, as plain numbers: read before anything is mapped.
pub(crate) const HEADER_WORDS: usize = 5;

impl Header {
    pub(crate) fn words(magic: u64, bytes: usize, boot: BootId) -> [u64; HEADER_WORDS] {
        [magic, LAYOUT_HASH, bytes as u64, boot.0[0], boot.0[1]]
    }

    pub(crate) fn boot(&self) -> BootId {
        BootId([self.boot[0].load(), self.boot[1].load()])
    }
}

/// A structure of the region, as the layout hash sees it.
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    pub(crate) fields: &'static [Field],
}

/// A field: name, offset and size in bytes.
pub(crate) struct Field(pub(crate) &'static str, pub(crate) usize, pub(crate) usize);

/// Structures of the region, outermost first. A structure whose fields leave a gap does not compile.
const STRUCTURES: [Structure; 35] = [
    Structure { name: "Authority", bytes: size_of::<Authority>(), fields: AUTHORITY_FIELDS },
    Structure { name: "Shared", bytes: size_of::<Shared>(), fields: SHARED_FIELDS },
    Structure { name: "Header", bytes: size_of::<Header>(), fields: HEADER_FIELDS },
    Names::<4096, 8192>::STRUCTURE,
    Name::STRUCTURE,
    Readiness::STRUCTURE,
    Revocations::<8192, 4096>::STRUCTURE,
    Head::STRUCTURE,
    Tokens::<8192>::STRUCTURE,
    TokenSlot::STRUCTURE,
    Cutoffs::<4096>::STRUCTURE,
    CutoffSlot::STRUCTURE,
    Bank::STRUCTURE,
    Tags::<8192>::STRUCTURE,
    TagLine::STRUCTURE,
    Access::<16_384, 16_384, 8192, 1024>::STRUCTURE,
    Shelf::<16_384, SHORT_WORDS>::STRUCTURE,
    Shelf::<16_384, LONG_WORDS>::STRUCTURE,
    Shelf::<1024, LONG_WORDS>::STRUCTURE,
    ShelfBucket::STRUCTURE,
    Entry::<SHORT_WORDS>::STRUCTURE,
    Entry::<LONG_WORDS>::STRUCTURE,
    WorkerBlock::STRUCTURE,
    Counters::<8192, 2048>::STRUCTURE,
    Counter::STRUCTURE,
    Histogram::STRUCTURE,
    Journal::<4096, 126>::STRUCTURE,
    Record::<126>::STRUCTURE,
    TokenCache::<65_536>::STRUCTURE,
    Entry::<BODY_WORDS>::STRUCTURE,
    Breakers::<SERVICES_MAX>::STRUCTURE,
    Breaker::STRUCTURE,
    Tally::STRUCTURE,
    Endpoints::<1024>::STRUCTURE,
    Endpoint::STRUCTURE,
];

/// Differs between any two builds that would read each other's memory wrongly: FNV-1a over the names, offsets
/// and sizes of all fields, and over `MEANING`.
pub const LAYOUT_HASH: u64 = {
    let mut hash = fold_number(0xcbf2_9ce4_8422_2325, MEANING);
    let mut index = 0;
    while index < STRUCTURES.len() {
        hash = fold_structure(hash, &STRUCTURES[index]);
        index += 1;
    }
    fold_structure(hash, &Bucket::STRUCTURE)
};

/// Counts changes of meaning that leave every name and size as it was, such as a new order of an enum's
/// values.
const MEANING: usize = 1;

const fn fold_structure(hash: u64, structure: &Structure) -> u64 {
    let mut hash = fold_number(fold_text(hash, structure.name), structure.bytes);
    let mut index = 0;
    while index < structure.fields.len() {
        let Field(name, offset, bytes) = structure.fields[index];
        hash = fold_number(fold_number(fold_text(hash, name), offset), bytes);
        index += 1;
    }
    hash
}

const fn fold_text(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    // The length ends the text, so that no two lists of names run into each other.
    fold_number(hash, bytes.len())
}

const fn fold_number(mut hash: u64, number: usize) -> u64 {
    let bytes = (number as u64).to_le_bytes();
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}

/// Whether the fields follow each other from the first byte to the last: no padding, and none left out of the
/// table.
const fn gapless(structure: &Structure) -> bool {
    let mut end = 0;
    let mut index = 0;
    while index < structure.fields.len() {
        let Field(_, offset, bytes) = structure.fields[index];
        if offset != end {
            return false;
        }
        end += bytes;
        index += 1;
    }
    end == structure.bytes
}

#[cfg(not(loom))]
const _: () = {
    let mut index = 0;
    while index < STRUCTURES.len() {
        assert!(gapless(&STRUCTURES[index]), "a structure has padding, or a field that its table leaves out");
        index += 1;
    }
    assert!(gapless(&Bucket::STRUCTURE));
    assert!(size_of::<Word>() == 8 && align_of::<Word>() == 8);
    // A mapping starts at a page, so that every alignment up to one is met.
    assert!(align_of::<Authority>() <= 4096 && align_of::<Shared>() <= 4096);
};

const HEADER_FIELDS: &[Field] = &[
    Field("magic", std::mem::offset_of!(Header, magic), size_of::<Word>()),
    Field("layout", std::mem::offset_of!(Header, layout), size_of::<Word>()),
    Field("bytes", std::mem::offset_of!(Header, bytes), size_of::<Word>()),
    Field("boot", std::mem::offset_of!(Header, boot), size_of::<[Word; 2]>()),
    Field("reserved", std::mem::offset_of!(Header, reserved), size_of::<[Word; 11]>()),
];

const AUTHORITY_FIELDS: &[Field] = &[
    Field("header", std::mem::offset_of!(Authority, header), size_of::<Header>()),
    Field("names", std::mem::offset_of!(Authority, names), size_of::<Names>()),
    Field("readiness", std::mem::offset_of!(Authority, readiness), size_of::<Readiness>()),
    Field("revocations", std::mem::offset_of!(Authority, revocations), size_of::<Revocations>()),
    Field("access", std::mem::offset_of!(Authority, access), size_of::<Access>()),
];

const SHARED_FIELDS: &[Field] = &[
    Field("header", std::mem::offset_of!(Shared, header), size_of::<Header>()),
    Field("workers", std::mem::offset_of!(Shared, workers), size_of::<[WorkerBlock; SLOTS_MAX]>()),
    Field("counters", std::mem::offset_of!(Shared, counters), size_of::<[Counters; SLOTS_MAX]>()),
    Field("cumulative", std::mem::offset_of!(Shared, cumulative), size_of::<Counters>()),
    Field("journals", std::mem::offset_of!(Shared, journals), size_of::<[Journal; SLOTS_MAX]>()),
    Field("token_cache", std::mem::offset_of!(Shared, token_cache), size_of::<TokenCache>()),
    Field("breakers", std::mem::offset_of!(Shared, breakers), size_of::<Breakers>()),
    Field("endpoints", std::mem::offset_of!(Shared, endpoints), size_of::<Endpoints>()),
];

#[cfg(all(test, not(loom)))]
mod tests;
