//! Which headers and addresses are believed.

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
