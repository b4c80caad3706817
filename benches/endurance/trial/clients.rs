//! Keep-alive clients in one epoll loop: at most one request on each connection, a new connection for a broken one.

use super::ledger::Ledger;
use crate::harness::wire::Head;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than a killed worker may take to be replaced: connections wait for it in the accept queue.
const ANSWER_MAX: Duration = Duration::from_secs(15);
const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
const OVERDUE_LOOK_EVERY: Duration = Duration::from_millis(100);

/// Local ports of connections whose worker is being killed.
#[derive(Debug, Default)]
pub struct Doomed(Mutex<HashSet<u16>>);

impl Doomed {
    pub fn add(&self, ports: impl IntoIterator<Item = u16>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(ports);
    }

    /// Whether this one was; it is forgotten, since the port will be used again.
    fn take(&self, port: u16) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&port)
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// How fast requests come.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// Each connection sends its next request when the last was answered.
    Saturating,
    /// So many a second, due at even intervals; latency counts from when a request was due.
    Rate(u64),
}

pub struct Clients<'t> {
    address: SocketAddr,
    doomed: &'t Doomed,
    pub ledger: Ledger,
    epoll: OwnedFd,
    seats: Vec<Seat>,
    /// Where the search for a free connection goes on.
    cursor: usize,
    looked_at: Instant,
}

/// One client, who takes a new connection when the old one breaks.
struct Seat {
    request: Vec<u8>,
    connection: Option<Connection>,
}

struct Connection {
    stream: TcpStream,
    port: u16,
    /// When the request that is on the way was due.
    due: Option<Instant>,
    answers: u64,
    input: Vec<u8>,
}

impl<'t> Clients<'t> {
    /// One client for each request.
    pub fn connect(address: SocketAddr, requests: Vec<Vec<u8>>, doomed: &'t Doomed) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll exists");
        let seats = requests.into_iter().map(|request| Seat { request, connection: None }).collect();
        let mut clients = Clients {
            address,
            doomed,
            ledger: Ledger::default(),
            epoll,
            seats,
            cursor: 0,
            looked_at: Instant::now(),
        };
        for index in 0..clients.seats.len() {
            clients.take_seat(index);
        }
        clients
    }

    /// Puts the load on for `window`.
    pub fn drive(&mut self, load: Load, window: Duration) {
        let began = Instant::now();
        let mut offered = 0;
        while began.elapsed() < window {
            match load {
                Load::Saturating => while self.offer(Instant::now()) {},
                Load::Rate(rate) => {
                    let owed = began.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000;
                    while u128::from(offered) < owed {
                        let due = began + Duration::from_nanos(offered * 1_000_000_000 / rate);
                        self.ledger.withheld += u64::from(!self.offer(due));
                        offered += 1;
                    }
                }
            }
            self.turn(matches!(load, Load::Rate(_)));
        }
    }

    /// Waits for the answers that are on the way.
    pub fn finish(&mut self) {
        let limit = Instant::now() + ANSWER_MAX;
        let waits = |seat: &Seat| seat.connection.as_ref().is_some_and(|open| open.due.is_some());
        while self.seats.iter().any(waits) && Instant::now() < limit {
            self.turn(true);
        }
        // What was cut while idle shows itself here.
        for _ in 0..10 {
            self.turn(true);
        }
    }

    /// Sends a request on a free connection, if there is one.
    fn offer(&mut self, due: Instant) -> bool {
        for step in 0..self.seats.len() {
            let index = (self.cursor + step) % self.seats.len();
            if self.seats[index].connection.is_none() && !self.take_seat(index) {
                continue;
            }
            let seat = &mut self.seats[index];
            let Some(connection) = seat.connection.as_mut().filter(|open| open.due.is_none()) else {
                continue;
            };
            self.cursor = index + 1;
            self.ledger.sent += 1;
            connection.due = Some(due);
            if let Err(error) = connection.stream.write_all(&seat.request) {
                self.broken(index, &error.to_string());
            }
            return true;
        }
        false
    }

    /// Connects; false if that was refused.
    fn take_seat(&mut self, index: usize) -> bool {
        match self.new_connection(index) {
            Ok(connection) => {
                self.seats[index].connection = Some(connection);
                true
            }
            Err(error) => {
                // Nobody sent a request, but a client that cannot connect is a failure like any.
                self.ledger.sent += 1;
                self.ledger.fail_elsewhere(format!("connect: {error}"));
                false
            }
        }
    }

    fn new_connection(&self, index: usize) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let port = stream.local_addr()?.port();
        epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        Ok(Connection { stream, port, due: None, answers: 0, input: Vec::new() })
    }

    fn turn(&mut self, measured: bool) {
        let mut events = Vec::with_capacity(256);
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&TURN))
            .expect("epoll waits");
        for event in &events {
            self.receive(usize::try_from(event.data.u64()).expect("an index of ours"), measured);
        }
        if self.looked_at.elapsed() > OVERDUE_LOOK_EVERY {
            self.looked_at = Instant::now();
            self.give_up_overdue();
        }
    }

    fn receive(&mut self, index: usize, measured: bool) {
        let Some(connection) = self.seats[index].connection.as_mut() else { return };
        let mut buffer = [0; 16_384];
        match connection.stream.read(&mut buffer) {
            Ok(0) => return self.broken(index, "the connection ended"),
            Ok(count) => connection.input.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => return self.broken(index, &error.to_string()),
        }
        let Some(length) = answer_length(&connection.input) else { return };
        if connection.input.len() < length {
            return;
        }
        let status = String::from_utf8_lossy(connection.input.get(9..12).unwrap_or_default()).into_owned();
        connection.input.clear();
        let Some(due) = connection.due.take() else {
            return self.ledger.fail_elsewhere("an answer to no request".to_owned());
        };
        if status != "200" {
            return self.ledger.fail_elsewhere(format!("status {status}"));
        }
        connection.answers += 1;
        self.ledger.answered += 1;
        if measured {
            self.ledger.measured(due.elapsed());
        }
    }

    /// Books a connection that broke, and connects again.
    fn broken(&mut self, index: usize, how: &str) {
        let Some(connection) = self.seats[index].connection.take() else { return };
        let (doomed, waited) = (self.doomed.take(connection.port), connection.due.is_some());
        match (doomed, waited) {
            (true, true) => self.ledger.lost_with_worker += 1,
            (false, true) => self.ledger.fail_elsewhere(format!("under a request: {how}")),
            (false, false) => self.ledger.closed_elsewhere += 1,
            (true, false) => {}
        }
        self.ledger.cut += u64::from(doomed);
        self.ledger.cut_after_answers += u64::from(doomed && connection.answers > 0);
        drop(connection);
        self.take_seat(index);
    }

    fn give_up_overdue(&mut self) {
        for index in 0..self.seats.len() {
            let due = self.seats[index].connection.as_ref().and_then(|open| open.due);
            if due.is_some_and(|due| due.elapsed() > ANSWER_MAX) {
                self.broken(index, "no answer in time");
            }
        }
    }
}

/// Head and body together, once the head is there.
pub fn answer_length(input: &[u8]) -> Option<usize> {
    let end = memchr::memmem::find(input, b"\r\n\r\n")? + 4;
    let head = Head::parse(input.get(..end)?).ok()?;
    Some(end + usize::try_from(head.length().unwrap_or(0)).ok()?)
}
