//! Records there and back, lines that every reader can parse, and words that no worker of ours wrote.

use super::line::{escape, write_json, write_pretty, write_time};
use super::*;
use crate::config::telemetry::LogLevel;
use crate::telemetry::security_events::SecurityEvent;
use proptest::prelude::*;
use serde_json::Value;
use shm::SupervisorRegion;
use shm::names::NameKind;
use std::net::Ipv4Addr;

fn record() -> AccessRecord<'static> {
    AccessRecord {
        wall_ms: 1_764_000_000_123,
        request_id: b"7b0e6a52-0f8f-4f7e-9a58-0d5c3f0a1b2c",
        correlation_id: b"checkout.17",
        trace_id: [0; 16],
        span_id: [0; 8],
        method: Some(Method::Post),
        route: 0,
        status: 201,
        duration_us: 12_345,
        service: 0,
        upstream_status: 201,
        user: b"1c2d3e4f-0000-4000-8000-000000000001",
        tenant: b"1c2d3e4f-0000-4000-8000-0000000000ff",
        role: 0,
        client: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        user_agent: b"Mozilla/5.0",
        bytes_in: 512,
        bytes_out: 70_000,
        rejection: None,
        events: EventSet::NONE,
        permission: 0,
        venue: None,
        target_tenant: b"",
        key_start: None,
        line: AccessLine::Written,
        worker: 5,
    }
}

fn line(record: &AccessRecord<'_>, names: &mut NameTexts) -> Value {
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record.encode(&mut words);
    let mut scratch = Scratch::default();
    let view = AccessView::decode(&words[..length], &mut scratch).expect("it was written here");
    let mut text = Vec::new();
    write_json(&view, names, &mut text);
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
    assert_eq!(text.last(), Some(&b'\n'));
    serde_json::from_slice(&text).expect("a JSON object")
}

fn names() -> (NameTexts, [u16; 3]) {
    let region = SupervisorRegion::create().expect("a memfd can be made");
    let names = &region.authority().names;
    let ids = [
        (NameKind::Route, "/api/v1/venues/{venueId}"),
        (NameKind::Service, "venue"),
        (NameKind::Role, "customer"),
    ]
    .map(|(kind, text)| names.intern(region.writer(), kind, text).expect("there is room").number());
    (NameTexts::new(names), ids)
}

#[test]
fn a_line_has_the_fields_of_the_platform_contract() {
    let (mut names, [route, service, role]) = names();
    let record = AccessRecord {
        route,
        service,
        role,
        trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes(),
        span_id: 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(),
        status: 403,
        rejection: Some(Rejection::CrossTenant),
        events: SecurityEvent::TenantMismatch.into(),
        ..record()
    };
    let expected = serde_json::json!({
        "time": "2025-11-24T16:00:00.123Z",
        "level": "warn",
        "msg": "request",
        "requestId": "7b0e6a52-0f8f-4f7e-9a58-0d5c3f0a1b2c",
        "correlationId": "checkout.17",
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": "00f067aa0ba902b7",
        "method": "POST",
        "path": "/api/v1/venues/{venueId}",
        "status": 403,
        "durationMs": 12.345,
        "service": "venue",
        "upstreamStatus": 201,
        "userId": "1c2d3e4f-0000-4000-8000-000000000001",
        "tenantId": "1c2d3e4f-0000-4000-8000-0000000000ff",
        "role": "customer",
        "clientIp": "203.0.113.7",
        "userAgent": "Mozilla/5.0",
        "bytesIn": 512,
        "bytesOut": 70_000,
        "worker": 5,
        "reason": "cross_tenant",
        "event": "tenant_mismatch",
        "severity": "critical",
    });
    assert_eq!(line(&record, &mut names), expected);
}

#[test]
fn a_security_event_says_who_did_what_where() {
    let (mut names, [route, _, role]) = names();
    let record = AccessRecord {
        route,
        role,
        trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes(),
        span_id: 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(),
        rejection: Some(Rejection::Forbidden(crate::pipeline::rejection::Denial::Staff)),
        venue: Some(0x0190_e2f4_aaaa_7bbb_8ccc_0011_2233_aabb_u128.to_be_bytes()),
        permission: role,
        target_tenant: b"1c2d3e4f-0000-4000-8000-0000000000ee",
        key_start: Some(*b"tk_live_"),
        line: AccessLine::Omitted,
        ..record()
    };
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record.encode(&mut words);
    let mut scratch = Scratch::default();
    let view = AccessView::decode(&words[..length], &mut scratch).expect("it was written here");
    assert_eq!(view.line, AccessLine::Omitted);
    let mut text = Vec::new();
    event_line::write_json(&view, SecurityEvent::VenueAccessDenied, &mut names, &mut text);
    let expected = serde_json::json!({
        "time": "2025-11-24T16:00:00.123Z",
        "level": "warn",
        "msg": "security event",
        "event": "venue_access_denied",
        "severity": "high",
        "requestId": "7b0e6a52-0f8f-4f7e-9a58-0d5c3f0a1b2c",
        "correlationId": "checkout.17",
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": "00f067aa0ba902b7",
        "method": "POST",
        "path": "/api/v1/venues/{venueId}",
        "userId": "1c2d3e4f-0000-4000-8000-000000000001",
        "tenantId": "1c2d3e4f-0000-4000-8000-0000000000ff",
        "targetTenantId": "1c2d3e4f-0000-4000-8000-0000000000ee",
        "role": "customer",
        "clientIp": "203.0.113.7",
        "venueId": "0190e2f4-aaaa-7bbb-8ccc-00112233aabb",
        "keyStart": "tk_live_",
        "permission": "customer",
        "reason": "staff",
        "worker": 5,
    });
    assert_eq!(serde_json::from_slice::<Value>(&text).expect("a JSON object"), expected);
    text.clear();
    event_line::write_pretty(&view, SecurityEvent::VenueAccessDenied, &mut names, &mut text);
    assert_eq!(
        String::from_utf8_lossy(&text),
        "2025-11-24T16:00:00.123Z warn security event venue_access_denied high POST /api/v1/venues/{venueId} \
         user=1c2d3e4f-0000-4000-8000-000000000001 tenant=1c2d3e4f-0000-4000-8000-0000000000ff \
         id=7b0e6a52-0f8f-4f7e-9a58-0d5c3f0a1b2c\n"
    );
}

#[test]
fn the_longest_line_of_an_event_is_within_its_bound() {
    let (mut names, [_, _, role]) = names();
    let long = [b'x'; TEXT_BYTES_MAX];
    let record = AccessRecord {
        request_id: &long,
        correlation_id: &long,
        user: &long,
        tenant: &long,
        target_tenant: &long,
        trace_id: [0xFF; 16],
        span_id: [0xFF; 8],
        client: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".parse().expect("an address"),
        venue: Some([0xFF; 16]),
        key_start: Some([b'x'; KEY_START_BYTES]),
        role,
        permission: role,
        worker: 255,
        rejection: Some(Rejection::TenantInPublicQuery),
        ..record()
    };
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record.encode(&mut words);
    let mut scratch = Scratch::default();
    let view = AccessView::decode(&words[..length], &mut scratch).expect("it was written here");
    for row in &crate::telemetry::security_events::TABLE {
        let mut text = Vec::new();
        event_line::write_json(&view, row.event, &mut names, &mut text);
        // The rest is for the longest template and permission.
        assert!(text.len() + 256 < event_line::LINE_BYTES_MAX, "{} bytes", text.len());
    }
}

#[test]
fn what_a_request_does_not_have_is_left_out() {
    let (mut names, _) = names();
    let record = AccessRecord {
        request_id: b"",
        correlation_id: b"",
        user: b"",
        tenant: b"",
        user_agent: b"",
        upstream_status: 0,
        method: None,
        ..record()
    };
    let line = line(&record, &mut names);
    let fields: Vec<&String> = line.as_object().expect("an object").keys().collect();
    assert_eq!(
        fields,
        [
            "bytesIn",
            "bytesOut",
            "clientIp",
            "durationMs",
            "level",
            "method",
            "msg",
            "path",
            "status",
            "time",
            "worker"
        ]
    );
    assert_eq!((&line["method"], &line["path"]), (&Value::from("OTHER"), &Value::from("unmatched")));
}

#[test]
fn a_hostile_user_agent_stays_inside_its_field() {
    let (mut names, _) = names();
    let user_agent = b"a\"},\n{\"level\":\"\\x1b[31m\x1b\x7f\xc2\x9b\xff\xe2\x80\xa8 caf\xc3\xa9";
    let line = line(&AccessRecord { user_agent, ..record() }, &mut names);
    assert_eq!(
        line["userAgent"],
        "a\"},\n{\"level\":\"\\x1b[31m\u{1b}\u{7f}\u{9b}\u{fffd}\u{2028} caf\u{e9}"
    );
    let mut escaped = Vec::new();
    escape(user_agent, &mut escaped);
    let text = String::from_utf8(escaped).expect("always UTF-8");
    assert!(!text.chars().any(|character| character.is_control() || character == '\u{2028}'), "{text}");
}

#[test]
fn long_texts_are_cut_and_the_longest_record_fits() {
    let long = [b'x'; 300];
    let record = AccessRecord {
        request_id: &long,
        correlation_id: &long,
        user: &long,
        tenant: &long,
        user_agent: &long,
        target_tenant: &long,
        venue: Some([0xFF; 16]),
        ..record()
    };
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record.encode(&mut words);
    let mut scratch = Scratch::default();
    let view = AccessView::decode(&words[..length], &mut scratch).expect("it was written here");
    assert_eq!(view.user_agent.len(), USER_AGENT_BYTES_MAX);
    assert_eq!(view.request_id.len(), TEXT_BYTES_MAX);
}

#[test]
fn addresses_of_both_families_come_back() {
    let (mut names, _) = names();
    for address in ["203.0.113.7", "255.255.255.255", "2001:db8::1", "::1", "::"] {
        let client = address.parse().expect("an address");
        assert_eq!(line(&AccessRecord { client, ..record() }, &mut names)["clientIp"], address);
    }
}

#[test]
fn the_level_follows_fault_slowness_and_severity() {
    let level = |change: fn(&mut AccessRecord<'static>)| {
        let mut changed = record();
        change(&mut changed);
        let mut words = [0; RECORD_WORDS_MAX];
        let length = changed.encode(&mut words);
        let mut scratch = Scratch::default();
        AccessView::decode(&words[..length], &mut scratch).expect("it was written here").level()
    };
    assert_eq!(level(|_| {}), Level::Info);
    assert_eq!(level(|record| record.duration_us = 1_000_000), Level::Info);
    assert_eq!(level(|record| record.duration_us = 1_000_001), Level::Warn);
    assert_eq!(level(|record| record.status = 502), Level::Error);
    assert_eq!(level(|record| record.status = 404), Level::Info);
    assert_eq!(level(|record| record.events = SecurityEvent::PathAttack.into()), Level::Warn);
    assert_eq!(level(|record| record.events = SecurityEvent::AuthorizationDenied.into()), Level::Info);
    let not_ours = |record: &mut AccessRecord<'static>| {
        record.status = 501;
        record.rejection = Some(Rejection::UpgradeNotImplemented);
    };
    assert_eq!(level(not_ours), Level::Info);
    assert!(Level::Error.passes(LogLevel::Error) && !Level::Warn.passes(LogLevel::Error));
    assert!(Level::Info.passes(LogLevel::Info) && !Level::Error.passes(LogLevel::Fatal));
}

#[test]
fn a_record_that_is_not_ours_is_skipped() {
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record().encode(&mut words);
    let mut scratch = Scratch::default();
    let decodes = |words: &[u64], scratch: &mut Scratch| AccessView::decode(words, scratch).is_some();
    assert!(decodes(&words[..length], &mut scratch));
    assert!(!decodes(&[], &mut scratch));
    assert!(!decodes(&words[..HEADER_WORDS], &mut scratch));
    assert!(!decodes(&words[..length - 1], &mut scratch));
    assert!(!decodes(&words[..length + 1], &mut scratch));
    let changed = |index: usize, word: u64| {
        let mut copy = words;
        copy[index] = word;
        copy
    };
    for odd in [changed(0, 0), changed(3, u64::MAX), changed(11, u64::MAX), changed(11, words[11] | 1 << 48)]
    {
        assert!(!decodes(&odd[..length], &mut scratch));
    }
}

#[test]
fn an_unknown_reason_or_event_is_none() {
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record().encode(&mut words);
    words[1] |= 0xFFFF << 48;
    words[12] = u64::from(u32::MAX) & !((1 << SecurityEvent::COUNT) - 1);
    let mut scratch = Scratch::default();
    let view = AccessView::decode(&words[..length], &mut scratch).expect("the rest is sound");
    assert_eq!((view.reason, view.events), (Reason::NONE, EventSet::NONE));
}

#[test]
fn the_pretty_line_says_who_did_what() {
    let (mut names, [route, service, _]) = names();
    let record =
        AccessRecord { route, service, status: 503, rejection: Some(Rejection::Overloaded), ..record() };
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record.encode(&mut words);
    let mut scratch = Scratch::default();
    let view = AccessView::decode(&words[..length], &mut scratch).expect("it was written here");
    let mut text = Vec::new();
    write_pretty(&view, &mut names, &mut text);
    assert_eq!(
        String::from_utf8_lossy(&text),
        "2025-11-24T16:00:00.123Z error POST /api/v1/venues/{venueId} 503 12.345ms service=venue \
         user=1c2d3e4f-0000-4000-8000-000000000001 tenant=1c2d3e4f-0000-4000-8000-0000000000ff \
         reason=overloaded id=7b0e6a52-0f8f-4f7e-9a58-0d5c3f0a1b2c\n"
    );
}

proptest! {
    #[test]
    fn times_are_those_of_the_time_crate(wall_ms in 0_u64..253_402_300_800_000) {
        let mut text = Vec::new();
        write_time(wall_ms, &mut text);
        let parsed = time::OffsetDateTime::parse(
            std::str::from_utf8(&text).expect("ASCII"),
            &time::format_description::well_known::Rfc3339,
        ).expect("RFC 3339");
        prop_assert_eq!(parsed.unix_timestamp_nanos(), i128::from(wall_ms) * 1_000_000);
    }

    #[test]
    fn every_text_comes_back_as_it_was(
        texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=128), 6),
    ) {
        let record = AccessRecord {
            request_id: &texts[0], correlation_id: &texts[1], user: &texts[2], tenant: &texts[3],
            user_agent: &texts[4], target_tenant: &texts[5], ..record()
        };
        let mut words = [u64::MAX; RECORD_WORDS_MAX];
        let length = record.encode(&mut words);
        let mut scratch = Scratch::default();
        let view = AccessView::decode(&words[..length], &mut scratch).expect("it was written here");
        let found = [view.request_id, view.correlation_id, view.user, view.tenant, view.user_agent, view.target_tenant];
        prop_assert_eq!(found.map(<[u8]>::to_vec).to_vec(), texts);
    }

    #[test]
    fn what_stands_behind_the_texts_comes_back(
        venue in any::<Option<[u8; 16]>>(),
        key_start in any::<Option<[u8; 8]>>(),
    ) {
        let record = AccessRecord { venue, key_start, ..record() };
        let mut words = [u64::MAX; RECORD_WORDS_MAX];
        let length = record.encode(&mut words);
        let mut scratch = Scratch::default();
        let view = AccessView::decode(&words[..length], &mut scratch).expect("it was written here");
        prop_assert_eq!((view.venue.map(u128::to_be_bytes), view.key_start), (venue, key_start));
        prop_assert!(AccessView::decode(&words[..=length], &mut Scratch::default()).is_none(), "a word too many");
    }

    #[test]
    fn words_from_anywhere_never_break_the_reader(
        mut words in proptest::collection::vec(any::<u64>(), 0..126),
        ours: bool,
    ) {
        if let (true, Some(first)) = (ours, words.first_mut()) {
            *first = *first & !0xFF | KIND;
        }
        let (mut names, _) = names_shared();
        let mut scratch = Scratch::default();
        if let Some(view) = AccessView::decode(&words, &mut scratch) {
            let mut text = Vec::new();
            write_json(&view, &mut names, &mut text);
            prop_assert!(serde_json::from_slice::<Value>(&text).is_ok());
        }
    }

    #[test]
    fn an_escaped_text_reads_back_as_the_lossy_original(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut text = vec![b'"'];
        escape(&bytes, &mut text);
        text.push(b'"');
        let read: String = serde_json::from_slice(&text).expect("a JSON string");
        prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
    }
}

/// One region for all cases of a property: making one is slow.
fn names_shared() -> (NameTexts, ()) {
    static REGION: std::sync::OnceLock<&'static shm::Authority> = std::sync::OnceLock::new();
    let authority =
        REGION.get_or_init(|| SupervisorRegion::create().expect("a memfd can be made").authority());
    (NameTexts::new(&authority.names), ())
}
