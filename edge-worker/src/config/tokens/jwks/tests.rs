//! Local JWKS files.

use crate::config::sample::{self, CURRENT, DEVELOPMENT, EC, ED, Scratch};
use crate::config::tokens::keys::{self, from_pem};
use crate::config::tokens::{Algorithm, KeyMaterial};
use serde_json::{Value, json};

/// A JWKS entry of a PEM fixture.
fn entry(pem: &str, kid: &str) -> Value {
    let part = keys::part_of_pem(pem.as_bytes()).expect("a fixture");
    match part.material() {
        KeyMaterial::Rsa { n, e } => {
            json!({"kty": "RSA", "kid": kid, "n": n, "e": e, "use": "sig", "alg": "RS256"})
        }
        KeyMaterial::Ec { x, y } => json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y}),
        KeyMaterial::Ed { x } => json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "alg": "EdDSA"}),
    }
}

/// The fixture with members replaced; `null` removes one.
fn changed(pem: &str, changes: &Value) -> Value {
    let mut entry = entry(pem, "k1");
    let members = entry.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            members.remove(name)
        } else {
            members.insert(name.clone(), value.clone())
        };
    }
    entry
}

/// The problems of a configuration with this file, without the variable's name.
fn problems(scratch: &Scratch, content: &str) -> Vec<String> {
    let path = scratch.file("jwks.json", content);
    let all = sample::problems(DEVELOPMENT, &[("JWKS_FILE", &path), ("JWT_ALGORITHMS", "RS256")]);
    all.iter().map(|problem| problem.replacen("JWKS_FILE: ", "", 1)).collect()
}

#[test]
fn keys_of_all_kinds_are_read_and_have_the_fingerprint_of_their_pem() {
    let scratch = Scratch::new();
    let document = json!({"keys": [
        entry(CURRENT, "rsa"),
        entry(EC, "ec"),
        entry(ED, "ed"),
        {"kty": "RSA", "use": "enc"},
    ]});
    let path = scratch.file("jwks.json", document.to_string());
    let changes =
        [("JWKS_FILE", path.as_str()), ("JWT_ALGORITHMS", "RS256,ES256,EdDSA"), ("JWT_PUBLIC_KEY", "")];
    let found = sample::loaded(DEVELOPMENT, &changes).settings.worker.tokens.keys;
    let kinds: Vec<_> = found.iter().map(|key| (key.kid.as_str(), key.algorithm)).collect();
    assert_eq!(kinds, [("rsa", Algorithm::Rs256), ("ec", Algorithm::Es256), ("ed", Algorithm::EdDsa)]);
    for (key, pem) in found.iter().zip([CURRENT, EC, ED]) {
        assert_eq!(key.fingerprint, from_pem(pem, "x").expect("a fixture").fingerprint, "{}", key.kid);
    }
}

#[test]
fn leading_zeros_of_a_modulus_do_not_change_its_fingerprint() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let scratch = Scratch::new();
    let mut padded = entry(CURRENT, "padded");
    let modulus = URL_SAFE_NO_PAD.decode(padded["n"].as_str().expect("text")).expect("base64url");
    padded["n"] = json!(URL_SAFE_NO_PAD.encode([&[0, 0], modulus.as_slice()].concat()));
    let path = scratch.file("jwks.json", json!({"keys": [padded]}).to_string());
    let found = sample::loaded(DEVELOPMENT, &[("JWKS_FILE", &path)]).settings.worker.tokens.keys;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].fingerprint, found[1].fingerprint);
}

#[test]
fn entries_that_cannot_be_used_are_problems() {
    let scratch = Scratch::new();
    let weak = include_str!("../../../../../tests/keys/weak1024.public.pem");
    let kid = "has no kid of 1 to 128 visible characters";
    let algorithm = "names an algorithm that does not fit its key";
    let member = "lacks a member or has one that is not base64url";
    let private = "holds a private key, which must never reach the edge";
    let damaged = "is damaged or of a kind that is not supported (RSA, EC P-256 and Ed25519 are)";
    for (entry, expected) in [
        (changed(CURRENT, &json!({"kid": null})), kid),
        (changed(CURRENT, &json!({"kid": ""})), kid),
        (changed(CURRENT, &json!({"kid": "a b"})), kid),
        (changed(CURRENT, &json!({"kid": "k".repeat(129)})), kid),
        (changed(CURRENT, &json!({"alg": "RS512"})), algorithm),
        (changed(CURRENT, &json!({"alg": "Ed25519"})), algorithm),
        (changed(CURRENT, &json!({"n": null})), member),
        (changed(CURRENT, &json!({"n": "+/=="})), member),
        (changed(CURRENT, &json!({"d": "AQAB"})), private),
        (json!({"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}), private),
        (changed(EC, &json!({"crv": "P-384"})), damaged),
        (changed(EC, &json!({"x": "AQAB"})), damaged),
        (changed(EC, &json!({"y": null})), member),
        (changed(ED, &json!({"x": "AQAB"})), damaged),
        (changed(ED, &json!({"kty": "EC"})), damaged),
        (changed(weak, &json!({})), "is an RSA key of less than 2048 bits"),
        (changed(CURRENT, &json!({"e": "AQAA"})), "is an RSA key with an unusable exponent"),
    ] {
        let found = problems(&scratch, &json!({"keys": [entry]}).to_string());
        assert_eq!(found, [format!("keys[0] {expected}; correct or remove the entry")], "{entry}");
    }
}

#[test]
fn the_newer_name_of_eddsa_is_understood() {
    let scratch = Scratch::new();
    let document = json!({"keys": [changed(ED, &json!({"alg": "Ed25519"}))]});
    assert_eq!(problems(&scratch, &document.to_string()), [""; 0]);
}

#[test]
fn a_kid_names_one_key() {
    let scratch = Scratch::new();
    let document = json!({"keys": [entry(CURRENT, "k"), entry(EC, "k"), entry(ED, "current")]});
    let again = |index: usize| {
        format!("keys[{index}] has a kid that another key has already; give each key its own kid")
    };
    assert_eq!(problems(&scratch, &document.to_string()), [again(1), again(2)]);
}

#[test]
fn files_that_are_no_jwks_are_problems_and_not_repeated() {
    let scratch = Scratch::new();
    let remedy = "name a JSON file with `keys` (RFC 7517)";
    for (content, expected) in [
        ("secret-marker", format!("names a file that is no JWKS (line 1, column 1); {remedy}")),
        (
            "{\"keys\":\n\"secret-marker\"}",
            format!("names a file that is no JWKS (line 2, column 15); {remedy}"),
        ),
        ("{\"keys\":[]}", format!("names a JWKS without keys for signatures; {remedy}")),
        (
            "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"enc\"}]}",
            format!("names a JWKS without keys for signatures; {remedy}"),
        ),
    ] {
        assert_eq!(problems(&scratch, content), [expected], "{content}");
    }
    let missing = sample::problems(DEVELOPMENT, &[("JWKS_FILE", "/nowhere/at/all")]);
    let expected = format!("JWKS_FILE: names a file that cannot be read (entity not found); {remedy}");
    assert_eq!(missing, [expected]);
}

#[test]
fn keys_that_are_not_listed_are_named_by_their_entry() {
    let scratch = Scratch::new();
    let path = scratch.file("jwks.json", json!({"keys": [entry(EC, "ec")]}).to_string());
    let expected = "JWKS_FILE keys[0]: holds a key for ES256, which JWT_ALGORITHMS does not list, so it is not used; \
                    add ES256 to JWT_ALGORITHMS or remove the key";
    assert_eq!(sample::warnings(DEVELOPMENT, &[("JWKS_FILE", &path)]), [expected]);
}
