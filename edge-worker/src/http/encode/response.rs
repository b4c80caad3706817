//! The head of an answer to a client: the service's fields that may be seen, and the edge's own on every
//! answer.

use super::{HttpDate, number, push_field, push_number_field};
use crate::http::head::{KnownHeader, RequestHead, ResponseFraming, ResponseHead, Version};
use crate::http::header_rules::passes_to_client;

/// What the edge says on every answer, whoever made it.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFacts<'a> {
    pub request_id: &'a str,
    pub correlation_id: &'a str,
    /// From the request's first byte to this head.
    pub response_time_ms: u64,
    /// Now; used where the service sent no Date (RFC 9110 section 6.6.1).
    pub date: &'a HttpDate,
    pub framing: ClientFraming,
    pub persistence: Persistence,
}

/// How the answer's body is delimited towards the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFraming {
    /// No body and nothing said about one: 204, or HEAD of an answer without a length.
    Empty,
    /// Content-Length; of HEAD and 304 the length of the body that does not follow.
    Length(u64),
    Chunked,
    /// For HTTP/1.0 clients, which know no chunks.
    UntilClose,
}

impl ClientFraming {
    /// Frames a service's answer anew. `upstream` is [`ResponseHead::framing`] for the client's method.
    #[must_use]
    pub fn of(head: &ResponseHead, upstream: ResponseFraming, client: Version) -> Self {
        match upstream {
            ResponseFraming::Length(length) => Self::Length(length),
            ResponseFraming::Chunked | ResponseFraming::UntilClose if client == Version::Http11 => {
                Self::Chunked
            }
            ResponseFraming::Chunked | ResponseFraming::UntilClose => Self::UntilClose,
            ResponseFraming::None if head.status() == 204 => Self::Empty,
            ResponseFraming::None => head.declared_length().map_or(Self::Empty, Self::Length),
        }
    }
}

/// What is said about the connection after this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Kept, as HTTP/1.1 implies.
    Implied,
    /// Kept, and said so: an HTTP/1.0 client asked for it.
    KeepAlive,
    Close,
}

impl Persistence {
    /// What the client asked for.
    #[must_use]
    pub fn asked_by(head: &RequestHead) -> Self {
        match (head.persistent(), head.version()) {
            (false, _) => Self::Close,
            (true, Version::Http11) => Self::Implied,
            (true, Version::Http10) => Self::KeepAlive,
        }
    }
}

/// Appends the complete head of a service's answer; `bytes` is what `head` was parsed from.
pub fn response_head(out: &mut Vec<u8>, head: &ResponseHead, bytes: &[u8], facts: &AnswerFacts<'_>) {
    push_status_line(out, head.status());
    let fields = head.field_set();
    for field in fields.list() {
        if passes_to_client(field, fields, bytes) {
            push_field(out, field.name_span.bytes(bytes), field.value_span.bytes(bytes));
        }
    }
    if !fields.has(KnownHeader::Date) || fields.nominated(bytes, b"date") {
        push_field(out, b"Date", facts.date.as_bytes());
    }
    push_own(out, facts);
}

/// Appends the complete head of an answer that the edge makes itself. `write_fields` appends what is
/// particular to it, with [`super::push_field`].
pub fn local_head(
    out: &mut Vec<u8>,
    status: u16,
    write_fields: impl FnOnce(&mut Vec<u8>),
    facts: &AnswerFacts<'_>,
) {
    push_status_line(out, status);
    write_fields(out);
    push_field(out, b"Date", facts.date.as_bytes());
    push_own(out, facts);
}

fn push_own(out: &mut Vec<u8>, facts: &AnswerFacts<'_>) {
    push_field(out, b"X-Request-ID", facts.request_id.as_bytes());
    push_field(out, b"X-Correlation-ID", facts.correlation_id.as_bytes());
    out.extend_from_slice(FIXED);
    number::push(out, facts.response_time_ms);
    out.extend_from_slice(b"ms\r\n");
    match facts.framing {
        ClientFraming::Empty | ClientFraming::UntilClose => {}
        ClientFraming::Length(length) => push_number_field(out, b"Content-Length", length),
        ClientFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    match (facts.framing, facts.persistence) {
        (ClientFraming::UntilClose, _) | (_, Persistence::Close) => {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        (_, Persistence::KeepAlive) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (_, Persistence::Implied) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// The service's own words for its status are not passed on: clients read the number.
fn push_status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    number::push(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Reason phrases of RFC 9110 section 15, RFC 6585 and RFC 4918; empty is legal for any other status.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

/// The same on every answer; ends where X-Response-Time's number goes.
const FIXED: &[u8] = b"X-API-Version: 1.0.0\r\n\
API-Version: v1\r\n\
Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n\
X-Frame-Options: DENY\r\n\
X-Content-Type-Options: nosniff\r\n\
Referrer-Policy: strict-origin-when-cross-origin\r\n\
Cross-Origin-Opener-Policy: same-origin\r\n\
Cross-Origin-Resource-Policy: same-origin\r\n\
Origin-Agent-Cluster: ?1\r\n\
X-DNS-Prefetch-Control: off\r\n\
X-Download-Options: noopen\r\n\
X-Permitted-Cross-Domain-Policies: none\r\n\
Content-Security-Policy: default-src 'self'; script-src 'self'; connect-src 'self'; font-src 'self'; \
media-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; object-src 'none'; \
frame-src 'none'\r\n\
X-Response-Time: ";
