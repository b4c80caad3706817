//! Events as fields and as durable keys, and what strangers may write in their place.

use super::{
    Banned, Durable, EXPIRY_S_MAX, EXPIRY_UNKNOWN_S, Event, ID_BYTES_MAX, Malformed, TokenName, from_durable,
    is_durable,
};
use edge_worker::identity::verifier::is_token_id;

const NOW: i64 = 1_700_000_000;

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn parsed(pairs: &[(&str, &str)]) -> Result<Event, Malformed> {
    Event::parse(&fields(&[&[("v", "1")], pairs].concat()), NOW)
}

fn jti(exp: i64) -> Event {
    Event::Token { token: TokenName::Jti("j".into()), exp }
}

fn user(epoch: i64, except: Option<&str>) -> Event {
    Event::User { tenant: "t".into(), sub: "auth0:u".into(), epoch, except: except.map(Into::into) }
}

#[test]
fn every_event_survives_its_fields() {
    for event in [
        jti(NOW + 9),
        Event::Token { token: TokenName::Sha256("0a".repeat(32)), exp: NOW + 9 },
        user(NOW - 1, None),
        user(NOW, Some("j")),
        Event::Tenant { tenant: "t".into(), epoch: NOW - 5 },
        Event::Venue { id: "v".into(), generation: Some(3) },
        Event::Venue { id: "v".into(), generation: None },
        Event::ForgetUser { tenant: "t".into(), sub: "u".into() },
        Event::Ban { whom: Banned::Address("::1".into()), exp: NOW + 9 },
        Event::Unban { whom: Banned::User("u".into()) },
    ] {
        let mut all = fields(&[("v", "1"), ("src", "a"), ("reason", "test")]);
        all.extend(event.fields().into_iter().map(|(name, text)| (name.to_owned(), text)));
        assert_eq!(Event::parse(&all, NOW), Ok(event));
    }
}

#[test]
fn what_a_service_leaves_out_never_weakens_a_revocation() {
    assert_eq!(parsed(&[("kind", "jti"), ("id", "j")]), Ok(jti(NOW + EXPIRY_UNKNOWN_S)));
    assert_eq!(parsed(&[("kind", "jti"), ("id", "j"), ("exp", "")]), Ok(jti(NOW + EXPIRY_UNKNOWN_S)));
    let in_ms = [("kind", "user"), ("id", "auth0:u"), ("tenant", "t"), ("epoch", "1700000000000")];
    assert_eq!(parsed(&in_ms), Ok(user(NOW, None)));
    for none in ["", "null", "schlüssel", "two words", &"x".repeat(ID_BYTES_MAX + 1)] {
        let fields = [("kind", "user"), ("id", "auth0:u"), ("tenant", "t"), ("epoch", "5"), ("except", none)];
        assert_eq!(parsed(&fields), Ok(user(5, None)));
    }
    let tenant = Ok(Event::Tenant { tenant: "t".into(), epoch: 5 });
    assert_eq!(parsed(&[("kind", "tenant"), ("tenant", "t"), ("epoch", "5")]), tenant);
    let digits = "0A".repeat(32);
    let upper = [("kind", "sha256"), ("id", digits.as_str()), ("exp", "7")];
    let digest = TokenName::Sha256("0a".repeat(32));
    assert_eq!(parsed(&upper), Ok(Event::Token { token: digest, exp: 7 }));
}

#[test]
fn a_malformed_entry_says_what_is_wrong() {
    let long = "x".repeat(ID_BYTES_MAX + 1);
    for (pairs, expected) in [
        (vec![("kind", "moon"), ("id", "j")], Malformed::Kind),
        (vec![("id", "j")], Malformed::Missing("kind")),
        (vec![("kind", "jti")], Malformed::Missing("id")),
        (vec![("kind", "jti"), ("id", "")], Malformed::Illegal("id")),
        (vec![("kind", "jti"), ("id", "a b")], Malformed::Illegal("id")),
        (vec![("kind", "jti"), ("id", &long)], Malformed::Illegal("id")),
        (vec![("kind", "jti"), ("id", "j"), ("exp", "soon")], Malformed::Illegal("exp")),
        (vec![("kind", "sha256"), ("id", "abc")], Malformed::Illegal("id")),
        (vec![("kind", "user"), ("id", "u"), ("epoch", "5")], Malformed::Missing("tenant")),
        (vec![("kind", "user"), ("id", "u"), ("tenant", "t")], Malformed::Missing("epoch")),
        (vec![("kind", "tenant"), ("epoch", "5")], Malformed::Missing("tenant")),
        (vec![("kind", "ban"), ("id", "moon:x")], Malformed::Illegal("id")),
        (vec![("kind", "unban"), ("id", "x")], Malformed::Illegal("id")),
    ] {
        assert_eq!(parsed(&pairs), Err(expected), "{pairs:?}");
    }
    assert_eq!(Event::parse(&fields(&[("v", "2"), ("kind", "jti")]), NOW), Err(Malformed::Version));
    assert_eq!(Event::parse(&[], NOW), Err(Malformed::Version));
}

#[test]
fn durable_keys_are_those_of_the_platform_and_read_back() {
    assert_eq!(
        jti(NOW + 9).durable(NOW, 30),
        Some(Durable::Token { key: "session:blacklist:jti:j".into(), ttl_s: 39 })
    );
    assert_eq!(jti(NOW - 30).durable(NOW, 30), None);
    assert!(jti(NOW - 30).is_over(NOW, 30) && !jti(NOW - 29).is_over(NOW, 30));
    let Some(Durable::NotBefore { key, epoch, value, without_except }) = user(5, Some("j")).durable(NOW, 30)
    else {
        panic!("durable")
    };
    assert_eq!((key.as_str(), epoch), ("session:nbf:user:t:auth0:u", 5));
    assert_eq!(value, r#"{"epoch":5,"except":"j"}"#);
    assert_eq!(without_except, r#"{"epoch":5,"except":null}"#);
    assert_eq!(from_durable(&key, &value, 1, NOW), Ok(user(5, Some("j"))));
    let tenant = Event::Tenant { tenant: "t".into(), epoch: 5 };
    let Some(Durable::NotBefore { key, value, .. }) = tenant.durable(NOW, 30) else { panic!("durable") };
    assert_eq!((key.as_str(), value.as_str()), ("session:nbf:tenant:t", r#"{"epoch":5}"#));
    assert_eq!(from_durable(&key, &value, -1, NOW), Ok(tenant));
    assert_eq!(from_durable("session:blacklist:jti:j", "1", 1_500, NOW), Ok(jti(NOW + 2)));
    assert_eq!(from_durable("session:blacklist:jti:j", "1", -1, NOW), Ok(jti(NOW + EXPIRY_UNKNOWN_S)));
    for event in [
        Event::Venue { id: "v".into(), generation: Some(2) },
        Event::Unban { whom: Banned::User("u".into()) },
    ] {
        assert!(event.durable(NOW, 30).is_none() && !event.is_over(NOW, 30));
    }
    let (upper, lower) = ("0B5E2F1C-77AA-4B0E-9D3E-5A1C2B3D4E5F", "0b5e2f1c-77aa-4b0e-9d3e-5a1c2b3d4e5f");
    let venue = Event::Venue { id: upper.into(), generation: None };
    let key = format!("cache:venue:gen:{lower}");
    assert_eq!(venue.durable(NOW, 30), Some(Durable::Generation { key }));
    assert!(!is_durable("cache:venue:gen:v"), "a snapshot has no use for it");
}

#[test]
fn a_durable_key_that_means_nothing_is_refused() {
    assert!(!is_durable("session:blacklist:eyJh.raw.token") && !is_durable("session:nbf:moon:x"));
    assert!(is_durable("session:blacklist:sha256:x") && is_durable("session:nbf:tenant:t"));
    for (key, value) in [
        ("session:nbf:user:t:u", "no JSON"),
        ("session:nbf:user:t", r#"{"epoch":5}"#),
        ("session:nbf:user:t:", r#"{"epoch":5}"#),
        ("session:nbf:tenant:", r#"{"epoch":5}"#),
        ("session:nbf:tenant:t", r#"{"epoch":"5"}"#),
        ("session:blacklist:sha256:x", "1"),
        ("session:blacklist:jti:", "1"),
        ("else", r#"{"epoch":5}"#),
    ] {
        assert!(from_durable(key, value, 1, NOW).is_err(), "{key} {value}");
    }
    let strange = from_durable("session:nbf:user:t:auth0:u", r#"{"epoch":5,"except":"schlüssel"}"#, 1, NOW);
    assert_eq!(strange, Ok(user(5, None)), "it spares nobody, and revokes all the same");
    let future = from_durable("session:nbf:tenant:t", r#"{"epoch":1700000000001}"#, 1, NOW);
    assert_eq!(future, Ok(Event::Tenant { tenant: "t".into(), epoch: NOW }));
}

#[test]
fn an_expiry_in_milliseconds_or_beyond_all_tokens_neither_weakens_a_revocation_nor_keeps_its_place_for_ever()
{
    for (said, meant) in [
        ("1700000009000", NOW + 9),
        ("1800000000", NOW + EXPIRY_S_MAX),
        ("9223372036854775807", NOW + EXPIRY_S_MAX),
        ("-5", -5),
    ] {
        assert_eq!(parsed(&[("kind", "jti"), ("id", "j"), ("exp", said)]), Ok(jti(meant)), "{said}");
    }
}

#[test]
fn whatever_names_a_token_at_a_worker_every_node_can_read() {
    let (longest, longer) = ("x".repeat(ID_BYTES_MAX), "x".repeat(ID_BYTES_MAX + 1));
    for jti in ["", "j", "schlüssel", "two words", "line\nbreak", "~!", "\u{7f}", &longest, &longer] {
        assert_eq!(
            is_token_id(jti),
            parsed(&[("kind", "jti"), ("id", jti), ("exp", "7")]).is_ok(),
            "{jti:?}"
        );
    }
}
