//! What an event voids, and for how long that is remembered.

use super::*;

const NOW: UnixSeconds = 1_795_000_000;

#[test]
fn what_was_said_before_an_event_is_void_and_what_comes_after_it_counts() {
    let mut forgotten = Forgotten::default();
    assert!(forgotten.admits("u", i64::MIN), "nothing happened yet");
    forgotten.note("u".into(), NOW);
    for (at, counts) in
        [(NOW - 100, false), (NOW, false), (NOW + CLOCK_SKEW_S, false), (NOW + CLOCK_SKEW_S + 1, true)]
    {
        assert_eq!(forgotten.admits("u", at), counts, "{at}");
        assert!(forgotten.admits("other", at));
    }
    forgotten.note_all(NOW + 100);
    assert!(!forgotten.admits("other", NOW + 100));
    assert!(forgotten.admits("u", NOW + 200));
}

#[test]
fn marks_are_bounded_and_too_many_void_more_rather_than_less() {
    let mut forgotten = Forgotten::default();
    for number in 0..MARKS_MAX {
        forgotten.note(format!("u{number}"), NOW);
    }
    forgotten.note("later".into(), NOW + MARK_S);
    assert_eq!(forgotten.marks.len(), 1, "old marks make room");
    assert!(forgotten.admits("u1", NOW), "and outlived what they were about");
    for number in 0..MARKS_MAX {
        forgotten.note(format!("u{number}"), NOW + MARK_S);
    }
    assert!(forgotten.marks.len() <= MARKS_MAX);
    for whose in ["u1", "later", "anybody"] {
        assert!(!forgotten.admits(whose, NOW + MARK_S), "{whose}");
    }
}
