//! Upper bounds of the histograms, in nanoseconds or bytes.

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

pub(super) const REQUEST_DURATIONS: &[u64] = &[
    MILLISECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    200 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
];
pub(super) const DOWNSTREAM_DURATIONS: &[u64] = &[
    5 * MILLISECOND,
    10 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    120 * SECOND,
];
pub(super) const VALIDATION_DURATIONS: &[u64] = &[
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    250_000,
    500_000,
    MILLISECOND,
    5 * MILLISECOND,
    50 * MILLISECOND,
    500 * MILLISECOND,
    5 * SECOND,
];
pub(super) const SHORT_DURATIONS: &[u64] = &[
    MILLISECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    5 * SECOND,
];
pub(super) const REDIS_DURATIONS: &[u64] = &[
    MILLISECOND / 10,
    MILLISECOND / 4,
    MILLISECOND / 2,
    MILLISECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    5 * SECOND,
];
pub(super) const SIZES: &[u64] = &[100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
