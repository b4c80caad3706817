//! What the clients of auth-service and venue-service are given, and which credentials are refused.

use super::*;
use crate::config::sample::{self, Changes, DEVELOPMENT, PREVIOUS, PRODUCTION, RANDOM};

const FOREIGN: &str = include_str!("../../../../../tests/keys/foreign.private.pem");
const USERS: &str = include_str!("../../../../../tests/keys/current.private.pem");
const EC_PRIVATE: &str = include_str!("../../../../../tests/keys/ec.private.pem");

fn settings(changes: Changes<'_>) -> IdentitySettings {
    sample::loaded(DEVELOPMENT, changes).settings.identity
}

#[test]
fn defaults_are_those_of_the_real_platform() {
    let found = settings(&[]);
    assert_eq!(found.user_check, UserCheck::Off, "outside production");
    assert_eq!(found.user_path, "/auth/internal/users/{userId}");
    assert_eq!(found.validate_path, "/auth/verify");
    assert!(!found.remote_validate);
    assert_eq!((found.user_stale_s, found.venue_access_ttl_s), (900, 600));
    assert_eq!(found.outage_policy, OutagePolicy::Deny);
    assert_eq!(found.venue_access_mode, VenueAccessMode::Bearer);
    assert_eq!(found.venue_access_path, "/api/v1/venues/{venueId}/check-access");
    assert_eq!(found.venue_list_path, "/api/v1/venues/user");
    assert_eq!(found.mode, CredentialMode::ServiceJwt);
    assert!(found.service_token.is_none() && found.signature.is_none());
}

#[test]
fn mode_hmac_brings_its_own_paths() {
    let (mode, secret) = (("VENUE_ACCESS_MODE", "hmac"), ("INTERNAL_HMAC_SECRET", RANDOM));
    let found = settings(&[mode, secret]);
    assert_eq!(found.venue_access_path, "/internal/access-check");
    assert_eq!(found.venue_list_path, "/internal/users/{userId}/venues");
    let set = [mode, secret, ("VENUE_ACCESS_PATH", "/access")];
    assert_eq!(settings(&set).venue_access_path, "/access");
}

#[test]
fn a_template_names_whom_it_asks_about() {
    for (changes, name, placeholder) in [
        (&[("AUTH_USER_PATH", "/users/me")][..], "AUTH_USER_PATH", "{userId}"),
        (&[("VENUE_ACCESS_PATH", "/access")], "VENUE_ACCESS_PATH", "{venueId}"),
        (
            &[
                ("VENUE_ACCESS_MODE", "hmac"),
                ("INTERNAL_HMAC_SECRET", RANDOM),
                ("VENUE_LIST_PATH", "/api/v1/venues/user"),
            ],
            "VENUE_LIST_PATH",
            "{userId}",
        ),
    ] {
        let expected = format!(
            "{name}: does not hold {placeholder}, so it names nobody in particular; add the placeholder"
        );
        assert_eq!(sample::problems(DEVELOPMENT, changes), [expected]);
    }
}

#[test]
fn a_private_key_wins_over_a_fixed_token() {
    let fixed = ("S2S_SERVICE_TOKEN", "service-token");
    let Some(ServiceToken::Fixed(token)) = settings(&[fixed]).service_token else { panic!("fixed") };
    assert_eq!(token.expose(), "service-token");
    let loaded = sample::loaded(DEVELOPMENT, &[fixed, ("S2S_PRIVATE_KEY", FOREIGN)]);
    assert!(matches!(loaded.settings.identity.service_token, Some(ServiceToken::Signed(_))));
    assert!(loaded.notices.iter().any(|notice| notice.starts_with("S2S_SERVICE_TOKEN is set and not used")));
}

#[test]
fn unfit_credentials_are_refused() {
    let unable = "S2S_PRIVATE_KEY: cannot sign RS256; use an RSA key of 2048 to 8192 bits in PEM";
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for key in [EC_PRIVATE, nonsense] {
        assert_eq!(sample::problems(DEVELOPMENT, &[("S2S_PRIVATE_KEY", key)]), [unable]);
    }
    let shared = "S2S_PRIVATE_KEY: is the private half of a key that users' tokens are verified with; \
                  use a key of the edge's own";
    assert_eq!(sample::problems(PRODUCTION, &[("S2S_PRIVATE_KEY", USERS)]), [shared]);
    assert_eq!(sample::warnings(DEVELOPMENT, &[("S2S_PRIVATE_KEY", USERS)]), [shared]);
    let unsendable = "S2S_SERVICE_TOKEN: holds a character that no header can carry; \
                      write the token alone, in one line";
    assert_eq!(sample::problems(DEVELOPMENT, &[("S2S_SERVICE_TOKEN", "two words")]), [unsendable]);
    let names = "INTERNAL_SERVICE_NAME: lists several names, and a request has one sender; \
                 write one, such as api-gateway";
    assert_eq!(sample::problems(DEVELOPMENT, &[("INTERNAL_SERVICE_NAME", "a,b")]), [names]);
}

#[test]
fn a_users_key_is_recognised_in_a_key_set_too() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/keys/mixed.jwks.json");
    let changes = [
        ("JWT_PUBLIC_KEY", PREVIOUS),
        ("JWT_ALGORITHMS", "RS256,ES256"),
        ("JWKS_FILE", keys),
        ("S2S_PRIVATE_KEY", USERS),
    ];
    let warnings = sample::warnings(DEVELOPMENT, &changes);
    assert!(warnings.iter().any(|warning| warning.starts_with("S2S_PRIVATE_KEY: is the private half")));
    let changes = [&changes[..3], &[("S2S_PRIVATE_KEY", FOREIGN)]].concat();
    assert_eq!(sample::warnings(DEVELOPMENT, &changes), [""; 0]);
}

#[test]
fn the_secret_is_that_of_the_format() {
    let other = "0123456789abcdef0123456789abcdef";
    let (new, older) = (("INTERNAL_HMAC_SECRET", RANDOM), ("INTERNAL_SERVICE_SECRET", other));
    let (legacy, fallback) = (("INTERNAL_HMAC_FORMAT", "legacy"), ("INTERNAL_HMAC_FALLBACK", "true"));
    let cases: [(Changes<'_>, Option<&str>); 6] = [
        (&[new, older], Some(RANDOM)),
        (&[new, older, legacy], Some(other)),
        (&[older], None),
        (&[older, fallback], Some(other)),
        (&[new, older, fallback], Some(RANDOM)),
        (&[new, legacy], None),
    ];
    for (changes, expected) in cases {
        let found = settings(changes).signature;
        assert_eq!(found.as_ref().map(|found| found.secret.expose().as_str()), expected, "{changes:?}");
    }
    let found = settings(&[new]).signature.expect("a secret is set");
    assert_eq!((found.service_name.as_str(), found.format), ("api-gateway", SignatureFormat::New));
    assert_eq!(found.without_query, [ServiceId::find("compliance").expect("a service")]);
}

#[test]
fn no_credential_is_printed_or_handed_to_workers() {
    let changes = [
        ("S2S_PRIVATE_KEY", FOREIGN),
        ("S2S_SERVICE_TOKEN", "service-token-marker"),
        ("INTERNAL_HMAC_SECRET", RANDOM),
        ("INTERNAL_SERVICE_SECRET", "0123456789abcdef0123456789abcdef"),
    ];
    let loaded = sample::loaded(DEVELOPMENT, &changes);
    let handed = serde_json::to_string(&loaded.settings.worker).expect("settings are JSON");
    let shown = format!("{handed}{loaded:?}{}", loaded.settings.print());
    for secret in ["BEGIN PRIVATE", "service-token-marker", RANDOM, "0123456789abcdef0123456789abcdef"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}
