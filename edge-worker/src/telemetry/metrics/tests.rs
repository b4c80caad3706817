//! The table, and what the worker's handle counts into the region.

use super::meters::Outcome;
use super::*;
use crate::config::NameTable;
use crate::http::header_rules::StrippedHeader;
use crate::http::method::Method;
use crate::identity::fault::TokenFault;
use crate::pipeline::rejection::{Denial, Rejection};
use crate::telemetry::labels::{Cache, CacheResult, ConnectionRefusal, Downstream, Phase, Reason};
use crate::telemetry::security_events::SecurityEvent;
use shm::SupervisorRegion;
use shm::counters::Counters;
use std::collections::{HashMap, HashSet};

const ROUTE: u16 = 11;
const SERVICE: u16 = 21;
const SLOT: u16 = 3;

fn meters() -> (Meters, &'static Counters) {
    let shared = SupervisorRegion::create().expect("a memfd can be made").shared();
    let counters = &shared.counters[usize::from(SLOT)];
    let names = NameTable { routes: vec![10, ROUTE], services: vec![20, SERVICE], ..NameTable::default() };
    (Meters::new(counters, &names, SLOT), counters)
}

fn value(counters: &Counters, metric: Metric, labels: [u16; 3]) -> u64 {
    let mut found = 0;
    counters.each_counter(|key, value| {
        if key.metric() == metric.number() && key.labels() == labels {
            found += value;
        }
    });
    found
}

/// Buckets, sum and count of a histogram.
fn distribution(counters: &Counters, metric: Metric, labels: [u16; 3]) -> (Vec<u64>, u64, u64) {
    let mut found = (Vec::new(), 0, 0);
    counters.each_histogram(|key, buckets, sum, count| {
        if key.metric() == metric.number() && key.labels() == labels {
            found = (buckets.to_vec(), sum, count);
        }
    });
    found
}

fn outcome(status: u16, duration_ns: u64) -> Outcome {
    Outcome { status, duration_ns, bytes_in: 0, bytes_out: 2_000 }
}

#[test]
fn names_of_metrics_are_unique_and_follow_the_conventions() {
    let mut names = HashSet::new();
    for definition in TABLE {
        assert!(names.insert(definition.name), "{} stands twice", definition.name);
        assert_eq!(definition.metric.definition().name, definition.name);
        assert_eq!(Metric::from_number(definition.metric.number()), Some(definition.metric));
        let prefixed = definition.name.starts_with("gateway_") || definition.name.starts_with("process_");
        assert!(prefixed, "{}", definition.name);
        assert_eq!(
            definition.kind == Kind::Counter,
            definition.name.ends_with("_total"),
            "{}",
            definition.name
        );
        assert_eq!(definition.kind == Kind::Histogram, !definition.buckets.is_empty(), "{}", definition.name);
        assert!(definition.buckets.is_sorted_by(|one, next| one < next), "{}", definition.name);
        assert!(
            definition.help.ends_with('.') || definition.help.contains(';') || definition.help.contains(',')
        );
    }
    assert_eq!(Metric::from_number(0), None);
    assert_eq!(Metric::from_number(TABLE.len() as u16 + 1), None);
}

#[test]
fn a_bound_belongs_to_its_own_bucket() {
    let bounds = &[100, 1_000];
    assert_eq!([0, 100, 101, 1_000, 1_001].map(|value| bucket(bounds, value)), [0, 0, 1, 1, 2]);
}

#[test]
fn a_request_counts_under_its_template_method_and_status() {
    let (meters, counters) = meters();
    for _ in 0..3 {
        meters.request(Some(1), Some(Method::Get), outcome(200, 3_000_000));
    }
    meters.request(Some(1), Some(Method::Get), outcome(404, 40_000_000_000));
    meters.request(Some(1), Some(Method::Post), outcome(200, 1));
    let get = Method::Get as u16;
    assert_eq!(value(counters, Metric::HttpRequests, [get, ROUTE, 200]), 3);
    assert_eq!(value(counters, Metric::HttpRequests, [get, ROUTE, 404]), 1);
    assert_eq!(value(counters, Metric::HttpRequests, [Method::Post as u16, ROUTE, 200]), 1);
    let (buckets, sum, count) = distribution(counters, Metric::HttpRequestDuration, [get, ROUTE, 0]);
    assert_eq!((buckets[1], buckets[13], sum, count), (3, 1, 40_009_000_000, 4));
    let (buckets, sum, _) = distribution(counters, Metric::HttpResponseSize, [get, ROUTE, 0]);
    assert_eq!((buckets[2], sum), (4, 8_000));
}

#[test]
fn a_request_without_a_row_or_a_known_method_counts_as_unmatched_and_other() {
    let (meters, counters) = meters();
    meters.request(None, None, outcome(405, 1));
    // A row that no configuration has is not believed.
    meters.request(Some(99), Some(Method::Get), outcome(404, 1));
    assert_eq!(value(counters, Metric::HttpRequests, [Method::ALL.len() as u16, 0, 405]), 1);
    assert_eq!(value(counters, Metric::HttpRequests, [Method::Get as u16, 0, 404]), 1);
}

#[test]
fn more_statuses_than_are_remembered_still_count_each_for_itself() {
    let (meters, counters) = meters();
    let mut expected = HashMap::new();
    for round in 0..3 {
        for status in 200..230 {
            meters.request(Some(0), Some(Method::Put), outcome(status, round));
            *expected.entry(status).or_insert(0) += 1;
        }
    }
    for (status, times) in expected {
        assert_eq!(
            value(counters, Metric::HttpRequests, [Method::Put as u16, 10, status]),
            times,
            "{status}"
        );
    }
}

#[test]
fn a_call_counts_under_its_service_and_how_it_ended() {
    let (meters, counters) = meters();
    meters.downstream(1, Downstream::Status(502), 7_000_000);
    meters.downstream(1, Downstream::Timeout, 5_000_000_000);
    meters.downstream(1, Downstream::Aborted, 1);
    meters.downstream(9, Downstream::Status(200), 1);
    meters.timeout(1, Phase::Head);
    meters.timeout(9, Phase::Head);
    assert_eq!(value(counters, Metric::DownstreamRequests, [SERVICE, 502, 0]), 1);
    assert_eq!(value(counters, Metric::DownstreamRequests, [SERVICE, Downstream::Timeout.number(), 0]), 1);
    assert_eq!(value(counters, Metric::DownstreamRequests, [SERVICE, Downstream::Aborted.number(), 0]), 1);
    assert_eq!(value(counters, Metric::Timeouts, [SERVICE, Phase::Head as u16, 0]), 1);
    let (_, sum, count) = distribution(counters, Metric::DownstreamRequestDuration, [SERVICE, 0, 0]);
    assert_eq!((sum, count), (5_007_000_001, 3));
}

#[test]
fn authentication_counts_attempts_failures_and_the_token_cache() {
    let (meters, counters) = meters();
    meters.verified(true, 300);
    meters.verified(true, 300);
    meters.verified(false, 22_000);
    meters.not_verified(TokenFault::Expired, 900);
    meters.not_verified(TokenFault::MissingToken, 10);
    for fault in [TokenFault::Expired, TokenFault::MissingToken, TokenFault::Revoked] {
        meters.authentication(Err(Rejection::Unauthorized(fault)));
    }
    meters.authentication(Err(Rejection::CheckUnavailable));
    meters.authentication(Err(Rejection::CrossTenant));
    meters.authentication(Ok(()));
    meters.refresh_rejected();
    assert_eq!(value(counters, Metric::AuthAttempts, [0, 0, 0]), 2);
    assert_eq!(value(counters, Metric::AuthAttempts, [1, 0, 0]), 4);
    assert_eq!(value(counters, Metric::CacheHits, [Cache::Token as u16, 0, 0]), 2);
    assert_eq!(value(counters, Metric::CacheMisses, [Cache::Token as u16, 0, 0]), 1);
    let expired = Reason::of(Rejection::Unauthorized(TokenFault::Expired)).number();
    assert_eq!(value(counters, Metric::AuthFailures, [expired, 0, 0]), 1);
    for (reason, word) in
        [(Reason::AUTH_UNAVAILABLE, "auth_unavailable"), (Reason::REFRESH_REJECTED, "refresh_rejected")]
    {
        assert_eq!(value(counters, Metric::AuthFailures, [reason.number(), 0, 0]), 1, "{word}");
        assert_eq!(Reason::from_number(reason.number()).word(), word);
    }
    let (buckets, sum, count) = distribution(counters, Metric::TokenValidationDuration, [0, 0, 0]);
    assert_eq!((buckets[0], sum, count), (2, 600, 2));
    let (buckets, _, count) = distribution(counters, Metric::TokenValidationDuration, [1, 0, 0]);
    assert_eq!((buckets[3], count), (1, 1));
    let (_, _, rejected) = distribution(counters, Metric::TokenValidationDuration, [2, 0, 0]);
    assert_eq!(rejected, 1, "the absence of a token takes no time to validate");
}

#[test]
fn the_numbers_of_stripped_headers_are_their_places() {
    for (place, header) in StrippedHeader::ALL.into_iter().enumerate() {
        assert_eq!(header as usize, place, "{}", header.label());
    }
}

#[test]
fn rare_events_count_under_their_labels() {
    let (meters, counters) = meters();
    meters.denied(Denial::Role);
    meters.rejected(Rejection::CrossTenant);
    meters.cross_tenant();
    meters.security_event(SecurityEvent::TenantMismatch);
    meters.stripped(StrippedHeader::XTenant);
    meters.stripped(StrippedHeader::XTenant);
    meters.stripped(StrippedHeader::Other);
    meters.cache(Cache::User, CacheResult::Error);
    meters.loop_lag(20_000_000);
    meters.panicked();
    meters.connection_refused(ConnectionRefusal::AddressFull);
    meters.closed_under_request();
    let role = Reason::of(Rejection::Forbidden(Denial::Role)).number();
    for (metric, labels, times) in [
        (Metric::AuthzDenials, [role, 0, 0], 1),
        (Metric::Rejections, [Reason::of(Rejection::CrossTenant).number(), 0, 0], 1),
        (Metric::CrossTenantAttempts, [0, 0, 0], 1),
        (Metric::SecurityEvents, [SecurityEvent::TenantMismatch as u16, 3, 0], 1),
        (Metric::DangerousHeadersStripped, [StrippedHeader::XTenant as u16, 0, 0], 2),
        (Metric::DangerousHeadersStripped, [StrippedHeader::Other as u16, 0, 0], 1),
        (Metric::CacheErrors, [Cache::User as u16, 0, 0], 1),
        (Metric::Panics, [0, 0, 0], 1),
        (Metric::ConnectionsRefused, [ConnectionRefusal::AddressFull as u16, 0, 0], 1),
        (Metric::ConnectionsClosedUnderRequest, [0, 0, 0], 1),
    ] {
        assert_eq!(value(counters, metric, labels), times, "{metric:?}");
    }
    let (_, sum, count) = distribution(counters, Metric::WorkerLoopLag, [SLOT, 0, 0]);
    assert_eq!((sum, count), (20_000_000, 1));
}

#[test]
fn the_reference_page_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");
    let page = reference::reference();
    if std::env::var_os("FLOODGATE_BLESS").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(path).expect("the page is committed");
    assert!(committed == page, "docs/reference/metrics.md is not the table: FLOODGATE_BLESS=1 rewrites it");
    assert!(TABLE.iter().all(|definition| page.contains(&format!("`{}`", definition.name))));
}
