//! Every reason, in the platform's order, and what is left of a good token.

use super::*;
use crate::config::secret::Secret;
use crate::config::tokens::PermissionSource;
use crate::identity::forge::{
    EC, JTI, NOW, SUBJECT, Signer, TENANT, claims, claims_without, key, names, open_settings, public,
    raw_token, settings, token, verifier,
};
use serde_json::{Value, json};

const RS: &str = r#"{"alg":"RS256","kid":"current"}"#;
const HS: &str = r#"{"alg":"HS256"}"#;

fn reason(token: &str) -> Option<TokenFault> {
    verifier(&settings()).verify(token.as_bytes(), NOW).err()
}

fn reason_of(changes: Value) -> Option<TokenFault> {
    reason(&token(&claims(changes)))
}

fn hs_reason(claims: &Value) -> Option<TokenFault> {
    let token = raw_token(Signer::Secret, HS, &claims.to_string());
    verifier(&open_settings()).verify(token.as_bytes(), NOW).err()
}

fn accepted(changes: Value) -> Claims {
    let token = token(&claims(changes));
    verifier(&settings()).verify(token.as_bytes(), NOW).expect("accepted")
}

#[test]
fn a_token_of_the_platform_is_accepted_with_its_claims() {
    let claims = accepted(json!({}));
    assert_eq!((claims.subject.as_str(), claims.tenant.as_str()), (SUBJECT, TENANT));
    assert_eq!(claims.jti.as_deref(), Some(JTI));
    assert_eq!(claims.role, Role::Customer);
    assert_eq!((claims.issued_at, claims.not_before, claims.expires_at), (NOW - 60, 0, NOW + 840));
    assert_eq!(claims.key, 1);
    assert_eq!(claims.settings, verifier(&settings()).settings_fingerprint());
    assert!(!format!("{claims:?}").contains("example.com"), "the e-mail address is not kept");
}

#[test]
fn a_token_that_cannot_be_read_is_malformed() {
    let good = claims(json!({})).to_string();
    let bad = [
        String::new(),
        "sk_live_0123456789abcdef0123456789abcdef".to_owned(),
        "a.b".to_owned(),
        raw_token(Signer::Current, r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, &good),
        raw_token(Signer::Current, r#"{"alg":"RS256","alg":"RS256"}"#, &good),
        raw_token(Signer::Current, RS, "[]"),
        raw_token(Signer::Current, RS, &good.replace("\"sub\"", "\"tenant_id\"")),
        raw_token(Signer::Current, RS, &format!("{good} x")),
        format!("{}=", token(&claims(json!({})))),
        token(&claims(json!({"filler": "x".repeat(8192)}))),
    ];
    for token in bad {
        assert_eq!(reason(&token), Some(TokenFault::Malformed), "{token}");
    }
    assert_eq!(reason_of(json!({"exp": "soon"})), Some(TokenFault::Malformed));
}

#[test]
fn the_longest_token_may_have_exactly_eight_kib() {
    let filled = |filler: usize| token(&claims(json!({ "filler": "x".repeat(filler) })));
    // Three bytes of claims are four characters of the token.
    let room = (AUTHORIZATION_BYTES_MAX - filled(0).len()) * 3 / 4;
    let mut longest = (room.saturating_sub(4)..room + 4).map(filled);
    let longest = longest.rfind(|token| token.len() <= AUTHORIZATION_BYTES_MAX).expect("one fits");
    assert_eq!(longest.len(), AUTHORIZATION_BYTES_MAX);
    assert_eq!(reason(&longest), None);
}

#[test]
fn an_algorithm_that_is_not_listed_is_not_allowed() {
    let good = claims(json!({})).to_string();
    for header in
        [HS, r#"{"alg":"none"}"#, r#"{"alg":"None"}"#, r#"{"alg":"RS384"}"#, r#"{"alg":"ES256"}"#, "{}"]
    {
        let token = raw_token(Signer::PublicKeyAsSecret, header, &good);
        assert_eq!(reason(&token), Some(TokenFault::AlgNotAllowed), "{header}");
    }
    let signed = token(&claims(json!({})));
    let (message, _) = signed.rsplit_once('.').expect("three parts");
    assert!(reason(&format!("{message}.")).is_some_and(|fault| fault == TokenFault::BadSignature));
    let none = raw_token(Signer::Current, r#"{"alg":"none"}"#, &good);
    let (message, _) = none.rsplit_once('.').expect("three parts");
    assert_eq!(reason(&format!("{message}.")), Some(TokenFault::AlgNotAllowed));
}

#[test]
fn no_signature_counts_under_another_algorithm() {
    let verifier = verifier(&open_settings());
    let good = claims(json!({})).to_string();
    let signers = [
        ("RS256", Signer::Current),
        ("ES256", Signer::Ec),
        ("EdDSA", Signer::Ed),
        ("HS256", Signer::Secret),
        ("HS256", Signer::PublicKeyAsSecret),
    ];
    for named in ["RS256", "ES256", "EdDSA", "HS256"] {
        for (own, signer) in signers {
            let token = raw_token(signer, &format!("{{\"alg\":\"{named}\"}}"), &good);
            let fault = verifier.verify(token.as_bytes(), NOW).err();
            let genuine = own == named && signer != Signer::PublicKeyAsSecret;
            let expected = if genuine { None } else { Some(TokenFault::BadSignature) };
            assert_eq!(fault, expected, "{named} by {signer:?}");
        }
    }
}

#[test]
fn a_kid_of_an_unknown_key_is_refused_and_an_absent_one_is_not() {
    let good = claims(json!({})).to_string();
    let by_kid =
        |kid: &str| raw_token(Signer::Current, &format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#), &good);
    for kid in ["", "other", "CURRENT"] {
        assert_eq!(reason(&by_kid(kid)), Some(TokenFault::UnknownKid), "{kid}");
    }
    for kid in ["current", "previous", "dev"] {
        assert_eq!(reason(&by_kid(kid)), None, "{kid}");
    }
    assert_eq!(reason(&raw_token(Signer::Current, r#"{"alg":"RS256"}"#, &good)), None);
}

#[test]
fn after_a_rotation_tokens_of_the_previous_key_still_say_current() {
    let token = raw_token(Signer::Previous, RS, &claims(json!({})).to_string());
    assert_eq!(verifier(&settings()).verify(token.as_bytes(), NOW).map(|claims| claims.key), Ok(2));
    let mut retired = settings();
    retired.keys.truncate(1);
    let fault = verifier(&retired).verify(token.as_bytes(), NOW).err();
    assert_eq!(fault, Some(TokenFault::BadSignature));
}

#[test]
fn a_signature_of_another_key_or_over_other_bytes_is_bad() {
    let good = claims(json!({})).to_string();
    assert_eq!(reason(&raw_token(Signer::Foreign, RS, &good)), Some(TokenFault::BadSignature));
    let admin = token(&claims(json!({"role": "admin"})));
    let customer = token(&claims(json!({})));
    let (header, _) = customer.split_once('.').expect("three parts");
    let claims = admin.split('.').nth(1).expect("three parts");
    let signature = customer.rsplit('.').next().expect("three parts");
    assert_eq!(reason(&format!("{header}.{claims}.{signature}")), Some(TokenFault::BadSignature));
}

#[test]
fn times_are_checked_with_the_clock_skew() {
    let cases = [
        (json!({"exp": NOW - 29}), None),
        (json!({"exp": NOW - 30}), Some(TokenFault::Expired)),
        (json!({"exp": 0}), Some(TokenFault::Expired)),
        (json!({"exp": i64::MIN}), Some(TokenFault::Expired)),
        (json!({"exp": i64::MAX}), None),
        (json!({"exp": null}), Some(TokenFault::Expired)),
        (json!({"exp": 1_800_000_060.0}), None),
        (json!({"nbf": NOW + 30}), None),
        (json!({"nbf": NOW + 31}), Some(TokenFault::NotYetValid)),
        (json!({"nbf": i64::MAX}), Some(TokenFault::NotYetValid)),
        (json!({"nbf": i64::MIN}), None),
        (json!({"iat": NOW + 30}), None),
        (json!({"iat": NOW + 31}), Some(TokenFault::NotYetValid)),
        (json!({"iat": null}), None),
    ];
    for (changes, expected) in cases {
        assert_eq!(reason_of(changes.clone()), expected, "{changes}");
    }
    assert_eq!(reason(&token(&claims_without("exp"))), Some(TokenFault::Expired));
    assert_eq!(reason(&token(&claims_without("iat"))), None);
}

#[test]
fn issuer_and_audience_must_be_accepted_ones() {
    let issuer = Some(TokenFault::WrongIssuer);
    let audience = Some(TokenFault::WrongAudience);
    let cases = [
        (json!({"iss": "evil"}), issuer),
        (json!({"iss": ""}), issuer),
        (json!({"iss": null}), issuer),
        (json!({"iss": ["tickettoken-auth"]}), issuer),
        (json!({"aud": "evil"}), audience),
        (json!({"aud": null}), audience),
        (json!({"aud": 5}), audience),
        (json!({"aud": []}), audience),
        (json!({"aud": ["evil"]}), audience),
        (json!({"aud": ["evil", 5, "tickettoken-auth"]}), audience),
        (json!({"aud": ["evil", "tickettoken-auth"]}), None),
    ];
    for (changes, expected) in cases {
        assert_eq!(reason_of(changes.clone()), expected, "{changes}");
    }
    assert_eq!(reason(&token(&claims_without("iss"))), issuer);
    assert_eq!(reason(&token(&claims_without("aud"))), audience);
}

#[test]
fn any_of_several_issuers_and_audiences_is_accepted() {
    let mut several = settings();
    several.issuers.push("tickettoken".to_owned());
    several.audiences.push("tickettoken".to_owned());
    let token = token(&claims(json!({"iss": "tickettoken", "aud": "tickettoken"})));
    assert!(verifier(&several).verify(token.as_bytes(), NOW).is_ok());
}

#[test]
fn type_subject_tenant_and_id_must_be_there() {
    let cases = [
        (json!({"type": "refresh"}), TokenFault::WrongType),
        (json!({"type": "Access"}), TokenFault::WrongType),
        (json!({"type": null}), TokenFault::WrongType),
        (json!({"sub": ""}), TokenFault::MissingSubject),
        (json!({"sub": null}), TokenFault::MissingSubject),
        (json!({"sub": 5}), TokenFault::MissingSubject),
        (json!({"sub": "a b"}), TokenFault::MissingSubject),
        (json!({"sub": "a\r\nx-user-role: admin"}), TokenFault::MissingSubject),
        (json!({"sub": "é"}), TokenFault::MissingSubject),
        (json!({"sub": "a".repeat(129)}), TokenFault::MissingSubject),
        (json!({"tenant_id": ""}), TokenFault::MissingTenant),
        (json!({"tenant_id": null}), TokenFault::MissingTenant),
        (json!({"tenant_id": ["a"]}), TokenFault::MissingTenant),
        (json!({"tenant_id": "tenant-1"}), TokenFault::MissingTenant),
        (json!({"tenant_id": format!("{TENANT} ")}), TokenFault::MissingTenant),
        (json!({"jti": ""}), TokenFault::MissingJti),
        (json!({"jti": null}), TokenFault::MissingJti),
        (json!({"jti": 5}), TokenFault::MissingJti),
    ];
    for (changes, expected) in cases {
        assert_eq!(reason_of(changes.clone()), Some(expected), "{changes}");
    }
    for (name, expected) in [
        ("type", TokenFault::WrongType),
        ("sub", TokenFault::MissingSubject),
        ("tenant_id", TokenFault::MissingTenant),
        ("jti", TokenFault::MissingJti),
    ] {
        assert_eq!(reason(&token(&claims_without(name))), Some(expected), "{name}");
    }
    assert_eq!(accepted(json!({"sub": "Auth0.user:7@x_y-z"})).subject, "Auth0.user:7@x_y-z");
    assert_eq!(accepted(json!({"sub": "a".repeat(128)})).subject.len(), 128);
}

#[test]
fn the_first_reason_in_the_platforms_order_answers() {
    // Each step repairs what the step before complained of.
    let broken = |changes: Value| {
        let mut all = claims(json!({
            "exp": 0, "nbf": NOW + 900, "iss": "evil", "aud": "evil", "type": "refresh",
            "sub": "", "tenant_id": "", "jti": "",
        }));
        let changes = changes.as_object().expect("an object").clone();
        all.as_object_mut().expect("an object").extend(changes);
        all.to_string()
    };
    let alg = raw_token(Signer::Foreign, r#"{"alg":"none","kid":"x"}"#, &broken(json!({})));
    let kid = raw_token(Signer::Foreign, r#"{"alg":"RS256","kid":"x"}"#, &broken(json!({})));
    assert_eq!(reason(&raw_token(Signer::Foreign, r#"{"alg":"none"}"#, "{")), Some(TokenFault::Malformed));
    assert_eq!(reason(&alg), Some(TokenFault::AlgNotAllowed));
    assert_eq!(reason(&kid), Some(TokenFault::UnknownKid));
    assert_eq!(reason(&raw_token(Signer::Foreign, RS, &broken(json!({})))), Some(TokenFault::BadSignature));
    let repairs = [
        (json!({}), TokenFault::Expired),
        (json!({"exp": NOW + 900}), TokenFault::NotYetValid),
        (json!({"nbf": NOW}), TokenFault::WrongIssuer),
        (json!({"iss": "tickettoken-auth"}), TokenFault::WrongAudience),
        (json!({"aud": "tickettoken-auth"}), TokenFault::WrongType),
        (json!({"type": "access"}), TokenFault::MissingSubject),
        (json!({"sub": "u"}), TokenFault::MissingTenant),
        (json!({"tenant_id": TENANT}), TokenFault::MissingJti),
    ];
    let mut repaired = json!({});
    for (repair, expected) in repairs {
        let repair = repair.as_object().expect("an object").clone();
        repaired.as_object_mut().expect("an object").extend(repair);
        let token = raw_token(Signer::Current, RS, &broken(repaired.clone()));
        assert_eq!(reason(&token), Some(expected), "{repaired}");
    }
}

#[test]
fn an_hs256_token_needs_its_issuer_but_neither_audience_nor_id() {
    assert_eq!(hs_reason(&claims(json!({}))), None);
    assert_eq!(hs_reason(&claims_without("aud")), None);
    assert_eq!(hs_reason(&claims_without("jti")), None);
    assert_eq!(hs_reason(&claims(json!({"aud": null}))), None);
    assert_eq!(hs_reason(&claims(json!({"aud": "evil"}))), Some(TokenFault::WrongAudience));
    assert_eq!(hs_reason(&claims(json!({"aud": 5}))), Some(TokenFault::WrongAudience));
    assert_eq!(hs_reason(&claims_without("iss")), Some(TokenFault::WrongIssuer));
    assert_eq!(hs_reason(&claims_without("tenant_id")), Some(TokenFault::MissingTenant));
    let token =
        raw_token(Signer::Secret, r#"{"alg":"HS256","kid":"any"}"#, &claims_without("jti").to_string());
    let verified = verifier(&open_settings()).verify(token.as_bytes(), NOW).expect("accepted");
    assert_eq!(verified.jti, None);
}

#[test]
fn es256_and_eddsa_tokens_need_everything_an_rs256_token_needs() {
    let verifier = verifier(&open_settings());
    for (alg, signer) in [("ES256", Signer::Ec), ("EdDSA", Signer::Ed)] {
        let header = format!("{{\"alg\":\"{alg}\"}}");
        let fault = |claims: &Value| {
            let token = raw_token(signer, &header, &claims.to_string());
            verifier.verify(token.as_bytes(), NOW).err()
        };
        assert_eq!(fault(&claims(json!({}))), None);
        assert_eq!(fault(&claims_without("aud")), Some(TokenFault::WrongAudience));
        assert_eq!(fault(&claims_without("jti")), Some(TokenFault::MissingJti));
        let unknown = raw_token(signer, &format!(r#"{{"alg":"{alg}","kid":"x"}}"#), "{}");
        assert_eq!(verifier.verify(unknown.as_bytes(), NOW).err(), Some(TokenFault::UnknownKid));
    }
}

#[test]
fn a_uuid_tenant_is_kept_in_lower_case() {
    assert_eq!(accepted(json!({"tenant_id": TENANT.to_uppercase()})).tenant, TENANT);
}

#[test]
fn an_opaque_tenant_is_a_word_of_at_most_64_bytes() {
    let mut opaque = settings();
    opaque.tenant_format = TenantFormat::Opaque;
    let verifier = verifier(&opaque);
    let tenant = |tenant: &str| {
        let token = token(&claims(json!({"tenant_id": tenant})));
        verifier.verify(token.as_bytes(), NOW).map(|claims| claims.tenant)
    };
    assert_eq!(tenant("Arena_7-x"), Ok("Arena_7-x".to_owned()));
    assert_eq!(tenant(&TENANT.to_uppercase()), Ok(TENANT.to_owned()));
    assert_eq!(tenant(&"a".repeat(64)), Ok("a".repeat(64)));
    for bad in ["", "a b", "a/b", "a:b", "é", &"a".repeat(65)] {
        assert_eq!(tenant(bad), Err(TokenFault::MissingTenant), "{bad}");
    }
}

#[test]
fn permissions_are_mapped_and_those_no_row_knows_are_dropped() {
    let table = names(&[]);
    let id = |permission: &str| {
        table.permissions.iter().find(|(name, _)| name == permission).map(|(_, id)| *id).expect("known")
    };
    let permissions =
        json!(["buy:tickets", "tickets:purchase", "validate:tickets", "walk:dogs", "*:tickets"]);
    let mut expected = vec![id("tickets:purchase"), id("tickets:validate")];
    expected.sort_unstable();
    assert_eq!(accepted(json!({"permissions": permissions})).permissions, expected);
    assert_eq!(accepted(json!({"permissions": null})).permissions, Vec::<u16>::new());
}

#[test]
fn the_role_is_the_canonical_one_with_its_id() {
    let claims = accepted(json!({"role": "Venue_Admin"}));
    assert_eq!(claims.role, Role::VenueOwner);
    assert_eq!(verifier(&settings()).role(claims.role_id), Some(Role::VenueOwner));
    assert_eq!(accepted(json!({"role": null})).role, Role::Customer);
}

#[test]
fn the_fingerprint_changes_with_every_deciding_setting() {
    let fingerprint = |settings: &TokenSettings| verifier(settings).settings_fingerprint();
    let mut variants = vec![settings(); 8];
    variants[1].algorithms.push(Algorithm::Hs256);
    variants[2].issuers.push("x".to_owned());
    variants[3].audiences.push("x".to_owned());
    variants[4].clock_skew_s = 31;
    variants[5].tenant_format = TenantFormat::Opaque;
    variants[6].permission_source = PermissionSource::Role;
    variants[7].digest_key = Secret::new([8; 32]);
    let mut prints: Vec<u64> = variants.iter().map(fingerprint).collect();
    let mut table = names(&[]);
    table.permissions.push(("dogs:walk".to_owned(), 900));
    prints.push(Verifier::new(&settings(), &table).expect("usable").settings_fingerprint());
    let count = prints.len();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), count);
    assert_eq!(fingerprint(&settings()), fingerprint(&settings()), "equal in every worker");
}

#[test]
fn it_vouches_only_for_its_own_keys_and_settings() {
    let verifier = verifier(&settings());
    let own = verifier.settings_fingerprint();
    assert!(verifier.vouches(1, own) && verifier.vouches(2, own));
    assert!(!verifier.vouches(3, own));
    assert!(!verifier.vouches(0, own));
    assert!(!verifier.vouches(1, own ^ 1));
}

#[test]
fn the_digest_is_keyed() {
    let mut other = settings();
    other.digest_key = Secret::new([8; 32]);
    let digest = verifier(&settings()).digest(b"token");
    assert_eq!(digest, verifier(&settings()).digest(b"token"));
    assert_ne!(digest, verifier(&settings()).digest(b"token2"));
    assert_ne!(digest, verifier(&other).digest(b"token"));
}

#[test]
fn unusable_settings_make_no_verifier() {
    let mut unreadable = settings();
    unreadable.keys.push(key("x", Algorithm::Rs256, public("", EC, 9).material, 9));
    let fault = Verifier::new(&unreadable, &names(&[])).err();
    assert_eq!(fault, Some(KeyFault::Unreadable("x".to_owned())));
    assert_eq!(Verifier::new(&settings(), &NameTable::default()).err(), Some(KeyFault::RolesUnnamed));
}

#[test]
fn a_token_is_in_doubt_only_if_a_key_that_is_not_here_could_prove_it() {
    let mut renewable = settings();
    renewable.renewable = true;
    let checks = verifier(&renewable);
    let doubts = |token: &str, fault| checks.doubts(token.as_bytes(), fault, NOW);
    let foreign = |header: &str, claims: &Value| raw_token(Signer::Foreign, header, &claims.to_string());
    let new = r#"{"alg":"RS256","kid":"new"}"#;
    let live = foreign(new, &claims(json!({})));
    for fault in TokenFault::ALL {
        let expected = matches!(fault, TokenFault::UnknownKid | TokenFault::BadSignature);
        assert_eq!(doubts(&live, fault), expected, "{fault:?}");
    }
    assert!(doubts(&foreign(RS, &claims(json!({}))), TokenFault::BadSignature));
    assert!(doubts(&foreign(r#"{"alg":"RS256"}"#, &claims(json!({}))), TokenFault::BadSignature));
    for certain in [
        foreign(new, &claims(json!({"exp": NOW - 60}))),
        foreign(new, &claims(json!({"iat": NOW + 60}))),
        foreign(new, &claims_without("exp")),
        foreign(r#"{"alg":"HS256","kid":"new"}"#, &claims(json!({}))),
        foreign(r#"{"alg":"RS256","kid":"no kid"}"#, &claims(json!({}))),
        raw_token(Signer::Foreign, "no json", "{}"),
        "no token".to_owned(),
    ] {
        assert!(!doubts(&certain, TokenFault::UnknownKid), "{certain}");
    }
    assert!(!verifier(&settings()).doubts(live.as_bytes(), TokenFault::UnknownKid, NOW));
}
