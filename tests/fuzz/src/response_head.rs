//! Response heads: the same for services' answers, and what the client is sent shows nothing internal.

use edge_worker::http::encode::{AnswerFacts, ClientFraming, HttpDate, Persistence, response_head};
use edge_worker::http::head::{HeadLimits, KnownHeader, Progress, ResponseHead, Version};
use edge_worker::http::method::Method;

/// Asserts everything; panics where something does not hold.
pub fn check(input: &[u8]) {
    let Some((step, bytes)) = super::steps(input) else { return };
    let limits = HeadLimits { head_bytes_max: 1024, fields_max: 20, target_bytes_max: 0 };
    let mut whole = ResponseHead::default();
    let at_once = whole.parse(bytes, &limits);
    let mut head = ResponseHead::default();
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
    assert!((200..=599).contains(&head.status()) && head.fields().len() <= limits.fields_max);
    for field in head.fields() {
        let (name, value) = (field.name_span.bytes(bytes), field.value_span.bytes(bytes));
        assert!(!name.is_empty() && super::lies_within(name, bytes) && super::lies_within(value, bytes));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')));
    }
    for version in [Version::Http10, Version::Http11] {
        for method in [Method::Get, Method::Head] {
            shows_what_may_be_seen(&head, bytes, ClientFraming::of(&head, head.framing(method), version));
        }
    }
}

fn shows_what_may_be_seen(head: &ResponseHead, bytes: &[u8], framing: ClientFraming) {
    let date = HttpDate::at(0);
    let persistence = Persistence::Implied;
    let facts = AnswerFacts {
        request_id: "r",
        correlation_id: "c",
        response_time_ms: 1,
        date: &date,
        framing,
        persistence,
    };
    let mut out = Vec::new();
    response_head(&mut out, head, bytes, &facts);
    let mut seen = ResponseHead::default();
    let progress = seen.parse(&out, &HeadLimits::UPSTREAM);
    assert_eq!(progress, Ok(Progress::Complete { head_bytes: out.len() }));
    assert_eq!(seen.status(), head.status());
    assert_eq!(seen.persistent(), framing != ClientFraming::UntilClose);
    assert_eq!(seen.declared_length().is_some(), matches!(framing, ClientFraming::Length(_)));
    let count = |known| seen.fields().iter().filter(|field| field.known == known).count();
    for hidden in
        [KnownHeader::Server, KnownHeader::XInternal, KnownHeader::XTenant, KnownHeader::AccessControl]
    {
        assert_eq!(count(hidden), 0);
    }
    assert_eq!((count(KnownHeader::XRequestId), count(KnownHeader::XCorrelationId)), (1, 1));
    const FIXED_AND_RESPONSE_TIME: usize = 14;
    assert_eq!(count(KnownHeader::EdgeSet), FIXED_AND_RESPONSE_TIME);
    assert!(count(KnownHeader::Date) >= 1);
}
