//! One line at the beginning and one at the end.

use super::*;

#[test]
fn a_spell_has_two_lines_even_if_the_level_touches_zero() {
    let mut spell = None;
    let levels =
        [(0, 0), (100, 5), (200, 300), (300, 0), (2_200, 40), (2_300, 0), (4_199, 0), (4_200, 0), (9_000, 0)];
    let said: Vec<_> =
        levels.iter().filter_map(|(at, level)| Some((*at, look(&mut spell, *level, Millis(*at))?))).collect();
    let ends = Said::Ends { lasted_ms: 2_100, highest: 300 };
    assert_eq!(said, [(100, Said::Begins), (4_200, ends)]);
    assert_eq!(look(&mut spell, 1, Millis(9_100)), Some(Said::Begins), "the next one is another");
}

#[test]
fn the_class_is_the_highest_of_which_something_is_shed() {
    for (level, word) in [
        (1, "anonymous"),
        (256, "anonymous"),
        (257, "browsing"),
        (512, "browsing"),
        (768, "admitted"),
        (1_024, "checkout"),
        (u64::MAX, "checkout"),
    ] {
        assert_eq!(class(level), word, "{level}");
    }
}
