//! Refusals as clients receive them.

use super::*;
use crate::http::encode::HttpDate;
use crate::http::head::{HeadLimits, KnownHeader, Progress, ResponseFraming, ResponseHead};
use crate::identity::fault::TokenFault;
use serde_json::Value;

/// Writes a refusal and reads it back: head text, head, body.
fn answered(rejection: Rejection, instance: &[u8], body: Body) -> (String, ResponseHead, Vec<u8>) {
    let date = HttpDate::at(1_700_000_000);
    let sentence = rejection.sentence();
    let refusal = Problem {
        sentence: &sentence,
        instance_path: instance,
        facts: AnswerFacts {
            request_id: "r-1",
            correlation_id: "c-1",
            response_time_ms: 3,
            date: &date,
            framing: ClientFraming::Chunked,
            persistence: Persistence::Implied,
        },
        wall_millis: 1_700_000_000_123,
        extra: Extra::of(&rejection),
        body,
    };
    let (mut out, mut scratch) = (Vec::new(), b"left over".to_vec());
    problem(&mut out, &mut scratch, &refusal);
    let mut head = ResponseHead::default();
    let Ok(Progress::Complete { head_bytes }) = head.parse(&out, &HeadLimits::UPSTREAM) else {
        panic!("not a head: {}", String::from_utf8_lossy(&out));
    };
    let body = out.split_off(head_bytes);
    (String::from_utf8(out).expect("ASCII"), head, body)
}

fn object(rejection: Rejection, instance: &[u8]) -> Value {
    let (_, head, body) = answered(rejection, instance, Body::Sent);
    assert_eq!(head.framing(Method::Get), ResponseFraming::Length(body.len() as u64));
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn a_refusal_has_every_member_the_platform_promises() {
    let expected = serde_json::json!({
        "type": "https://api.tickettoken.com/errors/not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "No such resource.",
        "instance": "/api/v1/nothing",
        "code": "NOT_FOUND",
        "correlationId": "c-1",
        "requestId": "r-1",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "error": "Not Found",
        "message": "No such resource.",
        "statusCode": 404,
    });
    assert_eq!(object(Rejection::NotFound, b"/api/v1/nothing?token=secret"), expected);
}

#[test]
fn a_refusal_is_not_stored_and_says_what_it_is() {
    let (text, head, _) = answered(Rejection::NotFound, b"/", Body::Sent);
    assert_eq!(head.status(), 404);
    assert!(text.starts_with(
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n"
    ));
    assert!(text.contains("\r\nX-Request-ID: r-1\r\n") && text.contains("\r\nX-Frame-Options: DENY\r\n"));
    assert!(!text.contains("WWW-Authenticate") && !text.contains("Allow: ") && !text.contains("Retry-After"));
    assert!(head.persistent());
}

#[test]
fn a_401_names_its_reason_in_body_and_challenge() {
    for fault in TokenFault::ALL {
        let (text, _, body) = answered(Rejection::Unauthorized(fault), b"/x", Body::Sent);
        let challenge = format!(
            "\r\nWWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"{}\"\r\n",
            fault.word()
        );
        assert!(text.contains(&challenge), "{text}");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["reason"], fault.word());
        assert_eq!(body["code"], "AUTHENTICATION_ERROR");
    }
    assert!(object(Rejection::NotFound, b"/").get("reason").is_none());
}

#[test]
fn a_405_lists_what_is_allowed() {
    let allow = |methods| answered(Rejection::MethodNotAllowed(methods), b"/x", Body::Sent).0;
    assert!(allow(MethodSet::READ).contains("\r\nAllow: OPTIONS, GET, HEAD\r\n"));
    let with_options = MethodSet::of(&[Method::Post, Method::Options]);
    assert!(allow(with_options).contains("\r\nAllow: OPTIONS, POST\r\n"));
}

#[test]
fn a_503_says_when_to_come_back_and_closes_when_it_must() {
    let (text, head, _) = answered(Rejection::UpstreamRefused, b"/x", Body::Sent);
    assert_eq!(head.value(KnownHeader::RetryAfter, text.as_bytes()), Some(b"5".as_slice()));
    assert!(head.persistent());
    let (text, head, _) = answered(Rejection::Draining, b"/x", Body::Sent);
    assert_eq!(head.value(KnownHeader::RetryAfter, text.as_bytes()), Some(b"2".as_slice()));
    assert!(!head.persistent());
}

#[test]
fn a_head_request_gets_the_same_head_alone() {
    let (with_body, _, body) = answered(Rejection::NotFound, b"/x", Body::Sent);
    let (alone, _, nothing) = answered(Rejection::NotFound, b"/x", Body::Omitted);
    assert_eq!(with_body, alone);
    assert!(!body.is_empty() && nothing.is_empty());
}

#[test]
fn whatever_the_client_sent_the_body_is_json_and_the_instance_a_uri() {
    let every_byte: Vec<u8> = (0..=u8::MAX).filter(|byte| *byte != b'?').collect();
    let body = object(Rejection::InvalidPath, &every_byte);
    let instance = body["instance"].as_str().expect("text");
    assert!(instance.is_ascii() && !instance.contains(['"', '<', '\\', ' ', '\n']));
    assert!(instance.contains("%00") && instance.contains("%22") && instance.contains("%FF"));
    let long = vec![b'"'; TARGET_BYTES_MAX * 2];
    let body = object(Rejection::InvalidPath, &long);
    assert_eq!(body["instance"].as_str().map(str::len), Some(TARGET_BYTES_MAX * 3));
    assert_eq!(object(Rejection::BadFraming("It is broken."), b"")["instance"], "");
}

#[test]
fn member_text_is_escaped() {
    let mut out = Vec::new();
    push_escaped(&mut out, b"a\"b\\c\n\x1f\x00\x7f\xe9~");
    assert_eq!(out, br#"a\"b\\c\u000A\u001F\u0000??~"#);
}
