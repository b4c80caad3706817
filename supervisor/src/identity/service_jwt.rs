//! The edge's own token for services: signed, kept for most of its life, then signed anew.

use edge_worker::clock::UnixSeconds;
use edge_worker::config::lookups::identity::ServiceToken;
use edge_worker::config::secret::Secret;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::sync::{Mutex, PoisonError};

/// Life of a token, `platform.md` section 5.
pub const LIFE_S: i64 = 600;
/// A token is replaced at this age: 80 % of its life.
pub const RENEWAL_AGE_S: i64 = 480;
const SUBJECT: &str = "api-gateway";

const _: () = assert!(RENEWAL_AGE_S * 10 == LIFE_S * 8);

/// Gives the value of `x-service-token`.
pub enum ServiceJwt {
    Fixed(Secret<String>),
    Signed { key: EncodingKey, current: Mutex<Option<Issued>> },
}

pub struct Issued {
    token: Secret<String>,
    at_s: UnixSeconds,
}

/// The key does not sign; says nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service key cannot sign")]
pub struct Unable;

impl ServiceJwt {
    pub fn new(settings: &ServiceToken) -> Result<ServiceJwt, Unable> {
        match settings {
            ServiceToken::Fixed(token) => Ok(Self::Fixed(token.clone())),
            ServiceToken::Signed(pem) => {
                let key = EncodingKey::from_rsa_pem(pem.expose().as_bytes()).map_err(|_| Unable)?;
                Ok(Self::Signed { key, current: Mutex::new(None) })
            }
        }
    }

    /// A token that is good for at least a fifth of its life. `now_s` is the wall clock; one that was set back
    /// makes a new token, because the old one would seem to come from the future.
    pub fn token(&self, now_s: UnixSeconds) -> Result<Secret<String>, Unable> {
        let (key, current) = match self {
            Self::Fixed(token) => return Ok(token.clone()),
            Self::Signed { key, current } => (key, current),
        };
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(issued) = &*current
            && (0..RENEWAL_AGE_S).contains(&(now_s - issued.at_s))
        {
            return Ok(issued.token.clone());
        }
        let claims = json!({ "sub": SUBJECT, "type": "service", "iat": now_s, "exp": now_s + LIFE_S });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key).map_err(|_| Unable)?;
        let token = Secret::new(token);
        *current = Some(Issued { token: token.clone(), at_s: now_s });
        Ok(token)
    }
}

#[cfg(test)]
mod tests;
