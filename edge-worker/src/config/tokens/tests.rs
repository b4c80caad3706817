//! Which algorithms, keys and secrets a configuration trusts.

use super::{Algorithm, PermissionSource, PublicKey, TenantFormat, TokenSettings, is_known_default};
use crate::config::sample::{
    self, CURRENT, Changes, DEVELOPMENT, EC, ED, PREVIOUS, PRODUCTION, RANDOM, assert_accepted,
    assert_problems,
};

fn tokens(changes: Changes<'_>) -> TokenSettings {
    sample::loaded(DEVELOPMENT, changes).settings.worker.tokens
}

fn kids(keys: &[PublicKey]) -> Vec<(&str, Algorithm)> {
    keys.iter().map(|key| (key.kid.as_str(), key.algorithm)).collect()
}

#[test]
fn the_defaults_are_rs256_and_the_issuer_of_the_platform() {
    let tokens = tokens(&[]);
    assert_eq!(tokens.algorithms, [Algorithm::Rs256]);
    assert_eq!(kids(&tokens.keys), [("current", Algorithm::Rs256)]);
    assert_eq!((&tokens.issuers, &tokens.audiences), (&vec!["tickettoken-auth".to_owned()], &tokens.issuers));
    assert_eq!((tokens.clock_skew_s, tokens.tenant_format), (30, TenantFormat::Uuid));
    assert_eq!(tokens.permission_source, PermissionSource::Union);
    assert!(tokens.hs256_secret.is_none());
}

#[test]
fn every_load_has_a_new_digest_key() {
    assert_ne!(tokens(&[]).digest_key.expose(), tokens(&[]).digest_key.expose());
}

#[test]
fn everything_can_be_set() {
    let changes = [
        ("JWT_ALGORITHMS", "EdDSA,RS256,RS256,HS256"),
        ("JWT_PUBLIC_KEY", CURRENT),
        ("JWT_PUBLIC_KEY_PREVIOUS", ED),
        ("JWT_SECRET", RANDOM),
        ("JWT_ISSUER", "tickettoken-auth,tickettoken"),
        ("JWT_AUDIENCE", "edge"),
        ("JWT_CLOCK_SKEW_SECS", "0"),
        ("TENANT_ID_FORMAT", "opaque"),
        ("RBAC_PERMISSION_SOURCE", "role"),
    ];
    let tokens = tokens(&changes);
    assert_eq!(tokens.algorithms, [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256]);
    assert_eq!(kids(&tokens.keys), [("current", Algorithm::Rs256), ("previous", Algorithm::EdDsa)]);
    assert_eq!(tokens.hs256_secret.map(|secret| secret.expose().clone()).as_deref(), Some(RANDOM.as_bytes()));
    assert_eq!(tokens.issuers, ["tickettoken-auth", "tickettoken"]);
    assert_eq!(tokens.audiences, ["edge"]);
    assert_eq!((tokens.clock_skew_s, tokens.tenant_format), (0, TenantFormat::Opaque));
    assert_eq!(tokens.permission_source, PermissionSource::Role);
}

#[test]
fn algorithms_have_their_registered_names() {
    let all = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];
    assert_eq!(all.map(Algorithm::as_str), ["RS256", "ES256", "EdDSA", "HS256"]);
    assert_problems(
        DEVELOPMENT,
        &[(
            "JWT_ALGORITHMS",
            "RS256,none",
            "entry 2 of the list breaks the rule: a comma separated list of RS256, ES256, EdDSA, HS256; correct it, \
             or remove it to get the default (RS256; outside production HS256 if JWT_SECRET is set and there is no \
             public key)",
        )],
    );
}

#[test]
fn a_secret_alone_means_hs256_outside_production() {
    let changes = [("JWT_PUBLIC_KEY", ""), ("JWT_SECRET", RANDOM)];
    let tokens = tokens(&changes);
    assert_eq!((tokens.algorithms.as_slice(), tokens.keys.len()), ([Algorithm::Hs256].as_slice(), 0));
    assert!(tokens.hs256_secret.is_some());
    let expected = "JWT_ALGORITHMS: is not set; with JWT_SECRET and no public key it is taken as HS256; \
                    set JWT_PUBLIC_KEY, as production needs RS256 or an explicit HS256";
    assert_eq!(sample::warnings(DEVELOPMENT, &changes), [expected]);
    let expected = "JWT_ALGORITHMS: is not set, and there is JWT_SECRET but no public key; \
                    set JWT_PUBLIC_KEY for RS256, or JWT_ALGORITHMS=HS256 to use JWT_SECRET";
    assert_eq!(sample::problems(PRODUCTION, &changes), [expected]);
    let explicit = [("JWT_PUBLIC_KEY", ""), ("JWT_SECRET", RANDOM), ("JWT_ALGORITHMS", "HS256")];
    assert_eq!(sample::problems(PRODUCTION, &explicit), [""; 0]);
}

#[test]
fn a_secret_that_no_algorithm_uses_is_not_handed_on() {
    let loaded = sample::loaded(DEVELOPMENT, &[("JWT_SECRET", RANDOM)]);
    assert!(loaded.settings.worker.tokens.hs256_secret.is_none());
    let notice = "JWT_SECRET is set and not used: JWT_ALGORITHMS does not list HS256".to_owned();
    assert!(loaded.notices.contains(&notice));
}

#[test]
fn each_algorithm_needs_its_key() {
    let remedy = "set it or JWKS_FILE to the public key of auth-service";
    let none = format!("there is no public key for RS256; {remedy}");
    assert_problems(DEVELOPMENT, &[("JWT_PUBLIC_KEY", "", &none)]);
    let expected = [
        format!("JWT_PUBLIC_KEY: there is no public key for ES256; {remedy}"),
        format!("JWT_PUBLIC_KEY: there is no public key for EdDSA; {remedy}"),
    ];
    assert_eq!(sample::problems(DEVELOPMENT, &[("JWT_ALGORITHMS", "RS256,ES256,EdDSA")]), expected);
    let expected =
        "JWT_SECRET: is not set, and JWT_ALGORITHMS lists HS256; set it to at least 32 random bytes";
    assert_eq!(sample::problems(DEVELOPMENT, &[("JWT_ALGORITHMS", "RS256,HS256")]), [expected]);
    let only_remote = [("JWT_PUBLIC_KEY", ""), ("JWKS_URI", "https://auth.example/jwks.json")];
    let fetched = tokens(&only_remote);
    assert!(fetched.keys.is_empty() && fetched.renewable);
    assert_eq!(fetched.algorithms, [Algorithm::Rs256]);
}

#[test]
fn keys_of_algorithms_that_are_not_listed_are_left_out() {
    let changes = [("JWT_PUBLIC_KEY_PREVIOUS", EC)];
    assert_eq!(kids(&tokens(&changes).keys), [("current", Algorithm::Rs256)]);
    let expected = "JWT_PUBLIC_KEY_PREVIOUS: holds a key for ES256, which JWT_ALGORITHMS does not list, so it is \
                    not used; add ES256 to JWT_ALGORITHMS or remove the key";
    assert_eq!(sample::warnings(DEVELOPMENT, &changes), [expected]);
}

#[test]
fn a_rotation_has_two_keys() {
    let changes = [("JWT_PUBLIC_KEY_PREVIOUS", PREVIOUS)];
    let both = tokens(&changes).keys;
    assert_eq!(kids(&both), [("current", Algorithm::Rs256), ("previous", Algorithm::Rs256)]);
    assert_ne!(both[0].fingerprint, both[1].fingerprint);
    let same = [("JWT_PUBLIC_KEY_PREVIOUS", CURRENT)];
    let expected = "JWT_PUBLIC_KEY_PREVIOUS: is also configured under another name; \
                    remove it once the rotation is over";
    assert_eq!(sample::warnings(DEVELOPMENT, &same), [expected]);
}

#[test]
fn production_names_its_issuer() {
    assert_problems(
        PRODUCTION,
        &[(
            "JWT_ISSUER",
            "",
            "is not set, and production has no default; set the `iss` of auth-service, such as tickettoken-auth",
        )],
    );
    assert_accepted(
        PRODUCTION,
        &[("JWT_ISSUER", "https://auth.example/,tickettoken"), ("JWT_AUDIENCE", "edge")],
    );
}

#[test]
fn known_defaults_are_refused_in_production_and_warn_elsewhere() {
    let known = "changeme-changeme-changeme-changeme";
    let base: Vec<(&str, &str)> =
        PRODUCTION.iter().copied().chain([("JWT_ALGORITHMS", "RS256,HS256")]).collect();
    let what = "is a known default; use a random value of at least 32 bytes";
    assert_problems(&base, &[("JWT_SECRET", known, what)]);
    let warnings = sample::warnings(DEVELOPMENT, &[("JWT_SECRET", known)]);
    assert_eq!(warnings, [format!("JWT_SECRET: {what}")]);
}

#[test]
fn examples_and_templates_are_known_defaults() {
    for secret in [
        "your-secret-key-here",
        "Your_Secret_Key_Here-and-some-more-of-it",
        "default",
        "secret",
        "changeme",
        "CHANGE-ME-in-production-please-now",
        "dev-secret-change-in-production",
        "<put the secret of auth-service here>",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "0123456789abcdef0123456789abcdef",
        "",
    ] {
        assert!(is_known_default(secret), "{secret}");
    }
    for secret in [RANDOM, "<half a template", "correct horse battery staple and more"] {
        assert!(!is_known_default(secret), "{secret}");
    }
}
