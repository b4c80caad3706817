//! Loading keys, and which key may verify what.

use super::*;
use crate::identity::forge::{self, CURRENT, EC, ED, Signer, key, open_settings, public, settings};

fn ring(settings: &TokenSettings) -> KeyRing {
    KeyRing::new(settings, &settings.keys).expect("readable keys")
}

fn fault(settings: &TokenSettings) -> Option<KeyFault> {
    KeyRing::new(settings, &settings.keys).err()
}

/// Message and signature of a token.
fn signed(signer: Signer) -> (Vec<u8>, Vec<u8>) {
    let token = forge::raw_token(signer, "{}", "{}");
    let envelope = crate::identity::claims::Envelope::open(token.as_bytes()).expect("three parts");
    (envelope.signed.to_vec(), envelope.signature)
}

#[test]
fn an_algorithm_is_accepted_if_it_is_listed_and_has_a_key() {
    let all = ring(&open_settings());
    for (name, algorithm) in [
        ("RS256", Algorithm::Rs256),
        ("ES256", Algorithm::Es256),
        ("EdDSA", Algorithm::EdDsa),
        ("HS256", Algorithm::Hs256),
    ] {
        assert_eq!(all.algorithm(name), Some(algorithm));
    }
    for name in ["none", "None", "", "rs256", "RS384", "PS256", "HS512", "ES384"] {
        assert_eq!(all.algorithm(name), None, "{name}");
    }
}

#[test]
fn keys_of_an_algorithm_that_is_not_listed_are_not_loaded() {
    let mut closed = open_settings();
    closed.algorithms = vec![Algorithm::Rs256];
    let ring = ring(&closed);
    for name in ["ES256", "EdDSA", "HS256"] {
        assert_eq!(ring.algorithm(name), None, "{name}");
    }
    assert!(ring.holds(1) && !ring.holds(3) && !ring.holds(4));
}

#[test]
fn a_listed_algorithm_without_a_key_is_not_accepted() {
    let mut bare = settings();
    bare.algorithms = vec![Algorithm::Rs256, Algorithm::Hs256, Algorithm::Es256];
    bare.keys.clear();
    let ring = ring(&bare);
    assert_eq!(["RS256", "HS256", "ES256"].map(|name| ring.algorithm(name)), [None; 3]);
}

#[test]
fn a_kid_is_known_if_the_platform_writes_it_or_a_key_of_the_algorithm_has_it() {
    let mut settings = open_settings();
    settings.keys.push(public("jwks-1", CURRENT, 9));
    let ring = ring(&settings);
    for kid in ["current", "previous", "dev", "jwks-1"] {
        assert!(ring.knows(Algorithm::Rs256, kid), "{kid}");
    }
    for kid in ["", "Current", "ec", "jwks-2", "../../dev/null"] {
        assert!(!ring.knows(Algorithm::Rs256, kid), "{kid}");
    }
    assert!(ring.knows(Algorithm::Es256, "ec") && !ring.knows(Algorithm::Es256, "ed"));
    assert!(ring.knows(Algorithm::Hs256, "anything"));
}

#[test]
fn every_key_of_the_algorithm_is_tried_whatever_the_kid_says() {
    let ring = ring(&settings());
    let (message, signature) = signed(Signer::Previous);
    for kid in [None, Some("current"), Some("previous"), Some("dev")] {
        assert_eq!(ring.verify(Algorithm::Rs256, kid, &message, &signature), Some(2), "{kid:?}");
    }
    let (message, signature) = signed(Signer::Foreign);
    assert_eq!(ring.verify(Algorithm::Rs256, Some("current"), &message, &signature), None);
}

#[test]
fn the_kid_picks_the_first_key() {
    let mut twins = settings();
    twins.keys = vec![public("a", CURRENT, 1), public("b", CURRENT, 2)];
    let ring = ring(&twins);
    let (message, signature) = signed(Signer::Current);
    assert_eq!(ring.verify(Algorithm::Rs256, Some("b"), &message, &signature), Some(2));
    assert_eq!(ring.verify(Algorithm::Rs256, Some("a"), &message, &signature), Some(1));
    assert_eq!(ring.verify(Algorithm::Rs256, None, &message, &signature), Some(1));
}

#[test]
fn a_signature_counts_only_under_its_own_algorithm() {
    let ring = ring(&open_settings());
    let algorithms = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];
    let signers = [Signer::Current, Signer::Ec, Signer::Ed, Signer::Secret];
    for (algorithm, own) in algorithms.into_iter().zip(signers) {
        for signer in signers {
            let (message, signature) = signed(signer);
            let verified = ring.verify(algorithm, None, &message, &signature).is_some();
            assert_eq!(verified, signer == own, "{algorithm:?} by {signer:?}");
        }
    }
}

#[test]
fn a_public_key_is_never_a_secret() {
    let (message, signature) = signed(Signer::PublicKeyAsSecret);
    for algorithm in [Algorithm::Rs256, Algorithm::Hs256] {
        assert_eq!(ring(&open_settings()).verify(algorithm, None, &message, &signature), None);
    }
    let mut confused = open_settings();
    confused.hs256_secret = Some(Secret::new(CURRENT.as_bytes().to_vec()));
    assert_eq!(fault(&confused), Some(KeyFault::SecretIsPem));
}

#[test]
fn the_fingerprint_of_the_secret_depends_on_the_digest_key() {
    let (message, signature) = signed(Signer::Secret);
    let fingerprint = |digest_key: u8| {
        let mut settings = open_settings();
        settings.digest_key = Secret::new([digest_key; 32]);
        let ring = ring(&settings);
        let fingerprint = ring.verify(Algorithm::Hs256, None, &message, &signature).expect("verified");
        assert!(ring.holds(fingerprint));
        fingerprint
    };
    assert_eq!(fingerprint(1), fingerprint(1));
    assert_ne!(fingerprint(1), fingerprint(2));
}

#[test]
fn keys_of_a_jwks_verify_like_their_pem() {
    let der_of = |pem: &str| DecodingKey::from_rsa_pem(pem.as_bytes()).expect("an RSA key");
    let (n, e) = rsa_components(&der_of(CURRENT));
    let (x, y) = ec_components(&DecodingKey::from_ec_pem(EC.as_bytes()).expect("a P-256 key"));
    let ed = DecodingKey::from_ed_pem(ED.as_bytes()).expect("an Ed25519 key");
    let ed = encode(ed.try_get_as_bytes().expect("a point"));
    let mut jwks = open_settings();
    jwks.keys = vec![
        key("r", Algorithm::Rs256, KeyMaterial::Rsa { n, e }, 11),
        key("c", Algorithm::Es256, KeyMaterial::Ec { x, y }, 12),
        key("d", Algorithm::EdDsa, KeyMaterial::Ed { x: ed }, 13),
    ];
    let ring = ring(&jwks);
    for (algorithm, signer, fingerprint) in [
        (Algorithm::Rs256, Signer::Current, 11),
        (Algorithm::Es256, Signer::Ec, 12),
        (Algorithm::EdDsa, Signer::Ed, 13),
    ] {
        let (message, signature) = signed(signer);
        assert_eq!(ring.verify(algorithm, None, &message, &signature), Some(fingerprint));
    }
}

#[test]
fn a_key_that_is_not_a_public_key_of_its_algorithm_is_refused() {
    let text = |text: &str| text.to_owned();
    let short = encode(&[1; 31]);
    let bad = [
        (Algorithm::Rs256, KeyMaterial::Rsa { n: encode(&[255; 128]), e: text("AQAB") }),
        (Algorithm::Rs256, KeyMaterial::Rsa { n: text("!"), e: text("AQAB") }),
        (Algorithm::Rs256, KeyMaterial::Ed { x: encode(&[1; 32]) }),
        (Algorithm::Es256, KeyMaterial::Ec { x: short.clone(), y: short.clone() }),
        (Algorithm::Es256, KeyMaterial::Ed { x: encode(&[1; 32]) }),
        (Algorithm::EdDsa, KeyMaterial::Ed { x: short }),
        (Algorithm::EdDsa, public("", CURRENT, 1).material),
        (Algorithm::Hs256, public("", CURRENT, 1).material),
    ];
    for (algorithm, material) in bad {
        let mut settings = open_settings();
        settings.keys = vec![key("bad", algorithm, material.clone(), 1)];
        assert_eq!(fault(&settings), Some(KeyFault::Unreadable(text("bad"))), "{algorithm:?} {material:?}");
    }
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Modulus and exponent out of a PKCS#1 structure: SEQUENCE { INTEGER n, INTEGER e }.
fn rsa_components(key: &DecodingKey) -> (String, String) {
    let der = key.try_get_as_bytes().expect("DER");
    // A 2048-bit modulus: 4 bytes of sequence head, 4 of integer head, a zero byte, 256 bytes; 02 03 and e.
    assert_eq!(der.len(), 4 + 4 + 1 + 256 + 2 + 3, "the test key has 2048 bits and exponent 65537");
    (encode(&der[9..265]), encode(&der[267..]))
}

fn ec_components(key: &DecodingKey) -> (String, String) {
    let point = key.try_get_as_bytes().expect("a point");
    (encode(&point[1..33]), encode(&point[33..]))
}

#[test]
fn an_algorithm_whose_key_can_be_fetched_is_accepted_before_the_key_is_here() {
    let mut bare = settings();
    bare.algorithms = vec![Algorithm::Rs256, Algorithm::Hs256];
    bare.keys.clear();
    bare.renewable = true;
    let ring = ring(&bare);
    let accepted = ["RS256", "HS256", "ES256"].map(|name| ring.algorithm(name));
    assert_eq!(accepted, [Some(Algorithm::Rs256), None, None]);
    for kid in [None, Some("current"), Some("dev"), Some("new")] {
        assert!(ring.may_come(Algorithm::Rs256, kid), "{kid:?}");
    }
    for kid in ["", "a b", &"k".repeat(129)] {
        assert!(!ring.may_come(Algorithm::Rs256, Some(kid)), "{kid}: no key can be called so");
    }
    assert!(!ring.may_come(Algorithm::Hs256, None), "a secret is not fetched");
}

#[test]
fn a_kid_that_is_known_names_a_key_that_is_here() {
    let mut renewable = settings();
    renewable.keys.push(public("jwks-1", CURRENT, 9));
    assert!(!ring(&renewable).may_come(Algorithm::Rs256, Some("jwks-2")), "nothing can be fetched");
    renewable.renewable = true;
    let ring = ring(&renewable);
    assert!(!ring.may_come(Algorithm::Rs256, Some("jwks-1")));
    assert!(ring.may_come(Algorithm::Rs256, Some("jwks-2")));
}
