//! What auth-service and venue-service said of users: the record of a user, what one may do at a venue, and
//! whether one is on the staff of any (platform contract, section 5); and what Redis said of API keys (section 8).
//!
//! Writer: the supervisor, through its `AuthorityWriter`. Readers: workers, read-only and without waiting.
//! Torn state: a record that is claimed, void or fails its checksum is a miss. A hit has the whole 256-bit
//! digest that was asked for, so that a record can be missing but never another's. It is a cache: a miss is
//! an ask, and a full bucket gives up what expires first.
//!
//! What an event forgets stays forgotten: an answer that was asked for before the event is not stored after
//! it (`Moment`). `forget_…` is acknowledged when it returns; do it before `set_last_applied`.
//! Digests are keyed, as in `revocations`; one made under another key is simply never asked for.

use crate::atomics::Word;
use crate::layout::{AuthorityWriter, Field, Structure};

mod records;
mod shelf;

pub use records::{ApiKey, Decision, Staff, StaffRecord, Tier, UserRecord, UserStatus, VenueAccess};

pub(crate) use shelf::{Shelf, ShelfBucket};

use records::{API_KEY_WORDS, DECISION_WORDS, STAFF_WORDS, USER_WORDS, seconds};
use shelf::{DIGEST_WORDS, Key, New, Owner, Rank};

/// The four tables, each of so many buckets of four records; see the file's head.
#[repr(C, align(128))]
pub struct Access<
    const USER_BUCKETS: usize = { USERS_MAX / 4 },
    const DECISION_BUCKETS: usize = { DECISIONS_MAX / 4 },
    const STAFF_BUCKETS: usize = { STAFF_MAX / 4 },
    const API_KEY_BUCKETS: usize = { API_KEYS_MAX / 4 },
> {
    /// Counts the events that forgot something.
    forgets: Word,
    reserved: [Word; 15],
    users: Shelf<USER_BUCKETS, SHORT_WORDS>,
    decisions: Shelf<DECISION_BUCKETS, LONG_WORDS>,
    staff: Shelf<STAFF_BUCKETS, SHORT_WORDS>,
    api_keys: Shelf<API_KEY_BUCKETS, LONG_WORDS>,
}

/// Users that are remembered.
pub const USERS_MAX: usize = 65_536;
/// Pairs of user and venue that are remembered.
pub const DECISIONS_MAX: usize = 65_536;
/// Users of whom it is remembered whether they are on any staff.
pub const STAFF_MAX: usize = 32_768;
/// API keys that are remembered.
pub const API_KEYS_MAX: usize = 4_096;

/// When a question was asked, in events: take it before asking a service, give it with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moment(u64);

/// The digests of a decision.
#[derive(Clone, Copy, Debug)]
pub struct DecisionKey<'a> {
    /// Of user, tenant, venue and, where the service is asked for one, the permission.
    pub decision: &'a [u8; 32],
    /// Of tenant and user, as for the user's record.
    pub user: &'a [u8; 32],
    pub venue: &'a [u8; 32],
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In its own place, a free one, or that of one that had expired.
    Stored,
    /// In the place of a record that was still good: the table is too small for its users.
    Evicted,
    /// Nowhere: something was forgotten since it was asked for. The answer may serve the request that asked.
    Outdated,
}

impl<
    const USER_BUCKETS: usize,
    const DECISION_BUCKETS: usize,
    const STAFF_BUCKETS: usize,
    const API_KEY_BUCKETS: usize,
> Access<USER_BUCKETS, DECISION_BUCKETS, STAFF_BUCKETS, API_KEY_BUCKETS>
{
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Access",
        bytes: size_of::<Self>(),
        fields: &[
            Field("forgets", std::mem::offset_of!(Self, forgets), size_of::<Word>()),
            Field("reserved", std::mem::offset_of!(Self, reserved), size_of::<[Word; 15]>()),
            Field("users", std::mem::offset_of!(Self, users), size_of::<Shelf<USER_BUCKETS, SHORT_WORDS>>()),
            Field(
                "decisions",
                std::mem::offset_of!(Self, decisions),
                size_of::<Shelf<DECISION_BUCKETS, LONG_WORDS>>(),
            ),
            Field("staff", std::mem::offset_of!(Self, staff), size_of::<Shelf<STAFF_BUCKETS, SHORT_WORDS>>()),
            Field(
                "api_keys",
                std::mem::offset_of!(Self, api_keys),
                size_of::<Shelf<API_KEY_BUCKETS, LONG_WORDS>>(),
            ),
        ],
    };

    /// The record of a user (digest of tenant and user), unless it has expired at `now_s`, seconds since 1970.
    #[inline]
    #[must_use]
    pub fn user(&self, user: &[u8; 32], now_s: i64) -> Option<UserRecord> {
        self.users.find(Key::new(user), UserRecord::decode).filter(|record| record.expires_at_s > now_s)
    }

    /// What a user may do at a venue; `digest` is `DecisionKey::decision`.
    #[inline]
    #[must_use]
    pub fn decision(&self, digest: &[u8; 32], now_s: i64) -> Option<Decision> {
        self.decisions.find(Key::new(digest), Decision::decode).filter(|record| record.expires_at_s > now_s)
    }

    /// Whether a user is on the staff of any venue.
    #[inline]
    #[must_use]
    pub fn staff(&self, user: &[u8; 32], now_s: i64) -> Option<StaffRecord> {
        self.staff.find(Key::new(user), StaffRecord::decode).filter(|record| record.expires_at_s > now_s)
    }

    /// What an API key, of which this is the digest, stands for.
    #[inline]
    #[must_use]
    pub fn api_key(&self, key: &[u8; 32], now_s: i64) -> Option<ApiKey> {
        self.api_keys.find(Key::new(key), ApiKey::decode).filter(|record| record.expires_at_s > now_s)
    }

    /// To be taken before a service is asked.
    #[must_use]
    pub fn moment(&self, _writer: &AuthorityWriter) -> Moment {
        // Partner: `forget`. Whoever asks after an event knows of it.
        Moment(self.forgets.observe())
    }

    /// Remembers what was said of a user (digest of tenant and user), asked for at `asked`.
    pub fn store_user(
        &self,
        writer: &AuthorityWriter,
        user: &[u8; 32],
        record: &UserRecord,
        asked: Moment,
        now_s: i64,
    ) -> Kept {
        let (user, expires_at_s) = (Key::new(user), seconds(record.expires_at_s));
        let new = New { key: user, user, venue: None, value: &record.encode(), expires_at_s };
        self.store(writer, asked, || self.users.store(&new, seconds(now_s)))
    }

    /// Remembers what a user may do at a venue.
    pub fn store_decision(
        &self,
        writer: &AuthorityWriter,
        key: DecisionKey<'_>,
        decision: &Decision,
        asked: Moment,
        now_s: i64,
    ) -> Kept {
        let mut value = [0; DECISION_WORDS];
        let length = decision.encode(&mut value);
        let new = New {
            key: Key::new(key.decision),
            user: Key::new(key.user),
            venue: Some(Key::new(key.venue)),
            value: &value[..length],
            expires_at_s: seconds(decision.expires_at_s),
        };
        self.store(writer, asked, || self.decisions.store(&new, seconds(now_s)))
    }

    /// Remembers whether a user is on the staff of any venue: for a yes, `because_of` is the digest of one
    /// venue of theirs, whose events forget the record.
    pub fn store_staff(
        &self,
        writer: &AuthorityWriter,
        (user, because_of): (&[u8; 32], Option<&[u8; 32]>),
        record: &StaffRecord,
        asked: Moment,
        now_s: i64,
    ) -> Kept {
        debug_assert!((record.staff == Staff::OfAVenue) == because_of.is_some(), "a yes has a reason");
        let (user, expires_at_s) = (Key::new(user), seconds(record.expires_at_s));
        let venue = because_of.map(Key::new);
        let new = New { key: user, user, venue, value: &record.encode(), expires_at_s };
        self.store(writer, asked, || self.staff.store(&new, seconds(now_s)))
    }

    /// Remembers what an API key stands for.
    pub fn store_api_key(
        &self,
        writer: &AuthorityWriter,
        key: &[u8; 32],
        record: &ApiKey,
        asked: Moment,
        now_s: i64,
    ) -> Kept {
        let (key, expires_at_s) = (Key::new(key), seconds(record.expires_at_s));
        let venue = Some(Key::new(&record.venue));
        let new = New { key, user: key, venue, value: &record.encode(), expires_at_s };
        self.store(writer, asked, || self.api_keys.store(&new, seconds(now_s)))
    }

    /// Forgets all that is known of a user, and says how many records that were.
    pub fn forget_user(&self, writer: &AuthorityWriter, user: &[u8; 32]) -> usize {
        self.forget(writer, || {
            let owner = Owner::User(Key::new(user));
            self.users.forget_owner(owner)
                + self.decisions.forget_owner(owner)
                + self.staff.forget_owner(owner)
        })
    }

    /// Forgets who may do what at a venue, who is on a staff because of it, and its API keys.
    pub fn forget_venue(&self, writer: &AuthorityWriter, venue: &[u8; 32]) -> usize {
        self.forget(writer, || {
            let owner = Owner::Venue(Key::new(venue));
            self.decisions.forget_owner(owner)
                + self.staff.forget_owner(owner)
                + self.api_keys.forget_owner(owner)
        })
    }

    /// Forgets everything: events may have been missed.
    pub fn forget_all(&self, writer: &AuthorityWriter) -> usize {
        self.forget(writer, || {
            self.users.forget_all()
                + self.decisions.forget_all()
                + self.staff.forget_all()
                + self.api_keys.forget_all()
        })
    }

    /// What a supervisor does with what it found: frees the records that its predecessor was writing, and
    /// says how many that were. No answer that the predecessor asked for is stored afterwards.
    pub fn repair(&self, writer: &AuthorityWriter) -> usize {
        self.forget(writer, || {
            self.users.repair() + self.decisions.repair() + self.staff.repair() + self.api_keys.repair()
        })
    }

    fn store(&self, writer: &AuthorityWriter, asked: Moment, store: impl FnOnce() -> Rank) -> Kept {
        let _turn = writer.turn();
        if self.forgets.load() != asked.0 {
            return Kept::Outdated;
        }
        match store() {
            Rank::Live => Kept::Evicted,
            Rank::Same | Rank::Vacant | Rank::Expired => Kept::Stored,
        }
    }

    fn forget(&self, writer: &AuthorityWriter, forget: impl FnOnce() -> usize) -> usize {
        let _turn = writer.turn();
        // Partner: `moment`.
        self.forgets.publish(self.forgets.load().wrapping_add(1));
        forget()
    }
}

/// A user's or staff record, digest included: one line of 64 bytes with the two words of its entry.
pub(crate) const SHORT_WORDS: usize = 6;
/// A decision or an API key's record, digest included: two lines.
pub(crate) const LONG_WORDS: usize = 14;
const _: () = {
    assert!(DIGEST_WORDS + USER_WORDS <= SHORT_WORDS && DIGEST_WORDS + STAFF_WORDS <= SHORT_WORDS);
    assert!(DIGEST_WORDS + DECISION_WORDS <= LONG_WORDS && DIGEST_WORDS + API_KEY_WORDS <= LONG_WORDS);
};

/// 19.625 MiB and 128 bytes; pages are allocated when they are first touched.
#[cfg(not(loom))]
const _: () = {
    let (short, long) = (USERS_MAX + STAFF_MAX, DECISIONS_MAX + API_KEYS_MAX);
    assert!(size_of::<Access>() == 128 + short * (32 + 64) + long * (32 + 128));
    assert!(size_of::<Access>() < 20 << 20, "bytes of the authority");
};

#[cfg(test)]
impl<const USERS: usize, const DECISIONS: usize, const STAFF: usize, const API_KEYS: usize>
    crate::atomics::Zeroed for Access<USERS, DECISIONS, STAFF, API_KEYS>
{
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Access {
            forgets: Word::zeroed(),
            reserved: Zeroed::zeroed(),
            users: Zeroed::zeroed(),
            decisions: Zeroed::zeroed(),
            staff: Zeroed::zeroed(),
            api_keys: Zeroed::zeroed(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
