//! A sample of every access class for every role, through the listener. The whole matrix runs in process, in
//! `edge-worker/src/pipeline/authorise/tests/matrix.rs`.

use crate::harness::token::{OTHER_USER, USER};
use crate::harness::{Script, Token};
use crate::venues::{CLUB, HALL, check_of, listed, nobody, platform};
use serde_json::json;

const ROLES: [&str; 10] = [
    "venue-owner",
    "venue-manager",
    "box-office",
    "door-staff",
    "customer",
    "admin",
    "superadmin",
    "compliance-admin",
    "operator",
    "support",
];
/// Where nobody can be asked.
const BROKEN: &str = "7e999999-0000-4000-8000-000000000009";
const ADMINS: &[&str] = &["admin", "superadmin"];
const EVERYBODY: &[&str] = &ROLES;

/// Whoever is listed gets 200, everybody else this status.
struct Sample {
    method: &'static str,
    path: String,
    allowed: &'static [&'static str],
    otherwise: u16,
}

fn sample(method: &'static str, path: &str, allowed: &'static [&'static str], otherwise: u16) -> Sample {
    Sample { method, path: path.to_owned(), allowed, otherwise }
}

/// The user works at the door of CLUB and nowhere else; of BROKEN venue-service cannot tell.
fn samples() -> Vec<Sample> {
    let validators: &[&str] =
        &["venue-owner", "venue-manager", "box-office", "door-staff", "admin", "superadmin"];
    let buyers: &[&str] = &[
        "venue-owner",
        "box-office",
        "customer",
        "admin",
        "superadmin",
        "compliance-admin",
        "operator",
        "support",
    ];
    vec![
        sample("GET", "/api/v1/events", EVERYBODY, 0),
        sample("GET", &format!("/api/v1/venues/{HALL}"), EVERYBODY, 0),
        sample("GET", &format!("/api/v1/tickets/users/{USER}"), EVERYBODY, 0),
        sample("GET", &format!("/api/v1/tickets/users/{OTHER_USER}"), ADMINS, 403),
        sample("POST", "/api/v1/purchase", buyers, 403),
        sample("GET", "/api/v1/auth/admin/tenants", ADMINS, 403),
        sample("GET", "/api/v1/mint/queue", ADMINS, 403),
        sample("GET", "/api/v1/queue/jobs", &["admin", "superadmin", "venue-owner"], 403),
        sample("GET", "/api/v1/monitoring/alerts", &["admin", "superadmin", "operator"], 403),
        sample("GET", "/api/v1/compliance/risk/x", &["admin", "superadmin", "compliance-admin"], 403),
        sample("POST", "/api/v1/scan", validators, 403),
        sample("GET", &format!("/api/v1/customers/{USER}/profile"), EVERYBODY, 0),
        sample(
            "GET",
            &format!("/api/v1/customers/{OTHER_USER}/profile"),
            &["venue-owner", "admin", "superadmin"],
            403,
        ),
        sample("GET", "/api/v1/reports/x", &["venue-owner", "venue-manager", "admin", "superadmin"], 403),
        sample("GET", &format!("/api/v1/reports/x?venueId={CLUB}"), ADMINS, 404),
        sample("GET", &format!("/api/v1/integrations/x?venueId={CLUB}"), EVERYBODY, 0),
        sample("GET", &format!("/api/v1/venues/{HALL}/settings"), ADMINS, 404),
        sample("GET", &format!("/api/v1/venues/{CLUB}/settings"), EVERYBODY, 0),
        sample("GET", &format!("/api/v1/venues/{CLUB}/dashboard"), ADMINS, 404),
        sample("PUT", &format!("/api/v1/venues/{CLUB}"), ADMINS, 404),
        sample("DELETE", &format!("/api/v1/venues/{CLUB}"), ADMINS, 404),
        sample("GET", &format!("/api/v1/venues/{BROKEN}/settings"), ADMINS, 503),
        sample("GET", "/api/v1/venues/club/settings", &[], 404),
    ]
}

#[test]
fn each_role_gets_what_its_rows_say_and_nothing_else_reaches_a_service() {
    let door = json!({ "hasAccess": true, "role": "door_staff", "permissions": ["tickets:validate", "tickets:view"] });
    let (venue, services, edge) = platform([
        (check_of(HALL), nobody()),
        (check_of(CLUB), Script::answer(200, &[], door.to_string())),
        (check_of(BROKEN), Script::answer(500, &[], "")),
        ("/api/v1/venues/user".to_owned(), listed(&[])),
    ]);
    let reached = || {
        let asked = |target: &str| target.ends_with("/check-access") || target == "/api/v1/venues/user";
        let own = venue.received().iter().filter(|received| !asked(received.target())).count();
        services.hits() + own
    };
    let mut faults = Vec::new();
    for role in ROLES {
        let token = Token::of_role(role).permissions(&[]).build();
        for Sample { method, path, allowed, otherwise } in samples() {
            let before = reached();
            let wanted = if allowed.contains(&role) { 200 } else { otherwise };
            let status = edge.client().request(method, &path).bearer(&token).send().status;
            let forwarded = reached() > before;
            if status != wanted || forwarded != (wanted == 200) {
                faults
                    .push(format!("{role}: {method} {path}: {status}, not {wanted}; forwarded: {forwarded}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
