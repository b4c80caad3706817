//! Nothing escapes its route, nothing is rewritten on the way, and a query cannot choose a tenant.
#![allow(clippy::disallowed_types, reason = "proptest's macros share their strategies through Arc")]

use super::*;
use proptest::prelude::*;

const VENUE: &str = "0a1b2c3d-1111-4222-8333-444455556666";

#[test]
fn paths_that_reached_internal_endpoints_of_the_replaced_gateway_are_refused() {
    let table = table();
    for (path, status) in [
        ("/api/v1/auth/login/%2e%2e/internal/users/u1", "400"),
        ("/api/v1/search/%2e%2e/%2e%2e/internal/x", "400"),
        ("/api/v1/events/../internal/x", "400"),
        ("/api/v1/events/%2e%2e%2finternal/x", "400"),
        ("/api/v1/events/%252e%252e/internal/x", "400"),
        ("/api/v1/events/x;/internal/x", "400"),
        ("/api/v1/auth/internal/users/u1", "404"),
        ("/api/v1/auth/%69nternal/users/u1", "404"),
        ("/api/v1/auth/INTERNAL/users/u1", "404"),
        ("/api/v1/events/e1/Internal", "404"),
    ] {
        for method in [Method::Get, Method::Post, Method::Options] {
            assert_eq!(outcome(&table, method, path), status, "{path}");
        }
    }
}

#[test]
fn segments_and_query_go_upstream_byte_for_byte() {
    let table = table();
    for (path, wanted) in [
        ("/api/v1/events/a%3Fb%23c", "N1 /api/v1/events/a%3Fb%23c"),
        ("/api/v1/events/a%3fb/x%20y", "N1 /api/v1/events/a%3fb/x%20y"),
        ("/API/V1/Events/%41b%C3%A9?tag=a&tag=b", "N1 /api/v1/events/%41b%C3%A9?tag=a&tag=b"),
        ("/api/v1/events?b=1&a=%zz;x&&?", "N1 /api/v1/events?b=1&a=%zz;x&&?"),
        ("/api/v1/events?", "N1 /api/v1/events?"),
        ("/api/v1/auth/a+b@c,d:e", "A6 /auth/a+b@c,d:e"),
    ] {
        assert_eq!(outcome(&table, Method::Get, path), wanted, "{path}");
    }
}

#[test]
fn a_target_that_is_too_long_is_told_apart() {
    let long = format!("/api/v1/events/{}", "a".repeat(8192));
    assert_eq!(outcome(&table(), Method::Get, &long), "414");
}

#[test]
fn a_match_tells_segments_raw_and_decoded() {
    with_match(&table(), Method::Get, "/api/v1/tickets/users/u%41?x=1", |matched, bytes| {
        assert_eq!(matched.segment(4, bytes), b"u%41");
        assert_eq!(matched.decoded(4, bytes).as_ref(), b"uA");
        assert_eq!(matched.query(bytes), Some(&b"x=1"[..]));
        assert_eq!(matched.service(), Some(ServiceId(3)));
        assert_eq!(matched.segment(9, bytes), b"");
    });
    with_match(&table(), Method::Get, "/live", |matched, bytes| {
        assert_eq!(matched.service(), None);
        assert_eq!(matched.query(bytes), None);
    });
}

#[test]
fn a_deprecated_alias_names_its_successor_safely() {
    let table = table();
    let successor = |method, path: &str| {
        with_match(&table, method, path, |matched, bytes| {
            let mut out = Vec::new();
            matched.write_successor(bytes, &mut out);
            String::from_utf8(out).expect("targets are ASCII")
        })
    };
    assert_eq!(successor(Method::Get, "/api/v1/event/e1/x?q"), "/api/v1/events/e1/x");
    assert_eq!(successor(Method::Get, "/api/v1/venue/<\">/capacity"), "/api/v1/venues/%3C%22%3E/capacity");
    assert_eq!(successor(Method::Post, "/api/v1/payments"), "/api/v1/payments/process");
    assert_eq!(successor(Method::Post, "/api/v1/payments/x/refund"), "/api/v1/payments/transaction/x/refund");
    assert_eq!(successor(Method::Get, "/api/v1/search/search/events"), "/api/v1/search/events");
    assert_eq!(successor(Method::Get, "/api/v1/search/events"), "");
}

#[test]
fn a_row_that_wants_a_uuid_refuses_anything_else() {
    let check =
        |path: &str| with_match(&table(), Method::Post, path, |matched, bytes| matched.check_uuids(bytes));
    assert_eq!(check(&format!("/api/v1/payments/{VENUE}/refund")), Ok(()));
    assert_eq!(check("/api/v1/payments/transaction/refund"), Err(Rejection::InvalidUuid));
    assert_eq!(check("/api/v1/payments/transaction/x/refund"), Ok(()));
    assert_eq!(Rejection::InvalidUuid.sentence().code, "INVALID_UUID");
}

fn tenant_check(method: Method, path: &str, tenant: Option<&str>) -> Result<(), Rejection> {
    with_match(&table(), method, path, |matched, bytes| check_query_tenant(matched, bytes, tenant))
}

#[test]
fn a_query_tenant_must_be_the_tokens() {
    let upper = VENUE.to_ascii_uppercase();
    for name in ["tenantId", "TENANTID", "tenant_id", "Tenant_Id", "tenant%49d", "tenantId[]"] {
        let path = format!("/api/v1/events?a=b&{name}={VENUE}");
        assert_eq!(tenant_check(Method::Get, &path, Some(&upper)), Ok(()), "{path}");
        assert_eq!(tenant_check(Method::Get, &path, Some("other")), Err(Rejection::CrossTenant), "{path}");
        assert_eq!(tenant_check(Method::Get, &path, None), Err(Rejection::CrossTenant), "{path}");
    }
    let twice = format!("/api/v1/events?tenantId={VENUE}&tenant_id=other");
    assert_eq!(tenant_check(Method::Get, &twice, Some(VENUE)), Err(Rejection::CrossTenant));
    let empty = "/api/v1/events?tenantId=";
    assert_eq!(tenant_check(Method::Get, empty, Some("")), Err(Rejection::CrossTenant));
    assert_eq!(tenant_check(Method::Get, "/api/v1/events?tenant=x", None), Ok(()));
    assert_eq!(tenant_check(Method::Get, "/api/v1/events", None), Ok(()));
}

#[test]
fn a_query_tenant_on_a_public_row_is_refused_outside_the_auth_service() {
    let refused = Err(Rejection::TenantInPublicQuery);
    assert_eq!(tenant_check(Method::Get, "/api/v1/branding/x?tenant_id=1", None), refused);
    assert_eq!(tenant_check(Method::Get, "/live?TENANTID", None), refused);
    assert_eq!(tenant_check(Method::Get, "/api/v1/venues/metrics?tenantId=1", None), refused);
    assert_eq!(tenant_check(Method::Get, "/api/v1/branding/x?tenants=1", None), Ok(()));
    assert_eq!(tenant_check(Method::Post, "/api/v1/auth/login?tenantId=1", None), Ok(()));
}

/// Pieces from which paths that try to leave their route are made.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::sample::select(vec![
            "api", "v1", "events", "auth", "login", "venues", "payments", "mint", "search", "analytics", "files",
            "download", "metrics", "notifications", "track", "admin", "webhooks", "stripe", "EVENTS", "strip",
        ]).prop_map(str::to_owned),
        1 => proptest::sample::select(vec![
            "", ".", "..", "%2e", "%2E%2e", ".%2e", "%252e", "%2f", "%5c", "..%2f", "%00", "%25", "%3f", "%3b", "a;b",
            "internal", "%69nternal", "...", "%2e%2e%2e", "%c3%a9", "%zz", "%", "a b", "#", "\\",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,6}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let prefix =
        proptest::sample::select(vec!["", "/api/v1", "/api/v1/events", "/api/v1/auth", "/api/v1/mint"]);
    (prefix, proptest::collection::vec(piece(), 0..6)).prop_map(|(prefix, pieces)| {
        let below: Vec<String> = pieces.iter().map(|piece| format!("/{piece}")).collect();
        format!("{prefix}{}", below.concat())
    })
}

fn decoded_once(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let escape = bytes.as_slice().get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                bytes.nth(1);
            }
            _ => decoded.push(byte),
        }
    }
    decoded
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn an_accepted_target_stays_below_its_rows_upstream_prefix(path in path(), method in 0..7_usize) {
        let table = table_once();
        let method = Method::ALL.get(method).copied().expect("seven methods");
        let Ok(target) = Target::parse(path.as_bytes()) else { return Ok(()) };
        let Ok(Found::Row(matched)) = table.find(method, &target, path.as_bytes()) else { return Ok(()) };
        let mut upstream = Vec::new();
        matched.write_upstream(path.as_bytes(), &mut upstream);
        let Destination::Service { upstream: parts, .. } = &matched.row().target else {
            prop_assert!(upstream.is_empty());
            return Ok(());
        };
        let upstream = String::from_utf8(upstream).expect("targets are ASCII");
        if let Some(Part::Literal(prefix)) = parts.first() {
            prop_assert!(upstream.starts_with(prefix.as_str()), "{} left {}", upstream, prefix);
        }
        let sent = upstream.split('?').next().unwrap_or_default();
        for view in [sent.as_bytes().to_vec(), decoded_once(sent)] {
            for segment in view.split(|byte| matches!(byte, b'/' | b'\\')) {
                prop_assert!(segment != b"." && segment != b"..", "{} has a dot segment", upstream);
                prop_assert!(!segment.eq_ignore_ascii_case(b"internal"), "{} is internal", upstream);
            }
        }
        let twice = decoded_once(&String::from_utf8_lossy(&decoded_once(sent)));
        for segment in twice.split(|byte| matches!(byte, b'/' | b'\\')).skip(1) {
            prop_assert!(segment != b"." && segment != b"..", "{} hides a dot segment", upstream);
        }
        prop_assert_eq!(sent.matches('/').count(), twice.iter().filter(|byte| **byte == b'/').count());
    }
}

fn table_once() -> &'static RouteTable {
    static TABLE: std::sync::OnceLock<RouteTable> = std::sync::OnceLock::new();
    TABLE.get_or_init(table)
}
