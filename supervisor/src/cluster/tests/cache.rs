//! The shared cache, API keys, the older blacklist and bans, with a real server.

use super::servers::{Server, security};
use crate::cluster::api_keys::ApiKeys;
use crate::cluster::bans;
use crate::cluster::connection::{BATCH_COMMANDS_MAX, CallFault, Connection, LinkState};
use crate::cluster::event::{Banned, Event, TokenName};
use crate::cluster::legacy::{LegacyBlacklist, TOKENS_BYTES_MAX};
use crate::cluster::mac::MacKey;
use crate::cluster::operation::{Operation, OperationEnd};
use crate::cluster::record::{AccessQuestion, Cached, UserRecord, VenueAccess, VenueListed};
use crate::cluster::shared_cache::{Found, SharedCache};
use edge_worker::clock;
use edge_worker::config::secret::Secret;
use edge_worker::identity::digests::hexadecimal;
use edge_worker::telemetry::metrics::Metric;
use edge_worker::telemetry::security_events::SecurityEvent;
use std::time::Duration;

fn cache(server: &Server) -> SharedCache {
    let connection =
        Connection::new(&server.settings(), security().figures()).expect("the settings make a client");
    let key = MacKey::new(&Secret::new("k".repeat(32))).expect("long enough");
    SharedCache::new(connection, key, Duration::from_secs(600), security())
}

/// Critical events of forged values.
fn forged(cache: &SharedCache) -> u64 {
    let event = SecurityEvent::CacheValueForged;
    cache.figures().counted(Metric::SecurityEvents, event as u16, event.severity() as u16)
}

fn user() -> UserRecord {
    let text = |text: &str| text.to_owned();
    UserRecord { id: text("u"), tenant_id: text("t"), role: text("customer"), status: text("ACTIVE") }
}

#[tokio::test]
async fn a_user_record_is_shared_with_its_time() {
    let server = Server::start().await;
    let (a, b) = (cache(&server), cache(&server));
    assert_eq!(b.user("t", "u").await.expect("Redis is up"), Found::Miss);
    let at = clock::wall_seconds() - 100;
    a.store_user("t", "u", at, Some(&user())).await.expect("Redis is up");
    let hit = Found::Hit(Cached { value: Some(user()), at });
    assert_eq!(b.user("t", "u").await.expect("Redis is up"), hit);
    assert_eq!(server.command(&["TTL", "cache:user:t:u"]), ":300\r\n");
    a.store_user("t", "nobody", at + 100, None).await.expect("Redis is up");
    let unknown = Found::Hit(Cached { value: None, at: at + 100 });
    assert_eq!(b.user("t", "nobody").await.expect("Redis is up"), unknown);
    assert_eq!(server.command(&["TTL", "cache:user:t:nobody"]), ":30\r\n");
    a.store_list("t", "u", at, &[]).await.expect("Redis is up");
    a.forget_user("t", "u").await.expect("Redis is up");
    assert_eq!(server.command(&["EXISTS", "cache:user:t:u", "cache:venue:list:t:u"]), ":0\r\n");
    assert_eq!(b.user("t", "u").await.expect("Redis is up"), Found::Miss);
    assert_eq!(forged(&b), 0);
}

#[tokio::test]
async fn a_forged_moved_or_old_value_is_a_miss() {
    let server = Server::start().await;
    let cache = cache(&server);
    let now = clock::wall_seconds();
    cache.store_user("t", "u", now, Some(&user())).await.expect("Redis is up");
    let stored = server.command(&["GET", "cache:user:t:u"]);
    let value = stored.split("\r\n").nth(1).expect("a bulk string").to_owned();
    server.command(&["SET", "cache:user:t:other", &value]);
    server.command(&["SET", "cache:user:t:raised", &value.replace("customer", "admin")]);
    server.command(&[
        "SET",
        "cache:user:t:bare",
        r#"{"id":"u","tenantId":"t","role":"admin","status":"ACTIVE"}"#,
    ]);
    server.command(&["LPUSH", "cache:user:t:list", "x"]);
    for (count, user) in (1..).zip(["other", "raised", "bare"]) {
        assert_eq!(cache.user("t", user).await.expect("Redis is up"), Found::Miss, "{user}");
        assert_eq!(forged(&cache), count, "{user}");
    }
    let refused = cache.user("t", "list").await.expect_err("another type");
    assert!(matches!(&refused, CallFault::Refused(code) if code == "WRONGTYPE"), "{refused}");
    cache.store_user("t", "u", now - 400, Some(&user())).await.expect("Redis is up");
    server.command(&["PERSIST", "cache:user:t:u"]);
    assert_eq!(cache.user("t", "u").await.expect("Redis is up"), Found::Miss, "older than 300 s");
}

#[tokio::test]
async fn another_generation_voids_decisions_and_lists() {
    let server = Server::start().await;
    let cache = cache(&server);
    let now = clock::wall_seconds();
    let question = AccessQuestion { tenant: "t", user: "u", venue: "v", permission: None };
    let (found, generation) = cache.access(question).await.expect("Redis is up");
    assert_eq!((found, generation), (Found::Miss, 0));
    let access =
        VenueAccess { allowed: true, role: Some("owner".into()), permissions: vec!["*".into()], generation };
    cache.store_access(question, now, &access).await.expect("Redis is up");
    assert_eq!(server.command(&["TTL", "cache:venue:access:t:u:v"]), ":600\r\n");
    let hit = Found::Hit(Cached { value: access.clone(), at: now });
    assert_eq!(cache.access(question).await.expect("Redis is up"), (hit, 0));
    let list = [VenueListed { id: "v".into(), generation: 0 }];
    cache.store_list("t", "u", now, &list).await.expect("Redis is up");
    assert!(
        matches!(cache.list("t", "u").await.expect("Redis is up"), Found::Hit(cached) if cached.value == list)
    );
    server.command(&["INCR", "cache:venue:gen:v"]);
    assert_eq!(cache.access(question).await.expect("Redis is up"), (Found::Miss, 1));
    assert_eq!(cache.list("t", "u").await.expect("Redis is up"), Found::Miss);
    let denied = VenueAccess { allowed: false, role: None, permissions: Vec::new(), generation: 1 };
    let asked = AccessQuestion { permission: Some("tickets:view"), ..question };
    cache.store_access(asked, now, &denied).await.expect("Redis is up");
    assert_eq!(server.command(&["TTL", "cache:venue:access:t:u:v:tickets:view"]), ":60\r\n");
    cache.store_list("t", "none", now, &[]).await.expect("Redis is up");
    assert_eq!(server.command(&["TTL", "cache:venue:list:t:none"]), ":60\r\n");
    assert_eq!(cache.generations(&["v", "w"]).await.expect("Redis is up"), [1, 0]);
}

const VENUE: &str = "0b5e2f1c-77aa-4b0e-9d3e-5a1c2b3d4e5f";

#[tokio::test]
async fn what_an_event_has_overtaken_is_a_miss_here_until_it_is_said_again() {
    let server = Server::start().await;
    let (a, b) = (cache(&server), cache(&server));
    let now = clock::wall_seconds();
    let question = AccessQuestion { tenant: "t", user: "u", venue: VENUE, permission: None };
    let access = VenueAccess { allowed: true, role: None, permissions: Vec::new(), generation: 0 };
    let list = [VenueListed { id: VENUE.into(), generation: 0 }];
    let say = async |at| {
        a.store_user("t", "u", at, Some(&user())).await.expect("Redis is up");
        a.store_access(question, at, &access).await.expect("Redis is up");
        a.store_list("t", "u", at, &list).await.expect("Redis is up");
    };
    let hits = async || {
        let user = b.user("t", "u").await.expect("Redis is up") != Found::Miss;
        let access = b.access(question).await.expect("Redis is up").0 != Found::Miss;
        (user, access, b.list("t", "u").await.expect("Redis is up") != Found::Miss)
    };
    say(now - 10).await;
    assert_eq!(hits().await, (true, true, true));
    b.overtaken_by(&Event::Venue { id: VENUE.to_ascii_uppercase(), generation: None });
    assert_eq!(hits().await, (true, false, false), "UUIDs compare without case");
    b.overtaken_by(&Event::ForgetUser { tenant: "t".into(), sub: "U".into() });
    assert_eq!(hits().await, (true, false, false), "another user");
    b.overtaken_by(&Event::ForgetUser { tenant: "t".into(), sub: "u".into() });
    assert_eq!(hits().await, (false, false, false));
    assert_ne!(a.user("t", "u").await.expect("Redis is up"), Found::Miss, "another node has not heard of it");
    a.overtaken();
    assert_eq!(a.user("t", "u").await.expect("Redis is up"), Found::Miss);
    b.overtaken_by(&Event::Tenant { tenant: "t".into(), epoch: now });
    assert_eq!(forged(&b) + forged(&a), 0);
}

#[tokio::test]
async fn another_spelling_of_a_venue_has_the_same_generation() {
    let server = Server::start().await;
    let cache = cache(&server);
    server.command(&["INCR", &format!("cache:venue:gen:{VENUE}")]);
    let venue = VENUE.to_ascii_uppercase();
    let question = AccessQuestion { tenant: "t", user: "u", venue: &venue, permission: None };
    assert_eq!(cache.access(question).await.expect("Redis is up").1, 1);
}

#[tokio::test]
async fn an_api_key_is_found_under_the_first_template_that_has_it() {
    let server = Server::start().await;
    let connection =
        Connection::new(&server.settings(), security().figures()).expect("the settings make a client");
    let templates = ["api:key:{key}", "apikey:{key}", "api_key_hash:{sha256}"].map(str::to_owned);
    let keys = ApiKeys::new(connection, templates.to_vec());
    let (first, hashed) = ("a".repeat(32), "b".repeat(32));
    server.command(&["SET", &format!("api:key:{first}"), r#"{"venueId":"v1","tier":"premium"}"#]);
    server.command(&["SET", &format!("apikey:{first}"), r#"{"venueId":"v2"}"#]);
    let found = keys.find(&Secret::new(first)).await.expect("Redis is up").expect("known");
    assert_eq!(
        (found.venue_id.as_str(), found.tier.as_deref(), found.rate_limit),
        ("v1", Some("premium"), None)
    );
    let sha256 =
        hexadecimal(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, hashed.as_bytes()).as_ref());
    server.command(&["SET", &format!("api_key_hash:{sha256}"), r#"{"venueId":"v3","rateLimit":7}"#]);
    let found = keys.find(&Secret::new(hashed)).await.expect("Redis is up").expect("known");
    assert_eq!((found.venue_id.as_str(), found.rate_limit), ("v3", Some(7)));
    server.command(&["SET", &format!("api:key:{}", "c".repeat(32)), "no JSON"]);
    for unknown in ["c".repeat(32), "d".repeat(32), "short".to_owned(), format!("{}*", "a".repeat(32))] {
        assert_eq!(keys.find(&Secret::new(unknown)).await.expect("Redis is up"), None);
    }
}

#[tokio::test]
async fn a_key_that_redis_refuses_to_read_is_not_taken_for_an_unknown_one() {
    let server = Server::start().await;
    let connection =
        Connection::new(&server.settings(), security().figures()).expect("the settings make a client");
    let templates = ["api:key:{key}", "apikey:{key}"].map(str::to_owned).to_vec();
    let keys = ApiKeys::new(connection, templates);
    let key = || Secret::new("a".repeat(32));
    let names = ["api:key:", "apikey:"].map(|prefix| format!("{prefix}{}", key().expose()));
    server.command(&["SADD", &names[0], "no text"]);
    assert_eq!(keys.find(&key()).await.expect("Redis is up"), None, "a key of another type is no record");
    server.command(&["SET", &names[1], r#"{"venueId":"v1"}"#]);
    let found = keys.find(&key()).await.expect("Redis is up").expect("under the second template");
    assert_eq!(found.venue_id, "v1");
    server.command(&["ACL", "SETUSER", "default", "resetkeys", "~apikey:*"]);
    let fault = keys.find(&key()).await.expect_err("the first template may hold another record");
    assert!(matches!(&fault, CallFault::Refused(code) if code == "NOPERM"), "{fault}");
    server.command(&["ACL", "SETUSER", "default", "resetkeys", "~api:key:*"]);
    server.command(&["DEL", &names[0]]);
    keys.find(&key()).await.expect_err("nobody knows what the second template holds");
}

#[tokio::test]
async fn the_older_blacklist_is_looked_at_at_first_sight_and_again() {
    let server = Server::start().await;
    let connection =
        Connection::new(&server.settings(), security().figures()).expect("the settings make a client");
    let legacy = LegacyBlacklist::new(connection);
    let exp = clock::wall_seconds() + 900;
    let see = async |token: &str| {
        let (name, raw) = (TokenName::Jti(format!("jti-{token}")), Secret::new(token.to_owned()));
        legacy.first_sight(name, raw, exp).await
    };
    server.command(&["SET", "session:blacklist:one", "whatever"]);
    assert!(see("one").await.expect("Redis is up"));
    assert!(!see("two").await.expect("Redis is up"));
    assert!(!see("three").await.expect("Redis is up"));
    assert_eq!(legacy.watched_count(), 2, "a listed one needs no second look");
    server.command(&["SET", "session:blacklist:two", "1"]);
    let mut revoked = Vec::new();
    legacy.round(&mut |event| revoked.push(event)).await.expect("Redis is up");
    assert_eq!(revoked, [Event::Token { token: TokenName::Jti("jti-two".into()), exp }]);
    legacy.round(&mut |event| revoked.push(event)).await.expect("Redis is up");
    assert_eq!((revoked.len(), legacy.watched_count()), (1, 1));
    let past = clock::wall_seconds() - 1;
    let (name, raw) = (TokenName::Jti("old".into()), Secret::new("old".to_owned()));
    assert!(!legacy.first_sight(name, raw, past).await.expect("Redis is up"));
    legacy.round(&mut |_| ()).await.expect("Redis is up");
    assert_eq!(legacy.watched_count(), 1, "an expired one is forgotten");
}

fn legacy(server: &Server) -> LegacyBlacklist {
    let connection = Connection::new(&server.settings(), security().figures());
    LegacyBlacklist::new(connection.expect("the settings make a client"))
}

async fn watch(legacy: &LegacyBlacklist, token: String) {
    let (name, exp) = (TokenName::Jti(format!("jti-{token:.20}")), clock::wall_seconds() + 900);
    assert!(!legacy.first_sight(name, Secret::new(token), exp).await.expect("Redis is up"));
}

#[tokio::test]
async fn a_round_looks_at_every_token_and_reports_what_redis_refuses_to_tell() {
    let server = Server::start().await;
    let legacy = legacy(&server);
    for number in 0..BATCH_COMMANDS_MAX + 200 {
        watch(&legacy, format!("token-{number:05}")).await;
    }
    let listed = ["token-00000", "token-00999", "token-01000", "token-01199"];
    for token in listed {
        server.command(&["SET", &format!("session:blacklist:{token}"), "1"]);
    }
    server.command(&["ACL", "SETUSER", "default", "resetkeys", "~session:blacklist:token-0[01][09]*"]);
    let mut revoked = Vec::new();
    let fault = legacy.round(&mut |event| revoked.push(event)).await.expect_err("some are refused");
    assert!(matches!(&fault, CallFault::Refused(code) if code == "NOPERM"), "{fault}");
    let names: Vec<String> = revoked.iter().map(|event| event.id().into_owned()).collect();
    assert_eq!(names, ["jti-token-00000", "jti-token-00999", "jti-token-01000"]);
    server.command(&["ACL", "SETUSER", "default", "allkeys"]);
    legacy.round(&mut |event| revoked.push(event)).await.expect("all are told of");
    assert_eq!(revoked.len(), listed.len());
}

#[tokio::test]
async fn a_token_that_finds_no_room_is_looked_up_once_and_counted() {
    let server = Server::start().await;
    let legacy = legacy(&server);
    let rest = "x".repeat(TOKENS_BYTES_MAX / 64 - 2);
    for number in 0..64 {
        watch(&legacy, format!("{number:02}{rest}")).await;
    }
    let unwatched = || legacy.figures().counted(Metric::LegacyTokensUnwatched, 0, 0);
    assert_eq!((legacy.watched_count(), legacy.overflow(), unwatched()), (64, 0, 0));
    watch(&legacy, "one more".to_owned()).await;
    assert_eq!((legacy.watched_count(), legacy.overflow(), unwatched()), (64, 1, 1));
}

#[tokio::test]
async fn bans_are_read_with_their_ends() {
    let server = Server::start().await;
    let connection =
        Connection::new(&server.settings(), security().figures()).expect("the settings make a client");
    server.command(&["SET", "banned:ip:10.0.0.9", "1", "EX", "3600"]);
    server.command(&["SET", "banned:user:auth0:u", "1"]);
    server.command(&["SET", "banned:moon:x", "1"]);
    let mut bans = bans::read(&connection).await.expect("Redis is up");
    bans.sort_by_key(|ban| ban.exp);
    let [user, address] = bans.as_slice() else { panic!("{bans:?}") };
    assert_eq!((&user.whom, user.exp), (&Banned::User("auth0:u".into()), None));
    assert_eq!(address.whom, Banned::Address("10.0.0.9".into()));
    let left = address.exp.expect("it ends") - clock::wall_seconds();
    assert!((3_598..=3_601).contains(&left), "{left}");
}

#[tokio::test]
async fn a_dead_redis_fails_calls_at_once_and_a_living_one_is_noticed() {
    let mut server = Server::start().await;
    let connection =
        Connection::new(&server.settings(), security().figures()).expect("the settings make a client");
    assert_eq!(*connection.state().borrow(), LinkState::Unknown);
    connection.ping().await.expect("Redis is up");
    assert!(matches!(*connection.state().borrow(), LinkState::Up { .. }));
    server.kill();
    let mut blocked = false;
    for _ in 0..10 {
        let fault = connection.ping().await.expect_err("Redis is down");
        blocked |= matches!(fault, CallFault::Blocked);
    }
    assert!(blocked, "the breaker opens");
    assert!(matches!(*connection.state().borrow(), LinkState::Down { .. }));
    server.restart().await;
    let up = async {
        while connection.ping().await.is_err() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(super::servers::PATIENCE, up).await.expect("it reconnects by itself");
    assert!(matches!(*connection.state().borrow(), LinkState::Up { .. }));
    let pings = [OperationEnd::Succeeded, OperationEnd::Failed, OperationEnd::Blocked]
        .map(|end| connection.figures().counted(Metric::RedisOperations, Operation::Ping as u16, end as u16));
    assert!(pings[0] >= 2 && pings[1] >= 5 && pings[2] >= 1, "{pings:?}");
}
