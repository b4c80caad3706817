//! What must be told apart is, and what must not is not.

use super::*;
use std::collections::HashSet;

#[test]
fn digests_of_different_things_differ() {
    let digests = Digests::new([7; 32]);
    let all = [
        digests.user("a", "bc"),
        digests.user("ab", "c"),
        digests.user("bc", "a"),
        digests.venue("abc"),
        digests.decision("a", "b", "c", None),
        digests.decision("a", "b", "", Some("c")),
        digests.decision("a", "b", "c", Some("x")),
        Digests::new([8; 32]).user("a", "bc"),
        digests.api_key("abc"),
        digests.api_key("ABC"),
        digests.api_key(""),
        digests.tenant(""),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}

#[test]
fn letter_case_does_not_make_another_user() {
    let digests = Digests::new([7; 32]);
    assert_eq!(digests.user("AB-CD", "EF"), digests.user("ab-cd", "ef"));
}
