//! Model of the two ends at work.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

/// Drains once; records are always `[n, n * 3]`, so that a mixture shows.
fn drained(journal: &Journal<2, 2>) -> Vec<u64> {
    let mut seen = Vec::new();
    journal.drain(2, |words| {
        assert!(words.len() == 2 && words[1] == words[0] * 3, "a record that nobody wrote: {words:?}");
        seen.push(words[0]);
    });
    assert_eq!(journal.torn(), 0);
    seen
}

#[test]
fn the_consumer_sees_whole_records_in_order_while_the_ring_wraps() {
    let seen = outcomes(|| {
        let journal = Arc::new(Journal::<2, 2>::zeroed());
        let consumer = Arc::clone(&journal);
        let thread = ::loom::thread::spawn(move || drained(&consumer));
        let pushed: Vec<u64> = (1..=3).filter(|n| journal.push(&[*n, n * 3])).collect();
        let beside = thread.join().expect("the consumer saw no mixture");
        let mut all = beside.clone();
        all.extend(drained(&journal));
        assert_eq!(all, pushed, "each record that was taken is seen once, in order");
        assert_eq!(journal.dropped(), 3 - pushed.len() as u64);
        (beside.len(), pushed.len())
    });
    // Beside the producer: nothing yet, one record or two. The third found room if one had been given back in
    // time.
    assert_eq!(seen, BTreeSet::from([(0, 2), (1, 2), (2, 2), (1, 3), (2, 3)]));
}

#[test]
fn a_producer_writes_over_a_record_only_after_it_was_read() {
    let seen = outcomes(|| {
        let journal = Arc::new(Journal::<2, 2>::zeroed());
        assert!(journal.push(&[1, 3]) && journal.push(&[2, 6]));
        let producer = Arc::clone(&journal);
        let thread = ::loom::thread::spawn(move || producer.push(&[3, 9]));
        assert_eq!(drained(&journal)[..2], [1, 2]);
        thread.join().expect("the producer does not panic")
    });
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn a_successor_goes_on_where_a_dead_producer_stopped() {
    let seen = outcomes(|| {
        let journal = Arc::new(Journal::<2, 2>::zeroed());
        let consumer = Arc::clone(&journal);
        let thread = ::loom::thread::spawn(move || drained(&consumer));
        // The first producer dies in the middle of its second record; its successor starts after it was
        // reaped.
        assert!(journal.push(&[1, 3]));
        let unfinished = journal.record(1);
        unfinished.position.store(1);
        unfinished.words[0].store(99);
        assert!(journal.push(&[2, 6]));
        let beside = thread.join().expect("the consumer saw no mixture");
        let mut all = beside.clone();
        all.extend(drained(&journal));
        assert_eq!(all, [1, 2]);
        beside.len()
    });
    assert_eq!(seen, BTreeSet::from([0, 1, 2]));
}
