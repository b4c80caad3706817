//! The head of a client's request.

use super::fields::{Chunking, Field, Fields};
use super::known::KnownHeader;
use super::lines::{Leading, Line, LineScan, is_token_byte};
use super::{FIELD_SLOTS, HeadFault, HeadLimits, Progress, Span, Version, host};
use crate::http::header_rules::{self, StrippedSet};
use crate::http::method::Method;
use memchr::memchr;
use std::mem::MaybeUninit;

/// A parsed request head. Valid for the buffer it was parsed from, until the next call of `parse`.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    scan: LineScan,
    method: MethodToken,
    target: Target,
    host: Span,
    version: Version,
    fields: Fields,
    stripped: StrippedSet,
}

/// The method as a client wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodToken {
    Known(Method),
    /// CONNECT or TRACE: never proxied.
    Forbidden,
    #[default]
    Unknown,
}

/// How the request's body is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    None,
    Length(u64),
    Chunked,
}

#[derive(Clone, Copy, Debug, Default)]
enum Target {
    Written(Span),
    /// An absolute target without a path, or one that names no resource.
    #[default]
    Root,
}

impl RequestHead {
    /// Parses the head at the start of `bytes`. After `Partial`, the next call continues where this one
    /// stopped; `bytes` must then start with the same bytes.
    ///
    /// # Errors
    /// The head is refused and the connection has to be closed. The same bytes are refused however they
    /// arrive.
    pub fn parse(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Progress, HeadFault> {
        let judge = |line: &[u8], state| start_line(line, state, limits.target_bytes_max);
        let found = self.scan.advance(bytes, limits, Leading::OneEmptyLine, judge);
        let taken = match found {
            Ok(None) => return Ok(Progress::Partial),
            Ok(Some(head)) => {
                let head_bytes = head.end;
                self.take(bytes.get(head).unwrap_or_default(), bytes, limits).map(|()| head_bytes)
            }
            Err(fault) => Err(fault),
        };
        match taken {
            Ok(head_bytes) => {
                self.scan = LineScan::default();
                Ok(Progress::Complete { head_bytes })
            }
            Err(fault) => {
                self.reset();
                Err(fault)
            }
        }
    }

    /// Forgets everything, before the buffer is used for other bytes.
    pub fn reset(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = RequestHead { fields, ..RequestHead::default() };
    }

    #[must_use]
    pub fn method(&self) -> MethodToken {
        self.method
    }

    /// Path and query as the client wrote them, all visible ASCII: begins with `/`, or is `*` of OPTIONS.
    #[must_use]
    pub fn target<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        match self.target {
            Target::Written(span) => span.bytes(bytes),
            Target::Root => b"/",
        }
    }

    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The authority asked for: an absolute target's, else the Host field's (RFC 9112 section 3.2.2).
    /// Empty only for HTTP/1.0 without Host.
    #[must_use]
    pub fn host<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        self.host.bytes(bytes)
    }

    #[must_use]
    pub fn framing(&self) -> BodyFraming {
        match (self.fields.chunking(), self.fields.declared_length()) {
            (Chunking::Chunked, _) => BodyFraming::Chunked,
            (Chunking::Absent, Some(length)) => BodyFraming::Length(length),
            (Chunking::Absent, None) => BodyFraming::None,
        }
    }

    /// Whether the client wants to send another request on this connection.
    #[must_use]
    pub fn persistent(&self) -> bool {
        self.fields.persistent(self.version)
    }

    /// The client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.fields.has(KnownHeader::Expect)
            && self.version == Version::Http11
            && self.framing() != BodyFraming::None
    }

    /// The client asks for another protocol; HTTP/1.0 cannot (RFC 9110 section 7.8).
    #[must_use]
    pub fn upgrades(&self) -> bool {
        self.fields.has(KnownHeader::Upgrade) && self.version == Version::Http11
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

    /// Every value of a known name, in order.
    pub fn values<'b>(&self, known: KnownHeader, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        self.fields.values(known, bytes)
    }

    /// Whether `Connection` names this field.
    #[must_use]
    pub fn nominated(&self, bytes: &[u8], name: &[u8]) -> bool {
        self.fields.nominated(bytes, name)
    }

    /// Fields that only an attacker or a confused proxy sends; counted even if the request is refused later.
    #[must_use]
    pub fn stripped(&self) -> StrippedSet {
        self.stripped
    }

    fn take(&mut self, head: &[u8], bytes: &[u8], limits: &HeadLimits) -> Result<(), HeadFault> {
        let mut slots = [const { MaybeUninit::uninit() }; FIELD_SLOTS];
        let mut request = httparse::Request::new(&mut []);
        let status = request.parse_with_uninit_headers(head, &mut slots).map_err(fault_of)?;
        if status != httparse::Status::Complete(head.len()) {
            return Err(HeadFault::Bad("The head ends in the middle of a line."));
        }
        if request.headers.len() > limits.fields_max {
            return Err(HeadFault::TooLarge);
        }
        self.version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
        self.fields.fill(request.headers, bytes)?;
        self.stripped = header_rules::stripped(&self.fields, bytes);
        if self.version == Version::Http10 && self.fields.chunking() == Chunking::Chunked {
            return Err(HeadFault::Bad("HTTP/1.0 knows no Transfer-Encoding."));
        }
        if !self.expects_only_continue(bytes) {
            return Err(HeadFault::Bad("Expect asks for something other than 100-continue."));
        }
        self.take_host(bytes)?;
        let method = request.method.unwrap_or_default().as_bytes();
        self.method = method_token(method);
        self.take_target(method, request.path.unwrap_or_default().as_bytes(), bytes)
    }

    fn expects_only_continue(&self, bytes: &[u8]) -> bool {
        self.values(KnownHeader::Expect, bytes).all(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }

    fn take_host(&mut self, bytes: &[u8]) -> Result<(), HeadFault> {
        let mut hosts = self.fields.list().iter().filter(|field| field.known == KnownHeader::Host);
        self.host = match (hosts.next(), hosts.next()) {
            (Some(_), Some(_)) => return Err(HeadFault::Bad("Host is repeated.")),
            (None, _) if self.version == Version::Http11 => {
                return Err(HeadFault::Bad("Host is missing."));
            }
            (None, _) => Span::default(),
            (Some(host), None) if host::is_valid(host.value_span.bytes(bytes)) => host.value_span,
            (Some(_), None) => return Err(HeadFault::Bad("Host is not a host name.")),
        };
        Ok(())
    }

    /// The four forms of RFC 9112 section 3.2.
    fn take_target(&mut self, method: &[u8], target: &[u8], bytes: &[u8]) -> Result<(), HeadFault> {
        const UNKNOWN_FORM: HeadFault = HeadFault::Bad("The request target has no form of HTTP/1.1.");
        self.target = Target::Written(Span::of(target, bytes));
        if target.first() == Some(&b'/') || (target == b"*" && method == b"OPTIONS") {
            return Ok(());
        }
        if method == b"CONNECT" {
            // Refused by its method, whatever it names.
            self.target = Target::Root;
            return Ok(());
        }
        let Some(rest) = strip_scheme(target) else { return Err(UNKNOWN_FORM) };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !host::is_valid(authority) {
            return Err(HeadFault::Bad("The request target's authority is not a host name."));
        }
        self.host = Span::of(authority, bytes);
        self.target = match path.first() {
            None => Target::Root,
            Some(b'/') => Target::Written(Span::of(path, bytes)),
            Some(_) => return Err(UNKNOWN_FORM),
        };
        Ok(())
    }
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let scheme =
        schemes.into_iter().find(|s| target.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))?;
    target.get(scheme.len()..)
}

fn method_token(method: &[u8]) -> MethodToken {
    match Method::parse(method) {
        Some(method) => MethodToken::Known(method),
        None if matches!(method, b"CONNECT" | b"TRACE") => MethodToken::Forbidden,
        None => MethodToken::Unknown,
    }
}

/// Judges the request line (RFC 9112 section 3) as early as its bytes allow.
fn start_line(line: &[u8], state: Line, target_bytes_max: usize) -> Result<(), HeadFault> {
    const METHOD_BYTES_MAX: usize = 32;
    const MALFORMED: HeadFault = HeadFault::Bad("The request line is malformed.");
    let front = line.get(..=METHOD_BYTES_MAX).unwrap_or(line);
    let Some(method_end) = memchr(b' ', front) else {
        let hopeless = front.len() > METHOD_BYTES_MAX || state == Line::Complete || !is_method_prefix(front);
        return if hopeless { Err(MALFORMED) } else { Ok(()) };
    };
    let (method, rest) = line.split_at(method_end);
    if method.is_empty() || !is_method_prefix(method) {
        return Err(MALFORMED);
    }
    let rest = rest.get(1..).unwrap_or_default();
    let front = rest.get(..=target_bytes_max).unwrap_or(rest);
    let Some(target_end) = memchr(b' ', front) else {
        return match state {
            _ if front.len() > target_bytes_max => Err(HeadFault::TargetTooLong),
            Line::Complete => Err(MALFORMED),
            Line::Partial => Ok(()),
        };
    };
    let (target, rest) = rest.split_at(target_end);
    if target.is_empty() {
        return Err(MALFORMED);
    }
    if !target.is_ascii() {
        return Err(HeadFault::TargetNotAscii);
    }
    version(rest.get(1..).unwrap_or_default(), state).map_err(|unsupported| unsupported.unwrap_or(MALFORMED))
}

/// HTTP/1.0 and HTTP/1.1 are spoken; another well-formed version is told apart from a malformed line.
fn version(text: &[u8], state: Line) -> Result<(), Option<HeadFault>> {
    const VERSION_BYTES: usize = 8;
    if state == Line::Partial {
        return if text.len() > VERSION_BYTES { Err(None) } else { Ok(()) };
    }
    match text {
        b"HTTP/1.1" | b"HTTP/1.0" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Some(HeadFault::VersionNotSupported))
        }
        _ => Err(None),
    }
}

fn is_method_prefix(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is_token_byte(*byte))
}

/// The words for what `httparse` refuses.
pub(super) fn fault_of(error: httparse::Error) -> HeadFault {
    match error {
        httparse::Error::HeaderName => HeadFault::Bad("A header name is malformed."),
        httparse::Error::HeaderValue => HeadFault::Bad("A header value holds a control character."),
        httparse::Error::NewLine => HeadFault::Bad("A line of the head does not end with CRLF."),
        httparse::Error::TooManyHeaders => HeadFault::TooLarge,
        httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => {
            HeadFault::Bad("The start line is malformed.")
        }
    }
}
