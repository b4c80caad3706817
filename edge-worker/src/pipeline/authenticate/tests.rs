//! From the Authorization header to an identity, by way of the cache.

use super::*;
use crate::config::secret::Secret;
use crate::config::tokens::{PublicKey, TokenSettings};
use crate::identity::forge::{
    JTI, NOW, SUBJECT, Signer, TENANT, claims, claims_without, open_settings, raw_token, settings, token,
    token_cache, verifier,
};
use crate::identity::keys::KeyRing;
use serde_json::json;

const STORED: CacheOutcome = CacheOutcome::Miss;

/// One worker's view: its verifier and the region's cache.
struct Bench {
    verifier: Verifier,
    cache: &'static TokenCache,
}

impl Bench {
    fn new(settings: &TokenSettings) -> Bench {
        Bench { verifier: verifier(settings), cache: token_cache() }
    }

    fn ask(&self, token: &str, now: UnixSeconds) -> Result<(Principal, CacheOutcome), TokenFault> {
        let value = format!("Bearer {token}");
        self.ask_raw(Authorization::One(value.as_bytes()), now)
    }

    fn ask_raw(
        &self,
        authorization: Authorization<'_>,
        now: UnixSeconds,
    ) -> Result<(Principal, CacheOutcome), TokenFault> {
        let slot = WorkerSlot::new(0).expect("the first slot");
        let digest = digest(authorization, &self.verifier)?;
        let (principal, outcome) = authenticate((authorization, digest), &self.verifier, self.cache, now)?;
        let placed =
            (outcome != CacheOutcome::Hit).then(|| remember((&principal, digest), self.cache, slot, now));
        let expected = match outcome {
            CacheOutcome::Hit => None,
            CacheOutcome::Miss => Some(Some(Placed::Stored)),
            CacheOutcome::Uncacheable => Some(None),
        };
        assert_eq!(placed, expected);
        Ok((principal, outcome))
    }

    fn outcome(&self, token: &str, now: UnixSeconds) -> Result<CacheOutcome, TokenFault> {
        self.ask(token, now).map(|(_, outcome)| outcome)
    }

    /// Changes what the cache holds of `token`.
    fn tamper(&self, token: &str, change: impl Fn(&mut CachedToken)) {
        let digest = self.verifier.digest(token.as_bytes());
        let mut cached = self.cache.find(&digest).expect("cached");
        change(&mut cached);
        let slot = WorkerSlot::new(0).expect("the first slot");
        assert_eq!(self.cache.store(slot, &digest, &cached, NOW), Placed::Stored);
    }
}

fn good() -> String {
    token(&claims(json!({})))
}

#[test]
fn a_token_is_verified_once_and_then_remembered() {
    let bench = Bench::new(&settings());
    let (first, outcome) = bench.ask(&good(), NOW).expect("accepted");
    assert_eq!(outcome, STORED);
    let (second, outcome) = bench.ask(&good(), NOW).expect("accepted");
    assert_eq!(outcome, CacheOutcome::Hit);
    for principal in [first, second] {
        assert_eq!((principal.subject(), principal.tenant()), (SUBJECT, TENANT));
        assert_eq!((principal.jti(), principal.role()), (Some(JTI), Role::Customer));
        assert_eq!((principal.issued_at(), principal.expires_at()), (NOW - 60, NOW + 840));
        assert_eq!(principal.permissions().len(), 2, "tickets:purchase and tickets:transfer-own");
    }
}

#[test]
fn an_identity_that_is_longer_than_the_cache_holds_is_still_proven() {
    let bench = Bench::new(&settings());
    let jti = "j".repeat(65);
    let token = token(&claims(json!({"jti": jti, "permissions": ["buy:tickets"]})));
    for _ in 0..2 {
        let (principal, outcome) = bench.ask(&token, NOW).expect("accepted");
        assert_eq!(outcome, CacheOutcome::Uncacheable);
        assert_eq!((principal.subject(), principal.tenant()), (SUBJECT, TENANT));
        assert_eq!((principal.jti(), principal.role()), (Some(jti.as_str()), Role::Customer));
        assert_eq!((principal.issued_at(), principal.expires_at()), (NOW - 60, NOW + 840));
        assert_eq!(principal.permissions().len(), 1);
    }
}

#[test]
fn a_token_without_id_has_none_from_the_cache_either() {
    let bench = Bench::new(&open_settings());
    let token = raw_token(Signer::Secret, r#"{"alg":"HS256"}"#, &claims_without("jti").to_string());
    for expected in [STORED, CacheOutcome::Hit] {
        let (principal, outcome) = bench.ask(&token, NOW).expect("accepted");
        assert_eq!((principal.jti(), outcome), (None, expected));
    }
}

#[test]
fn the_role_of_the_record_replaces_the_tokens_and_voids_its_permissions_where_they_differ() {
    let bench = Bench::new(&settings());
    let (principal, _) = bench.ask(&good(), NOW).expect("accepted");
    let same = principal.clone().recorded_as(Role::Customer);
    assert_eq!((same.role(), same.permissions().len()), (Role::Customer, 2));
    let other = principal.recorded_as(Role::Support);
    assert_eq!((other.role(), other.permissions()), (Role::Support, &[][..]));
    let back = other.recorded_as(Role::Support);
    assert_eq!(back.permissions(), &[] as &[u16], "once void they stay so");
}

#[test]
fn without_a_bearer_token_it_is_missing() {
    let bench = Bench::new(&settings());
    let token = good();
    let others = [
        String::new(),
        format!("Basic {token}"),
        token.clone(),
        format!("Bearer\t{token}"),
        format!("Bearer:{token}"),
        format!(" Bearer {token}"),
        format!("Bearerer {token}"),
    ];
    for value in others {
        let fault = bench.ask_raw(Authorization::One(value.as_bytes()), NOW).err();
        assert_eq!(fault, Some(TokenFault::MissingToken), "{value}");
    }
    assert_eq!(bench.ask_raw(Authorization::None, NOW).err(), Some(TokenFault::MissingToken));
}

#[test]
fn the_scheme_may_have_any_letter_case_and_several_spaces_behind_it() {
    let bench = Bench::new(&settings());
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR   "] {
        let value = format!("{scheme}{}", good());
        assert!(bench.ask_raw(Authorization::One(value.as_bytes()), NOW).is_ok(), "{scheme:?}");
    }
}

#[test]
fn what_is_no_single_token_is_malformed() {
    let bench = Bench::new(&settings());
    bench.ask(&good(), NOW).expect("a good token is in the cache");
    let long = format!("Bearer {}", "a".repeat(AUTHORIZATION_BYTES_MAX));
    let values = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer \t".to_owned(),
        "Bearer sk_live_0123456789abcdef".to_owned(),
        format!("Bearer {} ", good()),
        format!("Bearer {},{}", good(), good()),
        long,
    ];
    for value in values {
        let fault = bench.ask_raw(Authorization::One(value.as_bytes()), NOW).err();
        assert_eq!(fault, Some(TokenFault::Malformed), "{value}");
    }
    assert_eq!(bench.ask_raw(Authorization::Several, NOW).err(), Some(TokenFault::Malformed));
}

#[test]
fn a_token_that_just_fits_is_read() {
    let bench = Bench::new(&settings());
    let pad = |length: usize| token(&claims(json!({"filler": "x".repeat(length)})));
    let fits =
        (5000..6200).rev().map(pad).find(|token| "Bearer ".len() + token.len() <= AUTHORIZATION_BYTES_MAX);
    let fits = fits.expect("some length fits");
    assert!("Bearer ".len() + fits.len() > AUTHORIZATION_BYTES_MAX - 4, "as long as base64 allows");
    assert_eq!(bench.outcome(&fits, NOW), Ok(STORED));
}

#[test]
fn a_remembered_token_expires_like_any_other() {
    let bench = Bench::new(&settings());
    let expires_at = NOW + 840;
    assert_eq!(bench.outcome(&good(), NOW), Ok(STORED));
    assert_eq!(bench.outcome(&good(), expires_at + 29), Ok(CacheOutcome::Hit));
    assert_eq!(bench.outcome(&good(), expires_at + 30), Err(TokenFault::Expired));
}

#[test]
fn a_remembered_token_is_not_valid_before_its_time() {
    let bench = Bench::new(&settings());
    let token = token(&claims(json!({"nbf": NOW, "iat": NOW - 60})));
    assert_eq!(bench.outcome(&token, NOW), Ok(STORED));
    assert_eq!(bench.outcome(&token, NOW - 30), Ok(CacheOutcome::Hit));
    assert_eq!(bench.outcome(&token, NOW - 31), Err(TokenFault::NotYetValid), "a clock that was set back");
}

#[test]
fn a_refused_token_is_not_remembered() {
    let bench = Bench::new(&settings());
    let forged = raw_token(Signer::Foreign, r#"{"alg":"RS256"}"#, &claims(json!({})).to_string());
    for _ in 0..2 {
        assert_eq!(bench.outcome(&forged, NOW), Err(TokenFault::BadSignature));
    }
    assert!(bench.cache.find(&bench.verifier.digest(forged.as_bytes())).is_none());
}

#[test]
fn a_remembered_token_dies_with_its_key() {
    let mut bench = Bench::new(&settings());
    let token =
        raw_token(Signer::Previous, r#"{"alg":"RS256","kid":"current"}"#, &claims(json!({})).to_string());
    assert_eq!(bench.outcome(&token, NOW), Ok(STORED));
    let ring = |keys: &[PublicKey]| KeyRing::new(&settings(), keys).expect("readable keys");
    bench.verifier.exchange(ring(&settings().keys[..1]));
    assert_eq!(bench.outcome(&token, NOW), Err(TokenFault::BadSignature));
    bench.verifier.exchange(ring(&settings().keys));
    assert_eq!(bench.outcome(&token, NOW), Ok(CacheOutcome::Hit));
}

#[test]
fn a_token_remembered_under_other_settings_is_verified_again() {
    let mut bench = Bench::new(&settings());
    assert_eq!(bench.outcome(&good(), NOW), Ok(STORED));
    let mut strict = settings();
    strict.issuers = vec!["another".to_owned()];
    bench.verifier = verifier(&strict);
    assert_eq!(bench.outcome(&good(), NOW), Err(TokenFault::WrongIssuer));
    let mut other_digest = settings();
    other_digest.digest_key = Secret::new([9; 32]);
    bench.verifier = verifier(&other_digest);
    assert_eq!(bench.outcome(&good(), NOW), Ok(STORED));
}

#[test]
fn an_entry_that_names_no_role_is_verified_again() {
    let bench = Bench::new(&settings());
    bench.ask(&good(), NOW).expect("accepted");
    bench.tamper(&good(), |cached| cached.role = 999);
    assert_eq!(bench.outcome(&good(), NOW), Ok(STORED));
    assert_eq!(bench.outcome(&good(), NOW), Ok(CacheOutcome::Hit));
}

#[test]
fn ids_are_compared_like_uuids() {
    let bench = Bench::new(&settings());
    let (principal, _) = bench.ask(&good(), NOW).expect("accepted");
    assert!(principal.is_subject(SUBJECT.to_uppercase().as_bytes()));
    assert!(!principal.is_subject(TENANT.as_bytes()));
    assert!(principal.is_of_tenant(TENANT.to_uppercase().as_bytes()));
    assert!(!principal.is_of_tenant(SUBJECT.as_bytes()));
    assert!(!principal.is_of_tenant(b""));
}

#[test]
fn nothing_of_the_token_itself_is_kept() {
    let bench = Bench::new(&settings());
    let token = good();
    let (principal, _) = bench.ask(&token, NOW).expect("accepted");
    let kept = format!("{principal:?}");
    for part in token.split('.') {
        assert!(!kept.contains(part));
    }
    assert!(!kept.contains("example.com"));
}

#[test]
fn only_a_bearer_token_can_be_in_doubt() {
    let mut renewable = settings();
    renewable.renewable = true;
    let verifier = verifier(&renewable);
    let token = raw_token(Signer::Foreign, r#"{"alg":"RS256","kid":"new"}"#, &claims(json!({})).to_string());
    let doubtful =
        |value: &str| doubts(Authorization::One(value.as_bytes()), &verifier, TokenFault::UnknownKid, NOW);
    assert!(doubtful(&format!("Bearer {token}")));
    assert!(!doubtful(&token));
    assert!(!doubts(Authorization::None, &verifier, TokenFault::UnknownKid, NOW));
}

#[test]
fn the_word_of_auth_service_is_kept_with_the_token() {
    let bench = Bench::new(&settings());
    let value = format!("Bearer {}", good());
    let authorization = Authorization::One(value.as_bytes());
    let (principal, _) = bench.ask(&good(), NOW).expect("accepted");
    assert_eq!(principal.validated_at(), 0);
    let slot = WorkerSlot::new(1).expect("a slot");
    let own = digest(authorization, &bench.verifier).expect("a bearer token");
    let placed = confirm((&principal, own), bench.cache, slot, NOW + 5);
    assert_eq!(placed, Some(Placed::Stored));
    let (principal, outcome) = bench.ask(&good(), NOW).expect("accepted");
    assert_eq!((principal.validated_at(), outcome), (NOW + 5, CacheOutcome::Hit));
    let long = token(&claims(json!({"jti": "j".repeat(65)})));
    let value = format!("Bearer {long}");
    let (principal, _) = bench.ask(&long, NOW).expect("accepted");
    let own = digest(Authorization::One(value.as_bytes()), &bench.verifier).expect("a bearer token");
    let placed = confirm((&principal, own), bench.cache, slot, NOW + 5);
    assert_eq!((placed, principal.validated_at()), (None, 0), "what is not cached has nowhere to keep it");
}

#[test]
fn what_is_shown_to_a_service_is_the_token_without_its_scheme() {
    assert_eq!(presented(Authorization::One(b"bearer a.b.c")).expose(), "a.b.c");
    assert_eq!(presented(Authorization::None).expose(), "");
}
