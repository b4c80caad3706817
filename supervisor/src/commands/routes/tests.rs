//! What an operator reads.

use super::table;
use edge_worker::config::routes::{
    Access, Local, Notes, Part, Row, Segment, ShedClass, Target, VenueFrom, VenueNeed,
};
use edge_worker::config::services::{Criticality, Service, ServiceId};
use edge_worker::http::method::MethodSet;

fn services() -> Vec<Service> {
    vec![Service {
        name: "venue".to_owned(),
        instances: Vec::new(),
        criticality: Criticality::Ready,
        read_timeout_ms: 5_000,
        write_timeout_ms: 10_000,
        body_bytes_max: 0,
        pool_idle_ms: 0,
        health_path: String::new(),
    }]
}

fn row(access: Access, target: Target) -> Row {
    Row {
        id: "V3".to_owned(),
        template: "/api/v1/venues/{venueId}/staff/**".to_owned(),
        segments: ["api", "v1", "venues"]
            .map(|literal| Segment::Literal(literal.to_owned()))
            .into_iter()
            .chain([
                Segment::Parameter("venueId".to_owned()),
                Segment::Literal("staff".to_owned()),
                Segment::Rest,
            ])
            .collect(),
        methods: MethodSet::READ,
        target,
        access,
        timeout_ms: None,
        body_bytes_max: None,
        notes: Notes::default(),
        class: ShedClass::Browsing,
        reason: String::new(),
    }
}

fn venue() -> Target {
    let upstream = vec![Part::Literal("/api/v1/venues".to_owned()), Part::Segment(3), Part::RestFrom(4)];
    Target::Service { service: ServiceId(0), upstream }
}

fn second_line(row: Row) -> String {
    let text = table(&[row], &services());
    text.lines().nth(1).expect("one row").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_row_shows_methods_path_access_upstream_and_time_outs() {
    let access = Access::Venue { need: VenueNeed::Member, venue: VenueFrom::Segment(3) };
    assert_eq!(
        second_line(row(access, venue())),
        "V3 GET,HEAD /api/v1/venues/{venueId}/staff/** venue:member of {venueId} \
         venue /api/v1/venues/{venueId}/** 5000/10000 ms"
    );
}

#[test]
fn a_public_row_shows_its_reason() {
    let public = Row { reason: "login page".to_owned(), ..row(Access::Public, Target::Local(Local::Live)) };
    assert!(second_line(public).ends_with("pub edge: live - login page"));
}

#[test]
fn a_class_of_several_shows_all_of_them() {
    let either = Access::Any(vec![
        Access::Own { segment: 3 },
        Access::Staff("customers:view".to_owned()),
        Access::Role(vec!["admin".to_owned(), "operator".to_owned()]),
    ]);
    assert!(
        second_line(row(either, venue()))
            .contains("own:venueId or staff:customers:view or role:admin,operator")
    );
}

#[test]
fn a_denied_row_goes_nowhere_and_a_time_out_of_its_own_wins() {
    assert!(second_line(row(Access::User, Target::Deny)).contains("user - (404) -"));
    let slow = Row { timeout_ms: Some(30_000), ..row(Access::User, venue()) };
    assert!(second_line(slow).ends_with("30000 ms"));
}

#[test]
fn columns_are_aligned() {
    let text = table(&[row(Access::User, venue()), row(Access::Public, Target::Deny)], &services());
    let columns: Vec<_> =
        text.lines().map(|line| line.find("METHODS").or_else(|| line.find("GET"))).collect();
    assert!(columns.iter().all(|column| *column == columns[0] && column.is_some()), "{text}");
}
