//! Redis locations, contradictions, and what production needs.

use super::RedisUrl;
use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, assert_accepted, assert_problems};

#[test]
fn redis_urls_are_taken_apart() {
    for (text, expected) in [
        ("redis://cache", Some(("cache", 6_379, 0, None))),
        ("rediss://user:pass%20word@Cache:6380/15", Some(("cache", 6_380, 15, Some("pass%20word")))),
        ("redis://:pa@ss@10.0.0.1/", Some(("10.0.0.1", 6_379, 0, Some("pa@ss")))),
        ("redis://secret@[::1]:7", Some(("[::1]", 7, 0, Some("secret")))),
        ("redis://user:@cache", Some(("cache", 6_379, 0, None))),
        ("redis://cache/16", None),
        ("redis://cache/x", None),
        ("redis://cache:0", None),
        ("redis://", None),
        ("http://cache", None),
    ] {
        let found = RedisUrl::parse(text);
        let parts =
            found.as_ref().map(|url| (url.host.as_str(), url.port, url.database, url.password.as_deref()));
        assert_eq!(parts, expected, "{text}");
    }
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
