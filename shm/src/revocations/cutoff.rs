//! From which time on tokens count again, and who is excepted: a plain value, and how two of them become one.

use super::tags::DIGEST_WORDS;
use crate::words::digest_words;

/// The `not_before` of a user or a tenant: tokens issued at `epoch` or earlier are revoked, except one.
///
/// Of two cut-offs the later epoch wins, and nothing that either of them revokes is lost: up to the earlier of
/// the two epochs the token that only one of them excepts is revoked by the other. That time is kept as the
/// floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoff {
    /// Seconds since 1970 in 32 bits, until 2106.
    epoch_s: u32,
    /// Up to here nobody is excepted; the epoch itself if nobody is.
    floor_s: u32,
    /// Digest of the token id that is excepted; zero if none is.
    except: [u64; DIGEST_WORDS],
}

impl Cutoff {
    /// From an event: the epoch in seconds since 1970, and the digest of the `jti` that stays valid.
    #[must_use]
    pub fn new(epoch_s: i64, except: Option<&[u8; 32]>) -> Cutoff {
        let epoch_s = u32::try_from(epoch_s.max(0)).unwrap_or(u32::MAX);
        Cutoff { epoch_s, floor_s: 0, except: except.map_or(NOBODY, digest_words) }.normal()
    }

    /// Whether a token is revoked, from its `iat` (zero if it has none) and the digest of its `jti`.
    #[must_use]
    pub fn revokes(&self, issued_at_s: i64, jti: Option<&[u8; 32]>) -> bool {
        let excepted = self.except != NOBODY && jti.is_some_and(|jti| digest_words(jti) == self.except);
        issued_at_s <= i64::from(if excepted { self.floor_s } else { self.epoch_s })
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn epoch_s(&self) -> i64 {
        i64::from(self.epoch_s)
    }

    /// What revokes all that one of the two revokes, and nothing else.
    pub(super) fn merged(self, other: Cutoff) -> Cutoff {
        let (early, late) = if self.epoch_s <= other.epoch_s { (self, other) } else { (other, self) };
        let mut floor_s = early.floor_s.max(late.floor_s);
        if early.except != late.except {
            floor_s = floor_s.max(early.epoch_s);
        }
        Cutoff { floor_s, ..late }.normal()
    }

    /// One form for what means the same.
    fn normal(self) -> Cutoff {
        if self.floor_s >= self.epoch_s || self.except == NOBODY {
            return Cutoff { floor_s: self.epoch_s, except: NOBODY, ..self };
        }
        self
    }

    pub(super) fn words(self) -> (u64, [u64; DIGEST_WORDS]) {
        (u64::from(self.epoch_s) << 32 | u64::from(self.floor_s), self.except)
    }

    pub(super) fn from_words(times: u64, except: [u64; DIGEST_WORDS]) -> Cutoff {
        let half = |word: u64| u32::try_from(word & u64::from(u32::MAX)).expect("masked to 32 bits");
        Cutoff { epoch_s: half(times >> 32), floor_s: half(times), except }.normal()
    }
}

const NOBODY: [u64; DIGEST_WORDS] = [0; DIGEST_WORDS];
