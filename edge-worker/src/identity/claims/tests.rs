//! The strict reading of a token's parts.

use super::*;

fn encoded(header: &str, claims: &str) -> String {
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn claims_of(json: &str) -> Option<ClaimSet<'static>> {
    let token = encoded("{}", json).leak();
    let envelope: &'static Envelope<'_> =
        Box::leak(Box::new(Envelope::open(token.as_bytes()).expect("three parts")));
    envelope.claims()
}

fn verified() -> Claims {
    Claims {
        subject: "s".repeat(128),
        tenant: "t".repeat(64),
        jti: Some("j".repeat(64)),
        role: Role::Customer,
        role_id: 5,
        permissions: (1..=32).collect(),
        issued_at: 10,
        not_before: 11,
        expires_at: 12,
        key: 13,
        settings: 14,
    }
}

#[test]
fn a_token_is_three_parts_of_base64url() {
    let token = "e30.e30.AAAA";
    let envelope = Envelope::open(token.as_bytes()).expect("well formed");
    assert_eq!(envelope.signed, b"e30.e30");
    assert_eq!(envelope.signature, [0, 0, 0]);
    assert_eq!(envelope.header(), Some(Header { algorithm: None, kid: None }));
}

#[test]
fn what_is_not_three_parts_of_base64url_is_malformed() {
    let bad = [
        "",
        "e30",
        "e30.e30",
        "e30.e30.AAAA.AAAA",
        "e30=.e30.AAAA",
        "e30.e30.AA==",
        "e30.e30.A",
        "e30.e30.AB",
        "e30.e30.AA+A",
        "e30.e30.AA/A",
        "e30.e30.AA A",
        "e30. e30.AAAA",
        "e31.e30.AAA\n",
    ];
    for token in bad {
        assert!(Envelope::open(token.as_bytes()).is_none(), "{token:?}");
    }
}

#[test]
fn a_header_names_algorithm_and_key() {
    let token = encoded(r#"{"alg":"RS256","typ":"JWT","kid":"current","jwk":{}}"#, "{}");
    let envelope = Envelope::open(token.as_bytes()).expect("three parts");
    let expected = Header { algorithm: Some("RS256".into()), kid: Some("current".into()) };
    assert_eq!(envelope.header(), Some(expected));
}

#[test]
fn a_header_with_extensions_duplicates_or_wrong_types_is_malformed() {
    let bad = [
        "",
        "[]",
        r#"{"alg":"RS256","crit":["exp"]}"#,
        r#"{"alg":"RS256","crit":null}"#,
        r#"{"alg":"RS256","alg":"RS256"}"#,
        r#"{"alg":"none","\u0061lg":"RS256"}"#,
        r#"{"alg":256}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"RS256","kid":5}"#,
        r#"{"alg":"RS256","kid":null}"#,
        r#"{"alg":"RS256","typ":["JWT"]}"#,
    ];
    for header in bad {
        let token = encoded(header, "{}");
        let envelope = Envelope::open(token.as_bytes()).expect("three parts");
        assert!(envelope.header().is_none(), "{header}");
    }
}

#[test]
fn claims_are_read_by_name() {
    let claims = claims_of(
        r#"{"sub":"u","type":"access","jti":"j","tenant_id":"t","iss":"i","aud":["a","b"],"role":"customer",
            "permissions":["p","q"],"iat":1,"nbf":2.0,"exp":3,"email":"fan@example.com"}"#,
    );
    let expected = ClaimSet {
        subject: Some("u".into()),
        kind: Some("access".into()),
        jti: Some("j".into()),
        tenant: Some("t".into()),
        issuer: Some("i".into()),
        audience: Some(vec!["a".into(), "b".into()]),
        role: Some("customer".into()),
        permissions: vec!["p".into(), "q".into()],
        issued_at: Some(1),
        not_before: Some(2),
        expires_at: Some(3),
    };
    assert_eq!(claims, Some(expected));
}

#[test]
fn null_claims_are_absent() {
    let nulls = claims_of(
        r#"{"sub":null,"type":null,"jti":null,"tenant_id":null,"iss":null,"aud":null,"role":null,
            "permissions":null,"iat":null,"nbf":null,"exp":null}"#,
    );
    assert!(nulls.is_some());
    assert_eq!(nulls, claims_of("{}"));
}

#[test]
fn claims_of_a_wrong_type_are_absent_where_their_absence_has_a_reason_word() {
    let wrong = claims_of(r#"{"sub":5,"type":true,"jti":[],"tenant_id":{},"iss":1.5}"#);
    assert!(wrong.is_some());
    assert_eq!(wrong, claims_of("{}"));
}

#[test]
fn an_audience_is_a_string_or_an_array_of_strings() {
    let audience = |json: &str| claims_of(json).expect("well formed").audience;
    assert_eq!(audience("{}"), None);
    assert_eq!(audience(r#"{"aud":"a"}"#), Some(vec!["a".into()]));
    assert_eq!(audience(r#"{"aud":[]}"#), Some(vec![]));
    assert_eq!(audience(r#"{"aud":["a",5]}"#), Some(vec![]));
    assert_eq!(audience(r#"{"aud":5}"#), Some(vec![]));
}

#[test]
fn claims_that_cannot_be_read_are_malformed() {
    let bad = [
        "",
        "null",
        "{",
        r#"{"sub":"a","sub":"a"}"#,
        r#"{"tenant_id":"a","x":1,"tenant_id":"b"}"#,
        r#"{"unknown":1,"unknown":1}"#,
        r#"{"exp":"1800000000"}"#,
        r#"{"exp":1.5}"#,
        r#"{"exp":1e300}"#,
        r#"{"exp":1e999}"#,
        r#"{"exp":NaN}"#,
        r#"{"exp":9223372036854775808}"#,
        r#"{"nbf":true}"#,
        r#"{"iat":[]}"#,
        r#"{"role":5}"#,
        r#"{"role":["admin"]}"#,
        r#"{"permissions":"admin"}"#,
        r#"{"permissions":[5]}"#,
        r#"{"permissions":{}}"#,
    ];
    for claims in bad {
        assert_eq!(claims_of(claims), None, "{claims}");
    }
}

#[test]
fn claims_that_fit_are_cacheable_as_they_are() {
    let cached = verified().cacheable().expect("all fields are just as long as the cache holds");
    assert_eq!(cached.sub.as_str(), "s".repeat(128));
    assert_eq!(cached.tenant.as_str(), "t".repeat(64));
    assert_eq!(cached.jti.as_str(), "j".repeat(64));
    assert_eq!(cached.role, 5);
    assert_eq!(cached.permissions.as_slice(), (1..=32).collect::<Vec<u16>>());
    let times = (cached.issued_at, cached.not_before, cached.expires_at);
    assert_eq!((times, cached.key, cached.settings), ((10, 11, 12), 13, 14));
    let anonymous = Claims { jti: None, ..verified() };
    assert_eq!(anonymous.cacheable().expect("fits").jti.as_str(), "");
}

#[test]
fn claims_that_do_not_fit_are_not_cacheable() {
    let long = [
        Claims { subject: "s".repeat(129), ..verified() },
        Claims { tenant: "t".repeat(65), ..verified() },
        Claims { jti: Some("j".repeat(65)), ..verified() },
        Claims { permissions: (1..=33).collect(), ..verified() },
    ];
    for claims in long {
        assert!(claims.cacheable().is_none(), "{claims:?}");
    }
}
