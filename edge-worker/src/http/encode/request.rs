//! The head of a request to a service: what the client may say, and what the edge says about the client.

use super::{number, push_field, push_number_field};
use crate::http::head::{BodyFraming, KnownHeader, RequestHead};
use crate::http::header_rules::{RowKind, passes_to_service};
use crate::http::method::Method;
use std::ops::Range;

/// Everything but method and target.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamRequest<'a> {
    /// The service's authority: the Host it sees.
    pub authority: &'a [u8],
    /// The client's head, and the buffer it was parsed from.
    pub head: &'a RequestHead,
    pub bytes: &'a [u8],
    pub row: RowKind,
    /// How the edge frames the body it sends.
    pub framing: BodyFraming,
    pub injected: Injected<'a>,
}

/// What the edge says about a request. No value may hold control bytes.
#[derive(Clone, Copy, Debug)]
pub struct Injected<'a> {
    pub request_id: &'a str,
    pub correlation_id: &'a str,
    pub client_ip: &'a str,
    /// The client's address, then trusted hops: services read the left-most.
    pub forwarded_for: &'a str,
    pub proto: &'a str,
    pub host: &'a [u8],
    pub port: u16,
    /// When the answer's head is due, in milliseconds since 1970.
    pub deadline_epoch_ms: u64,
    pub remaining_ms: u64,
    /// Takes the place of the client's.
    pub traceparent: Option<&'a str>,
    /// On authenticated rows.
    pub identity: Option<IdentityHeaders<'a>>,
}

/// Who the token says the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityHeaders<'a> {
    pub tenant: &'a str,
    pub tenant_source: TenantSource,
    pub user: &'a str,
    pub role: &'a str,
}

/// Who named the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantSource {
    Jwt,
    /// A superadmin, by `X-Target-Tenant-Id`.
    AdminOverride,
}

/// Where a head says what is different in a second attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    authority: Range<usize>,
    remaining: Range<usize>,
}

impl Places {
    /// The same head for another instance, and later.
    #[must_use]
    pub fn readdress(&self, head: &[u8], authority: &[u8], remaining_ms: u64) -> Vec<u8> {
        let part = |range: Range<usize>| head.get(range).unwrap_or_default();
        let mut out = Vec::with_capacity(head.len() + authority.len());
        out.extend_from_slice(part(0..self.authority.start));
        out.extend_from_slice(authority);
        out.extend_from_slice(part(self.authority.end..self.remaining.start));
        number::push(&mut out, remaining_ms);
        out.extend_from_slice(part(self.remaining.end..head.len()));
        out
    }
}

/// Appends a complete request head to an empty buffer. `write_target` appends the target, which it has proven to be
/// safe. The connection is kept alive, as HTTP/1.1 implies.
pub fn request_head(
    out: &mut Vec<u8>,
    method: Method,
    write_target: impl FnOnce(&mut Vec<u8>),
    request: &UpstreamRequest<'_>,
) -> Places {
    debug_assert!(out.is_empty(), "places are those of a head that stands alone");
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    let target_start = out.len();
    write_target(out);
    debug_assert!(
        out.get(target_start..)
            .is_some_and(|target| target.first() == Some(&b'/') && target.iter().all(u8::is_ascii_graphic)),
        "the target would break the request line"
    );
    out.extend_from_slice(b" HTTP/1.1\r\n");
    push_field(out, b"Host", request.authority);
    let authority_end = out.len() - b"\r\n".len();
    let authority = authority_end - request.authority.len()..authority_end;
    pass_fields(out, request);
    let remaining = inject(out, &request.injected);
    match request.framing {
        BodyFraming::None => {}
        BodyFraming::Length(length) => push_number_field(out, b"Content-Length", length),
        BodyFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
    Places { authority, remaining }
}

fn pass_fields(out: &mut Vec<u8>, request: &UpstreamRequest<'_>) {
    let fields = request.head.field_set();
    let replaces_trace = request.injected.traceparent.is_some();
    for field in fields.list() {
        if !passes_to_service(field, fields, request.bytes, request.row)
            || (replaces_trace && field.known == KnownHeader::Traceparent)
        {
            continue;
        }
        push_field(out, field.name_span.bytes(request.bytes), field.value_span.bytes(request.bytes));
    }
}

/// Where the time left stands is the answer.
fn inject(out: &mut Vec<u8>, injected: &Injected<'_>) -> Range<usize> {
    push_field(out, b"x-request-id", injected.request_id.as_bytes());
    push_field(out, b"x-correlation-id", injected.correlation_id.as_bytes());
    push_field(out, b"x-original-ip", injected.client_ip.as_bytes());
    push_field(out, b"x-forwarded-for", injected.forwarded_for.as_bytes());
    push_field(out, b"x-forwarded-proto", injected.proto.as_bytes());
    push_field(out, b"x-forwarded-host", injected.host);
    push_number_field(out, b"x-forwarded-port", u64::from(injected.port));
    out.extend_from_slice(b"x-gateway-forwarded: true\r\nx-request-deadline: ");
    number::push(out, injected.deadline_epoch_ms);
    out.extend_from_slice(b"\r\nx-timeout-remaining: ");
    let remaining_start = out.len();
    number::push(out, injected.remaining_ms);
    let remaining = remaining_start..out.len();
    out.extend_from_slice(b"\r\n");
    if let Some(traceparent) = injected.traceparent {
        push_field(out, b"traceparent", traceparent.as_bytes());
    }
    if let Some(identity) = injected.identity {
        push_field(out, b"x-tenant-id", identity.tenant.as_bytes());
        out.extend_from_slice(match identity.tenant_source {
            TenantSource::Jwt => b"x-tenant-source: jwt\r\n".as_slice(),
            TenantSource::AdminOverride => b"x-tenant-source: admin-override\r\n",
        });
        push_field(out, b"x-user-id", identity.user.as_bytes());
        push_field(out, b"x-user-role", identity.role.as_bytes());
    }
    remaining
}
