//! Ids that fill a path, and ids that would leave it.

use super::fill;

#[test]
fn an_id_stands_in_its_place_as_it_is() {
    let filled = fill("/auth/internal/users/{userId}", "userId", "a1:B_2@x.y-z");
    assert_eq!(filled.as_deref(), Some("/auth/internal/users/a1:B_2@x.y-z"));
    assert_eq!(fill("/venues/user", "userId", "u").as_deref(), Some("/venues/user"));
}

#[test]
fn an_id_that_is_no_single_segment_is_not_asked_about() {
    for id in ["", ".", "..", "...", "a/b", "a?b", "a#b", "a%2fb", "a b", "ä", "a\r\nb", &"x".repeat(129)] {
        assert_eq!(fill("/users/{userId}", "userId", id), None, "{id:?}");
    }
}
