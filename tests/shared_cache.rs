//! What one node was told of a user or venue, another node need not ask: through a real Redis, its lies and its death.

use crate::harness::token::{OTHER_TENANT, OTHER_USER, TENANT, USER, now};
use crate::harness::{Backend, Command, Edge, RedisServer, Script, Token, eventually};
use edge_worker::config::secret::Secret;
use serde_json::json;
use std::time::{Duration, Instant};
use supervisor::cluster::mac::MacKey;

const ROW: &str = "/api/v1/tickets";
const LOOK_UP: &str = "/auth/internal/users/";
const MAC_KEY: &str = "one-key-for-all-nodes-of-this-test";

/// auth-service, the other services and Redis, for as many nodes as a test wants.
struct Platform {
    auth: Backend,
    venue: Backend,
    services: Backend,
    redis: RedisServer,
}

impl Platform {
    fn start() -> Platform {
        let auth = Backend::named("auth").on(LOOK_UP, record(USER, "venue-manager", "ACTIVE"));
        let venue = Backend::named("venue").on(&check_of(HALL), says(true, &["venue:read", "reports:view"]));
        let venue =
            venue.on(LIST, Script::answer(200, &[], json!([{ "id": HALL, "tenantId": TENANT }]).to_string()));
        Platform { auth, venue, services: Backend::start(), redis: RedisServer::start() }
    }

    fn node(&self) -> Edge {
        self.command().start()
    }

    fn command(&self) -> Command {
        Command::run(&self.services)
            .service("auth", &self.auth)
            .service("venue", &self.venue)
            .set("AUTH_USER_CHECK", "always")
            .set("S2S_SERVICE_TOKEN", "a-fixed-service-token")
            .set("REDIS_URL", &self.redis.url())
            .set("CACHE_MAC_KEY", MAC_KEY)
    }

    fn look_ups(&self) -> usize {
        self.auth.received().iter().filter(|received| received.target().starts_with(LOOK_UP)).count()
    }

    /// Questions to venue-service.
    fn venue_look_ups(&self) -> usize {
        let is_question = |target: &str| target.ends_with("/check-access") || target == LIST;
        self.venue.received().iter().filter(|received| is_question(received.target())).count()
    }

    fn is_in_redis(&self, key: &str) {
        let exists = || self.redis.command(&["EXISTS", key]).starts_with(":1");
        eventually("the value is in Redis", || exists().then_some(()));
    }

    fn is_shared(&self, user: &str) {
        self.is_in_redis(&key(user));
    }

    /// Two nodes, and the token of a user about whom the first has asked and the second has not.
    fn nodes_that_share(&self) -> ([Edge; 2], String) {
        let (nodes, token) = ([self.node(), self.node()], Token::valid().build());
        nodes[0].fetch_as(&token, ROW).expect_status(200);
        self.is_shared(USER);
        nodes[1].fetch_as(&token, ROW).expect_status(200);
        (nodes, token)
    }

    fn role_at_the_service(&self) -> Option<String> {
        self.services.last().header("x-user-role").map(str::to_owned)
    }
}

const HALL: &str = "7e000000-0000-4000-8000-000000000001";
const LIST: &str = "/api/v1/venues/user";

fn check_of(venue: &str) -> String {
    format!("/api/v1/venues/{venue}/check-access")
}

fn says(access: bool, permissions: &[&str]) -> Script {
    let document = json!({ "hasAccess": access, "role": "manager", "permissions": permissions });
    Script::answer(200, &[("content-type", "application/json")], document.to_string())
}

fn access_key() -> String {
    format!("cache:venue:access:{TENANT}:{USER}:{HALL}")
}

fn key(user: &str) -> String {
    format!("cache:user:{TENANT}:{user}")
}

fn record(user: &str, role: &str, status: &str) -> Script {
    let user = json!({ "id": user, "tenantId": TENANT, "role": role, "status": status });
    Script::answer(200, &[("content-type", "application/json")], json!({ "user": user }).to_string())
}

/// As a node with CACHE_MAC_KEY `mac_key` stores it.
fn sealed(mac_key: &str, at: i64, role: &str) -> String {
    let key_of_nodes = MacKey::new(&Secret::new(mac_key.to_owned())).expect("long enough");
    let text = json!({ "id": USER, "tenantId": TENANT, "role": role, "status": "ACTIVE" }).to_string();
    key_of_nodes.seal(&key(USER), at, &text)
}

#[test]
fn a_second_node_does_not_ask_about_a_user_that_the_first_has_asked_about() {
    let platform = Platform::start();
    let (_nodes, token) = platform.nodes_that_share();
    assert_eq!((platform.look_ups(), platform.services.hits()), (1, 2));
    assert_eq!(
        platform.role_at_the_service().as_deref(),
        Some("venue-manager"),
        "the record's, not the token's"
    );
    let kept = platform.redis.command(&["GET", &key(USER)]);
    assert!(!kept.contains("example.com") && !kept.contains(&token), "nothing personal is kept: {kept}");
}

#[test]
fn a_user_that_is_unknown_or_suspended_is_so_on_the_second_node_too() {
    for (script, reason) in [
        (Script::answer(404, &[], "{}"), "user_not_found"),
        (record(USER, "customer", "SUSPENDED"), "user_inactive"),
    ] {
        let platform = Platform::start();
        platform.auth.script(LOOK_UP, script);
        let nodes = [platform.node(), platform.node()];
        let token = Token::valid().build();
        for node in &nodes {
            let problem = node.fetch_as(&token, ROW).expect_problem(401, "AUTHENTICATION_ERROR");
            assert_eq!(problem["reason"], reason);
            platform.is_shared(USER);
        }
        assert_eq!((platform.look_ups(), platform.services.hits()), (1, 0));
    }
}

#[test]
fn an_outage_is_shared_with_nobody() {
    let platform = Platform::start();
    platform.auth.script(LOOK_UP, Script::answer(500, &[], ""));
    let nodes = [platform.node(), platform.node()];
    let token = Token::valid().build();
    nodes[0].fetch_as(&token, ROW).expect_status(503);
    assert!(platform.redis.command(&["EXISTS", &key(USER)]).starts_with(":0"));
    platform.auth.script(LOOK_UP, record(USER, "customer", "ACTIVE"));
    nodes[1].fetch_as(&token, ROW).expect_status(200);
}

#[test]
fn a_value_that_no_node_wrote_has_no_effect_and_is_reported() {
    let foreign = sealed("another-key-of-the-same-length-as-ours", now(), "admin");
    let bare = json!({ "id": USER, "tenantId": TENANT, "role": "admin", "status": "ACTIVE" }).to_string();
    for forged in [foreign, bare] {
        let platform = Platform::start();
        let edge = platform.node();
        platform.redis.command(&["SET", &key(USER), &forged, "EX", "300"]);
        edge.fetch_as(&Token::of_role("admin").build(), ROW).expect_status(200);
        assert_eq!(platform.look_ups(), 1);
        assert_eq!(platform.role_at_the_service().as_deref(), Some("venue-manager"));
        let reported = eventually("the forged value is reported", || {
            edge.log_records().into_iter().find(|record| record["event"] == "cache_value_forged")
        });
        assert_eq!((&reported["severity"], &reported["what"]), (&json!("critical"), &json!("user")));
        edge.counts("gateway_security_events_total", &[("event", "cache_value_forged")], 1);
        edge.counts("gateway_cache_errors_total", &[("cache", "user")], 1);
    }
}

#[test]
fn a_record_is_as_old_as_its_look_up_wherever_it_was_made() {
    let platform = Platform::start();
    let edge = platform.node();
    let token = Token::valid().build();
    let at = now() - 297;
    platform.redis.command(&["SET", &key(USER), &sealed(MAC_KEY, at, "box-office"), "EX", "300"]);
    edge.fetch_as(&token, ROW).expect_status(200);
    assert_eq!((platform.look_ups(), platform.role_at_the_service().as_deref()), (0, Some("box-office")));
    eventually("300 s after its look-up the user is asked about again", || {
        edge.fetch_as(&token, ROW).expect_status(200);
        (platform.look_ups() == 1).then_some(())
    });
    assert!(now() - at >= 300);
    assert_eq!(platform.role_at_the_service().as_deref(), Some("venue-manager"));
}

#[test]
fn a_superadmin_of_an_old_record_stays_in_its_tenant() {
    let platform = Platform::start();
    let edge = platform.command().set("CROSS_TENANT_ADMIN", "true").start();
    let token = Token::of_role("superadmin").build();
    let fetch = || {
        let mut client = edge.client();
        let request = client.request("GET", ROW).bearer(&token).header("x-target-tenant-id", OTHER_TENANT);
        request.send().status
    };
    platform.auth.script(LOOK_UP, Script::answer(500, &[], ""));
    let record = sealed(MAC_KEY, now() - 297, "superadmin");
    platform.redis.command(&["SET", &key(USER), &record, "EX", "300"]);
    assert_eq!(fetch(), 200, "a fresh record is proof");
    eventually("an old one is none: the role may have been taken away", || (fetch() == 503).then_some(()));
    edge.fetch_as(&token, ROW).expect_status(200);
}

#[test]
fn what_an_event_voids_does_not_come_back_from_redis() {
    let platform = Platform::start();
    let (nodes, token) = platform.nodes_that_share();
    platform.auth.script(LOOK_UP, record(USER, "customer", "SUSPENDED"));
    let entry =
        ["XADD", "gateway:revocations", "*", "v", "1", "kind", "forget", "id", USER, "tenant", TENANT];
    platform.redis.command(&entry);
    for node in &nodes {
        eventually("the suspension is known", || (node.fetch_as(&token, ROW).status == 401).then_some(()));
    }
}

#[test]
fn a_node_that_starts_after_a_user_was_forgotten_does_not_get_the_old_record_back() {
    let platform = Platform::start();
    let (nodes, token) = platform.nodes_that_share();
    let forget =
        ["XADD", "gateway:revocations", "*", "v", "1", "kind", "forget", "id", USER, "tenant", TENANT];
    platform.redis.command(&forget);
    let is_gone = || platform.redis.command(&["EXISTS", &key(USER)]).starts_with(":0");
    eventually("the record is out of Redis", || is_gone().then_some(()));
    platform.auth.script(LOOK_UP, record(USER, "customer", "SUSPENDED"));
    platform.node().fetch_as(&token, ROW).expect_problem(401, "AUTHENTICATION_ERROR");
    drop(nodes);
}

#[test]
fn without_redis_look_ups_go_on_at_once() {
    let mut platform = Platform::start();
    let edge = platform.node();
    edge.fetch_as(&Token::valid().build(), ROW).expect_status(200);
    platform.redis.kill();
    platform.auth.script(&format!("{LOOK_UP}{OTHER_USER}"), record(OTHER_USER, "customer", "ACTIVE"));
    let began = Instant::now();
    edge.fetch_as(&Token::valid().user(OTHER_USER).build(), ROW).expect_status(200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(platform.look_ups(), 2);
}

#[test]
fn a_redis_that_hangs_delays_a_look_up_by_a_moment_only() {
    let platform = Platform::start();
    let edge = platform.node();
    edge.fetch_as(&Token::valid().build(), ROW).expect_status(200);
    platform.redis.stall();
    let users: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    for user in &users {
        platform.auth.script(&format!("{LOOK_UP}{user}"), record(user, "customer", "ACTIVE"));
        let began = Instant::now();
        edge.fetch_as(&Token::valid().user(user).build(), ROW).expect_status(200);
        assert!(began.elapsed() < Duration::from_secs(2), "{user}: {:?}", began.elapsed());
    }
    assert_eq!(platform.look_ups(), 1 + users.len());
}

#[test]
fn what_a_user_may_do_at_a_venue_is_asked_by_one_node_for_all() {
    let platform = Platform::start();
    platform.auth.script(LOOK_UP, record(USER, "customer", "ACTIVE"));
    let nodes = [platform.node(), platform.node()];
    let token = Token::valid().build();
    let (settings, dashboard) =
        (format!("/api/v1/venues/{HALL}/settings"), format!("/api/v1/venues/{HALL}/dashboard"));
    nodes[0].fetch_as(&token, &settings).expect_status(200);
    platform.is_in_redis(&access_key());
    nodes[1].fetch_as(&token, &settings).expect_status(200);
    nodes[1].fetch_as(&token, &dashboard).expect_status(200);
    assert_eq!(platform.venue_look_ups(), 1, "with all permissions");
    // The venue changes: what was said under its older generation counts for no node that has not heard it.
    platform.redis.command(&["INCR", &format!("cache:venue:gen:{HALL}")]);
    platform.venue.script(&check_of(HALL), says(false, &[]));
    let third = platform.node();
    third.fetch_as(&token, &settings).expect_status(404);
    assert_eq!(platform.venue_look_ups(), 2);
}

#[test]
fn whether_a_user_is_staff_is_asked_by_one_node_for_all() {
    let platform = Platform::start();
    platform.auth.script(LOOK_UP, record(USER, "customer", "ACTIVE"));
    let nodes = [platform.node(), platform.node()];
    let token = Token::valid().build();
    for node in &nodes {
        node.fetch_as(&token, "/api/v1/integrations/list").expect_status(200);
        platform.is_in_redis(&format!("cache:venue:list:{TENANT}:{USER}"));
    }
    assert_eq!(platform.venue_look_ups(), 1);
}

#[test]
fn a_forged_access_to_a_venue_has_no_effect_and_is_reported() {
    let platform = Platform::start();
    platform.auth.script(LOOK_UP, record(USER, "customer", "ACTIVE"));
    platform.venue.script(&check_of(HALL), says(false, &[]));
    let edge = platform.node();
    let forged = json!({ "a": true, "role": "owner", "perms": ["*"], "gen": 0 }).to_string();
    platform.redis.command(&["SET", &access_key(), &forged, "EX", "600"]);
    edge.fetch_as(&Token::valid().build(), &format!("/api/v1/venues/{HALL}/settings")).expect_status(404);
    assert_eq!(platform.venue_look_ups(), 1);
    eventually("the forged value is reported", || {
        let records = edge.log_records();
        records
            .into_iter()
            .find(|record| record["event"] == "cache_value_forged" && record["what"] == "venue_access")
    });
}
