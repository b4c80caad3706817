//! Every limit of the edge, with its unit last, in one file.

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
/// Buffer for a head; grows up to the head limit.
pub const HEAD_BUFFER_BYTES: usize = 8_192;

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
