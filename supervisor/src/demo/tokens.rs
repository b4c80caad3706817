//! Tokens as auth-service issues them, signed by a key that is made at start and never stored.

use super::people::Person;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use edge_worker::identity::uuid;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::json;
use std::io;

/// Signs access tokens.
pub struct Issuer {
    key: EncodingKey,
    public_pem: String,
}

impl Issuer {
    /// Generates an RSA key of 2048 bits; takes a fraction of a second.
    pub fn generate() -> io::Result<Issuer> {
        let failed = |what: &'static str| move |_| io::Error::other(what);
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed("no RSA key can be generated"))?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed("the RSA key cannot be encoded"))?;
        let public: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(failed("the RSA key cannot be encoded"))?;
        let private_pem = pem("PRIVATE KEY", private.as_ref());
        let key = EncodingKey::from_rsa_pem(private_pem.as_bytes()).map_err(io::Error::other)?;
        Ok(Issuer { key, public_pem: pem("PUBLIC KEY", public.as_ref()) })
    }

    /// What the edge verifies with (`JWT_PUBLIC_KEY`).
    #[must_use]
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// An access token of 15 minutes. `now_s` is Unix time.
    pub fn access_token(&self, person: &Person, now_s: i64) -> io::Result<String> {
        let header = Header { kid: Some("current".to_owned()), ..Header::new(Algorithm::RS256) };
        let claims = json!({
            "sub": person.id,
            "type": "access",
            "jti": uuid::random(),
            "tenant_id": person.tenant.id,
            "email": person.email,
            "permissions": person.permissions,
            "role": person.role,
            "iat": now_s,
            "exp": now_s + ACCESS_TOKEN_S,
            "iss": ISSUER,
            "aud": ISSUER,
        });
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(io::Error::other)
    }

    /// Whose token this is, if it is one of ours and still good.
    #[must_use]
    pub fn subject(&self, token: &str) -> Option<String> {
        let key = DecodingKey::from_rsa_pem(self.public_pem.as_bytes()).ok()?;
        let mut rules = Validation::new(Algorithm::RS256);
        rules.set_audience(&[ISSUER]);
        rules.set_issuer(&[ISSUER]);
        let verified = jsonwebtoken::decode::<serde_json::Value>(token, &key, &rules).ok()?;
        verified.claims.get("sub")?.as_str().map(str::to_owned)
    }
}

/// Text form of a key (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The issuer that deployments name; the edge's default in development.
pub const ISSUER: &str = "tickettoken-auth";
pub const ACCESS_TOKEN_S: i64 = 900;

#[cfg(test)]
mod tests;
