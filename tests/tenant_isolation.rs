//! The tenant comes from the verified token and from nowhere else.

use crate::harness::token::{OTHER_TENANT, OTHER_USER, TENANT, USER};
use crate::harness::{Backend, Command, Edge, Script, Token};

const ROW: &str = "/api/v1/tickets";

#[test]
fn a_client_tenant_header_is_ignored() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let spellings =
        ["x-tenant-id", "X-Tenant-ID", "X-TENANT-ID", "x_tenant_id", "X-Tenant_Id", "x-tenant-source"];
    let token = Token::valid().build();
    for name in spellings {
        let mut client = edge.client();
        client.request("GET", ROW).bearer(&token).header(name, OTHER_TENANT).send().expect_status(200);
        let received = backend.last();
        assert_eq!(received.headers("x-tenant-id"), [TENANT], "{name}");
        assert_eq!(received.headers("x-tenant-source"), ["jwt"], "{name}");
        let told = received.fields.iter().any(|field| field.1.contains(OTHER_TENANT));
        assert!(!told, "{name}: {:?}", received.fields);
    }
    edge.metrics_say("every spelling is counted", |metrics| {
        metrics.count("gateway_dangerous_headers_stripped_total", &[]) == spellings.len() as u64
    });
}

#[test]
fn a_doubled_tenant_header_is_ignored() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request =
        client.request("GET", ROW).header("x-tenant-id", TENANT).header("X-Tenant-Id", OTHER_TENANT);
    request.bearer(&Token::valid().build()).header("x-tenant-id", OTHER_TENANT).send().expect_status(200);
    assert_eq!(backend.only().headers("x-tenant-id"), [TENANT]);
}

#[test]
fn identity_headers_of_a_client_are_replaced() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let mut request = client.request("GET", ROW).bearer(&Token::valid().build());
    for name in ["x-user-id", "x-user-role", "x-user-email", "x-venue-id", "x-session-id", "x-privileged"] {
        request = request.header(name, "intruder");
    }
    request.send().expect_status(200);
    let received = backend.only();
    assert_eq!(received.headers("x-user-id"), [USER]);
    assert_eq!(received.headers("x-user-role"), ["customer"]);
    for name in ["x-user-email", "x-venue-id", "x-session-id", "x-privileged"] {
        assert_eq!(received.header(name), None, "{name}");
    }
}

#[test]
fn a_public_row_injects_no_identity_and_passes_none() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("POST", "/api/v1/auth/login").bearer(&Token::valid().build());
    request.header("x-tenant-id", TENANT).header("x-user-id", USER).body("{}").send().expect_status(200);
    let received = backend.only();
    for name in ["x-tenant-id", "x-tenant-source", "x-user-id", "x-user-role"] {
        assert_eq!(received.header(name), None, "{name}");
    }
}

#[test]
fn users_on_one_connection_keep_their_own_tenant() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let ours = Token::valid().build();
    let theirs = Token::valid().tenant(OTHER_TENANT).user(OTHER_USER).build();
    let mut client = edge.client();
    for _ in 0..3 {
        for (token, tenant, user) in [(&ours, TENANT, USER), (&theirs, OTHER_TENANT, OTHER_USER)] {
            client.fetch_as(token, ROW).expect_status(200);
            let received = backend.last();
            assert_eq!(received.header("x-tenant-id"), Some(tenant));
            assert_eq!(received.header("x-user-id"), Some(user));
        }
        client.get(ROW).expect_status(401);
    }
}

#[test]
fn a_foreign_tenant_in_the_query_is_refused_and_counted() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let spellings =
        ["tenantId", "tenant_id", "TENANTID", "Tenant_Id", "%74enantId", "tenant%5Fid", "tenant%49d"];
    for name in spellings {
        let answer = edge.fetch_as(&token, &format!("{ROW}?a=1&{name}={OTHER_TENANT}"));
        answer.expect_problem(403, "CROSS_TENANT_DENIED");
    }
    assert_eq!(backend.hits(), 0);
    edge.counts("gateway_cross_tenant_attempts_total", &[], spellings.len() as u64);
}

#[test]
fn a_second_tenant_in_the_query_does_not_hide_behind_the_first() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let target = format!("{ROW}?tenantId={TENANT}&tenantId={OTHER_TENANT}");
    edge.fetch_as(&Token::valid().build(), &target).expect_problem(403, "CROSS_TENANT_DENIED");
    assert_eq!(backend.hits(), 0);
}

#[test]
fn the_own_tenant_in_the_query_passes_in_any_case() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let target = format!("{ROW}?tenant_id={}&page=2", TENANT.to_uppercase());
    edge.fetch_as(&Token::valid().build(), &target).expect_status(200);
    assert_eq!(backend.only().target(), target);
    edge.counts("gateway_cross_tenant_attempts_total", &[], 0);
}

#[test]
fn a_tenant_in_the_query_of_a_public_row_is_a_bad_request_outside_auth() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let branding = format!("/api/v1/branding/{OTHER_USER}?tenantId={TENANT}");
    edge.get(&branding).expect_problem(400, "BAD_REQUEST");
    assert_eq!(backend.hits(), 0);
    let mut client = edge.client();
    let login = format!("/api/v1/auth/login?tenantId={TENANT}");
    client.request("POST", &login).body("{}").send().expect_status(200);
}

#[test]
fn a_tenant_in_the_body_changes_nothing() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let body = format!("{{\"tenantId\":\"{OTHER_TENANT}\", \"n\": 12345678901234567890, \"f\": 1.0}}");
    let mut client = edge.client();
    let request = client.request("POST", "/api/v1/transfer/x").bearer(&Token::valid().build());
    request.header("Content-Type", "application/json").body(&body).send().expect_status(200);
    let received = backend.only();
    assert_eq!(received.header("x-tenant-id"), Some(TENANT));
    assert_eq!(String::from_utf8_lossy(&received.body.bytes), body);
}

#[test]
fn the_role_header_carries_the_canonical_role() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for (claimed, canonical) in [
        ("Venue_Manager", "venue-manager"),
        ("owner", "venue-owner"),
        ("scanner", "door-staff"),
        ("x", "customer"),
    ] {
        edge.fetch_as(&Token::of_role(claimed).build(), ROW).expect_status(200);
        assert_eq!(backend.last().header("x-user-role"), Some(canonical), "{claimed}");
    }
}

#[test]
fn tenant_headers_of_a_service_do_not_reach_the_client() {
    let fields = [("x-tenant-id", TENANT), ("X-Tenant-Plan", "gold"), ("x-user-id", USER)];
    let backend = Backend::start().on(ROW, Script::answer(200, &fields, "ok"));
    let edge = Edge::start(&backend);
    let answer = edge.fetch_as(&Token::valid().build(), ROW);
    assert_eq!(answer.text(), "ok");
    for (name, _) in fields {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[test]
fn opaque_tenants_are_accepted_only_where_configured() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("TENANT_ID_FORMAT", "opaque").start();
    edge.fetch_as(&Token::valid().tenant("acme_1").build(), ROW).expect_status(200);
    assert_eq!(backend.only().header("x-tenant-id"), Some("acme_1"));
    edge.fetch_as(&Token::valid().tenant("a b").build(), ROW).expect_problem(401, "AUTHENTICATION_ERROR");
}

#[test]
fn a_user_reads_only_what_is_their_own() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    edge.fetch_as(&token, &format!("/api/v1/tickets/users/{USER}")).expect_status(200);
    let denied = edge.fetch_as(&token, &format!("/api/v1/tickets/users/{OTHER_USER}"));
    denied.expect_problem(403, "AUTHORIZATION_ERROR");
    assert_eq!(backend.hits(), 1);
    edge.counts("gateway_authz_denials_total", &[("reason", "owner")], 1);
    let admin = Token::of_role("admin").build();
    edge.fetch_as(&admin, &format!("/api/v1/tickets/users/{OTHER_USER}")).expect_status(200);
}
