//! The ring: order, a full ring, deaths, and a producer that runs wild.

use super::*;
use crate::atomics::Zeroed;

fn drained(journal: &Journal<4, 3>, max: usize) -> Vec<Vec<u64>> {
    let mut records = Vec::new();
    journal.drain(max, |words| records.push(words.to_vec()));
    records
}

#[test]
fn records_come_out_whole_and_in_order() {
    let journal = Journal::<4, 3>::zeroed();
    assert!(journal.push(&[1, 2, 3]) && journal.push(&[]) && journal.push(&[4]));
    assert_eq!(drained(&journal, 2), [vec![1, 2, 3], vec![]]);
    assert_eq!(drained(&journal, 2), [vec![4]]);
    assert_eq!(drained(&journal, 2), Vec::<Vec<u64>>::new());
    assert_eq!((journal.dropped(), journal.torn()), (0, 0));
}

#[test]
fn a_full_ring_drops_and_counts_and_serves_again_once_drained() {
    let journal = Journal::<4, 3>::zeroed();
    for n in 0..4 {
        assert!(journal.push(&[n]));
    }
    assert!(!journal.push(&[4]));
    assert_eq!(journal.dropped(), 1);
    assert_eq!(journal.drain(1, |_| ()), 1);
    assert!(journal.push(&[5]) && !journal.push(&[6]));
    assert_eq!(drained(&journal, 9), [[1], [2], [3], [5]]);
    for round in 0..10 {
        assert!(journal.push(&[round]));
        assert_eq!(drained(&journal, 9), [[round]]);
    }
    assert_eq!(journal.dropped(), 2);
}

#[test]
fn a_record_that_is_too_long_is_dropped_and_counted() {
    let journal = Journal::<4, 3>::zeroed();
    assert!(!journal.push(&[1, 2, 3, 4]));
    assert_eq!((journal.dropped(), drained(&journal, 9).len()), (1, 0));
}

#[test]
fn a_record_that_a_death_left_unpublished_is_overwritten() {
    let journal = Journal::<4, 3>::zeroed();
    assert!(journal.push(&[1]));
    let next = journal.record(1);
    next.position.store(1);
    next.length.store(3);
    next.words[0].store(99);
    assert_eq!(drained(&journal, 9), [[1]], "nothing of it is seen");
    assert!(journal.push(&[2]), "the slot's next worker goes on");
    assert_eq!(drained(&journal, 9), [[2]]);
}

#[test]
fn a_supervisor_that_dies_while_draining_leaves_the_records_to_its_successor() {
    let journal = Journal::<4, 3>::zeroed();
    assert!(journal.push(&[1]) && journal.push(&[2]));
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        journal.drain(9, |words| assert_ne!(words, [2], "dies at the second record"));
    }));
    assert!(died.is_err());
    assert_eq!(drained(&journal, 9), [[1], [2]]);
}

#[test]
fn a_place_that_does_not_hold_its_record_is_skipped_and_counted() {
    let journal = Journal::<4, 3>::zeroed();
    assert!(journal.push(&[1]) && journal.push(&[2]) && journal.push(&[3]));
    journal.record(0).position.store(7);
    journal.record(1).length.store(u64::MAX);
    assert_eq!(drained(&journal, 9), [[3]]);
    assert_eq!(journal.torn(), 2);
}

#[test]
fn a_head_that_ran_wild_costs_one_look_and_the_ring_serves_again() {
    let journal = Journal::<4, 3>::zeroed();
    assert!(journal.push(&[1]));
    for wild in [u64::MAX, 5, 1 << 40] {
        journal.producer.head.store(journal.consumer.tail.load().wrapping_add(wild));
        assert_eq!(journal.drain(9, |_| panic!("a record that was never written")), 0);
        assert!(journal.push(&[8]));
        assert_eq!(drained(&journal, 9), [[8]]);
    }
    assert_eq!(journal.torn(), 3);
}
