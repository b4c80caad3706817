//! `JWKS_URI`, taken apart.

use crate::config::Environment;
use crate::config::environment::read_text;
use crate::config::headers::{Scheme, forbid};
use crate::config::host::BaseUrl;
use crate::config::limits::CONFIGURATION_FILE_BYTES_MAX;
use crate::config::lookup::Lookup;
use std::path::Path;

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
    /// `UPSTREAM_CA_FILE` in PEM: certificate authorities beside the system's.
    pub authorities: Option<String>,
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
pub(in crate::config) fn read(lookup: &mut Lookup, environment: Environment) -> Option<RemoteKeys> {
    let url = lookup.text("JWKS_URI").and_then(KeyUrl::parse)?;
    if url.base.scheme == Scheme::Http {
        let what = "is not https, so whoever holds the port decides which tokens are accepted";
        forbid(lookup, environment.is_production(), "JWKS_URI", what, "use https");
    }
    let authorities = authorities(lookup);
    Some(RemoteKeys { url, authorities })
}

fn authorities(lookup: &mut Lookup) -> Option<String> {
    let name = "UPSTREAM_CA_FILE";
    let path = lookup.text(name)?.to_owned();
    let remedy = "name a file of certificates in PEM";
    match read_text(Path::new(&path), CONFIGURATION_FILE_BYTES_MAX) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return Some(text),
        Ok(_) => lookup.refuse(name, "names a file without a certificate", remedy),
        Err(what) => lookup.refuse(name, format!("names a file that {what}"), remedy),
    }
    None
}

#[cfg(test)]
mod tests;
