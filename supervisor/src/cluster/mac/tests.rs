//! The encoding, a vector, and what must not pass.

use super::{Forged, MacKey, covered};
use aws_lc_rs::hmac;
use edge_worker::config::secret::Secret;
use edge_worker::identity::digests::hexadecimal;

fn key(text: &str) -> MacKey {
    MacKey::new(&Secret::new(text.to_owned())).expect("long enough")
}

#[test]
fn what_is_sealed_opens_under_its_key_alone() {
    let (ours, theirs) = (key(&"a".repeat(32)), key(&"b".repeat(32)));
    let value = ours.seal("cache:user:t:u", 7, r#"{"role":"customer","x":1.5}"#);
    assert!(value.starts_with("v1.7.") && value.ends_with(r#".{"role":"customer","x":1.5}"#), "{value}");
    assert_eq!(ours.open("cache:user:t:u", &value), Ok((7, r#"{"role":"customer","x":1.5}"#)));
    assert_eq!(ours.open("cache:user:t:v", &value), Err(Forged));
    assert_eq!(theirs.open("cache:user:t:u", &value), Err(Forged));
    for changed in [
        value.replace("customer", "admin"),
        value.replace("v1.7.", "v1.8."),
        value.replace("v1.7.", "v1.+7."),
        value.replace("v1.", "v2."),
        value.replacen("v1.7.", "v1.7.00", 1),
        format!("{value} "),
        "v1.7.".to_owned(),
        "v1.7..{}".to_owned(),
        "v1.x.00.{}".to_owned(),
        "v1.7.zz.{}".to_owned(),
        r#"{"role":"admin"}"#.to_owned(),
        String::new(),
    ] {
        assert_eq!(ours.open("cache:user:t:u", &changed), Err(Forged), "{changed}");
    }
}

#[test]
fn the_covered_bytes_are_those_of_the_description() {
    let mut expected = b"floodgate cache v1".to_vec();
    expected.extend([0, 0, 0, 0, 0, 0, 0, 2]);
    expected.extend(b"kk");
    expected.extend([0, 0, 0, 0, 0, 0, 1, 0]);
    expected.extend(b"{}");
    assert_eq!(covered("kk", 256, "{}"), expected);
    let secret = "0123456789abcdef0123456789abcdef";
    let raw = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hexadecimal(hmac::sign(&raw, &expected).as_ref());
    assert_eq!(key(secret).seal("kk", 256, "{}"), format!("v1.256.{tag}.{{}}"));
    assert_ne!(covered("ab", 1, "c"), covered("a", 1, "bc"), "the length parts key and text");
}

#[test]
fn a_short_key_is_refused() {
    assert!(MacKey::new(&Secret::new("k".repeat(31))).is_none());
    assert!(MacKey::new(&Secret::new("k".repeat(32))).is_some());
}
