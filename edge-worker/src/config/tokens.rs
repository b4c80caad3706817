//! How access tokens are verified.

pub mod keys;
pub mod jwks;
pub mod key_url;

use super::Environment;
use super::headers::forbid;
use super::lookup::Lookup;
use super::rule::Rule;
use super::secret::Secret;
use super::settings::Setting;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenSettings {
    pub algorithms: Vec<Algorithm>,
    /// Those of the files. A worker finds none here: it is told the node's keys, and told again when they change
    /// (`control::key_set`).
    pub keys: Vec<PublicKey>,
    /// `JWKS_URI` is set: a key that is not known yet can be had.
    pub renewable: bool,
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

impl Algorithm {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// A public key with its labels. Identity of a key is the fingerprint of its public part, never `kid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// `current`, `previous` or the JWKS entry's kid.
    pub kid: String,
    pub algorithm: Algorithm,
    pub material: KeyMaterial,
    /// First 8 bytes of BLAKE3 over the public part (see `keys::PublicPart::fingerprint`); never 0. The same
    /// key has the same fingerprint as PEM and in a JWKS.
    pub fingerprint: u64,
}

/// As a JWKS holds it, so that a set of keys has a bounded size whatever the files look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyMaterial {
    /// RSA modulus and exponent, base64url.
    Rsa { n: String, e: String },
    /// P-256 point coordinates, base64url.
    Ec { x: String, y: String },
    /// Ed25519 point, base64url.
    Ed { x: String },
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

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "JWT_ALGORITHMS",
        "tokens.algorithms",
        Rule::Words(&["RS256", "ES256", "EdDSA", "HS256"]),
        "Signature algorithms that are accepted",
    )
    .preset_rule("RS256; outside production HS256 if JWT_SECRET is set and there is no public key"),
    Setting::new(
        "JWT_PUBLIC_KEY",
        "tokens.public_key",
        Rule::PublicKey,
        "Current key of auth-service, kid `current`",
    )
    .long()
    .required("an algorithm other than HS256, unless JWKS_FILE or JWKS_URI has the key"),
    Setting::new(
        "JWT_PUBLIC_KEY_PREVIOUS",
        "tokens.public_key_previous",
        Rule::PublicKey,
        "Key before the last rotation, kid `previous`",
    )
    .long(),
    Setting::new(
        "JWKS_FILE",
        "tokens.jwks_file",
        Rule::Text,
        "Path of a local JWKS (RFC 7517), read again on SIGHUP",
    ),
    Setting::new(
        "JWKS_URI",
        "tokens.jwks_uri",
        Rule::KeyUrl,
        "Address of a JWKS: fetched at start, every 1 to 60 minutes (`Cache-Control: max-age`, else 5), and at most \
         every 30 s when a token names a key that is not known. Plain http is an error in production",
    ),
    Setting::new(
        "JWT_SECRET",
        "tokens.secret",
        Rule::Secret(32),
        "Secret for HS256; a known default is an error in production",
    )
    .secret()
    .required("HS256"),
    Setting::new("JWT_ISSUER", "tokens.issuers", Rule::Identifiers, "Accepted `iss`, any of them")
        .preset_rule("tickettoken-auth in development and test")
        .required("production, staging"),
    Setting::new("JWT_AUDIENCE", "tokens.audiences", Rule::Identifiers, "Accepted `aud`, any of them")
        .preset_rule("JWT_ISSUER"),
    Setting::new(
        "JWT_CLOCK_SKEW_SECS",
        "tokens.clock_skew_s",
        Rule::Number(0, 120),
        "Seconds by which clocks may differ",
    )
    .preset("30"),
    Setting::new(
        "TENANT_ID_FORMAT",
        "tokens.tenant_id_format",
        Rule::Word(&["uuid", "opaque"]),
        "Shape of `tenant_id`; opaque is `[A-Za-z0-9_-]{1,64}`",
    )
    .preset("uuid"),
    Setting::new(
        "RBAC_PERMISSION_SOURCE",
        "tokens.permission_source",
        Rule::Word(&["union", "token", "role"]),
        "Where permissions come from: role table, token, or both",
    )
    .preset("union"),
    Setting::new(
        "CROSS_TENANT_ADMIN",
        "tokens.cross_tenant_admin",
        Rule::Flag,
        "Let superadmin act in another tenant by X-Target-Tenant-Id. Services that read the token will not follow",
    )
    .preset("false"),
];

pub(super) fn read(lookup: &mut Lookup, environment: Environment) -> TokenSettings {
    let production = environment.is_production();
    if !production {
        lookup.preset("JWT_ISSUER", "tickettoken-auth");
    }
    lookup.require(
        "JWT_ISSUER",
        "production has no default",
        "set the `iss` of auth-service, such as tickettoken-auth",
    );
    if let Some(issuers) = lookup.text("JWT_ISSUER").map(ToOwned::to_owned) {
        lookup.preset("JWT_AUDIENCE", &issuers);
    }
    let algorithms = algorithms(lookup, production);
    let found = keys::read(lookup);
    let keys = listed_keys(lookup, &algorithms, found);
    TokenSettings {
        hs256_secret: secret(lookup, &algorithms, production),
        renewable: lookup.is_set("JWKS_URI"),
        algorithms,
        keys,
        issuers: lookup.list("JWT_ISSUER"),
        audiences: lookup.list("JWT_AUDIENCE"),
        clock_skew_s: u32::try_from(lookup.number("JWT_CLOCK_SKEW_SECS")).unwrap_or(0),
        tenant_format: lookup.word("TENANT_ID_FORMAT"),
        permission_source: lookup.word("RBAC_PERMISSION_SOURCE"),
        digest_key: Secret::new(rand::random()),
    }
}

/// The platform's decision: a secret alone means HS256, but production has to say so itself.
fn algorithms(lookup: &mut Lookup, production: bool) -> Vec<Algorithm> {
    let no_key = ["JWT_PUBLIC_KEY", "JWT_PUBLIC_KEY_PREVIOUS", "JWKS_FILE", "JWKS_URI"]
        .iter()
        .all(|name| !lookup.is_given(name));
    if !lookup.is_given("JWT_ALGORITHMS") && lookup.is_given("JWT_SECRET") && no_key {
        if production {
            let what = "is not set, and there is JWT_SECRET but no public key";
            let remedy = "set JWT_PUBLIC_KEY for RS256, or JWT_ALGORITHMS=HS256 to use JWT_SECRET";
            lookup.problem("JWT_ALGORITHMS", what, remedy);
        } else {
            let what = "is not set; with JWT_SECRET and no public key it is taken as HS256";
            lookup.warning(
                "JWT_ALGORITHMS",
                what,
                "set JWT_PUBLIC_KEY, as production needs RS256 or an explicit HS256",
            );
        }
        lookup.preset("JWT_ALGORITHMS", "HS256");
    }
    lookup.preset("JWT_ALGORITHMS", "RS256");
    let mut algorithms: Vec<Algorithm> = Vec::new();
    for algorithm in lookup.words("JWT_ALGORITHMS") {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    algorithms
}

/// Keys whose algorithm is listed; each listed algorithm needs one.
fn listed_keys(lookup: &mut Lookup, algorithms: &[Algorithm], found: Vec<keys::Labelled>) -> Vec<PublicKey> {
    let (listed, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|labelled| algorithms.contains(&labelled.key.algorithm));
    for labelled in others {
        let name = labelled.key.algorithm.as_str();
        let what = format!("holds a key for {name}, which JWT_ALGORITHMS does not list, so it is not used");
        lookup.report.warning(
            labelled.place,
            what,
            format!("add {name} to JWT_ALGORITHMS or remove the key"),
        );
    }
    let unreadable =
        ["JWT_PUBLIC_KEY", "JWT_PUBLIC_KEY_PREVIOUS", "JWKS_FILE"].iter().any(|name| lookup.is_faulty(name));
    // What is fetched later may have it.
    let excused = unreadable || lookup.is_given("JWKS_URI");
    for algorithm in algorithms.iter().filter(|algorithm| **algorithm != Algorithm::Hs256) {
        if !excused && !listed.iter().any(|labelled| labelled.key.algorithm == *algorithm) {
            let what = format!("there is no public key for {}", algorithm.as_str());
            lookup.problem("JWT_PUBLIC_KEY", what, "set it or JWKS_FILE to the public key of auth-service");
        }
    }
    listed.into_iter().map(|labelled| labelled.key).collect()
}

/// `JWT_SECRET`; handed on only where HS256 is used.
fn secret(lookup: &mut Lookup, algorithms: &[Algorithm], production: bool) -> Option<Secret<Vec<u8>>> {
    if lookup.text("JWT_SECRET").is_some_and(is_known_default) {
        let remedy = "use a random value of at least 32 bytes";
        forbid(lookup, production, "JWT_SECRET", "is a known default", remedy);
    }
    if !algorithms.contains(&Algorithm::Hs256) {
        if lookup.is_set("JWT_SECRET") {
            lookup.report.notice("JWT_SECRET is set and not used: JWT_ALGORITHMS does not list HS256");
        }
        return None;
    }
    lookup.require("JWT_SECRET", "JWT_ALGORITHMS lists HS256", "set it to at least 32 random bytes");
    lookup.text("JWT_SECRET").map(|text| Secret::new(text.as_bytes().to_vec()))
}

/// A secret that stands in examples, in the source of the gateway before this one, or is no secret at all.
#[must_use]
pub fn is_known_default(secret: &str) -> bool {
    let lower = secret.trim().to_ascii_lowercase();
    let repeats = lower.chars().next().is_none_or(|first| lower.chars().all(|letter| letter == first));
    let template = lower.starts_with('<') && lower.ends_with('>');
    let copied = KNOWN_DEFAULTS.iter().any(|known| lower.replace(['-', '_', ' '], "").starts_with(known));
    repeats || template || copied
}

/// Lower case, without separators. Longer values that start so are examples that were stretched to 32 bytes.
const KNOWN_DEFAULTS: &[&str] = &[
    "yoursecretkey",
    "yoursupersecret",
    "yourjwtsecret",
    "default",
    "secret",
    "supersecret",
    "changeme",
    "changethis",
    "devsecret",
    "devqueue",
    "testsecret",
    "password",
    "0123456789abcdef0123456789abcdef",
];

#[cfg(test)]
mod tests;
