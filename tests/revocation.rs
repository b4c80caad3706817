//! What one node or service revokes, no node accepts: through a real Redis, its death, and a node's own.

use crate::harness::token::{JTI, OTHER_USER, TENANT, USER, now};
use crate::harness::{Backend, Command, Edge, Gate, RedisServer, Script, Token, eventually, holds_within};
use std::time::Duration;

const ROW: &str = "/api/v1/tickets";

/// A node that has read Redis once: what was only in the stream before is not in the keys that it reads first.
fn node(backend: &Backend, redis: &RedisServer) -> Edge {
    let command = Command::run(backend).set("REDIS_URL", &redis.url());
    let edge = command.set("READY_DEPENDENCIES", "redis").start();
    eventually("the node is ready", || (edge.get("/ready").status == 200).then_some(()));
    edge
}

fn is_revoked(edge: &Edge, token: &str) -> bool {
    let answer = edge.fetch_as(token, ROW);
    if answer.status != 401 {
        answer.expect_status(200);
        return false;
    }
    assert_eq!(answer.expect_problem(401, "AUTHENTICATION_ERROR")["reason"], "revoked");
    true
}

/// As any service of the platform revokes a token.
fn revoke_token(redis: &RedisServer, jti: &str) {
    let expiry = (now() + 900).to_string();
    redis.command(&["SET", &format!("session:blacklist:jti:{jti}"), "1", "EX", "900"]);
    let entry = ["XADD", "gateway:revocations", "*", "v", "1", "kind", "jti", "id", jti, "exp", &expiry];
    redis.command(&entry);
}

#[test]
fn a_revoked_token_is_refused_on_every_node_and_others_are_not() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = [node(&backend, &redis), node(&backend, &redis)];
    let token = Token::valid().build();
    let other = Token::valid().claim("jti", "66666666-eeee-4eee-8eee-666666666666").build();
    for node in &nodes {
        assert!(!is_revoked(node, &token));
    }
    revoke_token(&redis, JTI);
    for node in &nodes {
        eventually("the node refuses it", || is_revoked(node, &token).then_some(()));
        assert!(!is_revoked(node, &other));
    }
}

#[test]
fn a_users_older_tokens_are_revoked_and_the_excepted_one_is_not() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    let token = Token::valid().build();
    let excepted = "77777777-eeee-4eee-8eee-777777777777";
    let kept = Token::valid().claim("jti", excepted).build();
    let stranger = Token::valid().user(OTHER_USER).build();
    let epoch = (now() + 1).to_string();
    let entry = [
        "XADD",
        "gateway:revocations",
        "*",
        "v",
        "1",
        "kind",
        "user",
        "id",
        USER,
        "tenant",
        TENANT,
        "epoch",
        &epoch,
        "except",
        excepted,
    ];
    redis.command(&entry);
    eventually("the user's token is refused", || is_revoked(&edge, &token).then_some(()));
    assert!(!is_revoked(&edge, &kept));
    assert!(!is_revoked(&edge, &stranger));
}

#[test]
fn a_node_that_starts_later_knows_what_was_revoked_before() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    redis.command(&["SET", &format!("session:blacklist:jti:{JTI}"), "1", "EX", "900"]);
    let edge = node(&backend, &redis);
    let token = Token::valid().build();
    eventually("the snapshot is read", || is_revoked(&edge, &token).then_some(()));
}

#[test]
fn without_redis_the_mirror_goes_on_and_catches_up_when_it_returns() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    let token = Token::valid().build();
    revoke_token(&redis, JTI);
    eventually("the node refuses it", || is_revoked(&edge, &token).then_some(()));
    redis.kill();
    let later = "88888888-eeee-4eee-8eee-888888888888";
    let other = Token::valid().claim("jti", later).build();
    assert!(is_revoked(&edge, &token), "what is revoked stays so");
    assert!(!is_revoked(&edge, &other), "an outage is no revocation");
    redis.restart();
    revoke_token(&redis, later);
    eventually("the node has caught up", || is_revoked(&edge, &other).then_some(()));
}

#[test]
fn a_worker_that_is_replaced_still_knows() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let edge = node(&backend, &redis);
    let token = Token::valid().build();
    revoke_token(&redis, JTI);
    eventually("the node refuses it", || is_revoked(&edge, &token).then_some(()));
    let count = edge.worker_pids().len();
    let gone = edge.kill_worker(0);
    edge.workers_are_replaced(count, gone);
    for _ in 0..20 {
        assert!(is_revoked(&edge, &token));
    }
}

#[test]
fn where_the_policy_is_deny_a_cold_node_without_redis_serves_public_rows_alone() {
    let backend = Backend::start();
    let mut redis = RedisServer::start();
    redis.kill();
    let command = Command::run(&backend).set("REDIS_URL", &redis.url());
    let edge = command.set("REVOCATION_COLD_POLICY", "deny").start();
    edge.fetch_as(&Token::valid().build(), ROW).expect_status(503);
    edge.get("/api/v1/branding/pricing/tiers").expect_status(200);
    redis.restart();
    let token = Token::valid().build();
    edge.counts("gateway_auth_failures_total", &[("reason", "auth_unavailable")], 1);
    eventually("the first look at the store", || (edge.fetch_as(&token, ROW).status == 200).then_some(()));
}

#[test]
fn a_logout_revokes_the_presented_token_on_every_node_and_a_failed_one_does_not() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = [node(&backend, &redis), node(&backend, &redis)];
    let token = Token::valid().build();
    let log_out = || nodes[0].client().request("POST", "/api/v1/auth/logout").bearer(&token).send().status;
    backend.script("/auth/logout", Script::answer(500, &[], ""));
    assert_eq!(log_out(), 500);
    assert!(!is_revoked(&nodes[0], &token), "the service has not logged anybody out");
    backend.script("/auth/logout", Script::answer(204, &[], ""));
    assert_eq!(log_out(), 204);
    for node in &nodes {
        eventually("the node refuses it", || is_revoked(node, &token).then_some(()));
    }
}

#[test]
fn a_token_whose_id_redis_cannot_name_is_revoked_on_every_node_all_the_same() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = [node(&backend, &redis), node(&backend, &redis)];
    let mut revoked = Vec::new();
    for jti in ["schlüssel", "two words", "line\nbreak", &"x".repeat(257)] {
        let token = Token::valid().claim("jti", jti).build();
        let other = Token::valid().claim("jti", jti).claim("sid", "another token of this id").build();
        nodes.iter().for_each(|node| assert!(!is_revoked(node, &token), "{jti}"));
        nodes[0].client().request("POST", "/api/v1/auth/logout").bearer(&token).send().expect_status(200);
        for node in &nodes {
            eventually("the node refuses it", || is_revoked(node, &token).then_some(()));
            assert!(!is_revoked(node, &other), "{jti}");
        }
        revoked.push(token);
    }
    let third = node(&backend, &redis);
    for token in &revoked {
        eventually("the snapshot names it, too", || is_revoked(&third, token).then_some(()));
    }
}

#[test]
fn a_new_password_spares_no_token_that_redis_cannot_name() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = [node(&backend, &redis), node(&backend, &redis)];
    let used = Token::valid().claim("jti", "schlüssel").build();
    let other = Token::valid().build();
    let mut client = nodes[0].client();
    client.request("PUT", "/api/v1/auth/change-password").bearer(&used).send().expect_status(200);
    for node in &nodes {
        for token in [&used, &other] {
            eventually("the node refuses it", || is_revoked(node, token).then_some(()));
        }
    }
}

#[test]
fn a_client_that_leaves_before_its_logout_is_confirmed_is_logged_out_all_the_same() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let (token, gate) = (Token::valid().build(), Gate::new());
    backend.script("/auth/logout", Script::gated(&gate));
    let mut client = edge.client();
    client.request("POST", "/api/v1/auth/logout").bearer(&token).send_only();
    eventually("the logout is at the service", || (backend.hits() == 1).then_some(()));
    client.vanish();
    assert!(!holds_within(Duration::from_secs(1), || backend.hung_up() == 1), "the call is not given up");
    assert!(!is_revoked(&edge, &token));
    gate.open();
    eventually("its token is refused", || is_revoked(&edge, &token).then_some(()));
}

#[test]
fn a_new_password_leaves_only_the_token_with_which_it_was_set() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let (token, elsewhere) =
        (Token::valid(), Token::valid().claim("jti", "99999999-eeee-4eee-8eee-999999999999"));
    let mut client = edge.client();
    let request = client.request("PUT", "/api/v1/auth/change-password").bearer(&token.build());
    request.body("{}").send().expect_status(200);
    eventually("the other device is logged out", || is_revoked(&edge, &elsewhere.build()).then_some(()));
    assert!(!is_revoked(&edge, &token.build()));
}
