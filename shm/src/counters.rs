//! Counters, gauges and histograms of one worker, and the sums of those that are gone.
//!
//! Writer: one a block, the worker that owns the slot; the cumulative block belongs to the supervisor. A
//! worker's block is folded into it by `fold_into` after that worker was reaped, so that counters never go
//! back and gauges never leak.
//! Readers: the supervisor, at any time. Being alone lets the writer count by load and store, a fraction of
//! the price of an atomic addition.
//! Torn state: none that matters. A series shows up when its key is published, with cells that are legal
//! before. A worker that dies inside `observe` leaves a bucket without its share of the sum; a supervisor
//! that dies inside `fold_into` leaves at most one cell that its successor counts twice.

use crate::atomics::Word;
use crate::layout::{Field, Structure};
use crate::words::mix;

/// A block; see the file's head.
#[repr(C, align(128))]
pub struct Counters<const COUNTERS: usize = 8192, const HISTOGRAMS: usize = 2048> {
    /// Keys claimed so far: a reader need not look further once it has seen as many.
    counters_used: Word,
    histograms_used: Word,
    /// Counts that found no room.
    dropped: Word,
    reserved: [Word; 13],
    counters: [Counter; COUNTERS],
    histograms: [Histogram; HISTOGRAMS],
}

/// One counter or gauge.
#[repr(C)]
pub(crate) struct Counter {
    key: Word,
    value: Word,
}

/// One histogram. How many values it has seen is the sum of its buckets, so that the two can never differ.
#[repr(C)]
pub(crate) struct Histogram {
    key: Word,
    sum: Word,
    buckets: [Word; BUCKETS_MAX],
}

/// Most buckets of a histogram, the last one without an upper bound included.
pub const BUCKETS_MAX: usize = 16;

/// Which metric, and up to three labels as numbers: ids of names, statuses, places in an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey(u64);

/// Where a counter stands in the block that gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterIndex(u32);

/// Where a gauge stands in the block that gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaugeIndex(u32);

/// Where a histogram stands in the block that gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramIndex(u32);

impl SeriesKey {
    /// The series of `metric` (below 16,384) with the labels `a`, `b` and `c`.
    ///
    /// # Panics
    /// If the metric's number is too large: it is a place in an enum, not data.
    #[must_use]
    pub const fn new(metric: u16, a: u16, b: u16, c: u16) -> SeriesKey {
        assert!(metric < METRICS_MAX, "a metric's number is below 16,384");
        SeriesKey((metric as u64) << 48 | (a as u64) << 32 | (b as u64) << 16 | c as u64)
    }

    #[must_use]
    pub fn metric(self) -> u16 {
        sixteen_bits(self.0 >> 48)
    }

    /// The labels, in the order of `new`.
    #[must_use]
    pub fn labels(self) -> [u16; 3] {
        [32, 16, 0].map(|shift| sixteen_bits(self.0 >> shift))
    }
}

impl<const COUNTERS: usize, const HISTOGRAMS: usize> Counters<COUNTERS, HISTOGRAMS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Counters",
        bytes: size_of::<Self>(),
        fields: &[
            Field("counters_used", std::mem::offset_of!(Self, counters_used), size_of::<Word>()),
            Field("histograms_used", std::mem::offset_of!(Self, histograms_used), size_of::<Word>()),
            Field("dropped", std::mem::offset_of!(Self, dropped), size_of::<Word>()),
            Field("reserved", std::mem::offset_of!(Self, reserved), size_of::<[Word; 13]>()),
            Field("counters", std::mem::offset_of!(Self, counters), size_of::<[Counter; COUNTERS]>()),
            Field("histograms", std::mem::offset_of!(Self, histograms), size_of::<[Histogram; HISTOGRAMS]>()),
        ],
    };

    /// Finds or makes a counter; keep the answer. Without room it is one that only counts what is lost.
    pub fn counter(&self, key: SeriesKey) -> CounterIndex {
        CounterIndex(place(&self.counters, &self.counters_used, key.0 | PRESENT))
    }

    /// Finds or makes a gauge; keep the answer. The same key may name a counter as well.
    pub fn gauge(&self, key: SeriesKey) -> GaugeIndex {
        GaugeIndex(place(&self.counters, &self.counters_used, key.0 | PRESENT | GAUGE))
    }

    /// Finds or makes a histogram; keep the answer.
    pub fn histogram(&self, key: SeriesKey) -> HistogramIndex {
        HistogramIndex(place(&self.histograms, &self.histograms_used, key.0 | PRESENT))
    }

    #[inline]
    pub fn add(&self, index: CounterIndex, amount: u64) {
        match self.counters.get(index.0 as usize) {
            Some(counter) => counter.value.add_alone(amount),
            None => self.dropped.add_alone(amount),
        }
    }

    /// Sets a gauge.
    #[inline]
    pub fn store(&self, index: GaugeIndex, value: u64) {
        match self.counters.get(index.0 as usize) {
            Some(gauge) => gauge.value.store(value),
            None => self.dropped.add_alone(1),
        }
    }

    /// Counts a `value` that belongs into `bucket`; one beyond the last counts into the last.
    #[inline]
    pub fn observe(&self, index: HistogramIndex, bucket: usize, value: u64) {
        match self.histograms.get(index.0 as usize) {
            Some(histogram) => {
                histogram.buckets[bucket.min(BUCKETS_MAX - 1)].add_alone(1);
                histogram.sum.add_alone(value);
            }
            None => self.dropped.add_alone(1),
        }
    }

    /// Counts that found no room for their series.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load()
    }

    pub fn each_counter(&self, mut visit: impl FnMut(SeriesKey, u64)) {
        self.each_cell(|key, value| {
            if key & GAUGE == 0 {
                visit(SeriesKey(key & KEY), value.load());
            }
        });
    }

    pub fn each_gauge(&self, mut visit: impl FnMut(SeriesKey, u64)) {
        self.each_cell(|key, value| {
            if key & GAUGE != 0 {
                visit(SeriesKey(key & KEY), value.load());
            }
        });
    }

    /// Visits key, buckets (each by itself, not running totals), sum and count of every histogram.
    pub fn each_histogram(&self, mut visit: impl FnMut(SeriesKey, &[u64; BUCKETS_MAX], u64, u64)) {
        for (key, histogram) in present(&self.histograms, &self.histograms_used) {
            let buckets = std::array::from_fn(|index| histogram.buckets[index].load());
            let count = buckets.iter().fold(0_u64, |count, bucket| count.wrapping_add(*bucket));
            visit(SeriesKey(key & KEY), &buckets, histogram.sum.load(), count);
        }
    }

    /// Adds this block's counters and histograms to `total`, drops its gauges and leaves it empty. Only by
    /// the writer of `total`, and only after the writer of this block has been reaped.
    pub fn fold_into(&self, total: &Self) {
        for (key, counter) in present(&self.counters, &self.counters_used) {
            if key & GAUGE == 0 {
                let value = counter.value.load();
                total.add(total.counter(SeriesKey(key & KEY)), value);
            }
            counter.value.store(0);
        }
        for (key, histogram) in present(&self.histograms, &self.histograms_used) {
            histogram.fold_into(total, total.histogram(SeriesKey(key & KEY)));
        }
        move_into(&self.dropped, &total.dropped);
        // Keys go last: until then a successor that has to fold again finds every cell that still holds
        // something.
        let keys = self.counters.iter().map(Series::key).chain(self.histograms.iter().map(Series::key));
        for key in keys.filter(|key| key.load() != 0) {
            key.store(0);
        }
        self.counters_used.store(0);
        self.histograms_used.store(0);
    }

    fn each_cell(&self, mut visit: impl FnMut(u64, &Word)) {
        for (key, counter) in present(&self.counters, &self.counters_used) {
            visit(key, &counter.value);
        }
    }
}

impl Histogram {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Histogram",
        bytes: size_of::<Histogram>(),
        fields: &[
            Field("key", std::mem::offset_of!(Histogram, key), size_of::<Word>()),
            Field("sum", std::mem::offset_of!(Histogram, sum), size_of::<Word>()),
            Field("buckets", std::mem::offset_of!(Histogram, buckets), size_of::<[Word; BUCKETS_MAX]>()),
        ],
    };

    fn fold_into<const COUNTERS: usize, const HISTOGRAMS: usize>(
        &self,
        total: &Counters<COUNTERS, HISTOGRAMS>,
        index: HistogramIndex,
    ) {
        match total.histograms.get(index.0 as usize) {
            Some(target) => {
                for (own, target) in self.buckets.iter().zip(&target.buckets) {
                    move_into(own, target);
                }
                move_into(&self.sum, &target.sum);
            }
            None => {
                for own in &self.buckets {
                    move_into(own, &total.dropped);
                }
                self.sum.store(0);
            }
        }
    }
}

impl Counter {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Counter",
        bytes: size_of::<Counter>(),
        fields: &[
            Field("key", std::mem::offset_of!(Counter, key), size_of::<Word>()),
            Field("value", std::mem::offset_of!(Counter, value), size_of::<Word>()),
        ],
    };
}

/// Something with a key: what tables of series are made of.
trait Series {
    fn key(&self) -> &Word;
}

impl Series for Counter {
    fn key(&self) -> &Word {
        &self.key
    }
}

impl Series for Histogram {
    fn key(&self) -> &Word {
        &self.key
    }
}

/// Where `key` stands in `table`, after claiming a place for it if need be; the table's length if there is
/// none.
fn place<S: Series, const N: usize>(table: &[S; N], used: &Word, key: u64) -> u32 {
    const { assert!(N.is_power_of_two() && N < u32::MAX as usize) };
    let start = mix(key) as usize;
    for step in 0..PROBES_MAX.min(N) {
        let index = start.wrapping_add(step) & (N - 1);
        let cell = table[index].key();
        let found = cell.load();
        if found == 0 {
            used.add_alone(1);
            // Partner: `present`. The cells behind the key were legal before.
            cell.publish(key);
        }
        if found == 0 || found == key {
            return index as u32;
        }
    }
    N as u32
}

/// The series of a table with their keys. Stops early, so that a block that nobody used is not read (and not
/// allocated).
fn present<'a, S: Series>(table: &'a [S], used: &Word) -> impl Iterator<Item = (u64, &'a S)> {
    let used = usize::try_from(used.load()).unwrap_or(table.len());
    // Partner: `place`.
    table
        .iter()
        .map(|series| (series.key().observe(), series))
        .filter(|(key, _)| key & PRESENT != 0)
        .take(used)
}

/// First add, then clear: a supervisor that dies between counts this cell twice and loses nothing.
fn move_into(from: &Word, to: &Word) {
    let amount = from.load();
    if amount != 0 {
        to.add_alone(amount);
        from.store(0);
    }
}

fn sixteen_bits(word: u64) -> u16 {
    u16::try_from(word & 0xffff).expect("masked to 16 bits")
}

const METRICS_MAX: u16 = 1 << 14;
const PRESENT: u64 = 1 << 63;
const GAUGE: u64 = 1 << 62;
const KEY: u64 = GAUGE - 1;

/// A series that finds no place in so many steps has none: the table is all but full.
const PROBES_MAX: usize = 128;

#[cfg(test)]
impl<const COUNTERS: usize, const HISTOGRAMS: usize> crate::atomics::Zeroed
    for Counters<COUNTERS, HISTOGRAMS>
{
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Counters {
            counters_used: Word::zeroed(),
            histograms_used: Word::zeroed(),
            dropped: Word::zeroed(),
            reserved: Zeroed::zeroed(),
            counters: Zeroed::zeroed(),
            histograms: Zeroed::zeroed(),
        }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Counter {
    fn zeroed() -> Counter {
        Counter { key: Word::zeroed(), value: Word::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Histogram {
    fn zeroed() -> Histogram {
        use crate::atomics::Zeroed;
        Histogram { key: Word::zeroed(), sum: Word::zeroed(), buckets: Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
