//! What an idle keep-alive connection costs a worker: private memory before and after ten thousand of them.

use crate::background;
use crate::harness::client::HOST;
use crate::harness::{Command, Edge, Token};
use crate::trial::clients::answer_length;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const CONNECTIONS: u64 = 10_000;
/// What a connection may cost.
const BYTES_MAX: u64 = 8 * 1024;
/// Connections whose requests are under way at the same time.
const WAVE: u64 = 64;
/// Descriptors of a process that are not these connections.
const SPARE_DESCRIPTORS: u64 = 500;
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Longer than any run: no connection is to be closed for being idle.
const IDLE_MS: &str = "3600000";

/// Measures and prints. Gives whether the bound held.
pub fn run(asked: Option<u64>) -> bool {
    let count = affordable(asked.unwrap_or(CONNECTIONS));
    let port = background::serve();
    let edge = Command::run_before(&format!("http://127.0.0.1:{port}"))
        .workers(1)
        .set("FLOODGATE_KEEP_ALIVE_IDLE_MS", IDLE_MS)
        .start();
    let token = Token::valid().build();
    let request =
        format!("GET /api/v1/tickets HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let [pid] = *edge.worker_pids().as_slice() else { panic!("one worker was asked for") };
    // What a worker allocates once, for its first requests, is no cost of a connection.
    drop(open(&edge, &request, 2 * WAVE));
    settle(&edge, 0);
    let before = Memory::of(pid);
    let mut connections = open(&edge, &request, count);
    settle(&edge, count);
    let first = Memory::of(pid);
    // Each of them must still be there, and its memory must not grow with its second request.
    ask(&mut connections, &request);
    settle(&edge, count);
    let second = Memory::of(pid);
    println!(
        "idle-memory: {count} idle keep-alive connections at one worker, an authenticated request on each"
    );
    println!("                              private dirty      pss   anonymous   KiB");
    println!("before                        {before}");
    println!("after one request on each     {first}");
    println!("after a second one on each    {second}");
    let each = |after: &Memory| {
        let grown = |after: u64, before: u64| (after.saturating_sub(before)) * 1024 / count;
        grown(after.private_dirty, before.private_dirty).max(grown(after.pss, before.pss))
    };
    let worst = each(&first).max(each(&second));
    let (kib, kib_max) = (worst as f64 / 1024.0, BYTES_MAX / 1024);
    let held = worst <= BYTES_MAX;
    println!(
        "a connection: {worst} bytes ({kib:.2} KiB), at most {kib_max} KiB: {}",
        if held { "HELD" } else { "VIOLATED" }
    );
    held
}

/// Raises the limit on descriptors as far as it goes, and takes fewer connections if that is not enough.
fn affordable(asked: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Where even this is refused, the soft limit decides.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(SPARE_DESCRIPTORS);
    if room < asked {
        println!(
            "REDUCED: {room} connections instead of {asked}, since the limit on descriptors (ulimit -Hn) is low"
        );
    }
    room.min(asked)
}

fn open(edge: &Edge, request: &str, count: u64) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    while (connections.len() as u64) < count {
        let wave = WAVE.min(count - connections.len() as u64);
        let mut new: Vec<TcpStream> = (0..wave).map(|_| connect(edge)).collect();
        ask(&mut new, request);
        connections.append(&mut new);
    }
    connections
}

/// A request on each, a wave at a time.
fn ask(connections: &mut [TcpStream], request: &str) {
    for wave in connections.chunks_mut(usize::try_from(WAVE).expect("a small number")) {
        for connection in wave.iter_mut() {
            connection.write_all(request.as_bytes()).expect("the edge reads");
        }
        wave.iter_mut().for_each(read_answer);
    }
}

fn read_answer(connection: &mut TcpStream) {
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    while answer_length(&input).is_none_or(|length| input.len() < length) {
        let count = connection.read(&mut buffer).expect("the edge answers");
        assert!(count > 0, "the edge closed a connection before its answer");
        input.extend_from_slice(&buffer[..count]);
    }
    assert!(input.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&input));
}

fn connect(edge: &Edge) -> TcpStream {
    let stream = TcpStream::connect(edge.address()).expect("the edge accepts");
    stream.set_nodelay(true).expect("TCP_NODELAY can be set");
    stream.set_read_timeout(Some(ANSWER_MAX)).expect("a positive limit");
    stream
}

/// Waits until the worker has so many connections and nothing to do.
fn settle(edge: &Edge, connections: u64) {
    edge.metrics_say("the connections stand and nothing is in flight", |metrics| {
        metrics.count("gateway_active_connections", &[]) == connections
            && metrics.count("gateway_http_requests_in_flight", &[]) == 0
    });
}

/// Of one process, KiB.
struct Memory {
    private_dirty: u64,
    pss: u64,
    anonymous: u64,
}

impl Memory {
    fn of(pid: u32) -> Memory {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{path}: {error}. {}", crate::SEEING));
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let word = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            word.unwrap_or_else(|| panic!("{path} has no {name}"))
        };
        Memory { private_dirty: field("Private_Dirty"), pss: field("Pss"), anonymous: field("Anonymous") }
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:>13} {:>8} {:>11}", self.private_dirty, self.pss, self.anonymous)
    }
}
