//! Public keys from PEM: read, measured, fingerprinted, and proven to load where signatures are verified.

use super::{Algorithm, KeyMaterial, PublicKey, jwks};
use crate::config::limits::KEYS_MAX;
use crate::config::lookup::Lookup;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;

/// A key with the place that it was read from.
#[derive(Debug)]
pub struct Labelled {
    pub key: PublicKey,
    pub place: String,
}

/// What is public about a key, in one form whatever the file format. Integers have no leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicPart {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// P-256, 32 bytes each.
    Ec {
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// 32 bytes.
    Ed {
        x: Vec<u8>,
    },
}

/// Why a text is no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    #[error("is neither PEM nor base64 of PEM")]
    NotPem,
    #[error("holds a private key, which must never reach the edge")]
    Private,
    #[error("holds a certificate or something else that is no public key")]
    NotPublicKey,
    #[error("holds more than one key")]
    Several,
    #[error("is damaged or of a kind that is not supported (RSA, EC P-256 and Ed25519 are)")]
    Damaged,
    #[error("is an RSA key of less than 2048 bits")]
    Weak,
    #[error("is an RSA key of more than 8192 bits")]
    Oversized,
    #[error("is an RSA key with an unusable exponent")]
    Exponent,
}

/// All keys of the configuration: PEM current, PEM previous, then the JWKS in its order.
pub(in crate::config) fn read(lookup: &mut Lookup) -> Vec<Labelled> {
    let mut all = Vec::new();
    for (name, kid) in [("JWT_PUBLIC_KEY", "current"), ("JWT_PUBLIC_KEY_PREVIOUS", "previous")] {
        let Some(text) = lookup.text(name) else { continue };
        match from_pem(text, kid) {
            Ok(key) => all.push(Labelled { key, place: lookup.place(name) }),
            Err(fault) => {
                lookup.refuse(name, fault.to_string(), "set the public key of auth-service (SPKI in PEM)")
            }
        }
    }
    jwks::read(lookup, &mut all);
    if all.len() > KEYS_MAX {
        lookup.refuse("JWKS_FILE", format!("brings the keys to more than {KEYS_MAX}"), "remove old keys");
    }
    let repeated =
        |key: &PublicKey| all.iter().filter(|other| other.key.fingerprint == key.fingerprint).count() > 1;
    if let Some(previous) =
        all.iter().find(|labelled| labelled.key.kid == "previous" && repeated(&labelled.key))
    {
        let what = "is also configured under another name";
        lookup.report.warning(previous.place.clone(), what, "remove it once the rotation is over");
    }
    all
}

/// A key from PEM, or from base64 of PEM. A literal `\n` counts as a line end, as environment files write it.
pub fn from_pem(text: &str, kid: &str) -> Result<PublicKey, KeyProblem> {
    let decoded = decode_base64_pem(text);
    let pem = decoded.as_deref().unwrap_or(text).replace("\\n", "\n").replace('\r', "");
    check_labels(&pem)?;
    let part = part_of_pem(pem.as_bytes())?;
    part.check()?;
    Ok(PublicKey {
        kid: kid.to_owned(),
        algorithm: part.algorithm(),
        fingerprint: part.fingerprint(),
        material: part.material(),
    })
}

fn decode_base64_pem(text: &str) -> Option<String> {
    let compact: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(compact).ok()?;
    String::from_utf8(bytes).ok()
}

/// One block, and a public key by its label; the DER decides the rest.
fn check_labels(pem: &str) -> Result<(), KeyProblem> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(KeyProblem::Private);
    }
    let label = pem
        .split("-----BEGIN ")
        .nth(1)
        .and_then(|rest| rest.split_once("-----"))
        .ok_or(KeyProblem::NotPem)?
        .0;
    match (label, pem.matches("-----BEGIN ").count()) {
        ("PUBLIC KEY" | "RSA PUBLIC KEY", 1) => Ok(()),
        ("PUBLIC KEY" | "RSA PUBLIC KEY", _) => Err(KeyProblem::Several),
        _ => Err(KeyProblem::NotPublicKey),
    }
}

/// The key as the verifier will load it, taken apart.
pub(super) fn part_of_pem(pem: &[u8]) -> Result<PublicPart, KeyProblem> {
    let bytes =
        |key: &DecodingKey| key.try_get_as_bytes().map(<[u8]>::to_vec).map_err(|_| KeyProblem::Damaged);
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        let (modulus, exponent) = rsa_integers(&bytes(&key)?).ok_or(KeyProblem::Damaged)?;
        return Ok(PublicPart::Rsa { modulus, exponent });
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        return if is_p256(pem) { ec_point(&bytes(&key)?) } else { Err(KeyProblem::Damaged) };
    }
    let key = DecodingKey::from_ed_pem(pem).map_err(|_| KeyProblem::Damaged)?;
    Ok(PublicPart::Ed { x: bytes(&key)? })
}

/// Whether the DER names the curve prime256v1 (RFC 5480 section 2.1.1.1): other curves have points of 65 bytes, too.
fn is_p256(pem: &[u8]) -> bool {
    const PRIME256V1: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let text = String::from_utf8_lossy(pem);
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(body).is_ok_and(|der| der.windows(PRIME256V1.len()).any(|window| window == PRIME256V1))
}

/// An uncompressed point (SEC 1 section 2.3.3).
fn ec_point(bytes: &[u8]) -> Result<PublicPart, KeyProblem> {
    match bytes.split_first() {
        Some((4, point)) if point.len() == 64 => {
            let (x, y) = point.split_at(32);
            Ok(PublicPart::Ec { x: x.to_vec(), y: y.to_vec() })
        }
        _ => Err(KeyProblem::Damaged),
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 appendix A.1.1), without leading zeros.
fn rsa_integers(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (sequence, rest) = element(0x30, der)?;
    let (modulus, tail) = element(0x02, sequence)?;
    let (exponent, end) = element(0x02, tail)?;
    let complete = rest.is_empty() && end.is_empty();
    complete.then(|| (strip_zeros(modulus).to_vec(), strip_zeros(exponent).to_vec()))
}

/// The content of a DER element with this tag, and what follows it (X.690 section 8.1).
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum * 256 + usize::from(*digit)), rest)
        }
        _ => return None,
    };
    if *first != tag { None } else { rest.split_at_checked(length) }
}

/// An unsigned integer without its leading zeros.
#[must_use]
pub fn strip_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.split_at(zeros).1
}

impl PublicPart {
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::Ec { .. } => Algorithm::Es256,
            Self::Ed { .. } => Algorithm::EdDsa,
        }
    }

    /// RSA of 2048 to 8192 bits with an odd exponent from 3 to 33 bits, as the verifying library accepts;
    /// points of 32 bytes a coordinate.
    pub fn check(&self) -> Result<(), KeyProblem> {
        match self {
            Self::Rsa { modulus, .. } if bits(modulus) < 2_048 => Err(KeyProblem::Weak),
            Self::Rsa { modulus, .. } if bits(modulus) > 8_192 => Err(KeyProblem::Oversized),
            Self::Rsa { exponent, .. } => {
                let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
                if odd && (2..=33).contains(&bits(exponent)) { Ok(()) } else { Err(KeyProblem::Exponent) }
            }
            Self::Ec { x, y } if x.len() == 32 && y.len() == 32 => Ok(()),
            Self::Ed { x } if x.len() == 32 => Ok(()),
            _ => Err(KeyProblem::Damaged),
        }
    }

    /// First 8 bytes of BLAKE3 over kind and length-prefixed parts; never 0.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let (kind, parts): (&[u8], [&[u8]; 2]) = match self {
            Self::Rsa { modulus, exponent } => (b"RSA", [modulus, exponent]),
            Self::Ec { x, y } => (b"EC", [x, y]),
            Self::Ed { x } => (b"ED", [x, &[]]),
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(kind);
        for part in parts {
            hasher.update(&part.len().to_le_bytes()).update(part);
        }
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first).max(1)
    }

    /// As a JWKS holds it.
    #[must_use]
    pub fn material(&self) -> KeyMaterial {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa { modulus, exponent } => KeyMaterial::Rsa { n: text(modulus), e: text(exponent) },
            Self::Ec { x, y } => KeyMaterial::Ec { x: text(x), y: text(y) },
            Self::Ed { x } => KeyMaterial::Ed { x: text(x) },
        }
    }
}

fn bits(integer: &[u8]) -> usize {
    let first = integer.first().map_or(0, |byte| byte.checked_ilog2().map_or(0, |power| power + 1));
    integer.len().saturating_sub(1) * 8 + usize::try_from(first).unwrap_or(0)
}

#[cfg(test)]
mod tests;
