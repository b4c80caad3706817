//! Proves that a value in Redis was written by a node of ours, for this key and at this time.
//!
//! A value is stored as `v1.<at>.<mac>.<text>`: `at` is the time of the look-up in Unix seconds, `mac` is
//! HMAC-SHA256 in 64 lower-case hexadecimal digits, `text` is JSON. The MAC covers, under CACHE_MAC_KEY:
//! `floodgate cache v1`, the length of the key in bytes as 64 bits big-endian, the key, `at` as 64 bits big-endian,
//! the text. Only the last part has no stated length, so that no two triples give the same bytes. Binding the key
//! keeps an entry from being copied to another user; binding the time keeps an old one from coming back.

use aws_lc_rs::hmac;
use edge_worker::clock::UnixSeconds;
use edge_worker::config::secret::Secret;
use edge_worker::identity::digests::hexadecimal;

/// CACHE_MAC_KEY, at least so long.
pub const KEY_BYTES_MIN: usize = 32;
const DOMAIN: &[u8] = b"floodgate cache v1";
const VERSION: &str = "v1";

/// Signs and checks. Prints nothing of the key.
pub struct MacKey(hmac::Key);

/// No node of ours wrote this for this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value carries no MAC of this cluster")]
pub struct Forged;

impl MacKey {
    /// `None` for a key that is too short.
    #[must_use]
    pub fn new(secret: &Secret<String>) -> Option<MacKey> {
        let bytes = secret.expose().as_bytes();
        (bytes.len() >= KEY_BYTES_MIN).then(|| MacKey(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// What to store under `key`.
    #[must_use]
    pub fn seal(&self, key: &str, at: UnixSeconds, text: &str) -> String {
        let tag = hmac::sign(&self.0, &covered(key, at, text));
        format!("{VERSION}.{at}.{}.{text}", hexadecimal(tag.as_ref()))
    }

    /// The time and the text of what was found under `key`. Compares in constant time.
    pub fn open<'value>(&self, key: &str, value: &'value str) -> Result<(UnixSeconds, &'value str), Forged> {
        let mut parts = value.splitn(4, '.');
        let (Some(VERSION), Some(at), Some(tag), Some(text)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Forged);
        };
        // One text a number: no sign, no leading zeros.
        let at = at.parse().ok().filter(|number: &UnixSeconds| number.to_string() == at).ok_or(Forged)?;
        let tag = bytes(tag).ok_or(Forged)?;
        hmac::verify(&self.0, &covered(key, at, text), &tag).map_err(|_| Forged)?;
        Ok((at, text))
    }
}

fn covered(key: &str, at: UnixSeconds, text: &str) -> Vec<u8> {
    let length = u64::try_from(key.len()).unwrap_or(u64::MAX);
    [DOMAIN, &length.to_be_bytes(), key.as_bytes(), &at.to_be_bytes(), text.as_bytes()].concat()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
