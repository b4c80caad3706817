//! The head of a service's answer. A service is trusted less than its answers deserve: the same strictness
//! holds.

use super::fields::{Chunking, Field, Fields};
use super::known::KnownHeader;
use super::lines::{Leading, Line, LineScan};
use super::request::fault_of;
use super::{FIELD_SLOTS, HeadFault, HeadLimits, Progress, Version};
use crate::http::method::Method;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A parsed response head. Valid for the buffer it was parsed from, until the next call of `parse`.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    scan: LineScan,
    status: u16,
    version: Version,
    fields: Fields,
}

/// How the answer's body is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

impl ResponseHead {
    /// Parses the final head at the start of `bytes`; interim answers (1xx) before it are skipped and count
    /// towards the limit on bytes. After `Partial`, the next call continues where this one stopped.
    ///
    /// # Errors
    /// The service's connection is of no further use.
    pub fn parse(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Progress, HeadFault> {
        loop {
            let found = self.scan.advance(bytes, limits, Leading::Nothing, start_line);
            let taken = match found {
                Ok(None) => return Ok(Progress::Partial),
                Ok(Some(head)) => self.take(head.clone(), bytes, limits).map(|()| head.end),
                Err(fault) => Err(fault),
            };
            match taken {
                Ok(head_bytes) if self.status >= 200 => {
                    self.scan = LineScan::default();
                    return Ok(Progress::Complete { head_bytes });
                }
                Ok(interim_bytes) => self.scan = LineScan::from(interim_bytes),
                Err(fault) => {
                    self.reset();
                    return Err(fault);
                }
            }
        }
    }

    /// Forgets everything, before the buffer is used for other bytes.
    pub fn reset(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = ResponseHead { fields, ..ResponseHead::default() };
    }

    /// 200 to 599.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// `request_method` is the method of the request that is answered: HEAD has no body whatever the head
    /// says.
    #[must_use]
    pub fn framing(&self, request_method: Method) -> ResponseFraming {
        if request_method == Method::Head || matches!(self.status, 204 | 304) {
            return ResponseFraming::None;
        }
        match (self.fields.chunking(), self.fields.declared_length()) {
            (Chunking::Chunked, _) => ResponseFraming::Chunked,
            (Chunking::Absent, Some(length)) => ResponseFraming::Length(length),
            (Chunking::Absent, None) => ResponseFraming::UntilClose,
        }
    }

    /// Content-Length as sent: for HEAD and 304 it describes a body that does not follow.
    #[must_use]
    pub fn declared_length(&self) -> Option<u64> {
        self.fields.declared_length()
    }

    /// Whether the service keeps the connection open, a body that ends with the connection apart.
    #[must_use]
    pub fn persistent(&self) -> bool {
        self.fields.persistent(self.version)
    }

    #[must_use]
    pub fn fields(&self) -> &[Field] {
        self.fields.list()
    }

    /// The same with look-ups.
    #[must_use]
    pub fn field_set(&self) -> &Fields {
        &self.fields
    }

    /// The first value of a known name.
    #[must_use]
    pub fn value<'b>(&self, known: KnownHeader, bytes: &'b [u8]) -> Option<&'b [u8]> {
        self.fields.value(known, bytes)
    }

    /// Whether `Connection` names this field.
    #[must_use]
    pub fn nominated(&self, bytes: &[u8], name: &[u8]) -> bool {
        self.fields.nominated(bytes, name)
    }

    fn take(&mut self, head: Range<usize>, bytes: &[u8], limits: &HeadLimits) -> Result<(), HeadFault> {
        let head = bytes.get(head).unwrap_or_default();
        let mut slots = [const { MaybeUninit::uninit() }; FIELD_SLOTS];
        let mut response = httparse::Response::new(&mut []);
        let status = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, head, &mut slots)
            .map_err(fault_of)?;
        if status != httparse::Status::Complete(head.len()) {
            return Err(HeadFault::Bad("The head ends in the middle of a line."));
        }
        if response.headers.len() > limits.fields_max {
            return Err(HeadFault::TooLarge);
        }
        self.version = if response.version == Some(0) { Version::Http10 } else { Version::Http11 };
        self.status = response.code.unwrap_or_default();
        self.fields.fill(response.headers, bytes)?;
        if self.version == Version::Http10 && self.fields.chunking() == Chunking::Chunked {
            return Err(HeadFault::Bad("HTTP/1.0 knows no Transfer-Encoding."));
        }
        match self.status {
            101 => Err(HeadFault::Bad("The service switched protocols unasked.")),
            100..=599 => Ok(()),
            _ => Err(HeadFault::Bad("The status is outside 100 to 599.")),
        }
    }
}

/// Something that is not HTTP is noticed at its first byte, not when time is up.
fn start_line(line: &[u8], state: Line) -> Result<(), HeadFault> {
    const PROTOCOL: &[u8] = b"HTTP/1.";
    let front = line.get(..PROTOCOL.len()).unwrap_or(line);
    let wanted =
        if state == Line::Complete { PROTOCOL } else { PROTOCOL.get(..front.len()).unwrap_or(PROTOCOL) };
    if front == wanted { Ok(()) } else { Err(HeadFault::Bad("The answer is not HTTP/1.")) }
}
