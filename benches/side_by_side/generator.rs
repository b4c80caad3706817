//! Clients and service in one single-threaded epoll loop.

use super::simulated_service::{LISTENERS_START, Service};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What requests and answers look like.
#[derive(Clone, Copy)]
pub struct Shape {
    pub answer_bytes: usize,
    /// False opens a connection for each request.
    pub keep_alive: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each connection sends its next request when the last was answered.
    Closed,
    /// Requests a second over all connections; latency counts from the time a request was due.
    Rate(u64),
    /// Each of so many requests once.
    Each(usize),
}

pub struct Load<'l> {
    pub service: &'l Service,
    pub target: SocketAddr,
    pub requests: &'l [Vec<u8>],
    pub shape: Shape,
    pub connections: usize,
    pub pace: Pace,
}

pub struct Outcome {
    pub answers: u64,
    pub failures: u64,
    pub elapsed: Duration,
    latencies_ns: Vec<u64>,
}

impl Outcome {
    pub fn percentile_us(&self, part: f64) -> f64 {
        let index = (self.latencies_ns.len().max(1) - 1) as f64 * part;
        self.latencies_ns.get(index as usize).map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1_000.0)
    }
}

struct Client {
    stream: TcpStream,
    due: Instant,
    waiting: bool,
    input: Vec<u8>,
}

const CLIENT: u64 = 1 << 32;

/// The state of one run.
struct Run<'l> {
    load: &'l Load<'l>,
    clients: Vec<Option<Client>>,
    sent: usize,
    outcome: Outcome,
}

/// Puts the load on for `window`, then waits a moment for what is under way. `started` is called when the
/// connections stand.
pub fn run(load: &Load<'_>, window: Duration, started: impl FnOnce()) -> Outcome {
    let answer = load.service.answer(load.shape.answer_bytes);
    let outcome = Outcome { answers: 0, failures: 0, elapsed: Duration::ZERO, latencies_ns: Vec::new() };
    let mut run = Run { load, clients: Vec::new(), sent: 0, outcome };
    for index in 0..load.connections {
        let client = run.connect(index);
        run.clients.push(client);
    }
    started();
    let began = Instant::now();
    let mut buffer = vec![0; 262_144];
    let mut events = Vec::with_capacity(1024);
    while began.elapsed() < window && !run.is_over() {
        run.send_due(began);
        events.clear();
        let patience = match load.pace {
            Pace::Rate(_) => Timespec { tv_sec: 0, tv_nsec: 50_000 },
            _ => Timespec { tv_sec: 0, tv_nsec: 20_000_000 },
        };
        epoll::wait(load.service.epoll(), rustix::buffer::spare_capacity(&mut events), Some(&patience))
            .expect("epoll waits");
        for event in &events {
            match event.data.u64() {
                token @ CLIENT..LISTENERS_START => run.receive((token - CLIENT) as usize, &mut buffer),
                token => load.service.turn(token, &answer, &mut buffer),
            }
        }
    }
    run.outcome.elapsed = began.elapsed();
    run.outcome.latencies_ns.sort_unstable();
    run.outcome
}

impl Run<'_> {
    fn connect(&mut self, index: usize) -> Option<Client> {
        let Ok(stream) = TcpStream::connect(self.load.target) else {
            self.outcome.failures += 1;
            return None;
        };
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_nonblocking(true).expect("a stream can be made non-blocking");
        let token = EventData::new_u64(CLIENT + index as u64);
        epoll::add(self.load.service.epoll(), &stream, token, EventFlags::IN).expect("can be watched");
        Some(Client { stream, due: Instant::now(), waiting: false, input: Vec::new() })
    }

    fn is_over(&self) -> bool {
        matches!(self.load.pace, Pace::Each(count) if self.outcome.answers + self.outcome.failures >= count as u64)
    }

    /// Sends what is due now: everything in a closed loop, what the rate has made due in an open one.
    fn send_due(&mut self, began: Instant) {
        for index in 0..self.clients.len() {
            let due = match self.load.pace {
                Pace::Rate(rate) => {
                    let due = began + Duration::from_nanos(self.sent as u64 * 1_000_000_000 / rate);
                    if due > Instant::now() {
                        return;
                    }
                    due
                }
                Pace::Each(count) if self.sent >= count => return,
                _ => Instant::now(),
            };
            if self.clients[index].is_none() {
                self.clients[index] = self.connect(index);
            }
            let Some(client) = self.clients[index].as_mut().filter(|client| !client.waiting) else {
                continue;
            };
            let request = &self.load.requests[self.sent % self.load.requests.len()];
            if client.stream.write_all(request).is_err() {
                self.outcome.failures += 1;
                self.clients[index] = None;
                continue;
            }
            self.sent += 1;
            client.waiting = true;
            client.due = due;
        }
    }

    fn receive(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(client) = self.clients[index].as_mut() else { return };
        match client.stream.read(buffer) {
            Ok(count) if count > 0 => client.input.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            _ => {
                self.outcome.failures += u64::from(client.waiting);
                self.clients[index] = None;
                return;
            }
        }
        let Some(length) = answer_length(&client.input) else { return };
        if client.input.len() < length {
            return;
        }
        let good = client.input.starts_with(b"HTTP/1.1 200");
        client.input.clear();
        client.waiting = false;
        self.outcome.answers += u64::from(good);
        self.outcome.failures += u64::from(!good);
        self.outcome.latencies_ns.push(client.due.elapsed().as_nanos() as u64);
        if !self.load.shape.keep_alive {
            // A reset, so that a million connections do not wait in TIME_WAIT.
            rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO))
                .expect("can be set");
            self.clients[index] = None;
        }
    }
}

/// Head and body together, once the head is there.
fn answer_length(input: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(input, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&input[..head]).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head + length.unwrap_or(0))
}
