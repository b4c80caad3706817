//! Names: ids, limits, and what a supervisor that dies leaves.

use super::*;
use crate::atomics::Zeroed;

fn small() -> (Names<4, 8>, AuthorityWriter) {
    (Names::zeroed(), AuthorityWriter::new())
}

#[test]
fn a_name_keeps_its_id_and_an_id_its_text() {
    let (names, writer) = small();
    assert_eq!(names.find(NameKind::Role, "admin"), None);
    let admin = names.intern(&writer, NameKind::Role, "admin").expect("room");
    assert_eq!(names.intern(&writer, NameKind::Role, "admin"), Ok(admin));
    assert_eq!(names.find(NameKind::Role, "admin"), Some(admin));
    assert_eq!(names.text(admin).as_deref(), Some("admin"));
    assert_eq!(names.kind(admin), Some(NameKind::Role));
    assert_eq!((admin.number(), names.count()), (1, 1), "zero is nobody's id");
}

#[test]
fn the_same_text_of_another_kind_is_another_name() {
    let (names, writer) = small();
    let role = names.intern(&writer, NameKind::Role, "venue").expect("room");
    let service = names.intern(&writer, NameKind::Service, "venue").expect("room");
    assert_ne!(role, service);
    assert_eq!(names.find(NameKind::Route, "venue"), None);
    assert_eq!(names.kind(service), Some(NameKind::Service));
}

#[test]
fn a_full_table_refuses_new_names_and_knows_the_old_ones() {
    let (names, writer) = small();
    for text in ["a", "b", "c", "d"] {
        names.intern(&writer, NameKind::Rule, text).expect("room");
    }
    assert_eq!(names.intern(&writer, NameKind::Rule, "e"), Err(NameFault::Full(4)));
    assert_eq!(names.find(NameKind::Rule, "e"), None);
    assert!(names.intern(&writer, NameKind::Rule, "d").is_ok());
}

#[test]
fn the_longest_name_fits_and_a_longer_one_is_refused() {
    let (names, writer) = small();
    let longest = "x".repeat(NAME_BYTES_MAX);
    let id = names.intern(&writer, NameKind::Label, &longest).expect("it fits exactly");
    assert_eq!(names.text(id), Some(longest.clone()));
    let longer = longest + "x";
    assert_eq!(names.intern(&writer, NameKind::Label, &longer), Err(NameFault::TooLong(NAME_BYTES_MAX + 1)));
    assert_eq!(names.find(NameKind::Label, &longer), None);
}

#[test]
fn an_id_that_was_never_given_has_no_text() {
    let (names, writer) = small();
    names.intern(&writer, NameKind::Rule, "a").expect("room");
    let ids = [2, 4, 5, u16::MAX].map(|number| NameId::new(number).expect("not zero"));
    assert_eq!(ids.map(|id| names.text(id)), [None, None, None, None]);
    assert_eq!(NameId::new(0), None);
}

#[test]
fn a_death_before_the_index_wastes_an_id_and_never_gives_it_twice() {
    let (names, writer) = small();
    let lost = names.intern(&writer, NameKind::Rule, "a").expect("room");
    for word in &names.index {
        word.store(0);
    }
    assert_eq!(names.find(NameKind::Rule, "a"), None, "as if the supervisor had died just before");
    let again = names.intern(&writer, NameKind::Rule, "a").expect("room");
    assert_ne!(again, lost);
    assert_eq!(names.find(NameKind::Rule, "a"), Some(again));
    assert_eq!(names.text(lost).as_deref(), Some("a"), "whoever got the lost id still knows what it meant");
}

#[test]
fn a_death_before_the_count_leaves_nothing() {
    let (names, writer) = small();
    names.intern(&writer, NameKind::Rule, "an unfinished name").expect("room");
    for word in names.index.iter().chain([&names.count]) {
        word.store(0);
    }
    let first = names.intern(&writer, NameKind::Rule, "b").expect("room");
    assert_eq!((first.number(), names.text(first).as_deref()), (1, Some("b")));
}

#[test]
fn names_with_equal_hash_bits_are_told_apart_by_their_text() {
    let (names, writer) = small();
    let a = names.intern(&writer, NameKind::Rule, "a").expect("room");
    let home = names.index.iter().find(|word| word.load() != 0).expect("one is used");
    home.store(0);
    let hash = hash_of(NameKind::Rule, &Text::new("b").expect("short"));
    let first = names.probe(hash).next().expect("a table is not empty");
    first.store(hash & HASH_MASK | u64::from(a.number()));
    assert_eq!(names.find(NameKind::Rule, "b"), None);
}

#[test]
fn a_count_beyond_the_table_is_not_believed() {
    let (names, _) = small();
    names.count.store(u64::MAX);
    assert_eq!(names.count(), 4);
    assert_eq!(names.text(NameId::new(5).expect("not zero")), None);
}
