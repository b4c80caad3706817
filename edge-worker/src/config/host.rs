//! Hosts, base URLs, origins, networks and sizes, as an operator writes them.

use super::headers::Scheme;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `scheme://host[:port]` without path, query or user information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    pub scheme: Scheme,
    /// Lower case; an IPv6 address stands without its brackets.
    pub host: String,
    pub port: u16,
}

/// Why a text is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlFault {
    Scheme,
    UserInformation,
    PathOrQuery,
    Host,
    Port,
}

impl UrlFault {
    /// Completes "the URL ...".
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Scheme => "does not start with http:// or https://",
            Self::UserInformation => "holds a user name or password",
            Self::PathOrQuery => "holds a path, query or fragment",
            Self::Host => "has no valid host",
            Self::Port => "has a port outside 1 to 65535",
        }
    }
}

impl BaseUrl {
    pub fn parse(text: &str) -> Result<BaseUrl, UrlFault> {
        let (scheme, rest) = split_scheme(text).ok_or(UrlFault::Scheme)?;
        if rest.contains('@') {
            return Err(UrlFault::UserInformation);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(UrlFault::PathOrQuery);
        }
        let (host, port) = split_port(authority);
        let port = match port {
            None => default_port(scheme),
            Some(digits) => parse_port(digits).ok_or(UrlFault::Port)?,
        };
        if !is_host(host) {
            return Err(UrlFault::Host);
        }
        Ok(BaseUrl { scheme, host: bare(host).to_ascii_lowercase(), port })
    }

    /// The address, if the host is an IP literal.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// `host[:port]` as it is sent in `Host`: brackets around IPv6, no default port (RFC 9110 section 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.scheme) { host } else { format!("{host}:{}", self.port) }
    }
}

fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

fn split_scheme(text: &str) -> Option<(Scheme, &str)> {
    let (name, rest) = text.split_once("://")?;
    if name.eq_ignore_ascii_case("http") {
        Some((Scheme::Http, rest))
    } else if name.eq_ignore_ascii_case("https") {
        Some((Scheme::Https, rest))
    } else {
        None
    }
}

/// Splits `host:port`; a bracketed IPv6 address keeps its brackets.
#[must_use]
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_bracket = authority.rfind(']').map_or(0, |index| index + 1);
    match authority.split_at(after_bracket).1.split_once(':') {
        Some((_, port)) => {
            (authority.strip_suffix(port).map_or("", |rest| rest.trim_end_matches(':')), Some(port))
        }
        None => (authority, None),
    }
}

/// A port from 1 to 65535 in plain digits.
#[must_use]
pub fn parse_port(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port != 0)
}

/// An IPv4 address, a bracketed IPv6 address, or a host name (RFC 1123 section 2.1).
#[must_use]
pub fn is_host(text: &str) -> bool {
    if text.starts_with('[') {
        return text.ends_with(']') && bare(text).parse::<Ipv6Addr>().is_ok();
    }
    // What looks like an address must be one: resolvers read `010.1.1.1` and `1.1` in surprising ways.
    if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return text.parse::<Ipv4Addr>().is_ok();
    }
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(legal)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// `host` or `host:port`, as in `PUBLIC_HOSTS`.
#[must_use]
pub fn is_authority(text: &str) -> bool {
    let (host, port) = split_port(text);
    is_host(host) && port.is_none_or(|digits| parse_port(digits).is_some())
}

/// A CORS origin, `*.domain`, or `*`.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    if let Some(domain) = text.strip_prefix("*.") {
        return is_host(domain) && domain.contains('.');
    }
    !text.ends_with('/') && BaseUrl::parse(text).is_ok()
}

/// The networks one entry of a CIDR list stands for: a CIDR, a single address, or `loopback`.
#[must_use]
pub fn networks(entry: &str) -> Option<Vec<IpNet>> {
    if entry.eq_ignore_ascii_case("loopback") {
        return Some(loopback().to_vec());
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return Some(vec![network.trunc()]);
    }
    entry.parse::<IpAddr>().ok().map(|address| vec![IpNet::from(address)])
}

/// `127.0.0.0/8` and `::1/128`.
#[must_use]
pub fn loopback() -> [IpNet; 2] {
    [
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ]
}

/// Private, shared and link-local ranges (RFC 1918, 6598, 3927, 4193, 4291).
#[must_use]
pub fn is_private(network: &IpNet) -> bool {
    const PRIVATE: [&str; 7] = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    ];
    PRIVATE.iter().filter_map(|text| text.parse::<IpNet>().ok()).any(|private| private.contains(network))
}

/// Bytes from `65536`, `64kb`, `10mb` or `1gb`; powers of 1024, any case.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let shift = match lower.strip_prefix(digits)?.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(1 << shift)
}

/// The entries of a comma separated list, trimmed; empty ones do not count.
pub fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests;
