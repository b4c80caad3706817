//! Whether a token is one of ours and still good. The rules run in the order of [`TokenFault`]; the first
//! that fails answers.

use super::claims::{ClaimSet, Claims, Envelope};
use super::fault::TokenFault;
use super::keys::{KeyFault, KeyRing, first_word};
use super::roles::{Role, RoleIds, canonical_permission};
use super::uuid::is_uuid;
use crate::clock::UnixSeconds;
use crate::config::NameTable;
use crate::config::limits::AUTHORIZATION_BYTES_MAX;
use crate::config::tokens::{Algorithm, TenantFormat, TokenSettings};
use std::borrow::Cow;
use std::collections::HashMap;

const SUBJECT_BYTES_MAX: usize = 128;
const OPAQUE_TENANT_BYTES_MAX: usize = 64;

/// Verifies access tokens under one configuration.
pub struct Verifier {
    keys: KeyRing,
    issuers: Vec<String>,
    audiences: Vec<String>,
    skew_s: i64,
    tenant_format: TenantFormat,
    digest_key: [u8; 32],
    roles: RoleIds,
    permissions: HashMap<String, u16>,
    fingerprint: u64,
}

impl Verifier {
    /// # Errors
    /// A key that cannot be read, or a name table without the roles.
    pub fn new(settings: &TokenSettings, names: &NameTable) -> Result<Verifier, KeyFault> {
        Ok(Verifier {
            keys: KeyRing::new(settings, &settings.keys)?,
            issuers: settings.issuers.clone(),
            audiences: settings.audiences.clone(),
            skew_s: i64::from(settings.clock_skew_s),
            tenant_format: settings.tenant_format,
            digest_key: *settings.digest_key.expose(),
            roles: RoleIds::new(names).ok_or(KeyFault::RolesUnnamed)?,
            permissions: names.permissions.iter().cloned().collect(),
            fingerprint: fingerprint(settings, names),
        })
    }

    /// Verifies with other keys from now on. What was verified with a key that is gone counts no more.
    pub fn exchange(&mut self, keys: KeyRing) {
        self.keys = keys;
    }

    /// What a token says, once all of it has been proven.
    ///
    /// # Errors
    /// The first reason, in the platform's order, why the token is not accepted.
    pub fn verify(&self, token: &[u8], now: UnixSeconds) -> Result<Claims, TokenFault> {
        if token.len() > AUTHORIZATION_BYTES_MAX {
            return Err(TokenFault::Malformed);
        }
        let envelope = Envelope::open(token).ok_or(TokenFault::Malformed)?;
        let header = envelope.header().ok_or(TokenFault::Malformed)?;
        let claims = envelope.claims().ok_or(TokenFault::Malformed)?;
        let name = header.algorithm.as_deref().unwrap_or_default();
        let algorithm = self.keys.algorithm(name).ok_or(TokenFault::AlgNotAllowed)?;
        let kid = header.kid.as_deref();
        if kid.is_some_and(|kid| !self.keys.knows(algorithm, kid)) {
            return Err(TokenFault::UnknownKid);
        }
        let key = self
            .keys
            .verify(algorithm, kid, envelope.signed, &envelope.signature)
            .ok_or(TokenFault::BadSignature)?;
        let validity = Validity::of(&claims).ok_or(TokenFault::Expired)?;
        self.check_validity(validity, now)?;
        self.check_parties(algorithm, &claims)?;
        self.identify(algorithm, claims, validity, key)
    }

    /// Whether a token that was refused with `fault` could be proven by a key that is not here yet. One that would have
    /// expired by its own account could not.
    #[must_use]
    pub fn doubts(&self, token: &[u8], fault: TokenFault, now: UnixSeconds) -> bool {
        if !matches!(fault, TokenFault::UnknownKid | TokenFault::BadSignature) {
            return false;
        }
        let Some(envelope) = Envelope::open(token) else { return false };
        let (Some(header), Some(claims)) = (envelope.header(), envelope.claims()) else { return false };
        let algorithm = self.keys.algorithm(header.algorithm.as_deref().unwrap_or_default());
        let may_come = |algorithm| self.keys.may_come(algorithm, header.kid.as_deref());
        let live = |validity| self.check_validity(validity, now).is_ok();
        algorithm.is_some_and(may_come) && Validity::of(&claims).is_some_and(live)
    }

    /// Whether a token with these times is good at `now`, within the clock skew (RFC 7519 section 4.1.4).
    ///
    /// # Errors
    /// `Expired` or `NotYetValid`.
    pub fn check_validity(&self, validity: Validity, now: UnixSeconds) -> Result<(), TokenFault> {
        if validity.expires_at.saturating_add(self.skew_s) <= now {
            return Err(TokenFault::Expired);
        }
        if validity.not_before.max(validity.issued_at).saturating_sub(self.skew_s) > now {
            return Err(TokenFault::NotYetValid);
        }
        Ok(())
    }

    /// Whether what was verified with this key under these settings would be accepted by this verifier.
    #[must_use]
    pub fn vouches(&self, key: u64, settings: u64) -> bool {
        settings == self.fingerprint && self.keys.holds(key)
    }

    /// What stands for all settings that decide whether, and as whom, a token is accepted.
    #[must_use]
    pub fn settings_fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The keyed digest under which a token is cached: 256 bits, so no two tokens can be made to collide.
    #[must_use]
    pub fn digest(&self, token: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.digest_key, token).as_bytes()
    }

    /// The role with this region id.
    #[must_use]
    pub fn role(&self, id: u16) -> Option<Role> {
        self.roles.role(id)
    }

    fn check_parties(&self, algorithm: Algorithm, claims: &ClaimSet<'_>) -> Result<(), TokenFault> {
        let issuer = claims.issuer.as_deref();
        if !self.issuers.iter().any(|accepted| Some(accepted.as_str()) == issuer) {
            return Err(TokenFault::WrongIssuer);
        }
        let audience_fits = match &claims.audience {
            Some(named) => named.iter().any(|name| self.audiences.iter().any(|accepted| accepted == name)),
            None => algorithm == Algorithm::Hs256,
        };
        if audience_fits { Ok(()) } else { Err(TokenFault::WrongAudience) }
    }

    fn identify(
        &self,
        algorithm: Algorithm,
        claims: ClaimSet<'_>,
        validity: Validity,
        key: u64,
    ) -> Result<Claims, TokenFault> {
        if claims.kind.as_deref() != Some("access") {
            return Err(TokenFault::WrongType);
        }
        let subject = claims.subject.filter(|text| is_subject(text)).ok_or(TokenFault::MissingSubject)?;
        let tenant = claims
            .tenant
            .as_deref()
            .and_then(|text| tenant(self.tenant_format, text))
            .ok_or(TokenFault::MissingTenant)?;
        let jti = claims.jti.filter(|text| !text.is_empty());
        if jti.is_none() && algorithm != Algorithm::Hs256 {
            return Err(TokenFault::MissingJti);
        }
        let jti = jti.filter(|text| is_token_id(text)).map(Cow::into_owned);
        let role = Role::claimed(claims.role.as_deref().unwrap_or_default());
        Ok(Claims {
            subject: subject.into_owned(),
            tenant,
            jti,
            role,
            role_id: self.roles.id(role),
            permissions: self.permission_ids(&claims.permissions),
            issued_at: validity.issued_at,
            not_before: validity.not_before,
            expires_at: validity.expires_at,
            key,
            settings: self.fingerprint,
        })
    }

    /// A permission that no row knows can grant nothing, so it is left out.
    fn permission_ids(&self, claimed: &[Cow<'_, str>]) -> Vec<u16> {
        let mut ids: Vec<u16> = claimed
            .iter()
            .filter_map(|claim| self.permissions.get(canonical_permission(claim).as_ref()).copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// The times of a token. Absent `iat` and `nbf` are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub issued_at: UnixSeconds,
    pub not_before: UnixSeconds,
    pub expires_at: UnixSeconds,
}

impl Validity {
    /// `None` without `exp`.
    fn of(claims: &ClaimSet<'_>) -> Option<Validity> {
        Some(Validity {
            issued_at: claims.issued_at.unwrap_or(0),
            not_before: claims.not_before.unwrap_or(0),
            expires_at: claims.expires_at?,
        })
    }
}

/// Whether a token may have this `sub`.
#[must_use]
pub fn is_subject(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Bytes of a jti that names its token.
pub const TOKEN_ID_BYTES_MAX: usize = 256;

/// Whether this jti can name its token in Redis, where every node has to read the same. A token with another one is
/// named by its SHA-256, as one without is.
#[must_use]
pub fn is_token_id(jti: &str) -> bool {
    (1..=TOKEN_ID_BYTES_MAX).contains(&jti.len()) && jti.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The tenant as it is compared and sent on: UUIDs in lower case, because case does not tell tenants apart. `None`
/// if it has not the form of one.
#[must_use]
pub fn tenant(format: TenantFormat, text: &str) -> Option<String> {
    if is_uuid(text.as_bytes()) {
        return Some(text.to_ascii_lowercase());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let fits = format == TenantFormat::Opaque
        && (1..=OPAQUE_TENANT_BYTES_MAX).contains(&text.len())
        && text.bytes().all(allowed);
    fits.then(|| text.to_owned())
}

/// Tokens cached under other settings are not found again. The names count, because a cached token has
/// lost the permissions that its own table did not know.
fn fingerprint(settings: &TokenSettings, names: &NameTable) -> u64 {
    let deciding = (
        &settings.algorithms,
        &settings.issuers,
        &settings.audiences,
        settings.clock_skew_s,
        settings.tenant_format,
        settings.permission_source,
        &names.roles,
        &names.permissions,
    );
    let text = serde_json::to_vec(&deciding).expect("lists of words and numbers are always JSON");
    first_word(&blake3::keyed_hash(settings.digest_key.expose(), &text))
}

#[cfg(test)]
mod tests;
