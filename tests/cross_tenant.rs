//! Nobody leaves its tenant, but a superadmin whom the operator lets, and then in the books.

use crate::harness::token::{OTHER_TENANT, TENANT, USER};
use crate::harness::{Backend, Command, Edge, Script, Token};
use serde_json::json;

const ROW: &str = "/api/v1/tickets";
const LOOK_UP: &str = "/auth/internal/users/";
const TARGET: &str = "X-Target-Tenant-Id";

/// An edge whose auth-service gives the user this role.
fn edge_with(role: &str, settings: &[(&str, &str)]) -> (Backend, Backend, Edge) {
    let user = json!({ "id": USER, "tenantId": TENANT, "role": role, "status": "ACTIVE" });
    let record = Script::answer(200, &[], json!({ "user": user }).to_string());
    let auth = Backend::named("auth").on(LOOK_UP, record);
    let services = Backend::start();
    let command = Command::run(&services)
        .service("auth", &auth)
        .set("AUTH_USER_CHECK", "always")
        .set("S2S_SERVICE_TOKEN", "a-fixed-service-token");
    let edge = settings.iter().fold(command, |command, (name, value)| command.set(name, value)).start();
    (auth, services, edge)
}

const ALLOWED: (&str, &str) = ("CROSS_TENANT_ADMIN", "true");

fn fetch(edge: &Edge, role: &str, target: &str, sent: &[&str]) -> u16 {
    let mut client = edge.client();
    let token = Token::of_role(role).build();
    let request = client.request("GET", target).bearer(&token);
    sent.iter().fold(request, |request, tenant| request.header(TARGET, tenant)).send().status
}

/// What the latest request said of its tenant.
fn told(services: &Backend) -> (Vec<String>, Vec<String>) {
    let received = services.last();
    let all = |name: &str| received.headers(name).into_iter().map(str::to_owned).collect();
    assert_eq!(received.header(TARGET), None, "the header itself never passes");
    (all("x-tenant-id"), all("x-tenant-source"))
}

fn home() -> (Vec<String>, Vec<String>) {
    (vec![TENANT.to_owned()], vec!["jwt".to_owned()])
}

#[test]
fn a_superadmin_acts_in_the_tenant_it_names_and_every_time_is_in_the_books() {
    let (_auth, services, edge) = edge_with("superadmin", &[ALLOWED]);
    assert_eq!(fetch(&edge, "customer", ROW, &[OTHER_TENANT]), 200, "the record's role counts");
    let there = (vec![OTHER_TENANT.to_owned()], vec!["admin-override".to_owned()]);
    assert_eq!(told(&services), there);
    assert_eq!(services.last().header("x-user-role"), Some("superadmin"));
    assert_eq!(fetch(&edge, "superadmin", ROW, &[&OTHER_TENANT.to_uppercase()]), 200);
    assert_eq!(told(&services), there);
    edge.counts(
        "gateway_security_events_total",
        &[("event", "cross_tenant_override"), ("severity", "high")],
        2,
    );
    assert_eq!(fetch(&edge, "superadmin", ROW, &[]), 200);
    assert_eq!(told(&services), home());
    assert_eq!(fetch(&edge, "superadmin", ROW, &[TENANT]), 200);
    assert_eq!(told(&services), home(), "its own tenant is nothing to override");
    edge.counts("gateway_security_events_total", &[("event", "cross_tenant_override")], 2);
    edge.counts("gateway_dangerous_headers_stripped_total", &[], 0);
}

#[test]
fn for_anybody_else_the_header_has_no_effect() {
    let (_auth, services, edge) = edge_with("admin", &[ALLOWED]);
    for role in ["superadmin", "admin", "customer"] {
        for sent in [&[OTHER_TENANT] as &[&str], &["no tenant"], &[OTHER_TENANT, OTHER_TENANT]] {
            assert_eq!(fetch(&edge, role, ROW, sent), 200);
            assert_eq!(told(&services), home(), "the record says admin, the token {role}");
        }
    }
    edge.counts("gateway_dangerous_headers_stripped_total", &[("header", "x-target-tenant-id")], 9);
    edge.counts("gateway_security_events_total", &[("event", "cross_tenant_override")], 0);
}

#[test]
fn unless_the_operator_says_so_a_superadmin_stays_where_it_is() {
    let (_auth, services, edge) = edge_with("superadmin", &[]);
    assert_eq!(fetch(&edge, "superadmin", ROW, &[OTHER_TENANT]), 200);
    assert_eq!(told(&services), home());
    edge.counts("gateway_dangerous_headers_stripped_total", &[("header", "x-target-tenant-id")], 1);
}

#[test]
fn what_is_no_single_tenant_id_is_refused() {
    let (_auth, services, edge) = edge_with("superadmin", &[ALLOWED]);
    for sent in [&["acme"] as &[&str], &[""], &[OTHER_TENANT, TENANT], &[OTHER_TENANT, OTHER_TENANT]] {
        assert_eq!(fetch(&edge, "superadmin", ROW, sent), 400, "{sent:?}");
    }
    assert_eq!(services.hits(), 0);
}

#[test]
fn a_query_chooses_no_tenant_even_for_a_superadmin() {
    let (_auth, services, edge) = edge_with("superadmin", &[ALLOWED]);
    let target = format!("{ROW}?tenantId={OTHER_TENANT}");
    for sent in [&[] as &[&str], &[OTHER_TENANT]] {
        assert_eq!(fetch(&edge, "superadmin", &target, sent), 403);
    }
    assert_eq!(services.hits(), 0);
}

#[test]
fn public_rows_have_no_tenant_to_override() {
    let (_auth, services, edge) = edge_with("superadmin", &[ALLOWED]);
    assert_eq!(fetch(&edge, "superadmin", "/api/v1/branding/pricing/tiers", &[OTHER_TENANT]), 200);
    assert_eq!(told(&services), (vec![], vec![]));
    let stripped = [("header", "x-target-tenant-id")];
    edge.counts("gateway_dangerous_headers_stripped_total", &stripped, 1);
    edge.client().request("GET", ROW).header(TARGET, OTHER_TENANT).send().expect_status(401);
    edge.counts("gateway_dangerous_headers_stripped_total", &stripped, 2);
}

#[test]
fn a_venue_of_another_tenant_is_not_opened_by_the_role_alone() {
    let venue =
        Backend::named("venue").on("/api/v1/venues/", Script::answer(200, &[], r#"{"hasAccess":false}"#));
    let (_auth, services, edge) = edge_with("superadmin", &[ALLOWED, ("VENUE_SERVICE_URL", &venue.url())]);
    let row = "/api/v1/marketplace/venues/7e000000-0000-4000-8000-000000000001/x";
    assert_eq!(fetch(&edge, "superadmin", row, &[OTHER_TENANT]), 404);
    assert_eq!((venue.hits(), services.hits()), (1, 0));
    assert_eq!(fetch(&edge, "superadmin", row, &[]), 200, "in its own tenant it is");
}

#[test]
fn while_only_the_token_says_superadmin_nothing_is_done_in_either_tenant() {
    let (auth, services, edge) = edge_with("superadmin", &[ALLOWED, ("AUTH_OUTAGE_POLICY", "claims")]);
    auth.script(LOOK_UP, Script::answer(500, &[], ""));
    assert_eq!(fetch(&edge, "superadmin", ROW, &[OTHER_TENANT]), 503);
    assert_eq!(services.hits(), 0);
    assert_eq!(fetch(&edge, "superadmin", ROW, &[]), 200, "reads go on with the token's claims");
    edge.counts("gateway_dangerous_headers_stripped_total", &[("header", "x-target-tenant-id")], 0);
}
