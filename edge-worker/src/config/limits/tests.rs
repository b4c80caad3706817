//! Limits and the variables that change them.

use super::Limits;
use crate::config::sample::{self, DEVELOPMENT, assert_problems};

#[test]
fn the_table_gives_the_defaults_of_the_type() {
    assert_eq!(sample::loaded(DEVELOPMENT, &[]).settings.worker.limits, Limits::default());
}

#[test]
fn every_limit_can_be_set() {
    let changes = [
        ("MAX_HEADER_BYTES", "64kb"),
        ("MAX_REQUEST_SIZE", "2"),
        ("FLOODGATE_HEAD_TIMEOUT_MS", "103"),
        ("FLOODGATE_BODY_IDLE_TIMEOUT_MS", "104"),
        ("FLOODGATE_KEEP_ALIVE_IDLE_MS", "105"),
        ("FLOODGATE_WRITE_TIMEOUT_MS", "106"),
        ("FLOODGATE_CONNECTIONS_MAX", "7"),
        ("FLOODGATE_IN_FLIGHT_MAX", "8"),
        ("FLOODGATE_POOL_IDLE_MAX", "9"),
        ("FLOODGATE_DRAIN_LINGER_MS", "10"),
    ];
    let expected = Limits {
        head_bytes_max: 65_536,
        body_bytes_max: 2,
        head_timeout_ms: 103,
        body_idle_timeout_ms: 104,
        keep_alive_idle_ms: 105,
        write_timeout_ms: 106,
        connections_max: 7,
        in_flight_max: 8,
        pool_idle_max: 9,
        drain_linger_ms: 10,
    };
    assert_eq!(sample::loaded(DEVELOPMENT, &changes).settings.worker.limits, expected);
}

#[test]
fn wrong_limits_are_problems() {
    assert_problems(
        DEVELOPMENT,
        &[
            (
                "MAX_HEADER_BYTES",
                "8192",
                "is not 16384 to 1048576 bytes, written as a number, `64kb` or `10mb`; \
                 correct it, or remove it to get the default `32768`",
            ),
            (
                "FLOODGATE_DRAIN_LINGER_MS",
                "30000",
                "is not shorter than SHUTDOWN_TIMEOUT_MS, so a drain could not end in time; shorten it",
            ),
            (
                "FLOODGATE_IN_FLIGHT_MAX",
                "0",
                "is not a whole number from 1 to 1000000; correct it, or remove it to get the default `16384`",
            ),
        ],
    );
}
