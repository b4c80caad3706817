//! First stage: what the request says, in the edge's own terms. Framing was proven while the head was read.

use crate::config::headers::HeaderSettings;
use crate::http::head::{KnownHeader, MethodToken, RequestHead, Span};
use crate::http::method::Method;
use crate::http::target::Target;
use crate::pipeline::address::{self, Claimed};
use crate::pipeline::rejection::Rejection;
use crate::pipeline::trace::Trace;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::cell::RefCell;
use std::net::IpAddr;

/// Longest id a client may bring.
const ID_BYTES_MAX: usize = 128;

/// A request whose method, target and framing are known to be sound.
pub struct Request<'b> {
    pub head: &'b RequestHead,
    /// The buffer the head was parsed from.
    pub bytes: &'b [u8],
    pub method: Method,
    pub target: Target,
    /// What `target` holds offsets into.
    pub target_bytes: &'b [u8],
}

/// Checks what comes before routing: the method exists, nothing is to be upgraded, the target keeps the path rules.
///
/// # Errors
/// `MethodNotAllowed` for CONNECT, TRACE and unknown methods, `UpgradeNotImplemented`, `InvalidPath`,
/// `TargetTooLong`.
pub fn parse<'b>(head: &'b RequestHead, bytes: &'b [u8]) -> Result<Request<'b>, Rejection> {
    let MethodToken::Known(method) = head.method() else {
        return Err(Rejection::MethodNotAllowed(crate::http::method::MethodSet::ANY));
    };
    if head.upgrades() {
        return Err(Rejection::UpgradeNotImplemented);
    }
    let target_bytes = head.target(bytes);
    let target = Target::parse(target_bytes)?;
    Ok(Request { head, bytes, method, target, target_bytes })
}

/// Who is connected, after trusted proxies have had their say.
#[must_use]
pub fn client(head: &RequestHead, bytes: &[u8], peer: IpAddr, settings: &HeaderSettings) -> Claimed {
    address::client(head.values(KnownHeader::XForwardedFor, bytes), peer, &settings.trusted_proxies)
}

/// A request or correlation id: the client's, where it stands in the head, or one we made.
#[derive(Clone, Copy, Debug)]
pub enum Id {
    Sent(Span),
    Made([u8; 36]),
}

impl Id {
    #[must_use]
    pub fn text<'t>(&'t self, bytes: &'t [u8]) -> &'t [u8] {
        match self {
            Self::Sent(span) => span.bytes(bytes),
            Self::Made(text) => text,
        }
    }
}

/// Both ids of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestIds {
    pub request: Id,
    pub correlation: Id,
    pub trace: Trace,
}

/// Makes ids. Unique, not secret: nothing may rest on their being hard to guess.
pub struct Ids(RefCell<SmallRng>);

impl Ids {
    #[must_use]
    pub fn seeded() -> Self {
        Ids(RefCell::new(SmallRng::from_rng(&mut rand::rng())))
    }

    /// A random UUID (RFC 9562 section 5.4).
    #[must_use]
    pub fn make(&self) -> Id {
        let mut random = [0; 16];
        self.0.borrow_mut().fill_bytes(&mut random);
        random[6] = random[6] & 0x0F | 0x40;
        random[8] = random[8] & 0x3F | 0x80;
        Id::Made(hyphenated(random))
    }

    /// The ids of a request: the client's where they are well formed; the correlation id defaults to the other.
    #[must_use]
    pub fn of(&self, head: &RequestHead, bytes: &[u8], trusted: bool) -> RequestIds {
        let sent = |name| {
            let value = head.value(name, bytes)?;
            is_id(value).then(|| Id::Sent(Span::of(value, bytes)))
        };
        let request = sent(KnownHeader::XRequestId).unwrap_or_else(|| self.make());
        let correlation = sent(KnownHeader::XCorrelationId).unwrap_or(request);
        let parent = head.value(KnownHeader::Traceparent, bytes);
        RequestIds { request, correlation, trace: Trace::of(parent, trusted, &mut *self.0.borrow_mut()) }
    }

    /// The ids of a request whose head could not be read.
    #[must_use]
    pub fn unread(&self) -> RequestIds {
        let request = self.make();
        let trace = Trace::of(None, false, &mut *self.0.borrow_mut());
        RequestIds { request, correlation: request, trace }
    }
}

fn is_id(value: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=ID_BYTES_MAX).contains(&value.len()) && value.iter().all(allowed)
}

fn hyphenated(bytes: [u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut place = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            place += 1;
        }
        text[place] = DIGITS[usize::from(byte >> 4)];
        text[place + 1] = DIGITS[usize::from(byte & 0x0F)];
        place += 2;
    }
    text
}

#[cfg(test)]
mod tests;
