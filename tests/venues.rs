//! Who may act for a venue is venue-service's to say: asked once, believed for a while, and never guessed.

use crate::harness::token::{OTHER_USER, TENANT};
use crate::harness::{Backend, Client, Command, Edge, Gate, Script, Token, eventually};
use serde_json::json;

pub const HALL: &str = "7e000000-0000-4000-8000-000000000001";
pub const CLUB: &str = "7e000000-0000-4000-8000-000000000002";

/// A row `venue:member` of venue-service.
pub fn settings_of(venue: &str) -> String {
    format!("/api/v1/venues/{venue}/settings")
}

pub fn check_of(venue: &str) -> String {
    format!("/api/v1/venues/{venue}/check-access")
}

const LIST: &str = "/api/v1/venues/user";

fn says(access: bool, role: &str, permissions: &[&str]) -> Script {
    let document = json!({ "hasAccess": access, "role": role, "permissions": permissions });
    Script::answer(200, &[("content-type", "application/json")], document.to_string())
}

pub fn manager() -> Script {
    says(true, "manager", &["venue:read", "venue:update", "reports:view", "events:update"])
}

fn owner() -> Script {
    says(true, "owner", &["*"])
}

pub fn nobody() -> Script {
    says(false, "", &[])
}

pub fn listed(venues: &[&str]) -> Script {
    let entries: Vec<_> = venues.iter().map(|id| json!({ "id": id, "tenantId": TENANT })).collect();
    Script::answer(200, &[("content-type", "application/json")], json!(entries).to_string())
}

/// An edge before venue-service with these answers, and before all others.
pub fn platform(scripts: impl IntoIterator<Item = (String, Script)>) -> (Backend, Backend, Edge) {
    let venue = Backend::named("venue");
    for (path, script) in scripts {
        venue.script(&path, script);
    }
    let services = Backend::start();
    let edge = Command::run(&services).service("venue", &venue).start();
    (venue, services, edge)
}

pub fn asked(venue: &Backend) -> usize {
    let is_question = |target: &str| target.ends_with("/check-access") || target == LIST;
    venue.received().iter().filter(|received| is_question(received.target())).count()
}

pub fn fan() -> String {
    Token::valid().build()
}

pub fn send(client: &mut Client, method: &str, path: &str, token: &str) -> u16 {
    client.request(method, path).bearer(token).send().status
}

pub fn status(edge: &Edge, method: &str, path: &str) -> u16 {
    send(&mut edge.client(), method, path, &fan())
}

#[test]
fn staff_of_the_venue_passes_and_is_asked_about_once_for_all_its_rows() {
    let (venue, services, edge) = platform([(check_of(HALL), manager())]);
    let token = fan();
    edge.fetch_as(&token, &settings_of(HALL)).expect_status(200);
    let question = venue.received().into_iter().next().expect("venue-service was asked first");
    assert_eq!(question.target(), check_of(HALL));
    assert_eq!(question.header("authorization"), Some(format!("Bearer {token}").as_str()));
    assert_eq!(question.header("x-forwarded-for"), Some("127.0.0.1"));
    for _ in 0..5 {
        assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200);
        assert_eq!(status(&edge, "PUT", &format!("/api/v1/branding/{HALL}")), 200);
        assert_eq!(status(&edge, "GET", &format!("/api/v1/venues/{HALL}/dashboard")), 200);
    }
    // Another spelling of the id is the same venue.
    assert_eq!(status(&edge, "GET", &settings_of(&HALL.to_uppercase())), 200);
    assert_eq!((asked(&venue), services.hits()), (1, 5));
    edge.counts("gateway_cache_hits_total", &[("cache", "venue_access")], 16);
    edge.counts("gateway_cache_misses_total", &[("cache", "venue_access")], 1);
}

#[test]
fn a_denial_is_the_404_of_a_venue_that_does_not_exist() {
    let (venue, _services, edge) = platform([(check_of(HALL), nobody())]);
    for _ in 0..2 {
        let answer = edge.fetch_as(&fan(), &settings_of(HALL));
        assert_eq!(answer.expect_problem(404, "NOT_FOUND")["detail"], "Venue not found");
    }
    let unknown = edge.fetch_as(&fan(), &settings_of("hall"));
    assert_eq!(unknown.expect_problem(404, "NOT_FOUND")["detail"], "Venue not found");
    assert_eq!(
        (asked(&venue), venue.hits()),
        (1, 1),
        "a denial is believed for a while; no UUID is never asked about"
    );
    let denied = [("event", "venue_access_denied"), ("severity", "high")];
    edge.counts("gateway_security_events_total", &denied, 2);
}

#[test]
fn each_row_wants_its_own_standing() {
    let (venue, _services, edge) = platform([(check_of(HALL), manager()), (check_of(CLUB), owner())]);
    let venue_row = |id: &str| format!("/api/v1/venues/{id}");
    assert_eq!(status(&edge, "GET", &format!("/api/v1/venues/{HALL}/dashboard")), 200);
    assert_eq!(status(&edge, "PATCH", &venue_row(HALL)), 200, "venue:update is listed");
    venue.script(&check_of(HALL), manager());
    assert_eq!(status(&edge, "DELETE", &venue_row(HALL)), 404, "a manager is no owner");
    assert_eq!(status(&edge, "DELETE", &venue_row(CLUB)), 200);
    let viewer = says(true, "viewer", &["view:events", "view:reports"]);
    let (_venue, _services, edge) = platform([(check_of(HALL), viewer)]);
    assert_eq!(status(&edge, "PUT", &venue_row(HALL)), 404);
    assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200, "any staff row makes a member");
    assert_eq!(
        status(&edge, "GET", &format!("/api/v1/venues/{HALL}/dashboard")),
        200,
        "in the older spelling too"
    );
}

#[test]
fn fans_read_public_pages_of_venues_without_any_question() {
    let (venue, services, edge) = platform([]);
    for path in ["", "/capacity", "/photos", "/reviews", "/events"] {
        assert_eq!(status(&edge, "GET", &format!("/api/v1/venues/{HALL}{path}")), 200, "{path}");
    }
    assert_eq!(status(&edge, "POST", &format!("/api/v1/venues/{HALL}/reviews")), 200);
    assert_eq!(asked(&venue), 0);
    assert_eq!(services.hits(), 1, "events are event-service's");
}

#[test]
fn what_venue_service_cannot_tell_is_a_503_and_never_forwarded() {
    let malformed = Script::answer(200, &[], "{\"hasAccess\":\"yes\"}");
    let mut broken = vec![malformed, Script::garbage(), Script::close_before_head(), Script::hanging()];
    broken.extend([500, 503, 401, 403, 404, 429].map(|status| Script::answer(status, &[], "{}")));
    for script in broken {
        let (venue, services, edge) = platform([(check_of(HALL), script.clone()), (LIST.to_owned(), script)]);
        edge.fetch_as(&fan(), &settings_of(HALL)).expect_problem(503, "SERVICE_UNAVAILABLE");
        edge.fetch_as(&fan(), "/api/v1/reports/sales").expect_problem(503, "SERVICE_UNAVAILABLE");
        assert_eq!((services.hits(), venue.hits()), (0, asked(&venue)));
        // Nothing of it is believed later.
        venue.script(&check_of(HALL), manager());
        venue.script(LIST, listed(&[HALL]));
        assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200);
        assert_eq!(status(&edge, "GET", "/api/v1/reports/sales"), 200);
    }
}

#[test]
fn a_venue_service_that_is_not_there_is_a_503() {
    let gone = Backend::named("venue").url();
    let services = Backend::start();
    let edge = Command::run(&services).service_url("venue", &gone).start();
    edge.fetch_as(&fan(), &settings_of(HALL)).expect_problem(503, "SERVICE_UNAVAILABLE");
    assert_eq!(status(&edge, "POST", "/api/v1/scan"), 503);
    assert_eq!(services.hits(), 0);
}

#[test]
fn an_open_circuit_is_a_503_without_a_call() {
    let (venue, _services, edge) = platform([("/api/v1/venues/".to_owned(), Script::answer(500, &[], ""))]);
    let venue_of = |number: usize| format!("7e000000-0000-4000-8000-{number:012}");
    for number in 0..60 {
        assert_eq!(status(&edge, "GET", &settings_of(&venue_of(number))), 503);
    }
    assert!(asked(&venue) < 40, "{} calls to a service that only fails", asked(&venue));
}

#[test]
fn a_decision_is_asked_for_again_when_its_time_is_over() {
    let venue = Backend::named("venue").on(&check_of(HALL), manager());
    let services = Backend::start();
    let command = Command::run(&services).service("venue", &venue);
    let edge = command.set("VENUE_ACCESS_TTL_SECS", "1").start();
    assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200);
    venue.script(&check_of(HALL), nobody());
    eventually("the decision expires", || (status(&edge, "GET", &settings_of(HALL)) == 404).then_some(()));
    assert_eq!(asked(&venue), 2);
}

#[test]
fn one_user_may_be_staff_of_several_venues_and_of_no_other() {
    let scripts = [(check_of(HALL), manager()), (check_of(CLUB), owner())];
    let (venue, _services, edge) = platform(scripts.into_iter().chain([(check_of("7e"), nobody())]));
    let other = "7e999999-0000-4000-8000-000000000009";
    venue.script(&check_of(other), nobody());
    for _ in 0..3 {
        let seen = [HALL, CLUB, other].map(|id| status(&edge, "GET", &settings_of(id)));
        assert_eq!(seen, [200, 200, 404]);
    }
    assert_eq!(asked(&venue), 3);
    // And another user's decisions are its own.
    venue.script(&check_of(HALL), nobody());
    let stranger = Token::valid().user(OTHER_USER).build();
    edge.fetch_as(&stranger, &settings_of(HALL)).expect_status(404);
    assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200);
}

#[test]
fn a_venue_in_a_body_a_header_or_a_claim_has_no_effect() {
    let (venue, services, edge) =
        platform([(check_of(HALL), manager()), (check_of(CLUB), nobody()), (LIST.to_owned(), listed(&[]))]);
    let token =
        Token::valid().claim("venue_id", HALL).claim("venueId", HALL).claim("venues", vec![HALL]).build();
    let body = json!({ "venueId": HALL, "venue_id": HALL });
    let ask = |method: &str, path: &str| {
        let mut client = edge.client();
        let request = client.request(method, path).bearer(&token).header("x-venue-id", HALL);
        request.json(&body).send().status
    };
    assert_eq!(ask("PUT", &settings_of(CLUB)), 404);
    assert_eq!(ask("POST", "/api/v1/events"), 403);
    // A query counts only where the row says so.
    assert_eq!(ask("PUT", &format!("{}?venueId={HALL}", settings_of(CLUB))), 404);
    assert_eq!((asked(&venue), services.hits()), (2, 0));
}

#[test]
fn a_venue_that_the_query_names_binds() {
    let (venue, services, edge) = platform([
        (check_of(HALL), manager()),
        (check_of(CLUB), nobody()),
        (LIST.to_owned(), listed(&[HALL])),
    ]);
    let global = Token::of_role("venue-manager").build();
    let reports = |query: &str| format!("/api/v1/reports/sales{query}");
    for token in [&fan(), &global] {
        let ask = |query: &str| edge.fetch_as(token, &reports(query)).status;
        assert_eq!(ask(&format!("?venueId={HALL}")), 200);
        assert_eq!(ask(&format!("?venue_id={HALL}&from=2027")), 200);
        assert_eq!(ask(&format!("?venueId={CLUB}")), 404, "though a manager elsewhere");
        assert_eq!(ask(&format!("?VenueID[]={CLUB}")), 404);
        assert_eq!(ask(&format!("?venueId={HALL}&venueId={CLUB}")), 404);
        assert_eq!(ask("?venueId=hall"), 404);
        assert_eq!(ask(""), 200);
    }
    assert_eq!(asked(&venue), 3, "one list and two venues");
    assert_eq!(services.hits(), 6);
}

#[test]
fn a_staff_row_is_open_to_whoever_is_staff_of_any_venue() {
    let (venue, services, edge) = platform([(LIST.to_owned(), listed(&[CLUB]))]);
    for _ in 0..3 {
        assert_eq!(status(&edge, "POST", "/api/v1/scan"), 200);
        assert_eq!(status(&edge, "DELETE", &format!("/api/v1/events/{HALL}")), 200);
    }
    let validator = Token::of_role("door-staff").user(OTHER_USER).build();
    assert_eq!(send(&mut edge.client(), "POST", "/api/v1/scan", &validator), 200, "by permission");
    assert_eq!((asked(&venue), services.hits()), (1, 7));
    edge.counts("gateway_cache_hits_total", &[("cache", "venue_list")], 5);

    let (venue, services, edge) = platform([(LIST.to_owned(), listed(&[]))]);
    for _ in 0..2 {
        edge.client()
            .request("POST", "/api/v1/scan")
            .bearer(&fan())
            .send()
            .expect_problem(403, "AUTHORIZATION_ERROR");
    }
    assert_eq!((asked(&venue), services.hits()), (1, 0));
    edge.counts("gateway_authz_denials_total", &[("reason", "staff")], 2);
}

#[test]
fn administrators_pass_unasked_and_audited() {
    let (venue, services, edge) = platform([]);
    for role in ["admin", "superadmin"] {
        let token = Token::of_role(role).build();
        edge.fetch_as(&token, &settings_of(HALL)).expect_status(200);
        assert_eq!(send(&mut edge.client(), "POST", "/api/v1/scan", &token), 200);
        edge.fetch_as(&token, &settings_of("hall")).expect_status(404);
    }
    assert_eq!((asked(&venue), services.hits()), (0, 2));
    edge.counts(
        "gateway_security_events_total",
        &[("event", "admin_venue_bypass"), ("severity", "medium")],
        4,
    );
    // Roles of a venue that are held globally answer for no venue.
    venue.script(&check_of(HALL), nobody());
    for role in ["venue-owner", "venue-manager"] {
        edge.fetch_as(&Token::of_role(role).build(), &settings_of(HALL)).expect_status(404);
    }
}

#[test]
fn equal_questions_of_many_requests_are_one() {
    let gate = Gate::new();
    let (venue, services, edge) = platform([(check_of(HALL), Script::gated(&gate))]);
    let token = fan();
    let mut waiting: Vec<_> = (0..20).map(|_| edge.client()).collect();
    for client in &mut waiting {
        client.request("GET", &settings_of(HALL)).bearer(&token).send_only();
    }
    eventually("the question is asked", || (asked(&venue) == 1).then_some(()));
    gate.open();
    for client in &mut waiting {
        // What a gated script says is no decision: an outage for all of them alike.
        client.response_to("GET").expect_status(503);
    }
    assert!(asked(&venue) <= 3, "{} questions for 20 requests", asked(&venue));
    assert_eq!(services.hits(), 0);
}

#[test]
fn in_mode_hmac_each_permission_is_asked_for_by_name_and_believed_alone() {
    let venue = Backend::named("venue").on("/internal/access-check", says(true, "manager", &[]));
    venue.script("/internal/users/", listed(&[HALL]));
    let services = Backend::start();
    let command = Command::run(&services).service("venue", &venue).set("VENUE_ACCESS_MODE", "hmac");
    let edge = command.set("INTERNAL_HMAC_SECRET", "0123456789abcdef0123456789abcdef").start();
    let questions = || {
        let received = venue.received();
        let asked = received.iter().filter(|received| received.target().starts_with("/internal/"));
        asked.map(|received| String::from_utf8_lossy(&received.body.bytes).into_owned()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(status(&edge, "GET", &format!("/api/v1/venues/{HALL}/dashboard")), 200);
        assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200);
        assert_eq!(status(&edge, "GET", &format!("/api/v1/reports/x?venueId={HALL}")), 200);
    }
    assert_eq!(status(&edge, "PUT", &format!("/api/v1/venues/{HALL}")), 200);
    let seen = questions();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for (question, permission) in seen.iter().zip([Some("reports:view"), None, Some("venue:update")]) {
        let question: serde_json::Value = serde_json::from_str(question).expect("JSON");
        assert_eq!(question["venueId"], HALL);
        assert_eq!(question.get("permission").and_then(|named| named.as_str()), permission);
    }
    let first = venue.received().into_iter().next().expect("a question");
    assert!(first.header("x-internal-signature").is_some() && first.header("authorization").is_none());
    // A yes to one permission makes nobody an owner.
    assert_eq!(status(&edge, "DELETE", &format!("/api/v1/venues/{HALL}")), 404);
    assert_eq!(status(&edge, "POST", "/api/v1/scan"), 200, "by the list");
}
