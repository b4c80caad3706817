//! The keys that tokens are verified with. Each is bound to one algorithm, so that no token can choose how a
//! key is used.

use super::ready_rsa::ReadyRsa;
use crate::config::secret::Secret;
use crate::config::tokens::jwks::is_kid;
use crate::config::tokens::{Algorithm, KeyMaterial, PublicKey, TokenSettings};
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm as Scheme, DecodingKey, DecodingKeyKind};

/// Kids that auth-service writes. They name no certain key: after a rotation live tokens still say `current`.
const PLATFORM_KIDS: [&str; 3] = ["current", "previous", "dev"];
/// Uncompressed P-256 point (SEC 1 section 2.3.3): a tag and two coordinates.
const EC_POINT_BYTES: usize = 65;
const ED_POINT_BYTES: usize = 32;
/// 2048 bits.
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// The keys of the accepted algorithms.
pub struct KeyRing {
    keys: Vec<Key>,
    /// Accepted even while there is no key for them, because one can be fetched.
    awaited: Vec<Algorithm>,
}

/// Why a key cannot be used. Names the key, never its material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("the key {0:?} is not a readable public key of its algorithm")]
    Unreadable(String),
    /// A public key as HMAC secret lets everyone who knows it sign tokens.
    #[error("the HS256 secret holds a PEM block; a public key cannot be a secret")]
    SecretIsPem,
    #[error("the names of the roles were not interned before the verifier was built")]
    RolesUnnamed,
}

struct Key {
    kid: String,
    algorithm: Algorithm,
    fingerprint: u64,
    verifier: Box<dyn JwtVerifier>,
}

impl KeyRing {
    /// Loads the keys of the accepted algorithms.
    ///
    /// # Errors
    /// A key that cannot be read.
    pub fn new(settings: &TokenSettings, public: &[PublicKey]) -> Result<KeyRing, KeyFault> {
        let mut keys = Vec::new();
        for key in public {
            if settings.algorithms.contains(&key.algorithm) {
                keys.push(public_key(key).ok_or_else(|| KeyFault::Unreadable(key.kid.clone()))?);
            }
        }
        if let Some(secret) = &settings.hs256_secret
            && settings.algorithms.contains(&Algorithm::Hs256)
        {
            keys.push(shared_key(secret, &settings.digest_key)?);
        }
        let renewable =
            settings.algorithms.iter().filter(|one| settings.renewable && **one != Algorithm::Hs256);
        Ok(KeyRing { keys, awaited: renewable.copied().collect() })
    }

    /// The algorithm that a header names, if it is accepted and there is a key for it, or can be. `none` never is.
    #[must_use]
    pub fn algorithm(&self, name: &str) -> Option<Algorithm> {
        let algorithm = match name {
            "RS256" => Algorithm::Rs256,
            "ES256" => Algorithm::Es256,
            "EdDSA" => Algorithm::EdDsa,
            "HS256" => Algorithm::Hs256,
            _ => return None,
        };
        let held = self.keys.iter().any(|key| key.algorithm == algorithm);
        (held || self.awaited.contains(&algorithm)).then_some(algorithm)
    }

    /// Whether a token of `algorithm` may name `kid`. HS256 has one key, so its kid says nothing.
    #[must_use]
    pub fn knows(&self, algorithm: Algorithm, kid: &str) -> bool {
        algorithm == Algorithm::Hs256
            || PLATFORM_KIDS.contains(&kid)
            || self.keys.iter().any(|key| key.algorithm == algorithm && key.kid == kid)
    }

    /// The fingerprint of the key that made `signature` over `message`. All keys of the algorithm are tried;
    /// `kid` only picks the first.
    #[must_use]
    pub fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> Option<u64> {
        let named = |key: &&Key| Some(key.kid.as_str()) == kid;
        let usable = || self.keys.iter().filter(|key| key.algorithm == algorithm);
        usable()
            .filter(named)
            .chain(usable().filter(|key| !named(key)))
            .find(|key| key.verifier.verify(message, signature).is_ok())
            .map(|key| key.fingerprint)
    }

    /// Whether a key that is not here yet could be the one that a token of `algorithm` with this kid was signed with. A
    /// label of the platform names no certain key, and neither does none at all.
    #[must_use]
    pub fn may_come(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let open = |kid: &str| PLATFORM_KIDS.contains(&kid) || (is_kid(kid) && !self.knows(algorithm, kid));
        self.awaited.contains(&algorithm) && kid.is_none_or(open)
    }

    /// Whether a token that was verified with this key would still be.
    #[must_use]
    pub fn holds(&self, fingerprint: u64) -> bool {
        self.keys.iter().any(|key| key.fingerprint == fingerprint)
    }
}

fn public_key(key: &PublicKey) -> Option<Key> {
    let material = decoding_key(key).filter(|material| is_well_sized(key.algorithm, material))?;
    let verifier: Box<dyn JwtVerifier> = match material.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => Box::new(ReadyRsa::new(n, e)?),
        DecodingKeyKind::SecretOrDer(_) => {
            let scheme = if key.algorithm == Algorithm::Es256 { Scheme::ES256 } else { Scheme::EdDSA };
            (DEFAULT_PROVIDER.verifier_factory)(&scheme, &material).ok()?
        }
    };
    Some(Key { kid: key.kid.clone(), algorithm: key.algorithm, fingerprint: key.fingerprint, verifier })
}

/// The fingerprint enters the region, so it is keyed: it must not let a reader test guesses of the secret.
fn shared_key(secret: &Secret<Vec<u8>>, digest_key: &Secret<[u8; 32]>) -> Result<Key, KeyFault> {
    let pem = b"-----BEGIN ";
    if secret.expose().windows(pem.len()).any(|window| window == pem) {
        return Err(KeyFault::SecretIsPem);
    }
    let digest = blake3::keyed_hash(digest_key.expose(), secret.expose());
    let material = DecodingKey::from_secret(secret.expose());
    Ok(Key {
        kid: String::new(),
        algorithm: Algorithm::Hs256,
        fingerprint: first_word(&digest),
        verifier: (DEFAULT_PROVIDER.verifier_factory)(&Scheme::HS256, &material)
            .expect("a key made from a secret is an HMAC key"),
    })
}

fn decoding_key(key: &PublicKey) -> Option<DecodingKey> {
    let read = match (key.algorithm, &key.material) {
        (Algorithm::Rs256, KeyMaterial::Rsa { n, e }) => DecodingKey::from_rsa_components(n, e),
        (Algorithm::Es256, KeyMaterial::Ec { x, y }) => DecodingKey::from_ec_components(x, y),
        (Algorithm::EdDsa, KeyMaterial::Ed { x }) => DecodingKey::from_ed_components(x),
        _ => return None,
    };
    read.ok()
}

/// A key of a wrong size would only show as a bad signature of every token.
fn is_well_sized(algorithm: Algorithm, material: &DecodingKey) -> bool {
    match material.kind() {
        DecodingKeyKind::SecretOrDer(point) if algorithm == Algorithm::Es256 => point.len() == EC_POINT_BYTES,
        DecodingKeyKind::SecretOrDer(point) => point.len() == ED_POINT_BYTES,
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= RSA_MODULUS_BYTES_MIN,
    }
}

/// The first eight bytes of a digest; never 0, which means no key.
pub(super) fn first_word(digest: &blake3::Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
}

#[cfg(test)]
mod tests;
