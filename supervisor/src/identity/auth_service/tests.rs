//! What auth-service says of users and tokens, and what becomes of it.

use super::*;
use crate::identity::scripted::{self, Backend, Reply, json, nowhere, settings};
use edge_worker::config::lookups::identity::{
    CredentialMode, ServiceToken, SignatureFormat, SignatureSettings,
};
use std::time::Duration;
use tokio::sync::Notify;

const USER: &str = "3f2b8c1e-9a4d-4c5b-8e7f-0123456789ab";
const TENANT: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const OTHER_TENANT: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const PATIENT: Patience = Patience {
    total: Duration::from_secs(30),
    attempt: Duration::from_secs(10),
    pauses: &[Duration::ZERO, Duration::ZERO],
    ..Patience::USER
};

fn auth_with(backend: &Backend, settings: &IdentitySettings) -> Arc<AuthService> {
    let id = ServiceId::find("auth").expect("a service");
    let caller = scripted::caller(id, vec![backend.address], Circuit::closed());
    Arc::new(AuthService::with_patience(caller, settings, PATIENT).expect("a credential"))
}

fn auth(backend: &Backend) -> Arc<AuthService> {
    auth_with(backend, &settings())
}

fn question() -> UserQuestion {
    UserQuestion { user: USER.to_owned(), tenant: TENANT.to_owned(), moment: Moment::default() }
}

async fn user(reply: Reply) -> UserAnswer {
    auth(&Backend::start([reply]).await).user(question(), Asker::default()).await
}

fn record(role: Role, status: UserStatus) -> UserAnswer {
    UserAnswer::Record(UserRecord { id: USER.to_owned(), tenant: TENANT.to_owned(), role, status })
}

fn outage(why: Why) -> UserAnswer {
    UserAnswer::Outage(why.into())
}

fn member(id: &str, tenant: &str) -> String {
    format!(
        r#"{{"id":"{id}","email":"fan@example.com","tenantId":"{tenant}","role":"venue_manager","status":"ACTIVE"}}"#
    )
}

#[tokio::test]
async fn a_record_is_accepted_in_all_shapes_of_the_field() {
    let inner = member(USER, TENANT);
    let older = inner.replace("tenantId", "tenant_id");
    let both = inner.replace("\"role\"", &format!("\"tenant_id\":\"{TENANT}\",\"role\""));
    for body in [
        format!(r#"{{"user":{inner}}}"#),
        format!(r#"{{"success":true,"status":200,"user":{older}}}"#),
        inner,
        older,
        both,
        member(&USER.to_uppercase(), &TENANT.to_uppercase()),
    ] {
        assert_eq!(
            user(json(200, body.clone())).await,
            record(Role::VenueManager, UserStatus::Active),
            "{body}"
        );
    }
}

#[tokio::test]
async fn role_and_status_are_those_of_the_platform() {
    for (role, status, expected) in [
        ("\"customer\"", "active", record(Role::Customer, UserStatus::Active)),
        ("null", "PENDING", record(Role::Customer, UserStatus::Active)),
        ("\"super_admin\"", "Suspended", record(Role::Superadmin, UserStatus::Suspended)),
        ("\"ops\"", "banned", record(Role::Operator, UserStatus::Banned)),
        ("\"unheard-of\"", "DELETED", record(Role::Customer, UserStatus::Deleted)),
    ] {
        let body = format!(r#"{{"id":"{USER}","tenantId":"{TENANT}","role":{role},"status":"{status}"}}"#);
        assert_eq!(user(json(200, body)).await, expected);
    }
    assert!(UserStatus::Active.is_active() && !UserStatus::Banned.is_active());
}

#[tokio::test]
async fn a_user_is_unknown_only_if_the_service_says_so() {
    assert_eq!(user(json(404, "{}")).await, UserAnswer::NotFound(Absence::Unknown));
    let foreign = json(200, member(USER, OTHER_TENANT));
    assert_eq!(user(foreign).await, UserAnswer::NotFound(Absence::OtherTenant));
    let backend = Backend::start([json(200, "{}")]).await;
    for id in ["..", "a/b", ""] {
        let question = UserQuestion { user: id.to_owned(), ..question() };
        let answer = auth(&backend).user(question, Asker::default()).await;
        assert_eq!(answer, UserAnswer::NotFound(Absence::Impossible));
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn whatever_else_happens_is_an_outage() {
    let whole = member(USER, TENANT);
    let malformed = outage(Why::Malformed);
    let contradiction = whole.replace("\"role\"", &format!("\"tenant_id\":\"{OTHER_TENANT}\",\"role\""));
    for (reply, expected) in [
        (json(200, ""), malformed.clone()),
        (json(200, "[]"), malformed.clone()),
        (json(200, "null"), malformed.clone()),
        (json(200, "{}"), malformed.clone()),
        (json(200, "<html>"), malformed.clone()),
        (json(200, whole.replace("ACTIVE", "ACTIVE\",\"status\":\"BANNED")), malformed.clone()),
        (json(200, whole.replace("\"ACTIVE\"", "null")), malformed.clone()),
        (json(200, whole.replace("\"ACTIVE\"", "7")), malformed.clone()),
        (json(200, whole.replace("tenantId", "tenant")), malformed.clone()),
        (json(200, member(OTHER_TENANT, TENANT)), malformed.clone()),
        (json(200, contradiction), malformed),
        (json(204, ""), outage(Why::Status(204))),
        (json(400, "{}"), outage(Why::Status(400))),
        (json(410, "{}"), outage(Why::Status(410))),
        (json(429, "{}"), outage(Why::Throttled)),
        (json(500, "{}"), outage(Why::Status(500))),
        (Reply::Bytes(Vec::new()), outage(Why::Cut)),
    ] {
        assert_eq!(user(reply).await, expected);
    }
}

#[tokio::test]
async fn a_refusal_of_the_edges_credential_is_an_outage_with_an_alarm() {
    for (status, body, alarm) in [
        (401, r#"{"code":"MISSING_SERVICE_TOKEN"}"#, Alarm::TokenMissing),
        (401, r#"{"error":"SERVICE_TOKEN_EXPIRED"}"#, Alarm::TokenExpired),
        (401, r#"{"error":{"code":"INVALID_SERVICE_TOKEN"}}"#, Alarm::TokenInvalid),
        (403, r#"{"error":"Forbidden","code":"SERVICE_NOT_ALLOWED"}"#, Alarm::NotAllowed),
        (401, "{}", Alarm::CredentialRefused),
        (403, "nonsense", Alarm::CredentialRefused),
    ] {
        let expected = UserAnswer::Outage(Outage { why: Why::Refused, alarm: Some(alarm) });
        assert_eq!(user(json(status, body)).await, expected, "{body}");
    }
}

#[tokio::test]
async fn the_question_shows_the_credential_of_its_mode() {
    let backend = Backend::start([json(200, member(USER, TENANT))]).await;
    let token = Some(ServiceToken::Fixed(Secret::new("service-token".to_owned())));
    let service_jwt =
        IdentitySettings { mode: CredentialMode::ServiceJwt, service_token: token, ..settings() };
    auth_with(&backend, &service_jwt).user(question(), Asker::default()).await;
    let signature = SignatureSettings {
        service_name: "api-gateway".to_owned(),
        secret: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
        format: SignatureFormat::New,
        without_query: Vec::new(),
    };
    let hmac =
        IdentitySettings { mode: CredentialMode::Hmac, signature: Some(signature), ..service_jwt.clone() };
    auth_with(&backend, &hmac).user(question(), Asker::default()).await;
    auth(&backend).user(question(), Asker::default()).await;

    let seen = backend.seen();
    for seen in &seen {
        assert_eq!(seen.line, format!("GET /auth/internal/users/{USER} HTTP/1.1"));
        assert_eq!(seen.header("x-tenant-id"), Some(TENANT));
        assert_eq!(seen.header("authorization"), None);
    }
    let shown = |index: usize, name: &str| seen[index].header(name).map(str::len);
    let names = ["x-service-token", "x-internal-signature", "x-internal-nonce", "x-internal-body-hash"];
    let lengths = [0, 1, 2].map(|index| names.map(|name| shown(index, name)));
    assert_eq!(lengths[0], [Some(13), None, None, None]);
    assert_eq!(lengths[1], [None, Some(64), Some(36), None]);
    assert_eq!(lengths[2], [None; 4]);
}

#[tokio::test]
async fn every_attempt_has_a_nonce_of_its_own() {
    let backend = Backend::start([json(500, "{}")]).await;
    let signature = SignatureSettings {
        service_name: "api-gateway".to_owned(),
        secret: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
        format: SignatureFormat::New,
        without_query: Vec::new(),
    };
    let hmac = IdentitySettings { mode: CredentialMode::Hmac, signature: Some(signature), ..settings() };
    auth_with(&backend, &hmac).user(question(), Asker::default()).await;
    let seen = backend.seen();
    let nonces: std::collections::BTreeSet<_> =
        seen.iter().filter_map(|seen| seen.header("x-internal-nonce")).collect();
    assert_eq!((seen.len(), nonces.len()), (3, 3));
}

#[tokio::test]
async fn a_key_that_is_none_stops_the_start() {
    let token = Some(ServiceToken::Signed(Secret::new("nonsense".to_owned())));
    let settings = IdentitySettings { mode: CredentialMode::ServiceJwt, service_token: token, ..settings() };
    let id = ServiceId::find("auth").expect("a service");
    let caller = scripted::caller(id, vec![nowhere().await], Circuit::closed());
    assert!(AuthService::with_patience(caller, &settings, PATIENT).is_err());
}

#[tokio::test]
async fn equal_questions_of_all_workers_are_one_request() {
    let gate = Arc::new(Notify::new());
    let backend = Backend::start([Reply::Held(Arc::clone(&gate), member(USER, TENANT))]).await;
    let auth = auth(&backend);
    let ask = || {
        let auth = Arc::clone(&auth);
        tokio::spawn(async move { auth.user(question(), Asker::default()).await })
    };
    let first = ask();
    backend.wait_for_requests(1).await;
    let others: Vec<_> = (0..100).map(|_| ask()).collect();
    // Tasks of this one thread run in turn: after this all have asked.
    tokio::task::yield_now().await;
    first.abort();
    gate.notify_one();
    for other in others {
        assert_eq!(other.await.expect("no panic"), record(Role::VenueManager, UserStatus::Active));
    }
    assert_eq!(backend.seen().len(), 1);
}

#[tokio::test]
async fn the_two_hundred_and_fifty_seventh_question_is_overloaded() {
    let gate = Arc::new(Notify::new());
    let backend = Backend::start([Reply::Held(Arc::clone(&gate), "{}".to_owned())]).await;
    let auth = auth(&backend);
    let ask = |number: usize| {
        let (auth, question) =
            (Arc::clone(&auth), UserQuestion { user: format!("user-{number}"), ..question() });
        tokio::spawn(async move { auth.user(question, Asker::default()).await })
    };
    let asked: Vec<_> = (0..256).map(ask).collect();
    backend.wait_for_requests(256).await;
    assert_eq!(ask(256).await.expect("no panic"), outage(Why::Overloaded));
    let token = Secret::new("token".to_owned());
    let validation = auth.validate(token, Asker::default()).await;
    assert_eq!(validation, TokenAnswer::Outage(Why::Overloaded.into()), "the bound is the service's");
    while !asked.iter().all(tokio::task::JoinHandle::is_finished) {
        gate.notify_waiters();
        tokio::task::yield_now().await;
    }
    assert_eq!(backend.seen().len(), 256);
}

async fn validation(reply: Reply) -> TokenAnswer {
    let backend = Backend::start([reply]).await;
    auth(&backend).validate(Secret::new("a.b.c".to_owned()), Asker::default()).await
}

#[tokio::test]
async fn a_token_is_refused_only_if_the_service_says_so() {
    assert_eq!(validation(json(200, r#"{"valid":true,"user":{}}"#)).await, TokenAnswer::Valid);
    assert_eq!(validation(json(200, r#"{"valid":false}"#)).await, TokenAnswer::Refused);
    assert_eq!(validation(json(401, r#"{"code":"TOKEN_REVOKED"}"#)).await, TokenAnswer::Refused);
    assert_eq!(validation(json(401, "")).await, TokenAnswer::Refused);
    for (reply, why) in [
        (json(200, "{}"), Why::Malformed),
        (json(200, r#"{"valid":"true"}"#), Why::Malformed),
        (json(404, "{}"), Why::Status(404)),
        (json(429, "{}"), Why::Throttled),
        (json(503, "{}"), Why::Status(503)),
    ] {
        assert_eq!(validation(reply).await, TokenAnswer::Outage(why.into()));
    }
    let ours = validation(json(401, r#"{"code":"MISSING_SERVICE_TOKEN"}"#)).await;
    let alarm = Some(Alarm::TokenMissing);
    assert_eq!(ours, TokenAnswer::Outage(Outage { why: Why::Refused, alarm }));
}

#[tokio::test]
async fn a_token_is_shown_as_bearer_or_in_the_body() {
    let backend = Backend::start([json(200, r#"{"valid":true}"#)]).await;
    let token = || Secret::new("a.b.c".to_owned());
    auth(&backend).validate(token(), Asker::default()).await;
    let older = IdentitySettings { validate_path: "/auth/validate".to_owned(), ..settings() };
    auth_with(&backend, &older).validate(token(), Asker::default()).await;
    let seen = backend.seen();
    assert_eq!(seen[0].line, "GET /auth/verify HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), Some("Bearer a.b.c"));
    assert_eq!(seen[1].line, "POST /auth/validate HTTP/1.1");
    assert_eq!((seen[1].body.as_str(), seen[1].header("authorization")), (r#"{"token":"a.b.c"}"#, None));
    let unfit = auth(&backend).validate(Secret::new("a\r\nb".to_owned()), Asker::default()).await;
    assert_eq!(unfit, TokenAnswer::Outage(Why::Unaskable.into()));
}
