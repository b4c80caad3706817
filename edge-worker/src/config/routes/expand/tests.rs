//! Deadlines, body limits and notes of the platform's rows, written by hand from its table.

use super::super::{Row, ShedClass, load};
use super::*;

/// All rows with this template and one of these methods.
fn find<'r>(rows: &'r [Row], method: Method, template: &str) -> &'r Row {
    rows.iter()
        .find(|row| row.template == template && row.methods.contains(method))
        .unwrap_or_else(|| panic!("no row {} {template}", method.as_str()))
}

fn built_in() -> Vec<Row> {
    load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid")
}

const KIB: u64 = 1024;

#[test]
fn deadlines_and_body_limits_are_the_platforms() {
    use Method::{Delete, Get, Post, Put};
    let rows = built_in();
    for (method, path, timeout_s, body) in [
        (Get, "/live", None, Some(0)),
        (Post, "/admin/cache/invalidate", None, Some(64 * KIB)),
        (Get, "/api/v1/auth/metrics", Some(5), Some(0)),
        (Post, "/api/v1/auth/login", Some(5), Some(64 * KIB)),
        (Get, "/api/v1/auth/verify-email", None, Some(0)),
        (Post, "/api/v1/auth/wallet/nonce", None, Some(64 * KIB)),
        (Put, "/api/v1/auth/admin/tenants/{id}/status", None, Some(64 * KIB)),
        (Post, "/api/v1/auth/**", None, None),
        (Get, "/api/v1/venues/{venueId}/stripe/**", Some(30), None),
        (Post, "/api/v1/venues/{venueId}/verification/**", Some(30), None),
        (Get, "/api/v1/venues/{venueId}/dashboard", Some(10), Some(0)),
        (Get, "/api/v1/venues/{venueId}/events", None, Some(0)),
        (Get, "/api/v1/branding/{venueId}/css", Some(5), Some(0)),
        (Get, "/api/v1/events/**", None, Some(0)),
        (Post, "/api/v1/events/**", None, None),
        (Put, "/api/v1/capacity/**", None, Some(64 * KIB)),
        (Get, "/api/v1/pricing/**", None, Some(64 * KIB)),
        (Get, "/api/v1/reports/**", Some(10), Some(0)),
        (Get, "/api/v1/customers/{customerId}/profile", None, Some(0)),
        (Post, "/api/v1/tickets/purchase", Some(30), Some(64 * KIB)),
        (Delete, "/api/v1/tickets/reservations/{id}", Some(30), Some(64 * KIB)),
        (Post, "/api/v1/tickets/transfer", Some(30), Some(64 * KIB)),
        (Delete, "/api/v1/purchase/{id}", Some(30), Some(64 * KIB)),
        (Post, "/api/v1/tickets/types", Some(30), None),
        (Post, "/api/v1/qr/validate", Some(30), Some(64 * KIB)),
        (Get, "/api/v1/tickets/users/{userId}", None, Some(0)),
        (Get, "/api/v1/transfer/**", Some(30), Some(64 * KIB)),
        (Post, "/api/v1/qr/refresh", Some(5), Some(64 * KIB)),
        (Get, "/api/v1/orders/tickets", None, Some(0)),
        (Post, "/api/v1/payments/process", None, Some(256 * KIB)),
        (Post, "/api/v1/payments/calculate-fees", Some(10), Some(64 * KIB)),
        (Get, "/api/v1/payments/transaction/{id}", None, Some(64 * KIB)),
        (Get, "/api/v1/intents/**", None, Some(64 * KIB)),
        (Post, "/api/v1/payments/venues/{venueId}/**", None, Some(64 * KIB)),
        (Get, "/api/v1/analytics/dashboards/**", Some(10), None),
        (Post, "/api/v1/analytics/reports/generate", Some(90), None),
        (Get, "/api/v1/analytics/exports/**", Some(90), None),
        (Get, "/api/v1/notifications/track/click", Some(5), Some(4 * KIB)),
        (Get, "/api/v1/compliance/risk/**", Some(10), None),
        (Post, "/api/v1/compliance/batch/**", Some(120), None),
        (Post, "/api/v1/compliance/documents/upload", Some(120), Some(10 * KIB * KIB)),
        (Get, "/api/v1/compliance/**", Some(10), Some(10 * KIB * KIB)),
        (Get, "/api/v1/search/suggest", None, Some(0)),
        (Post, "/api/v1/search/pro/**", Some(10), Some(64 * KIB)),
        (Post, "/api/v1/files/upload/url", None, Some(64 * KIB)),
        (Get, "/api/v1/files/download/{id}", None, Some(0)),
        (Post, "/api/v1/files/images/**", Some(120), Some(100 * KIB * KIB)),
        (Get, "/api/v1/integrations/oauth/callback/{provider}", None, Some(0)),
        (Get, "/api/v1/integrations/**", Some(15), None),
        (Post, "/api/v1/integrations/sync/**", Some(90), None),
        (Get, "/api/v1/blockchain/**", None, Some(64 * KIB)),
        (Post, "/api/v1/scan", Some(5), None),
        (Post, "/api/v1/scan/bulk", Some(30), None),
        (Get, "/api/v1/scanning/qr/status/{id}", None, Some(0)),
        (Post, "/api/v1/transfers/gift", Some(30), Some(64 * KIB)),
        (Get, "/api/v1/mint/**", None, None),
        (Post, "/api/v1/mint/batch-mint", Some(120), None),
        (Post, "/api/v1/webhooks/plaid", Some(10), Some(1024 * KIB)),
    ] {
        let row = find(&rows, method, path);
        assert_eq!(row.timeout_ms, timeout_s.map(|seconds: u64| seconds * 1000), "{path}");
        assert_eq!(row.body_bytes_max, body, "{path}");
    }
}

/// Templates with this property, without the singular aliases.
fn templates(wanted: impl Fn(&Row) -> bool) -> Vec<String> {
    let rows = built_in();
    let plural = |row: &&Row| {
        !["/api/v1/venue", "/api/v1/event", "/api/v1/ticket"].iter().any(|prefix| {
            row.template.strip_prefix(prefix).is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    };
    let mut found: Vec<String> = rows
        .iter()
        .filter(plural)
        .filter(|row| wanted(row))
        .map(|row| row.template.trim_start_matches("/api/v1").to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn idempotency_keys_are_demanded_where_the_platform_demands_them() {
    let required = templates(|row| row.notes.idempotency == Idempotency::RequiredUuid);
    assert_eq!(
        required,
        [
            "/intents/create",
            "/orders",
            "/orders/{id}/cancel",
            "/orders/{id}/modifications",
            "/orders/{id}/refund",
            "/orders/{id}/refund/partial",
            "/orders/{id}/reserve",
            "/orders/{id}/upgrade",
            "/payments",
            "/payments/calculate-fees",
            "/payments/intents/create",
            "/payments/process",
            "/payments/refunds/create",
            "/payments/refunds/tickets",
            "/payments/transaction/{id}/refund",
            "/payments/{id}/refund",
            "/refunds/create",
            "/refunds/tickets",
        ]
    );
    let optional = templates(|row| row.notes.idempotency == Idempotency::Optional);
    assert_eq!(
        optional,
        [
            "/capacity/**",
            "/capacity/{id}/check",
            "/events",
            "/events/**",
            "/pricing/**",
            "/pricing/{id}/calculate",
            "/purchase",
            "/purchase/confirm",
            "/purchase/{id}",
            "/tickets/purchase",
            "/tickets/reservations/{id}",
            "/tickets/reservations/{id}/confirm",
            "/tickets/transfer",
            "/transfer/**",
            "/transfers/gift",
            "/transfers/{id}/accept",
        ]
    );
}

#[test]
fn notes_stand_on_the_platforms_rows() {
    let validated = templates(|row| row.notes.validated.is_some());
    assert_eq!(
        validated,
        [
            "/payments",
            "/payments/calculate-fees",
            "/payments/process",
            "/payments/transaction/{id}/refund",
            "/payments/{id}/refund",
            "/tickets/purchase",
            "/tickets/transfer",
            "/tickets/types",
            "/tickets/validate-qr",
        ]
    );
    let buffered = templates(|row| row.notes.buffered);
    assert_eq!(
        buffered,
        ["/auth/admin/tenants/{id}/status", "/purchase", "/purchase/confirm", "/purchase/{id}"]
    );
    let stream = templates(|row| row.notes.stream);
    let files = [
        "/files/documents/**",
        "/files/download/{id}",
        "/files/images/**",
        "/files/qr/**",
        "/files/stream/{id}",
    ];
    assert_eq!(stream, files);
    let deprecated = templates(|row| row.notes.deprecated.is_some());
    assert_eq!(deprecated, ["/payments", "/payments/{id}/refund", "/search/search/**"]);
    let uuid = templates(|row| !row.notes.uuid_segments.is_empty());
    assert_eq!(uuid, ["/payments/{id}/refund"]);
    assert_eq!(templates(|row| row.notes.webhook), templates(|row| row.id == "W1"));
    let cached = |seconds: u32| templates(|row| row.notes.cache_s == seconds);
    assert_eq!(cached(1800), ["/venues", "/venues/{venueId}"]);
    assert_eq!(cached(600), ["/events", "/events/{id}", "/venues/{venueId}/events"]);
    assert_eq!(
        cached(30),
        ["/events/{id}/capacity/**", "/events/{id}/pricing/**", "/events/{id}/ticket-types/**"]
    );
    assert_eq!(cached(300).len(), 9);
}

const CHECKOUT: [&str; 3] = ["/capacity/{id}/check", "/pricing/{id}/calculate", "/tax/calculate"];

fn is_payment(row: &Row) -> bool {
    matches!(row.target, Target::Service { service, .. } if Some(service) == ServiceId::find("payment"))
}

#[test]
fn shed_classes_protect_what_sells() {
    for row in built_in() {
        let wanted = match row.id.as_bytes() {
            [b'E', ..] => ShedClass::Never,
            // A provider's word of a payment ends a checkout.
            b"W1" if row.template.ends_with("/webhooks/stripe") && is_payment(&row) => ShedClass::Checkout,
            b"W1" => ShedClass::Admitted,
            b"A1" if row.template.ends_with("/refresh") => ShedClass::Admitted,
            _ if row.access.is_public() => ShedClass::Anonymous,
            b"P5" => ShedClass::Admitted,
            [b'P', _] | b"T1" | b"T2" | b"T4" => ShedClass::Checkout,
            b"O2" if !row.methods.contains(Method::Get) => ShedClass::Checkout,
            _ if CHECKOUT.iter().any(|end| row.template.ends_with(end)) => ShedClass::Checkout,
            [b'V' | b'N' | b'S' | b'B' | b'M', ..] if row.methods == MethodSet::READ => ShedClass::Browsing,
            [b'Y', ..] | b"S2" => ShedClass::Browsing,
            _ => ShedClass::Admitted,
        };
        assert_eq!(row.class, wanted, "{} {}", row.id, row.template);
    }
}

#[test]
fn a_class_follows_from_access_and_target_unless_it_is_named() {
    assert_eq!(default_class(&Access::Public, &Target::Local(Local::Live)), ShedClass::Never);
    assert_eq!(default_class(&Access::User, &Target::Deny), ShedClass::Never);
}
