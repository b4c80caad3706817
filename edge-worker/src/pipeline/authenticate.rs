//! Authenticate: from the `Authorization` header to a proven identity, by way of the region's token cache.
//!
//! A `Principal` can only be made here, out of a token that was verified: now, or earlier by a worker
//! of this node with a key and under settings that still hold.

use super::parse::Request;
use crate::clock::UnixSeconds;
use crate::config::limits::AUTHORIZATION_BYTES_MAX;
use crate::config::secret::Secret;
use crate::control::asks::Named;
use crate::http::head::KnownHeader;
use crate::identity::claims::Claims;
use crate::identity::digests::sha256_digits;
use crate::identity::fault::TokenFault;
use crate::identity::roles::Role;
use crate::identity::uuid::same_id;
use crate::identity::verifier::{Validity, Verifier};
use shm::token_cache::{CachedToken, Placed, TokenCache};
use shm::words::WorkerSlot;

/// The request's `Authorization` headers.
#[derive(Clone, Copy, Debug)]
pub enum Authorization<'a> {
    None,
    /// The value of the only one.
    One(&'a [u8]),
    /// Two readers could take two different ones.
    Several,
}

/// What the request sent.
pub fn authorization<'r>(request: &Request<'r>) -> Authorization<'r> {
    let mut sent = request.head.values(KnownHeader::Authorization, request.bytes);
    match (sent.next(), sent.next()) {
        (None, _) => Authorization::None,
        (Some(only), None) => Authorization::One(only),
        (Some(_), Some(_)) => Authorization::Several,
    }
}

/// Where an identity came from, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    Hit,
    /// Verified now; [`remember`] makes later requests hit.
    Miss,
    /// Verified now, and longer than the cache holds.
    Uncacheable,
}

/// A proven identity. Its fields are private to this file: no later stage can make or change one.
#[derive(Clone, Debug)]
pub struct Principal {
    role: Role,
    /// The token's permissions do not count where the user's record has another role.
    outranked: bool,
    evidence: Evidence,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "boxing the cached form would allocate on every request")]
enum Evidence {
    Cached(CachedToken),
    Verified(Box<Claims>),
}

/// The keyed digest under which a token is cached. Made here alone, so that none can stand for another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

/// The digest of the token that was brought.
///
/// # Errors
/// `MissingToken` or `Malformed`, if none was.
pub fn digest(authorization: Authorization<'_>, verifier: &Verifier) -> Result<TokenDigest, TokenFault> {
    Ok(TokenDigest(verifier.digest(bearer(authorization)?)))
}

/// Proves who is asking at `now`, with the digest of the very token. Keeps nothing of the token but its keyed digest
/// and its claims.
///
/// # Errors
/// The first reason why there is no identity.
pub fn authenticate(
    (authorization, digest): (Authorization<'_>, TokenDigest),
    verifier: &Verifier,
    cache: &TokenCache,
    now: UnixSeconds,
) -> Result<(Principal, CacheOutcome), TokenFault> {
    let token = bearer(authorization)?;
    if let Some(principal) = cache.find(&digest.0).and_then(|cached| recall(cached, verifier, now)) {
        return Ok((principal, CacheOutcome::Hit));
    }
    let claims = verifier.verify(token, now)?;
    let role = claims.role;
    let Some(cached) = claims.cacheable() else {
        return Ok((
            Principal { role, outranked: false, evidence: Evidence::Verified(Box::new(claims)) },
            CacheOutcome::Uncacheable,
        ));
    };
    Ok((Principal { role, outranked: false, evidence: Evidence::Cached(cached) }, CacheOutcome::Miss))
}

/// Lets later requests with this token hit. Not before everything is known that is asked about a token only once:
/// who hits is not asked.
///
/// `None` if the token is longer than the cache holds.
pub fn remember(
    (principal, digest): (&Principal, TokenDigest),
    cache: &TokenCache,
    slot: WorkerSlot,
    now: UnixSeconds,
) -> Option<Placed> {
    let Evidence::Cached(cached) = &principal.evidence else { return None };
    Some(cache.store(slot, &digest.0, cached, now))
}

/// Keeps with the token that auth-service accepts it at `now`.
///
/// `None` if the token is longer than the cache holds.
pub fn confirm(
    (principal, digest): (&Principal, TokenDigest),
    cache: &TokenCache,
    slot: WorkerSlot,
    now: UnixSeconds,
) -> Option<Placed> {
    let Evidence::Cached(cached) = &principal.evidence else { return None };
    Some(cache.store(slot, &digest.0, &CachedToken { validated_at: now, ..*cached }, now))
}

impl Principal {
    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.evidence {
            Evidence::Cached(token) => token.sub.as_str(),
            Evidence::Verified(claims) => &claims.subject,
        }
    }

    /// The tenant, of the token and of nothing else. UUIDs in lower case.
    #[must_use]
    pub fn tenant(&self) -> &str {
        match &self.evidence {
            Evidence::Cached(token) => token.tenant.as_str(),
            Evidence::Verified(claims) => &claims.tenant,
        }
    }

    /// The token's id; HS256 tokens may have none, and one by which Redis cannot name a token is none.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        match &self.evidence {
            Evidence::Cached(token) => (!token.jti.is_empty()).then(|| token.jti.as_str()),
            Evidence::Verified(claims) => claims.jti.as_deref(),
        }
    }

    /// How the principal's token is called: by its id, or by the SHA-256 of the whole of it.
    #[must_use]
    pub fn token_name(&self, whole_token: impl FnOnce() -> String) -> Named {
        match self.jti() {
            Some(jti) => Named::Jti(jti.to_owned()),
            None => Named::Sha256(whole_token()),
        }
    }

    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Region ids of the token's permissions, without those of the role.
    #[must_use]
    pub fn permissions(&self) -> &[u16] {
        if self.outranked {
            return &[];
        }
        match &self.evidence {
            Evidence::Cached(token) => token.permissions.as_slice(),
            Evidence::Verified(claims) => &claims.permissions,
        }
    }

    /// `iat`; 0 if the token does not say.
    #[must_use]
    pub fn issued_at(&self) -> UnixSeconds {
        match &self.evidence {
            Evidence::Cached(token) => token.issued_at,
            Evidence::Verified(claims) => claims.issued_at,
        }
    }

    /// When auth-service last accepted the token; 0 if it was not asked, or the answer could not be kept.
    #[must_use]
    pub fn validated_at(&self) -> UnixSeconds {
        match &self.evidence {
            Evidence::Cached(token) => token.validated_at,
            Evidence::Verified(_) => 0,
        }
    }

    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        match &self.evidence {
            Evidence::Cached(token) => token.expires_at,
            Evidence::Verified(claims) => claims.expires_at,
        }
    }

    /// The same user with the role of its record. Where the token claims another one, its permissions are ignored
    /// (platform section 6).
    #[must_use]
    pub fn recorded_as(self, role: Role) -> Principal {
        Principal { role, outranked: self.outranked || role != self.role, ..self }
    }

    /// Whether `id` is the principal's own.
    #[must_use]
    pub fn is_subject(&self, id: &[u8]) -> bool {
        same_id(self.subject().as_bytes(), id)
    }

    /// Whether `tenant` is the principal's.
    #[must_use]
    pub fn is_of_tenant(&self, tenant: &[u8]) -> bool {
        same_id(self.tenant().as_bytes(), tenant)
    }
}

/// The name of a token that has no id.
#[must_use]
pub fn whole_token(authorization: Authorization<'_>) -> String {
    sha256_digits(bearer(authorization).unwrap_or_default())
}

/// The token itself, for a service that is asked in its bearer's name.
#[must_use]
pub fn presented(authorization: Authorization<'_>) -> Secret<String> {
    let token = bearer(authorization).unwrap_or_default();
    Secret::new(String::from_utf8_lossy(token).into_owned())
}

/// Whether a key that this verifier does not have yet could prove the token that it refused with `fault`.
#[must_use]
pub fn doubts(
    authorization: Authorization<'_>,
    verifier: &Verifier,
    fault: TokenFault,
    now: UnixSeconds,
) -> bool {
    bearer(authorization).is_ok_and(|token| verifier.doubts(token, fault, now))
}

/// The token of the only `Authorization` header (RFC 6750 section 2.1; the scheme in any letter case).
fn bearer(authorization: Authorization<'_>) -> Result<&[u8], TokenFault> {
    let value = match authorization {
        Authorization::None => return Err(TokenFault::MissingToken),
        Authorization::Several => return Err(TokenFault::Malformed),
        Authorization::One(value) => value,
    };
    let scheme_bytes = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_bytes);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(TokenFault::MissingToken);
    }
    if value.len() > AUTHORIZATION_BYTES_MAX {
        return Err(TokenFault::Malformed);
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    Ok(rest.split_at(spaces).1)
}

/// A cached token is an identity only if this worker would verify it to the same one at `now`.
fn recall(cached: CachedToken, verifier: &Verifier, now: UnixSeconds) -> Option<Principal> {
    if !verifier.vouches(cached.key, cached.settings) {
        return None;
    }
    let validity = Validity {
        issued_at: cached.issued_at,
        not_before: cached.not_before,
        expires_at: cached.expires_at,
    };
    verifier.check_validity(validity, now).ok()?;
    let role = verifier.role(cached.role)?;
    Some(Principal { role, outranked: false, evidence: Evidence::Cached(cached) })
}

#[cfg(test)]
mod tests;
