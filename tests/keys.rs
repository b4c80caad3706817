//! Keys that change while the node runs: rotation with overlap, keys that are dropped, and files that are wrong.

use crate::harness::{Backend, Command, Edge, Gate, Key, Script, Step, Token, eventually};
use edge_worker::config::tokens::KeyMaterial;
use edge_worker::config::tokens::keys::from_pem;
use rustix::process::Signal;
use serde_json::{Value, json};

const ROW: &str = "/api/v1/tickets";
const WORKERS: usize = 3;

/// An edge whose keys stand in files that the test writes.
struct Node {
    edge: Edge,
    backend: Backend,
    current: String,
    previous: String,
}

impl Node {
    fn start(current: &str, previous: &str) -> Node {
        let backend = Backend::start();
        let command = Command::run(&backend).workers(WORKERS);
        let (current, previous) =
            (command.file("current.pem", current), command.file("previous.pem", previous));
        let command = command.unset("JWT_PUBLIC_KEY").unset("JWT_PUBLIC_KEY_PREVIOUS");
        let edge = command
            .set("JWT_PUBLIC_KEY_FILE", &current)
            .set("JWT_PUBLIC_KEY_PREVIOUS_FILE", &previous)
            .start();
        Node { edge, backend, current, previous }
    }

    /// Writes both files and has them read again, until the log says what became of it.
    fn reload(&self, current: &str, previous: &str, message: &str) -> Value {
        write(&self.current, current);
        write(&self.previous, previous);
        reload(&self.edge, message)
    }

    /// The reasons that so many connections get, spread over the workers: `None` is a 200.
    fn reasons(&self, token: &str) -> Vec<Option<String>> {
        (0..8 * WORKERS).map(|_| reason(&self.edge, token)).collect()
    }
}

fn write(path: &str, content: &str) {
    // Renamed into place, as an operator should.
    let fresh = format!("{path}.new");
    std::fs::write(&fresh, content).expect("the temporary directory is writable");
    std::fs::rename(&fresh, path).expect("both stand in one directory");
}

/// SIGHUP, and the line of the log that says what became of it.
fn reload(edge: &Edge, message: &str) -> Value {
    let before = lines(edge, message).len();
    edge.signal(Signal::HUP);
    eventually(message, || lines(edge, message).into_iter().nth(before))
}

fn lines(edge: &Edge, message: &str) -> Vec<Value> {
    let says = |record: &Value| record.to_string().contains(message);
    edge.log_records().into_iter().filter(says).collect()
}

fn reason(edge: &Edge, token: &str) -> Option<String> {
    let answer = edge.fetch_as(token, ROW);
    if answer.status == 200 {
        return None;
    }
    let problem = answer.expect_problem(401, "AUTHENTICATION_ERROR");
    problem.get("reason").and_then(Value::as_str).map(str::to_owned)
}

fn pem(key: &Key) -> &'static str {
    key.public_pem()
}

/// The key set reaches the workers a moment after the log line.
fn all_answer(node: &Node, token: &str, expected: Option<&str>) {
    eventually("every worker has the keys", || {
        node.reasons(token).iter().all(|reason| reason.as_deref() == expected).then_some(())
    });
    for seen in node.reasons(token) {
        assert_eq!(seen.as_deref(), expected, "a worker went back");
    }
}

#[test]
fn a_rotation_refuses_no_live_token_and_a_dropped_key_takes_its_tokens_along() {
    let node = Node::start(pem(&Key::Current), pem(&Key::Current));
    // What is signed before the rotation says `current` until it expires.
    let old = Token::valid().build();
    let new = Token::valid().signed_with(Key::Previous).build();
    all_answer(&node, &old, None);
    all_answer(&node, &new, Some("bad_signature"));
    let rotated = node.reload(pem(&Key::Previous), pem(&Key::Current), "public keys");
    assert!(rotated.to_string().contains("previous:"), "{rotated}");
    all_answer(&node, &new, None);
    all_answer(&node, &old, None);
    let hits = node.backend.hits();
    // The overlap is over: every worker has the old token in its cache, and none takes it.
    let dropped =
        node.reload(pem(&Key::Previous), pem(&Key::Previous), "tokens of the dropped ones are refused");
    assert!(dropped.to_string().contains("\"dropped\":\"previous:"), "{dropped}");
    all_answer(&node, &old, Some("bad_signature"));
    assert!(node.backend.hits() >= hits);
    all_answer(&node, &new, None);
    // A successor of a dead worker starts with the keys of now, not with those of the start.
    let gone = node.edge.kill_worker(0);
    node.edge.workers_are_replaced(WORKERS, gone);
    assert!(node.reasons(&old).iter().all(|reason| reason.as_deref() == Some("bad_signature")));
    all_answer(&node, &new, None);
    assert!(node.edge.log_lines().iter().all(|line| !line.contains("BEGIN PUBLIC KEY")));
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_the_log_says_why() {
    let node = Node::start(pem(&Key::Current), pem(&Key::Previous));
    let (current, previous) = (Token::valid().build(), Token::valid().signed_with(Key::Previous).build());
    for (content, why) in [
        ("no key", "is neither PEM nor base64 of PEM"),
        (include_str!("keys/weak1024.public.pem"), "is an RSA key of less than 2048 bits"),
        (include_str!("keys/current.private.pem"), "holds a private key, which must never reach the edge"),
        (pem(&Key::Ec), "there is no public key for RS256"),
        ("", "names a file that is empty"),
    ] {
        // With an EC key as the current one the previous must go, too: RS256 has none left.
        let other = if content == pem(&Key::Ec) { content } else { pem(&Key::Previous) };
        node.reload(content, other, "the settings are refused; nothing changes");
        assert!(!lines(&node.edge, why).is_empty(), "{why}");
        assert!(lines(&node.edge, why).iter().all(|line| !line.to_string().contains("MII")));
        for token in [&current, &previous] {
            assert!(node.reasons(token).iter().all(Option::is_none), "{why}");
        }
    }
    std::fs::remove_file(&node.current).expect("it was there");
    reload(&node.edge, "the settings are refused; nothing changes");
    assert!(node.reasons(&current).iter().all(Option::is_none));
    node.reload(pem(&Key::Current), pem(&Key::Previous), "public keys");
    assert!(node.reasons(&previous).iter().all(Option::is_none));
}

#[test]
fn keys_of_the_environment_file_and_of_a_jwks_file_are_read_again_and_other_settings_are_named() {
    let backend = Backend::start();
    let command = Command::run(&backend).unset("JWT_PUBLIC_KEY").unset("JWT_PUBLIC_KEY_PREVIOUS");
    let jwks = command.file("jwks.json", include_str!("harness/jwks.json"));
    let variables = |key: &str, level: &str| {
        let key = key.replace('\n', "\\n");
        format!("JWT_PUBLIC_KEY={key}\nJWKS_FILE={jwks}\nLOG_LEVEL={level}\n")
    };
    let file = command.file("environment", &variables(pem(&Key::Current), "info"));
    let edge = command.arguments(&["run", "--env-file", &file]).start();
    let (current, previous) = (Token::valid().build(), Token::valid().signed_with(Key::Previous).build());
    assert_eq!((reason(&edge, &current), reason(&edge, &previous).as_deref()), (None, Some("bad_signature")));
    write(&file, &variables(pem(&Key::Previous), "debug"));
    let rest = reload(&edge, "the rest needs a restart");
    assert!(rest.to_string().contains("LOG_LEVEL"), "{rest}");
    assert!(!rest.to_string().contains("JWT_PUBLIC_KEY"), "{rest}");
    eventually("the new key holds", || reason(&edge, &previous).is_none().then_some(()));
    assert_eq!(reason(&edge, &current).as_deref(), Some("bad_signature"));
}

/// A key server: `kid` and key of each entry.
fn jwks(keys: &[(&str, Key)]) -> Script {
    let entry = |(kid, key): &(&str, Key)| {
        let public = from_pem(key.public_pem(), kid).expect("a fixture");
        let KeyMaterial::Rsa { n, e } = public.material else { panic!("the fixtures of RSA") };
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
    };
    let keys: Vec<Value> = keys.iter().map(entry).collect();
    Script::answer(200, &[("cache-control", "max-age=600")], json!({ "keys": keys }).to_string())
}

fn served(script: Script) -> Backend {
    Backend::named("keys").on("/jwks.json", script)
}

/// The edge, once it has its first keys: from now on a wish for newer ones is a fetch.
fn started(command: &Command) -> Edge {
    let edge = command.start();
    eventually("the first keys are here", || lines(&edge, "\"why\":\"JWKS_URI\"").pop());
    edge
}

/// Keys come from this server alone.
fn fetching(keys: &Backend, services: &Backend) -> Command {
    Command::run(services)
        .set("JWKS_URI", &format!("{}/jwks.json", keys.url()))
        .unset("JWT_PUBLIC_KEY")
        .unset("JWT_PUBLIC_KEY_PREVIOUS")
}

fn named(kid: &str, key: Key) -> Token {
    Token::valid().signed_with(key).header("kid", kid)
}

#[test]
fn keys_are_fetched_at_the_start_and_again_for_a_kid_that_is_new() {
    let (services, keys) = (Backend::start(), served(jwks(&[("k1", Key::Current)])));
    let edge = started(&fetching(&keys, &services).workers(2));
    let (old, new) = (named("k1", Key::Current).build(), named("k2", Key::Previous).build());
    assert_eq!(reason(&edge, &old), None);
    let fetched = keys.hits();
    keys.script("/jwks.json", jwks(&[("k1", Key::Current), ("k2", Key::Previous)]));
    assert_eq!(reason(&edge, &new), None, "the new key is fetched while its first token waits");
    assert_eq!((reason(&edge, &old), keys.hits()), (None, fetched + 1));
    eventually("the node is ready", || (edge.get("/ready").status == 200).then_some(()));
    edge.metrics_say("two keys", |metrics| metrics.count("gateway_public_keys", &[]) == 2);
    let line = eventually("the log names the new key", || lines(&edge, "k2:").pop());
    assert!(line.to_string().contains("JWKS_URI"), "{line}");
}

#[test]
fn a_request_that_comes_before_the_first_keys_waits_for_them() {
    let (gate, body) = (Gate::new(), jwks(&[("k1", Key::Current)]));
    let mut steps = vec![Step::Await(gate.clone())];
    steps.extend(body.steps);
    let (services, keys) = (Backend::start(), served(Script::of(steps)));
    let edge = fetching(&keys, &services).start();
    let mut client = edge.client();
    client.request("GET", ROW).bearer(&named("k1", Key::Current).build()).send_only();
    eventually("the fetch of the start has begun", || (keys.hits() == 1).then_some(()));
    edge.metrics_say("the request waits", |metrics| metrics.count("gateway_lookups_waiting", &[]) == 1);
    gate.open();
    client.response_to("GET").expect_status(200);
    assert_eq!(keys.hits(), 1, "one fetch for both");
}

#[test]
fn a_flood_of_made_up_kids_costs_one_fetch() {
    let (services, keys) = (Backend::start(), served(jwks(&[("k1", Key::Current)])));
    let edge = started(&fetching(&keys, &services).workers(2));
    let before = keys.hits();
    for index in 0..200 {
        let token = named(&format!("made-up-{index}"), Key::Foreign).build();
        assert_eq!(reason(&edge, &token).as_deref(), Some("unknown_kid"));
    }
    // What no key could have as its kid is not asked about at all.
    assert_eq!(reason(&edge, &named("no kid", Key::Foreign).build()).as_deref(), Some("unknown_kid"));
    let fetches = keys.hits() - before;
    assert!(fetches <= 1, "{fetches} fetches for 200 kids");
    assert_eq!(reason(&edge, &named("k1", Key::Current).build()), None);
    let total = keys.hits() as u64;
    edge.counts("gateway_key_fetches_total", &[("result", "fetched")], total);
}

#[test]
fn a_label_of_the_platform_names_no_certain_key_so_a_rotation_behind_it_is_fetched_too() {
    let (services, keys) = (Backend::start(), served(jwks(&[("current", Key::Current)])));
    let edge = started(&fetching(&keys, &services).workers(WORKERS));
    let (old, new) = (Token::valid().build(), Token::valid().signed_with(Key::Previous).build());
    for _ in 0..4 * WORKERS {
        assert_eq!(reason(&edge, &old), None);
    }
    keys.script("/jwks.json", jwks(&[("current", Key::Previous)]));
    assert_eq!(reason(&edge, &new), None, "the rotation is fetched while its first token waits");
    eventually("the dropped key takes its tokens along", || {
        let mut reasons = (0..4 * WORKERS).map(|_| reason(&edge, &old));
        reasons.all(|reason| reason.as_deref() == Some("bad_signature")).then_some(())
    });
    assert_eq!(reason(&edge, &new), None);
}

#[test]
fn while_the_address_is_down_nothing_is_a_401_that_could_be_right() {
    let (services, keys) = (Backend::start(), served(Script::answer(500, &[], "")));
    let command = fetching(&keys, &services).set("JWT_PUBLIC_KEY", Key::Current.public_pem());
    let edge = command.start();
    assert_eq!(reason(&edge, &Token::valid().build()), None, "the file's key goes on");
    eventually("the node is ready", || (edge.get("/ready").status == 200).then_some(()));
    for doubtful in [named("k2", Key::Previous), Token::valid().signed_with(Key::Previous)] {
        let answer = edge.fetch_as(&doubtful.build(), ROW);
        answer.expect_problem(503, "SERVICE_UNAVAILABLE");
        assert!(answer.header("retry-after").is_some());
    }
    let expired = named("k2", Key::Previous).expires_in(-60).build();
    assert_eq!(reason(&edge, &expired).as_deref(), Some("unknown_kid"));
    edge.metrics_say("failures are counted", |metrics| {
        metrics.count("gateway_key_fetches_total", &[("result", "failed")]) > 0
    });
    keys.script("/jwks.json", jwks(&[("k2", Key::Previous)]));
    let token = named("k2", Key::Previous).build();
    eventually("it is fetched in the background", || {
        (edge.fetch_as(&token, ROW).status == 200).then_some(())
    });
    assert_eq!(reason(&edge, &Token::valid().build()), None);
}

#[test]
fn a_node_without_any_key_is_not_ready_until_the_first_fetch_and_a_broken_document_keeps_the_keys() {
    let (services, keys) = (Backend::start(), served(Script::garbage()));
    let edge = fetching(&keys, &services).start();
    let token = named("k1", Key::Current).build();
    edge.fetch_as(&token, ROW).expect_status(503);
    let ready = edge.get("/ready");
    ready.expect_status(503);
    assert!(ready.text().contains("the public keys were not fetched yet"), "{}", ready.text());
    edge.get("/api/v1/branding/pricing/tiers").expect_status(200);
    // A document that holds nothing of use is not a set without keys.
    let useless = json!({ "keys": [{ "kty": "RSA", "kid": "k1", "x5c": ["MII"] }] });
    keys.script("/jwks.json", Script::answer(200, &[], useless.to_string()));
    eventually("it is refused", || lines(&edge, "no key of an accepted algorithm").pop());
    edge.fetch_as(&token, ROW).expect_status(503);
    keys.script("/jwks.json", jwks(&[("k1", Key::Current)]));
    eventually("the first fetch", || (edge.get("/ready").status == 200).then_some(()));
    assert_eq!(reason(&edge, &token), None, "whoever is ready has them");
}

#[test]
fn a_document_that_is_broken_later_keeps_the_keys() {
    let (services, keys) = (Backend::start(), served(jwks(&[("k1", Key::Current)])));
    let edge = started(&fetching(&keys, &services));
    let token = named("k1", Key::Current).build();
    assert_eq!(reason(&edge, &token), None);
    keys.script("/jwks.json", Script::answer(200, &[], "{\"keys\":[]}"));
    let answer = edge.fetch_as(&named("k2", Key::Previous).build(), ROW);
    answer.expect_status(503);
    eventually("the log says why", || lines(&edge, "no key of an accepted algorithm").pop());
    assert_eq!(reason(&edge, &token), None, "the old keys stay");
}
