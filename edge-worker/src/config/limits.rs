//! Every limit of the edge, with its unit last, in one file.

use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;
use serde::{Deserialize, Serialize};

/// Limits that a configuration may change. Milliseconds and bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `MAX_HEADER_BYTES`: request line and header fields together.
    pub head_bytes_max: usize,
    /// `MAX_REQUEST_SIZE`: upper bound on every row's body cap, file rows excepted.
    pub body_bytes_max: u64,
    pub head_timeout_ms: u64,
    pub body_idle_timeout_ms: u64,
    pub keep_alive_idle_ms: u64,
    pub write_timeout_ms: u64,
    /// Client connections a worker holds; more are answered 503 and closed.
    pub connections_max: usize,
    /// Requests in flight a worker; more are answered 503.
    pub in_flight_max: usize,
    /// Idle upstream connections kept a worker and instance.
    pub pool_idle_max: usize,
    /// An idle connection of a draining worker is closed after this time without a request.
    pub drain_linger_ms: u64,
}

/// Request target (RFC 9112 section 3 recommends 8000 at least).
pub const TARGET_BYTES_MAX: usize = 8192;
/// Header fields in one head.
pub const FIELDS_MAX: usize = 100;
/// Head of an upstream answer.
pub const UPSTREAM_HEAD_BYTES_MAX: usize = 65_536;
pub const UPSTREAM_FIELDS_MAX: usize = 200;
/// One chunk-size line, extensions included.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Trailer section of a chunked body; read, bounded, dropped.
pub const TRAILER_BYTES_MAX: usize = 8192;
/// The `Authorization` header's value.
pub const AUTHORIZATION_BYTES_MAX: usize = 8192;
/// Time for TCP connect, inside the row's deadline.
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;
/// Silence of an upstream body after its head.
pub const UPSTREAM_BODY_IDLE_MS: u64 = 30_000;
/// The same on rows marked `stream`.
pub const UPSTREAM_STREAM_IDLE_MS: u64 = 60_000;
/// Accept operations in flight a listener (`docs/decisions`: p99 of new connections under load).
pub const ACCEPTS_IN_FLIGHT: usize = 16;
/// Body bytes buffered a direction.
pub const BODY_BUFFER_BYTES: usize = 65_536;
/// A body that is read whole before it is forwarded.
pub const BUFFERED_BODY_BYTES_MAX: u64 = 65_536;
/// A client may let the edge wait for its body for so long, and for longer only while it keeps up the rate below:
/// every upload holds a place in flight and a connection to the service.
pub const UPLOAD_GRACE_MS: u64 = 60_000;
/// 4,000 bytes a second.
pub const UPLOAD_BYTES_A_MS_MIN: u64 = 4;
/// The same for bodies that are read before they are forwarded, while more than half as many are awaited as may be.
pub const CROWDED_GRACE_MS: u64 = 1_000;
/// Buffer for a head; grows up to the head limit.
pub const HEAD_BUFFER_BYTES: usize = 8_192;

/// Worker processes: the region has 64 slots, and two generations share them while one drains.
pub const WORKERS_MAX: u64 = 32;
/// Instances of one service.
pub const INSTANCES_MAX: usize = 32;
/// Public keys, those of a JWKS included.
pub const KEYS_MAX: usize = 32;
/// Certificates in `UPSTREAM_CA_FILE`.
pub const CERTIFICATES_MAX: usize = 512;
/// The largest body cap that can be configured.
pub const BODY_BYTES_CEILING: u64 = 16 * 1024 * 1024 * 1024;
/// floodgate.toml, the environment file, a JWKS.
pub const CONFIGURATION_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// A file that an `X_FILE` variable names.
pub const SECRET_FILE_BYTES_MAX: u64 = 65_536;
/// A configured path.
pub const PATH_BYTES_MAX: usize = 4_095;

const _: () = assert!(TARGET_BYTES_MAX < 32_768, "a target must fit into the default head limit");
const _: () = assert!(CHUNK_LINE_BYTES_MAX < HEAD_BUFFER_BYTES);

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes_max: 32_768,
            body_bytes_max: 10 * 1024 * 1024,
            head_timeout_ms: 10_000,
            body_idle_timeout_ms: 30_000,
            keep_alive_idle_ms: 75_000,
            write_timeout_ms: 30_000,
            connections_max: 65_536,
            in_flight_max: 16_384,
            pool_idle_max: 256,
            drain_linger_ms: 1_000,
        }
    }
}

const HOUR_MS: u64 = 3_600_000;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "MAX_REQUEST_SIZE",
        "limits.body_bytes_max",
        Rule::Bytes(0, BODY_BYTES_CEILING),
        "Upper bound on the body cap of every row, rows of the file service excepted",
    )
    .preset("10mb"),
    Setting::new(
        "MAX_HEADER_BYTES",
        "limits.head_bytes_max",
        Rule::Bytes(16_384, 1024 * 1024),
        "Request line and header fields together",
    )
    .preset("32768"),
    Setting::new(
        "FLOODGATE_HEAD_TIMEOUT_MS",
        "limits.head_timeout_ms",
        Rule::Number(100, HOUR_MS),
        "Time for a request's head to arrive",
    )
    .preset("10000"),
    Setting::new(
        "FLOODGATE_BODY_IDLE_TIMEOUT_MS",
        "limits.body_idle_timeout_ms",
        Rule::Number(100, HOUR_MS),
        "Silence within a request's body",
    )
    .preset("30000"),
    Setting::new(
        "FLOODGATE_KEEP_ALIVE_IDLE_MS",
        "limits.keep_alive_idle_ms",
        Rule::Number(100, HOUR_MS),
        "Time a client connection may wait for its next request",
    )
    .preset("75000"),
    Setting::new(
        "FLOODGATE_WRITE_TIMEOUT_MS",
        "limits.write_timeout_ms",
        Rule::Number(100, HOUR_MS),
        "Time a client may take to accept bytes that are ready for it",
    )
    .preset("30000"),
    Setting::new(
        "FLOODGATE_CONNECTIONS_MAX",
        "limits.connections_max",
        Rule::Number(1, 1_000_000),
        "Client connections a worker; more are answered 503 and closed",
    )
    .preset("65536"),
    Setting::new(
        "FLOODGATE_IN_FLIGHT_MAX",
        "limits.in_flight_max",
        Rule::Number(1, 1_000_000),
        "Requests in flight a worker; more are answered 503",
    )
    .preset("16384"),
    Setting::new(
        "FLOODGATE_POOL_IDLE_MAX",
        "limits.pool_idle_max",
        Rule::Number(0, 65_536),
        "Idle upstream connections kept a worker and instance",
    )
    .preset("256"),
    Setting::new(
        "FLOODGATE_DRAIN_LINGER_MS",
        "limits.drain_linger_ms",
        Rule::Number(0, 30_000),
        "Time after which a draining worker closes a connection on which no request came",
    )
    .preset("1000"),
];

pub(super) fn read(lookup: &mut Lookup) -> Limits {
    let count = |lookup: &Lookup, name: &str| usize::try_from(lookup.number(name)).unwrap_or(usize::MAX);
    let limits = Limits {
        head_bytes_max: usize::try_from(lookup.bytes("MAX_HEADER_BYTES")).unwrap_or(usize::MAX),
        body_bytes_max: lookup.bytes("MAX_REQUEST_SIZE"),
        head_timeout_ms: lookup.number("FLOODGATE_HEAD_TIMEOUT_MS"),
        body_idle_timeout_ms: lookup.number("FLOODGATE_BODY_IDLE_TIMEOUT_MS"),
        keep_alive_idle_ms: lookup.number("FLOODGATE_KEEP_ALIVE_IDLE_MS"),
        write_timeout_ms: lookup.number("FLOODGATE_WRITE_TIMEOUT_MS"),
        connections_max: count(lookup, "FLOODGATE_CONNECTIONS_MAX"),
        in_flight_max: count(lookup, "FLOODGATE_IN_FLIGHT_MAX"),
        pool_idle_max: count(lookup, "FLOODGATE_POOL_IDLE_MAX"),
        drain_linger_ms: lookup.number("FLOODGATE_DRAIN_LINGER_MS"),
    };
    if limits.drain_linger_ms >= lookup.number("SHUTDOWN_TIMEOUT_MS") {
        let what = "is not shorter than SHUTDOWN_TIMEOUT_MS, so a drain could not end in time";
        lookup.problem("FLOODGATE_DRAIN_LINGER_MS", what, "shorten it");
    }
    limits
}

#[cfg(test)]
mod tests;
