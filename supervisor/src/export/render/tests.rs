//! The text of a scrape.

use super::*;
use edge_worker::config::NameTable;
use edge_worker::http::header_rules::StrippedHeader;
use edge_worker::http::method::Method;
use edge_worker::telemetry::labels::{ConnectionRefusal, Downstream};
use edge_worker::telemetry::metrics::Meters;
use edge_worker::telemetry::metrics::meters::Outcome;
use shm::SupervisorRegion;
use shm::names::NameKind;
use shm::workers::Driver;

struct Bench {
    region: SupervisorRegion,
    names: NameTable,
    facts: Facts,
    spool: Spool,
}

impl Bench {
    fn new() -> Self {
        let region = SupervisorRegion::create().expect("a memfd can be made");
        let intern = |kind, text| {
            region.authority().names.intern(region.writer(), kind, text).expect("there is room").number()
        };
        let names = NameTable {
            routes: vec![intern(NameKind::Route, "/api/v1/venues/{venueId}")],
            services: vec![intern(NameKind::Service, "venue")],
            ..NameTable::default()
        };
        let facts = Facts {
            version: "1.2.3".to_owned(),
            revision: "abc".to_owned(),
            config_hash: "f00".to_owned(),
            config_applied_ms: 1_500,
            workers: 2,
            services: vec!["venue".to_owned()],
            follows_redis: false,
        };
        Bench { region, names, facts, spool: Spool::start(std::io::sink(), 1).expect("a thread") }
    }

    fn meters(&self, slot: u16) -> Meters {
        Meters::new(&self.region.shared().counters[usize::from(slot)], &self.names, slot)
    }

    fn start(&self, slot: usize) {
        let worker = &self.region.shared().workers[slot];
        worker.begin(std::process::id(), 1);
        worker.set_phase(Phase::Serving);
        worker.set_driver(Driver::Epoll);
    }

    fn text(&self) -> String {
        self.text_with(&[])
    }

    fn text_with(&self, instances: &[Seen]) -> String {
        let (authority, shared) = (self.region.authority(), self.region.shared());
        let scrape = Scrape::take(authority, shared, &self.facts, &self.spool, instances);
        String::from_utf8(scrape.render()).expect("the text is UTF-8")
    }
}

fn request(meters: &Meters, status: u16) {
    let outcome = Outcome { status, duration_ns: 3_000_000, bytes_in: 0, bytes_out: 150 };
    meters.request(Some(0), Some(Method::Get), outcome);
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no line `{line}` in\n{text}");
}

#[test]
fn the_workers_are_summed_and_labels_are_words() {
    let bench = Bench::new();
    for slot in [0, 1] {
        bench.start(usize::from(slot));
        let meters = bench.meters(slot);
        request(&meters, 200);
        meters.downstream(0, Downstream::ConnectError, 1);
        meters.connection_refused(ConnectionRefusal::AddressRate);
        meters.stripped(StrippedHeader::XTenant);
        bench.region.shared().workers[usize::from(slot)].connections_add();
    }
    let text = bench.text();
    let labels = "method=\"GET\",path=\"/api/v1/venues/{venueId}\"";
    has(&text, &format!("gateway_http_requests_total{{{labels},status=\"200\"}} 2"));
    has(&text, "# TYPE gateway_http_request_duration_seconds histogram");
    has(&text, &format!("gateway_http_request_duration_seconds_bucket{{{labels},le=\"0.001\"}} 0"));
    has(&text, &format!("gateway_http_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 2"));
    has(&text, &format!("gateway_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2"));
    has(&text, &format!("gateway_http_request_duration_seconds_sum{{{labels}}} 0.006"));
    has(&text, &format!("gateway_http_response_size_bytes_bucket{{{labels},le=\"1000\"}} 2"));
    has(&text, "gateway_downstream_requests_total{service=\"venue\",status=\"connect_error\"} 2");
    has(&text, "gateway_connections_refused_total{reason=\"address_rate\"} 2");
    has(&text, "gateway_dangerous_headers_stripped_total{header=\"x-tenant-*\"} 2");
    has(&text, "gateway_active_connections 2");
    has(&text, "gateway_io_driver_info{driver=\"epoll\"} 2");
}

#[test]
fn a_counter_survives_its_worker() {
    let bench = Bench::new();
    bench.start(0);
    request(&bench.meters(0), 200);
    let shared = bench.region.shared();
    shared.counters[0].fold_into(&shared.cumulative);
    shared.workers[0].clear();
    bench.start(1);
    request(&bench.meters(1), 200);
    let text = bench.text();
    has(
        &text,
        "gateway_http_requests_total{method=\"GET\",path=\"/api/v1/venues/{venueId}\",status=\"200\"} 2",
    );
    has(&text, "gateway_worker_up{worker=\"0\"} 0");
    has(&text, "gateway_worker_up{worker=\"1\"} 1");
}

#[test]
fn what_no_worker_counts_is_there_too() {
    let bench = Bench::new();
    let readiness = &bench.region.authority().readiness;
    readiness.set(bench.region.writer(), Check::Service(0), State::Slow, 1, 1);
    let text = bench.text();
    has(&text, "gateway_build_info{version=\"1.2.3\",revision=\"abc\"} 1");
    has(&text, "gateway_config_info{hash=\"f00\"} 1");
    has(&text, "gateway_config_last_reload_timestamp_seconds 1.5");
    has(&text, "gateway_health_check_status{check=\"venue\"} 1");
    has(&text, "gateway_journal_dropped_total 0");
    has(&text, "gateway_cross_tenant_attempts_total 0");
    assert!(!text.contains("check=\"redis\""), "nobody has asked Redis");
    for name in ["process_resident_memory_bytes", "process_open_fds", "gateway_memory_limit_bytes"] {
        let line = text.lines().find(|line| line.starts_with(name)).expect("the metric is there");
        let value: f64 = line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a number");
        assert!(value > 0.0, "{line}");
    }
}

#[test]
fn a_metric_of_another_version_is_left_out() {
    let bench = Bench::new();
    let cumulative = &bench.region.shared().cumulative;
    cumulative.add(cumulative.counter(shm::counters::SeriesKey::new(9_999, 1, 2, 3)), 1);
    assert!(bench.text().contains("gateway_build_info"));
}

#[test]
fn dropped_records_and_lines_are_counted() {
    let bench = Bench::new();
    let journal = &bench.region.shared().journals[5];
    while journal.push(&[0]) {}
    bench.spool.push(&mut b"longer than the spool\n".to_vec(), 3);
    let text = bench.text();
    has(&text, "gateway_journal_dropped_total 1");
    has(&text, "gateway_log_lines_dropped_total 3");
}

#[test]
fn instances_are_shown_as_they_are_and_only_those_that_are_listed() {
    let bench = Bench::new();
    let view = |health, ejected_ms, latency_us| shm::endpoints::View {
        health,
        since_ms: 0,
        ejected_ms,
        ejections: 0,
        failures: 0,
        latency_us,
        in_flight: 3,
        share: 0,
    };
    let seen = |port, view| Seen { service: "venue".to_owned(), address: ([10, 0, 0, 1], port).into(), view };
    let text = bench.text_with(&[
        seen(1, Some(view(Health::Up, 0, 2_500))),
        seen(2, Some(view(Health::Down, 9, 0))),
        seen(3, Some(view(Health::Unknown, 0, 0))),
        seen(4, None),
    ]);
    let named = |name: &str, port: u16| {
        format!("gateway_instance_{name}{{service=\"venue\",instance=\"10.0.0.1:{port}\"}}")
    };
    for (name, port, value) in [
        ("up", 1, "1"),
        ("up", 2, "0"),
        ("ejected", 1, "0"),
        ("ejected", 2, "1"),
        ("ejected", 3, "0"),
        ("requests_in_flight", 1, "3"),
        ("latency_seconds", 1, "0.0025"),
    ] {
        has(&text, &format!("{} {value}", named(name, port)));
    }
    for (name, port) in [("up", 3), ("latency_seconds", 2), ("ejected", 4)] {
        assert!(!text.contains(&named(name, port)), "{name} {port}");
    }
    assert!(!bench.text().contains("gateway_instance_ejected"));
}
