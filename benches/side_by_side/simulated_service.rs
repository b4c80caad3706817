//! The service behind an edge under load: answers every request alike, on an epoll loop that others may share.

use rustix::event::epoll::{self, EventData, EventFlags};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

/// The event that announces a new connection of the service.
pub const LISTENER: u64 = u64::MAX;

/// The record up to the name, which fills what is left.
const RECORD: &[u8] = br#"{"id":"5f0c9d7e-1111-4111-8111-0123456789ab","status":"ACTIVE","role":"customer","tenantId":"11111111-1111-4111-8111-111111111111","name":""#;

/// The service behind every contestant. It lives on between runs, so that pooled connections do too.
pub struct Service {
    listener: TcpListener,
    connections: RefCell<HashMap<u64, ServiceConnection>>,
    epoll: OwnedFd,
}

struct ServiceConnection {
    stream: TcpStream,
    input: Vec<u8>,
    backlog: Vec<u8>,
}

/// Listens anew with a queue for every connection of a run: whoever connects and accepts on one thread would
/// otherwise wait for itself.
pub fn deepen(listener: &TcpListener) {
    rustix::net::listen(listener, 4_096).expect("a listener can be given a longer queue");
}

impl Service {
    pub fn bind() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        deepen(&listener);
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll exists");
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN).expect("can be watched");
        Service { listener, connections: RefCell::default(), epoll }
    }

    /// Where the service's events arrive; clients of the same loop may join it.
    pub fn epoll(&self) -> &OwnedFd {
        &self.epoll
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("a bound listener has an address").port()
    }

    /// Does what an event of [`Service::epoll`] asks for.
    pub fn turn(&self, token: u64, answer: &[u8], buffer: &mut [u8]) {
        match token {
            LISTENER => self.accept(),
            token => self.serve(token, answer, buffer),
        }
    }

    fn accept(&self) {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nodelay(true).expect("TCP_NODELAY can be set");
            stream.set_nonblocking(true).expect("a stream can be made non-blocking");
            let token = stream.as_raw_fd() as u64;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&self.epoll, &stream, EventData::new_u64(token), flags).expect("can be watched");
            let connection = ServiceConnection { stream, input: Vec::new(), backlog: Vec::new() };
            self.connections.borrow_mut().insert(token, connection);
        }
    }

    fn serve(&self, token: u64, answer: &[u8], buffer: &mut [u8]) {
        let mut connections = self.connections.borrow_mut();
        let Some(connection) = connections.get_mut(&token) else { return };
        loop {
            match connection.stream.read(buffer) {
                Ok(0) => break,
                Ok(count) => {
                    connection.input.extend_from_slice(&buffer[..count]);
                    while let Some(end) = find_end(&connection.input) {
                        connection.input.drain(..end);
                        connection.backlog.extend_from_slice(answer);
                    }
                    if connection.flush().is_err() {
                        break;
                    }
                    if count < buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if connection.flush().is_err() {
                        break;
                    }
                    return;
                }
                Err(_) => break,
            }
        }
        connections.remove(&token);
    }
}

impl ServiceConnection {
    fn flush(&mut self) -> std::io::Result<()> {
        while !self.backlog.is_empty() {
            match self.stream.write(&self.backlog) {
                Ok(written) => drop(self.backlog.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// An answer of this size under a Content-Length. Its body is also the record of the user in the benchmark's tokens,
/// so that this service can be auth-service, too.
pub fn answer(bytes: usize) -> Vec<u8> {
    let mut body = RECORD.to_vec();
    assert!(body.len() + 2 <= bytes, "a record fits");
    body.resize(bytes - 2, b'x');
    body.extend_from_slice(b"\"}");
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nCache-Control: private\r\n\
         ETag: W/\"c8-abcdefgh\"\r\nDate: Tue, 24 Nov 2026 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

fn find_end(input: &[u8]) -> Option<usize> {
    memchr::memmem::find(input, b"\r\n\r\n").map(|at| at + 4)
}
