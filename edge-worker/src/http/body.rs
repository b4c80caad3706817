//! Message bodies: finds payload in wire bytes, and frames payload anew. Nothing of a peer's framing is
//! passed on.

pub mod chunked;

use super::head::{BodyFraming, ResponseFraming};
use chunked::Chunks;
use std::ops::Range;

/// Reads one body. Holds no bytes and never allocates; feed it what has arrived, again and again.
#[derive(Clone, Debug)]
pub struct Decoder {
    framing: Framing,
}

#[derive(Clone, Debug)]
enum Framing {
    /// Bytes still to come.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// What one call of `decode` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are dealt with. Less than the input's length only if there is more payload
    /// behind `payload` or the body is done; the next call starts there.
    pub consumed: usize,
    /// Payload within the input, inside `..consumed`; may be empty.
    pub payload: Range<usize>,
    /// The body has ended. Input behind `consumed` belongs to the next message.
    pub done: bool,
}

/// Why a body cannot be understood. The connection is out of step and has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// A chunk's size is missing, malformed or too large to count.
    ChunkSize,
    /// A chunk extension holds what no extension may.
    ChunkExtension,
    /// A chunk-size line longer than `CHUNK_LINE_BYTES_MAX`.
    ChunkLineTooLong,
    /// A chunk's data is not followed by CRLF, or a line ends otherwise.
    ChunkEnd,
    /// A trailer field is malformed.
    Trailer,
    /// The trailer section is longer than `TRAILER_BYTES_MAX`.
    TrailerTooLarge,
    /// The connection ended before the body did.
    Truncated,
}

impl BodyFault {
    /// A sentence for the peer.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::ChunkSize => "A chunk size is malformed.",
            Self::ChunkExtension => "A chunk extension is malformed.",
            Self::ChunkLineTooLong => "A chunk size line is too long.",
            Self::ChunkEnd => "A chunk does not end with CRLF.",
            Self::Trailer => "A trailer field is malformed.",
            Self::TrailerTooLarge => "The trailer section is too large.",
            Self::Truncated => "The body ended before it was complete.",
        }
    }
}

impl Decoder {
    /// Of a request's body.
    #[must_use]
    pub fn of_request(framing: BodyFraming) -> Self {
        let framing = match framing {
            BodyFraming::None => Framing::Length(0),
            BodyFraming::Length(length) => Framing::Length(length),
            BodyFraming::Chunked => Framing::Chunked(Chunks::default()),
        };
        Decoder { framing }
    }

    /// Of an answer's body.
    #[must_use]
    pub fn of_response(framing: ResponseFraming) -> Self {
        let framing = match framing {
            ResponseFraming::None => Framing::Length(0),
            ResponseFraming::Length(length) => Framing::Length(length),
            ResponseFraming::Chunked => Framing::Chunked(Chunks::default()),
            ResponseFraming::UntilClose => Framing::UntilClose,
        };
        Decoder { framing }
    }

    /// Finds the next payload in `input`, which follows what earlier calls consumed.
    ///
    /// # Errors
    /// The chunked coding is violated; call no more.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, BodyFault> {
        match &mut self.framing {
            Framing::Length(left) => {
                let available = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= available as u64;
                Ok(Step { consumed: available, payload: 0..available, done: *left == 0 })
            }
            Framing::Chunked(chunks) => chunks.decode(input),
            Framing::UntilClose => Ok(Step { consumed: input.len(), payload: 0..input.len(), done: false }),
        }
    }

    /// The peer has closed the connection.
    ///
    /// # Errors
    /// The body was cut: what was passed on must not look complete.
    pub fn end_of_input(&self) -> Result<(), BodyFault> {
        if self.is_done() || matches!(self.framing, Framing::UntilClose) {
            Ok(())
        } else {
            Err(BodyFault::Truncated)
        }
    }

    /// No byte of this body is to come. A body until close never is.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunks) => chunks.is_done(),
            Framing::UntilClose => false,
        }
    }

    /// Payload bytes still to come, where the framing says so.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match &self.framing {
            Framing::Length(left) => Some(*left),
            Framing::Chunked(_) | Framing::UntilClose => None,
        }
    }
}

/// Ends a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";
/// Ends a chunked body, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// The longest [`ChunkPrefix`].
pub const CHUNK_PREFIX_BYTES_MAX: usize = 18;

/// The line before a chunk's data: its size and CRLF.
#[derive(Clone, Copy, Debug)]
pub struct ChunkPrefix {
    bytes: [u8; CHUNK_PREFIX_BYTES_MAX],
    start: usize,
}

impl ChunkPrefix {
    /// Of a chunk of `length` bytes. Zero would end the body, so it has no prefix.
    #[must_use]
    pub fn of(length: usize) -> Option<Self> {
        if length == 0 {
            return None;
        }
        let mut bytes = *b"0000000000000000\r\n";
        let mut start = CHUNK_PREFIX_BYTES_MAX - CHUNK_END.len();
        let mut left = length;
        while left > 0 {
            start -= 1;
            bytes[start] = b"0123456789abcdef"[left % 16];
            left /= 16;
        }
        Some(ChunkPrefix { bytes, start })
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Appends one chunk; nothing for an empty payload.
pub fn push_chunk(out: &mut Vec<u8>, payload: &[u8]) {
    if let Some(prefix) = ChunkPrefix::of(payload.len()) {
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(CHUNK_END);
    }
}

#[cfg(test)]
mod tests;
