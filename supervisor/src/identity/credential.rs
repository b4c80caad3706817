//! How a question proves where it comes from. Written anew for each attempt: nonces are good once.

use super::hmac::{Covered, Signer};
use super::outage::{Alarm, Outage, Why};
use super::service_jwt::{ServiceJwt, Unable};
use edge_worker::clock;
use edge_worker::config::lookups::identity::{CredentialMode, IdentitySettings, VenueAccessMode};
use edge_worker::config::secret::Secret;
use edge_worker::config::services::ServiceId;
use edge_worker::identity::uuid;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

#[derive(Clone)]
pub enum Credential {
    /// Mode none, or no credential configured: the service decides what that is worth.
    Nobody,
    /// The user's own token.
    Bearer(Secret<String>),
    ServiceJwt(Arc<ServiceJwt>),
    Signature(Arc<Signer>),
}

/// The question a credential is for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub service: ServiceId,
    pub method: &'a str,
    pub target: &'a str,
    pub body: &'a [u8],
}

impl Credential {
    /// What auth-service is asked with (`AUTH_S2S_MODE`).
    pub fn of_settings(settings: &IdentitySettings) -> Result<Credential, Unable> {
        Ok(match settings.mode {
            CredentialMode::ServiceJwt => match &settings.service_token {
                Some(token) => Self::ServiceJwt(Arc::new(ServiceJwt::new(token)?)),
                None => Self::Nobody,
            },
            CredentialMode::Hmac => Self::signature(settings),
            CredentialMode::None => Self::Nobody,
        })
    }

    /// What venue-service is asked with in mode hmac (`VENUE_ACCESS_MODE`); in mode bearer it is the user's token.
    #[must_use]
    pub fn for_venues(settings: &IdentitySettings) -> Option<Credential> {
        (settings.venue_access_mode == VenueAccessMode::Hmac).then(|| Self::signature(settings))
    }

    fn signature(settings: &IdentitySettings) -> Credential {
        match &settings.signature {
            Some(signature) => Self::Signature(Arc::new(Signer::new(signature))),
            None => Self::Nobody,
        }
    }

    /// Adds the credential's headers.
    pub fn write(&self, subject: Subject<'_>, headers: &mut HeaderMap) -> Result<(), Outage> {
        match self {
            Self::Nobody => Ok(()),
            Self::Bearer(token) => {
                put(headers, AUTHORIZATION, &format!("Bearer {}", token.expose()), Why::Unaskable.into())
            }
            Self::ServiceJwt(tokens) => {
                let outage = Outage { why: Why::Unsigned, alarm: Some(Alarm::CannotSign) };
                let token = tokens.token(clock::wall_seconds()).map_err(|_| outage)?;
                put(headers, HeaderName::from_static("x-service-token"), token.expose(), outage)
            }
            Self::Signature(signer) => {
                let Subject { service, method, target, body } = subject;
                let (timestamp_ms, nonce) = (clock::wall_millis(), uuid::random());
                let covered = Covered { service, method, target, body, timestamp_ms, nonce: &nonce };
                signer.headers(covered).into_iter().try_for_each(|(name, value)| {
                    put(headers, HeaderName::from_static(name), &value, Why::Unsigned.into())
                })
            }
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str, otherwise: Outage) -> Result<(), Outage> {
    let mut value = HeaderValue::from_str(value).map_err(|_| otherwise)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
