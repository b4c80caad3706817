//! Model of the two ends at work.

use std::sync::Arc;

use super::*;
use crate::atomics::Zeroed;

#[test]
fn the_consumer_sees_whole_records_in_order_while_the_ring_wraps() {
    ::loom::model(|| {
        let journal = Arc::new(Journal::<2, 2>::zeroed());
        let producer = Arc::clone(&journal);
        let thread = ::loom::thread::spawn(move || (1..=3).filter(|n| producer.push(&[*n, n * 3])).collect());
        let mut seen: Vec<u64> = Vec::new();
        let mut visit = |words: &[u64]| {
            assert_eq!(words[1], words[0] * 3, "a record that nobody wrote");
            seen.push(words[0]);
        };
        journal.drain(2, &mut visit);
        let pushed: Vec<u64> = thread.join().expect("the producer does not panic");
        while journal.drain(2, &mut visit) > 0 {}
        assert_eq!(seen, pushed, "each record that was taken is seen once, in order");
        assert_eq!((journal.torn(), journal.dropped()), (0, 3 - seen.len() as u64));
    });
}

#[test]
fn a_successor_goes_on_where_a_dead_producer_stopped() {
    ::loom::model(|| {
        let journal = Arc::new(Journal::<2, 2>::zeroed());
        let producer = Arc::clone(&journal);
        // The first producer dies in the middle of its second record; the slot is handed on after it was reaped.
        let thread = ::loom::thread::spawn(move || {
            producer.push(&[1, 3]);
            let unfinished = producer.record(1);
            unfinished.position.store(1);
            unfinished.words[0].store(99);
        });
        let mut seen = Vec::new();
        journal.drain(2, |words| seen.push(words.to_vec()));
        thread.join().expect("the producer does not panic");
        assert!(journal.push(&[2, 6]));
        journal.drain(2, |words| seen.push(words.to_vec()));
        assert_eq!(seen, [[1, 3], [2, 6]]);
    });
}
