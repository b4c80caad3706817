//! What a connection remembers of its last token.

use super::*;
use crate::clock::UnixSeconds;
use crate::identity::forge::{
    NOW, claims, claims_without, open_settings, raw_token, token, token_cache, verifier,
};
use crate::identity::forge::{Signer, settings};
use crate::pipeline::authenticate::{authenticate, digest};
use serde_json::json;

const DIGESTS: [u8; 32] = [7; 32];

fn header(token: &str) -> String {
    format!("Bearer {token}")
}

/// The marks of a token as a first request makes them.
fn marks(settings: &crate::config::tokens::TokenSettings, header: &str, now: UnixSeconds) -> Marks {
    let verifier = verifier(settings);
    let authorization = Authorization::One(header.as_bytes());
    let digest = digest(authorization, &verifier).expect("a bearer token");
    let proven = authenticate((authorization, digest), &verifier, token_cache(), now).expect("accepted");
    let whole = || crate::pipeline::authenticate::whole_token(authorization);
    Marks::of(&Digests::new(DIGESTS), digest, &proven.0, whole)
}

#[test]
fn the_same_header_is_recalled_and_no_other() {
    let (first, second) =
        (header(&token(&claims(json!({})))), header(&token(&claims(json!({"jti": "other"})))));
    let last = LastToken::default();
    assert!(last.recall(Authorization::One(first.as_bytes())).is_none());
    let made = Rc::new(marks(&settings(), &first, NOW));
    last.keep(Authorization::One(first.as_bytes()), &made);
    let recalled = last.recall(Authorization::One(first.as_bytes())).expect("the same header");
    assert!(Rc::ptr_eq(&recalled, &made));
    for other in [second.as_str(), &first[..first.len() - 1], &first.to_ascii_lowercase(), ""] {
        assert!(last.recall(Authorization::One(other.as_bytes())).is_none(), "{other}");
    }
    assert!(last.recall(Authorization::None).is_none());
    assert!(last.recall(Authorization::Several).is_none());
}

#[test]
fn what_names_no_single_token_replaces_nothing() {
    let first = header(&token(&claims(json!({}))));
    let last = LastToken::default();
    let made = Rc::new(marks(&settings(), &first, NOW));
    last.keep(Authorization::One(first.as_bytes()), &made);
    last.keep(Authorization::Several, &made);
    assert!(last.recall(Authorization::One(first.as_bytes())).is_some());
}

#[test]
fn a_token_is_revoked_by_its_id_or_as_a_whole() {
    let digests = Digests::new(DIGESTS);
    let with_id = marks(&settings(), &header(&token(&claims(json!({"jti": "one"})))), NOW);
    assert_eq!(with_id.token(), &digests.token_id("one"));
    let bare = raw_token(Signer::Secret, r#"{"alg":"HS256"}"#, &claims_without("jti").to_string());
    let without = marks(&open_settings(), &header(&bare), NOW);
    let digits = crate::identity::digests::sha256_digits(bare.as_bytes());
    assert_eq!((without.jti, without.token()), (None, &digests.whole_token(&digits)));
}
