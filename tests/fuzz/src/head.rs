//! Request heads: the answer does not depend on how the bytes arrive, and what is sent on to a service
//! cannot be read as anything but what was granted.

use edge_worker::http::encode::{IdentityHeaders, Injected, TenantSource, UpstreamRequest, request_head};
use edge_worker::http::head::{BodyFraming, HeadLimits, KnownHeader, Progress, RequestHead};
use edge_worker::http::header_rules::{RowKind, passes_to_service};
use edge_worker::http::method::Method;

/// Asserts everything; panics where something does not hold.
pub fn check(input: &[u8]) {
    let Some((step, bytes)) = super::steps(input) else { return };
    let limits = HeadLimits { head_bytes_max: 1024, fields_max: 20, target_bytes_max: 200 };
    let mut whole = RequestHead::default();
    let at_once = whole.parse(bytes, &limits);
    let mut head = RequestHead::default();
    let mut arrived = 0;
    let in_steps = loop {
        arrived = (arrived + step).min(bytes.len());
        let progress = head.parse(&bytes[..arrived], &limits);
        if progress != Ok(Progress::Partial) || arrived == bytes.len() {
            break progress;
        }
    };
    assert_eq!(at_once, in_steps);
    let Ok(Progress::Complete { head_bytes }) = at_once else { return };
    assert!(head_bytes <= limits.head_bytes_max && bytes[..head_bytes].ends_with(b"\r\n\r\n"));
    assert_eq!(whole.fields(), head.fields());
    let target = head.target(bytes);
    assert!(target.first() == Some(&b'/') || target == b"*");
    assert!(target.len() <= limits.target_bytes_max && target.iter().all(u8::is_ascii_graphic));
    assert!(head.fields().len() <= limits.fields_max);
    for field in head.fields() {
        let (name, value) = (field.name_span.bytes(bytes), field.value_span.bytes(bytes));
        assert!(!name.is_empty() && super::lies_within(name, bytes) && super::lies_within(value, bytes));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')));
        assert_eq!(KnownHeader::classify(name), field.known);
    }
    sends_on_what_was_granted(&head, bytes);
}

fn sends_on_what_was_granted(head: &RequestHead, bytes: &[u8]) {
    let request = UpstreamRequest {
        authority: b"10.0.0.1:3000",
        head,
        bytes,
        row: RowKind::Webhook,
        framing: head.framing(),
        injected: Injected {
            request_id: "r",
            correlation_id: "c",
            client_ip: "192.0.2.1",
            forwarded_for: "192.0.2.1",
            proto: "https",
            host: head.host(bytes),
            port: 443,
            deadline_epoch_ms: 1,
            remaining_ms: 2,
            traceparent: Some("00-t"),
            identity: Some(IdentityHeaders {
                tenant: "tenant",
                tenant_source: TenantSource::Jwt,
                user: "user",
                role: "role",
            }),
        },
    };
    let mut out = Vec::new();
    request_head(&mut out, Method::Post, |out| out.extend_from_slice(b"/granted"), &request);
    let mut sent = RequestHead::default();
    let progress = sent.parse(&out, &HeadLimits::of_requests(65_536));
    assert_eq!(progress, Ok(Progress::Complete { head_bytes: out.len() }));
    assert_eq!(sent.target(&out), b"/granted");
    assert_eq!(sent.host(&out), b"10.0.0.1:3000");
    assert_eq!(sent.framing(), head.framing());
    assert!(sent.persistent() && !sent.upgrades() && !sent.expects_continue());
    let values = |known| sent.values(known, &out).collect::<Vec<_>>();
    assert_eq!(values(KnownHeader::XTenant), [b"tenant".as_slice(), b"jwt"]);
    assert_eq!(values(KnownHeader::XUserId), [b"user".as_slice()]);
    assert_eq!(values(KnownHeader::XUser), [b"role".as_slice()]);
    assert_eq!(values(KnownHeader::XForwardedFor), [b"192.0.2.1".as_slice()]);
    assert_eq!(values(KnownHeader::Traceparent), [b"00-t".as_slice()]);
    let passed = head
        .fields()
        .iter()
        .filter(|field| passes_to_service(field, head.field_set(), bytes, RowKind::Webhook))
        .filter(|field| field.known != KnownHeader::Traceparent)
        .count();
    let framing = usize::from(head.framing() != BodyFraming::None);
    const HOST_TRACE_AND_INJECTED: usize = 16;
    assert_eq!(sent.fields().len(), passed + framing + HOST_TRACE_AND_INJECTED);
}
