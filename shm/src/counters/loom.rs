//! Models: a series shows up whole, and folding follows a death.

use std::sync::Arc;

use super::*;
use crate::atomics::Zeroed;

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
    ::loom::model(|| {
        let block = Arc::new(Counters::<2, 1>::zeroed());
        let writer = Arc::clone(&block);
        let thread = ::loom::thread::spawn(move || {
            let index = writer.counter(REQUESTS);
            writer.add(index, 1);
            writer.add(index, 1);
        });
        let first = sum(&block);
        let second = sum(&block);
        assert!(first <= second && second <= 2);
        thread.join().expect("the writer does not panic");
        assert_eq!(sum(&block), 2);
    });
}

#[test]
fn a_histogram_never_shows_more_than_was_observed() {
    ::loom::model(|| {
        let block = Arc::new(Counters::<2, 1>::zeroed());
        let writer = Arc::clone(&block);
        let thread = ::loom::thread::spawn(move || writer.observe(writer.histogram(REQUESTS), 1, 5));
        block.each_histogram(|key, buckets, sum, count| {
            assert_eq!(key, REQUESTS);
            assert!(count == buckets[1] && count <= 1 && sum <= 5);
        });
        thread.join().expect("the writer does not panic");
        block.each_histogram(|_, _, sum, count| assert_eq!((sum, count), (5, 1)));
    });
}

#[test]
fn a_fold_after_the_writers_end_takes_everything() {
    ::loom::model(|| {
        let block = Arc::new(Counters::<2, 1>::zeroed());
        let total = Counters::<2, 1>::zeroed();
        let writer = Arc::clone(&block);
        let thread = ::loom::thread::spawn(move || writer.add(writer.counter(REQUESTS), 3));
        thread.join().expect("the writer does not panic");
        block.fold_into(&total);
        assert_eq!((sum(&block), sum(&total)), (0, 3));
    });
}
