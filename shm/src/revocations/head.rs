//! What is known about the mirror as a whole: whether it is complete, how old it is, and where the event
//! stream goes on.
//!
//! Torn state: none. Each word stands for itself, but for the stream's position, which has two copies and a
//! word that says which of them counts.

use crate::atomics::{Word, fence_stores};
use crate::layout::{Field, Structure};

#[repr(C, align(128))]
pub(crate) struct Head {
    generation: Word,
    completeness: Word,
    synced_at_ms: Word,
    digest_key: Word,
    /// Zero if nothing was applied yet; else its lowest bit says which copy counts.
    applied_version: Word,
    applied: [[Word; 2]; 2],
    reserved: [Word; 7],
}

/// How far the mirror can be believed when it knows nothing of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Nothing was ever read into it: the node's policy for a cold start decides.
    NeverSynced,
    /// It was complete once and may lack something since: stale. The route's policy decides.
    Syncing,
    /// All that the stream and the durable keys said up to `synced_at_ms` is in it.
    Complete,
    /// Revocations found no place: whatever is not found is `Unsure`. Raise an alarm.
    Overflowing,
}

/// The id of an entry of the event stream: `<ms>-<seq>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl Head {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Head",
        bytes: size_of::<Head>(),
        fields: &[
            Field("generation", std::mem::offset_of!(Head, generation), size_of::<Word>()),
            Field("completeness", std::mem::offset_of!(Head, completeness), size_of::<Word>()),
            Field("synced_at_ms", std::mem::offset_of!(Head, synced_at_ms), size_of::<Word>()),
            Field("digest_key", std::mem::offset_of!(Head, digest_key), size_of::<Word>()),
            Field("applied_version", std::mem::offset_of!(Head, applied_version), size_of::<Word>()),
            Field("applied", std::mem::offset_of!(Head, applied), size_of::<[[Word; 2]; 2]>()),
            Field("reserved", std::mem::offset_of!(Head, reserved), size_of::<[Word; 7]>()),
        ],
    };

    pub(super) fn generation(&self) -> u64 {
        // Partner: `bump`. Who sees a generation sees all that led to it.
        self.generation.observe()
    }

    /// After a change, and before it is acknowledged.
    pub(super) fn bump(&self) {
        // Partner: `generation`.
        self.generation.publish(self.generation.load().wrapping_add(1));
    }

    pub(super) fn completeness(&self) -> Completeness {
        // Partner: `set_completeness`. Who sees that the mirror is complete sees what made it so.
        let Parts { state, lost_before, lost_since } = Parts::of(self.completeness.observe());
        match state {
            _ if lost_before + lost_since > 0 => Completeness::Overflowing,
            SYNCING => Completeness::Syncing,
            COMPLETE => Completeness::Complete,
            _ => Completeness::NeverSynced,
        }
    }

    /// Revocations that found no place and are not yet known to have been read again.
    pub(super) fn lost(&self) -> u64 {
        let Parts { lost_before, lost_since, .. } = Parts::of(self.completeness.load());
        lost_before + lost_since
    }

    pub(super) fn lose(&self) {
        let mut parts = Parts::of(self.completeness.load());
        parts.lost_since += 1;
        self.set_completeness(parts);
    }

    /// From here on the mirror is stale. What was lost so far stays counted until the snapshot is whole.
    pub(super) fn begin_sync(&self) {
        let Parts { state, lost_before, lost_since } = Parts::of(self.completeness.load()).turned(SYNCING);
        self.set_completeness(Parts { state, lost_before: lost_before + lost_since, lost_since: 0 });
    }

    /// The store cannot be read: the mirror may lack what comes meanwhile.
    pub(super) fn fall_behind(&self) {
        self.set_completeness(Parts::of(self.completeness.load()).turned(SYNCING));
    }

    /// Everything since `fall_behind` has been read in order. What found no place before has not found one by that.
    pub(super) fn catch_up(&self) {
        self.set_completeness(Parts::of(self.completeness.load()).turned(COMPLETE));
    }

    /// All durable keys have been read since `begin_sync`: what was lost before has been tried again.
    pub(super) fn end_sync(&self) {
        let parts = Parts::of(self.completeness.load());
        self.set_completeness(Parts { state: COMPLETE, lost_before: 0, ..parts });
    }

    /// As if nothing had ever been read.
    pub(super) fn forget(&self) {
        self.set_completeness(Parts { state: NEVER, lost_before: 0, lost_since: 0 });
        self.synced_at_ms.store(0);
        self.applied_version.store(0);
    }

    pub(super) fn synced_at_ms(&self) -> Option<u64> {
        Some(self.synced_at_ms.load()).filter(|at_ms| *at_ms != 0)
    }

    pub(super) fn set_synced_at_ms(&self, at_ms: u64) {
        self.synced_at_ms.store(at_ms);
    }

    pub(super) fn digest_key(&self) -> u64 {
        self.digest_key.load()
    }

    pub(super) fn set_digest_key(&self, digest_key: u64) {
        self.digest_key.store(digest_key);
    }

    /// Only under the writer's turn: it compares nothing and waits for nobody.
    pub(super) fn last_applied(&self) -> Option<StreamId> {
        let version = self.applied_version.load();
        let [ms, seq] = &self.applied[usize::from(version & 1 == 1)];
        (version != 0).then(|| StreamId { ms: ms.load(), seq: seq.load() })
    }

    pub(super) fn set_last_applied(&self, id: StreamId) {
        let version = match self.applied_version.load().wrapping_add(1) {
            0 => 2,
            version => version,
        };
        let [ms, seq] = &self.applied[usize::from(version & 1 == 1)];
        ms.store(id.ms);
        seq.store(id.seq);
        // A process that dies executes no store of those that follow; this keeps the compiler to that order.
        fence_stores();
        self.applied_version.store(version);
    }

    fn set_completeness(&self, parts: Parts) {
        // Partner: `completeness`.
        self.completeness.publish(parts.word());
    }
}

/// The word of completeness. One word, so that no reader ever sees a complete mirror without what it lost.
#[derive(Clone, Copy)]
struct Parts {
    state: u64,
    /// Lost before the snapshot that is being read.
    lost_before: u64,
    lost_since: u64,
}

impl Parts {
    fn of(word: u64) -> Parts {
        Parts {
            state: word & STATE_MASK,
            lost_before: (word >> BEFORE_SHIFT) & LOST_MAX,
            lost_since: word >> SINCE_SHIFT,
        }
    }

    /// In another state, unless nothing was ever read.
    fn turned(self, state: u64) -> Parts {
        Parts { state: if self.state == NEVER { NEVER } else { state }, ..self }
    }

    fn word(self) -> u64 {
        self.lost_since.min(LOST_MAX) << SINCE_SHIFT
            | self.lost_before.min(LOST_MAX) << BEFORE_SHIFT
            | self.state
    }
}

const NEVER: u64 = 0;
const SYNCING: u64 = 1;
const COMPLETE: u64 = 2;
const STATE_MASK: u64 = 0b11;
const LOST_MAX: u64 = (1 << 31) - 1;
const BEFORE_SHIFT: u32 = 2;
const SINCE_SHIFT: u32 = 33;

#[cfg(all(test, not(loom)))]
impl Head {
    /// Both copies of the position, whichever counts.
    pub(super) fn positions(&self) -> [StreamId; 2] {
        self.applied.each_ref().map(|[ms, seq]| StreamId { ms: ms.load(), seq: seq.load() })
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Head {
    fn zeroed() -> Head {
        use crate::atomics::Zeroed;
        Head {
            generation: Word::zeroed(),
            completeness: Word::zeroed(),
            synced_at_ms: Word::zeroed(),
            digest_key: Word::zeroed(),
            applied_version: Word::zeroed(),
            applied: Zeroed::zeroed(),
            reserved: Zeroed::zeroed(),
        }
    }
}
