//! Finds the end of a head line by line, resuming where the last call stopped, and refuses what no line may
//! be.

use super::{HeadFault, HeadLimits};
use memchr::memchr;
use std::ops::Range;

/// How far the search for the empty line has come. All zero is the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineScan {
    /// First byte of the start line.
    start: usize,
    /// First byte of the line being looked at.
    line: usize,
    /// Bytes already searched for a line end.
    searched: usize,
    /// Complete lines so far, the start line included.
    lines: usize,
    /// A leading empty line was skipped.
    skipped: bool,
}

/// Whether the line end of a start line has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Partial,
    Complete,
}

/// What may stand before the start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leading {
    /// One empty line (RFC 9112 section 2.2).
    OneEmptyLine,
    Nothing,
}

impl LineScan {
    /// A scan that starts at `offset`, behind an interim answer.
    #[must_use]
    pub fn from(offset: usize) -> Self {
        LineScan { start: offset, line: offset, searched: offset, ..LineScan::default() }
    }

    /// Searches on. `start_line` judges the start line as early as its bytes allow; what it says of a prefix
    /// it must say of every longer one, so that the answer does not depend on how the bytes arrived.
    ///
    /// # Errors
    /// Bare LF, obsolete line folding, too many lines or bytes, and what `start_line` refuses.
    pub fn advance(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
        leading: Leading,
        start_line: impl Fn(&[u8], Line) -> Result<(), HeadFault>,
    ) -> Result<Option<Range<usize>>, HeadFault> {
        let window = bytes.get(..limits.head_bytes_max).unwrap_or(bytes);
        while let Some(found) = memchr(b'\n', window.get(self.searched..).unwrap_or_default()) {
            let feed = self.searched + found;
            self.searched = feed + 1;
            let arrived = window.get(self.line..feed).unwrap_or_default();
            let Some(line) = arrived.strip_suffix(b"\r") else {
                self.judge_partial(arrived, start_line)?;
                return Err(HeadFault::Bad("A line of the head does not end with CRLF."));
            };
            if line.is_empty() && self.lines > 0 {
                return Ok(Some(self.start..self.searched));
            }
            self.line = self.searched;
            if line.is_empty() {
                if leading == Leading::Nothing || self.skipped {
                    return Err(HeadFault::Bad("Empty lines stand before the start line."));
                }
                self.skipped = true;
                self.start = self.searched;
                continue;
            }
            if self.lines == 0 {
                start_line(line, Line::Complete)?;
            } else if matches!(line.first(), Some(b' ' | b'\t')) {
                return Err(HeadFault::Bad("A header field is folded over several lines."));
            }
            self.lines += 1;
            if self.lines > limits.fields_max + 1 {
                return Err(HeadFault::TooLarge);
            }
        }
        self.searched = window.len();
        self.judge_partial(window.get(self.line..).unwrap_or_default(), start_line)?;
        if bytes.len() >= limits.head_bytes_max { Err(HeadFault::TooLarge) } else { Ok(None) }
    }

    /// A carriage return at the end may yet turn out to end the line.
    fn judge_partial(
        &self,
        line: &[u8],
        start_line: impl Fn(&[u8], Line) -> Result<(), HeadFault>,
    ) -> Result<(), HeadFault> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.lines == 0 { start_line(line, Line::Partial) } else { Ok(()) }
    }
}

/// Bytes of a token (RFC 9110 section 5.6.2).
#[must_use]
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

static TOKEN_BYTES: [bool; 256] = {
    let others = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] |= byte.is_ascii_alphanumeric();
        byte += 1;
    }
    table
};
