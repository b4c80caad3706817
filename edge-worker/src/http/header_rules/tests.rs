//! The platform's header lists, name by name.

use super::*;
use crate::http::head::{HeadLimits, Progress, RequestHead, ResponseHead};

/// Lists as the platform states them, written out a second time on purpose.
const PASSED: [&str; 37] = [
    "accept",
    "accept-language",
    "accept-encoding",
    "accept-version",
    "authorization",
    "content-type",
    "content-encoding",
    "content-language",
    "user-agent",
    "referer",
    "origin",
    "cookie",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "cache-control",
    "pragma",
    "idempotency-key",
    "x-idempotency-key",
    "x-access-token",
    "x-wallet-address",
    "x-wallet-signature",
    "x-confirm-action",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-sampled",
    "x-custom-a",
    "x-custom-",
    "X-CUSTOM-B",
    "If-None-Match",
    "X-Access-Token",
];

const STRIPPED: [(&str, &str); 48] = [
    ("x-tenant-id", "x-tenant-*"),
    ("X-Tenant-Anything", "x-tenant-*"),
    ("x_tenant_id", "x-tenant-*"),
    ("x-tenant_id", "x-tenant-*"),
    ("x-user-id", "x-user-*"),
    ("x-user-role", "x-user-*"),
    ("x_user_id", "x-user-*"),
    ("x_user_role", "x-user-*"),
    ("x-venue-id", "x-venue-id"),
    ("X_Venue_ID", "x-venue-id"),
    ("x-venue-tier", "x-venue-tier"),
    ("x-session-id", "x-session-id"),
    ("x-target-tenant-id", "x-target-tenant-id"),
    ("x_target_tenant_id", "other"),
    ("x-auth-token", "x-auth-token"),
    ("x-admin-token", "x-admin-token"),
    ("x-privileged", "x-privileged"),
    ("x-internal-signature", "x-internal-*"),
    ("x_internal_x", "x-internal-*"),
    ("x-service-token", "x-service-*"),
    ("x-gateway-forwarded", "x-gateway-*"),
    ("x-calling-service", "x-calling-service"),
    ("x-mint-authorization", "x-mint-authorization"),
    ("x-health-api-key", "x-health-api-key"),
    ("x-signature", "x-signature"),
    ("x-timestamp", "x-timestamp"),
    ("x-nonce", "x-nonce"),
    ("forwarded", "forwarded"),
    ("x-forwarded-for", "x-forwarded-*"),
    ("x-forwarded-host", "x-forwarded-*"),
    ("x-forwarded-prefix", "x-forwarded-*"),
    ("x_forwarded_proto", "x-forwarded-*"),
    ("x-real-ip", "x-real-ip"),
    ("x-original-ip", "x-original-*"),
    ("x-original-url", "x-original-*"),
    ("x-client-ip", "x-client-ip"),
    ("true-client-ip", "true-client-ip"),
    ("true_client_ip", "true-client-ip"),
    ("cf-connecting-ip", "cf-connecting-ip"),
    ("x-request-deadline", "x-request-deadline"),
    ("x-timeout-remaining", "x-timeout-remaining"),
    ("x-http-method-override", "x-http-method-override"),
    ("x-method-override", "x-method-override"),
    ("x-rewrite-url", "x-rewrite-url"),
    ("proxy-authorization", "proxy-*"),
    ("Proxy-Connection", "proxy-*"),
    ("www-authenticate", "www-authenticate"),
    ("x_api_key", "other"),
];

const DROPPED: [&str; 24] = [
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "x-request-id",
    "x-correlation-id",
    "sec-fetch-mode",
    "dnt",
    "via",
    "x-tenant",
    "x-requested-with",
    "access-control-request-method",
    "access-control-request-headers",
    "date",
    "server",
    "set-cookie",
    "location",
    "retry-after",
    "x-powered-by",
    "x-frame-options",
    "accept-charset",
    "x_custom_a",
    "if_match",
    "x-wallet",
];

const WEBHOOK_SIGNATURES: [&str; 15] = [
    "stripe-signature",
    "stripe-webhook-id",
    "plaid-verification",
    "x-square-hmacsha256-signature",
    "x-square-signature",
    "x-mailchimp-signature",
    "intuit-signature",
    "x-twilio-signature",
    "x-twilio-email-event-webhook-signature",
    "x-twilio-email-event-webhook-timestamp",
    "x-mandrill-signature",
    "x-webhook-signature",
    "x-webhook-timestamp",
    "x-webhook-nonce",
    "x-webhook-id",
];

const HIDDEN_FROM_CLIENTS: [&str; 45] = [
    "x-internal-a",
    "x-service-a",
    "x-gateway-a",
    "x-tenant-id",
    "x-user-id",
    "x-venue-id",
    "x-original-ip",
    "server",
    "x-powered-by",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "access-control-allow-origin",
    "Access-Control-Allow-Credentials",
    "access-control-request-method",
    "x-request-id",
    "x-correlation-id",
    "x-api-version",
    "api-version",
    "x-response-time",
    "strict-transport-security",
    "x-frame-options",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "origin-agent-cluster",
    "x-dns-prefetch-control",
    "x-download-options",
    "x-permitted-cross-domain-policies",
    "content-security-policy",
    "Server",
    "X-Powered-By",
    "x_internal_a",
    "x_tenant_id",
    "x_user_id",
    "host",
    "expect",
    "content-length",
    "X-Internal-B",
    "Content_Length",
];

const SEEN_BY_CLIENTS: [&str; 18] = [
    "content-type",
    "content-encoding",
    "etag",
    "set-cookie",
    "location",
    "date",
    "retry-after",
    "cache-control",
    "vary",
    "x-user-name",
    "www-authenticate",
    "x-ratelimit-limit",
    "link",
    "content-disposition",
    "x-custom-a",
    "age",
    "accept-ranges",
    "content-security-policy-report-only",
];

/// A parsed request with one more field, and whether that field reaches a service.
fn sent_by_client(name: &str, row: RowKind) -> (bool, StrippedSet) {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Probe: 0\r\n{name}: 100-continue\r\n\r\n");
    let mut head = RequestHead::default();
    let progress = head.parse(text.as_bytes(), &HeadLimits::of_requests(32_768));
    assert!(matches!(progress, Ok(Progress::Complete { .. })), "{name}: {progress:?}");
    let field = head.fields().last().expect("three fields");
    (passes_to_service(field, head.field_set(), text.as_bytes(), row), head.stripped())
}

fn sent_by_service(name: &str) -> bool {
    let text = format!("HTTP/1.1 200 OK\r\n{name}: 1\r\n\r\n");
    let mut head = ResponseHead::default();
    let progress = head.parse(text.as_bytes(), &HeadLimits::UPSTREAM);
    assert!(matches!(progress, Ok(Progress::Complete { .. })), "{name}: {progress:?}");
    let field = head.fields().last().expect("one field");
    passes_to_client(field, head.field_set(), text.as_bytes())
}

#[test]
fn listed_request_headers_pass_on_every_row() {
    for name in PASSED {
        for row in [RowKind::Ordinary, RowKind::Webhook] {
            assert_eq!(sent_by_client(name, row), (true, StrippedSet::default()), "{name}");
        }
    }
}

#[test]
fn dangerous_request_headers_are_stripped_and_counted_under_their_family() {
    for (name, label) in STRIPPED {
        for row in [RowKind::Ordinary, RowKind::Webhook] {
            let (passes, set) = sent_by_client(name, row);
            let labels: Vec<&str> = set.iter().map(StrippedHeader::label).collect();
            assert_eq!((passes, labels), (false, vec![label]), "{name}");
        }
    }
}

#[test]
fn what_passes_beside_a_stripped_header_is_not_counted() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\nX-Tenant-Id: c\r\nCookie: d\r\n\r\n";
    let mut head = RequestHead::default();
    assert!(head.parse(text.as_bytes(), &HeadLimits::of_requests(32_768)).is_ok());
    let labels: Vec<&str> = head.stripped().iter().map(StrippedHeader::label).collect();
    assert_eq!(labels, ["x-tenant-*"]);
}

#[test]
fn other_request_headers_are_dropped_in_silence() {
    for name in DROPPED {
        assert_eq!(sent_by_client(name, RowKind::Ordinary), (false, StrippedSet::default()), "{name}");
    }
    for name in ["host", "connection", "content-length", "transfer-encoding", "expect"] {
        let known = KnownHeader::classify(name.as_bytes());
        assert_eq!(request_rule(known), RequestRule::Drop, "{name}");
    }
}

#[test]
fn signature_headers_pass_on_webhook_rows_only() {
    for name in WEBHOOK_SIGNATURES {
        assert_eq!(sent_by_client(name, RowKind::Webhook), (true, StrippedSet::default()), "{name}");
        assert_eq!(sent_by_client(name, RowKind::Ordinary), (false, StrippedSet::default()), "{name}");
    }
}

#[test]
fn fields_that_connection_names_stop_here() {
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: cookie, X-Unknown\r\nCookie: a=b\r\nAccept: c\r\n\r\n";
    let mut head = RequestHead::default();
    assert!(head.parse(text.as_bytes(), &HeadLimits::of_requests(32_768)).is_ok());
    let passed: Vec<KnownHeader> = head
        .fields()
        .iter()
        .filter(|field| passes_to_service(field, head.field_set(), text.as_bytes(), RowKind::Ordinary))
        .map(|field| field.known)
        .collect();
    assert_eq!(passed, [KnownHeader::Accept]);
    assert!(head.stripped().contains(StrippedHeader::Other));

    let text = "HTTP/1.1 200 OK\r\nConnection: etag\r\nETag: x\r\nVary: y\r\n\r\n";
    let mut head = ResponseHead::default();
    assert!(head.parse(text.as_bytes(), &HeadLimits::UPSTREAM).is_ok());
    let passed = head
        .fields()
        .iter()
        .filter(|field| passes_to_client(field, head.field_set(), text.as_bytes()))
        .count();
    assert_eq!(passed, 1);
}

#[test]
fn services_cannot_show_clients_what_is_internal() {
    for name in HIDDEN_FROM_CLIENTS {
        assert!(!sent_by_service(name), "{name}");
    }
    assert_eq!(response_rule(KnownHeader::TransferEncoding), ResponseRule::Drop);
    for name in SEEN_BY_CLIENTS {
        assert!(sent_by_service(name), "{name}");
    }
}

#[test]
fn labels_are_distinct_and_sets_hold_each() {
    let labels: std::collections::HashSet<&str> =
        StrippedHeader::ALL.into_iter().map(StrippedHeader::label).collect();
    assert_eq!(labels.len(), StrippedHeader::ALL.len());
    for header in StrippedHeader::ALL {
        let mut set = StrippedSet::default();
        assert!(set.is_empty() && !set.contains(header));
        set.insert(header);
        assert!(!set.is_empty());
        assert_eq!(set.iter().collect::<Vec<_>>(), [header]);
    }
}

#[test]
fn what_proxies_add_is_told_apart_from_attacks() {
    let facts: Vec<&str> = StrippedHeader::ALL
        .into_iter()
        .filter(|header| header.is_proxy_fact())
        .map(StrippedHeader::label)
        .collect();
    let expected = [
        "forwarded",
        "x-forwarded-*",
        "x-real-ip",
        "x-original-*",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ];
    assert_eq!(facts, expected);
}

#[test]
fn every_rule_that_strips_is_noticed_by_the_quick_test() {
    let families = known::FAMILIES.iter().map(|(_, known)| *known);
    let all = known::NAMES.iter().map(|(_, known)| *known).chain(families).chain([KnownHeader::SpelledAlike]);
    for known in all {
        let strips = matches!(request_rule(known), RequestRule::Strip(_));
        assert_eq!(strips, STRIPPED_BITS & known.bit() != 0, "{known:?}");
        assert_eq!(stripped_bit(known), if strips { known.bit() } else { 0 }, "{known:?}");
    }
    assert_eq!(request_rule(KnownHeader::Unknown), RequestRule::Drop);
}

#[test]
fn every_stripped_name_is_stripped_in_any_spelling() {
    let families = known::FAMILIES.iter().map(|(prefix, known)| (format!("{prefix}any"), *known));
    let names = known::NAMES.iter().map(|(name, known)| ((*name).to_owned(), *known));
    for (name, known) in names.chain(families) {
        let RequestRule::Strip(header) = request_rule(known) else { continue };
        let dashes: Vec<usize> = name.match_indices('-').map(|(at, _)| at).collect();
        for chosen in 1..1_u32 << dashes.len() {
            let mut spelled = name.clone().into_bytes();
            for (bit, at) in dashes.iter().enumerate() {
                if chosen & (1 << bit) != 0 {
                    spelled[*at] = b'_';
                }
            }
            let rule = request_rule(KnownHeader::classify(&spelled));
            let text = String::from_utf8_lossy(&spelled).into_owned();
            let other = RequestRule::Strip(StrippedHeader::Other);
            assert!(rule == RequestRule::Strip(header) || rule == other, "{text}: {rule:?}");
        }
    }
}
