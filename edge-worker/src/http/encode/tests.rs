//! Heads as written, read back by the parsers.

use super::*;
use crate::http::head::{
    BodyFraming, HeadLimits, KnownHeader, Progress, RequestHead, ResponseHead, Span, Version,
};
use crate::http::header_rules::RowKind;
use crate::http::method::Method;
use proptest::prelude::*;

const SUNDAY: u64 = 784_111_777;

fn parsed(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let progress = head.parse(text.as_bytes(), &HeadLimits::of_requests(32_768));
    assert!(matches!(progress, Ok(Progress::Complete { .. })), "{progress:?}");
    head
}

fn answered(text: &str) -> ResponseHead {
    let mut head = ResponseHead::default();
    let progress = head.parse(text.as_bytes(), &HeadLimits::UPSTREAM);
    assert!(matches!(progress, Ok(Progress::Complete { .. })), "{progress:?}");
    head
}

fn injected() -> Injected<'static> {
    Injected {
        request_id: "r-1",
        correlation_id: "c-1",
        client_ip: "192.0.2.7",
        forwarded_for: "192.0.2.7, 10.0.0.1",
        proto: "https",
        host: b"api.example",
        port: 443,
        deadline_epoch_ms: 1_700_000_005_000,
        remaining_ms: 5_000,
        traceparent: None,
        identity: None,
    }
}

fn written(text: &str, row: RowKind, framing: BodyFraming, injected: Injected<'_>) -> String {
    let head = parsed(text);
    let request = UpstreamRequest {
        authority: b"10.1.2.3:3003",
        head: &head,
        bytes: text.as_bytes(),
        row,
        framing,
        injected,
    };
    let mut out = Vec::new();
    request_head(&mut out, Method::Post, |out| out.extend_from_slice(b"/api/v1/events?a=%20b"), &request);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn a_second_attempt_has_another_authority_and_less_time_and_is_else_the_same() {
    let text = "GET /x HTTP/1.1\r\nHost: api.example\r\nAccept: a\r\n\r\n";
    let head = parsed(text);
    let mut request = UpstreamRequest {
        authority: b"10.1.2.3:3003",
        head: &head,
        bytes: text.as_bytes(),
        row: RowKind::Ordinary,
        framing: BodyFraming::None,
        injected: injected(),
    };
    let written = |request: &UpstreamRequest<'_>| {
        let mut out = Vec::new();
        let places = request_head(&mut out, Method::Get, |out| out.extend_from_slice(b"/x"), request);
        (out, places)
    };
    let (first, places) = written(&request);
    request.authority = b"b";
    request.injected.remaining_ms = 42;
    let (second, _) = written(&request);
    assert_eq!(places.readdress(&first, b"b", 42), second);
    assert_ne!(first, second);
}

const CLIENT: &str = "POST /x HTTP/1.1\r\nHost: api.example\r\nACCEPT:text/html\r\n\
Authorization: Bearer a.b.c\r\nCookie:  a=b \r\nX-Tenant-Id: evil\r\nx-request-id: evil\r\n\
X-Forwarded-For: 6.6.6.6\r\nTraceparent: 00-theirs\r\n\
Connection: x-custom-hop\r\nX-Custom-Hop: 1\r\nX-Custom-A: 2\r\nx-custom-a: 3\r\nStripe-Signature: s\r\n\
Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_service_sees_passed_fields_and_the_edges_own() {
    let head = written(CLIENT, RowKind::Ordinary, BodyFraming::Length(5), injected());
    let expected = "POST /api/v1/events?a=%20b HTTP/1.1\r\nHost: 10.1.2.3:3003\r\nACCEPT: text/html\r\n\
Authorization: Bearer a.b.c\r\nCookie: a=b\r\nTraceparent: 00-theirs\r\nX-Custom-A: 2\r\nx-custom-a: 3\r\n\
x-request-id: r-1\r\nx-correlation-id: c-1\r\nx-original-ip: 192.0.2.7\r\n\
x-forwarded-for: 192.0.2.7, 10.0.0.1\r\nx-forwarded-proto: https\r\nx-forwarded-host: api.example\r\n\
x-forwarded-port: 443\r\nx-gateway-forwarded: true\r\nx-request-deadline: 1700000005000\r\n\
x-timeout-remaining: 5000\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(head, expected);
}

#[test]
fn identity_is_written_only_when_granted_and_only_once() {
    let tenant_source = TenantSource::Jwt;
    let identity = IdentityHeaders { tenant: "t-1", tenant_source, user: "u-1", role: "customer" };
    let head = written(
        CLIENT,
        RowKind::Ordinary,
        BodyFraming::None,
        Injected { identity: Some(identity), ..injected() },
    );
    let tail = "x-tenant-id: t-1\r\nx-tenant-source: jwt\r\nx-user-id: u-1\r\nx-user-role: customer\r\n\r\n";
    assert!(head.ends_with(tail), "{head}");
    assert_eq!(head.to_lowercase().matches("x-tenant-id").count(), 1);
    assert!(!head.contains("evil") && !head.contains("6.6.6.6"));
    assert!(
        !head.to_lowercase().contains("content-length") && !head.to_lowercase().contains("transfer-encoding")
    );
}

#[test]
fn our_traceparent_replaces_the_clients() {
    let ours = Injected { traceparent: Some("00-ours"), ..injected() };
    let head = written(CLIENT, RowKind::Ordinary, BodyFraming::Chunked, ours);
    assert!(head.contains("\r\ntraceparent: 00-ours\r\n") && !head.contains("theirs"));
    assert!(head.ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

#[test]
fn webhook_rows_see_the_providers_signature() {
    let head = written(CLIENT, RowKind::Webhook, BodyFraming::Length(5), injected());
    assert!(head.contains("\r\nStripe-Signature: s\r\n"));
}

const ANSWER: &str = "HTTP/1.1 201 Internal words\r\nserver: x\r\nSet-Cookie: a=1\r\nETag:\"e\"\r\n\
SET-COOKIE: b=2\r\nX-Powered-By: y\r\nx-frame-options: ALLOWALL\r\nX-Internal-Node: n\r\n\
Access-Control-Allow-Origin: *\r\nConnection: x-hop\r\nX-Hop: h\r\nContent-Length: 3\r\n\
X-Request-Id: theirs\r\n\
Location: /api/v1/x\r\n\r\n";

fn facts(date: &HttpDate, framing: ClientFraming, persistence: Persistence) -> AnswerFacts<'_> {
    AnswerFacts { request_id: "r-1", correlation_id: "c-1", response_time_ms: 12, date, framing, persistence }
}

#[test]
fn a_client_sees_the_answer_without_internals_and_with_the_edges_own() {
    let head = answered(ANSWER);
    let date = HttpDate::at(SUNDAY);
    let mut out = Vec::new();
    let facts = facts(&date, ClientFraming::Length(3), Persistence::Implied);
    response_head(&mut out, &head, ANSWER.as_bytes(), &facts);
    let expected = "HTTP/1.1 201 Created\r\nSet-Cookie: a=1\r\nETag: \"e\"\r\nSET-COOKIE: b=2\r\n\
Location: /api/v1/x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Request-ID: r-1\r\nX-Correlation-ID: c-1\r\n\
X-API-Version: 1.0.0\r\nAPI-Version: v1\r\n\
Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\nX-Frame-Options: DENY\r\n\
X-Content-Type-Options: nosniff\r\nReferrer-Policy: strict-origin-when-cross-origin\r\n\
Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n\
Origin-Agent-Cluster: ?1\r\nX-DNS-Prefetch-Control: off\r\nX-Download-Options: noopen\r\n\
X-Permitted-Cross-Domain-Policies: none\r\nContent-Security-Policy: default-src 'self'; script-src 'self'; \
connect-src 'self'; font-src 'self'; media-src 'self'; style-src 'self' 'unsafe-inline'; \
img-src 'self' data: https:; object-src 'none'; frame-src 'none'\r\nX-Response-Time: 12ms\r\n\
Content-Length: 3\r\n\r\n";
    assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
}

#[test]
fn every_field_the_edge_sets_is_kept_from_services() {
    let date = HttpDate::at(SUNDAY);
    let mut out = Vec::new();
    local_head(&mut out, 200, |_| {}, &facts(&date, ClientFraming::Length(0), Persistence::KeepAlive));
    let text = String::from_utf8(out).expect("ASCII");
    let head = answered(&text);
    for field in head.fields().iter().filter(|field| field.known != KnownHeader::Date) {
        let name = String::from_utf8_lossy(field.name_span.bytes(text.as_bytes()));
        let rule = crate::http::header_rules::response_rule(field.known);
        assert_eq!(rule, crate::http::header_rules::ResponseRule::Drop, "{name}");
    }
}

#[test]
fn a_services_date_is_kept() {
    let text = "HTTP/1.1 200 OK\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n\r\n";
    let date = HttpDate::at(SUNDAY);
    let mut out = Vec::new();
    let facts = facts(&date, ClientFraming::Chunked, Persistence::Implied);
    response_head(&mut out, &answered(text), text.as_bytes(), &facts);
    let written = String::from_utf8(out).expect("ASCII");
    assert_eq!(written.matches("Date: ").count(), 1);
    assert!(written.contains("Mon, 07 Nov"));
}

#[test]
fn the_end_of_a_head_says_what_happens_to_body_and_connection() {
    let table = [
        (ClientFraming::Empty, Persistence::Implied, "12ms\r\n\r\n"),
        (ClientFraming::Length(0), Persistence::Implied, "12ms\r\nContent-Length: 0\r\n\r\n"),
        (ClientFraming::Length(7), Persistence::Close, "Content-Length: 7\r\nConnection: close\r\n\r\n"),
        (
            ClientFraming::Length(7),
            Persistence::KeepAlive,
            "Content-Length: 7\r\nConnection: keep-alive\r\n\r\n",
        ),
        (ClientFraming::Chunked, Persistence::Implied, "12ms\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (ClientFraming::UntilClose, Persistence::KeepAlive, "12ms\r\nConnection: close\r\n\r\n"),
        (ClientFraming::UntilClose, Persistence::Implied, "12ms\r\nConnection: close\r\n\r\n"),
    ];
    let date = HttpDate::at(SUNDAY);
    for (framing, persistence, end) in table {
        let mut out = Vec::new();
        local_head(&mut out, 200, |_| {}, &facts(&date, framing, persistence));
        let text = String::from_utf8(out).expect("ASCII");
        assert!(text.ends_with(end), "{framing:?} {persistence:?}: {text}");
    }
}

#[test]
fn answers_are_framed_for_the_clients_version() {
    let of = |text: &str, method, version| {
        let head = answered(text);
        ClientFraming::of(&head, head.framing(method), version)
    };
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(of(chunked, Method::Get, Version::Http11), ClientFraming::Chunked);
    assert_eq!(of(chunked, Method::Get, Version::Http10), ClientFraming::UntilClose);
    assert_eq!(of(chunked, Method::Head, Version::Http11), ClientFraming::Empty);
    let until_close = "HTTP/1.0 200 OK\r\n\r\n";
    assert_eq!(of(until_close, Method::Get, Version::Http11), ClientFraming::Chunked);
    assert_eq!(of(until_close, Method::Get, Version::Http10), ClientFraming::UntilClose);
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(of(length, Method::Get, Version::Http10), ClientFraming::Length(9));
    assert_eq!(of(length, Method::Head, Version::Http11), ClientFraming::Length(9));
    assert_eq!(of(&length.replace("200", "204"), Method::Get, Version::Http11), ClientFraming::Empty);
    assert_eq!(of(&length.replace("200", "304"), Method::Get, Version::Http11), ClientFraming::Length(9));
}

#[test]
fn persistence_is_what_the_client_asked_for() {
    let asked = |text: &str| Persistence::asked_by(&parsed(text));
    assert_eq!(asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Persistence::Implied);
    assert_eq!(asked("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), Persistence::Close);
    assert_eq!(asked("GET / HTTP/1.0\r\n\r\n"), Persistence::Close);
    assert_eq!(asked("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), Persistence::KeepAlive);
}

#[test]
fn a_head_without_a_known_status_or_host_is_still_a_head() {
    let date = HttpDate::at(SUNDAY);
    for status in 200..=599 {
        let mut out = Vec::new();
        local_head(
            &mut out,
            status,
            |out| push_field(out, b"Content-Type", b"application/json"),
            &facts(&date, ClientFraming::Length(0), Persistence::Implied),
        );
        let text = String::from_utf8(out).expect("ASCII");
        let head = answered(&text);
        assert_eq!(head.status(), status);
        assert_eq!(
            head.value(KnownHeader::ContentType, text.as_bytes()),
            Some(b"application/json".as_slice())
        );
    }
}

#[test]
fn dates_follow_the_calendar() {
    let table = [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"),
        (SUNDAY, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT", "2000-02-28T23:59:59.000Z"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000Z"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00.000Z"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT", "2024-12-31T23:59:59.000Z"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000Z"),
    ];
    for (seconds, http, iso) in table {
        assert_eq!(HttpDate::at(seconds).as_bytes(), http.as_bytes());
        assert_eq!(date::iso_timestamp(seconds * 1000), iso.as_bytes());
    }
    assert_eq!(&date::iso_timestamp(1_007), b"1970-01-01T00:00:01.007Z");
    let mut date = HttpDate::at(5);
    date.refresh(SUNDAY);
    assert_eq!(date, HttpDate::at(SUNDAY));
    date.refresh(SUNDAY);
    assert_eq!(date, HttpDate::at(SUNDAY));
}

proptest! {
    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them(number in any::<u64>(), shift in 0_u32..64) {
        let mut out = Vec::new();
        number::push(&mut out, number >> shift);
        prop_assert_eq!(String::from_utf8(out).expect("digits"), (number >> shift).to_string());
    }

    #[test]
    fn dates_agree_with_the_time_crate(seconds in 0_u64..20_000_000_000) {
        let signed = seconds.try_into().expect("small");
        let theirs = time::OffsetDateTime::from_unix_timestamp(signed).expect("in range");
        let format = time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        if theirs.year() < 10_000 {
            let (ours, theirs) = (HttpDate::at(seconds), theirs.format(&format).expect("formats"));
            prop_assert_eq!(ours.as_bytes(), theirs.as_bytes());
        }
    }

    #[test]
    fn what_is_written_for_a_service_is_read_back_the_same(
        names in prop::collection::vec("X-Custom-[A-Za-z]{1,8}", 0..6),
        values in prop::collection::vec("[!-~]([ -~]{0,20}[!-~])?", 6),
    ) {
        let line = |(name, value)| format!("{name}: {value}\r\n");
        let lines: String = names.iter().zip(&values).map(line).collect();
        let client = format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let text = written(&client, RowKind::Ordinary, BodyFraming::Chunked, injected());
        let head = parsed(&text);
        prop_assert_eq!(head.framing(), BodyFraming::Chunked);
        let text_of = |span: Span| String::from_utf8_lossy(span.bytes(text.as_bytes())).into_owned();
        let custom = head.fields().iter().filter(|field| field.known == KnownHeader::XCustom);
        let passed: Vec<_> =
            custom.map(|field| (text_of(field.name_span), text_of(field.value_span))).collect();
        let sent: Vec<_> = names.iter().cloned().zip(values.iter().cloned()).collect();
        prop_assert_eq!(passed, sent);
    }
}
