//! Message heads: strict RFC 9112 over `httparse`. Heads hold offsets into the buffer, never a borrow of it.
//!
//! Whatever two readers could understand differently is refused here, before anything is decided about a
//! request: this is the edge's defence against request smuggling.

pub mod known;
pub mod lines;
pub mod fields;
pub mod host;
pub mod request;
pub mod response;

pub use fields::{Field, Fields};
pub use known::KnownHeader;
pub use request::{BodyFraming, MethodToken, RequestHead};
pub use response::{ResponseFraming, ResponseHead};

use crate::config::limits;

/// Limits of one head. Bytes and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Start line, fields and the empty lines around them together.
    pub head_bytes_max: usize,
    /// At most `UPSTREAM_FIELDS_MAX`.
    pub fields_max: usize,
    /// Requests only.
    pub target_bytes_max: usize,
}

impl HeadLimits {
    /// Limits of client requests; `head_bytes_max` is `MAX_HEADER_BYTES`.
    #[must_use]
    pub fn of_requests(head_bytes_max: usize) -> Self {
        HeadLimits {
            head_bytes_max,
            fields_max: limits::FIELDS_MAX,
            target_bytes_max: limits::TARGET_BYTES_MAX,
        }
    }

    /// Limits of the services' answers.
    pub const UPSTREAM: HeadLimits = HeadLimits {
        head_bytes_max: limits::UPSTREAM_HEAD_BYTES_MAX,
        fields_max: limits::UPSTREAM_FIELDS_MAX,
        target_bytes_max: 0,
    };
}

/// How far a head has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again with the same bytes and more behind them.
    Partial,
    /// The head ends at `head_bytes`; the body starts there.
    Complete { head_bytes: usize },
}

/// Why a head is refused. The connection cannot be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// Malformed or ambiguous; the words may be shown to the peer (400).
    Bad(&'static str),
    /// More bytes or fields than the limit (431).
    TooLarge,
    /// 414.
    TargetTooLong,
    /// The target holds bytes outside ASCII: a violation of the path rules, not of framing (400).
    TargetNotAscii,
    /// Well-formed, but neither HTTP/1.0 nor HTTP/1.1.
    VersionNotSupported,
}

/// Protocol versions the edge speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

/// A range of the buffer a head was parsed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part`, a sub-slice of `whole`, lies in it.
    #[must_use]
    pub fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        debug_assert!(start <= whole.len() && start + part.len() <= whole.len(), "not a part of the buffer");
        match (u32::try_from(start), u32::try_from(start.wrapping_add(part.len()))) {
            (Ok(start), Ok(end)) => Span { start, end },
            _ => Span::default(),
        }
    }

    /// The bytes, or nothing if `whole` is not the buffer that was parsed.
    #[must_use]
    #[inline]
    pub fn bytes(self, whole: &[u8]) -> &[u8] {
        let slice = whole.get(self.start as usize..self.end as usize);
        debug_assert!(slice.is_some(), "a head is read with the buffer it was parsed from");
        slice.unwrap_or_default()
    }
}

/// Slots for `httparse`, which needs one more than is allowed to notice one too many.
const FIELD_SLOTS: usize = limits::UPSTREAM_FIELDS_MAX + 1;

const _: () = assert!(limits::FIELDS_MAX < FIELD_SLOTS);

#[cfg(test)]
mod tests;
