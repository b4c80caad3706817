//! What is asked about a token, and what a worker is told.

/// A verified token, as far as revocation is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Digest of the `jti`, or of the whole token if it has none.
    pub token: &'a [u8; 32],
    /// Digest of the `jti`, to compare with the one that a `not_before` excepts.
    pub jti: Option<&'a [u8; 32]>,
    /// Digest of tenant and subject.
    pub user: &'a [u8; 32],
    /// Digest of the tenant.
    pub tenant: &'a [u8; 32],
    /// `iat`, seconds since 1970; zero if there is none.
    pub issued_at_s: i64,
}

/// What a worker is told about a token. Only `Clear` lets a request go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in the mirror revokes it. What that is worth is told by `completeness` and `synced_at_ms`.
    Clear,
    Revoked(Cause),
    /// The mirror cannot tell: ask the supervisor, or refuse.
    Unsure,
}

/// Which entry revokes a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Token,
    User,
    Tenant,
}

impl Verdict {
    /// The stricter of two: whatever is revoked stays so, and what is unsure is not made clear.
    #[inline]
    pub(super) fn or(self, other: impl FnOnce() -> Verdict) -> Verdict {
        match self {
            Verdict::Revoked(_) => self,
            Verdict::Clear => other(),
            Verdict::Unsure => match other() {
                Verdict::Clear => Verdict::Unsure,
                stricter => stricter,
            },
        }
    }
}
