//! The chunked coding (RFC 9112 section 7.1), read byte by byte where it is framing and in blocks where it
//! is data.

use super::{BodyFault, Step};
use crate::config::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};
use crate::http::head::lines::is_token_byte;

/// Where in a chunked body the next byte stands.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    state: State,
    /// Size of the chunk being announced, then bytes of it still to come.
    left: u64,
    /// Bytes of the chunk-size line, or of the trailer section, so far.
    line_bytes: usize,
    digits: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeFeed,
    Data,
    DataReturn,
    DataFeed,
    /// First byte of a trailer line, or of the line that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerFeed,
    EndFeed,
    Done,
}

impl Chunks {
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// See [`super::Decoder::decode`]. Framing behind the payload is consumed too, up to the next payload
    /// byte.
    ///
    /// # Errors
    /// Anything but the strict grammar: line ends other than CRLF, white space around sizes, control bytes.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, BodyFault> {
        let mut payload = 0..0;
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            match self.state {
                State::Done => break,
                State::Data if !payload.is_empty() => break,
                State::Data => {
                    let available = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
                    payload = at..at + available;
                    at += available;
                    self.left -= available as u64;
                    if self.left == 0 {
                        self.state = State::DataReturn;
                    }
                }
                _ => {
                    self.state = self.framing(*byte)?;
                    at += 1;
                }
            }
        }
        Ok(Step { consumed: at, payload, done: self.is_done() })
    }

    fn framing(&mut self, byte: u8) -> Result<State, BodyFault> {
        match self.state {
            State::Size | State::Extension | State::SizeFeed => self.size_line(byte),
            State::DataReturn => expect(byte, b'\r', State::DataFeed),
            State::DataFeed => {
                let next = expect(byte, b'\n', State::Size)?;
                (self.line_bytes, self.digits) = (0, 0);
                Ok(next)
            }
            State::EndFeed => expect(byte, b'\n', State::Done),
            _ => self.trailer(byte),
        }
    }

    fn size_line(&mut self, byte: u8) -> Result<State, BodyFault> {
        const SIZE_DIGITS_MAX: usize = 16;
        self.line_bytes += 1;
        if self.line_bytes > CHUNK_LINE_BYTES_MAX {
            return Err(BodyFault::ChunkLineTooLong);
        }
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeFeed),
            (State::Size, b';') if self.digits > 0 => Ok(State::Extension),
            (State::Size, _) => {
                let digit = hexadecimal(byte).ok_or(BodyFault::ChunkSize)?;
                self.digits += 1;
                if self.digits > SIZE_DIGITS_MAX {
                    return Err(BodyFault::ChunkSize);
                }
                // Sixteen digits are sixty-four bits: nothing is shifted out.
                self.left = self.left << 4 | u64::from(digit);
                Ok(State::Size)
            }
            (State::Extension, b'\r') => Ok(State::SizeFeed),
            (State::Extension, b'\t' | b' '..=b'~') => Ok(State::Extension),
            (State::Extension, _) => Err(BodyFault::ChunkExtension),
            _ if byte != b'\n' => Err(BodyFault::ChunkEnd),
            _ if self.left > 0 => Ok(State::Data),
            _ => {
                self.line_bytes = 0;
                Ok(State::TrailerStart)
            }
        }
    }

    /// Trailers are dropped, but what would be refused in a head is refused here too.
    fn trailer(&mut self, byte: u8) -> Result<State, BodyFault> {
        self.line_bytes += 1;
        if self.line_bytes > TRAILER_BYTES_MAX {
            return Err(BodyFault::TrailerTooLarge);
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::EndFeed),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerFeed),
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerFeed, b'\n') => Ok(State::TrailerStart),
            _ => Err(BodyFault::Trailer),
        }
    }
}

fn expect(byte: u8, wanted: u8, next: State) -> Result<State, BodyFault> {
    if byte == wanted { Ok(next) } else { Err(BodyFault::ChunkEnd) }
}

fn hexadecimal(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
