//! API keys: they add a venue to a token, and nobody but their venue's services ever sees one.

use crate::harness::{Backend, Command, Edge, RedisServer, Response, Token, eventually};
use std::time::{Duration, Instant};

const KEY: &str = "vk_live.0123456789abcdef-0123456789ABCDEF";
const VENUE: &str = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa";
const OTHER_VENUE: &str = "bbbbbbbb-2222-4222-8222-bbbbbbbbbbbb";

struct Platform {
    services: Backend,
    redis: RedisServer,
}

impl Platform {
    fn start() -> Platform {
        let platform = Platform { services: Backend::start(), redis: RedisServer::start() };
        platform.know("api:key:", KEY);
        platform
    }

    fn know(&self, prefix: &str, key: &str) {
        let record = format!(r#"{{"venueId":"{VENUE}","rateLimit":500,"tier":"standard"}}"#);
        self.redis.command(&["SET", &format!("{prefix}{key}"), &record]);
    }

    fn command(&self) -> Command {
        let command = Command::run(&self.services).set("REDIS_URL", &self.redis.url());
        command.set("READY_DEPENDENCIES", "redis")
    }

    /// A node that has read Redis once: the first reading voids what was looked up before it.
    fn node(&self) -> Edge {
        let edge = self.command().start();
        eventually("the node is ready", || (edge.get("/ready").status == 200).then_some(()));
        edge
    }

    fn look_ups(&self) -> u64 {
        let statistics = self.redis.command(&["INFO", "commandstats"]);
        let line = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    fn key_at_the_service(&self) -> Option<String> {
        self.services.last().header("x-api-key").map(str::to_owned)
    }
}

fn fetch(edge: &Edge, path: &str, key: &str) -> Response {
    let mut client = edge.client();
    client.request("GET", path).bearer(&Token::valid().build()).header("X-API-Key", key).send()
}

fn own_venue() -> String {
    format!("/api/v1/venues/{VENUE}")
}

#[test]
fn a_valid_key_reaches_venue_and_integration_service_and_no_other() {
    let platform = Platform::start();
    let edge = platform.node();
    let manager = Token::of_role("venue-manager").permissions(&["settings:view"]).build();
    for (path, shown) in [
        (own_venue(), true),
        ("/api/v1/venues".to_owned(), true),
        ("/api/v1/integrations/list".to_owned(), true),
        ("/api/v1/events".to_owned(), false),
        (format!("/api/v1/venues/{VENUE}/events"), false),
        ("/api/v1/tickets".to_owned(), false),
    ] {
        let mut client = edge.client();
        let request = client.request("GET", &path).bearer(&manager).header("x-api-key", KEY);
        request.send().expect_status(200);
        assert_eq!(platform.key_at_the_service().as_deref(), Some(KEY).filter(|_| shown), "{path}");
    }
    edge.counts("gateway_dangerous_headers_stripped_total", &[("header", "x-api-key")], 3);
    edge.counts("gateway_cache_misses_total", &[("cache", "api_key")], 1);
    edge.counts("gateway_cache_hits_total", &[("cache", "api_key")], 5);
}

#[test]
fn a_key_is_looked_up_under_every_template_and_once_for_all_workers() {
    let platform = Platform::start();
    let hashed = "c".repeat(32);
    // printf %s ccc… | sha256sum
    let sha256 = "cd93782b7fb95559de14f738b65988af85d41dc1565f7c7d1ed2d035665b519c";
    let older = "d".repeat(128);
    platform.know("api_key_hash:", sha256);
    platform.know("apikey:", &older);
    let edge = Command::run(&platform.services).set("REDIS_URL", &platform.redis.url()).workers(2).start();
    for key in [KEY, &hashed, &older] {
        for _ in 0..10 {
            fetch(&edge, &own_venue(), key).expect_status(200);
        }
    }
    assert_eq!(platform.look_ups(), 9, "three templates for each of three keys");
}

#[test]
fn a_key_that_many_bring_at_once_is_looked_up_once() {
    let platform = Platform::start();
    let edge = platform.command().workers(2).start();
    eventually("the node is ready", || (edge.get("/ready").status == 200).then_some(()));
    let token = Token::valid().build();
    // Each worker has seen the token, so that only the key is asked about.
    for _ in 0..10 {
        edge.client().request("GET", &own_venue()).bearer(&token).send().expect_status(200);
    }
    platform.redis.stall();
    let mut waiting: Vec<_> = (0..30).map(|_| edge.client()).collect();
    for client in &mut waiting {
        client.request("GET", &own_venue()).bearer(&token).header("x-api-key", KEY).send_only();
    }
    let waits = || edge.metrics().count("gateway_lookups_waiting", &[]);
    eventually("all of them wait", || (waits() == 30).then_some(()));
    platform.redis.resume();
    for client in &mut waiting {
        client.response_to("GET").expect_status(200);
    }
    assert_eq!(platform.look_ups(), 3, "one look under each of three templates");
}

#[test]
fn an_unknown_or_malformed_key_is_refused_and_nothing_goes_on() {
    let platform = Platform::start();
    let edge = platform.node();
    let unknown = "e".repeat(32);
    for key in
        [unknown.as_str(), "short", "", &"f".repeat(129), &format!("{KEY}*"), &KEY.to_ascii_lowercase()]
    {
        for path in [own_venue(), "/api/v1/events".to_owned()] {
            fetch(&edge, &path, key).expect_problem(403, "INVALID_API_KEY");
        }
    }
    let mut client = edge.client();
    let request = client.request("GET", &own_venue()).bearer(&Token::valid().build());
    let twice = request.header("x-api-key", KEY).header("X-API-Key", KEY).send();
    twice.expect_problem(403, "INVALID_API_KEY");
    assert_eq!(platform.services.hits(), 0);
    edge.counts("gateway_security_events_total", &[("event", "invalid_api_key")], 13);
}

#[test]
fn a_key_that_redis_refuses_to_look_up_is_an_outage_and_not_a_refusal() {
    let platform = Platform::start();
    let edge = platform.node();
    platform.redis.command(&["ACL", "SETUSER", "default", "-get"]);
    fetch(&edge, &own_venue(), KEY).expect_status(503);
    assert_eq!(platform.services.hits(), 0);
    edge.counts("gateway_security_events_total", &[("event", "invalid_api_key")], 0);
    platform.redis.command(&["ACL", "SETUSER", "default", "+get"]);
    fetch(&edge, &own_venue(), KEY).expect_status(200);
}

#[test]
fn a_record_that_names_no_venue_is_no_key() {
    let platform = Platform::start();
    let edge = platform.node();
    for record in ["{}", "no JSON", r#"{"venueId":"*"}"#, r#"{"venueId":""}"#, r#"{"venueId":7}"#] {
        platform.redis.command(&["SET", &format!("api:key:{KEY}"), record]);
        fetch(&edge, &own_venue(), KEY).expect_problem(403, "INVALID_API_KEY");
    }
}

#[test]
fn a_key_of_another_venue_is_refused_and_reported() {
    let platform = Platform::start();
    let edge = platform.node();
    let other = format!("/api/v1/venues/{OTHER_VENUE}");
    fetch(&edge, &other, KEY).expect_problem(403, "AUTHORIZATION_ERROR");
    let by_query = format!("/api/v1/integrations/list?venueId={OTHER_VENUE}");
    fetch(&edge, &by_query, KEY).expect_problem(403, "AUTHORIZATION_ERROR");
    assert_eq!(platform.services.hits(), 0);
    let labels = [("event", "cross_venue_api_attempt"), ("severity", "critical")];
    edge.counts("gateway_security_events_total", &labels, 2);
    fetch(&edge, &own_venue(), KEY).expect_status(200);
}

#[test]
fn a_key_never_replaces_a_token() {
    let platform = Platform::start();
    let edge = platform.node();
    let mut client = edge.client();
    let bare = client.request("GET", &own_venue()).header("x-api-key", KEY).send();
    bare.expect_problem(401, "AUTHENTICATION_ERROR");
    edge.fetch_as(KEY, &own_venue()).expect_problem(401, "AUTHENTICATION_ERROR");
    // Nor does it add a right: a customer's token with the venue's key is a customer's.
    fetch(&edge, "/api/v1/auth/admin/users", KEY).expect_problem(403, "AUTHORIZATION_ERROR");
    assert_eq!(
        (platform.services.hits(), platform.look_ups()),
        (0, 3),
        "nobody looks at a key without a token"
    );
}

#[test]
fn on_public_rows_a_key_is_dropped_unread() {
    let platform = Platform::start();
    let edge = platform.node();
    let mut client = edge.client();
    for key in [KEY, "malformed"] {
        let request = client.request("GET", "/api/v1/branding/pricing/tiers").header("x-api-key", key);
        request.send().expect_status(200);
        assert_eq!(platform.key_at_the_service(), None);
    }
    assert_eq!(platform.look_ups(), 0);
}

#[test]
fn without_redis_a_known_key_goes_on_and_another_is_a_503() {
    let mut platform = Platform::start();
    let edge = platform.node();
    fetch(&edge, &own_venue(), KEY).expect_status(200);
    platform.redis.kill();
    fetch(&edge, &own_venue(), KEY).expect_status(200);
    let began = Instant::now();
    let answer = fetch(&edge, &own_venue(), &"e".repeat(32));
    answer.expect_problem(503, "SERVICE_UNAVAILABLE");
    assert!(answer.header("retry-after").is_some());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let edge = Edge::start(&platform.services);
    fetch(&edge, &own_venue(), KEY).expect_problem(503, "SERVICE_UNAVAILABLE");
}

#[test]
fn an_event_about_its_venue_makes_a_key_be_looked_up_again() {
    let platform = Platform::start();
    let edge = platform.node();
    fetch(&edge, &own_venue(), KEY).expect_status(200);
    platform.redis.command(&["DEL", &format!("api:key:{KEY}")]);
    fetch(&edge, &own_venue(), KEY).expect_status(200);
    platform.redis.command(&["XADD", "gateway:revocations", "*", "v", "1", "kind", "venue", "id", VENUE]);
    eventually("the key is gone", || (fetch(&edge, &own_venue(), KEY).status == 403).then_some(()));
}

#[test]
fn raw_keys_are_in_no_log_and_under_no_other_key_of_redis() {
    let platform = Platform::start();
    let edge = platform.node();
    let unknown = "unknown-key-of-somebody-else-0123456789";
    fetch(&edge, &own_venue(), KEY).expect_status(200);
    fetch(&edge, &format!("/api/v1/venues/{OTHER_VENUE}"), KEY).expect_status(403);
    let answer = fetch(&edge, &own_venue(), unknown);
    assert!(!answer.text().contains(unknown));
    let id = answer.header("x-request-id").expect("every answer has one").to_owned();
    edge.access_record(&id);
    for line in edge.log_lines() {
        for key in [KEY, unknown] {
            assert!(!line.contains(&key[..9]), "{line}");
        }
    }
    let names = platform.redis.command(&["KEYS", "*"]);
    assert!(names.matches(KEY).count() == 1 && !names.contains(unknown), "{names}");
}
