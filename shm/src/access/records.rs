//! What is remembered of a user, of a user at a venue, of a user's venues, and of an API key: plain values, and how
//! they stand in words.

use crate::token_cache::{PERMISSIONS_MAX, PermissionIds};
use crate::words::digest_words;

/// What auth-service said of a user (platform contract, section 5). Never anything personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord {
    pub status: UserStatus,
    /// `NameId` of the role; zero if there is none.
    pub role: u16,
    /// Seconds since 1970 when auth-service answered. How long that is fresh is the caller's policy.
    pub fetched_at_s: i64,
    /// Seconds since 1970 from which on nobody may use it any more.
    pub expires_at_s: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    Active = 1,
    Inactive,
    NotFound,
}

/// What venue-service said of a user at a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub access: VenueAccess,
    /// `NameId` of the role at the venue; zero if there is none.
    pub role: u16,
    /// `NameId`s of the permissions at the venue.
    pub permissions: PermissionIds,
    /// The venue's generation when it was asked (`cache:venue:gen:<venue>`).
    pub venue_generation: u64,
    /// Seconds since 1970.
    pub expires_at_s: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueAccess {
    Allowed = 1,
    Denied,
}

/// Whether a user is on the staff of any venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaffRecord {
    pub staff: Staff,
    /// Seconds since 1970.
    pub expires_at_s: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staff {
    OfAVenue = 1,
    OfNone,
}

/// What an API key stands for (platform contract, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Digest of the venue that it belongs to, as for decisions.
    pub venue: [u8; 32],
    pub tier: Tier,
    /// Requests a minute, instead of the tier's.
    pub rate_limit: Option<u32>,
    /// Seconds since 1970.
    pub expires_at_s: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Free = 1,
    Standard,
    Premium,
}

impl UserRecord {
    pub(super) fn encode(&self) -> [u64; USER_WORDS] {
        let shape = (self.status as u64) << STATE_SHIFT | u64::from(self.role);
        [shape, seconds(self.fetched_at_s) << 32 | seconds(self.expires_at_s)]
    }

    /// `None` if the words hold anything else.
    pub(super) fn decode(words: &[u64]) -> Option<UserRecord> {
        let [shape, times] = *words else { return None };
        let status = [UserStatus::Active, UserStatus::Inactive, UserStatus::NotFound]
            .into_iter()
            .find(|status| *status as u64 == shape >> STATE_SHIFT)?;
        let role = u16::try_from(shape & STATE_MASK).ok()?;
        let [fetched_at_s, expires_at_s] = [times >> 32, times & TIME_MASK].map(u64::cast_signed);
        Some(UserRecord { status, role, fetched_at_s, expires_at_s })
    }
}

impl Decision {
    /// Writes the decision into the front of `words` and returns how many it took.
    pub(super) fn encode(&self, words: &mut [u64; DECISION_WORDS]) -> usize {
        let count = self.permissions.as_slice().len() as u64;
        let state = (self.access as u64) << 8 | count;
        let shape = state << 48 | u64::from(self.role) << 32 | seconds(self.expires_at_s);
        let all = [shape, self.venue_generation].into_iter().chain(self.permissions.words());
        words.iter_mut().zip(all).map(|(word, value)| *word = value).count()
    }

    pub(super) fn decode(words: &[u64]) -> Option<Decision> {
        let ([shape, venue_generation], mut rest) = words.split_first_chunk::<2>()?;
        let [.., role_low, role_high, count, access] = shape.to_le_bytes();
        let access = [VenueAccess::Allowed, VenueAccess::Denied]
            .into_iter()
            .find(|value| *value as u64 == u64::from(access))?;
        let decision = Decision {
            access,
            role: u16::from_le_bytes([role_low, role_high]),
            permissions: PermissionIds::take(count, &mut rest)?,
            venue_generation: *venue_generation,
            expires_at_s: (shape & TIME_MASK).cast_signed(),
        };
        rest.is_empty().then_some(decision)
    }
}

impl StaffRecord {
    pub(super) fn encode(&self) -> [u64; STAFF_WORDS] {
        [(self.staff as u64) << STATE_SHIFT | seconds(self.expires_at_s)]
    }

    pub(super) fn decode(words: &[u64]) -> Option<StaffRecord> {
        let [shape] = *words else { return None };
        let staff = [Staff::OfAVenue, Staff::OfNone]
            .into_iter()
            .find(|staff| *staff as u64 == shape >> STATE_SHIFT)?;
        Some(StaffRecord { staff, expires_at_s: (shape & TIME_MASK).cast_signed() })
    }
}

impl ApiKey {
    pub(super) fn encode(&self) -> [u64; API_KEY_WORDS] {
        let [a, b, c, d] = digest_words(&self.venue);
        let rate_limit = self.rate_limit.map_or(0, |limit| u64::from(limit) + 1);
        [a, b, c, d, (self.tier as u64) << STATE_SHIFT | seconds(self.expires_at_s), rate_limit]
    }

    pub(super) fn decode(words: &[u64]) -> Option<ApiKey> {
        let [a, b, c, d, shape, rate_limit] = *words else { return None };
        let mut venue = [0; 32];
        for (bytes, word) in venue.as_chunks_mut().0.iter_mut().zip([a, b, c, d]) {
            *bytes = word.to_le_bytes();
        }
        let tier = [Tier::Free, Tier::Standard, Tier::Premium]
            .into_iter()
            .find(|tier| *tier as u64 == shape >> STATE_SHIFT)?;
        let rate_limit = match rate_limit.checked_sub(1) {
            None => None,
            Some(limit) => Some(u32::try_from(limit).ok()?),
        };
        Some(ApiKey { venue, tier, rate_limit, expires_at_s: (shape & TIME_MASK).cast_signed() })
    }
}

/// Seconds since 1970 in 32 bits: until 2106.
pub(super) fn seconds(seconds: i64) -> u64 {
    u64::from(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

pub(super) const USER_WORDS: usize = 2;
pub(super) const STAFF_WORDS: usize = 1;
pub(super) const API_KEY_WORDS: usize = 6;
pub(super) const DECISION_WORDS: usize = 2 + PERMISSIONS_MAX / 4;

const STATE_SHIFT: usize = 32;
const STATE_MASK: u64 = 0xffff_ffff;
const TIME_MASK: u64 = 0xffff_ffff;
