//! How access tokens are verified.

use super::secret::Secret;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenSettings {
    pub algorithms: Vec<Algorithm>,
    pub keys: Vec<PublicKey>,
    /// `JWT_SECRET`, only with HS256.
    pub hs256_secret: Option<Secret<Vec<u8>>>,
    pub issuers: Vec<String>,
    pub audiences: Vec<String>,
    pub clock_skew_s: u32,
    pub tenant_format: TenantFormat,
    pub permission_source: PermissionSource,
    /// New at each supervisor start; keys the digest under which tokens are cached.
    pub digest_key: Secret<[u8; 32]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "HS256")]
    Hs256,
}

/// A public key with its labels. Identity of a key is the fingerprint of its public part, never `kid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// `current`, `previous` or the JWKS entry's kid.
    pub kid: String,
    pub algorithm: Algorithm,
    pub material: KeyMaterial,
    /// First 8 bytes of BLAKE3 over the public part; never 0.
    pub fingerprint: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyMaterial {
    Pem(String),
    /// RSA modulus and exponent, base64url as in a JWKS.
    Rsa {
        n: String,
        e: String,
    },
    /// P-256 point coordinates, base64url.
    Ec {
        x: String,
        y: String,
    },
    /// Ed25519 point, base64url.
    Ed {
        x: String,
    },
}

/// `TENANT_ID_FORMAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantFormat {
    Uuid,
    Opaque,
}

/// `RBAC_PERMISSION_SOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionSource {
    Union,
    Token,
    Role,
}
