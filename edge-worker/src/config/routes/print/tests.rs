//! The printed table and the reference page.

use super::*;
use crate::config::bulkheads::Bulkhead;
use crate::config::routes::{Source, load};
use crate::config::services::{Criticality, SERVICES, Service};

fn services() -> Vec<Service> {
    let service = |name: &str| Service {
        name: name.to_owned(),
        instances: Vec::new(),
        criticality: Criticality::Normal,
        read_timeout_ms: 5_000,
        write_timeout_ms: 10_500,
        body_bytes_max: 10 * 1024 * 1024,
        pool_idle_ms: 60_000,
        health_path: "/health".to_owned(),
        breaker: SERVICES[0].breaker,
        bulkhead: Bulkhead { in_flight_max: 1, queue_max: 1, queue_ms: 1 },
    };
    SERVICES.iter().map(|defaults| service(defaults.name)).collect()
}

/// The printed line of one row, with single blanks.
fn line(keys: &str, services: &[Service]) -> String {
    let text = format!(r#"routes = [{{ id = "A", {keys} }}]"#);
    let rows = load(Some(Source { name: "test", text: &text }), &[], &[]).expect("a valid row");
    let printed = print(&rows, services);
    let line = printed.lines().nth(1).expect("a heading and a row");
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_row_prints_with_what_its_service_fills_in() {
    let services = services();
    for (keys, wanted) in [
        (
            r#"path = "/a", methods = "A", service = "auth", access = "user""#,
            "A A /a user auth /a 5 / 10.500 10MiB admitted",
        ),
        (
            r#"path = "/a", methods = "R", service = "auth", access = "user""#,
            "A R /a user auth /a 5 10MiB admitted",
        ),
        (
            r#"path = "/a", methods = "PUT", service = "auth", access = "user", body = 1000"#,
            "A PUT /a user auth /a 10.500 1000 admitted",
        ),
        (
            r#"path = "/a/{x}/**", methods = "R", service = "order", access = "own:x", upstream = "/o/{x}/b/**", timeout_s = 7, body = 0, class = "checkout""#,
            "A R /a/{x}/** own:x order /o/{x}/b/** 7 0 checkout",
        ),
        (r#"path = "/a", methods = "W", access = "deny""#, "A W /a deny 404 never"),
        (
            r#"path = "/a", methods = "R", local = "live", access = "pub", body = "1KiB", reason = "it is""#,
            "A R /a pub edge 1KiB never public: it is",
        ),
        (
            r#"path = "/a", methods = "R", local = "service-health", service = "auth", access = "user", class = "browsing""#,
            "A R /a user edge: health of auth service browsing",
        ),
    ] {
        assert_eq!(line(keys, &services), wanted);
    }
}

#[test]
fn notes_print_in_words() {
    let keys = r#"path = "/a/{x}", methods = "R", service = "auth", access = "user", idempotency = "uuid",
        validated = "fees", cache_s = 3, stream = true, buffered = true, body = 9, webhook = true, uuid = ["x"], deprecated = "/b/{x}""#
        .replace('\n', " ");
    let wanted = "A R /a/{x} user auth /a/{x} service 9 admitted \
        idem-UUID; validated; cache 3; stream; buffered; webhook; x is a UUID; deprecated for /b/{x}";
    assert_eq!(line(&keys, &[]), wanted);
    let keys = r#"path = "/a", methods = "R", service = "auth", access = "user", idempotency = "optional""#;
    assert!(line(keys, &[]).ends_with("admitted idem"));
    let keys = r#"path = "/a", methods = "R", service = "auth", access = "user", outage = "claims", stale = "check""#;
    assert!(line(keys, &[]).ends_with("admitted in an outage: claims; stale: check"));
    let keys = r#"path = "/a", methods = "A", service = "auth", access = "role:admin", outage = "deny", stale = "serve""#;
    assert!(line(keys, &[]).ends_with("admitted in an outage: deny"), "what a row does anyway is not said");
    let sunset = [("P1".to_owned(), "tomorrow".to_owned())];
    let rows = load(None, &[], &sunset).expect("valid");
    assert!(print(&rows, &[]).contains("deprecated for /api/v1/payments/process; ends tomorrow"));
}

#[test]
fn columns_line_up_and_every_public_row_says_why() {
    let rows = load(None, &["mandrill".to_owned()], &[]).expect("valid");
    let printed = print(&rows, &services());
    assert_eq!(printed.lines().count(), rows.len() + 1);
    let heading = printed.lines().next().expect("a heading");
    let column = heading.find("access").expect("a column for access");
    for (line, row) in printed.lines().skip(1).zip(&rows) {
        assert_eq!(line.get(column - 1..column), Some(" "), "{line}");
        assert_eq!(row.access.is_public(), line.contains("public: "), "{line}");
    }
}

#[test]
fn a_row_that_points_nowhere_still_prints() {
    let mut rows = load(None, &[], &[]).expect("valid");
    rows.truncate(1);
    for row in &mut rows {
        row.target = Target::Service { service: ServiceId(99), upstream: vec![Part::Segment(7)] };
        row.notes.uuid_segments = vec![7];
    }
    assert!(print(&rows, &[]).contains("? /{}"));
}

#[test]
fn the_reference_page_lists_every_row_of_the_built_in_table() {
    let page = reference();
    for row in load(None, &["mandrill".to_owned()], &[]).expect("valid") {
        assert!(page.contains(&format!("| {} | ", row.template)), "{} is missing", row.template);
    }
    let table = page.lines().filter(|line| line.starts_with("| E1 "));
    assert!(table.clone().count() == 6 && table.clone().all(|line| line.matches(" | ").count() == 8));
}
