//! The circuits of the services: one a service for all workers of a node, open when the service fails too often.

use crate::harness::{
    Backend, Command, Edge, Gate, RedisServer, Script, Step, Token, eventually, holds_within,
};
use edge_worker::config::services::SERVICES;
use std::time::{Duration, Instant};

/// A row of each service that an administrator may use.
pub const ROWS: [(&str, &str, &str); 19] = [
    ("auth", "GET", "/api/v1/auth/me"),
    ("venue", "GET", "/api/v1/venues"),
    ("event", "GET", "/api/v1/events"),
    ("ticket", "GET", "/api/v1/tickets"),
    ("payment", "GET", "/api/v1/refunds/1"),
    ("marketplace", "GET", "/api/v1/marketplace/listings"),
    ("analytics", "GET", "/api/v1/analytics/predictions"),
    ("notification", "GET", "/api/v1/notifications/status/1"),
    ("integration", "GET", "/api/v1/integrations/list"),
    ("compliance", "GET", "/api/v1/compliance/documents"),
    ("queue", "GET", "/api/v1/queue/list"),
    ("search", "GET", "/api/v1/search"),
    ("file", "GET", "/api/v1/files/download/1"),
    ("monitoring", "GET", "/api/v1/monitoring/alerts"),
    ("blockchain", "GET", "/api/v1/blockchain/1"),
    ("order", "GET", "/api/v1/orders"),
    ("scanning", "GET", "/api/v1/scanning/qr/status/1"),
    ("minting", "GET", "/api/v1/mint/jobs"),
    ("transfer", "POST", "/api/v1/transfers/1/accept"),
];

const RESET_MS: u64 = 700;

fn edge(backend: &Backend) -> Edge {
    let reset = RESET_MS.to_string();
    Command::run(backend).workers(2).set("CIRCUIT_BREAKER_RESET_TIMEOUT", &reset).start()
}

fn admin() -> String {
    Token::of_role("admin").build()
}

fn fetch(edge: &Edge, token: &str, (method, path): (&str, &str)) -> crate::harness::Response {
    edge.client().request(method, path).bearer(token).send()
}

/// Requests of clients: the node's own look at a service's health is none.
fn hits(backend: &Backend) -> usize {
    backend.received().iter().filter(|received| !received.target().contains("/health")).count()
}

fn state(edge: &Edge, service: &str) -> f64 {
    edge.metrics().value("gateway_circuit_breaker_state", &[("service", service)])
}

#[test]
fn each_of_the_nineteen_opens_fails_fast_tries_once_and_recovers() {
    let backend = Backend::start();
    let edge = edge(&backend);
    let token = admin();
    for (service, method, path) in ROWS {
        let row = (method, path);
        let volume = SERVICES.iter().find(|row| row.name == service).expect("one of them").breaker.volume;
        backend.script("/", Script::answer(500, &[], ""));
        let before = hits(&backend);
        let opened = Instant::now();
        for _ in 0..volume {
            fetch(&edge, &token, row).expect_status(500);
        }
        let refused = fetch(&edge, &token, row);
        refused.expect_problem(503, "SERVICE_UNAVAILABLE");
        assert_eq!(refused.header("retry-after"), Some("1"), "{service}");
        assert_eq!(
            hits(&backend) - before,
            usize::from(volume),
            "{service} is left alone from its volume on"
        );
        assert_eq!(state(&edge, service), 1.0, "{service}");

        let gate = Gate::new();
        backend.script("/", Script::gated(&gate));
        let mut probers: Vec<_> = Vec::new();
        eventually("a probe is let through", || {
            let mut client = edge.client();
            client.request(method, path).bearer(&token).send_only();
            probers.push(client);
            (hits(&backend) - before > usize::from(volume)).then_some(())
        });
        assert!(opened.elapsed() >= Duration::from_millis(RESET_MS), "{service} was tried too early");
        for _ in 0..8 {
            fetch(&edge, &token, row).expect_status(503);
        }
        assert_eq!(state(&edge, service), 2.0, "{service} is half-open");
        assert_eq!(
            hits(&backend) - before,
            usize::from(volume) + 1,
            "one probe over both workers: {service}"
        );
        gate.open();
        eventually("the circuit closes", || (state(&edge, service) == 0.0).then_some(()));
        backend.script("/", Script::answer(200, &[], ""));
        fetch(&edge, &token, row).expect_status(200);
        for to in ["open", "half-open", "closed"] {
            let labels = [("service", service), ("to", to)];
            edge.counts("gateway_circuit_breaker_transitions_total", &labels, 1);
        }
    }
}

#[test]
fn a_probe_that_fails_opens_again_for_the_whole_time() {
    let backend = Backend::start().on("/", Script::answer(500, &[], ""));
    let edge = edge(&backend);
    let (token, row) = (admin(), ("GET", "/api/v1/search"));
    for _ in 0..15 {
        fetch(&edge, &token, row).expect_status(500);
    }
    fetch(&edge, &token, row).expect_status(503);
    eventually("the probe", || (fetch(&edge, &token, row).status == 500).then_some(()));
    let reopened = Instant::now();
    let tried = holds_within(Duration::from_millis(RESET_MS - 100), || {
        let status = fetch(&edge, &token, row).status;
        status != 503 && reopened.elapsed() < Duration::from_millis(RESET_MS - 50)
    });
    assert!(!tried, "tried again after {:?}", reopened.elapsed());
    edge.counts("gateway_circuit_breaker_transitions_total", &[("service", "search"), ("to", "open")], 2);
}

#[test]
fn what_the_service_is_not_to_blame_for_does_not_open_its_circuit() {
    let backend = Backend::start();
    let edge = edge(&backend);
    let token = admin();
    let row = ("GET", "/api/v1/tickets");
    let scripts = [
        (404, Script::answer(404, &[], "")),
        (501, Script::answer(501, &[], "")),
        (503, Script::answer(503, &[("retry-after", "1")], "")),
        (429, Script::answer(429, &[("retry-after", "1")], "")),
    ];
    for (status, script) in scripts {
        backend.script("/", script);
        for _ in 0..30 {
            fetch(&edge, &token, row).expect_status(status);
        }
    }
    assert_eq!(state(&edge, "ticket"), 0.0);

    // Of another service, whose window holds nothing else.
    let row = ("GET", "/api/v1/orders");
    backend.script("/", Script::hanging());
    for _ in 0..30 {
        let (mut client, before) = (edge.client(), hits(&backend));
        client.request("GET", row.1).bearer(&token).send_only();
        eventually("it is in flight", || (hits(&backend) > before).then_some(()));
        client.vanish();
    }
    edge.counts("gateway_downstream_requests_total", &[("service", "order"), ("status", "aborted")], 30);
    backend.script("/", Script::answer(200, &[], ""));
    fetch(&edge, &token, row).expect_status(200);
    assert_eq!(state(&edge, "order"), 0.0);
}

#[test]
fn a_service_without_an_answer_opens_its_circuit_and_no_other_one() {
    let (dead, backend) = (Backend::named("dead"), Backend::start());
    let url = dead.url();
    drop(dead);
    let command = Command::run(&backend).workers(2).service_url("search", &url);
    let edge = command.set("CIRCUIT_BREAKER_VOLUME_THRESHOLD_SEARCH", "5").start();
    let token = admin();
    // Five calls: the first is made twice.
    for _ in 0..4 {
        let refused = fetch(&edge, &token, ("GET", "/api/v1/search"));
        assert_eq!(refused.header("retry-after"), Some("5"), "{}", refused.text());
    }
    let refused = fetch(&edge, &token, ("GET", "/api/v1/search"));
    assert_eq!(refused.header("retry-after"), Some("60"), "the whole reset time");
    edge.counts("gateway_circuit_breaker_rejections_total", &[("service", "search")], 1);
    let calls = [("service", "search"), ("status", "breaker_open")];
    edge.counts("gateway_downstream_requests_total", &calls, 1);
    fetch(&edge, &token, ("GET", "/api/v1/tickets")).expect_status(200);
    let ready = edge.get("/ready").json();
    assert_eq!(ready["circuitBreakers"]["search"], "open");
    assert_eq!(ready["circuitBreakers"]["ticket"], "closed");
    assert_eq!(edge.get("/health").json()["status"], "degraded");
    assert_eq!(edge.get("/api/v1/search/health").status, 503);
}

#[test]
fn calls_of_clients_and_of_the_edge_itself_pass_the_same_circuit() {
    let auth = Backend::named("auth").on("/", Script::answer(500, &[], ""));
    let services = Backend::start();
    let command = Command::run(&services).service("auth", &auth).set("AUTH_USER_CHECK", "always");
    let edge = command.set("S2S_SERVICE_TOKEN", "a-fixed-service-token").start();
    let login = || edge.client().request("POST", "/api/v1/auth/login").body("{}").send().status;
    let opened = (0..30).find(|_| login() == 503);
    assert_eq!(opened, Some(20), "auth-service's volume");
    let before = hits(&auth);
    edge.fetch_as(&admin(), "/api/v1/tickets").expect_status(503);
    assert_eq!(hits(&auth), before, "whom nobody calls, the edge does not ask about users");
}

#[test]
fn an_open_circuit_answers_in_the_rows_own_words_if_it_has_some() {
    let backend = Backend::start().on("/list", Script::answer(500, &[], ""));
    let command = Command::run(&backend).set("CIRCUIT_BREAKER_VOLUME_THRESHOLD", "1");
    let table = command.file(
        "floodgate.toml",
        r#"
routes = [
  { id = "L", path = "/list", methods = "A", service = "search", access = "pub", reason = "test", fallback = '{"items":[]}' },
  { id = "M", path = "/more", methods = "R", service = "search", access = "pub", reason = "test" },
]
"#,
    );
    let edge = command.set("FLOODGATE_CONFIG", &table).start();
    edge.get("/list").expect_status(500);
    let answer = edge.get("/list");
    answer.expect_status(503);
    assert_eq!(answer.text(), r#"{"items":[]}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let left: u64 = answer.header("retry-after").and_then(|left| left.parse().ok()).expect("a time");
    assert!((1..=60).contains(&left), "{left}");
    let mut client = edge.client();
    let head = client.request("HEAD", "/list").send();
    assert_eq!((head.status, head.text().as_str(), head.header("content-length")), (503, "", Some("12")));
    edge.get("/more").expect_problem(503, "SERVICE_UNAVAILABLE");
    edge.counts("gateway_circuit_breaker_rejections_total", &[("service", "search")], 3);
}

#[test]
fn a_change_is_logged_and_other_nodes_hear_of_it_and_decide_for_themselves() {
    let (redis, backend) = (RedisServer::start(), Backend::start());
    let [one, other] = [(); 2].map(|()| Command::run(&backend).set("REDIS_URL", &redis.url()).start());
    one.breaker(&["open", "search"]).expect_code(0);
    let notice: serde_json::Value = eventually("the notice", || {
        serde_json::from_str(redis.command(&["GET", "cb:search"]).lines().nth(1)?).ok()
    });
    assert_eq!(notice["state"], "open");
    let life: i64 =
        redis.command(&["TTL", "cb:search"]).trim().trim_start_matches(':').parse().expect("a number");
    assert!((1..=300).contains(&life), "{life}");
    eventually("the other node shows it", || {
        let listed = other.breaker(&["list", "search"]);
        listed.output.contains("open on ").then_some(())
    });
    assert_eq!(state(&other, "search"), 0.0, "advice, no order");
    one.breaker(&["reset", "search"]).expect_code(0);
    eventually("the other node hears of the end", || {
        (!other.breaker(&["list", "search"]).output.contains("open on ")).then_some(())
    });
    let changes: Vec<_> = one
        .log_records()
        .into_iter()
        .filter(|record| record["msg"] == "a circuit changed")
        .map(|record| (record["service"].clone(), record["state"].clone(), record["held"].clone()))
        .collect();
    assert_eq!(
        changes,
        [("search".into(), "open".into(), true.into()), ("search".into(), "closed".into(), false.into())]
    );
}

#[test]
fn a_probe_whose_client_keeps_the_edge_waiting_decides_nothing_and_lets_the_next_one_try() {
    let backend = Backend::start();
    let reset = RESET_MS.to_string();
    let edge = Command::run(&backend)
        .set("CIRCUIT_BREAKER_RESET_TIMEOUT", &reset)
        .set("CIRCUIT_BREAKER_VOLUME_THRESHOLD", "1")
        .start();
    let token = admin();
    backend.script_once("/", Script::answer(500, &[], ""));
    fetch(&edge, &token, ("GET", "/api/v1/tickets")).expect_status(500);
    backend.script("/", Script { body_first: false, steps: vec![Step::ReadBody, Step::Echo] });
    let mut slow = Vec::new();
    eventually("the slow client has the probe", || {
        let mut client = edge.client();
        let head = format!(
            "POST /api/v1/tickets/x HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {token}\r\n\
             content-length: 4\r\n\r\n"
        );
        client.send_raw(head);
        slow.push(client);
        (hits(&backend) > 1).then_some(())
    });
    let began = Instant::now();
    fetch(&edge, &token, ("GET", "/api/v1/tickets")).expect_status(503);
    eventually("another call is let through", || {
        (fetch(&edge, &token, ("GET", "/api/v1/tickets")).status == 200).then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(4), "after {:?}", began.elapsed());
    assert_eq!(state(&edge, "ticket"), 0.0, "and it closed the circuit");
    let served = slow.iter_mut().filter_map(|client| {
        // Those that were refused are closed behind their answer.
        let _ = client.try_send_raw("body");
        Some(client.response_to("POST").status).filter(|status| *status == 200)
    });
    assert_eq!(served.count(), 1, "the slow one is served all the same");
}
