//! Series, a full block, and folding what the dead counted.

use std::collections::BTreeMap;

use super::*;
use crate::atomics::Zeroed;

type Small = Counters<8, 4>;

const REQUESTS: SeriesKey = SeriesKey::new(0, 0, 0, 0);
const DURATION: SeriesKey = SeriesKey::new(16_383, 1, 2, u16::MAX);

fn counters(block: &Small) -> BTreeMap<SeriesKey, u64> {
    let mut all = BTreeMap::new();
    block.each_counter(|key, value| assert!(all.insert(key, value).is_none(), "a series stands once"));
    all
}

#[test]
fn a_key_gives_back_its_metric_and_labels() {
    assert_eq!((DURATION.metric(), DURATION.labels()), (16_383, [1, 2, u16::MAX]));
    assert_eq!((REQUESTS.metric(), REQUESTS.labels()), (0, [0, 0, 0]));
}

#[test]
fn counters_add_up_and_keep_apart() {
    let block = Small::zeroed();
    let (a, b) = (block.counter(REQUESTS), block.counter(SeriesKey::new(0, 0, 0, 1)));
    assert_eq!(block.counter(REQUESTS), a, "the second look finds the same place");
    block.add(a, 2);
    block.add(a, 3);
    block.add(b, 1);
    assert_eq!(counters(&block).into_values().collect::<Vec<_>>(), [5, 1]);
}

#[test]
fn a_gauge_is_set_and_is_no_counter() {
    let block = Small::zeroed();
    block.store(block.gauge(REQUESTS), 7);
    block.store(block.gauge(REQUESTS), 4);
    block.add(block.counter(REQUESTS), 1);
    let mut gauges = Vec::new();
    block.each_gauge(|key, value| gauges.push((key, value)));
    assert_eq!(gauges, [(REQUESTS, 4)]);
    assert_eq!(counters(&block), BTreeMap::from([(REQUESTS, 1)]));
}

#[test]
fn a_histogram_counts_what_its_buckets_hold() {
    let block = Small::zeroed();
    let index = block.histogram(DURATION);
    block.observe(index, 0, 10);
    block.observe(index, 15, 20);
    block.observe(index, 99, 30);
    let mut seen = Vec::new();
    block.each_histogram(|key, buckets, sum, count| seen.push((key, *buckets, sum, count)));
    let mut buckets = [0; BUCKETS_MAX];
    (buckets[0], buckets[15]) = (1, 2);
    assert_eq!(seen, [(DURATION, buckets, 60, 3)]);
}

#[test]
fn a_full_block_counts_what_it_loses() {
    let block = Small::zeroed();
    for label in 0..8 {
        block.add(block.counter(SeriesKey::new(1, label, 0, 0)), 1);
    }
    let lost = block.counter(SeriesKey::new(1, 8, 0, 0));
    block.add(lost, 5);
    block.store(block.gauge(SeriesKey::new(1, 9, 0, 0)), 100);
    for label in 0..5 {
        block.observe(block.histogram(SeriesKey::new(2, label, 0, 0)), 0, 1);
    }
    assert_eq!(block.dropped(), 7);
    assert_eq!(counters(&block).len(), 8);
    assert!(counters(&block).values().all(|value| *value == 1));
}

#[test]
fn what_a_dead_worker_counted_is_added_once_and_its_gauges_go() {
    let (total, block) = (Small::zeroed(), Small::zeroed());
    total.add(total.counter(REQUESTS), 10);
    block.add(block.counter(REQUESTS), 5);
    block.add(block.counter(SeriesKey::new(3, 0, 0, 0)), 1);
    block.store(block.gauge(REQUESTS), 99);
    block.observe(block.histogram(DURATION), 2, 8);
    block.fold_into(&total);
    block.fold_into(&total);
    assert_eq!(counters(&total), BTreeMap::from([(REQUESTS, 15), (SeriesKey::new(3, 0, 0, 0), 1)]));
    total.each_gauge(|_, _| panic!("a gauge of the dead"));
    let mut sums = Vec::new();
    total.each_histogram(|key, buckets, sum, count| sums.push((key, buckets[2], sum, count)));
    assert_eq!(sums, [(DURATION, 1, 8, 1)]);
    assert!(counters(&block).is_empty());
    block.each_histogram(|_, _, _, _| panic!("the block is empty"));
}

#[test]
fn the_slots_next_worker_starts_from_zero() {
    let (total, block) = (Small::zeroed(), Small::zeroed());
    block.add(block.counter(REQUESTS), 5);
    block.observe(block.histogram(DURATION), 1, 1);
    block.fold_into(&total);
    block.add(block.counter(REQUESTS), 1);
    block.observe(block.histogram(DURATION), 1, 2);
    assert_eq!(counters(&block), BTreeMap::from([(REQUESTS, 1)]));
    block.each_histogram(|_, buckets, sum, count| assert_eq!((buckets[1], sum, count), (1, 2, 1)));
}

#[test]
fn a_fold_into_a_full_block_loses_nothing_silently() {
    let (total, block) = (Small::zeroed(), Small::zeroed());
    for label in 0..8 {
        total.counter(SeriesKey::new(1, label, 0, 0));
    }
    for label in 0..4 {
        total.histogram(SeriesKey::new(1, label, 0, 0));
    }
    block.add(block.counter(REQUESTS), 5);
    block.observe(block.histogram(DURATION), 3, 1000);
    block.fold_into(&total);
    assert_eq!(total.dropped(), 6, "five counts and one observation");
}

#[test]
fn a_reader_finds_series_behind_the_keys_it_expects() {
    let block = Small::zeroed();
    for label in 0..6 {
        block.add(block.counter(SeriesKey::new(1, label, 0, 0)), u64::from(label));
    }
    assert_eq!(counters(&block).into_values().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}
