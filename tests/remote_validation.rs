//! `AUTH_REMOTE_VALIDATE`: auth-service has its say about every new token, and an outage of it is never a 401.

use crate::harness::{Backend, Command, Edge, Script, Token};
use serde_json::json;

const ROW: &str = "/api/v1/tickets";
const VERIFY: &str = "/auth/verify";

fn valid(answer: bool) -> Script {
    Script::answer(200, &[("content-type", "application/json")], json!({ "valid": answer }).to_string())
}

fn command(auth: &Backend, services: &Backend) -> Command {
    Command::run(services).service("auth", auth).set("AUTH_REMOTE_VALIDATE", "true")
}

fn edge_with(script: Script) -> (Backend, Backend, Edge) {
    let (auth, services) = (Backend::named("auth").on(VERIFY, script), Backend::start());
    let edge = command(&auth, &services).workers(2).start();
    (auth, services, edge)
}

fn asked(auth: &Backend, path: &str) -> usize {
    auth.received().iter().filter(|received| received.target() == path).count()
}

#[test]
fn a_new_token_is_validated_once_for_all_workers() {
    let (auth, services, edge) = edge_with(valid(true));
    let token = Token::valid().build();
    for _ in 0..16 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    assert_eq!((asked(&auth, VERIFY), services.hits()), (1, 16));
    let question = auth.last();
    assert_eq!(question.header("authorization"), Some(format!("Bearer {token}").as_str()));
    assert_eq!(question.header("x-forwarded-for"), Some("127.0.0.1"));
    edge.fetch_as(&Token::valid().claim("jti", crate::harness::token::OTHER_USER).build(), ROW)
        .expect_status(200);
    assert_eq!(asked(&auth, VERIFY), 2, "another token is another question");
}

#[test]
fn a_token_that_auth_service_refuses_is_revoked_and_not_asked_about_again() {
    for script in [Script::answer(401, &[], "{}"), valid(false)] {
        let (auth, services, edge) = edge_with(script);
        let token = Token::valid().build();
        for _ in 0..8 {
            let problem = edge.fetch_as(&token, ROW).expect_problem(401, "AUTHENTICATION_ERROR");
            assert_eq!(problem["reason"], "revoked");
        }
        assert_eq!((asked(&auth, VERIFY), services.hits()), (1, 0));
    }
}

#[test]
fn an_outage_is_a_503_or_what_the_policy_says_and_never_a_401() {
    let refused = Script::answer(401, &[], "{\"code\":\"SERVICE_NOT_ALLOWED\"}");
    for script in [Script::answer(500, &[], ""), Script::garbage(), Script::answer(200, &[], "{}"), refused] {
        let (_auth, services, edge) = edge_with(script.clone());
        let answer = edge.fetch_as(&Token::valid().build(), ROW);
        answer.expect_status(503);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(services.hits(), 0);
        let auth = Backend::named("auth").on(VERIFY, script);
        let edge = command(&auth, &services).set("AUTH_OUTAGE_POLICY", "claims").start();
        edge.fetch_as(&Token::valid().build(), ROW).expect_status(200);
        let mut client = edge.client();
        let order =
            client.request("POST", "/api/v1/orders").bearer(&Token::valid().build()).body("{}").send();
        order.expect_status(503);
    }
}

#[test]
fn the_older_form_of_the_question_posts_the_token() {
    let (auth, services) = (Backend::named("auth").on("/auth/validate", valid(true)), Backend::start());
    let edge = command(&auth, &services).set("AUTH_VALIDATE_PATH", "/auth/validate").start();
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    let question = auth.last();
    assert_eq!((question.method.as_str(), question.header("authorization")), ("POST", None));
    assert_eq!(question.body.bytes, json!({ "token": token }).to_string().into_bytes());
}

#[test]
fn without_the_setting_nobody_is_asked() {
    let (auth, services) = (Backend::named("auth").on(VERIFY, valid(false)), Backend::start());
    let edge = command(&auth, &services).unset("AUTH_REMOTE_VALIDATE").start();
    edge.fetch_as(&Token::valid().build(), ROW).expect_status(200);
    assert_eq!(asked(&auth, VERIFY), 0);
}
