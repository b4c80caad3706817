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
fn letter_case_tells_users_apart_but_not_uuids() {
    let digests = Digests::new([7; 32]);
    assert_ne!(digests.user("acme", "Admin"), digests.user("acme", "admin"));
    assert_ne!(digests.tenant("Acme"), digests.tenant("acme"));
    let (upper, lower) = ("0B5E2F1C-77AA-4B0E-9D3E-5A1C2B3D4E5F", "0b5e2f1c-77aa-4b0e-9d3e-5a1c2b3d4e5f");
    assert_eq!(digests.user(upper, lower), digests.user(lower, upper));
    assert_eq!(digests.venue(upper), digests.venue(lower));
}
