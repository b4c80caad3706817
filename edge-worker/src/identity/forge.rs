//! Tokens for tests: any header over any claims, signed with the test-only keys.

use super::roles::vocabulary;
use super::verifier::Verifier;
use crate::clock::UnixSeconds;
use crate::config::NameTable;
use crate::config::routes::Row;
use crate::config::secret::Secret;
use crate::config::tokens::keys::from_pem;
use crate::config::tokens::{
    Algorithm, KeyMaterial, PermissionSource, PublicKey, TenantFormat, TokenSettings,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Scheme, EncodingKey};
use serde_json::{Value, json};
use shm::token_cache::TokenCache;

pub const CURRENT: &str = include_str!("../../../tests/keys/current.public.pem");
pub const PREVIOUS: &str = include_str!("../../../tests/keys/previous.public.pem");
pub const EC: &str = include_str!("../../../tests/keys/ec.public.pem");
pub const ED: &str = include_str!("../../../tests/keys/ed.public.pem");
pub const SECRET: &[u8] = b"a secret of the tests, long enough for HMAC";

/// The moment at which all tests ask.
pub const NOW: UnixSeconds = 1_800_000_000;
pub const SUBJECT: &str = "8a6e0804-2bd0-4672-b79d-d97027f9071a";
pub const TENANT: &str = "3f2b8c1e-9a4d-4c5b-8e7f-0123456789ab";
pub const JTI: &str = "11111111-1111-4111-8111-111111111111";

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    Current,
    Previous,
    Foreign,
    Ec,
    Ed,
    Secret,
    /// HMAC with the public key's PEM as the secret: the classic confusion of algorithms.
    PublicKeyAsSecret,
}

impl Signer {
    fn key(self) -> (Scheme, EncodingKey) {
        let rsa = |pem: &str| EncodingKey::from_rsa_pem(pem.as_bytes()).expect("an RSA key");
        match self {
            Self::Current => (Scheme::RS256, rsa(include_str!("../../../tests/keys/current.private.pem"))),
            Self::Previous => (Scheme::RS256, rsa(include_str!("../../../tests/keys/previous.private.pem"))),
            Self::Foreign => (Scheme::RS256, rsa(include_str!("../../../tests/keys/foreign.private.pem"))),
            Self::Ec => {
                let pem = include_bytes!("../../../tests/keys/ec.private.pem");
                (Scheme::ES256, EncodingKey::from_ec_pem(pem).expect("a P-256 key"))
            }
            Self::Ed => {
                let pem = include_bytes!("../../../tests/keys/ed.private.pem");
                (Scheme::EdDSA, EncodingKey::from_ed_pem(pem).expect("an Ed25519 key"))
            }
            Self::Secret => (Scheme::HS256, EncodingKey::from_secret(SECRET)),
            Self::PublicKeyAsSecret => (Scheme::HS256, EncodingKey::from_secret(CURRENT.as_bytes())),
        }
    }
}

/// A signed token of exactly this header and these claims, which need not be JSON.
pub fn raw_token(signer: Signer, header: &str, claims: &str) -> String {
    let (scheme, key) = signer.key();
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, scheme).expect("signed");
    format!("{message}.{signature}")
}

/// A token of the current RSA key.
pub fn token(claims: &Value) -> String {
    raw_token(Signer::Current, r#"{"alg":"RS256","typ":"JWT","kid":"current"}"#, &claims.to_string())
}

/// Claims as auth-service writes them, with `changes` on top.
pub fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "sub": SUBJECT, "type": "access", "jti": JTI, "tenant_id": TENANT, "email": "fan@example.com",
        "permissions": ["buy:tickets", "view:events", "transfer:tickets"], "role": "customer",
        "iat": NOW - 60, "exp": NOW + 840, "iss": "tickettoken-auth", "aud": "tickettoken-auth",
    });
    let changes = changes.as_object().expect("an object of changes");
    claims.as_object_mut().expect("an object").extend(changes.clone());
    claims
}

/// The claims without one of them.
pub fn claims_without(name: &str) -> Value {
    let mut claims = claims(json!({}));
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

/// RS256 with the current and the previous key.
pub fn settings() -> TokenSettings {
    TokenSettings {
        algorithms: vec![Algorithm::Rs256],
        keys: vec![public("current", CURRENT, 1), public("previous", PREVIOUS, 2)],
        renewable: false,
        hs256_secret: None,
        issuers: vec!["tickettoken-auth".to_owned()],
        audiences: vec!["tickettoken-auth".to_owned()],
        clock_skew_s: 30,
        tenant_format: TenantFormat::Uuid,
        permission_source: PermissionSource::Union,
        digest_key: Secret::new([7; 32]),
    }
}

/// Every algorithm and every key.
pub fn open_settings() -> TokenSettings {
    let mut settings = settings();
    settings.algorithms = vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];
    settings.keys.extend([public("ec", EC, 3), public("ed", ED, 4)]);
    settings.hs256_secret = Some(Secret::new(SECRET.to_vec()));
    settings
}

pub fn public(kid: &str, pem: &str, fingerprint: u64) -> PublicKey {
    PublicKey { fingerprint, ..from_pem(pem, kid).expect("a public key") }
}

pub fn key(kid: &str, algorithm: Algorithm, material: KeyMaterial, fingerprint: u64) -> PublicKey {
    PublicKey { kid: kid.to_owned(), algorithm, material, fingerprint }
}

/// The vocabulary of `rows`, with ids as the supervisor would give them.
pub fn names(rows: &[Row]) -> NameTable {
    let (roles, permissions) = vocabulary(rows);
    let role_ids = 1..;
    let permission_ids = 100..;
    NameTable {
        roles: roles.into_iter().zip(role_ids).collect(),
        permissions: permissions.into_iter().zip(permission_ids).collect(),
        ..NameTable::default()
    }
}

pub fn verifier(settings: &TokenSettings) -> Verifier {
    Verifier::new(settings, &names(&[])).expect("usable settings")
}

/// The token cache of a region of its own.
pub fn token_cache() -> &'static TokenCache {
    &shm::SupervisorRegion::create().expect("a region").shared().token_cache
}
