//! The keys under which the region remembers users, venues and tokens: keyed digests, so that nobody who can
//! choose an id can choose where it lands or make two of them one.

use super::uuid::Uuid;

/// Makes digests under the node's key, which is new at each start of the supervisor.
#[derive(Clone)]
pub struct Digests {
    key: [u8; 32],
}

/// What a digest stands for; a digest of one kind is never one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    User = 1,
    Venue,
    Decision,
    Tenant,
    TokenId,
    WholeToken,
    Fingerprint,
    ApiKey,
}

impl Digests {
    #[must_use]
    pub fn new(key: [u8; 32]) -> Digests {
        Digests { key }
    }

    /// Of a user within its tenant.
    #[must_use]
    pub fn user(&self, tenant: &str, subject: &str) -> [u8; 32] {
        self.digest(Kind::User, &[tenant, subject])
    }

    #[must_use]
    pub fn venue(&self, venue: &str) -> [u8; 32] {
        self.digest(Kind::Venue, &[venue])
    }

    /// Of what a user may do at a venue; `permission` where the service is asked for one at a time.
    #[must_use]
    pub fn decision(&self, tenant: &str, subject: &str, venue: &str, permission: Option<&str>) -> [u8; 32] {
        self.digest(Kind::Decision, &[tenant, subject, venue, permission.unwrap_or_default()])
    }

    #[must_use]
    pub fn tenant(&self, tenant: &str) -> [u8; 32] {
        self.digest(Kind::Tenant, &[tenant])
    }

    /// Of a `jti`.
    #[must_use]
    pub fn token_id(&self, jti: &str) -> [u8; 32] {
        self.digest(Kind::TokenId, &[jti])
    }

    /// Of a token without `jti`, from the hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn whole_token(&self, digits: &str) -> [u8; 32] {
        self.digest(Kind::WholeToken, &[digits])
    }

    /// Of an API key, which is not an id: letter case counts.
    #[must_use]
    pub fn api_key(&self, key: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[Kind::ApiKey as u8]).update(key.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Tells this key from others, and says nothing of it. Never zero.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.digest(Kind::Fingerprint, &[]);
        u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
    }

    /// Every part stands behind its length, so that no two lists of parts look alike; case tells ids apart, but for
    /// UUIDs.
    fn digest(&self, kind: Kind, parts: &[&str]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[kind as u8]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            match Uuid::parse(part.as_bytes()) {
                Some(uuid) => hasher.update(uuid.as_str().as_bytes()),
                None => hasher.update(part.as_bytes()),
            };
        }
        *hasher.finalize().as_bytes()
    }
}

/// The SHA-256 of a whole token, in lower-case hexadecimal digits: the name of a token that has no id.
#[must_use]
pub fn sha256_digits(token: &[u8]) -> String {
    hexadecimal(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token).as_ref())
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests;
