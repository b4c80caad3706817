//! The request target: proves that a path stays inside its route before anything is matched or forwarded.
//!
//! Origin-form only (RFC 9112 section 3.2.1). Nothing is decoded in place, re-encoded or sorted: a
//! [`Target`] is a list of offsets into the request's own bytes, so that what was proven is what is sent.

pub mod query;

use crate::config::limits::TARGET_BYTES_MAX;
use std::borrow::Cow;
use std::ops::Range;

/// Segments of one path; a deeper one is refused. The platform's deepest route has nine.
pub const SEGMENTS_MAX: usize = 64;

const _: () = assert!(TARGET_BYTES_MAX < 1 << 16, "offsets are 16 bits wide");
const _: () = assert!(SEGMENTS_MAX <= 64, "one bit a segment in `encoded`");

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// Longer than [`TARGET_BYTES_MAX`].
    TooLong,
    /// Violates a path rule of `docs/reference/routes.md`.
    Invalid,
}

/// Offsets of an accepted target in the bytes it was parsed from. Every accessor wants those same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    segments: [Span; SEGMENTS_MAX],
    count: u8,
    /// Bit `i` is set when segment `i` contains a percent sign.
    encoded: u64,
    /// End of the last segment; a trailing slash lies behind it.
    path_end: u16,
    /// What follows the question mark.
    query: Option<Span>,
    trailing_slash: bool,
    internal: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u16,
    end: u16,
}

impl Target {
    /// Applies the path rules.
    ///
    /// # Errors
    /// [`TargetFault`]; such a target is never forwarded.
    pub fn parse(bytes: &[u8]) -> Result<Target, TargetFault> {
        if bytes.len() > TARGET_BYTES_MAX {
            return Err(TargetFault::TooLong);
        }
        if bytes.first() != Some(&b'/') {
            return Err(TargetFault::Invalid);
        }
        let mut target = Target::root();
        let path_length = target.read_path(bytes)?;
        target.read_query(bytes, path_length)?;
        Ok(target)
    }

    /// Number of segments; a trailing slash adds none.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether the path is `/`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Segment `index` as the client sent it; empty beyond the last one.
    #[must_use]
    pub fn segment<'b>(&self, index: usize, bytes: &'b [u8]) -> &'b [u8] {
        self.spans().get(index).map_or(&[], |span| span.of(bytes))
    }

    /// Whether segment `index` holds a percent sign; otherwise it is its own decoding.
    #[must_use]
    pub fn is_encoded(&self, index: usize) -> bool {
        index < SEGMENTS_MAX && self.encoded & (1 << index) != 0
    }

    /// Segment `index` percent-decoded once. Allocates only when the segment is encoded.
    #[must_use]
    pub fn decoded<'b>(&self, index: usize, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let segment = self.segment(index, bytes);
        if self.is_encoded(index) { query::decode(segment, Plus::Literal) } else { Cow::Borrowed(segment) }
    }

    /// Decodes segment `index` once into `scratch`; `None` when it does not fit.
    #[must_use]
    pub fn decode_into<'s, const N: usize>(
        &self,
        index: usize,
        bytes: &[u8],
        scratch: &'s mut [u8; N],
    ) -> Option<&'s [u8]> {
        let mut length = 0;
        for byte in Decoded(self.segment(index, bytes)) {
            *scratch.get_mut(length)? = byte?;
            length += 1;
        }
        scratch.get(..length)
    }

    /// Segments from `index` on, each with its leading slash, as the client sent them; no trailing slash.
    #[must_use]
    pub fn rest<'b>(&self, index: usize, bytes: &'b [u8]) -> &'b [u8] {
        let Some(first) = self.spans().get(index) else { return &[] };
        Span { start: first.start - 1, end: self.path_end }.of(bytes)
    }

    /// The path without query and trailing slash, for `instance` in problems.
    #[must_use]
    pub fn path<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        if self.is_empty() { b"/" } else { self.rest(0, bytes) }
    }

    /// The query without its question mark; `None` if there is no question mark.
    #[must_use]
    pub fn query<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        self.query.map(|span| span.of(bytes))
    }

    /// Whether one trailing slash was dropped.
    #[must_use]
    pub fn trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// Whether a segment is `internal` in any case and encoding; such a path does not exist at the edge.
    #[must_use]
    pub fn names_internal(&self) -> bool {
        self.internal
    }

    fn root() -> Target {
        Target {
            segments: [Span::default(); SEGMENTS_MAX],
            count: 0,
            encoded: 0,
            path_end: 0,
            query: None,
            trailing_slash: false,
            internal: false,
        }
    }

    fn spans(&self) -> &[Span] {
        self.segments.get(..self.len()).unwrap_or(&[])
    }

    /// Reads all segments and returns the length of the path, trailing slash included.
    fn read_path(&mut self, bytes: &[u8]) -> Result<usize, TargetFault> {
        let mut start = 1;
        let mut encoded = false;
        for (index, &byte) in bytes.iter().enumerate().skip(1) {
            match byte {
                b'/' => {
                    self.close_segment(bytes, start..index, encoded)?;
                    start = index + 1;
                    encoded = false;
                }
                b'?' => return self.close_path(bytes, start..index, encoded),
                b'%' => encoded = true,
                // A semicolon ends the path in several services, a backslash is a slash in others.
                b'\\' | b';' | b'#' => return Err(TargetFault::Invalid),
                0x21..=0x7e => {}
                _ => return Err(TargetFault::Invalid),
            }
        }
        self.close_path(bytes, start..bytes.len(), encoded)
    }

    fn close_path(&mut self, bytes: &[u8], last: Range<usize>, encoded: bool) -> Result<usize, TargetFault> {
        let path_length = last.end;
        if last.is_empty() {
            self.trailing_slash = !self.is_empty();
        } else {
            self.close_segment(bytes, last, encoded)?;
        }
        self.path_end = self.spans().last().map_or(0, |span| span.end);
        Ok(path_length)
    }

    fn close_segment(&mut self, bytes: &[u8], range: Range<usize>, encoded: bool) -> Result<(), TargetFault> {
        let span = Span::new(range);
        let segment = span.of(bytes);
        let index = self.len();
        let Some(place) = self.segments.get_mut(index) else { return Err(TargetFault::Invalid) };
        let kind = if encoded { examine_encoded(segment)? } else { examine(segment.iter().copied()) };
        match kind {
            Kind::Ordinary => {}
            Kind::Internal => self.internal = true,
            Kind::Empty | Kind::Dots => return Err(TargetFault::Invalid),
        }
        *place = span;
        self.encoded |= u64::from(encoded) << index;
        self.count += 1;
        Ok(())
    }

    fn read_query(&mut self, bytes: &[u8], path_length: usize) -> Result<(), TargetFault> {
        let Some(query) = bytes.get(path_length + 1..) else { return Ok(()) };
        if query.iter().all(|byte| matches!(byte, 0x21..=0x7e) && *byte != b'#') {
            self.query = Some(Span::new(path_length + 1..bytes.len()));
            return Ok(());
        }
        Err(TargetFault::Invalid)
    }
}

impl Span {
    fn new(range: Range<usize>) -> Span {
        let offset = |position: usize| u16::try_from(position).expect("TARGET_BYTES_MAX fits into 16 bits");
        Span { start: offset(range.start), end: offset(range.end) }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or(&[])
    }
}

/// A segment of a path, decoded once.
#[must_use]
pub fn decode(segment: &[u8]) -> Cow<'_, [u8]> {
    query::decode(segment, Plus::Literal)
}

/// What a plus sign stands for: itself in a path, a space in a form-encoded query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    Literal,
    Space,
}

/// What a decoded segment is.
enum Kind {
    Ordinary,
    Empty,
    Dots,
    Internal,
}

/// Classifies a segment by its decoded bytes.
fn examine(decoded: impl Iterator<Item = u8>) -> Kind {
    let mut length = 0_usize;
    let mut dots = true;
    let mut internal = true;
    for byte in decoded {
        dots &= byte == b'.';
        internal &= INTERNAL.get(length).is_some_and(|wanted| byte.eq_ignore_ascii_case(wanted));
        length += 1;
        if !dots && !internal {
            return Kind::Ordinary;
        }
    }
    match length {
        0 => Kind::Empty,
        1 | 2 if dots => Kind::Dots,
        _ if internal && length == INTERNAL.len() => Kind::Internal,
        _ => Kind::Ordinary,
    }
}

const INTERNAL: &[u8] = b"internal";

/// As [`examine`], after every byte has been decoded once and found harmless, alone and as the start of a
/// second decoding that a service may do.
fn examine_encoded(segment: &[u8]) -> Result<Kind, TargetFault> {
    let mut before = [0_u8; 2];
    for byte in Decoded(segment) {
        let byte = byte.ok_or(TargetFault::Invalid)?;
        if byte < 0x20 || matches!(byte, b'/' | b'\\' | 0x7f) {
            return Err(TargetFault::Invalid);
        }
        let [percent, high] = before;
        if percent == b'%'
            && matches!((high, byte), (b'2', b'e' | b'E' | b'f' | b'F') | (b'5', b'c' | b'C') | (b'0', b'0'))
        {
            return Err(TargetFault::Invalid);
        }
        before = [high, byte];
    }
    Ok(examine(Decoded(segment).flatten()))
}

/// Bytes of a percent-encoded text, decoded once; `None` stands for a malformed escape.
struct Decoded<'b>(&'b [u8]);

impl Iterator for Decoded<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Option<u8>> {
        let (&byte, after) = self.0.split_first()?;
        self.0 = after;
        if byte != b'%' {
            return Some(Some(byte));
        }
        let [high, low, after @ ..] = after else { return Some(None) };
        let (Some(high), Some(low)) = (hex(*high), hex(*low)) else { return Some(None) };
        self.0 = after;
        Some(Some(high << 4 | low))
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
