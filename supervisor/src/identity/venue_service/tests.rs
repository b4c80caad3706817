//! Who may work where: only a real `hasAccess: false` denies.

use super::*;
use crate::identity::outage::Alarm;
use crate::identity::scripted::{self, Backend, Reply, json, nowhere, settings};
use edge_worker::config::lookups::identity::{SignatureFormat, SignatureSettings};
use std::time::Duration;

const VENUE: &str = "3f2b8c1e-9a4d-4c5b-8e7f-0123456789ab";
const TENANT: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const OTHER_TENANT: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const PATIENT: Patience =
    Patience { total: Duration::from_secs(30), attempt: Duration::from_secs(10), ..Patience::VENUE };

fn venues(addresses: Vec<std::net::SocketAddr>, settings: &IdentitySettings) -> VenueService {
    let id = ServiceId::find("venue").expect("a service");
    VenueService::with_patience(scripted::caller(id, addresses, Circuit::closed()), settings, PATIENT)
}

fn signed() -> IdentitySettings {
    let signature = SignatureSettings {
        service_name: "api-gateway".to_owned(),
        secret: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
        format: SignatureFormat::New,
        without_query: Vec::new(),
    };
    IdentitySettings {
        venue_access_mode: VenueAccessMode::Hmac,
        venue_access_path: "/internal/access-check".to_owned(),
        venue_list_path: "/internal/users/{userId}/venues".to_owned(),
        signature: Some(signature),
        ..settings()
    }
}

fn question() -> AccessQuestion {
    AccessQuestion {
        tenant: TENANT.to_owned(),
        user: "user-1".to_owned(),
        venue: VENUE.to_owned(),
        permission: Some("tickets:view".to_owned()),
        moment: Moment::default(),
    }
}

fn token() -> Secret<String> {
    Secret::new("a.b.c".to_owned())
}

/// The answer, and how often the service was asked.
async fn access(reply: Reply, settings: &IdentitySettings) -> (AccessAnswer, usize) {
    let backend = Backend::start([reply]).await;
    let answer = venues(vec![backend.address], settings).access(question(), token(), Asker::default()).await;
    (answer, backend.seen().len())
}

fn allowed(role: Option<&str>, permissions: &[&str]) -> AccessAnswer {
    let permissions = permissions.iter().map(|permission| (*permission).to_owned()).collect();
    AccessAnswer::Allowed(VenueAccess { role: role.map(ToOwned::to_owned), permissions })
}

fn outage(why: Why) -> AccessAnswer {
    AccessAnswer::Outage(why.into())
}

#[tokio::test]
async fn access_is_what_the_service_says() {
    let staff = r#"{"hasAccess":true,"role":"door_staff","permissions":["tickets:validate","events:view"]}"#;
    let none = r#"{"hasAccess":false,"role":null,"permissions":[]}"#;
    let short = r#"{"hasAccess":true}"#;
    for (body, bearer, hmac) in [
        (
            staff,
            allowed(Some("door_staff"), &["tickets:validate", "events:view"]),
            allowed(Some("door_staff"), &["tickets:validate", "events:view", "tickets:view"]),
        ),
        (none, AccessAnswer::Denied, AccessAnswer::Denied),
        (short, allowed(None, &[]), allowed(None, &["tickets:view"])),
    ] {
        assert_eq!(access(json(200, body), &settings()).await, (bearer, 1));
        assert_eq!(access(json(200, body), &signed()).await, (hmac, 1));
    }
}

#[tokio::test]
async fn nothing_else_denies_and_nothing_is_asked_twice() {
    let many = format!(r#"{{"hasAccess":true,"permissions":[{}"x"]}}"#, "\"x\",".repeat(PERMISSIONS_MAX));
    let long = format!(r#"{{"hasAccess":true,"role":"{}"}}"#, "x".repeat(WORD_BYTES_MAX + 1));
    for (reply, why) in [
        (json(200, "{}"), Why::Malformed),
        (json(200, r#"{"hasAccess":"false"}"#), Why::Malformed),
        (json(200, r#"{"hasAccess":null}"#), Why::Malformed),
        (json(200, r#"{"hasAccess":true,"hasAccess":false}"#), Why::Malformed),
        (json(200, r#"{"hasAccess":true,"permissions":["a b"]}"#), Why::Malformed),
        (json(200, many), Why::Malformed),
        (json(200, long), Why::Malformed),
        (json(200, "x".repeat(64 * 1024 + 1)), Why::Oversized),
        (json(201, r#"{"hasAccess":false}"#), Why::Status(201)),
        (json(401, "{}"), Why::Refused),
        (json(403, r#"{"hasAccess":false}"#), Why::Refused),
        (json(404, "{}"), Why::Status(404)),
        (json(429, "{}"), Why::Throttled),
        (json(500, "{}"), Why::Status(500)),
        (json(503, "{}"), Why::Status(503)),
        (Reply::Bytes(b"nonsense".to_vec()), Why::Cut),
        (Reply::Bytes(Vec::new()), Why::Cut),
    ] {
        assert_eq!(access(reply, &settings()).await, (outage(why), 1));
    }
    let gone = venues(vec![nowhere().await], &settings()).access(question(), token(), Asker::default()).await;
    assert_eq!(gone, outage(Why::Unconnected));
}

#[tokio::test]
async fn a_silent_service_is_an_outage_after_one_attempt() {
    let backend = Backend::start([Reply::Never]).await;
    let id = ServiceId::find("venue").expect("a service");
    let caller = scripted::caller(id, vec![backend.address], Circuit::closed());
    let hasty = Patience { attempt: Duration::from_millis(30), ..PATIENT };
    let venues = VenueService::with_patience(caller, &settings(), hasty);
    assert_eq!(venues.access(question(), token(), Asker::default()).await, outage(Why::TimedOut));
    assert_eq!(backend.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_tried_once_more() {
    let backend = Backend::start([json(200, r#"{"hasAccess":false}"#)]).await;
    let venues = venues(vec![nowhere().await, backend.address], &settings());
    assert_eq!(venues.access(question(), token(), Asker::default()).await, AccessAnswer::Denied);
}

#[tokio::test]
async fn a_refusal_is_an_alarm_only_if_it_is_the_edge_that_was_refused() {
    let refused = json(403, r#"{"code":"SERVICE_NOT_ALLOWED"}"#);
    let alarm = Some(Alarm::NotAllowed);
    let expected = AccessAnswer::Outage(Outage { why: Why::Refused, alarm });
    assert_eq!(access(refused.clone(), &signed()).await.0, expected);
    assert_eq!(access(refused, &settings()).await.0, outage(Why::Refused));
}

#[tokio::test]
async fn in_mode_bearer_the_users_token_asks() {
    let backend = Backend::start([json(200, r#"{"hasAccess":false}"#), json(200, "[]")]).await;
    let venues = venues(vec![backend.address], &settings());
    assert_eq!(venues.mode(), VenueAccessMode::Bearer);
    venues.access(question(), token(), Asker::default()).await;
    let list =
        ListQuestion { tenant: TENANT.to_owned(), user: "user-1".to_owned(), moment: Moment::default() };
    venues.venues(list, token(), Asker::default()).await;
    let seen = backend.seen();
    assert_eq!(seen[0].line, format!("GET /api/v1/venues/{VENUE}/check-access HTTP/1.1"));
    assert_eq!(seen[1].line, "GET /api/v1/venues/user HTTP/1.1");
    for seen in seen {
        assert_eq!(seen.header("authorization"), Some("Bearer a.b.c"));
        assert_eq!(seen.header("x-internal-signature"), None);
    }
}

#[tokio::test]
async fn in_mode_hmac_the_edge_signs_and_the_users_token_stays_here() {
    let backend = Backend::start([json(200, r#"{"hasAccess":false}"#), json(200, "[]")]).await;
    let venues = venues(vec![backend.address], &signed());
    assert_eq!(venues.mode(), VenueAccessMode::Hmac);
    venues.access(question(), token(), Asker::default()).await;
    let list =
        ListQuestion { tenant: TENANT.to_owned(), user: "user-1".to_owned(), moment: Moment::default() };
    venues.venues(list, token(), Asker::default()).await;
    let seen = backend.seen();
    assert_eq!(seen[0].line, "POST /internal/access-check HTTP/1.1");
    let body = format!(r#"{{"userId":"user-1","venueId":"{VENUE}","permission":"tickets:view"}}"#);
    assert_eq!(seen[0].body, body);
    assert_eq!(seen[0].header("x-internal-body-hash").map(str::len), Some(64));
    assert_eq!(seen[1].line, "GET /internal/users/user-1/venues HTTP/1.1");
    for seen in seen {
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("x-internal-signature").map(str::len), Some(64));
    }
}

#[tokio::test]
async fn an_id_that_no_path_can_carry_is_not_asked_about() {
    let backend = Backend::start([json(200, r#"{"hasAccess":true}"#)]).await;
    let venues = venues(vec![backend.address], &settings());
    let odd = AccessQuestion { venue: "../x".to_owned(), ..question() };
    assert_eq!(venues.access(odd, token(), Asker::default()).await, outage(Why::Unaskable));
    assert_eq!(backend.connections(), 0);
}

async fn list(reply: Reply) -> ListAnswer {
    let backend = Backend::start([reply]).await;
    let question =
        ListQuestion { tenant: TENANT.to_owned(), user: "user-1".to_owned(), moment: Moment::default() };
    venues(vec![backend.address], &settings()).venues(question, token(), Asker::default()).await
}

#[tokio::test]
async fn a_list_is_bare_or_wrapped_and_holds_the_tenants_venues() {
    let own = format!(r#"{{"id":"{VENUE}","tenantId":"{TENANT}","name":"Arena"}}"#);
    let foreign = format!(r#"{{"id":"v2","tenantId":"{OTHER_TENANT}"}}"#);
    let torn = format!(r#"{{"id":"v3","tenantId":"{TENANT}","tenant_id":"{OTHER_TENANT}"}}"#);
    let unstated = r#"{"id":"v4"}"#;
    let older = format!(r#"{{"id":"v5","tenant_id":"{TENANT}"}}"#);
    let bare = format!("[{own},{foreign},{torn},{unstated},{older}]");
    let expected = ListAnswer::Venues([VENUE, "v4", "v5"].map(ToOwned::to_owned).to_vec());
    assert_eq!(list(json(200, bare.clone())).await, expected);
    assert_eq!(list(json(200, format!(r#"{{"data":{bare},"total":5}}"#))).await, expected);
    assert_eq!(list(json(200, "[]")).await, ListAnswer::Venues(Vec::new()));
}

#[tokio::test]
async fn a_list_may_be_long_and_has_an_end() {
    let entry = format!(r#"{{"id":"{VENUE}","description":"{}"}}"#, "x".repeat(2_000));
    let of = |count| format!("[{}]", vec![entry.clone(); count].join(","));
    let ListAnswer::Venues(venues) = list(json(200, of(400))).await else { panic!("a list") };
    assert_eq!(venues.len(), 400);
    assert_eq!(list(json(200, of(600))).await, ListAnswer::Outage(Why::Oversized.into()));
}

#[tokio::test]
async fn anything_but_a_list_is_an_outage() {
    for (reply, why) in [
        (json(200, "{}"), Why::Malformed),
        (json(200, r#"[{"name":"Arena"}]"#), Why::Malformed),
        (json(200, r#"[{"id":"../x"}]"#), Why::Malformed),
        (json(401, "{}"), Why::Refused),
        (json(403, "{}"), Why::Refused),
        (json(500, "{}"), Why::Status(500)),
    ] {
        assert_eq!(list(reply).await, ListAnswer::Outage(why.into()));
    }
}

#[tokio::test]
async fn equal_questions_are_one_request() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let backend = Backend::start([Reply::Held(Arc::clone(&gate), r#"{"hasAccess":false}"#.to_owned())]).await;
    let venues = Arc::new(venues(vec![backend.address], &settings()));
    let ask = || {
        let venues = Arc::clone(&venues);
        tokio::spawn(async move { venues.access(question(), token(), Asker::default()).await })
    };
    let first = ask();
    backend.wait_for_requests(1).await;
    let others: Vec<_> = (0..100).map(|_| ask()).collect();
    tokio::task::yield_now().await;
    gate.notify_one();
    for asked in others.into_iter().chain([first]) {
        assert_eq!(asked.await.expect("no panic"), AccessAnswer::Denied);
    }
    assert_eq!(backend.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_from_before_an_event_is_none_to_a_question_from_after_it() {
    let region = shm::SupervisorRegion::create().expect("a region");
    let (access, writer) = (&region.authority().access, region.writer());
    let gate = Arc::new(tokio::sync::Notify::new());
    let before = Reply::Held(Arc::clone(&gate), r#"{"hasAccess":true}"#.to_owned());
    let backend = Backend::start([before, json(200, r#"{"hasAccess":false}"#)]).await;
    let venues = Arc::new(venues(vec![backend.address], &settings()));
    let ask = |moment| {
        let venues = Arc::clone(&venues);
        let question = AccessQuestion { moment, ..question() };
        tokio::spawn(async move { venues.access(question, token(), Asker::default()).await })
    };
    let first = ask(access.moment(writer));
    backend.wait_for_requests(1).await;
    access.forget_venue(writer, &[7; 32]);
    assert_eq!(ask(access.moment(writer)).await.expect("no panic"), AccessAnswer::Denied);
    gate.notify_one();
    assert!(matches!(first.await.expect("no panic"), AccessAnswer::Allowed(_)));
}
