//! What the value of a setting must look like: one enum that checks, and that writes the reference page.

use super::host::{self, BaseUrl};
use super::tokens::key_url::KeyUrl;

/// The shape of a value. Rules that involve several settings stand in the file of their noun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// One line of visible text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A comma separated list of these words, at least one.
    Words(&'static [&'static str]),
    Flag,
    /// A whole number in this range, both ends included.
    Number(u64, u64),
    /// 0 to 1.
    Ratio,
    /// Bytes, with an optional `kb`, `mb` or `gb`, in this range.
    Bytes(u64, u64),
    /// An IP address or `localhost`.
    Address,
    /// `address:port`.
    SocketAddress,
    /// Comma separated CIDRs, addresses or `loopback`.
    Networks,
    /// Comma separated hosts, each with an optional port.
    Hosts,
    /// One host.
    Host,
    /// Comma separated base URLs of instances.
    Instances,
    /// An http or https base URL.
    Collector,
    /// Where public keys are fetched from.
    KeyUrl,
    /// `redis://`, `redis-sentinel://`, `redis-cluster://`; with `rediss` for TLS.
    RedisUrl,
    /// Comma separated origins, `*.domain` or `*`.
    Origins,
    /// At least this many bytes.
    Secret(usize),
    /// An absolute file or directory path.
    Path,
    /// Starts with `/`; only these placeholders.
    Template(&'static [&'static str]),
    /// Comma separated Redis key templates with `{key}` or `{sha256}`.
    KeyTemplates,
    /// Comma separated words of letters, digits, `.`, `_` and `-`.
    Names,
    /// Comma separated words without spaces or control characters, such as issuers.
    Identifiers,
    /// An HTTP date (RFC 9110 section 5.6.7, IMF-fixdate).
    Date,
    /// A public key; checked where keys are read.
    PublicKey,
    /// A private key in PEM.
    PrivateKey,
    /// Certificates in PEM.
    Certificates,
}

/// Why a value breaks its rule. Never holds the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub what: String,
    /// Replaces the general advice.
    pub remedy: Option<&'static str>,
}

impl Rule {
    pub fn check(&self, text: &str) -> Result<(), Complaint> {
        match self {
            Self::Instances => check_instances(text),
            Self::Secret(bytes_min) if text.len() < *bytes_min => {
                Err(Complaint { what: format!("is shorter than {bytes_min} bytes"), remedy: Some(RANDOM) })
            }
            Self::Secret(_) | Self::PublicKey => Ok(()),
            _ if self.is_list() => self.check_list(text),
            _ if self.accepts(text) => Ok(()),
            _ => Err(Complaint { what: format!("is not {}", self.text()), remedy: None }),
        }
    }

    fn is_list(&self) -> bool {
        use Rule::{Hosts, Identifiers, KeyTemplates, Names, Networks, Origins, Words};
        matches!(self, Words(_) | Networks | Hosts | Origins | KeyTemplates | Names | Identifiers)
    }

    /// Names the entry by its place in the list, because its text must not be printed.
    fn check_list(&self, text: &str) -> Result<(), Complaint> {
        let mut count = 0;
        for (index, entry) in host::entries(text).enumerate() {
            count = index + 1;
            if !self.accepts(entry) {
                let what = format!("entry {count} of the list breaks the rule: {}", self.text());
                return Err(Complaint { what, remedy: None });
            }
        }
        if count == 0 {
            return Err(Complaint { what: "is a list without entries".to_owned(), remedy: None });
        }
        Ok(())
    }

    /// Whether a single value, or one entry of a list, is legal.
    fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Word(words) | Self::Words(words) => words.contains(&text),
            Self::Flag => flag(text).is_some(),
            Self::Number(min, max) => {
                whole_number(text).is_some_and(|number| (*min..=*max).contains(&number))
            }
            Self::Ratio => text.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)),
            Self::Bytes(min, max) => host::bytes(text).is_some_and(|bytes| (*min..=*max).contains(&bytes)),
            Self::Address => text == "localhost" || text.parse::<std::net::IpAddr>().is_ok(),
            Self::SocketAddress => text.parse::<std::net::SocketAddr>().is_ok(),
            Self::Networks => host::networks(text).is_some(),
            Self::Hosts => host::is_authority(text),
            Self::Host => host::is_host(text),
            Self::Collector => BaseUrl::parse(text).is_ok(),
            Self::KeyUrl => KeyUrl::parse(text).is_some(),
            Self::RedisUrl => super::redis::RedisUrl::parse(text).is_some(),
            Self::Origins => host::is_origin(text),
            Self::Path => {
                text.starts_with('/') && text.len() <= super::limits::PATH_BYTES_MAX && visible(text)
            }
            Self::Template(placeholders) => is_template(text, placeholders),
            Self::KeyTemplates => is_key_template(text),
            Self::Names => !text.is_empty() && text.bytes().all(is_name_byte),
            Self::Identifiers => visible(text) && !text.contains(' '),
            Self::Date => is_http_date(text),
            Self::PrivateKey => text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----"),
            Self::Certificates => text.contains("-----BEGIN CERTIFICATE-----"),
            _ => visible(text),
        }
    }

    /// The rule in words, for problems and for the reference page.
    #[must_use]
    pub fn text(&self) -> String {
        let fixed = match self {
            Self::Text => "one line of text",
            Self::Word(words) => return format!("one of {}", words.join(", ")),
            Self::Words(words) => return format!("a comma separated list of {}", words.join(", ")),
            Self::Flag => "true or false",
            Self::Number(min, u64::MAX) => return format!("a whole number, at least {min}"),
            Self::Number(min, max) => return format!("a whole number from {min} to {max}"),
            Self::Ratio => "a number from 0 to 1",
            Self::Bytes(min, max) => {
                return format!("{min} to {max} bytes, written as a number, `64kb` or `10mb`");
            }
            Self::Address => "an IP address or localhost",
            Self::SocketAddress => "an address with port, such as 127.0.0.1:9090",
            Self::Networks => "a comma separated list of CIDRs, addresses or the word loopback",
            Self::Hosts => "a comma separated list of hosts, each with an optional port",
            Self::Host => "a host name or IP address",
            Self::Instances => {
                "a comma separated list of base URLs: http or https, host, optional port, nothing else"
            }
            Self::Collector => "an http or https URL without path, query or user information",
            Self::KeyUrl => {
                "an https URL without user information, or http to localhost or a loopback address"
            }
            Self::RedisUrl => {
                "a URL such as redis://[[user]:password@]host[:port][/db], redis-sentinel://host[:port],…/master[/db] \
                 or redis-cluster://host[:port],…; rediss… for TLS"
            }
            Self::Origins => "a comma separated list of origins, *.domain or *",
            Self::Secret(bytes_min) => return format!("at least {bytes_min} bytes"),
            Self::Path => "an absolute path",
            Self::Template([]) => "a path that starts with / and holds no placeholder",
            Self::Template(names) => {
                return format!("a path that starts with /, with no placeholder but {}", braced(names));
            }
            Self::KeyTemplates => "a comma separated list of Redis keys, each with {key} or {sha256} once",
            Self::Names => "a comma separated list of words made of letters, digits, `.`, `_` and `-`",
            Self::Identifiers => "a comma separated list of words without spaces",
            Self::Date => "an HTTP date such as Sun, 06 Nov 1994 08:49:37 GMT",
            Self::PublicKey => "a public key in PEM or base64 PEM, RSA of at least 2048 bits",
            Self::PrivateKey => "a private key in PEM",
            Self::Certificates => "certificates in PEM",
        };
        fixed.to_owned()
    }
}

fn braced(names: &[&str]) -> String {
    names.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ")
}

/// `true` or `false`, also as 1 and 0.
#[must_use]
pub fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Digits only: no sign, no point.
#[must_use]
pub fn whole_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn check_instances(text: &str) -> Result<(), Complaint> {
    let mut count = 0;
    for (index, entry) in host::entries(text).enumerate() {
        count = index + 1;
        BaseUrl::parse(entry).map_err(|fault| Complaint {
            what: format!("URL {count} {}", fault.what()),
            remedy: Some(BASE_URL),
        })?;
    }
    if (1..=super::limits::INSTANCES_MAX).contains(&count) {
        return Ok(());
    }
    let what = format!("lists {count} instances, not 1 to {}", super::limits::INSTANCES_MAX);
    Err(Complaint { what, remedy: Some(BASE_URL) })
}

fn is_template(text: &str, placeholders: &[&str]) -> bool {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { return false };
        if before.contains('}') || !placeholders.contains(&name) {
            return false;
        }
        rest = tail;
    }
    let clean =
        text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\' | b'%'));
    text.starts_with('/') && !text.starts_with("//") && !rest.contains('}') && clean && !text.contains("/..")
}

fn is_key_template(text: &str) -> bool {
    let keys = text.matches("{key}").count();
    let digests = text.matches("{sha256}").count();
    keys + digests == 1 && text.matches(['{', '}']).count() == 2 && visible(text) && !text.contains(' ')
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn visible(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

fn is_http_date(text: &str) -> bool {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    // Written again, because parsing alone accepts a weekday that does not fit the date.
    time::PrimitiveDateTime::parse(text, &format)
        .is_ok_and(|date| date.format(&format).is_ok_and(|canonical| canonical == text))
}

const BASE_URL: &str = "write http://host:port or https://host:port, several instances separated by commas";
const RANDOM: &str = "use a random value, for example from `openssl rand -hex 32`";

#[cfg(test)]
mod tests;
