//! Rows whose policy differs while Redis or auth-service cannot be read: `stale` and `outage` of the route table.

use crate::harness::token::{JTI, OTHER_USER, TENANT, USER, now};
use crate::harness::{Backend, Command, Edge, RedisServer, Script, Token, eventually};

const SURE: &str = "/api/v1/tickets";
const SERVING: &str = "/api/v1/orders";
const OTHER_JTI: &str = "99999999-eeee-4eee-8eee-999999999999";

fn edge(command: Command, table: &str) -> Edge {
    let file = command.file("floodgate.toml", table);
    command.argument("--config").argument(&file).start()
}

fn status(edge: &Edge, token: &str, path: &str) -> u16 {
    edge.fetch_as(token, path).status
}

#[test]
fn a_row_that_wants_to_be_sure_asks_redis_while_the_mirror_may_lack_something() {
    let (backend, mut redis) = (Backend::start(), RedisServer::start());
    let table = r#"routes = [
  { id = "T8", path = "/api/v1/tickets/**", methods = "A", service = "ticket", access = "user", stale = "check" },
  { id = "O2", path = "/api/v1/orders/**", methods = "A", service = "order", access = "user", stale = "serve" },
]
"#;
    let edge = edge(Command::run(&backend).set("REDIS_URL", &redis.url()), table);
    let (token, other) = (Token::valid().build(), Token::valid().claim("jti", OTHER_JTI).build());
    eventually("the mirror is complete", || (edge.ask_admin("/ready").status == 200).then_some(()));
    edge.fetch_as(&token, SURE).expect_status(200);
    edge.counts("gateway_lookups_total", &[("question", "revoked")], 0);

    // The stream cannot be read any more, and what it would have said stands in a key alone.
    redis.command(&["ACL", "SETUSER", "default", "-xread"]);
    redis.command(&["SET", &format!("session:blacklist:jti:{JTI}"), "1", "EX", "900"]);
    eventually("Redis itself is asked", || (status(&edge, &token, SURE) == 401).then_some(()));
    assert_eq!(status(&edge, &other, SURE), 200, "Redis was asked, and knows nothing of it");
    assert_eq!(status(&edge, &token, SERVING), 401, "what was found out holds on every row");

    redis.kill();
    eventually("nobody can be asked", || (status(&edge, &other, SURE) == 503).then_some(()));
    let refused = edge.fetch_as(&other, SURE);
    refused.expect_problem(503, "SERVICE_UNAVAILABLE");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(status(&edge, &other, SERVING), 200, "there the mirror decides");
    assert_eq!(status(&edge, &token, SURE), 401, "what the mirror knows needs no question");

    redis.restart();
    eventually("the mirror is complete again", || (status(&edge, &other, SURE) == 200).then_some(()));
}

#[test]
fn a_node_that_runs_alone_lacks_nothing() {
    let backend = Backend::start();
    let table = r#"routes = [
  { id = "T8", path = "/api/v1/tickets/**", methods = "A", service = "ticket", access = "user", stale = "check" },
]
"#;
    let edge = edge(Command::run(&backend), table);
    edge.fetch_as(&Token::valid().build(), SURE).expect_status(200);
}

#[test]
fn a_cut_off_of_the_user_is_found_as_well() {
    let (backend, redis) = (Backend::start(), RedisServer::start());
    let table = r#"routes = [
  { id = "T8", path = "/api/v1/tickets/**", methods = "A", service = "ticket", access = "user", stale = "check" },
]
"#;
    let edge = edge(Command::run(&backend).set("REDIS_URL", &redis.url()), table);
    let token = Token::valid().build();
    edge.fetch_as(&token, SURE).expect_status(200);
    redis.command(&["ACL", "SETUSER", "default", "-xread"]);
    let key = format!("session:nbf:user:{}:{}", TENANT, USER);
    redis.command(&["SET", &key, &format!("{{\"epoch\":{}}}", now() + 1)]);
    eventually("Redis itself is asked", || (status(&edge, &token, SURE) == 401).then_some(()));
    // What stands where a revocation would, and is none, is no permission either.
    let other = Token::valid().user(OTHER_USER).claim("jti", OTHER_JTI).build();
    edge.fetch_as(&other, SURE).expect_status(200);
    let key = format!("session:nbf:tenant:{}", TENANT);
    redis.command(&["SET", &key, "soon"]);
    edge.fetch_as(&other, SURE).expect_status(503);
}

#[test]
fn a_row_has_its_own_policy_for_an_outage_of_auth_service() {
    let auth = Backend::named("auth").on("/auth/internal/users/", Script::answer(500, &[], ""));
    let services = Backend::start();
    let command = Command::run(&services).service("auth", &auth).set("AUTH_USER_CHECK", "always");
    let command = command.set("S2S_SERVICE_TOKEN", "a-fixed-service-token").set("AUTH_OUTAGE_POLICY", "deny");
    let table = r#"routes = [
  { id = "T8", path = "/api/v1/tickets/**", methods = "A", service = "ticket", access = "user", outage = "claims" },
  { id = "O2", path = "/api/v1/orders/**", methods = "A", service = "order", access = "user" },
]
"#;
    let edge = edge(command, table);
    let token = Token::valid().build();
    assert_eq!(status(&edge, &token, SURE), 200);
    assert_eq!(status(&edge, &token, SERVING), 503);
    let mut client = edge.client();
    client.request("POST", SURE).bearer(&token).body("{}").send().expect_status(503);
    edge.counts("gateway_degraded_decisions_total", &[("why", "claims")], 1);
}
