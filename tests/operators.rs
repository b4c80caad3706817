//! What operators order holds on every node, and is written down.

use crate::harness::token::{JTI, OTHER_TENANT, OTHER_USER, TENANT, USER, now};
use crate::harness::{Backend, Command, Edge, RedisServer, Token, eventually};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

const ROW: &str = "/api/v1/tickets";
const OTHER_JTI: &str = "66666666-eeee-4eee-8eee-666666666666";

fn two_nodes(backend: &Backend, redis: &RedisServer) -> [Edge; 2] {
    [(); 2].map(|()| Command::run(backend).set("REDIS_URL", &redis.url()).start())
}

#[track_caller]
fn refuses(edge: &Edge, token: &str) {
    eventually("the node refuses the token", || (edge.fetch_as(token, ROW).status == 401).then_some(()));
    let problem = edge.fetch_as(token, ROW).expect_problem(401, "AUTHENTICATION_ERROR");
    assert_eq!(problem["reason"], "revoked");
}

#[track_caller]
fn accepts(edge: &Edge, token: &str) {
    edge.fetch_as(token, ROW).expect_status(200);
}

/// The audit line of the latest order.
fn audit(edge: &Edge) -> Value {
    eventually("the order is in the log", || {
        let mut records = edge.log_records().into_iter();
        records.rfind(|record| record["event"] == "operator_revocation")
    })
}

#[test]
fn a_token_on_standard_input_is_revoked_on_every_node_and_never_logged() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = two_nodes(&backend, &redis);
    let token = Token::valid().build();
    let other = Token::valid().claim("jti", OTHER_JTI).build();
    nodes.iter().for_each(|node| accepts(node, &token));
    let ordered = nodes[0].revoke_with(&["token", "--reason", "posted in a forum"], &format!("{token}\n"));
    ordered.expect_code(0).expect_words(&["published", JTI, USER, TENANT]);
    assert_eq!(nodes[0].fetch_as(&token, ROW).status, 401, "it holds here before the command has ended");
    refuses(&nodes[1], &token);
    nodes.iter().for_each(|node| accepts(node, &other));
    let line = audit(&nodes[0]);
    assert_eq!(line["whom"], format!("token {JTI}"));
    assert_eq!((&line["what"], &line["reason"]), (&"jti".into(), &"posted in a forum".into()));
    assert_eq!((&line["msg"], &line["outcome"]), (&"security event".into(), &"published".into()));
    nodes[0].counts(
        "gateway_security_events_total",
        &[("event", "operator_revocation"), ("severity", "high")],
        1,
    );
    assert_eq!(line["uid"], rustix::process::geteuid().as_raw());
    assert!(line["pid"].as_u64().is_some_and(|pid| pid > 1), "{line}");
    let secret = token.rsplit('.').next().expect("a signature");
    assert!(nodes[0].log_lines().iter().all(|line| !line.contains(secret)));
}

#[test]
fn a_token_is_revoked_by_its_id_where_the_token_is_not_at_hand() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    accepts(&edge, &token);
    let expires = (now() + 900).to_string();
    let ordered = edge.revoke(&["token", "--jti", JTI, "--expires", &expires]);
    ordered.expect_code(0).expect_words(&["has no Redis"]);
    refuses(&edge, &token);
}

#[test]
fn a_users_tokens_are_revoked_but_for_the_one_that_is_excepted() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = two_nodes(&backend, &redis);
    let token = Token::valid().build();
    let kept = Token::valid().claim("jti", OTHER_JTI).build();
    let stranger = Token::valid().user(OTHER_USER).build();
    let ordered = nodes[0].revoke(&["user", "--tenant", TENANT, USER, "--except", OTHER_JTI]);
    ordered.expect_code(0).expect_words(&["published", OTHER_JTI]);
    for node in &nodes {
        refuses(node, &token);
        accepts(node, &kept);
        accepts(node, &stranger);
    }
}

#[test]
fn all_tokens_of_a_tenant_are_revoked_and_no_others() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let nodes = two_nodes(&backend, &redis);
    let (token, other) = (Token::valid().build(), Token::valid().tenant(OTHER_TENANT).build());
    nodes[0].revoke(&["tenant", &TENANT.to_ascii_uppercase()]).expect_code(0);
    for node in &nodes {
        refuses(node, &token);
        accepts(node, &other);
    }
    assert_eq!(audit(&nodes[0])["what"], "tenant");
}

#[test]
fn while_redis_is_down_an_order_is_queued_and_reaches_the_others_afterwards() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let nodes = two_nodes(&backend, &redis);
    let token = Token::valid().build();
    nodes.iter().for_each(|node| accepts(node, &token));
    redis.kill();
    nodes[0].revoke(&["tenant", TENANT]).expect_code(75).expect_words(&["queued", "1 waiting"]);
    refuses(&nodes[0], &token);
    accepts(&nodes[1], &token);
    redis.restart();
    refuses(&nodes[1], &token);
}

#[test]
fn a_node_that_stops_while_redis_is_down_says_how_many_revocations_are_lost() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let mut node = Command::run(&backend).set("REDIS_URL", &redis.url()).start();
    redis.kill();
    for tenant in [TENANT, OTHER_TENANT] {
        node.revoke(&["tenant", tenant]).expect_code(75);
    }
    assert_eq!(node.terminate().code(), Some(0));
    let records = node.log_records();
    let lost: Vec<&Value> =
        records.iter().filter(|record| record["event"] == "revocations_unpublished").collect();
    assert!(matches!(lost[..], [line] if line["count"] == 2 && line["severity"] == "critical"), "{lost:?}");
}

#[test]
fn a_node_that_stops_as_soon_as_redis_is_back_still_publishes_what_waited() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let [mut leaving, staying] = two_nodes(&backend, &redis);
    let token = Token::valid().build();
    accepts(&staying, &token);
    redis.kill();
    leaving.revoke(&["tenant", TENANT]).expect_code(75);
    redis.restart();
    leaving.terminate();
    refuses(&staying, &token);
    assert!(leaving.log_records().iter().all(|record| record["event"] != "revocations_unpublished"));
}

#[test]
fn the_socket_is_found_through_the_settings_and_is_closed_to_others() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let socket = edge.runtime_path("control.sock");
    let mode = std::fs::metadata(&socket).expect("the node made it").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let directory = edge.runtime_path("");
    let command = Command::bare(&["revoke", "tenant", TENANT]).set("FLOODGATE_RUNTIME_DIR", &directory);
    command.finish().expect_code(0);
    refuses(&edge, &token);
}

/// Root alone can run a command as somebody else.
#[test]
fn somebody_who_may_not_give_orders_is_told_so_and_is_a_security_event() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    // As an administrator who loosened everything would have it.
    for (name, mode) in [("", 0o777), ("control.sock", 0o666)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(edge.runtime_path(name), permissions).expect("ours");
    }
    let refused = edge.revoke_as(65_534, &["tenant", TENANT]);
    refused.expect_code(77).expect_words(&["may not give", "as root"]);
    accepts(&edge, &Token::valid().build());
    let labels = [("event", "control_socket_refused"), ("severity", "high")];
    edge.counts("gateway_security_events_total", &labels, 1);
    let line = eventually("it is in the log", || {
        let mut records = edge.log_records().into_iter();
        records.find(|record| record["event"] == "control_socket_refused")
    });
    assert_eq!(line["uid"], 65_534);
}

#[test]
fn a_configuration_that_cannot_be_read_is_said_and_no_default_taken() {
    let path = std::env::temp_dir().join(format!("fg-broken-{}.toml", std::process::id()));
    std::fs::write(&path, "[server]\nruntime_dir = \"/run/edge\n")
        .expect("the temporary directory is writable");
    let path = path.to_str().expect("temporary paths are UTF-8");
    for command in [
        Command::bare(&["revoke", "--config", path, "tenant", TENANT]),
        Command::bare(&["revoke", "tenant", TENANT]).set("FLOODGATE_CONFIG", path),
    ] {
        command.finish().expect_code(78).expect_words(&[path, "is not TOML"]);
    }
    std::fs::remove_file(path).expect("it is ours");
}

#[test]
fn an_order_that_cannot_be_given_says_what_to_do() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    edge.revoke(&["tenant", "acme"]).expect_code(64).expect_words(&["UUID"]);
    edge.revoke(&["user", "--tenant", TENANT, "two words"]).expect_code(64);
    edge.revoke(&["token"]).expect_code(64).expect_words(&["standard input"]);
    edge.revoke_with(&["token"], "no.token\n").expect_code(64);
    let far = (now() + 10 * 366 * 86_400).to_string();
    let far = edge.revoke(&["token", "--jti", JTI, "--expires", &far]);
    far.expect_code(64).expect_words(&["more than 366 days", "exp"]);
    let expired = (now() - 900).to_string();
    let over = edge.revoke(&["token", "--jti", JTI, "--expires", &expired]);
    over.expect_code(0).expect_words(&["expired"]);
    let nobody = Command::bare(&["revoke", "tenant", TENANT]).finish();
    nobody.expect_code(69).expect_words(&["no node", "control.sock", "--socket"]);
    Command::bare(&["revoke", "everybody"]).finish().expect_code(64);
    accepts(&edge, &Token::valid().build());
}

#[test]
fn an_operator_sees_holds_and_resets_the_circuit_of_a_service() {
    let backend = Backend::start();
    let edge = Command::run(&backend).workers(2).start();
    let token = Token::valid().build();
    let all = edge.breaker(&["list"]);
    all.expect_code(0).expect_words(&["service", "minting", "scanning", "closed"]);
    edge.breaker(&["open", "ticket", "--reason", "deploying"])
        .expect_code(0)
        .expect_words(&["ticket", "open", "held"]);
    for _ in 0..20 {
        assert!(edge.fetch_as(&token, ROW).expect_status(503).header("retry-after").is_some());
    }
    edge.fetch_as(&token, "/api/v1/orders").expect_status(200);
    let line = eventually("the order is in the log", || {
        edge.log_records().into_iter().rfind(|record| record["event"] == "operator_circuit")
    });
    assert_eq!(
        (&line["whom"], &line["what"], &line["outcome"]),
        (&"ticket".into(), &"open".into(), &"open".into())
    );
    assert_eq!(
        (&line["reason"], &line["uid"]),
        (&"deploying".into(), &rustix::process::geteuid().as_raw().into())
    );

    edge.breaker(&["close", "ticket"]).expect_code(0).expect_words(&["closed", "held"]);
    backend.script("/", crate::harness::Script::answer(500, &[], ""));
    for _ in 0..40 {
        edge.fetch_as(&token, ROW).expect_status(500);
    }
    edge.breaker(&["reset", "ticket"]).expect_code(0);
    for _ in 0..20 {
        edge.fetch_as(&token, ROW).expect_status(500);
    }
    edge.fetch_as(&token, ROW).expect_status(503);
    edge.breaker(&["list", "ticket"]).expect_code(0).expect_words(&["ticket", "open", " s"]);
    edge.breaker(&["open", "tikcet"]).expect_code(64).expect_words(&["tikcet", "name one of", "ticket"]);
    edge.counts("gateway_security_events_total", &[("event", "operator_circuit")], 3);
}
