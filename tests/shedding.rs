//! Who is refused while the node has more to do than it can: by class, the least important first.

use crate::harness::{Backend, Client, Command, Edge, Gate, Response, Script, Token, eventually, process};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const ANONYMOUS: (&str, &str) = ("GET", "/api/v1/integrations/oauth/callback/square");
const BROWSING: (&str, &str) = ("GET", "/api/v1/events");
const ADMITTED: (&str, &str) = ("GET", "/api/v1/tickets");
const CHECKOUT: (&str, &str) = ("POST", "/api/v1/tickets/purchase");
const TRIES: usize = 20;

/// From 60 requests in flight on it sheds, and each 20 more are one class; at 130 the worker is full.
const MARK: usize = 60;
const CLASS: usize = MARK / 3;
const CAP: usize = 130;

struct Node {
    edge: Edge,
    token: String,
    gate: Gate,
    backend: Backend,
    held: Vec<Client>,
}

impl Node {
    fn start() -> Node {
        let gate = Gate::new();
        let backend = Backend::start().on("/api/v1/orders/held", Script::gated(&gate));
        let command = Command::run(&backend).set("FLOODGATE_SHED_IN_FLIGHT", &MARK.to_string());
        let command = command.set("FLOODGATE_IN_FLIGHT_MAX", &CAP.to_string());
        let edge = command.set("FLOODGATE_SHED_LAG_MS", "0").start();
        Node { edge, token: Token::valid().build(), gate, backend, held: Vec::new() }
    }

    /// Has so many requests in flight, of the class that is shed last, and waits until the worker knows.
    fn holds(&mut self, count: usize) {
        while self.held.len() < count {
            let mut client = self.edge.client();
            client.request("POST", "/api/v1/orders/held").bearer(&self.token).body("{}").send_only();
            self.held.push(client);
        }
        let held = || self.backend.received().iter().filter(|one| one.target().ends_with("held")).count();
        eventually("they are in flight", || (held() == count).then_some(()));
        let wanted = count.saturating_sub(MARK) as f64 / CLASS as f64;
        eventually("the worker knows", || (level(&self.edge) >= wanted - 0.01).then_some(()));
    }

    fn ask(&self, (method, path): (&str, &str)) -> Response {
        let mut client = self.edge.client();
        let request = client.request(method, path).bearer(&self.token);
        if method == "POST" { request.body("{}").send() } else { request.send() }
    }

    /// How many of some requests are shed.
    fn shed(&self, row: (&str, &str)) -> usize {
        (0..TRIES).map(|_| self.ask(row)).filter(is_shed).count()
    }

    fn is_never_shed(&self) {
        for path in
            ["/live", "/ready", "/health", "/metrics", "/api/v1/tickets/health", "/api/v1/tickets/metrics"]
        {
            let answer = self.ask(("GET", path));
            if path == "/ready" {
                // Its own word about the node, whatever that is.
                assert!(answer.json()["checks"].is_object(), "{path}: {}", answer.text());
                assert!(answer.header("content-type").is_some_and(|kind| !kind.contains("problem")));
            } else {
                assert_eq!(answer.status, 200, "{path}");
            }
        }
    }
}

fn is_shed(answer: &Response) -> bool {
    if answer.status == 200 {
        return false;
    }
    let problem = answer.expect_problem(503, "SERVICE_UNAVAILABLE");
    assert_eq!(problem["detail"], "The edge is overloaded.");
    assert_eq!(answer.header("retry-after"), Some("2"));
    true
}

/// In classes.
fn level(edge: &Edge) -> f64 {
    edge.metrics().value("gateway_shedding_level", &[])
}

#[test]
fn classes_are_shed_in_order_and_all_are_served_again_when_it_is_over() {
    let mut node = Node::start();
    node.holds(MARK - 2);
    for row in [ANONYMOUS, BROWSING, ADMITTED, CHECKOUT] {
        assert_eq!(node.shed(row), 0, "{row:?} below the mark");
    }

    node.holds(MARK + CLASS - 4);
    assert!(node.shed(ANONYMOUS) > 0, "most of the first class");
    for row in [BROWSING, ADMITTED, CHECKOUT] {
        assert_eq!(node.shed(row), 0, "{row:?} while anonymous ones are shed");
    }

    node.holds(MARK + 2 * CLASS - 4);
    assert_eq!(node.shed(ANONYMOUS), TRIES, "all of the first class");
    assert!(node.shed(BROWSING) > 0, "most of the second");
    for row in [ADMITTED, CHECKOUT] {
        assert_eq!(node.shed(row), 0, "{row:?} while browsing ones are shed");
    }

    node.holds(MARK + 3 * CLASS - 4);
    assert_eq!((node.shed(ANONYMOUS), node.shed(BROWSING)), (TRIES, TRIES));
    assert!(node.shed(ADMITTED) > 0, "most of the third");
    assert_eq!(node.shed(CHECKOUT), 0, "the last class only at the cap");
    node.is_never_shed();

    let refused = node.edge.metrics().count("gateway_rejections_total", &[("reason", "shed")]);
    let by_class = |class| node.edge.metrics().count("gateway_shed_requests_total", &[("class", class)]);
    assert_eq!(by_class("anonymous") + by_class("browsing") + by_class("admitted"), refused);
    assert_eq!(by_class("checkout"), 0);

    node.gate.open();
    for client in &mut node.held {
        client.response_to("POST").expect_status(200);
    }
    eventually("the pressure ends", || (level(&node.edge) == 0.0).then_some(()));
    for row in [ANONYMOUS, BROWSING, ADMITTED, CHECKOUT] {
        assert_eq!(node.shed(row), 0, "{row:?} afterwards");
    }
    spell_is_logged(&node.edge);
}

#[test]
fn a_full_worker_sheds_even_the_checkout_but_not_what_watches_it() {
    let mut node = Node::start();
    node.holds(CAP);
    eventually("the worker knows", || (level(&node.edge) == 4.0).then_some(()));
    assert_eq!(node.shed(CHECKOUT), TRIES);
    let before = node.backend.hits();
    assert_eq!(node.shed(ANONYMOUS), TRIES);
    assert_eq!(node.backend.hits(), before);
    node.is_never_shed();
    node.gate.open();
}

#[test]
fn what_is_shed_is_shed_before_its_token_is_looked_at() {
    let mut node = Node::start();
    node.holds(MARK + 2 * CLASS);
    let rejected = || node.edge.metrics().count("gateway_auth_failures_total", &[]);
    assert_eq!(rejected(), 0);
    for _ in 0..TRIES {
        let answer = node.edge.client().request("GET", BROWSING.1).bearer("no.token.atall").send();
        assert!(is_shed(&answer));
    }
    assert_eq!(rejected(), 0, "nobody looked");
    node.edge.client().request("GET", ADMITTED.1).bearer("no.token.atall").send().expect_status(401);
    node.gate.open();
}

#[test]
fn a_worker_that_is_always_late_sheds_until_it_keeps_up() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("FLOODGATE_SHED_LAG_MS", "20").start();
    let anonymous = || edge.client().request(ANONYMOUS.0, ANONYMOUS.1).send();
    anonymous().expect_status(200);
    let worker = edge.worker_pids()[0];
    let mut most: f64 = 0.0;
    let began = Instant::now();
    // Stopped for most of the time, as a machine with too much to do treats it.
    eventually("it sheds", || {
        process::kill(worker, Signal::STOP);
        eventually("it has stopped", || process::is_stopped(worker).then_some(()));
        let stopped = Instant::now();
        eventually("it is late", || (stopped.elapsed() >= Duration::from_millis(60)).then_some(()));
        process::kill(worker, Signal::CONT);
        eventually("it runs", || (!process::is_stopped(worker)).then_some(()));
        most = most.max(level(&edge));
        (most > 0.0).then_some(())
    });
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "a stall or two are no overload: {:?}",
        began.elapsed()
    );
    eventually("it keeps up again", || (level(&edge) == 0.0).then_some(()));
    anonymous().expect_status(200);
    spell_is_logged(&edge);
}

#[test]
fn a_healthy_node_sheds_nobody() {
    let backend = Backend::start();
    let edge = Command::run(&backend).workers(2).start();
    let token = Token::valid().build();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = edge.client();
                for _ in 0..50 {
                    client.get(ANONYMOUS.1).expect_status(200);
                    client.fetch_as(&token, BROWSING.1).expect_status(200);
                }
            });
        }
    });
    assert_eq!(edge.metrics().count("gateway_shed_requests_total", &[]), 0);
}

/// One line when it begins, one when it ends.
fn spell_is_logged(edge: &Edge) {
    let lines = |message: &str| {
        let told = |record: &serde_json::Value| record.to_string().contains(message);
        edge.log_records().iter().filter(|record| told(record)).count()
    };
    eventually("the end is logged", || (lines("shedding ends") > 0).then_some(()));
    assert_eq!((lines("shedding begins"), lines("shedding ends")), (1, 1));
}
