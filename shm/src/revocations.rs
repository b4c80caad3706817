//! The node's mirror of what was revoked: tokens until they expire, and a `not_before` a user and a tenant
//! (platform contract, section 4).
//!
//! Writer: the supervisor, through its `AuthorityWriter`. Readers: workers, read-only and without waiting:
//! they load a bounded number of words and store none.
//! Torn state: a slot whose version is odd. Whoever asks for the digest that was being written there is told
//! `Unsure`, never that nothing is known; nobody else looks at it. No live entry is ever torn: it changes in
//! one word, or in a bank that does not count yet. So whatever was acknowledged before a death is still
//! found, and `repair` by the next supervisor empties what is torn and makes the mirror stale.
//! Full: an entry that finds no place is counted, and until a whole snapshot has been read again, whatever is
//! not found is `Unsure`.
//!
//! An entry is acknowledged when the method that records it returns. The order for an event of the stream is:
//! record, then `set_last_applied`; a death in between applies it twice, which changes nothing.
//! Digests are 256 bits and keyed, and the key must outlast the supervisor: `repair` empties a mirror that
//! was made under another one.

use crate::layout::{AuthorityWriter, Field, Structure};

mod version;
mod tags;
mod cutoff;
mod tokens;
mod cutoffs;
mod head;
mod verdict;

pub use cutoff::Cutoff;
pub use head::{Completeness, StreamId};
pub use verdict::{Cause, Presented, Verdict};

pub(crate) use cutoffs::{Bank, CutoffSlot, Cutoffs};
pub(crate) use head::Head;
pub(crate) use tags::{TagLine, Tags};
pub(crate) use tokens::{TokenSlot, Tokens};

use cutoffs::ScopedKey;
use tags::{Found, Key};

/// The mirror: `TOKEN_BUCKETS` and `CUTOFF_BUCKETS` (powers of two) of 16 places each; see the file's head.
#[repr(C, align(128))]
pub struct Revocations<
    const TOKEN_BUCKETS: usize = { TOKENS_MAX / tags::WAYS },
    const CUTOFF_BUCKETS: usize = { CUTOFFS_MAX / tags::WAYS },
> {
    head: Head,
    tokens: Tokens<TOKEN_BUCKETS>,
    cutoffs: Cutoffs<CUTOFF_BUCKETS>,
}

/// Places for revoked tokens. The first one that finds no place comes when about 85 % are taken.
pub const TOKENS_MAX: usize = 131_072;
/// Places for users and tenants with a `not_before`.
pub const CUTOFFS_MAX: usize = 65_536;

/// What a `not_before` is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    User = 1,
    Tenant,
}

/// What a worker is told about a user or a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotBefore {
    Unlimited,
    Since(Cutoff),
    /// As `Verdict::Unsure`.
    Unsure,
}

/// What became of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Inserted,
    /// It was there and now lasts longer or revokes more.
    Extended,
    /// It was there, and all that it says.
    AlreadyThere,
    /// Its own expiry has passed, so that there is nothing to record.
    Expired,
    /// It found no place. It is counted: the mirror fails closed until a snapshot has been read again.
    Full,
}

/// Entries that a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub tokens_freed: usize,
    pub tokens_kept: usize,
    pub cutoffs_freed: usize,
    pub cutoffs_kept: usize,
}

/// How full the mirror is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub tokens: usize,
    pub cutoffs: usize,
}

/// What `repair` had to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// The mirror goes on from `last_applied`; so many slots were torn. If any was, it is stale.
    Kept { torn: usize },
    /// It was made under another digest key, or never: it is empty and `NeverSynced`.
    Emptied,
}

impl<const TOKEN_BUCKETS: usize, const CUTOFF_BUCKETS: usize> Revocations<TOKEN_BUCKETS, CUTOFF_BUCKETS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Revocations",
        bytes: size_of::<Self>(),
        fields: &[
            Field("head", std::mem::offset_of!(Self, head), size_of::<Head>()),
            Field("tokens", std::mem::offset_of!(Self, tokens), size_of::<Tokens<TOKEN_BUCKETS>>()),
            Field("cutoffs", std::mem::offset_of!(Self, cutoffs), size_of::<Cutoffs<CUTOFF_BUCKETS>>()),
        ],
    };

    /// All that the mirror says about a token at `now_s`, seconds since 1970.
    #[must_use]
    pub fn verdict(&self, presented: &Presented<'_>, now_s: i64) -> Verdict {
        let by = |scope, digest, cause| {
            let (found, sure) = self.cutoff(scope, digest, now_s);
            match found {
                Found::Live(cutoff) if cutoff.revokes(presented.issued_at_s, presented.jti) => {
                    Verdict::Revoked(cause)
                }
                Found::Live(_) | Found::Absent if sure => Verdict::Clear,
                Found::Live(_) | Found::Absent | Found::Torn => Verdict::Unsure,
            }
        };
        self.token(presented.token, now_s)
            .or(|| by(Scope::User, presented.user, Cause::User))
            .or(|| by(Scope::Tenant, presented.tenant, Cause::Tenant))
    }

    /// Whether a token is listed, by the digest of its `jti` or of itself.
    #[inline]
    #[must_use]
    pub fn token(&self, digest: &[u8; 32], now_s: i64) -> Verdict {
        // Before the look: an entry that was lost and has found a place since is found then.
        let completeness = self.head.completeness();
        match self.tokens.find(Key::new(digest), seconds(now_s)) {
            Found::Live(()) => Verdict::Revoked(Cause::Token),
            Found::Torn => Verdict::Unsure,
            Found::Absent if completeness == Completeness::Overflowing => Verdict::Unsure,
            Found::Absent => Verdict::Clear,
        }
    }

    /// The cut-off of a user (digest of tenant and subject) or a tenant (digest of it).
    #[inline]
    #[must_use]
    pub fn not_before(&self, scope: Scope, digest: &[u8; 32], now_s: i64) -> NotBefore {
        match self.cutoff(scope, digest, now_s) {
            (Found::Live(cutoff), true) => NotBefore::Since(cutoff),
            (Found::Absent, true) => NotBefore::Unlimited,
            _ => NotBefore::Unsure,
        }
    }

    /// A number that is another one after every change. Who remembers an answer remembers the generation that
    /// was read before it, and may use it while that stays; time alone only turns revoked into clear.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.head.generation()
    }

    #[must_use]
    pub fn completeness(&self) -> Completeness {
        self.head.completeness()
    }

    /// Revocations that found no place and have not been read again.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.head.lost()
    }

    /// Milliseconds since 1970 of the last successful read of the event stream; the mirror's age counts from
    /// it.
    #[must_use]
    pub fn synced_at_ms(&self) -> Option<u64> {
        self.head.synced_at_ms()
    }

    /// A read of the event stream succeeded, one that brought nothing included.
    pub fn set_synced_at_ms(&self, _writer: &AuthorityWriter, at_ms: u64) {
        self.head.set_synced_at_ms(at_ms);
    }

    /// Revokes a token until `expires_at_s`, at `now_s`.
    pub fn revoke_token(
        &self,
        writer: &AuthorityWriter,
        digest: &[u8; 32],
        expires_at_s: i64,
        now_s: i64,
    ) -> Recorded {
        let _turn = writer.turn();
        self.acknowledge(self.tokens.record(Key::new(digest), seconds(expires_at_s), seconds(now_s)))
    }

    /// Adds a cut-off to what is known of a user or tenant, until `expires_at_s`, at `now_s`. Nothing that was
    /// revoked before is valid after it.
    pub fn raise_not_before(
        &self,
        writer: &AuthorityWriter,
        (scope, digest): (Scope, &[u8; 32]),
        cutoff: Cutoff,
        expires_at_s: i64,
        now_s: i64,
    ) -> Recorded {
        let _turn = writer.turn();
        let key = ScopedKey { scope, key: Key::new(digest) };
        self.acknowledge(self.cutoffs.record(key, cutoff, seconds(expires_at_s), seconds(now_s)))
    }

    /// The mirror may lack something: a snapshot is to be read. A gap in the stream was seen, or nothing was
    /// ever read.
    pub fn begin_sync(&self, writer: &AuthorityWriter) {
        let _turn = writer.turn();
        self.head.begin_sync();
        self.head.bump();
    }

    /// All durable keys have been read and recorded since the last `begin_sync`.
    pub fn end_sync(&self, writer: &AuthorityWriter, at_ms: u64) {
        let _turn = writer.turn();
        self.head.set_synced_at_ms(at_ms);
        self.head.end_sync();
        self.head.bump();
    }

    /// The store cannot be read: the mirror may lack what comes meanwhile.
    pub fn fall_behind(&self, writer: &AuthorityWriter) {
        let _turn = writer.turn();
        self.head.fall_behind();
        self.head.bump();
    }

    /// What came since [`Revocations::fall_behind`] has been read without a gap. Unlike [`Revocations::end_sync`] it
    /// says nothing of what was lost before: that was not read again.
    pub fn catch_up(&self, writer: &AuthorityWriter, at_ms: u64) {
        let _turn = writer.turn();
        self.head.set_synced_at_ms(at_ms);
        self.head.catch_up();
        self.head.bump();
    }

    /// The last event that was applied, by this supervisor or the one before. Both words are of one event.
    #[must_use]
    pub fn last_applied(&self, writer: &AuthorityWriter) -> Option<StreamId> {
        let _turn = writer.turn();
        self.head.last_applied()
    }

    /// An event was applied, and all before it.
    pub fn set_last_applied(&self, writer: &AuthorityWriter, id: StreamId) {
        let _turn = writer.turn();
        self.head.set_last_applied(id);
    }

    /// Places taken, those of expired entries that no sweep has freed yet included.
    #[must_use]
    pub fn taken(&self) -> Taken {
        Taken {
            tokens: (0..TOKEN_BUCKETS).map(|bucket| self.tokens.shown(bucket).count()).sum(),
            cutoffs: (0..CUTOFF_BUCKETS).map(|bucket| self.cutoffs.shown(bucket).count()).sum(),
        }
    }

    /// Frees what has expired at `now_s`. Changes no answer, and holds the writer's turn a bucket at a time.
    pub fn sweep(&self, writer: &AuthorityWriter, now_s: i64) -> Swept {
        let now_s = seconds(now_s);
        let mut swept = Swept::default();
        for bucket in 0..TOKEN_BUCKETS {
            let _turn = writer.turn();
            let (freed, kept) = self.tokens.sweep(bucket, now_s);
            swept.tokens_freed += freed;
            swept.tokens_kept += kept;
        }
        for bucket in 0..CUTOFF_BUCKETS {
            let _turn = writer.turn();
            let (freed, kept) = self.cutoffs.sweep(bucket, now_s);
            swept.cutoffs_freed += freed;
            swept.cutoffs_kept += kept;
        }
        swept
    }

    /// What a supervisor does with the mirror that it found, before anybody reads it: empties torn slots, or
    /// everything if `digest_key`, a fingerprint of the key of all digests (not zero), is another one.
    pub fn repair(&self, writer: &AuthorityWriter, digest_key: u64) -> Repaired {
        let _turn = writer.turn();
        if self.head.digest_key() != digest_key {
            self.empty();
            // Last: a death before it empties everything again.
            self.head.set_digest_key(digest_key);
            return Repaired::Emptied;
        }
        let torn = self.torn();
        if torn > 0 {
            // First: a death after it leaves a mirror that is known to be stale.
            self.head.begin_sync();
            self.clear_torn();
        }
        self.head.bump();
        Repaired::Kept { torn }
    }

    /// What is found, and whether that is all: an entry that was lost may have been a stricter one for the
    /// same digest.
    #[inline]
    fn cutoff(&self, scope: Scope, digest: &[u8; 32], now_s: i64) -> (Found<Cutoff>, bool) {
        // Before the look, as in `token`.
        let sure = self.head.completeness() != Completeness::Overflowing;
        (self.cutoffs.find(ScopedKey { scope, key: Key::new(digest) }, seconds(now_s)), sure)
    }

    fn acknowledge(&self, recorded: Recorded) -> Recorded {
        match recorded {
            Recorded::Inserted | Recorded::Extended => self.head.bump(),
            Recorded::Full => {
                self.head.lose();
                self.head.bump();
            }
            Recorded::AlreadyThere | Recorded::Expired => {}
        }
        recorded
    }

    fn torn(&self) -> usize {
        let tokens = (0..TOKEN_BUCKETS).map(|bucket| self.tokens.torn(bucket).count());
        let cutoffs = (0..CUTOFF_BUCKETS).map(|bucket| self.cutoffs.torn(bucket).count());
        tokens.chain(cutoffs).sum()
    }

    fn clear_torn(&self) {
        for bucket in 0..TOKEN_BUCKETS {
            self.tokens.torn(bucket).for_each(|place| self.tokens.clear(place));
        }
        for bucket in 0..CUTOFF_BUCKETS {
            self.cutoffs.torn(bucket).for_each(|place| self.cutoffs.clear(place));
        }
    }

    fn empty(&self) {
        self.head.forget();
        for bucket in 0..TOKEN_BUCKETS {
            self.tokens.shown(bucket).for_each(|place| self.tokens.clear(place));
        }
        for bucket in 0..CUTOFF_BUCKETS {
            self.cutoffs.shown(bucket).for_each(|place| self.cutoffs.clear(place));
        }
        self.head.bump();
    }
}

/// A time before 1970 is none.
fn seconds(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}

/// 16.75 MiB and 128 bytes; pages are allocated when they are first touched.
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<TokenSlot>() == 64 && size_of::<CutoffSlot>() == 128);
    assert!(size_of::<Head>() == 128);
    assert!(size_of::<Revocations>() == 128 + TOKENS_MAX * (4 + 64) + CUTOFFS_MAX * (4 + 128));
    assert!(size_of::<Revocations>() < 17 << 20, "bytes of the authority");
};

#[cfg(test)]
impl<const TOKEN_BUCKETS: usize, const CUTOFF_BUCKETS: usize> crate::atomics::Zeroed
    for Revocations<TOKEN_BUCKETS, CUTOFF_BUCKETS>
{
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Revocations { head: Zeroed::zeroed(), tokens: Zeroed::zeroed(), cutoffs: Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
