//! Models: a series shows up whole, and nothing of a folded block is seen again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

const REQUESTS: SeriesKey = SeriesKey::new(1, 2, 3, 4);

fn sum(block: &Counters<2, 1>) -> u64 {
    let mut sum = 0;
    block.each_counter(|key, value| {
        assert_eq!(key, REQUESTS);
        sum += value;
    });
    sum
}

#[test]
fn a_reader_beside_the_writer_sees_a_count_that_only_grows() {
    let seen = outcomes(|| {
        let block = Arc::new(Counters::<2, 1>::zeroed());
        let reader = Arc::clone(&block);
        let thread = ::loom::thread::spawn(move || (sum(&reader), sum(&reader)));
        let index = block.counter(REQUESTS);
        block.add(index, 1);
        block.add(index, 1);
        let (first, second) = thread.join().expect("the reader saw no other series");
        assert!(first <= second, "{first} and then {second}");
        assert_eq!(sum(&block), 2);
        (first, second)
    });
    assert_eq!(seen, BTreeSet::from([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]));
}

#[test]
fn a_histogram_never_shows_more_than_was_observed() {
    let seen = outcomes(|| {
        let block = Arc::new(Counters::<2, 1>::zeroed());
        let reader = Arc::clone(&block);
        let thread = ::loom::thread::spawn(move || {
            let mut seen = None;
            reader.each_histogram(|key, buckets, sum, count| {
                assert!(key == REQUESTS && count == buckets[1]);
                seen = Some((count, sum));
            });
            seen
        });
        block.observe(block.histogram(REQUESTS), 1, 5);
        thread.join().expect("the reader saw no other series")
    });
    // Bucket and sum are two words: a scrape may catch one without the other.
    let expected = [None, Some((0, 0)), Some((1, 0)), Some((0, 5)), Some((1, 5))];
    assert_eq!(seen, BTreeSet::from(expected));
}

#[test]
fn the_slots_next_worker_counts_from_zero_and_the_sum_stays() {
    let seen = outcomes(|| {
        let block = Arc::new(Counters::<2, 1>::zeroed());
        let total = Counters::<2, 1>::zeroed();
        block.add(block.counter(REQUESTS), 3);
        block.fold_into(&total);
        let next = Arc::clone(&block);
        let thread = ::loom::thread::spawn(move || next.add(next.counter(REQUESTS), 1));
        let beside = sum(&block);
        thread.join().expect("the worker does not panic");
        assert_eq!((sum(&block), sum(&total)), (1, 3));
        beside
    });
    assert!(seen.is_subset(&BTreeSet::from([0, 1])), "nothing of the dead is seen again: {seen:?}");
}
