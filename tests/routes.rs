//! Every row of the built-in table, through the listener: who is let in, and where a request arrives.

use crate::harness::edge::SERVICES;
use crate::harness::token::{TENANT, USER};
use crate::harness::{Backend, Command, Edge, Response, Script, Token};
use edge_worker::config::routes::{self, Access, Notes, Part, Row, Segment, Target};
use edge_worker::http::method::Method;

/// A UUID that no row and no token knows.
const SOME_ID: &str = "77777777-9999-4999-8999-777777777777";

fn table() -> Vec<Row> {
    routes::load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid")
}

/// A path that this row matches and, by its odd words, no other literal does.
fn path_of(row: &Row, own: Option<&str>) -> String {
    let mut path = String::new();
    for (index, segment) in row.segments.iter().enumerate() {
        let is_own = matches!(&row.access, Access::Own { segment } if usize::from(*segment) == index);
        let word = match segment {
            Segment::Literal(word) => word.as_str(),
            Segment::Parameter(_) if is_own => own.unwrap_or(SOME_ID),
            Segment::Parameter(_) => SOME_ID,
            Segment::Rest => "zz-probe",
        };
        path.push('/');
        path.push_str(word);
    }
    path
}

fn send(edge: &Edge, method: Method, path: &str, token: Option<&str>) -> Response {
    let mut client = edge.client();
    let mut request = client.request(method.as_str(), path);
    if let Some(token) = token {
        request = request.bearer(token);
    }
    request.send()
}

#[test]
fn without_a_token_every_row_is_public_or_refused() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut refused = 0;
    let mut faults = Vec::new();
    for row in table() {
        for method in row.methods.iter() {
            let path = path_of(&row, None);
            let before = backend.hits();
            let status = send(&edge, method, &path, None).status;
            let forwarded = backend.hits() > before;
            let expected = match (&row.target, &row.access) {
                (Target::Deny, _) => status == 404 && !forwarded,
                (Target::Local(_), Access::Public | Access::Scrapers) => {
                    matches!(status, 200 | 503) && !forwarded
                }
                (_, Access::Public | Access::Scrapers) => status == 200 && forwarded,
                _ => {
                    refused += 1;
                    status == 401 && !forwarded
                }
            };
            if !expected {
                let access = &row.access;
                faults.push(format!(
                    "{} {} {path} ({access:?}): {status}, forwarded: {forwarded}",
                    row.id,
                    method.as_str()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    edge.counts("gateway_auth_failures_total", &[("reason", "missing_token")], refused);
    assert!(refused > 300, "the table has hundreds of rows behind a token: {refused}");
}

#[test]
fn with_rights_every_row_reaches_the_mount_of_its_service() {
    let backends: Vec<Backend> = SERVICES.iter().map(|entry| Backend::named(entry.0)).collect();
    let first = backends.first().expect("nineteen services");
    let command = SERVICES
        .iter()
        .zip(&backends)
        .fold(Command::run(first), |command, (entry, backend)| command.service(entry.0, backend));
    let edge = command.start();
    let token = Token::of_role("superadmin").build();
    let mut faults = Vec::new();
    for row in table().iter().filter(|row| !needs_a_later_stage(&row.notes)) {
        let Target::Service { service, upstream } = &row.target else { continue };
        let name = SERVICES.get(usize::from(service.0)).expect("a service of the table").0;
        // Everything below the bare path is Y1's: a parameter beats a remainder.
        if row.template == "/api/v1/analytics/metrics/**" {
            continue;
        }
        for method in row.methods.iter().filter(|method| *method != Method::Head) {
            let path = path_of(row, Some(USER));
            let wanted = target_of(upstream, &path);
            let answer = send(&edge, method, &path, Some(&token));
            if answer.status != 200 {
                faults.push(format!("{} {} {path}: {}", row.id, method.as_str(), answer.status));
                continue;
            }
            let echo = answer.json();
            if (echo["service"].as_str(), echo["target"].as_str()) != (Some(name), Some(wanted.as_str())) {
                faults.push(format!(
                    "{} {path}: {} {}, not {name} {wanted}",
                    row.id, echo["service"], echo["target"]
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn needs_a_later_stage(notes: &Notes) -> bool {
    notes.validated.is_some() || notes.idempotency == routes::Idempotency::RequiredUuid
}

/// What the parts of an upstream path make of a client's path.
fn target_of(upstream: &[Part], path: &str) -> String {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut target = String::new();
    for part in upstream {
        match part {
            Part::Literal(text) => target.push_str(text),
            Part::Segment(index) => {
                target.push('/');
                target.push_str(segments.get(usize::from(*index)).expect("a segment of the pattern"));
            }
            Part::RestFrom(index) => {
                for segment in segments.iter().skip(usize::from(*index)) {
                    target.push('/');
                    target.push_str(segment);
                }
            }
        }
    }
    target
}

#[test]
fn a_fan_is_kept_out_of_what_staff_and_admins_do() {
    let backend = Backend::start();
    let venues = Backend::named("venue").on("/api/v1/venues/user", Script::answer(200, &[], "[]"));
    let edge = Command::run(&backend).service("venue", &venues).start();
    let fan = Token::valid().build();
    for (method, path) in [
        ("GET", "/api/v1/auth/admin/tenants"),
        ("GET", "/api/v1/mint/queue"),
        ("GET", "/api/v1/queue/jobs"),
        ("GET", "/api/v1/compliance/risk/x"),
        ("POST", "/api/v1/events"),
        ("POST", "/api/v1/scan"),
        ("POST", "/api/v1/notifications/marketing/campaigns"),
    ] {
        let mut client = edge.client();
        client.request(method, path).bearer(&fan).send().expect_problem(403, "AUTHORIZATION_ERROR");
    }
    assert_eq!((backend.hits(), venues.hits()), (0, 1), "the list is asked for once");
    edge.counts("gateway_authz_denials_total", &[("reason", "role")], 4);
    edge.counts("gateway_authz_denials_total", &[("reason", "staff")], 3);
}

#[test]
fn claims_that_hold_the_permission_open_staff_rows() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for (role, method, path) in [
        ("venue-manager", "POST", "/api/v1/events"),
        ("door-staff", "POST", "/api/v1/scan"),
        ("scanner", "POST", "/api/v1/qr/validate"),
        ("admin", "POST", "/api/v1/notifications/send"),
    ] {
        let mut client = edge.client();
        let answer = client.request(method, path).bearer(&Token::of_role(role).build()).send();
        assert_eq!(answer.status, 200, "{role} {path}: {}", answer.text());
    }
    assert_eq!(backend.hits(), 4);
}

#[test]
fn token_permissions_in_the_older_vocabulary_count() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let sells = Token::of_role("customer").permissions(&["sell:tickets"]).build();
    let mut client = edge.client();
    client.request("POST", "/api/v1/purchase").bearer(&sells).body("{}").send().expect_status(200);
    let validates = Token::of_role("customer").permissions(&["validate:tickets"]).build();
    client.request("POST", "/api/v1/scan").bearer(&validates).body("{}").send().expect_status(200);
}

#[test]
fn fans_read_venues_and_events() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let fan = Token::valid().build();
    for path in
        ["/api/v1/venues", "/api/v1/events", "/api/v1/events/x/ticket-types", "/api/v1/search/events?q=a"]
    {
        edge.fetch_as(&fan, path).expect_status(200);
    }
    edge.fetch_as(&fan, &format!("/api/v1/venues/{SOME_ID}")).expect_status(200);
    assert!(backend.received().iter().all(|received| received.header("x-tenant-id") == Some(TENANT)));
}

#[test]
fn a_singular_alias_has_the_access_of_its_plural() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    edge.get("/api/v1/event/x").expect_problem(401, "AUTHENTICATION_ERROR");
    let answer = edge.fetch_as(&Token::valid().build(), "/api/v1/event/x?y=1");
    answer.expect_status(200);
    assert_eq!(backend.only().target(), "/api/v1/events/x?y=1");
}
