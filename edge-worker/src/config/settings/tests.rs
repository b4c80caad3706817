//! The table agrees with itself.

use super::{Form, GROUPS, Preset, Setting, all, find, find_key, is_ignored};
use crate::config::rule::Rule;
use std::collections::BTreeSet;

#[test]
fn every_fixed_default_passes_its_rule() {
    for setting in all() {
        if let Preset::Text(text) = setting.preset {
            assert_eq!(setting.rule.check(text), Ok(()), "{}", setting.name);
        }
    }
}

#[test]
fn names_and_keys_are_unique_and_found_again() {
    let mut seen = BTreeSet::new();
    for (name, key) in all().flat_map(super::Setting::variables) {
        assert!(seen.insert(name.clone()) && seen.insert(key.clone()), "{name} {key}");
        assert_eq!(find(&name).expect("a variable of the table").canonical, name);
        assert_eq!(find_key(&key).expect("a key of the table").canonical, name);
    }
    assert!(seen.len() > 2 * 250, "19 services times 10 families, and the rest");
    assert_eq!(GROUPS.len(), 14);
}

#[test]
fn families_and_older_spellings_are_found() {
    for (name, canonical) in [
        ("AUTH_SERVICE_URL", Some("AUTH_SERVICE_URL")),
        ("HEALTH_PATH_MINTING", Some("HEALTH_PATH_MINTING")),
        ("HEALTH_PATH_NOBODY", None),
        ("CORS_ORIGIN", Some("ALLOWED_ORIGINS")),
        ("RATE_LIMIT_MAX", Some("RATE_LIMIT_GLOBAL_MAX")),
        ("SUNSET_T9", Some("SUNSET_T9")),
        ("SUNSET_", None),
        ("SUNSET_A-B", None),
        ("NODE_ENVIRONMENT", None),
    ] {
        assert_eq!(find(name).map(|variable| variable.canonical).as_deref(), canonical, "{name}");
    }
    for (key, canonical) in [
        ("services.auth.urls", Some("AUTH_SERVICE_URL")),
        ("sunset.T9", Some("SUNSET_T9")),
        ("sunset.", None),
        ("services.nobody.urls", None),
    ] {
        assert_eq!(find_key(key).map(|variable| variable.canonical).as_deref(), canonical, "{key}");
    }
}

/// The variables of `platform.md` section 3, so that none is forgotten.
#[test]
fn every_variable_of_the_platform_is_in_the_table() {
    for name in PLATFORM.split_whitespace() {
        assert!(find(name).is_some(), "{name}");
    }
    for name in ["ENABLE_SWAGGER", "JWT_ACCESS_EXPIRY", "JWT_ACCESS_SECRET", "CIRCUIT_BREAKER_TIMEOUT"] {
        assert!(is_ignored(name) && find(name).is_none(), "{name}");
    }
    assert!(!is_ignored("JWT_SECRET"));
}

const PLATFORM: &str = "
NODE_ENV HOST PORT LOG_LEVEL LOG_FORMAT AUTH_SERVICE_URL TRANSFER_SERVICE_URL UPSTREAM_TLS_REQUIRED UPSTREAM_CA_FILE
JWT_ALGORITHMS JWT_PUBLIC_KEY JWT_PUBLIC_KEY_PREVIOUS JWKS_FILE JWKS_URI JWT_SECRET JWT_ISSUER JWT_AUDIENCE
JWT_CLOCK_SKEW_SECS TENANT_ID_FORMAT REDIS_URL REDIS_HOST REDIS_PORT REDIS_DB REDIS_PASSWORD RATE_LIMIT_REDIS_URL
WAITING_ROOM_REDIS_URL AUTH_S2S_MODE S2S_PRIVATE_KEY S2S_SERVICE_TOKEN INTERNAL_HMAC_SECRET INTERNAL_SERVICE_SECRET
AUTH_USER_PATH AUTH_VALIDATE_PATH VENUE_ACCESS_PATH VENUE_LIST_PATH VENUE_ACCESS_MODE AUTH_REMOTE_VALIDATE
AUTH_USER_CHECK AUTH_OUTAGE_POLICY AUTH_USER_STALE_SECS VENUE_ACCESS_TTL_SECS INTERNAL_SERVICE_NAME
INTERNAL_HMAC_FORMAT INTERNAL_HMAC_NO_QUERY INTERNAL_HMAC_FALLBACK REVOCATION_COLD_POLICY WEBHOOK_PROVIDERS
HEALTH_PATH_AUTH SUNSET_A1 UPSTREAM_TOKEN_MODE_AUTH UPSTREAM_TOKEN_SECRET_AUTH ALLOWED_ORIGINS CORS_ORIGIN CORS_STRICT
TRUSTED_PROXIES ENFORCE_HTTPS EXTERNAL_SCHEME PUBLIC_HOSTS RATE_LIMIT_ENABLED RATE_LIMIT_GLOBAL_MAX
RATE_LIMIT_GLOBAL_WINDOW RATE_LIMIT_MAX RATE_LIMIT_WINDOW_MS RATE_LIMIT_TICKET_MAX RATE_LIMIT_TICKET_WINDOW
RATE_LIMIT_TICKET_BLOCK RATE_LIMIT_NODES RATE_LIMIT_EXEMPT_CIDRS RATE_LIMIT_BAN_THRESHOLD API_KEY_TEMPLATES
METRICS_ALLOWED_CIDRS HEALTH_TOKEN MAX_REQUEST_SIZE MAX_HEADER_BYTES TIMEOUT_DEFAULT TIMEOUT_PAYMENT
TIMEOUT_NFT_MINTING CIRCUIT_BREAKER_ERROR_THRESHOLD CIRCUIT_BREAKER_RESET_TIMEOUT CIRCUIT_BREAKER_VOLUME_THRESHOLD
CIRCUIT_BREAKER_ERROR_THRESHOLD_AUTH CIRCUIT_BREAKER_RESET_TIMEOUT_AUTH CIRCUIT_BREAKER_VOLUME_THRESHOLD_AUTH
WAITING_ROOM_MODE QUEUE_TOKEN_SECRET RESPONSE_CACHE_ENABLED CACHE_TENANT_SHARED DOMAIN_ROUTING_ENABLED
RBAC_PERMISSION_SOURCE CROSS_TENANT_ADMIN READY_DEPENDENCIES MASK_UPSTREAM_5XX ENABLE_METRICS ENABLE_TRACING
OTEL_EXPORTER_OTLP_ENDPOINT OTEL_SERVICE_NAME OTEL_TRACES_SAMPLER_ARG SHUTDOWN_TIMEOUT_MS DRAIN_DELAY_MS
";

/// The tables themselves are built by the compiler, which no test would notice.
#[test]
fn a_setting_is_built_step_by_step() {
    let plain = Setting::new("X", "t.x", Rule::Flag, "Means");
    assert_eq!((plain.name, plain.key, plain.rule, plain.meaning), ("X", "t.x", Rule::Flag, "Means"));
    assert_eq!((plain.form, plain.preset, plain.required), (Form::Plain, Preset::Unset, ""));
    assert_eq!((plain.alias, plain.later), (None, None));
    let full = plain.preset("true").required("always").secret().alias("Y").later("rain");
    assert_eq!((full.form, full.preset, full.required), (Form::Secret, Preset::Text("true"), "always"));
    assert_eq!((full.alias, full.later), (Some("Y"), Some("rain")));
    let other = plain.preset_rule("it depends").long();
    assert_eq!((other.form, other.preset), (Form::Long, Preset::Rule("it depends")));
}
