//! Keys that change while the node runs: rotation with overlap, keys that are dropped, and files that are wrong.

use crate::harness::{Backend, Command, Edge, Key, Token, eventually};
use rustix::process::Signal;
use serde_json::Value;

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
