//! Where Redis is, and what the supervisor does with it. The client itself is `supervisor/src/cluster`.

use super::Environment;
use super::headers::forbid;
use super::host;
use super::lookup::Lookup;
use super::rule::Rule;
use super::secret::Secret;
use super::settings::Setting;
use serde::{Deserialize, Serialize};

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "REDIS_URL",
        "redis.url",
        Rule::RedisUrl,
        "Redis, password and database included: one server, Sentinels with the name of the master, or some nodes \
         of a Cluster; a scheme that begins with rediss means TLS",
    )
    .secret()
    .preset_rule("unset in development: the node runs alone; else made of REDIS_HOST, _PORT and _DB"),
    Setting::new("REDIS_HOST", "redis.host", Rule::Host, "Host, if there is no REDIS_URL")
        .preset_rule("localhost, unset in development"),
    Setting::new("REDIS_PORT", "redis.port", Rule::Number(1, 65_535), "Port, if there is no REDIS_URL")
        .preset_rule("6379, unset in development"),
    Setting::new("REDIS_DB", "redis.database", Rule::Number(0, 15), "Database, if there is no REDIS_URL")
        .preset_rule("0, unset in development"),
    Setting::new(
        "REDIS_PASSWORD",
        "redis.password",
        Rule::Secret(8),
        "Password; may stand in REDIS_URL instead",
    )
    .secret()
    .required("production, staging"),
    Setting::new(
        "REDIS_CA",
        "redis.ca",
        Rule::Certificates,
        "Certificate authorities in PEM that vouch for Redis over TLS, instead of the system's",
    )
    .long(),
    Setting::new(
        "RATE_LIMIT_REDIS_URL",
        "redis.rate_limit_url",
        Rule::RedisUrl,
        "A Redis of its own for rate limits",
    )
    .secret()
    .preset_rule("the main Redis")
    .later("shared rate limits"),
    Setting::new(
        "WAITING_ROOM_REDIS_URL",
        "redis.waiting_room_url",
        Rule::RedisUrl,
        "A Redis of its own for the waiting room",
    )
    .secret()
    .preset_rule("the main Redis")
    .later("the waiting room"),
    Setting::new(
        "CACHE_MAC_KEY",
        "redis.cache_mac_key",
        Rule::Secret(32),
        "Authenticates cached access decisions in Redis; the same on all nodes; without it none are kept there",
    )
    .secret()
    .required("production, staging"),
    Setting::new(
        "LEGACY_BLACKLIST",
        "redis.legacy_blacklist",
        Rule::Flag,
        "Look up the older revocation key of a token when it is first seen, and every 5 s until it expires",
    )
    .preset("true"),
    Setting::new(
        "API_KEY_TEMPLATES",
        "rate_limits.api_key_templates",
        Rule::KeyTemplates,
        "Redis keys under which API keys stand; the first that has one counts",
    )
    .preset("api:key:{key},apikey:{key},api_key_hash:{sha256}"),
];

/// What the supervisor needs to speak to Redis. Never leaves it.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    pub server: RedisServer,
    /// PEM; `None` means the certificate authorities of the system.
    pub authorities: Option<String>,
    /// At least 32 bytes. Without it no access decision is read from Redis or written to it.
    pub cache_mac_key: Option<Secret<String>>,
    pub legacy_blacklist: bool,
    /// Each with `{key}` or `{sha256}` once.
    pub api_key_templates: Vec<String>,
}

/// Where one Redis is and how it is entered; the password is decoded.
#[derive(Clone, Debug)]
pub struct RedisServer {
    pub topology: Topology,
    pub tls: bool,
    /// Host without brackets, port. At least one.
    pub addresses: Vec<(String, u16)>,
    pub database: u8,
    pub user: Option<String>,
    pub password: Option<Secret<String>>,
}

/// What stands behind the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    Single,
    /// The addresses are Sentinels; this is the name of their master. User and password are those of Redis;
    /// Sentinels are entered with the same ones.
    Sentinel {
        master: String,
    },
    /// The addresses are some nodes of a Cluster.
    Cluster,
}

/// What a node says to a token before it has seen the revocation store (`REVOCATION_COLD_POLICY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColdPolicy {
    /// 503.
    Deny,
    /// Trust the short life of tokens.
    Serve,
}

/// The parts of a Redis URL.
#[derive(PartialEq, Eq)]
pub struct RedisUrl {
    pub topology: Topology,
    pub tls: bool,
    /// As written, brackets of an IPv6 address included, in lower case.
    pub addresses: Vec<(String, u16)>,
    pub database: u8,
    /// Still percent-encoded.
    pub user: Option<String>,
    /// Still percent-encoded.
    pub password: Option<String>,
}

impl RedisUrl {
    /// `redis://[[user]:password@]host[:port][/database]`, `redis-sentinel://…host[:port],…/master[/database]` or
    /// `redis-cluster://…host[:port],…`; each with `rediss` for TLS.
    #[must_use]
    pub fn parse(text: &str) -> Option<RedisUrl> {
        let (scheme, rest) = text.split_once("://")?;
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis")?),
        };
        let (credentials, location) = match rest.rsplit_once('@') {
            Some((credentials, location)) => (Some(credentials), location),
            None => (None, rest),
        };
        let (authority, path) = location.split_once('/').unwrap_or((location, ""));
        let (topology, port_preset, database) = match kind {
            "" => (Topology::Single, 6_379, path),
            "-cluster" => (Topology::Cluster, 6_379, path),
            "-sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                let legal = !master.is_empty() && master.bytes().all(is_master_byte);
                (legal.then(|| Topology::Sentinel { master: master.to_owned() })?, 26_379, database)
            }
            _ => return None,
        };
        let database = if database.is_empty() { 0 } else { super::rule::whole_number(database)? };
        let database = u8::try_from(database).ok().filter(|number| *number <= 15)?;
        let several = topology != Topology::Single;
        let addresses: Option<Vec<_>> =
            authority.split(',').map(|address| location_of(address, port_preset)).collect();
        let addresses = addresses.filter(|list| several || list.len() == 1)?;
        if topology == Topology::Cluster && database != 0 {
            return None;
        }
        let (user, password) = credentials.map_or((None, None), split_credentials);
        Some(RedisUrl { topology, tls, addresses, database, user, password })
    }
}

fn location_of(address: &str, port_preset: u16) -> Option<(String, u16)> {
    let (host, port) = host::split_port(address);
    let port = port.map_or(Some(port_preset), host::parse_port)?;
    host::is_host(host).then(|| (host.to_ascii_lowercase(), port))
}

/// User and password; without a colon it is a password.
fn split_credentials(text: &str) -> (Option<String>, Option<String>) {
    let (user, password) = text.split_once(':').unwrap_or(("", text));
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (given(user), given(password))
}

fn is_master_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// What the supervisor uses; `None` if the node runs alone.
pub(super) fn read(lookup: &mut Lookup, environment: Environment) -> Option<RedisSettings> {
    check(lookup, environment);
    let password = lookup.text("REDIS_PASSWORD").map(ToOwned::to_owned);
    let mut server = match lookup.text("REDIS_URL").and_then(RedisUrl::parse) {
        Some(url) => decoded(&url)?,
        None => RedisServer {
            topology: Topology::Single,
            tls: false,
            addresses: vec![parts(lookup)?],
            database: lookup
                .number_if_set("REDIS_DB")
                .and_then(|number| u8::try_from(number).ok())
                .unwrap_or(0),
            user: None,
            password: None,
        },
    };
    server.password = server.password.or_else(|| password.map(Secret::new));
    if !lookup.is_given("CACHE_MAC_KEY") && !environment.is_production() {
        lookup.report.notice("CACHE_MAC_KEY is not set: access decisions are not shared through Redis");
    }
    let text = |name: &str| lookup.text(name).map(ToOwned::to_owned);
    Some(RedisSettings {
        server,
        authorities: text("REDIS_CA"),
        cache_mac_key: text("CACHE_MAC_KEY").map(Secret::new),
        legacy_blacklist: lookup.flag("LEGACY_BLACKLIST"),
        api_key_templates: lookup.list("API_KEY_TEMPLATES"),
    })
}

/// Before the first sight of the revocation store.
pub(super) fn cold_policy(lookup: &Lookup) -> ColdPolicy {
    lookup.word("REVOCATION_COLD_POLICY")
}

fn parts(lookup: &Lookup) -> Option<(String, u16)> {
    let port = lookup.number_if_set("REDIS_PORT").and_then(|port| u16::try_from(port).ok());
    Some((unbracketed(lookup.text("REDIS_HOST")?), port.unwrap_or(6_379)))
}

fn decoded(url: &RedisUrl) -> Option<RedisServer> {
    let text = |part: &Option<String>| match part {
        None => Some(None),
        Some(text) => percent_decoded(text).map(Some),
    };
    Some(RedisServer {
        topology: url.topology.clone(),
        tls: url.tls,
        addresses: url.addresses.iter().map(|(host, port)| (unbracketed(host), *port)).collect(),
        database: url.database,
        user: text(&url.user)?,
        password: text(&url.password)?.map(Secret::new),
    })
}

fn unbracketed(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// RFC 3986 section 2.1; `None` for a malformed escape or what is not UTF-8 after it.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        plain.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
    }
    String::from_utf8(plain).ok()
}

fn check(lookup: &mut Lookup, environment: Environment) {
    let url = lookup.text("REDIS_URL").and_then(RedisUrl::parse);
    if let Some(url) = &url {
        contradictions(lookup, url);
        if decoded(url).is_none() {
            lookup.problem(
                "REDIS_URL",
                "has a user or password with a malformed percent escape",
                "write % as %25",
            );
        }
    } else if environment != Environment::Development {
        lookup.preset("REDIS_HOST", "localhost");
        lookup.preset("REDIS_PORT", "6379");
        lookup.preset("REDIS_DB", "0");
    } else if !lookup.is_given("REDIS_HOST") && !lookup.is_given("REDIS_URL") {
        lookup.report.notice("REDIS_URL is not set: in development the node runs alone");
    }
    if !environment.is_production() {
        return;
    }
    match url.and_then(|url| url.password) {
        Some(password) if password.len() < PASSWORD_BYTES_MIN => {
            lookup.problem("REDIS_URL", "has a password shorter than 8 bytes", "use a longer one");
        }
        Some(_) => {}
        None => lookup.require("REDIS_PASSWORD", "production needs it", "set it, or put it into REDIS_URL"),
    }
    let why = "production needs it against forged access decisions in Redis";
    lookup.require("CACHE_MAC_KEY", why, "set the same random value of at least 32 bytes on all nodes");
    if lookup.text("CACHE_MAC_KEY").is_some_and(super::tokens::is_known_default) {
        forbid(lookup, true, "CACHE_MAC_KEY", "is a known default", "use a random value");
    }
}

/// Parts that say something else than the URL.
fn contradictions(lookup: &mut Lookup, url: &RedisUrl) {
    // A list of several never equals one host, so the parts go with a single server alone.
    let joined =
        |part: fn(&(String, u16)) -> String| url.addresses.iter().map(part).collect::<Vec<_>>().join(",");
    let parts = [
        ("REDIS_HOST", joined(|(host, _)| host.clone())),
        ("REDIS_PORT", joined(|(_, port)| port.to_string())),
        ("REDIS_DB", url.database.to_string()),
    ];
    for (name, in_url) in parts {
        if lookup.text(name).is_some_and(|text| !text.eq_ignore_ascii_case(&in_url)) {
            lookup.problem(name, "contradicts REDIS_URL", "keep one of them");
        }
    }
    // A password in the URL is percent-encoded; only one without escapes can be compared as it stands.
    let plain = url.password.as_ref().filter(|password| !password.contains('%'));
    if plain.is_some_and(|in_url| lookup.text("REDIS_PASSWORD").is_some_and(|text| text != in_url)) {
        lookup.problem("REDIS_PASSWORD", "contradicts REDIS_URL", "keep one of them");
    }
}

const PASSWORD_BYTES_MIN: usize = 8;

#[cfg(test)]
mod tests;
