//! Public keys from a JWKS (RFC 7517), local or fetched: RSA, EC P-256 and OKP Ed25519 (RFC 7518, RFC 8037).

use super::keys::{KeyProblem, Labelled, PublicPart, strip_zeros};
use super::{Algorithm, PublicKey};
use crate::config::environment::read_text;
use crate::config::limits::CONFIGURATION_FILE_BYTES_MAX;
use crate::config::lookup::Lookup;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// A private part.
    d: Option<serde::de::IgnoredAny>,
    /// A shared secret.
    k: Option<serde::de::IgnoredAny>,
}

/// Adds the keys of `JWKS_FILE`. Entries for encryption are passed over; any other that cannot be used is a
/// problem, because the file is local and somebody put it there.
pub(super) fn read(lookup: &mut Lookup, all: &mut Vec<Labelled>) {
    let name = "JWKS_FILE";
    let Some(path) = lookup.text(name).map(ToOwned::to_owned) else { return };
    let remedy = "name a JSON file with `keys` (RFC 7517)";
    let text = match read_text(Path::new(&path), CONFIGURATION_FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(what) => return lookup.refuse(name, format!("names a file that {what}"), remedy),
    };
    let entries = match entries(text.as_bytes()) {
        Ok(entries) => entries,
        // The error's own text could repeat a value of the file.
        Err(error) => {
            let what =
                format!("names a file that is no JWKS (line {}, column {})", error.line(), error.column());
            return lookup.refuse(name, what, remedy);
        }
    };
    let place = lookup.place(name);
    if entries.is_empty() {
        lookup.refuse(name, "names a JWKS without keys for signatures", remedy);
    }
    for (index, key) in entries {
        match key {
            Ok(key) if all.iter().any(|other| other.key.kid == key.kid) => {
                let what = format!("keys[{index}] has a kid that another key has already");
                lookup.problem(name, what, "give each key its own kid");
            }
            Ok(key) => all.push(Labelled { key, place: format!("{place} keys[{index}]") }),
            Err(fault) => {
                lookup.problem(name, format!("keys[{index}] {fault}"), "correct or remove the entry")
            }
        }
    }
}

/// An entry's place in its document, and the key or why it is none.
pub type Numbered = (usize, Result<PublicKey, EntryProblem>);

/// Every entry that is not for encryption.
///
/// # Errors
/// If the text is no JWKS. The error's own words could repeat a value of the text.
pub fn entries(text: &[u8]) -> Result<Vec<Numbered>, serde_json::Error> {
    let document: Document = serde_json::from_slice(text)?;
    let entries = document.keys.iter().enumerate().filter(|(_, entry)| !entry.is_for_encryption());
    Ok(entries.map(|(index, entry)| (index, key(entry))).collect())
}

impl Entry {
    fn is_for_encryption(&self) -> bool {
        self.purpose.as_deref() == Some("enc")
    }
}

/// Why an entry is no key that can be used.
#[derive(Debug, thiserror::Error)]
pub enum EntryProblem {
    #[error("has no kid of 1 to 128 visible characters")]
    Kid,
    #[error("names an algorithm that does not fit its key")]
    Algorithm,
    #[error("lacks a member or has one that is not base64url")]
    Member,
    #[error("{0}")]
    Key(#[from] KeyProblem),
}

fn key(entry: &Entry) -> Result<PublicKey, EntryProblem> {
    if entry.d.is_some() || entry.k.is_some() {
        return Err(KeyProblem::Private.into());
    }
    let kid = entry.kid.as_deref().filter(|kid| is_kid(kid)).ok_or(EntryProblem::Kid)?;
    let part = public_part(entry)?;
    part.check()?;
    let algorithm = part.algorithm();
    if entry.alg.as_deref().is_some_and(|named| !names(named, algorithm)) {
        return Err(EntryProblem::Algorithm);
    }
    Ok(PublicKey {
        kid: kid.to_owned(),
        algorithm,
        fingerprint: part.fingerprint(),
        material: part.material(),
    })
}

fn public_part(entry: &Entry) -> Result<PublicPart, EntryProblem> {
    match (entry.kty.as_str(), entry.crv.as_deref()) {
        ("RSA", _) => Ok(PublicPart::Rsa {
            modulus: strip_zeros(&member(entry.n.as_ref())?).to_vec(),
            exponent: strip_zeros(&member(entry.e.as_ref())?).to_vec(),
        }),
        ("EC", Some("P-256")) => {
            Ok(PublicPart::Ec { x: member(entry.x.as_ref())?, y: member(entry.y.as_ref())? })
        }
        ("OKP", Some("Ed25519")) => Ok(PublicPart::Ed { x: member(entry.x.as_ref())? }),
        _ => Err(KeyProblem::Damaged.into()),
    }
}

fn member(text: Option<&String>) -> Result<Vec<u8>, EntryProblem> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(EntryProblem::Member)
}

/// What a kid can be.
#[must_use]
pub fn is_kid(kid: &str) -> bool {
    (1..=128).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic())
}

/// RFC 9864 names Ed25519 itself as an algorithm, older files write EdDSA.
fn names(text: &str, algorithm: Algorithm) -> bool {
    text == algorithm.as_str() || (algorithm == Algorithm::EdDsa && text == "Ed25519")
}

#[cfg(test)]
mod tests;
