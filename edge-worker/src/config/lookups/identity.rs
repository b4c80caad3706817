//! What the supervisor's clients of auth-service and venue-service need to know, with their credentials.
//! None of it reaches a worker.

use super::super::headers::forbid;
use super::super::lookup::Lookup;
use super::super::secret::Secret;
use super::super::services::ServiceId;
use super::super::tokens::{KeyMaterial, TokenSettings};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// The look-ups of `platform.md` section 5. Templates start with `/` and hold only their named placeholders.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    pub user_check: UserCheck,
    /// `AUTH_USER_PATH`, with `{userId}`.
    pub user_path: String,
    /// `AUTH_USER_STALE_SECS`: age up to which a record serves during an outage.
    pub user_stale_s: u64,
    pub outage_policy: OutagePolicy,
    /// `AUTH_VALIDATE_PATH`.
    pub validate_path: String,
    /// `AUTH_REMOTE_VALIDATE`.
    pub remote_validate: bool,
    pub venue_access_mode: VenueAccessMode,
    /// `VENUE_ACCESS_PATH`, with `{venueId}` in bearer mode.
    pub venue_access_path: String,
    /// `VENUE_LIST_PATH`, with `{userId}` in hmac mode.
    pub venue_list_path: String,
    /// `VENUE_ACCESS_TTL_SECS`.
    pub venue_access_ttl_s: u64,
    /// `AUTH_S2S_MODE`.
    pub mode: CredentialMode,
    /// Set if a key or a token is; used in mode service-jwt.
    pub service_token: Option<ServiceToken>,
    /// Set if there is a secret for the chosen format; used where a mode is hmac.
    pub signature: Option<SignatureSettings>,
}

/// `AUTH_USER_CHECK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserCheck {
    Always,
    /// The first request goes on the token's claims, the result binds later ones.
    Async,
    Off,
}

/// `AUTH_OUTAGE_POLICY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutagePolicy {
    Deny,
    Claims,
}

impl OutagePolicy {
    /// As in the environment and the route table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Claims => "claims",
        }
    }
}

/// `VENUE_ACCESS_MODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VenueAccessMode {
    /// The user's own token.
    Bearer,
    /// A request that the edge signs.
    Hmac,
}

/// `AUTH_S2S_MODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialMode {
    ServiceJwt,
    Hmac,
    None,
}

/// Where `x-service-token` comes from.
#[derive(Clone, Debug)]
pub enum ServiceToken {
    /// `S2S_PRIVATE_KEY`: an RSA key in PEM that has signed once, so it can.
    Signed(Secret<String>),
    /// `S2S_SERVICE_TOKEN`.
    Fixed(Secret<String>),
}

/// How internal requests are signed.
#[derive(Clone, Debug)]
pub struct SignatureSettings {
    /// `INTERNAL_SERVICE_NAME`.
    pub service_name: String,
    pub secret: Secret<String>,
    pub format: SignatureFormat,
    /// `INTERNAL_HMAC_NO_QUERY`: for these the query is not signed.
    pub without_query: Vec<ServiceId>,
}

/// `INTERNAL_HMAC_FORMAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureFormat {
    New,
    Legacy,
}

/// After [`super::check`], which gives every setting here a value.
pub(in crate::config) fn read(
    lookup: &mut Lookup,
    tokens: &TokenSettings,
    production: bool,
) -> IdentitySettings {
    let text = |lookup: &Lookup, name: &str| lookup.text(name).unwrap_or_default().to_owned();
    let settings = IdentitySettings {
        user_check: lookup.word("AUTH_USER_CHECK"),
        user_path: text(lookup, "AUTH_USER_PATH"),
        user_stale_s: lookup.number("AUTH_USER_STALE_SECS"),
        outage_policy: lookup.word("AUTH_OUTAGE_POLICY"),
        validate_path: text(lookup, "AUTH_VALIDATE_PATH"),
        remote_validate: lookup.flag("AUTH_REMOTE_VALIDATE"),
        venue_access_mode: lookup.word("VENUE_ACCESS_MODE"),
        venue_access_path: text(lookup, "VENUE_ACCESS_PATH"),
        venue_list_path: text(lookup, "VENUE_LIST_PATH"),
        venue_access_ttl_s: lookup.number("VENUE_ACCESS_TTL_SECS"),
        mode: lookup.word("AUTH_S2S_MODE"),
        service_token: service_token(lookup, tokens, production),
        signature: signature(lookup),
    };
    placeholders(lookup, settings.venue_access_mode);
    settings
}

/// A template without its placeholder would ask the same question for everybody.
fn placeholders(lookup: &mut Lookup, mode: VenueAccessMode) {
    let venues = match mode {
        VenueAccessMode::Bearer => ("VENUE_ACCESS_PATH", "{venueId}"),
        VenueAccessMode::Hmac => ("VENUE_LIST_PATH", "{userId}"),
    };
    for (name, placeholder) in [("AUTH_USER_PATH", "{userId}"), venues] {
        if lookup.text(name).is_some_and(|template| !template.contains(placeholder)) {
            let what = format!("does not hold {placeholder}, so it names nobody in particular");
            lookup.problem(name, what, "add the placeholder");
        }
    }
}

fn service_token(lookup: &mut Lookup, tokens: &TokenSettings, production: bool) -> Option<ServiceToken> {
    let fixed = lookup.text("S2S_SERVICE_TOKEN").map(ToOwned::to_owned);
    if fixed.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        let what = "holds a character that no header can carry";
        lookup.problem("S2S_SERVICE_TOKEN", what, "write the token alone, in one line");
    }
    let Some(pem) = lookup.text("S2S_PRIVATE_KEY").map(ToOwned::to_owned) else {
        return fixed.map(|token| ServiceToken::Fixed(Secret::new(token)));
    };
    if fixed.is_some() {
        lookup.report.notice("S2S_SERVICE_TOKEN is set and not used: S2S_PRIVATE_KEY signs fresh tokens");
    }
    match trial(&pem) {
        None => {
            let what = "cannot sign RS256";
            lookup.problem("S2S_PRIVATE_KEY", what, "use an RSA key of 2048 to 8192 bits in PEM");
        }
        Some(token) if signs_user_tokens(&token, tokens) => {
            let what = "is the private half of a key that users' tokens are verified with";
            forbid(lookup, production, "S2S_PRIVATE_KEY", what, "use a key of the edge's own");
        }
        Some(_) => {}
    }
    Some(ServiceToken::Signed(Secret::new(pem)))
}

/// A token signed to see whether the key can.
fn trial(pem: &str) -> Option<String> {
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &serde_json::json!({}), &key).ok()
}

/// Whether one of the users' public keys verifies what our private key signed.
fn signs_user_tokens(token: &str, tokens: &TokenSettings) -> bool {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    tokens.keys.iter().any(|key| {
        let key = match &key.material {
            KeyMaterial::Rsa { n, e } => DecodingKey::from_rsa_components(n, e),
            KeyMaterial::Ec { .. } | KeyMaterial::Ed { .. } => return false,
        };
        key.is_ok_and(|key| jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).is_ok())
    })
}

fn signature(lookup: &mut Lookup) -> Option<SignatureSettings> {
    let names = lookup.list("INTERNAL_SERVICE_NAME");
    if names.len() > 1 {
        let what = "lists several names, and a request has one sender";
        lookup.problem("INTERNAL_SERVICE_NAME", what, "write one, such as api-gateway");
    }
    let format = lookup.word("INTERNAL_HMAC_FORMAT");
    let older = lookup.text("INTERNAL_SERVICE_SECRET");
    let secret = match format {
        SignatureFormat::Legacy => older,
        SignatureFormat::New => lookup
            .text("INTERNAL_HMAC_SECRET")
            .or_else(|| older.filter(|_| lookup.flag("INTERNAL_HMAC_FALLBACK"))),
    };
    Some(SignatureSettings {
        service_name: names.into_iter().next()?,
        secret: Secret::new(secret?.to_owned()),
        format,
        without_query: lookup
            .list("INTERNAL_HMAC_NO_QUERY")
            .iter()
            .filter_map(|name| ServiceId::find(name))
            .collect(),
    })
}

#[cfg(test)]
mod tests;
