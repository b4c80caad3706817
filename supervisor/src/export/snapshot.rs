//! The sums of all workers' counters at one moment.
//!
//! Taken on the supervisor's own thread, which is also the one that folds the counters of the dead: a
//! snapshot never sees a counter twice or not at all, so no series ever goes back.

use edge_worker::telemetry::metrics::BUCKETS_MAX;
use shm::counters::{Counters, SeriesKey};
use shm::workers::WorkerBlock;
use shm::{SLOTS_MAX, Shared};
use std::collections::BTreeMap;

/// Metric number and label numbers; the order of the map is that of the scrape.
pub type Series = [u16; 4];

/// Counters and histograms by series.
#[derive(Default)]
pub struct Snapshot {
    pub counters: BTreeMap<Series, u64>,
    /// Sums over the workers that live.
    pub gauges: BTreeMap<Series, u64>,
    pub histograms: BTreeMap<Series, Distribution>,
    /// Events that found no free series.
    pub unmeasured: u64,
    pub journal_dropped: u64,
}

/// A histogram: events a bucket (not cumulative), and their sum in the cell's unit.
#[derive(Clone, Copy, Default)]
pub struct Distribution {
    pub buckets: [u64; BUCKETS_MAX],
    pub sum: u64,
    pub count: u64,
}

impl Snapshot {
    /// Reads the blocks of all workers, and those of workers that are gone.
    #[must_use]
    pub fn take(shared: &Shared) -> Self {
        let mut snapshot = Snapshot::default();
        snapshot.add(&shared.cumulative);
        for index in 0..SLOTS_MAX {
            // An empty slot has been folded; reading it would only make the kernel find pages for it.
            if owned(&shared.workers[index]) {
                snapshot.add(&shared.counters[index]);
            }
            snapshot.journal_dropped += shared.journals[index].dropped();
        }
        snapshot
    }

    fn add(&mut self, counters: &Counters) {
        counters.each_counter(|key, value| {
            let sum = self.counters.entry(series(key)).or_default();
            *sum = sum.wrapping_add(value);
        });
        counters.each_gauge(|key, value| {
            let sum = self.gauges.entry(series(key)).or_default();
            *sum = sum.wrapping_add(value);
        });
        self.unmeasured += counters.dropped();
        counters.each_histogram(|key, buckets, sum, count| {
            let distribution = self.histograms.entry(series(key)).or_default();
            for (own, more) in distribution.buckets.iter_mut().zip(buckets) {
                *own += more;
            }
            distribution.sum = distribution.sum.wrapping_add(sum);
            distribution.count += count;
        });
    }
}

/// Whether a worker has the slot.
pub(super) fn owned(worker: &WorkerBlock) -> bool {
    worker.pid() != 0
}

fn series(key: SeriesKey) -> Series {
    let [first, second, third] = key.labels();
    [key.metric(), first, second, third]
}
