//! Bodies: streamed both ways, untouched, bounded in size and in memory.

use crate::harness::wire::pattern_digest;
use crate::harness::{Backend, Command, Edge, Script, Step, Token, eventually, holds_within};
use std::time::Duration;

/// A row whose service takes 100 MiB bodies.
const FILES: &str = "/api/v1/files/documents/x";
const TICKETS: &str = "/api/v1/tickets";
/// A row with a cap of 64 KiB.
const SMALL: &str = "/api/v1/transfer/x";
const MIB: u64 = 1024 * 1024;

/// What a worker's memory may grow by while a body passes that is many times larger.
const GROWTH_BYTES_MAX: u64 = 16 * MIB;

#[test]
fn bodies_of_any_bytes_pass_untouched_both_ways() {
    let body: Vec<u8> = (0..=255_u8).cycle().take(100_000).collect();
    let backend = Backend::start().on(&format!("{TICKETS}/down"), Script::answer(200, &[], &body));
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    assert_eq!(edge.fetch_as(&token, &format!("{TICKETS}/down")).body.bytes, body);
    let mut client = edge.client();
    client.request("POST", TICKETS).bearer(&token).body(&body).send().expect_status(200);
    let received = backend.last();
    assert_eq!(received.body.bytes, body);
    assert_eq!(received.header("content-length"), Some("100000"));
}

#[test]
fn json_is_never_rewritten() {
    let body = r#"{"b":12345678901234567890, "a" : 1.0,"b":2,"é":"\u00e9"}"#;
    let backend = Backend::start().on(TICKETS, Script::answer(200, &[], body));
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("POST", TICKETS).bearer(&Token::valid().build());
    let answer = request.header("Content-Type", "application/json").body(body).send();
    assert_eq!(answer.text(), body);
    assert_eq!(String::from_utf8_lossy(&backend.only().body.bytes), body);
}

#[test]
fn any_content_type_is_streamed() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for kind in
        ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "image/png", "text/csv"]
    {
        let mut client = edge.client();
        let request = client.request("POST", TICKETS).bearer(&Token::valid().build());
        request.header("Content-Type", kind).body("--x\r\n\r\n1\r\n--x--").send().expect_status(200);
        assert_eq!(backend.last().header("content-type"), Some(kind));
    }
}

#[test]
fn chunked_uploads_arrive_whole() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("POST", TICKETS).bearer(&Token::valid().build());
    request.chunks(&[b"one", &[b'x'; 70_000], b"three"]).send().expect_status(200);
    let body = backend.only().body;
    assert!(body.complete);
    assert_eq!(body.length, 70_008);
}

#[test]
fn trailers_of_both_sides_are_read_and_dropped() {
    let backend = Backend::start().on(TICKETS, Script::chunked(&["abc"], &[("x-tenant-id", "evil")]));
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let mut client = edge.client();
    client.send_raw(format!(
        "POST {TICKETS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Tenant-Id: evil\r\n\r\n"
    ));
    let answer = client.response_to("POST");
    assert_eq!(answer.text(), "abc");
    assert!(answer.body.trailers.is_empty(), "{:?}", answer.body.trailers);
    assert!(backend.only().body.trailers.is_empty());
    client.fetch_as(&token, TICKETS).expect_status(200);
}

#[test]
fn a_declared_body_over_the_cap_is_refused_before_the_service_hears_of_it() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("POST", SMALL).bearer(&Token::valid().build());
    request.pattern(64 * 1024 + 1).send().expect_problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(backend.hits(), 0);
    edge.counts("gateway_http_requests_total", &[("status", "413")], 1);
}

#[test]
fn a_body_of_exactly_the_cap_passes() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let token = Token::valid().build();
    client.request("POST", SMALL).bearer(&token).pattern(64 * 1024).send().expect_status(200);
    let block = vec![b'x'; 1024];
    let chunks: Vec<&[u8]> = (0..64).map(|_| block.as_slice()).collect();
    client.request("POST", SMALL).bearer(&token).chunks(&chunks).send().expect_status(200);
    assert_eq!(backend.last().body.length, 64 * 1024);
}

#[test]
fn a_chunked_body_that_grows_over_the_cap_is_cut_off() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let block = vec![b'x'; 1024];
    let chunks: Vec<&[u8]> = (0..200).map(|_| block.as_slice()).collect();
    let mut client = edge.client();
    let request = client.request("POST", SMALL).bearer(&Token::valid().build());
    request.chunks(&chunks).send().expect_problem(413, "PAYLOAD_TOO_LARGE");
    assert!(client.is_closed());
    assert!(backend.received().iter().all(|received| !received.body.complete), "a cut body looks cut");
}

#[test]
fn a_row_without_a_body_refuses_one() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("GET", "/api/v1/events").bearer(&Token::valid().build());
    request.body("x").send().expect_problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(backend.hits(), 0);
}

#[test]
fn head_and_bodiless_statuses_have_no_body_and_keep_the_connection() {
    let backend = Backend::start()
        .on("/api/v1/tickets/empty", Script::bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        .on("/api/v1/tickets/same", Script::bytes("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n"));
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let mut client = edge.client();
    let head = client.request("HEAD", TICKETS).bearer(&token).send();
    assert_eq!((head.status, head.body.length), (200, 0));
    let promised = head.header("content-length").and_then(|value| value.parse::<u64>().ok());
    assert!(promised.is_some_and(|length| length > 0), "HEAD tells the length that GET would have");
    client.fetch_as(&token, "/api/v1/tickets/empty").expect_status(204);
    let same = client.fetch_as(&token, "/api/v1/tickets/same");
    assert_eq!((same.status, same.header("etag")), (304, Some("\"a\"")));
    client.fetch_as(&token, TICKETS).expect_status(200);
    assert_eq!(backend.hits(), 4);
}

#[test]
fn a_refused_head_request_has_no_body_either() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    client.request("HEAD", TICKETS).send().expect_status(401);
    client.request("HEAD", TICKETS).bearer(&Token::valid().build()).send().expect_status(200);
}

#[test]
fn a_large_download_does_not_raise_memory() {
    let length = large_bytes();
    let backend = Backend::start().on("/download", Script::pattern(length));
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    edge.fetch_as(&token, TICKETS).expect_status(200);
    let before = edge.worker_memory_bytes();
    let watch = std::thread::scope(|scope| {
        let transfer = scope.spawn(|| edge.fetch_as(&token, "/api/v1/files/download/x"));
        let highest = highest_memory(&edge, || transfer.is_finished());
        (transfer.join().expect("the transfer succeeds"), highest)
    });
    let (answer, highest) = watch;
    assert_eq!((answer.status, answer.body.length), (200, length));
    assert!(answer.body.complete);
    assert_eq!(answer.body.digest, pattern_digest(length));
    assert!(highest < before + GROWTH_BYTES_MAX, "{before} grew to {highest}");
}

#[test]
fn a_large_upload_does_not_raise_memory() {
    let length = large_bytes();
    let backend = Backend::start();
    let command = Command::run(&backend);
    let table = raised_cap(&command);
    let edge = command.set("FLOODGATE_CONFIG", &table).start();
    let token = Token::valid().build();
    edge.fetch_as(&token, TICKETS).expect_status(200);
    let before = edge.worker_memory_bytes();
    std::thread::scope(|scope| {
        let transfer = scope.spawn(|| {
            let mut client = edge.client();
            client.request("POST", FILES).bearer(&token).pattern(length).send().expect_status(200);
        });
        let highest = highest_memory(&edge, || transfer.is_finished());
        transfer.join().expect("the transfer succeeds");
        assert!(highest < before + GROWTH_BYTES_MAX, "{before} grew to {highest}");
    });
    let body = backend.last().body;
    assert_eq!((body.length, body.digest), (length, pattern_digest(length)));
}

#[test]
fn a_client_that_reads_slowly_holds_the_service_back() {
    let steps = vec![
        Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 268435456\r\n\r\n".to_vec()),
        Step::Pattern(256 * MIB),
    ];
    let backend = Backend::start().on("/stream", Script::of(steps));
    let edge = Edge::start(&backend);
    let before = edge.worker_memory_bytes();
    let mut client = edge.client();
    client.request("GET", "/api/v1/files/stream/x").bearer(&Token::valid().build()).send_only();
    assert_eq!(client.head().start, b"HTTP/1.1 200 OK");
    // Nobody reads: what the service could push would be in the worker's memory within this time.
    let grew =
        holds_within(Duration::from_secs(2), || edge.worker_memory_bytes() > before + GROWTH_BYTES_MAX);
    assert!(!grew, "the worker buffers what its client does not read");
    client.vanish();
    eventually("the service's connection ends with its client", || (backend.hung_up() == 1).then_some(()));
}

/// 1 GiB, or less where the build is slow on purpose.
fn large_bytes() -> u64 {
    if cfg!(debug_assertions) { 256 * MIB } else { 1024 * MIB }
}

/// A table of two rows, one of them with a cap of 2 GiB.
fn raised_cap(command: &Command) -> String {
    let table = r#"routes = [
  { id = "F3", path = "/api/v1/files/documents/**", methods = "A", service = "file", upstream = "/api/v1/files => ", access = "user", timeout_s = 120, body = "2048MiB", stream = true },
  { id = "T8", path = "/api/v1/tickets/**", methods = "A", service = "ticket", access = "user" },
]
"#;
    command.file("floodgate.toml", table)
}

fn highest_memory(edge: &Edge, finished: impl Fn() -> bool) -> u64 {
    let mut highest = 0;
    while !finished() {
        highest = highest.max(edge.worker_memory_bytes());
        holds_within(Duration::from_millis(20), &finished);
    }
    highest
}
