//! Services over TLS: who is believed, what is carried, and what operators learn of those who are not.

use crate::harness::token::{TENANT, USER};
use crate::harness::wire::pattern_digest;
use crate::harness::{
    Authority, Backend, Clients, Command, Credentials, Edge, Farewell, Response, Script, Step, Terminator,
    Terms, Token, eventually,
};
use rustls::HandshakeKind::{Full, Resumed};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";
const FILES: &str = "/api/v1/files/images/x";
const MIB: u64 = 1024 * 1024;
/// What a service may speak alone.
const VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

fn token() -> String {
    Token::valid().build()
}

/// An edge that believes this authority beside the system's.
fn before(backend: &Backend, authority: &Authority) -> Command {
    let command = Command::run(backend);
    let file = command.file("ca.pem", authority.pem());
    command.set("UPSTREAM_CA_FILE", &file)
}

/// The same with its ticket- and file-service at this URL.
fn edge(backend: &Backend, url: &str, authority: &Authority) -> Edge {
    before(backend, authority).service_url("ticket", url).service_url("file", url).start()
}

/// An edge before a service that speaks TLS as `terms` changes it.
fn secured(backend: &Backend, terms: impl Fn(Terms, &Authority) -> Terms) -> (Terminator, Edge) {
    let authority = Authority::new();
    let terms = terms(Terms::of(authority.vouch(&["localhost"])), &authority);
    let terminator = Terminator::before(backend, terms);
    let edge = edge(backend, &terminator.url("localhost"), &authority);
    (terminator, edge)
}

/// What the log says of handshakes with this service.
fn complaint(edge: &Edge, service: &str) -> String {
    eventually("the operator is told", || {
        edge.log_records().iter().map(ToString::to_string).find(|line| {
            line.contains("TLS with a service failed") && line.contains(service) && line.contains("times")
        })
    })
}

/// A request for this row fails for want of a secure connection, in these words of counters and log.
fn expect_insecure(edge: &Edge, (service, row): (&str, &str), result: &str, reason: &str) {
    let answer = edge.fetch_as(&token(), row);
    let problem = answer.expect_problem(502, "BAD_GATEWAY").to_string().to_lowercase();
    for detail in ["localhost", "127.0.0.1", "certificate", "issuer"] {
        assert!(!problem.contains(detail), "a client is told nothing of it: {problem}");
    }
    // A read is tried twice.
    edge.counts("gateway_upstream_tls_handshakes_total", &[("service", service), ("result", result)], 2);
    edge.counts("gateway_downstream_requests_total", &[("service", service), ("status", "connect_error")], 2);
    let complaint = complaint(edge, service);
    assert!(complaint.contains(reason), "{complaint}");
}

#[test]
fn a_service_with_a_certificate_of_a_private_authority_is_proxied_on_one_connection() {
    let backend = Backend::start();
    let (terminator, edge) = secured(&backend, |terms, _| terms);
    let token = token();
    for _ in 0..10 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    assert_eq!(terminator.handshakes(), [Full], "ten requests need one handshake");
    let received = backend.last();
    assert_eq!(received.header("host"), Some(&terminator.url("localhost")["https://".len()..]));
    assert_eq!(received.header("x-forwarded-proto"), Some("http"), "as the client came");
    edge.counts("gateway_upstream_tls_handshakes_total", &[("service", "ticket"), ("result", "full")], 1);
}

#[test]
fn an_address_is_verified_as_an_address() {
    let authority = Authority::new();
    let backend = Backend::start();
    let terminator = Terminator::before(&backend, Terms::of(authority.vouch(&["127.0.0.1"])));
    let edge = edge(&backend, &terminator.url("127.0.0.1"), &authority);
    edge.fetch_as(&token(), ROW).expect_status(200);
}

#[test]
fn a_certificate_that_proves_nothing_gets_no_byte_of_a_request() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cases: [(&str, &str, Credentials, &str, &str); 4] = [
        ("ticket", ROW, stranger.vouch(&["localhost"]), "unknown_issuer", "UnknownIssuer"),
        ("event", "/api/v1/events", authority.vouched_once(&["localhost"]), "expired", "expired"),
        ("search", "/api/v1/search", authority.vouch(&["elsewhere"]), "wrong_name", "not valid for name"),
        ("venue", "/api/v1/venues", authority.vouch(&["127.0.0.1"]), "wrong_name", "not valid for name"),
    ];
    let backend = Backend::start();
    let mut command = before(&backend, &authority);
    let mut terminators = Vec::new();
    for (service, _, credentials, _, _) in &cases {
        let terminator = Terminator::before(&backend, Terms::of(credentials.clone()));
        command = command.service_url(service, &terminator.url("localhost"));
        terminators.push(terminator);
    }
    let edge = command.start();
    for (service, row, _, result, reason) in &cases {
        expect_insecure(&edge, (service, row), result, reason);
    }
    for terminator in terminators {
        assert!(!terminator.got_anything());
        assert!(!terminator.refusals().is_empty(), "the service was told that it is not believed");
    }
    assert!(backend.received().is_empty());
}

#[test]
fn a_service_that_wants_a_certificate_of_its_clients_is_refused_before_it_is_sent_anything() {
    for versions in VERSIONS {
        let backend = Backend::start();
        let (terminator, edge) = secured(&backend, |terms, authority| {
            let clients = Clients::Known(authority.pem().to_owned());
            Terms { clients, versions, ..terms }
        });
        expect_insecure(&edge, ("ticket", ROW), "alert", "asked for a client certificate");
        assert!(!terminator.got_anything(), "{versions:?}");
    }
}

#[test]
fn a_service_that_merely_asks_for_a_certificate_is_served() {
    for versions in VERSIONS {
        let backend = Backend::start();
        let (terminator, edge) = secured(&backend, |terms, authority| Terms {
            clients: Clients::Asked(authority.pem().to_owned()),
            versions,
            ..terms
        });
        edge.fetch_as(&token(), ROW).expect_status(200);
        assert_eq!(terminator.handshakes(), [Full]);
    }
}

#[test]
fn sessions_are_resumed_after_their_connections_were_closed() {
    for versions in VERSIONS {
        let backend = Backend::start();
        let (terminator, edge) = secured(&backend, |terms, _| Terms { versions, ..terms });
        let token = token();
        for _ in 0..4 {
            edge.fetch_as(&token, ROW).expect_status(200);
            terminator.close_connections();
        }
        assert_eq!(terminator.handshakes(), [Full, Resumed, Resumed, Resumed]);
        let series = "gateway_upstream_tls_handshakes_total";
        edge.counts(series, &[("service", "ticket"), ("result", "resumed")], 3);
        edge.counts(series, &[("service", "ticket"), ("result", "full")], 1);
    }
}

#[test]
fn bodies_of_many_records_pass_both_ways() {
    let length = 8 * MIB + 12_345;
    for versions in VERSIONS {
        let backend = Backend::start().on("/download", Script::pattern(length));
        let (terminator, edge) = secured(&backend, |terms, _| Terms { versions, ..terms });
        let token = token();
        let mut client = edge.client();
        let answer = client.fetch_as(&token, "/api/v1/files/download/x");
        assert_eq!((answer.body.length, answer.body.digest), (length, pattern_digest(length)));
        assert!(answer.body.complete);
        client.request("POST", FILES).bearer(&token).pattern(length).send().expect_status(200);
        let body = backend.last().body;
        assert_eq!((body.length, body.digest), (length, pattern_digest(length)));
        let pieces: Vec<Vec<u8>> = (1..200_u8).map(|byte| vec![byte; 3 * usize::from(byte)]).collect();
        let chunks: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        client.request("POST", FILES).bearer(&token).chunks(&chunks).send().expect_status(200);
        assert_eq!(backend.last().body.bytes, pieces.concat());
        backend.script(ROW, Script::chunked(&["one", "two", "three"], &[]));
        assert_eq!(client.fetch_as(&token, ROW).text(), "onetwothree");
        assert_eq!(terminator.handshakes().len(), 2, "one a service");
    }
}

#[test]
fn a_client_that_reads_slowly_holds_a_service_over_tls_back() {
    let steps = vec![
        Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 268435456\r\n\r\n".to_vec()),
        Step::Pattern(256 * MIB),
    ];
    let backend = Backend::start().on("/stream", Script::of(steps));
    let (_terminator, edge) = secured(&backend, |terms, _| terms);
    let before = edge.worker_memory_bytes();
    let mut client = edge.client();
    client.request("GET", "/api/v1/files/stream/x").bearer(&token()).send_only();
    assert_eq!(client.head().start, b"HTTP/1.1 200 OK");
    let grown = || edge.worker_memory_bytes() > before + 8 * MIB;
    assert!(
        !crate::harness::holds_within(Duration::from_secs(2), grown),
        "the worker buffers what its client does not read"
    );
    client.vanish();
    eventually("the service's connection ends with its client", || (backend.hung_up() == 1).then_some(()));
}

#[test]
fn a_body_that_ends_with_its_connection_is_whole_only_if_the_service_says_so() {
    for farewell in [Farewell::CloseNotify, Farewell::None] {
        let body = "until the end".repeat(5_000);
        let backend = Backend::start().on(ROW, Script::close_delimited(body.as_bytes()));
        let (_terminator, edge) = secured(&backend, |terms, _| Terms { farewell, ..terms });
        let answer = edge.client().request("GET", ROW).bearer(&token()).try_send();
        let whole = answer.is_ok_and(|answer| answer.body.complete && answer.text() == body);
        assert_eq!(whole, farewell == Farewell::CloseNotify, "{farewell:?}");
    }
}

#[test]
fn a_service_may_close_without_a_word_behind_an_answer_that_has_a_length() {
    let backend = Backend::start();
    let (terminator, edge) = secured(&backend, |terms, _| Terms { farewell: Farewell::None, ..terms });
    let token = token();
    for _ in 0..3 {
        edge.fetch_as(&token, ROW).expect_status(200);
        terminator.close_connections();
    }
    assert_eq!(backend.hits(), 3, "the closed connections were replaced, and nothing was sent twice");
}

#[test]
fn an_early_answer_over_tls_reaches_a_client_that_is_still_sending() {
    let backend = Backend::start().on("/images", Script::early(409));
    let (_terminator, edge) = secured(&backend, |terms, _| terms);
    let mut client = edge.client();
    let answer = client.request("POST", FILES).bearer(&token()).pattern(20 * MIB).send();
    assert_eq!((answer.status, answer.text().as_str()), (409, "early"));
}

#[test]
fn failures_of_a_service_over_tls_are_those_of_any_other() {
    let backend = Backend::start();
    let (_terminator, edge) = secured(&backend, |terms, _| terms);
    let cases = [
        Script::garbage(),
        Script::close_before_head(),
        Script::close_inside_head(),
        Script::of(vec![Step::Reset]),
        Script::huge_head(200_000),
    ];
    for script in cases {
        backend.script(ROW, script);
        // A write without a key is not tried twice.
        let mut client = edge.client();
        client.request("POST", ROW).bearer(&token()).send().expect_problem(502, "BAD_GATEWAY");
    }
    backend.script(ROW, Script::close_inside_body());
    let cut = edge.client().request("GET", ROW).bearer(&token()).try_send();
    assert!(cut.map_or(true, |answer| !answer.body.complete));
    edge.metrics_say("nothing of it counts as a failed connection", |metrics| {
        let ended = |status| [("service", "ticket"), ("status", status)];
        let count = |status| metrics.count("gateway_downstream_requests_total", &ended(status));
        count("reset") == 6 && count("connect_error") == 0
    });
}

/// A server that answers the first bytes of each connection with these, and then closes, or holds it open.
fn wordless(answer: Vec<u8>, closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let url = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    std::thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut first = [0; 4_096];
            // A client that says nothing is none of the edge's.
            let _ = stream.read(&mut first).and_then(|_| stream.write_all(&answer));
            if closes {
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
            held.push(stream);
        }
    });
    url
}

/// A ServerHello of TLS 1.1.
fn of_an_older_version() -> Vec<u8> {
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    // No session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
    hello.extend([0, 0xc0, 0x13, 0]);
    let mut record = vec![0x16, 0x03, 0x02, 0, hello.len() as u8 + 4, 2, 0, 0, hello.len() as u8];
    record.extend(hello);
    record
}

#[test]
fn what_is_no_tls_or_too_old_is_no_service() {
    let authority = Authority::new();
    let backend = Backend::start();
    let no_tls = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec();
    let edge = before(&backend, &authority)
        .service_url("ticket", &wordless(no_tls, true))
        .service_url("event", &wordless(of_an_older_version(), false))
        .service_url("search", &wordless(Vec::new(), true))
        .start();
    expect_insecure(&edge, ("ticket", ROW), "protocol", "corrupt message");
    expect_insecure(&edge, ("event", "/api/v1/events"), "incompatible", "peer is incompatible");
    expect_insecure(&edge, ("search", "/api/v1/search"), "closed", "closed the connection");
}

#[test]
fn a_handshake_that_hangs_is_out_of_time_with_its_connection() {
    let authority = Authority::new();
    let backend = Backend::start();
    let edge = edge(&backend, &wordless(Vec::new(), false), &authority);
    let started = Instant::now();
    let mut client = edge.client();
    client.request("POST", ROW).bearer(&token()).send().expect_problem(504, "SERVICE_TIMEOUT");
    let took = started.elapsed();
    assert!((Duration::from_millis(1_800)..Duration::from_secs(4)).contains(&took), "{took:?}");
    edge.counts("gateway_timeouts_total", &[("service", "ticket"), ("phase", "connect")], 1);
    edge.counts("gateway_upstream_tls_handshakes_total", &[("service", "ticket"), ("result", "late")], 1);
    // A read is tried twice, as long as its time allows.
    let started = Instant::now();
    edge.fetch_as(&token(), "/api/v1/files/download/x").expect_problem(504, "SERVICE_TIMEOUT");
    assert!(started.elapsed() >= Duration::from_millis(3_600), "{:?}", started.elapsed());
    edge.counts("gateway_timeouts_total", &[("service", "file"), ("phase", "connect")], 2);
    let complaint = complaint(&edge, "ticket");
    assert!(complaint.contains("too long"), "{complaint}");
}

#[test]
fn handshakes_that_fail_open_the_circuit() {
    let backend = Backend::start();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let terminator = Terminator::before(&backend, Terms::of(stranger.vouch(&["localhost"])));
    let edge = before(&backend, &authority)
        .service_url("ticket", &terminator.url("localhost"))
        .set("CIRCUIT_BREAKER_VOLUME_THRESHOLD", "3")
        .start();
    let token = token();
    // Three handshakes: the first request is tried twice.
    for _ in 0..2 {
        edge.fetch_as(&token, ROW).expect_problem(502, "BAD_GATEWAY");
    }
    edge.fetch_as(&token, ROW).expect_problem(503, "SERVICE_UNAVAILABLE");
    edge.counts("gateway_circuit_breaker_rejections_total", &[("service", "ticket")], 1);
    complaint(&edge, "ticket");
    let told = edge.log_lines().iter().filter(|line| line.contains("times")).count();
    assert_eq!(told, 1, "not a line for each request");
}

#[test]
fn instances_with_and_without_tls_share_a_service() {
    let authority = Authority::new();
    let (plain, hidden) = (Backend::named("plain"), Backend::named("hidden"));
    let terminator = Terminator::before(&hidden, Terms::of(authority.vouch(&["localhost"])));
    let urls = format!("{},{}", plain.url(), terminator.url("localhost"));
    let edge = edge(&plain, &urls, &authority);
    let token = token();
    let names: std::collections::BTreeSet<String> = (0..50)
        .map(|_| {
            let answer: Response = edge.fetch_as(&token, ROW);
            answer.json()["service"].as_str().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["hidden", "plain"]);
}

#[test]
fn the_edges_own_calls_are_over_tls_and_verified_too() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let auth = Backend::named("auth")
        .on("/auth/internal/users/", Script::of(vec![Step::Record { tenant: TENANT.to_owned() }]));
    let services = Backend::start();
    let known = Terminator::before(&auth, Terms::of(authority.vouch(&["localhost"])));
    let unknown = Terminator::before(&services, Terms::of(stranger.vouch(&["localhost"])));
    let edge = before(&services, &authority)
        .service_url("auth", &known.url("localhost"))
        .service_url("venue", &unknown.url("localhost"))
        .set("AUTH_USER_CHECK", "always")
        .set("S2S_SERVICE_TOKEN", "a-fixed-service-token")
        .start();
    edge.fetch_as(&token(), ROW).expect_status(200);
    assert_eq!(auth.last().target(), format!("/auth/internal/users/{USER}"));
    let ready = eventually("both have been probed", || {
        let ready = edge.ask_admin("/ready").json();
        (ready["checks"]["authService"] == "ok" && ready["checks"]["venueService"] == "error")
            .then_some(ready)
    });
    assert_eq!(ready["status"], "not ready");
    assert!(!unknown.got_anything());
    let told = |line: &String| line.contains("TLS with a service failed");
    let told = eventually("the operator is told", || edge.log_lines().into_iter().find(told));
    assert!(told.contains("venue") && told.contains("UnknownIssuer"), "{told}");
}
