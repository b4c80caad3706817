//! HTTP/1.1 as both ends of the tests read it: simple, and strict enough to notice what the edge gets wrong.

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

/// Body bytes that are kept for assertions; the rest is only counted and hashed.
pub const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
const HEAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A start line and header fields, names and values as they came.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub start: Vec<u8>,
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Splits a head that ends with an empty line.
    pub fn parse(bytes: &[u8]) -> io::Result<Head> {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r"));
        let start = lines.next().flatten().ok_or_else(|| malformed("start line without CRLF"))?.to_vec();
        let mut fields = Vec::new();
        for line in lines {
            let Some(line) = line else { continue };
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(line).into_owned();
            let (name, value) =
                text.split_once(':').ok_or_else(|| malformed("header field without a colon"))?;
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(Head { start, fields })
    }

    /// The first value of a field, its name in any case.
    pub fn value(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    pub fn is_chunked(&self) -> bool {
        self.value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    pub fn length(&self) -> Option<u64> {
        self.value("content-length").and_then(|value| value.parse().ok())
    }
}

/// The first value of a field, its name in any case.
pub fn value<'fields>(fields: &'fields [(String, String)], name: &str) -> Option<&'fields str> {
    fields.iter().find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.as_str())
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A body as it was received.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The first [`KEPT_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
    pub length: u64,
    pub digest: u64,
    pub trailers: Vec<(String, String)>,
    /// False if the connection ended before the framing said so.
    pub complete: bool,
}

/// Reads messages off one connection and keeps what belongs to the next one.
pub struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
    was_reset: bool,
}

impl Reader {
    pub fn new(stream: TcpStream) -> Reader {
        Reader { stream, buffer: Vec::new(), was_reset: false }
    }

    /// The next head; `None` if the connection ended in good order before it.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        let mut searched = 0;
        loop {
            let from = usize::saturating_sub(searched, 3);
            let found = self.buffer.get(from..).and_then(|rest| position(rest, b"\r\n\r\n"));
            if let Some(end) = found {
                let head: Vec<u8> = self.buffer.drain(..from + end + 4).collect();
                return Head::parse(&head).map(Some);
            }
            searched = self.buffer.len();
            if searched > HEAD_BYTES_MAX {
                return Err(malformed("endless head"));
            }
            if self.fill()? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection ended inside a head"))
                };
            }
        }
    }

    /// Reads a body. A connection that ends early gives an incomplete body, not an error.
    pub fn body(&mut self, framing: Framing) -> io::Result<Body> {
        let mut sink = Sink::new();
        let complete = match framing {
            Framing::None => true,
            Framing::Length(length) => self.bytes(length, &mut sink)?,
            Framing::UntilClose => {
                while self.take(u64::MAX, &mut sink)? {}
                // Only an orderly end says that this was all.
                !self.was_reset
            }
            Framing::Chunked => self.chunks(&mut sink)?,
        };
        Ok(sink.finish(complete))
    }

    /// Whether the peer closes (or resets) the connection without sending another byte.
    pub fn is_closed(&mut self) -> bool {
        if !self.buffer.is_empty() {
            return false;
        }
        match self.fill() {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Bytes that were read and belong to no message yet.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    fn chunks(&mut self, sink: &mut Sink) -> io::Result<bool> {
        loop {
            let Some(line) = self.line()? else { return Ok(false) };
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| malformed("chunk size"))?;
            if size == 0 {
                return self.trailers(sink);
            }
            if !self.bytes(size, sink)? {
                return Ok(false);
            }
            match self.line()? {
                Some(line) if line.is_empty() => {}
                Some(_) => return Err(malformed("chunk without CRLF")),
                None => return Ok(false),
            }
        }
    }

    fn trailers(&mut self, sink: &mut Sink) -> io::Result<bool> {
        loop {
            match self.line()? {
                None => return Ok(false),
                Some(line) if line.is_empty() => return Ok(true),
                Some(line) => {
                    let (name, value) = line.split_once(':').ok_or_else(|| malformed("trailer"))?;
                    sink.body.trailers.push((name.to_owned(), value.trim().to_owned()));
                }
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = position(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn bytes(&mut self, count: u64, sink: &mut Sink) -> io::Result<bool> {
        let end = sink.body.length + count;
        while sink.body.length < end {
            if !self.take(end - sink.body.length, sink)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves at most `limit` bytes into the sink; false at the end of the connection.
    fn take(&mut self, limit: u64, sink: &mut Sink) -> io::Result<bool> {
        if self.buffer.is_empty() {
            match self.fill() {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.was_reset = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        let count = usize::try_from(limit).unwrap_or(usize::MAX).min(self.buffer.len());
        sink.push(self.buffer.get(..count).expect("count is at most the length"));
        self.buffer.drain(..count);
        Ok(true)
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut block = vec![0; 65_536];
        loop {
            match self.stream.read(&mut block) {
                Ok(count) => {
                    self.buffer.extend_from_slice(block.get(..count).expect("read count"));
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

struct Sink {
    body: Body,
    hasher: DefaultHasher,
}

impl Sink {
    fn new() -> Sink {
        Sink { body: Body::default(), hasher: DefaultHasher::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
        self.body.length += bytes.len() as u64;
        let room = KEPT_BYTES_MAX.saturating_sub(self.body.bytes.len()).min(bytes.len());
        self.body.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    fn finish(mut self, complete: bool) -> Body {
        self.body.digest = self.hasher.finish();
        self.body.complete = complete;
        self.body
    }
}

/// A block of the test pattern. Whole blocks follow each other without a seam.
pub fn pattern_block() -> Vec<u8> {
    (0..=250_u8).cycle().take(251 * 256).collect()
}

/// Calls `write` with pieces of the pattern until `length` bytes are through.
pub fn each_pattern_piece(length: u64, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let block = pattern_block();
    let mut left = length;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        write(block.get(..count).expect("count is at most a block"))?;
        left -= count as u64;
    }
    Ok(())
}

/// What [`Body::digest`] is of `length` bytes of the pattern.
pub fn pattern_digest(length: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    each_pattern_piece(length, |piece| {
        hasher.write(piece);
        Ok(())
    })
    .expect("hashing cannot fail");
    hasher.finish()
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
