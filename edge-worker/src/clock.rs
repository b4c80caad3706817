//! Time. The only place that reads a clock; everything else is handed an instant.

use std::time::Duration;

/// Seconds since 1970-01-01 UTC, as tokens state them (RFC 7519 section 2, NumericDate).
pub type UnixSeconds = i64;

/// Milliseconds of the system's monotonic clock. Equal in all processes of one boot, so the region may hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

/// Nanoseconds of the monotonic clock, for durations that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

/// The monotonic clock, exact (26 ns a call).
#[must_use]
pub fn now() -> Nanos {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Nanos(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}

/// The wall clock in milliseconds since 1970, for logs, deadlines sent to services and token times.
#[must_use]
pub fn wall_millis() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    time.tv_sec.unsigned_abs() * 1_000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// The wall clock in seconds.
#[must_use]
pub fn wall_seconds() -> UnixSeconds {
    rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec
}

impl Nanos {
    /// Time from `earlier` to `self`; zero if the order is reversed.
    #[must_use]
    pub fn since(self, earlier: Nanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    #[must_use]
    pub fn millis(self) -> Millis {
        Millis(self.0 / 1_000_000)
    }
}
