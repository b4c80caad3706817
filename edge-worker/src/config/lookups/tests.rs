//! When users are looked up, and what the edge then needs to prove itself.

use crate::config::sample::{
    self, Changes, DEVELOPMENT, PRODUCTION, RANDOM, assert_accepted, assert_problems,
};

use crate::config::lookups::identity::UserCheck;

const PRIVATE: &str = include_str!("../../../../tests/keys/foreign.private.pem");

fn user_check(base: Changes<'_>, changes: Changes<'_>) -> UserCheck {
    sample::loaded(base, changes).settings.worker.users.check
}

#[test]
fn users_are_checked_wherever_there_is_a_credential_and_in_production_always() {
    let unset = "AUTH_USER_CHECK is not set and there is no credential for auth-service, so it is taken as off: tokens \
                 of suspended users pass until they expire";
    let says_so = |changes| sample::loaded(DEVELOPMENT, changes).notices.iter().any(|notice| notice == unset);
    assert_eq!(user_check(DEVELOPMENT, &[]), UserCheck::Off);
    assert!(says_so(&[]));
    assert!(!says_so(&[("AUTH_USER_CHECK", "off")]), "it was said already");
    let hmac = ("AUTH_S2S_MODE", "hmac");
    let given: [Changes<'_>; 3] = [
        &[("S2S_SERVICE_TOKEN", "service-token")],
        &[("S2S_PRIVATE_KEY", PRIVATE)],
        &[hmac, ("INTERNAL_HMAC_SECRET", RANDOM)],
    ];
    for changes in given {
        assert_eq!(user_check(DEVELOPMENT, changes), UserCheck::Always, "{:?}", changes.first());
        assert!(!says_so(changes));
    }
    assert_eq!(
        user_check(DEVELOPMENT, &[("INTERNAL_HMAC_SECRET", RANDOM)]),
        UserCheck::Off,
        "not of its mode"
    );
    assert_eq!(user_check(PRODUCTION, &[]), UserCheck::Always);
    assert_eq!(user_check(PRODUCTION, &[("AUTH_USER_CHECK", "async")]), UserCheck::Async);
}

#[test]
fn production_without_user_checks_is_warned() {
    let off = [("AUTH_USER_CHECK", "off")];
    let warning =
        "AUTH_USER_CHECK: is off: tokens of suspended users pass until they expire; set it to always";
    assert!(sample::warnings(PRODUCTION, &off).iter().any(|text| text == warning));
    assert!(!sample::warnings(DEVELOPMENT, &off).iter().any(|text| text == warning));
    assert_problems(
        DEVELOPMENT,
        &[(
            "AUTH_USER_CHECK",
            "sometimes",
            "is not one of always, async, off; correct it, or remove it to get the default (always in production, in \
             staging, and wherever AUTH_S2S_MODE has its credential; else off)",
        )],
    );
}

#[test]
fn the_mode_none_is_for_development() {
    let what = "sends no credential to services; use service-jwt or hmac";
    assert_problems(PRODUCTION, &[("AUTH_S2S_MODE", "none", what)]);
    assert_eq!(
        sample::warnings(DEVELOPMENT, &[("AUTH_S2S_MODE", "none")]),
        [format!("AUTH_S2S_MODE: {what}")]
    );
}

#[test]
fn each_mode_needs_its_credential() {
    let token = ("S2S_SERVICE_TOKEN", "");
    let jwt = "S2S_PRIVATE_KEY: is not set, and AUTH_S2S_MODE service-jwt needs it; \
               set it or S2S_SERVICE_TOKEN, or choose AUTH_S2S_MODE hmac";
    let hmac = "INTERNAL_HMAC_SECRET: is not set, and mode hmac needs it; set it to at least 32 random bytes";
    let legacy = "INTERNAL_SERVICE_SECRET: is not set, and INTERNAL_HMAC_FORMAT legacy needs it; set it";
    let secret = ("INTERNAL_SERVICE_SECRET", RANDOM);
    let mode = ("AUTH_S2S_MODE", "hmac");
    let signed = ("VENUE_ACCESS_MODE", "hmac");
    let cases: [(Changes<'_>, &[&str]); 12] = [
        (&[token], &[jwt]),
        (&[token, ("S2S_PRIVATE_KEY", PRIVATE)], &[]),
        (&[token, ("AUTH_USER_CHECK", "off")], &[]),
        (&[token, mode], &[hmac]),
        (&[token, mode, ("INTERNAL_HMAC_SECRET", RANDOM)], &[]),
        (&[token, mode, secret], &[hmac]),
        (&[token, mode, secret, ("INTERNAL_HMAC_FALLBACK", "true")], &[]),
        (&[token, mode, ("INTERNAL_HMAC_FORMAT", "legacy")], &[legacy]),
        (&[token, mode, secret, ("INTERNAL_HMAC_FORMAT", "legacy")], &[]),
        (&[signed], &[hmac]),
        (&[signed, ("AUTH_USER_CHECK", "off")], &[hmac]),
        (&[mode, ("AUTH_USER_CHECK", "off")], &[]),
    ];
    for (changes, expected) in cases {
        assert_eq!(sample::problems(PRODUCTION, changes), expected, "{:?}", changes.first());
    }
}

#[test]
fn who_may_leave_its_tenant_is_not_the_tokens_to_say() {
    let what = "trusts the role in the token alone while AUTH_USER_CHECK is off; set AUTH_USER_CHECK=always";
    let warning = [format!("CROSS_TENANT_ADMIN: {what}")];
    assert_eq!(sample::warnings(DEVELOPMENT, &[("CROSS_TENANT_ADMIN", "true")]), warning);
    let off = [("CROSS_TENANT_ADMIN", "true"), ("AUTH_USER_CHECK", "off")];
    assert_eq!(sample::problems(PRODUCTION, &off), warning);
    assert_eq!(sample::problems(PRODUCTION, &[("CROSS_TENANT_ADMIN", "true")]), [""; 0]);
}

#[test]
fn credentials_are_checked() {
    assert_problems(
        PRODUCTION,
        &[
            ("S2S_PRIVATE_KEY", "key", "is not a private key in PEM; correct it or remove it"),
            (
                "INTERNAL_HMAC_SECRET",
                "changeme-changeme-changeme-changeme",
                "is a known default; use a random value",
            ),
            (
                "INTERNAL_HMAC_NO_QUERY",
                "compliance,complaints",
                "names something that is no service; use names such as compliance",
            ),
        ],
    );
    assert_accepted(
        PRODUCTION,
        &[
            ("AUTH_USER_PATH", "/users/{userId}"),
            ("VENUE_LIST_PATH", "/internal/users/{userId}/venues"),
            ("INTERNAL_HMAC_NO_QUERY", "compliance,order"),
        ],
    );
    let mut lookup = sample::sources(DEVELOPMENT, &[]).read().lookup;
    super::check(&mut lookup, crate::config::Environment::Development);
    assert_eq!(lookup.text("REVOCATION_COLD_POLICY"), Some("serve"));
}
