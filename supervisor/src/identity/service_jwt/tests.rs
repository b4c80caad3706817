//! What the token says, and when it is replaced.

use super::*;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

const PRIVATE: &str = include_str!("../../../../tests/keys/foreign.private.pem");
const PUBLIC: &str = include_str!("../../../../tests/keys/foreign.public.pem");
const NOW_S: UnixSeconds = 1_700_000_000;

fn signed() -> ServiceJwt {
    ServiceJwt::new(&ServiceToken::Signed(Secret::new(PRIVATE.to_owned()))).expect("a key")
}

fn claims(token: &Secret<String>) -> Value {
    let key = DecodingKey::from_rsa_pem(PUBLIC.as_bytes()).expect("a key");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    let decoded =
        jsonwebtoken::decode::<Value>(token.expose(), &key, &validation).expect("the key's signature");
    assert_eq!(decoded.header.typ.as_deref(), Some("JWT"));
    decoded.claims
}

#[test]
fn a_token_names_the_edge_for_ten_minutes() {
    let expected = json!({
        "sub": "api-gateway", "type": "service", "iat": NOW_S, "exp": NOW_S + 600,
    });
    assert_eq!(claims(&signed().token(NOW_S).expect("it signs")), expected);
}

#[test]
fn a_token_is_kept_until_four_fifths_of_its_life() {
    let tokens = signed();
    let first = tokens.token(NOW_S).expect("it signs");
    assert_eq!(tokens.token(NOW_S + 479), Ok(first.clone()));
    let second = tokens.token(NOW_S + 480).expect("it signs");
    assert_ne!(second, first);
    assert_eq!(claims(&second)["iat"], NOW_S + 480);
    assert_eq!(tokens.token(NOW_S + 900), Ok(second));
}

#[test]
fn a_clock_that_is_set_back_makes_a_new_token() {
    let tokens = signed();
    tokens.token(NOW_S).expect("it signs");
    assert_eq!(claims(&tokens.token(NOW_S - 1).expect("it signs"))["iat"], NOW_S - 1);
}

#[test]
fn a_fixed_token_is_passed_on() {
    let token = Secret::new("from-the-operator".to_owned());
    let tokens = ServiceJwt::new(&ServiceToken::Fixed(token.clone())).expect("nothing to read");
    assert_eq!(tokens.token(NOW_S), Ok(token));
}

#[test]
fn what_is_no_key_is_refused() {
    let settings = ServiceToken::Signed(Secret::new("nonsense".to_owned()));
    assert_eq!(ServiceJwt::new(&settings).err(), Some(Unable));
}
