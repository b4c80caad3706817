//! The reason words are part of the platform's contract.

use super::*;

#[test]
fn the_words_and_their_order_are_the_platforms() {
    let words = [
        "missing_token",
        "malformed",
        "alg_not_allowed",
        "unknown_kid",
        "bad_signature",
        "expired",
        "not_yet_valid",
        "wrong_issuer",
        "wrong_audience",
        "wrong_type",
        "missing_subject",
        "missing_tenant",
        "missing_jti",
        "revoked",
        "user_not_found",
        "user_inactive",
    ];
    assert_eq!(TokenFault::ALL.map(TokenFault::word), words);
}

#[test]
fn every_reason_is_explained_in_a_sentence_of_its_own() {
    let mut details = TokenFault::ALL.map(TokenFault::detail);
    assert!(details.iter().all(|detail| detail.ends_with('.')));
    details.sort_unstable();
    assert!(details.windows(2).all(|pair| pair[0] != pair[1]), "{details:?}");
}
