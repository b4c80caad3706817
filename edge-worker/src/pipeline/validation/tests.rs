//! How long the word of auth-service counts.

use super::*;

#[test]
fn the_word_of_auth_service_counts_for_a_minute() {
    let now = 1_800_000_000;
    assert!(counts(now, now) && counts(now - 59, now));
    assert!(!counts(now - 60, now) && !counts(now + 1, now) && !counts(0, now));
}
