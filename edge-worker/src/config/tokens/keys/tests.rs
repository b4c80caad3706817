//! PEM keys that load, keys that must not, and fingerprints that agree across file formats.

use super::{Algorithm, KeyMaterial, KeyProblem, PublicPart, element, from_pem, strip_zeros};
use crate::config::sample::{
    self, CURRENT, DEVELOPMENT, EC, ED, PREVIOUS, Scratch, assert_accepted, assert_problems,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use std::collections::BTreeMap;

const WEAK: &str = include_str!("../../../../../tests/keys/weak1024.public.pem");
const PRIVATE: &str = include_str!("../../../../../tests/keys/current.private.pem");

/// A PEM block around DER.
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// DER of a PEM block.
fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).expect("a fixture")
}

/// The PKCS#1 form of an SPKI RSA key: the content of its bit string after the count of unused bits.
fn pkcs1(spki: &str) -> Vec<u8> {
    let whole = der(spki);
    let start = whole.windows(2).rposition(|window| window == [0x30, 0x82]).expect("a nested sequence");
    whole.split_at(start).1.to_vec()
}

/// An `RSAPublicKey` of these integers, each below 64 KiB.
fn rsa_der(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    };
    element(0x30, &[element(0x02, modulus), element(0x02, exponent)].concat())
}

#[test]
fn keys_of_all_kinds_are_recognised() {
    for (text, algorithm) in [(CURRENT, Algorithm::Rs256), (EC, Algorithm::Es256), (ED, Algorithm::EdDsa)] {
        let key = from_pem(text, "current").expect("a fixture");
        assert_eq!((key.kid.as_str(), key.algorithm), ("current", algorithm));
        assert_ne!(key.fingerprint, 0);
    }
}

#[test]
fn the_same_key_has_one_fingerprint_however_it_is_written() {
    let plain = from_pem(CURRENT, "current").expect("a fixture");
    let spellings = [
        STANDARD.encode(CURRENT),
        CURRENT.replace('\n', "\\n"),
        CURRENT.replace('\n', "\r\n"),
        format!("a comment\n{CURRENT}"),
        pem("RSA PUBLIC KEY", &pkcs1(CURRENT)),
    ];
    for text in spellings {
        let key = from_pem(&text, "previous").expect(&text);
        assert_eq!((key.fingerprint, key.algorithm), (plain.fingerprint, Algorithm::Rs256), "{text}");
    }
    assert_ne!(from_pem(PREVIOUS, "previous").expect("a fixture").fingerprint, plain.fingerprint);
}

#[test]
fn what_is_read_verifies_a_signature() {
    let claims = BTreeMap::from([("sub", "u1")]);
    let signer = EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).expect("a fixture");
    let token = encode(&Header::new(jsonwebtoken::Algorithm::RS256), &claims, &signer).expect("signed");
    let mut validation = Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let verifies = |key: &DecodingKey| decode::<BTreeMap<String, String>>(&token, key, &validation).is_ok();
    for (text, expected) in [(STANDARD.encode(CURRENT), true), (PREVIOUS.replace('\n', "\\n"), false)] {
        let KeyMaterial::Rsa { n, e } = from_pem(&text, "current").expect("a key").material else {
            panic!("not RSA")
        };
        assert_eq!(verifies(&DecodingKey::from_rsa_components(&n, &e).expect("loads")), expected);
    }
}

#[test]
fn unusable_keys_are_refused_by_kind() {
    let private = pem("PRIVATE KEY", &der(PRIVATE));
    let long = rsa_der(&[0xff; 1_025], &[1, 0, 1]);
    let cases = [
        ("not a key".to_owned(), KeyProblem::NotPem),
        (STANDARD.encode("not a key"), KeyProblem::NotPem),
        ("-----BEGIN PUBLIC KEY".to_owned(), KeyProblem::NotPem),
        (PRIVATE.to_owned(), KeyProblem::Private),
        (STANDARD.encode(PRIVATE), KeyProblem::Private),
        (private.replace("PRIVATE KEY", "EC PRIVATE KEY"), KeyProblem::Private),
        (format!("{CURRENT}{PREVIOUS}"), KeyProblem::Several),
        (pem("CERTIFICATE", &der(CURRENT)), KeyProblem::NotPublicKey),
        (pem("PUBLIC KEY", &der(PRIVATE)), KeyProblem::Damaged),
        (pem("PUBLIC KEY", b"garbage"), KeyProblem::Damaged),
        (pem("RSA PUBLIC KEY", &[0x30, 0x03, 0x02, 0x01, 0x01]), KeyProblem::Damaged),
        (P384.to_owned(), KeyProblem::Damaged),
        (SECP256K1.to_owned(), KeyProblem::Damaged),
        (COMPRESSED.to_owned(), KeyProblem::Damaged),
        (ED448.to_owned(), KeyProblem::Damaged),
        (X25519.to_owned(), KeyProblem::Damaged),
        (WEAK.to_owned(), KeyProblem::Weak),
        (pem("RSA PUBLIC KEY", &long), KeyProblem::Oversized),
        (pem("RSA PUBLIC KEY", &rsa_der(&[0xff; 256], &[1, 0, 0])), KeyProblem::Exponent),
    ];
    for (text, fault) in cases {
        assert_eq!(from_pem(&text, "current").map(|key| key.algorithm), Err(fault), "{text}");
    }
}

#[test]
fn a_key_problem_names_its_variable() {
    let remedy = "set the public key of auth-service (SPKI in PEM)";
    for name in ["JWT_PUBLIC_KEY", "JWT_PUBLIC_KEY_PREVIOUS"] {
        assert_problems(
            DEVELOPMENT,
            &[
                (name, WEAK, &format!("is an RSA key of less than 2048 bits; {remedy}")),
                (name, PRIVATE, &format!("holds a private key, which must never reach the edge; {remedy}")),
                (name, "x", &format!("is neither PEM nor base64 of PEM; {remedy}")),
            ],
        );
    }
    let scratch = Scratch::new();
    let path = scratch.file("key.pem", CURRENT);
    assert_accepted(&[("NODE_ENV", "development")], &[("JWT_PUBLIC_KEY_FILE", &path)]);
    let path = scratch.file("weak.pem", WEAK);
    let problems = sample::problems(&[("NODE_ENV", "development")], &[("JWT_PUBLIC_KEY_FILE", &path)]);
    assert_eq!(problems, [format!("JWT_PUBLIC_KEY_FILE: is an RSA key of less than 2048 bits; {remedy}")]);
}

#[test]
fn rsa_keys_are_measured_in_bits() {
    let key = |first: u8, bytes: usize, exponent: &[u8]| {
        let mut modulus = vec![0xff; bytes];
        modulus[0] = first;
        PublicPart::Rsa { modulus, exponent: exponent.to_vec() }.check()
    };
    assert_eq!(key(0x80, 256, &[1, 0, 1]), Ok(()));
    assert_eq!(key(0x7f, 256, &[1, 0, 1]), Err(KeyProblem::Weak));
    assert_eq!(key(0x01, 257, &[1, 0, 1]), Ok(()));
    assert_eq!(key(0x80, 1_024, &[3]), Ok(()));
    assert_eq!(key(0x01, 1_025, &[3]), Err(KeyProblem::Oversized));
    assert_eq!(key(0x80, 256, &[1]), Err(KeyProblem::Exponent));
    assert_eq!(key(0x80, 256, &[2]), Err(KeyProblem::Exponent));
    assert_eq!(key(0x80, 256, &[]), Err(KeyProblem::Exponent));
    assert_eq!(key(0x80, 256, &[1, 0, 0, 0, 1]), Ok(()));
    assert_eq!(key(0x80, 256, &[2, 0, 0, 0, 1]), Err(KeyProblem::Exponent));
    let empty = PublicPart::Rsa { modulus: Vec::new(), exponent: vec![3] };
    assert_eq!(empty.check(), Err(KeyProblem::Weak));
    assert_eq!(PublicPart::Ec { x: vec![1; 31], y: vec![1; 32] }.check(), Err(KeyProblem::Damaged));
    assert_eq!(PublicPart::Ed { x: vec![1; 33] }.check(), Err(KeyProblem::Damaged));
}

#[test]
fn fingerprints_depend_on_kind_and_on_where_a_part_ends() {
    let parts = [
        PublicPart::Rsa { modulus: vec![1, 2], exponent: vec![3] },
        PublicPart::Rsa { modulus: vec![1], exponent: vec![2, 3] },
        PublicPart::Ec { x: vec![1, 2], y: vec![3] },
        PublicPart::Ed { x: vec![1, 2, 3] },
    ];
    let mut all: Vec<u64> = parts.iter().map(PublicPart::fingerprint).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), parts.len());
    assert_eq!(strip_zeros(&[0, 0, 1, 0]), [1, 0]);
}

#[test]
fn der_lengths_are_read_in_their_short_and_long_forms() {
    assert_eq!(element(0x02, &[0x02, 0x01, 7, 9]), Some((&[7][..], &[9][..])));
    assert_eq!(element(0x02, &[0x02, 0x81, 0x01, 7]), Some((&[7][..], &[][..])));
    assert_eq!(element(0x02, &[0x02, 0x82, 0x00, 0x01, 7]), Some((&[7][..], &[][..])));
    for broken in [
        &[][..],
        &[0x02],
        &[0x30, 0x00],
        &[0x02, 0x02, 7],
        &[0x02, 0x80],
        &[0x02, 0x83, 0, 0, 1, 7],
        &[0x02, 0x82, 0],
    ] {
        assert_eq!(element(0x02, broken), None, "{broken:?}");
    }
}

#[test]
fn the_number_of_keys_is_bounded() {
    let scratch = Scratch::new();
    let ed = URL_SAFE_NO_PAD.encode(&der(ED)[12..]);
    let entry =
        |index: usize| format!("{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k{index}\",\"x\":\"{ed}\"}}");
    let path_of = |count: usize| {
        let entries: Vec<String> = (0..count).map(entry).collect();
        scratch.file("jwks.json", format!("{{\"keys\":[{}]}}", entries.join(",")))
    };
    let path = path_of(31);
    let changes = [("JWKS_FILE", path.as_str()), ("JWT_ALGORITHMS", "RS256,EdDSA")];
    assert_eq!(sample::loaded(DEVELOPMENT, &changes).settings.worker.tokens.keys.len(), 32);
    let expected = "JWKS_FILE: brings the keys to more than 32; remove old keys";
    path_of(32);
    assert_eq!(sample::problems(DEVELOPMENT, &changes), [expected]);
}

const P384: &str = "\
    -----BEGIN PUBLIC KEY-----\n\
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEFqsoVpk7pDRcgM6fs6a5w5Yi+9Zl8jZf\n\
    fcjyRM+C3F6WnKuzRlNyLT/QwBD2gZn19YByX2hMamSMJKl7oS2oEGvW1FarVhYd\n\
    CYxkRrm+IFt/RiKmUvDbD7exH1AkNSE2\n\
    -----END PUBLIC KEY-----\n";
const SECP256K1: &str = "\
    -----BEGIN PUBLIC KEY-----\n\
    MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEoTrNNqZxgFsjBkBrrJC6DyoNeX0reAIR\n\
    3NYmjDNOtbLwjMYSfwzpjTp4BJ4hRFm60ujmbtGvbHzMBiCYD8vU7A==\n\
    -----END PUBLIC KEY-----\n";
const COMPRESSED: &str = "\
    -----BEGIN PUBLIC KEY-----\n\
    MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACvP2t86jFCJvZUKzXvV6rGe+kvNxV\n\
    3vI7DfHeSfQIZzs=\n\
    -----END PUBLIC KEY-----\n";
const ED448: &str = "\
    -----BEGIN PUBLIC KEY-----\n\
    MEMwBQYDK2VxAzoA3gQo4Zjg+GAuxnAoBvwHMVJXJEfJ/bVg8XFeaHrPGX36sHDS\n\
    UwyqY6jE9D9MmPUG81KSTUEAWQ4A\n\
    -----END PUBLIC KEY-----\n";
const X25519: &str = "\
    -----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VuAyEAC1Prllk393A2j4ozpk14Jid/o63zwrrNFQhyJGUFomo=\n\
    -----END PUBLIC KEY-----\n";
