//! `JWKS_URI`, taken apart.

use crate::config::Environment;
use crate::config::headers::{Scheme, forbid};
use crate::config::host::BaseUrl;
use crate::config::lookup::Lookup;
use crate::config::roots::Root;

/// Where public keys are fetched from: https, or http to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUrl {
    pub base: BaseUrl,
    /// Path and query.
    pub target: String,
}

/// What the supervisor needs to fetch keys.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    pub url: KeyUrl,
    /// `UPSTREAM_CA_FILE`: certificate authorities beside the system's.
    pub roots: Vec<Root>,
}

impl KeyUrl {
    #[must_use]
    pub fn parse(text: &str) -> Option<KeyUrl> {
        let after_scheme = text.find("://")? + 3;
        let end = text.get(after_scheme..)?.find(['/', '?', '#']).map_or(text.len(), |at| after_scheme + at);
        let (base, target) = text.split_at_checked(end)?;
        let base = BaseUrl::parse(base).ok()?;
        let target = if target.is_empty() { "/" } else { target };
        let clean = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let near = base.host == "localhost" || base.address().is_some_and(|address| address.is_loopback());
        let allowed = base.scheme == Scheme::Https || near;
        (allowed && clean && target.starts_with('/')).then(|| KeyUrl { base, target: target.to_owned() })
    }
}

/// The address and who vouches for it; `None` if keys come from files alone.
pub(in crate::config) fn read(
    lookup: &mut Lookup,
    environment: Environment,
    roots: &[Root],
) -> Option<RemoteKeys> {
    let url = lookup.text("JWKS_URI").and_then(KeyUrl::parse)?;
    if url.base.scheme == Scheme::Http {
        let what = "is not https, so whoever holds the port decides which tokens are accepted";
        forbid(lookup, environment.is_production(), "JWKS_URI", what, "use https");
    }
    Some(RemoteKeys { url, roots: roots.to_vec() })
}

#[cfg(test)]
mod tests;
