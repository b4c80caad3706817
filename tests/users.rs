//! A token is only as good as its user: status and role are auth-service's, and an outage is never a 401.

use crate::harness::token::{OTHER_TENANT, TENANT, USER};
use crate::harness::{Backend, Command, Edge, Gate, Script, Token, eventually};
use serde_json::json;

const ROW: &str = "/api/v1/tickets";
const LOOK_UP: &str = "/auth/internal/users/";
const SERVICE_TOKEN: &str = "a-fixed-service-token";

fn record(tenant: &str, role: &str, status: &str) -> Script {
    let user =
        json!({ "id": USER, "tenantId": tenant, "role": role, "status": status, "email": "x@example.com" });
    Script::answer(200, &[("content-type", "application/json")], json!({ "user": user }).to_string())
}

fn before(auth: &Backend, services: &Backend) -> Command {
    Command::run(services)
        .service("auth", auth)
        .set("AUTH_USER_CHECK", "always")
        .set("S2S_SERVICE_TOKEN", SERVICE_TOKEN)
}

fn edge_with(script: Script) -> (Backend, Backend, Edge) {
    let auth = Backend::named("auth").on(LOOK_UP, script);
    let services = Backend::start();
    let edge = before(&auth, &services).start();
    (auth, services, edge)
}

fn look_ups(auth: &Backend) -> usize {
    auth.received().iter().filter(|received| received.target().starts_with(LOOK_UP)).count()
}

#[test]
fn a_live_user_passes_and_is_looked_up_once_for_all_workers() {
    let (auth, services, edge) = edge_with(record(TENANT, "customer", "ACTIVE"));
    let token = Token::valid().build();
    for _ in 0..20 {
        edge.client().request("GET", ROW).bearer(&token).send().expect_status(200);
    }
    assert_eq!((look_ups(&auth), services.hits()), (1, 20));
    let asked = auth.last();
    assert_eq!(asked.target(), format!("{LOOK_UP}{USER}"));
    assert_eq!(asked.header("x-service-token"), Some(SERVICE_TOKEN));
    assert_eq!(asked.header("x-tenant-id"), Some(TENANT));
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(asked.header("authorization").is_none(), "the user's token is not auth-service's business");
}

#[test]
fn a_look_up_carries_the_ids_of_the_request_that_caused_it() {
    for (sent, correlation) in [(Some("order-17"), "order-17"), (None, "request-1")] {
        let (auth, _services, edge) = edge_with(record(TENANT, "customer", "ACTIVE"));
        let mut client = edge.client();
        let request = client.request("GET", ROW).bearer(&Token::valid().build());
        let request = request.header("x-request-id", "request-1");
        let request = sent.into_iter().fold(request, |request, id| request.header("x-correlation-id", id));
        request.send().expect_status(200);
        let asked = auth.last();
        assert_eq!(asked.header("x-request-id"), Some("request-1"));
        assert_eq!(asked.header("x-correlation-id"), Some(correlation));
    }
}

#[test]
fn a_user_that_is_suspended_banned_or_deleted_gets_no_further() {
    for status in ["SUSPENDED", "banned", "Deleted"] {
        let (_auth, services, edge) = edge_with(record(TENANT, "customer", status));
        for _ in 0..2 {
            let answer = edge.fetch_as(&Token::valid().build(), ROW);
            let problem = answer.expect_problem(401, "AUTHENTICATION_ERROR");
            assert_eq!(problem["reason"], "user_inactive", "{status}");
        }
        assert_eq!(services.hits(), 0);
    }
}

#[test]
fn a_user_that_is_gone_or_of_another_tenant_is_not_found() {
    let gone = Script::answer(404, &[], "{}");
    for script in [gone, record(OTHER_TENANT, "customer", "ACTIVE")] {
        let (auth, services, edge) = edge_with(script);
        for _ in 0..2 {
            let problem =
                edge.fetch_as(&Token::valid().build(), ROW).expect_problem(401, "AUTHENTICATION_ERROR");
            assert_eq!(problem["reason"], "user_not_found");
        }
        assert_eq!((look_ups(&auth), services.hits()), (1, 0));
    }
}

#[test]
fn the_records_role_replaces_the_tokens_and_its_permissions() {
    let (_auth, services, edge) = edge_with(record(TENANT, "customer", "ACTIVE"));
    let promoted = Token::of_role("admin").permissions(&["*"]).build();
    edge.fetch_as(&promoted, "/api/v1/auth/admin/users").expect_problem(403, "AUTHORIZATION_ERROR");
    edge.fetch_as(&promoted, ROW).expect_status(200);
    assert_eq!(services.only().header("x-user-role"), Some("customer"));
}

#[test]
fn an_outage_is_a_503_and_never_a_401() {
    let broken = [
        Script::answer(500, &[], ""),
        Script::answer(429, &[], ""),
        Script::answer(401, &[], "{\"code\":\"INVALID_SERVICE_TOKEN\"}"),
        Script::garbage(),
        Script::close_before_head(),
    ];
    for script in broken {
        let (_auth, services, edge) = edge_with(script);
        let answer = edge.fetch_as(&Token::valid().build(), ROW);
        answer.expect_status(503);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(services.hits(), 0);
        edge.get("/api/v1/branding/pricing/tiers").expect_status(200);
    }
}

#[test]
fn where_the_policy_says_so_reads_go_on_with_the_tokens_claims() {
    let auth = Backend::named("auth").on(LOOK_UP, Script::answer(500, &[], ""));
    let services = Backend::start();
    let edge = before(&auth, &services).set("AUTH_OUTAGE_POLICY", "claims").start();
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    let mut client = edge.client();
    client.request("POST", "/api/v1/orders").bearer(&token).body("{}").send().expect_status(503);
    assert_eq!(services.hits(), 1, "only what reads goes on");
}

#[test]
fn the_circuit_of_the_edges_own_calls_is_as_it_is_configured() {
    let auth = Backend::named("auth").on(LOOK_UP, Script::answer(500, &[], ""));
    let services = Backend::start();
    let command = before(&auth, &services).set("CIRCUIT_BREAKER_VOLUME_THRESHOLD", "2");
    let edge = command.set("CIRCUIT_BREAKER_RESET_TIMEOUT_AUTH", "300").start();
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(503);
    assert_eq!(look_ups(&auth), 2, "the second failure opens the circuit, before the third attempt");
    edge.fetch_as(&token, ROW).expect_status(503);
    assert!(look_ups(&auth) <= 3, "at most the one trial");
    auth.script(LOOK_UP, record(TENANT, "customer", "ACTIVE"));
    eventually("the circuit tries again after its own reset time", || {
        (edge.fetch_as(&token, ROW).status == 200).then_some(())
    });
}

#[test]
fn equal_questions_of_many_requests_are_one() {
    let gate = Gate::new();
    let (auth, services, edge) = edge_with(Script::gated(&gate));
    let token = Token::valid().build();
    let mut waiting: Vec<_> = (0..40).map(|_| edge.client()).collect();
    for client in &mut waiting {
        client.request("GET", ROW).bearer(&token).send_only();
    }
    eventually("the question is asked", || (look_ups(&auth) == 1).then_some(()));
    assert_eq!(services.hits(), 0, "nobody passes before it is answered");
    gate.open();
    for client in &mut waiting {
        // What a gated script says is no record: an outage for all of them alike.
        client.response_to("GET").expect_status(503);
    }
    assert!(look_ups(&auth) <= 3, "{} look-ups for 40 requests", look_ups(&auth));
}

#[test]
fn asked_beside_the_request_the_answer_binds_the_next_one() {
    let auth = Backend::named("auth").on(LOOK_UP, record(TENANT, "customer", "SUSPENDED"));
    let services = Backend::start();
    let edge = before(&auth, &services).set("AUTH_USER_CHECK", "async").start();
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    eventually("the answer is known", || (edge.fetch_as(&token, ROW).status == 401).then_some(()));
}

#[test]
fn what_is_asked_beside_requests_is_asked_once() {
    let gate = Gate::new();
    let auth = Backend::named("auth").on(LOOK_UP, Script::gated(&gate));
    let services = Backend::start();
    let edge = before(&auth, &services).set("AUTH_USER_CHECK", "async").start();
    let token = Token::valid().build();
    for _ in 0..30 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    eventually("auth-service is asked", || (look_ups(&auth) > 0).then_some(()));
    gate.open();
    eventually("the question has ended", || {
        (edge.metrics().count("gateway_lookups_total", &[("question", "user")]) > 0).then_some(())
    });
    edge.counts("gateway_lookups_total", &[("question", "user")], 1);
    edge.fetch_as(&token, ROW).expect_status(200);
    eventually("a question that has ended may be asked again", || {
        (edge.metrics().count("gateway_lookups_total", &[("question", "user")]) == 2).then_some(())
    });
}
