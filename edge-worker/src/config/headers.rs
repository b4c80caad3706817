//! Which headers and addresses are believed.

use super::Environment;
use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeaderSettings {
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// `EXTERNAL_SCHEME`: what X-Forwarded-Proto says unless a trusted proxy says otherwise.
    pub external_scheme: Scheme,
    /// `PUBLIC_HOSTS`, lower case; empty accepts any Host.
    pub public_hosts: Vec<String>,
    /// `ENFORCE_HTTPS`, effective in production only.
    pub enforce_https: bool,
    /// `MASK_UPSTREAM_5XX`.
    pub mask_upstream_5xx: bool,
    /// The port clients reach, for X-Forwarded-Port.
    pub external_port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "TRUSTED_PROXIES",
        "headers.trusted_proxies",
        Rule::Networks,
        "Peers whose X-Forwarded-* headers are believed; a network of all addresses is an error in production",
    ),
    Setting::new(
        "ENFORCE_HTTPS",
        "headers.enforce_https",
        Rule::Flag,
        "In production, redirect requests that a trusted proxy received over http",
    )
    .preset("true"),
    Setting::new(
        "EXTERNAL_SCHEME",
        "headers.external_scheme",
        Rule::Word(&["http", "https"]),
        "X-Forwarded-Proto sent to services, unless a trusted proxy says otherwise",
    )
    .preset_rule("https in production and staging, else http"),
    Setting::new(
        "FLOODGATE_EXTERNAL_PORT",
        "headers.external_port",
        Rule::Number(1, 65_535),
        "X-Forwarded-Port sent to services",
    )
    .preset_rule("443 with https, else PORT"),
    Setting::new(
        "PUBLIC_HOSTS",
        "headers.public_hosts",
        Rule::Hosts,
        "Hosts of the platform; another Host is replaced by the first of them in X-Forwarded-Host and redirects",
    ),
    Setting::new(
        "MASK_UPSTREAM_5XX",
        "headers.mask_upstream_5xx",
        Rule::Flag,
        "Replace the bodies of 5xx answers of services",
    )
    .preset("false"),
    Setting::new(
        "ALLOWED_ORIGINS",
        "headers.allowed_origins",
        Rule::Origins,
        "Origins that browsers may call from; `*` is an error in production",
    )
    .preset_rule("localhost in development, else none")
    .alias("CORS_ORIGIN")
    .later("CORS"),
    Setting::new(
        "CORS_STRICT",
        "headers.cors_strict",
        Rule::Flag,
        "In production, refuse requests without Origin",
    )
    .preset("false")
    .later("CORS"),
];

pub(super) fn read(lookup: &mut Lookup, environment: Environment) -> HeaderSettings {
    let production = environment.is_production();
    lookup.preset("EXTERNAL_SCHEME", if production { "https" } else { "http" });
    let external_scheme: Scheme = lookup.word("EXTERNAL_SCHEME");
    let port = match external_scheme {
        Scheme::Https => 443,
        Scheme::Http => lookup.number("PORT"),
    };
    lookup.preset("FLOODGATE_EXTERNAL_PORT", &port.to_string());
    let trusted_proxies = lookup.networks("TRUSTED_PROXIES");
    if trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
        let what = "trusts every address, so that any client can state its own address";
        let remedy = "list the networks of your load balancers";
        forbid(lookup, production, "TRUSTED_PROXIES", what, remedy);
    }
    if lookup.list("ALLOWED_ORIGINS").iter().any(|origin| origin == "*") {
        let what = "allows every origin";
        forbid(lookup, production, "ALLOWED_ORIGINS", what, "list the origins of your applications");
    }
    if production && external_scheme == Scheme::Http {
        let what = "is http in production; auth-service answers such requests with a redirect";
        lookup.warning("EXTERNAL_SCHEME", what, "set https");
    }
    HeaderSettings {
        trusted_proxies,
        external_scheme,
        public_hosts: lookup.list("PUBLIC_HOSTS").iter().map(|host| host.to_ascii_lowercase()).collect(),
        enforce_https: production && lookup.flag("ENFORCE_HTTPS"),
        mask_upstream_5xx: lookup.flag("MASK_UPSTREAM_5XX"),
        external_port: u16::try_from(lookup.number("FLOODGATE_EXTERNAL_PORT")).unwrap_or(0),
    }
}

/// A development-only value: an error in production, elsewhere a warning.
pub(super) fn forbid(lookup: &mut Lookup, production: bool, name: &str, what: &str, remedy: &str) {
    if production {
        lookup.problem(name, what, remedy);
    } else {
        lookup.warning(name, what, remedy);
    }
}

#[cfg(test)]
mod tests;
