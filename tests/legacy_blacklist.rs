//! The older revocation key, `session:blacklist:<raw token>`: looked up when a node first sees a token, then watched.

use crate::harness::{Backend, Command, Edge, RedisServer, Token, eventually};
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";

fn node(backend: &Backend, redis: &RedisServer) -> Edge {
    Command::run(backend).set("REDIS_URL", &redis.url()).start()
}

fn list(redis: &RedisServer, token: &str) {
    redis.command(&["SET", &format!("session:blacklist:{token}"), "1", "EX", "900"]);
}

/// How often the edge asked Redis whether a key exists.
fn looks(redis: &RedisServer) -> u64 {
    let statistics = redis.command(&["INFO", "commandstats"]);
    let line = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_exists:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_listed_token_is_refused_at_its_first_request_and_another_is_not() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    let (listed, other) =
        (Token::valid(), Token::valid().claim("jti", "66666666-eeee-4eee-8eee-666666666666"));
    let (listed, other) = (listed.build(), other.build());
    list(&redis, &listed);
    for _ in 0..3 {
        let problem = edge.fetch_as(&listed, ROW).expect_problem(401, "AUTHENTICATION_ERROR");
        assert_eq!(problem["reason"], "revoked");
    }
    edge.fetch_as(&other, ROW).expect_status(200);
    assert_eq!(backend.hits(), 1, "no request with the listed one came through");
    redis.command(&["DEL", &format!("session:blacklist:{listed}")]);
    edge.fetch_as(&listed, ROW).expect_status(401);
}

#[test]
fn a_token_without_an_id_is_found_too() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = Command::run(&backend).shared_secret_tokens().set("REDIS_URL", &redis.url()).start();
    let key = crate::harness::Key::Secret(crate::harness::token::SHARED_SECRET.as_bytes().to_vec());
    let token = Token::valid().without("jti").signed_with(key).build();
    list(&redis, &token);
    for _ in 0..2 {
        edge.fetch_as(&token, ROW).expect_status(401);
    }
}

#[test]
fn a_token_that_is_listed_while_it_is_used_is_refused_within_seconds() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    list(&redis, &token);
    let began = Instant::now();
    eventually("the next look finds it", || (edge.fetch_as(&token, ROW).status == 401).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
}

#[test]
fn no_request_after_the_first_asks_and_none_does_where_it_is_turned_off() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    let first = looks(&redis);
    assert!(first >= 1, "the first sight asks");
    let mut client = edge.client();
    for _ in 0..500 {
        client.fetch_as(&token, ROW).expect_status(200);
    }
    assert!(looks(&redis) <= first + 20, "500 requests asked {} times", looks(&redis) - first);

    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = Command::run(&backend).set("REDIS_URL", &redis.url()).set("LEGACY_BLACKLIST", "false").start();
    list(&redis, &token);
    edge.fetch_as(&token, ROW).expect_status(200);
}

#[test]
fn without_an_answer_of_redis_the_mirror_decides_and_soon() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    edge.fetch_as(&Token::valid().build(), ROW).expect_status(200);
    redis.stall();
    for number in 0..8 {
        let began = Instant::now();
        edge.fetch_as(&Token::valid().claim("jti", format!("token-{number}")).build(), ROW)
            .expect_status(200);
        assert!(began.elapsed() < Duration::from_secs(2), "{number}: {:?}", began.elapsed());
    }
}

#[test]
fn raw_tokens_are_nowhere_but_in_the_older_key() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    let token = Token::valid().build();
    list(&redis, &token);
    edge.fetch_as(&token, ROW).expect_status(401);
    redis.command(&["DEL", &format!("session:blacklist:{token}")]);
    let signature = token.rsplit('.').next().expect("three parts");
    assert!(!redis.command(&["KEYS", "*"]).contains(signature));
    let lines = edge.log_lines();
    assert!(lines.iter().all(|line| !line.contains(signature)), "{lines:?}");
}
