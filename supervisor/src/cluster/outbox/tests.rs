//! Order, bounds, and what is written again.

use super::{Letter, Outbox, RECENT_MAX_COUNT, REFUSALS_MAX, Refusal, WAITING_MAX_COUNT};
use crate::cluster::event::{Event, TokenName};

fn letter(number: usize, exp: i64) -> Letter {
    let token = TokenName::Jti(number.to_string());
    Letter::new(Event::Token { token, exp }, "test")
}

fn names(letters: &[Letter]) -> Vec<String> {
    let name = |letter: &Letter| match &letter.event {
        Event::Token { token: TokenName::Jti(jti), .. } => jti.clone(),
        other => panic!("{other:?}"),
    };
    letters.iter().map(name).collect()
}

#[test]
fn letters_stay_until_they_are_written() {
    let mut outbox = Outbox::default();
    for number in 0..3 {
        assert!(outbox.push(letter(number, 9)));
    }
    assert_eq!(names(&outbox.take(2)), ["0", "1"]);
    assert_eq!(names(&outbox.take(2)), ["0", "1"], "an attempt failed");
    outbox.written();
    assert_eq!(names(&outbox.take(2)), ["2"]);
    outbox.written();
    assert_eq!(outbox.waiting(), 0);
    assert!(outbox.take(2).is_empty());
}

#[test]
fn a_full_outbox_refuses_and_keeps_what_it_has() {
    let mut outbox = Outbox::default();
    for number in 0..WAITING_MAX_COUNT {
        assert!(outbox.push(letter(number, 9)));
    }
    assert!(!outbox.push(letter(WAITING_MAX_COUNT, 9)));
    assert_eq!((outbox.waiting(), names(&outbox.take(1))), (WAITING_MAX_COUNT, vec!["0".to_owned()]));
}

#[test]
fn a_refused_letter_lets_the_others_pass() {
    let mut outbox = Outbox::default();
    for number in 0..3 {
        assert!(outbox.push(letter(number, 9)));
    }
    assert_eq!(names(&outbox.take(1)), ["0"]);
    assert_eq!(outbox.refuse(), Some(Refusal::Postponed));
    assert_eq!(names(&outbox.take(9)), ["1", "2", "0"]);
}

#[test]
fn a_letter_that_is_always_refused_is_laid_aside_told_once_and_tried_again() {
    let mut outbox = Outbox::default();
    let event = letter(0, 9).event;
    assert!(outbox.push(letter(0, 9)));
    for _ in 1..REFUSALS_MAX {
        assert_eq!(outbox.refuse(), Some(Refusal::Postponed));
    }
    assert!(matches!(outbox.refuse(), Some(Refusal::LaidAside(laid_aside)) if laid_aside.event == event));
    assert_eq!(outbox.refuse(), None);
    assert_eq!((outbox.waiting(), outbox.refused(), outbox.unpublished()), (0, 1, 1));
    assert!(outbox.is_refused(&event));
    outbox.retry_refused();
    assert_eq!((outbox.waiting(), outbox.refused()), (1, 0));
    assert_eq!(outbox.refuse(), Some(Refusal::Known));
    assert_eq!((outbox.waiting(), outbox.refused()), (0, 1));
    outbox.retry_refused();
    assert_eq!(names(&outbox.take(1)), ["0"]);
    outbox.written();
    assert_eq!(outbox.unpublished(), 0);
    assert!(!outbox.is_refused(&event));
}

#[test]
fn what_is_laid_aside_takes_its_place_in_a_full_outbox() {
    let mut outbox = Outbox::default();
    for number in 0..WAITING_MAX_COUNT {
        assert!(outbox.push(letter(number, 9)));
    }
    for _ in 0..REFUSALS_MAX {
        outbox.take(1);
        while outbox.refuse() == Some(Refusal::Postponed) {}
    }
    assert!(outbox.refused() > 0 && !outbox.push(letter(WAITING_MAX_COUNT, 9)));
}

#[test]
fn valid_letters_are_written_again_behind_those_in_hand() {
    let mut outbox = Outbox::default();
    for (number, exp) in [(0, 100), (1, 5), (2, 100)] {
        assert!(outbox.push(letter(number, exp)));
    }
    assert!(outbox.push(Letter::new(Event::Venue { id: "v".into(), generation: None }, "test")));
    outbox.take(9);
    outbox.written();
    for number in 3..6 {
        assert!(outbox.push(letter(number, 100)));
    }
    outbox.take(2);
    assert_eq!(outbox.replay(50, 30), 2, "the expired one and the venue stay out");
    outbox.written();
    assert_eq!(names(&outbox.take(9)), ["0", "2", "5"]);
}

#[test]
fn what_is_kept_for_writing_again_is_bounded() {
    let mut outbox = Outbox::default();
    for number in 0..RECENT_MAX_COUNT + 10 {
        assert!(outbox.push(letter(number, 100)));
    }
    outbox.take(usize::MAX);
    outbox.written();
    assert_eq!(outbox.replay(0, 0), RECENT_MAX_COUNT);
    assert_eq!(names(&outbox.take(1)), ["10"], "the oldest went first");
}
