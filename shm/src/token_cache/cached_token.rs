//! What is remembered of a verified token, and how it stands in words. Never an e-mail address, never the
//! token.

use crate::words::{Text, words_for};

/// The claims that later requests with the same token need, and what it was verified under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedToken {
    /// `sub`: the user's id.
    pub sub: Text<SUB_BYTES_MAX>,
    /// `tenant_id`.
    pub tenant: Text<TENANT_BYTES_MAX>,
    /// `jti`: the token's id; empty if it has none.
    pub jti: Text<JTI_BYTES_MAX>,
    /// `NameId` of the canonical role; zero if the token has none.
    pub role: u16,
    pub permissions: PermissionIds,
    /// `iat`, `nbf` and `exp`: seconds since 1970.
    pub issued_at: i64,
    pub not_before: i64,
    pub expires_at: i64,
    /// When auth-service was last asked about the token and accepted it: seconds since 1970, 0 for never.
    pub validated_at: i64,
    /// Fingerprint of the key that verified it.
    pub key: u64,
    /// Fingerprint of the settings it was verified under.
    pub settings: u64,
}

/// `NameId`s of the permissions that a token grants.
#[derive(Clone, Copy)]
pub struct PermissionIds {
    count: u8,
    ids: [u16; PERMISSIONS_MAX],
}

/// Most permissions that a cached token carries.
pub const PERMISSIONS_MAX: usize = 32;

impl PermissionIds {
    /// `None` for more than `PERMISSIONS_MAX`: such a token is not cached.
    #[must_use]
    pub fn new(ids: &[u16]) -> Option<PermissionIds> {
        let mut all = [0; PERMISSIONS_MAX];
        all.get_mut(..ids.len())?.copy_from_slice(ids);
        Some(PermissionIds { count: u8::try_from(ids.len()).ok()?, ids: all })
    }

    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        &self.ids[..usize::from(self.count)]
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        let used = usize::from(self.count).div_ceil(IDS_A_WORD) * IDS_A_WORD;
        self.ids[..used]
            .chunks_exact(IDS_A_WORD)
            .map(|ids| ids.iter().rev().fold(0, |word, id| word << 16 | u64::from(*id)))
    }

    pub(crate) fn take(count: u8, words: &mut &[u64]) -> Option<PermissionIds> {
        let (own, rest) = words.split_at_checked(usize::from(count).div_ceil(IDS_A_WORD))?;
        let mut ids = [0; PERMISSIONS_MAX];
        for (ids, word) in ids.get_mut(..own.len() * IDS_A_WORD)?.chunks_exact_mut(IDS_A_WORD).zip(own) {
            let bytes = word.to_le_bytes();
            for (id, bytes) in ids.iter_mut().zip(bytes.as_chunks().0) {
                *id = u16::from_le_bytes(*bytes);
            }
        }
        *words = rest;
        Some(PermissionIds { count, ids })
    }
}

impl PartialEq for PermissionIds {
    fn eq(&self, other: &PermissionIds) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for PermissionIds {}

impl std::fmt::Debug for PermissionIds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.as_slice())
    }
}

impl CachedToken {
    /// Writes the token into the front of `words` and returns how many it took: short tokens take few, which
    /// makes both reading and the checksum cheap.
    pub(super) fn encode(&self, words: &mut [u64]) -> usize {
        let lengths = [self.sub.len(), self.tenant.len(), self.jti.len(), self.permissions.as_slice().len()];
        let shape =
            lengths.iter().rev().fold(u64::from(self.role), |shape, length| shape << 8 | *length as u64);
        let fixed = [
            shape,
            self.issued_at.cast_unsigned(),
            self.not_before.cast_unsigned(),
            self.expires_at.cast_unsigned(),
            self.validated_at.cast_unsigned(),
            self.key,
            self.settings,
        ];
        let texts = self.sub.words().chain(self.tenant.words()).chain(self.jti.words());
        let all = fixed.into_iter().chain(texts).chain(self.permissions.words());
        words.iter_mut().zip(all).map(|(word, value)| *word = value).count()
    }

    /// The token that `words` hold; `None` if they hold anything else, down to the last word.
    pub(super) fn decode(words: &[u64]) -> Option<CachedToken> {
        let (fixed, mut rest) = words.split_first_chunk::<FIXED_WORDS>()?;
        let [shape, issued_at, not_before, expires_at, validated_at, key, settings] = *fixed;
        let [sub, tenant, jti, permissions, role_low, role_high, 0, 0] = shape.to_le_bytes() else {
            return None;
        };
        let token = CachedToken {
            sub: Text::take(sub, &mut rest)?,
            tenant: Text::take(tenant, &mut rest)?,
            jti: Text::take(jti, &mut rest)?,
            role: u16::from_le_bytes([role_low, role_high]),
            permissions: PermissionIds::take(permissions, &mut rest)?,
            issued_at: issued_at.cast_signed(),
            not_before: not_before.cast_signed(),
            expires_at: expires_at.cast_signed(),
            validated_at: validated_at.cast_signed(),
            key,
            settings,
        };
        rest.is_empty().then_some(token)
    }
}

/// Longest `sub` that is cached, in bytes.
pub const SUB_BYTES_MAX: usize = 128;
/// Longest `tenant_id` that is cached, in bytes.
pub const TENANT_BYTES_MAX: usize = 64;
/// Longest `jti` that is cached, in bytes.
pub const JTI_BYTES_MAX: usize = 64;

const FIXED_WORDS: usize = 7;
const IDS_A_WORD: usize = 4;

/// Words that the longest token takes.
pub(super) const WORDS_MAX: usize = FIXED_WORDS
    + words_for(SUB_BYTES_MAX)
    + words_for(TENANT_BYTES_MAX)
    + words_for(JTI_BYTES_MAX)
    + PERMISSIONS_MAX / IDS_A_WORD;
