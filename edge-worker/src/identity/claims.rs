//! What a token says: the strict reading of its three parts, and the claims that are left once it is proven.

use super::members::{Value, members};
use super::roles::Role;
use crate::clock::UnixSeconds;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shm::token_cache::{CachedToken, PermissionIds};
use shm::words::Text;
use std::borrow::Cow;

/// A compact JWS (RFC 7515 section 3.1), decoded but not believed.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// What the signature covers: the first two parts as they were sent.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
    header: Vec<u8>,
    claims: Vec<u8>,
}

/// The members of the header that mean something here. Keys that a token brings along (`jwk`, `jku`, `x5c`)
/// do not.
#[derive(Debug, PartialEq)]
pub struct Header<'a> {
    pub algorithm: Option<Cow<'a, str>>,
    pub kid: Option<Cow<'a, str>>,
}

/// The claims as sent. Absent, null and wrongly typed are one, where that gives the reason word the platform
/// wants.
#[derive(Debug, PartialEq)]
pub struct ClaimSet<'a> {
    pub subject: Option<Cow<'a, str>>,
    pub kind: Option<Cow<'a, str>>,
    pub jti: Option<Cow<'a, str>>,
    pub tenant: Option<Cow<'a, str>>,
    pub issuer: Option<Cow<'a, str>>,
    /// `aud`, a string or an array; empty if it is neither.
    pub audience: Option<Vec<Cow<'a, str>>>,
    pub role: Option<Cow<'a, str>>,
    pub permissions: Vec<Cow<'a, str>>,
    pub issued_at: Option<UnixSeconds>,
    pub not_before: Option<UnixSeconds>,
    pub expires_at: Option<UnixSeconds>,
}

impl<'a> Envelope<'a> {
    /// Splits and decodes; `None` unless it is three parts of base64url without padding (RFC 7515 section 2).
    #[must_use]
    pub fn open(token: &'a [u8]) -> Option<Self> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let signed = token.get(..header.len() + 1 + claims.len())?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        Some(Envelope { signed, signature, header, claims })
    }

    /// The header; `None` if it is malformed or names extensions (`crit`, RFC 7515 section 4.1.11), of which
    /// none is known.
    #[must_use]
    pub fn header(&self) -> Option<Header<'_>> {
        let [algorithm, kid, kind, critical] = members(&self.header, &["alg", "kid", "typ", "crit"])?;
        text_or_absent(kind)?;
        if critical.is_some() {
            return None;
        }
        Some(Header { algorithm: text_or_absent(algorithm)?, kid: text_or_absent(kid)? })
    }

    /// The claims; `None` if they are malformed.
    #[must_use]
    pub fn claims(&self) -> Option<ClaimSet<'_>> {
        let names =
            ["sub", "type", "jti", "tenant_id", "iss", "aud", "role", "permissions", "iat", "nbf", "exp"];
        let [subject, kind, jti, tenant, issuer, audience, role, permissions, issued, begins, expires] =
            members(&self.claims, &names)?;
        let role = text_or_null(role)?;
        let permissions = texts_or_null(permissions)?;
        let (issued_at, not_before) = (time_or_null(issued)?, time_or_null(begins)?);
        let expires_at = time_or_null(expires)?;
        Some(ClaimSet {
            subject: text(subject),
            kind: text(kind),
            jti: text(jti),
            tenant: text(tenant),
            issuer: text(issuer),
            audience: audiences(audience),
            role,
            permissions,
            issued_at,
            not_before,
            expires_at,
        })
    }
}

/// What a verified token says of its bearer. E-mail and names are never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub subject: String,
    /// UUIDs in lower case.
    pub tenant: String,
    pub jti: Option<String>,
    pub role: Role,
    /// The role's region id.
    pub role_id: u16,
    /// Region ids of the token's permissions in canonical words; those that no row knows are left out.
    pub permissions: Vec<u16>,
    /// Absent is 0, as the revocation epochs take it.
    pub issued_at: UnixSeconds,
    /// Absent is 0.
    pub not_before: UnixSeconds,
    pub expires_at: UnixSeconds,
    /// Fingerprint of the key that verified the token.
    pub key: u64,
    /// Fingerprint of the settings it was verified under.
    pub settings: u64,
}

impl Claims {
    /// The same for the region's token cache; `None` if a field is longer than the cache holds.
    #[must_use]
    pub fn cacheable(&self) -> Option<CachedToken> {
        Some(CachedToken {
            sub: Text::new(&self.subject)?,
            tenant: Text::new(&self.tenant)?,
            jti: Text::new(self.jti.as_deref().unwrap_or_default())?,
            role: self.role_id,
            permissions: PermissionIds::new(&self.permissions)?,
            issued_at: self.issued_at,
            not_before: self.not_before,
            expires_at: self.expires_at,
            validated_at: 0,
            key: self.key,
            settings: self.settings,
        })
    }
}

fn text(value: Option<Value<'_>>) -> Option<Cow<'_, str>> {
    match value {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn text_or_absent(value: Option<Value<'_>>) -> Option<Option<Cow<'_, str>>> {
    match value {
        None => Some(None),
        Some(value) => text(Some(value)).map(Some),
    }
}

fn text_or_null(value: Option<Value<'_>>) -> Option<Option<Cow<'_, str>>> {
    match value {
        Some(Value::Null) => Some(None),
        other => text_or_absent(other),
    }
}

fn texts_or_null(value: Option<Value<'_>>) -> Option<Vec<Cow<'_, str>>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Texts(texts)) => Some(texts),
        Some(_) => None,
    }
}

fn time_or_null(value: Option<Value<'_>>) -> Option<Option<UnixSeconds>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::Whole(seconds)) => Some(Some(seconds)),
        Some(_) => None,
    }
}

fn audiences(value: Option<Value<'_>>) -> Option<Vec<Cow<'_, str>>> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::Text(audience)) => Some(vec![audience]),
        Some(Value::Texts(audiences)) => Some(audiences),
        Some(_) => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
