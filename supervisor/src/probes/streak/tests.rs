//! Courses of checks.

use super::*;

#[test]
fn two_in_a_row_turn_it_and_one_does_not() {
    let (mut streak, mut health) = (Streak::default(), Health::Unknown);
    let course = [
        (true, Health::Up),
        (false, Health::Up),
        (true, Health::Up),
        (false, Health::Up),
        (false, Health::Down),
        (true, Health::Down),
        (false, Health::Down),
        (true, Health::Down),
        (true, Health::Up),
    ];
    for (step, (good, expected)) in course.into_iter().enumerate() {
        health = streak.note(good, health).unwrap_or(health);
        assert_eq!(health, expected, "step {step}");
    }
}

#[test]
fn a_new_one_is_what_its_first_check_finds() {
    for (good, expected) in [(true, Health::Up), (false, Health::Down)] {
        assert_eq!(Streak::default().note(good, Health::Unknown), Some(expected));
    }
}
