//! What is a key, and what it says of itself; signatures are tested where tokens are (`verifier/tests.rs`).

use super::*;

#[test]
fn a_key_without_numbers_is_none() {
    assert!(ReadyRsa::new(&[], &[]).is_none());
    assert!(ReadyRsa::new(&[0xff; 256], &[]).is_none());
}

#[test]
fn a_key_is_for_its_algorithm_and_refuses_what_it_did_not_sign() {
    let key = ReadyRsa::new(&[0xff; 256], &[1, 0, 1]).expect("an odd modulus of 2048 bits");
    assert_eq!(key.algorithm(), Algorithm::RS256);
    assert!(key.verify(b"message", &vec![1; 256]).is_err());
}
