//! Redis locations, contradictions, and what production needs.

use super::{ColdPolicy, RedisUrl, Topology};
use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, assert_accepted, assert_problems};

#[test]
fn redis_urls_are_taken_apart() {
    for (text, expected) in [
        ("redis://cache", Some((false, "cache:6379", 0, None, None))),
        (
            "rediss://user:pass%20word@Cache:6380/15",
            Some((true, "cache:6380", 15, Some("user"), Some("pass%20word"))),
        ),
        ("redis://:pa@ss@10.0.0.1/", Some((false, "10.0.0.1:6379", 0, None, Some("pa@ss")))),
        ("redis://secret@[::1]:7", Some((false, "[::1]:7", 0, None, Some("secret")))),
        ("redis://user:@cache", Some((false, "cache:6379", 0, Some("user"), None))),
        ("redis-cluster://:long@a,b:7", Some((false, "a:6379,b:7", 0, None, Some("long")))),
        ("rediss-sentinel://a,b:7/main/3", Some((true, "a:26379,b:7", 3, None, None))),
        ("redis-sentinel://a/main", Some((false, "a:26379", 0, None, None))),
        ("redis-sentinel://a", None),
        ("redis-sentinel://a/ma in", None),
        ("redis-cluster://a/1", None),
        ("redis-cluster://a,", None),
        ("redis-moon://a", None),
        ("redis://a,b", None),
        ("redis://cache/16", None),
        ("redis://cache/x", None),
        ("redis://cache:0", None),
        ("redis://", None),
        ("http://cache", None),
    ] {
        let found = RedisUrl::parse(text);
        let places = |url: &RedisUrl| {
            let place = |(host, port): &(String, u16)| format!("{host}:{port}");
            url.addresses.iter().map(place).collect::<Vec<_>>().join(",")
        };
        let places = found.as_ref().map(places).unwrap_or_default();
        let parts = found.as_ref().map(|url| {
            (url.tls, places.as_str(), url.database, url.user.as_deref(), url.password.as_deref())
        });
        assert_eq!(parts, expected, "{text}");
    }
    let sentinel = RedisUrl::parse("redis-sentinel://a/main.1").expect("legal").topology;
    assert!(sentinel == Topology::Sentinel { master: "main.1".to_owned() });
    assert!(RedisUrl::parse("redis-cluster://a").expect("legal").topology == Topology::Cluster);
}

#[test]
fn the_supervisor_gets_redis_decoded() {
    fn redis(changes: sample::Changes<'_>) -> Option<super::RedisSettings> {
        sample::loaded(DEVELOPMENT, changes).settings.supervisor.redis
    }
    assert!(redis(&[]).is_none());
    let url = ("REDIS_URL", "rediss://us%65r:p%40ss%2Fword@[::1]:7/2");
    let ca = ("REDIS_CA", "-----BEGIN CERTIFICATE-----");
    let found = redis(&[url, ca, ("CACHE_MAC_KEY", sample::RANDOM), ("LEGACY_BLACKLIST", "false")]);
    let found = found.expect("Redis is set");
    let server = &found.server;
    assert!(server.tls && server.addresses == [("::1".to_owned(), 7)] && server.database == 2);
    assert_eq!(server.user.as_deref(), Some("user"));
    assert_eq!(server.password.as_ref().expect("set").expose(), "p@ss/word");
    assert!(found.cache_mac_key.is_some() && found.authorities.is_some() && !found.legacy_blacklist);
    assert_eq!(found.api_key_templates, ["api:key:{key}", "apikey:{key}", "api_key_hash:{sha256}"]);
    assert!(!format!("{found:?}").contains("p@ss"));
    let parts = redis(&[("REDIS_HOST", "cache"), ("REDIS_DB", "3"), ("REDIS_PASSWORD", "long-password")]);
    let parts = parts.expect("Redis is set");
    assert_eq!(parts.server.addresses, [("cache".to_owned(), 6_379)]);
    assert_eq!((parts.server.database, parts.server.topology), (3, Topology::Single));
    assert_eq!(parts.server.password.expect("set").expose(), "long-password");
    for broken in ["redis://:a%zz@cache", "redis://:a%2@cache", "redis://:a%ff@cache", "redis://:a%+1@cache"]
    {
        let expected = "REDIS_URL: has a user or password with a malformed percent escape; write % as %25";
        assert_eq!(sample::problems(DEVELOPMENT, &[("REDIS_URL", broken)]), [expected]);
    }
}

#[test]
fn without_a_cache_key_nothing_is_shared_and_the_log_says_so() {
    let notice = "CACHE_MAC_KEY is not set: access decisions are not shared through Redis".to_owned();
    let url = ("REDIS_URL", "redis://cache");
    assert!(sample::loaded(DEVELOPMENT, &[url]).notices.contains(&notice));
    let key = ("CACHE_MAC_KEY", sample::RANDOM);
    assert!(!sample::loaded(DEVELOPMENT, &[url, key]).notices.contains(&notice));
    assert!(!sample::loaded(DEVELOPMENT, &[]).notices.contains(&notice));
}

#[test]
fn a_cold_node_denies_where_it_matters_unless_told_otherwise() {
    let policy = |changes| sample::loaded(DEVELOPMENT, changes).settings.supervisor.revocation_cold_policy;
    assert_eq!(policy(&[]), ColdPolicy::Serve);
    assert_eq!(policy(&[("REVOCATION_COLD_POLICY", "deny")]), ColdPolicy::Deny);
}

#[test]
fn parts_may_not_contradict_the_url() {
    let url = ("REDIS_URL", "redis://:long-password@cache:6380/2");
    for (name, value) in [
        ("REDIS_HOST", "other"),
        ("REDIS_PORT", "6379"),
        ("REDIS_DB", "0"),
        ("REDIS_PASSWORD", "other-password"),
    ] {
        let expected = format!("{name}: contradicts REDIS_URL; keep one of them");
        assert_eq!(sample::problems(DEVELOPMENT, &[url, (name, value)]), [expected]);
    }
    let agree = [
        url,
        ("REDIS_HOST", "CACHE"),
        ("REDIS_PORT", "6380"),
        ("REDIS_DB", "2"),
        ("REDIS_PASSWORD", "long-password"),
    ];
    assert_eq!(sample::problems(DEVELOPMENT, &agree), [""; 0]);
    let encoded = [("REDIS_URL", "redis://:p%40ssword@cache"), ("REDIS_PASSWORD", "p@ssword")];
    assert_eq!(sample::problems(DEVELOPMENT, &encoded), [""; 0]);
}

#[test]
fn production_needs_a_password_and_a_cache_key() {
    assert_problems(
        PRODUCTION,
        &[
            ("REDIS_PASSWORD", "", "is not set, and production needs it; set it, or put it into REDIS_URL"),
            (
                "REDIS_PASSWORD",
                "short",
                "is shorter than 8 bytes; use a random value, for example from `openssl rand -hex 32`",
            ),
            (
                "CACHE_MAC_KEY",
                "",
                "is not set, and production needs it against forged access decisions in Redis; \
                 set the same random value of at least 32 bytes on all nodes",
            ),
            ("CACHE_MAC_KEY", &"x".repeat(32), "is a known default; use a random value"),
        ],
    );
    let without = ("REDIS_PASSWORD", "");
    let inside = [without, ("REDIS_URL", "redis://:long-password@cache")];
    assert_eq!(sample::problems(PRODUCTION, &inside), [""; 0]);
    let short = [without, ("REDIS_URL", "redis://:short@cache")];
    let expected = "REDIS_URL: has a password shorter than 8 bytes; use a longer one";
    assert_eq!(sample::problems(PRODUCTION, &short), [expected]);
    let none = [without, ("REDIS_URL", "redis://cache")];
    let expected = "REDIS_PASSWORD: is not set, and production needs it; set it, or put it into REDIS_URL";
    assert_eq!(sample::problems(PRODUCTION, &none), [expected]);
}

#[test]
fn in_development_a_node_without_redis_runs_alone_and_says_so() {
    let alone = "REDIS_URL is not set: in development the node runs alone".to_owned();
    assert!(sample::loaded(DEVELOPMENT, &[]).notices.contains(&alone));
    assert!(!sample::loaded(DEVELOPMENT, &[("REDIS_HOST", "cache")]).notices.contains(&alone));
    assert!(!sample::loaded(DEVELOPMENT, &[("REDIS_URL", "redis://cache")]).notices.contains(&alone));
    let mut lookup = sample::sources(PRODUCTION, &[]).read().lookup;
    super::check(&mut lookup, crate::config::Environment::Test);
    assert_eq!(lookup.text("REDIS_HOST"), Some("localhost"));
    assert_accepted(
        PRODUCTION,
        &[("RATE_LIMIT_REDIS_URL", "rediss://other:6379/1"), ("LEGACY_BLACKLIST", "false")],
    );
}
