//! Where Redis is. Its rules hold already; connections come with the feature.

use super::Environment;
use super::headers::forbid;
use super::host;
use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new("REDIS_URL", "redis.url", Rule::RedisUrl, "Redis, password and database included")
        .secret()
        .preset_rule("unset in development: the node runs alone; else made of REDIS_HOST, _PORT and _DB")
        .later("Redis"),
    Setting::new("REDIS_HOST", "redis.host", Rule::Host, "Host, if there is no REDIS_URL")
        .preset_rule("localhost, unset in development")
        .later("Redis"),
    Setting::new("REDIS_PORT", "redis.port", Rule::Number(1, 65_535), "Port, if there is no REDIS_URL")
        .preset_rule("6379, unset in development")
        .later("Redis"),
    Setting::new("REDIS_DB", "redis.database", Rule::Number(0, 15), "Database, if there is no REDIS_URL")
        .preset_rule("0, unset in development")
        .later("Redis"),
    Setting::new(
        "REDIS_PASSWORD",
        "redis.password",
        Rule::Secret(8),
        "Password; may stand in REDIS_URL instead",
    )
    .secret()
    .required("production, staging")
    .later("Redis"),
    Setting::new(
        "RATE_LIMIT_REDIS_URL",
        "redis.rate_limit_url",
        Rule::RedisUrl,
        "A Redis of its own for rate limits",
    )
    .secret()
    .preset_rule("the main Redis")
    .later("Redis"),
    Setting::new(
        "WAITING_ROOM_REDIS_URL",
        "redis.waiting_room_url",
        Rule::RedisUrl,
        "A Redis of its own for the waiting room",
    )
    .secret()
    .preset_rule("the main Redis")
    .later("Redis"),
    Setting::new(
        "CACHE_MAC_KEY",
        "redis.cache_mac_key",
        Rule::Secret(32),
        "Authenticates cached access decisions in Redis; the same on all nodes",
    )
    .secret()
    .required("production, staging")
    .later("Redis"),
    Setting::new(
        "LEGACY_BLACKLIST",
        "redis.legacy_blacklist",
        Rule::Flag,
        "Look up the older revocation key of a token when it is first seen",
    )
    .preset("true")
    .later("Redis"),
];

/// The parts of a Redis URL.
#[derive(PartialEq, Eq)]
pub struct RedisUrl {
    pub host: String,
    pub port: u16,
    pub database: u64,
    /// Still percent-encoded.
    pub password: Option<String>,
}

impl RedisUrl {
    /// `redis[s]://[[user]:password@]host[:port][/database]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<RedisUrl> {
        let rest = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"))?;
        let (credentials, location) = match rest.rsplit_once('@') {
            Some((credentials, location)) => (Some(credentials), location),
            None => (None, rest),
        };
        let (authority, database) = location.split_once('/').unwrap_or((location, ""));
        let (host, port) = host::split_port(authority);
        let database = if database.is_empty() { 0 } else { super::rule::whole_number(database)? };
        let port = port.map_or(Some(6379), host::parse_port)?;
        let password = credentials.map(|text| text.split_once(':').map_or(text, |(_, password)| password));
        let legal = host::is_host(host) && database <= 15;
        legal.then(|| RedisUrl {
            host: host.to_ascii_lowercase(),
            port,
            database,
            password: password.filter(|text| !text.is_empty()).map(ToOwned::to_owned),
        })
    }
}

pub(super) fn check(lookup: &mut Lookup, environment: Environment) {
    let url = lookup.text("REDIS_URL").and_then(RedisUrl::parse);
    if let Some(url) = &url {
        contradictions(lookup, url);
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
    let parts = [
        ("REDIS_HOST", url.host.clone()),
        ("REDIS_PORT", url.port.to_string()),
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
