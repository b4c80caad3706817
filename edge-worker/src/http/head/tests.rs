//! Accepted and refused heads, and that the answer does not depend on how the bytes arrived.

use super::*;
use crate::http::method::Method;
use proptest::prelude::*;

mod requests;
mod responses;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 4096, fields_max: 20, target_bytes_max: 200 };

fn request(text: &str) -> Result<RequestHead, HeadFault> {
    let mut head = RequestHead::default();
    match head.parse(text.as_bytes(), &LIMITS)? {
        Progress::Complete { .. } => Ok(head),
        Progress::Partial => panic!("incomplete: {text:?}"),
    }
}

fn response(text: &str) -> Result<ResponseHead, HeadFault> {
    let mut head = ResponseHead::default();
    match head.parse(text.as_bytes(), &LIMITS)? {
        Progress::Complete { .. } => Ok(head),
        Progress::Partial => panic!("incomplete: {text:?}"),
    }
}

/// A request with one more line than the least.
fn with_line(line: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{line}\r\n\r\n")
}

fn is_bad<T>(result: &Result<T, HeadFault>) -> bool {
    matches!(result, Err(HeadFault::Bad(words)) if words.ends_with('.'))
}

/// Everything of a head that a later stage can see.
fn picture(head: &RequestHead, bytes: &[u8]) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {} {} {}",
        head.method(),
        head.target(bytes),
        head.host(bytes),
        head.version(),
        head.framing(),
        head.fields(),
        head.persistent(),
        head.expects_continue(),
        head.upgrades(),
    )
}

#[test]
fn every_listed_name_is_found_in_any_case_and_no_other() {
    for (name, known) in known::NAMES {
        assert_eq!(KnownHeader::classify(name.as_bytes()), *known, "{name}");
        assert_eq!(KnownHeader::classify(name.to_uppercase().as_bytes()), *known, "{name}");
        let longer = format!("{name}s");
        let found = KnownHeader::classify(longer.as_bytes());
        assert!(found == KnownHeader::Unknown || found != *known || name.starts_with("x-"), "{longer}");
    }
    for name in ["", "x", "X-", "hos", "x-tenant", "proxy", "sec-fetch-mode", "x-unheard-of"] {
        assert_eq!(KnownHeader::classify(name.as_bytes()), KnownHeader::Unknown, "{name}");
    }
}

#[test]
fn families_are_found_by_their_prefix() {
    for (prefix, known) in known::FAMILIES {
        let name = format!("{prefix}Anything-{}", "x".repeat(100));
        assert_eq!(KnownHeader::classify(name.as_bytes()), *known);
        assert_eq!(KnownHeader::classify(name.to_uppercase().as_bytes()), *known);
    }
}

#[test]
fn a_name_with_underscores_is_never_one_whose_value_is_read() {
    let spellings = [
        ("x_tenant_id", KnownHeader::XTenant),
        ("X-Tenant_ID", KnownHeader::XTenant),
        ("x_user_id", KnownHeader::XUserId),
        ("X_Forwarded_For", KnownHeader::XForwarded),
        ("x_forwarded_whatever", KnownHeader::XForwarded),
        ("x_real_ip", KnownHeader::XRealIp),
        ("content_length", KnownHeader::SpelledAlike),
        ("Transfer_Encoding", KnownHeader::SpelledAlike),
        ("x_api_key", KnownHeader::SpelledAlike),
        ("x_target_tenant_id", KnownHeader::SpelledAlike),
        ("x_request_id", KnownHeader::Unknown),
        ("accept_language", KnownHeader::Unknown),
        ("x_custom_thing", KnownHeader::Unknown),
        ("my_own_header", KnownHeader::Unknown),
    ];
    for (name, known) in spellings {
        assert_eq!(KnownHeader::classify(name.as_bytes()), known, "{name}");
    }
    let long = format!("x_internal_{}", "y".repeat(200));
    assert_eq!(KnownHeader::classify(long.as_bytes()), KnownHeader::XInternal);
}

#[test]
fn the_table_of_names_is_the_one_the_compiler_filled() {
    assert_eq!(known::fill(), known::SLOTS);
}
