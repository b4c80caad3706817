//! What a metric is: number, name, kind, labels, buckets. Cells of the region, the scrape and
//! `docs/reference/metrics.md` all come from the one `table`.
//!
//! A series in the region is the metric's number and up to three label numbers. Regions outlive
//! binaries, so numbers of metrics and of label words are appended, never reused.

mod buckets;
pub mod table;
pub mod meters;
pub mod reference;

use shm::names::NameKind;

pub use meters::Meters;
pub use shm::counters::BUCKETS_MAX;
pub use table::TABLE;

/// A metric. Its number is stored in the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Metric {
    HttpRequests = 1,
    HttpRequestDuration,
    HttpRequestsInFlight,
    ActiveConnections,
    HttpRequestSize,
    HttpResponseSize,
    DownstreamRequests,
    DownstreamRequestDuration,
    Timeouts,
    AuthAttempts,
    AuthFailures,
    TokenValidationDuration,
    AuthzDenials,
    CrossTenantAttempts,
    SecurityEvents,
    DangerousHeadersStripped,
    CacheHits,
    CacheMisses,
    CacheErrors,
    HealthCheckStatus,
    HealthCheckDuration,
    WorkerUp,
    WorkerRestarts,
    WorkerLoopLag,
    IoDriverInfo,
    BuildInfo,
    ConfigInfo,
    ConfigLastReload,
    MemoryLimit,
    Rejections,
    ConnectionsClosedUnderRequest,
    ConnectionsRefused,
    JournalDropped,
    LogLinesDropped,
    Panics,
    SeriesDropped,
    ProcessCpu,
    ProcessResidentMemory,
    ProcessVirtualMemory,
    ProcessOpenFds,
    ProcessMaxFds,
    ProcessStartTime,
    LogLinesSuppressed,
    RedisUp,
    RedisOperations,
    RedisOperationDuration,
    SharedCacheReads,
    Revocations,
    RevocationStaleness,
    RevocationEntries,
    RevocationsLost,
    DegradedDecisions,
    Lookups,
    LookupsWaiting,
    PublicKeys,
    KeyFetches,
    RevocationsUnpublished,
    RevocationEntriesMalformed,
    RevocationSnapshots,
    LegacyTokensUnwatched,
    CircuitBreakerState,
    CircuitBreakerTransitions,
    CircuitBreakerRejections,
    BulkheadInFlight,
    BulkheadWaiting,
    BulkheadRejections,
    SheddingLevel,
    ShedRequests,
    InstanceUp,
    InstanceEjected,
    InstanceInFlight,
    InstanceLatency,
    InstanceEjections,
    UpstreamTlsHandshakes,
    DownstreamRetries,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// The word of the exposition format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What the integer in a cell counts, and so what the exported figure is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, exported as seconds.
    Nanoseconds,
    Bytes,
    Count,
}

impl Unit {
    /// Cell units in one exported unit.
    #[must_use]
    pub fn divisor(self) -> f64 {
        match self {
            Self::Nanoseconds => 1e9,
            Self::Bytes | Self::Count => 1.0,
        }
    }
}

/// One label and what its number stands for.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    pub name: &'static str,
    pub values: Values,
}

/// How the number of a label becomes text.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// A region name; 0 is `unmatched`.
    Name(NameKind),
    Method,
    /// What a probe asks: 0 is Redis, all else the region name of a service.
    Check,
    /// The decimal number itself.
    Number,
    /// A status code, or the word of a call that had none.
    Downstream,
    /// The label of a rejection.
    Reason,
    /// The label of a header that clients may not send.
    StrippedHeader,
    Words(&'static [&'static str]),
    /// Not in the region: the supervisor knows the text.
    Text,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    pub metric: Metric,
    /// With its prefix.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [Label],
    /// Upper bounds in the cell's unit, inclusive, ascending; empty unless a histogram.
    pub buckets: &'static [u64],
    pub unit: Unit,
    pub help: &'static str,
}

impl Metric {
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    #[must_use]
    pub fn definition(self) -> &'static Definition {
        &TABLE[self as usize - 1]
    }

    /// From the number in a series key.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Metric> {
        let definition = TABLE.get(usize::from(number).checked_sub(1)?)?;
        Some(definition.metric)
    }
}

/// The bucket of a value: the first whose bound is not below it; one past the last bound is `+Inf`.
#[must_use]
#[inline]
pub fn bucket(bounds: &[u64], value: u64) -> usize {
    bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
}

/// `definition` finds a row by its metric's number.
const _: () = {
    let mut index = 0;
    while index < TABLE.len() {
        assert!(TABLE[index].metric as usize == index + 1, "the table stands in the order of the numbers");
        assert!(TABLE[index].buckets.len() < BUCKETS_MAX, "a histogram fits into its cell");
        assert!(TABLE[index].labels.len() <= 3, "a series key holds three labels");
        index += 1;
    }
    assert!(TABLE.len() == Metric::DownstreamRetries as usize, "every metric has a row");
};

#[cfg(test)]
mod tests;
