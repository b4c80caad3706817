//! One case at least for every row and alias of the platform's table, in `cases.txt`.

use super::*;
use crate::config::routes::{Access, Local};
use std::collections::BTreeSet;

struct Case<'c> {
    method: Method,
    path: &'c str,
    id: &'c str,
    service: &'c str,
    upstream: &'c str,
    access: &'c str,
}

fn cases() -> Vec<Case<'static>> {
    let lines = include_str!("../cases.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(case).collect()
}

fn case(line: &'static str) -> Vec<Case<'static>> {
    let fields: Vec<&str> = line.split(" | ").collect();
    let [request, id, service, upstream, access] = fields.as_slice() else {
        panic!("malformed case: {line}")
    };
    let (methods, path) = request.split_once(' ').expect("a case has methods and a path");
    let parse = |word: &str| Method::parse(word.as_bytes()).expect("a case names methods");
    methods.split(',').map(|word| Case { method: parse(word), path, id, service, upstream, access }).collect()
}

fn service_word(row: &Row) -> String {
    let name = |service: ServiceId| service.defaults().expect("a row names one of the services").name;
    match row.target {
        Destination::Service { service, .. } => name(service).to_owned(),
        Destination::Local(Local::ServiceHealth(service)) => format!("health:{}", name(service)),
        Destination::Local(_) => "edge".to_owned(),
        Destination::Deny => "-".to_owned(),
    }
}

/// Checks one case under `path` and returns the index of its row.
fn check(table: &RouteTable, case: &Case<'_>, path: &str) -> usize {
    let place = format!("{} {path}", case.method.as_str());
    let bytes = path.as_bytes();
    let target = Target::parse(bytes).expect("every case has a valid target");
    if case.access == "404" {
        let refused = table.find(case.method, &target, bytes);
        assert!(matches!(refused, Err(Rejection::NotFound)), "{place}: {refused:?}");
        let denied = Search { table, method: case.method, target: &target, bytes }.below(ROOT, 0);
        return denied.expect("a denied path has a row");
    }
    with_match(table, case.method, path, |matched, bytes| {
        let row = matched.row();
        let mut upstream = Vec::new();
        matched.write_upstream(bytes, &mut upstream);
        let wanted = if case.upstream == "-" { "" } else { case.upstream };
        assert_eq!(row.id, case.id, "{place}");
        assert_eq!(service_word(row), case.service, "{place}");
        assert_eq!(String::from_utf8_lossy(&upstream), wanted, "{place}");
        assert_eq!(row.access.words(&row.segments), case.access, "{place}");
        assert_eq!(row.access.is_public(), !row.reason.is_empty(), "{place}");
        matched.index()
    })
}

#[test]
fn every_row_of_the_platform_is_reached_with_its_service_upstream_and_access() {
    let table = table();
    let mut reached = BTreeSet::new();
    for case in cases() {
        reached.insert(check(&table, &case, case.path));
    }
    for (index, row) in table.rows().iter().enumerate() {
        let alias_of_prefix =
            row.notes.deprecated.is_some() && matches!(row.id.as_bytes(), [b'V' | b'N' | b'T' | b'E', ..]);
        assert!(alias_of_prefix || reached.contains(&index), "no case reaches {} {}", row.id, row.template);
    }
}

#[test]
fn a_singular_path_is_the_plural_one_deprecated() {
    let table = table();
    let mut reached = BTreeSet::new();
    for case in cases() {
        for (plural, singular) in
            [("/api/v1/venues", "venue"), ("/api/v1/events", "event"), ("/api/v1/tickets", "ticket")]
        {
            let Some(below) = case.path.strip_prefix(plural) else { continue };
            let index = check(&table, &case, &format!("/api/v1/{singular}{below}"));
            let row = table.rows().get(index).expect("the index is of this table");
            assert!(row.notes.deprecated.is_some(), "{} is not marked as deprecated", row.template);
            reached.insert(index);
        }
    }
    assert!(reached.len() > 60, "only {} singular rows were reached", reached.len());
}

#[test]
fn any_other_spelling_of_a_route_needs_a_token() {
    let table = table();
    for case in cases().iter().filter(|case| !case.access.starts_with("404")) {
        let path = case.path.to_ascii_uppercase();
        let target = Target::parse(path.as_bytes()).expect("every case has a valid target");
        if let Ok(Found::Row(matched)) = table.find(case.method, &target, path.as_bytes()) {
            assert!(!matched.row().access.is_public(), "{path} is public");
        }
        if case.access != "pub" && case.access != "scrapers" {
            with_match(&table, case.method, &path, |matched, _| {
                assert_eq!(matched.row().access.words(&matched.row().segments), case.access, "{path}");
            });
        }
    }
}

#[test]
fn nothing_below_or_beside_a_public_path_is_public() {
    let table = table();
    for case in cases().iter().filter(|case| case.access == "pub") {
        for path in [format!("{}/x", case.path), format!("{}x", case.path), format!("/x{}", case.path)] {
            let target = Target::parse(path.as_bytes()).expect("the target is valid");
            if let Ok(Found::Row(matched)) = table.find(case.method, &target, path.as_bytes()) {
                let public = matched.row().access == Access::Public;
                let by_parameter = matched.row().template.ends_with('}');
                assert!(!public || by_parameter, "{path} is public by {}", matched.row().template);
            }
        }
    }
}

#[test]
fn public_rows_are_these_and_no_others() {
    let table = table();
    let public: BTreeSet<&str> =
        table.rows().iter().filter(|row| row.access.is_public()).map(|row| row.id.as_str()).collect();
    let wanted = ["A1", "A2", "A3", "E1", "E2", "E4", "E5", "I1", "V9", "W1", "X1"];
    assert_eq!(public.into_iter().collect::<Vec<_>>(), wanted);
}
