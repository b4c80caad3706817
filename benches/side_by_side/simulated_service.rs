//! The service behind an edge under load: answers every request alike, on an epoll loop that others may share.

use rustix::event::epoll::{self, EventData, EventFlags};
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// From here on events announce new connections of the service.
pub const LISTENERS_START: u64 = u64::MAX - 15;

/// The record up to the name, which fills what is left.
const RECORD: &[u8] = br#"{"id":"5f0c9d7e-1111-4111-8111-0123456789ab","status":"ACTIVE","role":"customer","tenantId":"11111111-1111-4111-8111-111111111111","name":""#;

/// The service behind every contestant. It lives on between runs, so that pooled connections do too.
pub struct Service {
    /// The first one without TLS.
    listeners: RefCell<Vec<(TcpListener, Option<Arc<ServerConfig>>)>>,
    connections: RefCell<HashMap<u64, ServiceConnection>>,
    epoll: OwnedFd,
    /// Connections end with their first answer.
    hasty: Cell<bool>,
    handshakes: Cell<Handshakes>,
}

/// What clients of the service had to do for their connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshakes {
    pub full: u64,
    pub resumed: u64,
}

struct ServiceConnection {
    stream: TcpStream,
    secured: Option<Box<ServerConnection>>,
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
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll exists");
        let service = Service {
            listeners: RefCell::default(),
            connections: RefCell::default(),
            epoll,
            hasty: Cell::new(false),
            handshakes: Cell::default(),
        };
        service.listen(None);
        service
    }

    /// Listens on one more port, over TLS where there is a configuration for it.
    pub fn listen(&self, secured: Option<Arc<ServerConfig>>) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        deepen(&listener);
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let mut listeners = self.listeners.borrow_mut();
        let token = EventData::new_u64(LISTENERS_START + listeners.len() as u64);
        epoll::add(&self.epoll, &listener, token, EventFlags::IN).expect("can be watched");
        listeners.push((listener, secured));
        port
    }

    /// Whether connections end with their first answer from now on.
    pub fn be_hasty(&self, hasty: bool) {
        self.hasty.set(hasty);
    }

    /// Since the last look.
    pub fn handshakes(&self) -> Handshakes {
        self.handshakes.take()
    }

    /// Where the service's events arrive; clients of the same loop may join it.
    pub fn epoll(&self) -> &OwnedFd {
        &self.epoll
    }

    /// The port without TLS.
    pub fn port(&self) -> u16 {
        let listeners = self.listeners.borrow();
        listeners[0].0.local_addr().expect("a bound listener has an address").port()
    }

    /// What it answers, with a body of this size.
    pub fn answer(&self, bytes: usize) -> Vec<u8> {
        answer(bytes, if self.hasty.get() { "Connection: close\r\n" } else { "" })
    }

    /// Does what an event of [`Service::epoll`] asks for.
    pub fn turn(&self, token: u64, answer: &[u8], buffer: &mut [u8]) {
        match token {
            LISTENERS_START.. => self.accept((token - LISTENERS_START) as usize),
            token => self.serve(token, answer, buffer),
        }
    }

    fn accept(&self, listener: usize) {
        let listeners = self.listeners.borrow();
        let (listener, config) = &listeners[listener];
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nodelay(true).expect("TCP_NODELAY can be set");
            stream.set_nonblocking(true).expect("a stream can be made non-blocking");
            let token = stream.as_raw_fd() as u64;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&self.epoll, &stream, EventData::new_u64(token), flags).expect("can be watched");
            let secured = config.as_ref().map(|config| {
                Box::new(ServerConnection::new(Arc::clone(config)).expect("a usable configuration"))
            });
            let connection = ServiceConnection { stream, secured, input: Vec::new(), backlog: Vec::new() };
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
                    match connection.take(&buffer[..count]) {
                        Ok(shaken) => self.count(shaken),
                        Err(_) => break,
                    }
                    let mut answered = false;
                    while let Some(end) = find_end(&connection.input) {
                        connection.input.drain(..end);
                        connection.send(answer);
                        answered = true;
                    }
                    let over = answered && self.hasty.get();
                    if over {
                        connection.say_goodbye();
                    }
                    if connection.flush().is_err() || over {
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

    fn count(&self, shaken: Option<HandshakeKind>) {
        let mut handshakes = self.handshakes.get();
        match shaken {
            Some(HandshakeKind::Resumed) => handshakes.resumed += 1,
            Some(_) => handshakes.full += 1,
            None => {}
        }
        self.handshakes.set(handshakes);
    }
}

impl ServiceConnection {
    /// Takes bytes from the wire; says how a handshake went that they have ended.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<Option<HandshakeKind>> {
        let Some(secured) = &mut self.secured else {
            self.input.extend_from_slice(bytes);
            return Ok(None);
        };
        let is_new = secured.is_handshaking();
        let mut plaintext = [0; 4_096];
        while !bytes.is_empty() && secured.read_tls(&mut bytes)? > 0 {
            secured.process_new_packets().map_err(io::Error::other)?;
            while let Ok(count @ 1..) = secured.reader().read(&mut plaintext) {
                self.input.extend_from_slice(&plaintext[..count]);
            }
        }
        Ok(secured.handshake_kind().filter(|_| is_new && !secured.is_handshaking()))
    }

    fn send(&mut self, answer: &[u8]) {
        match &mut self.secured {
            None => self.backlog.extend_from_slice(answer),
            Some(secured) => secured.writer().write_all(answer).expect("an answer fits into its buffer"),
        }
    }

    fn say_goodbye(&mut self) {
        if let Some(secured) = &mut self.secured {
            secured.send_close_notify();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(secured) = self.secured.as_mut().filter(|secured| secured.wants_write()) {
            secured.write_tls(&mut self.backlog)?;
        }
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

/// An answer of this size under a Content-Length, with these header lines. Its body is also the record of the user
/// in the benchmark's tokens, so that this service can be auth-service, too.
pub fn answer(bytes: usize, lines: &str) -> Vec<u8> {
    let mut body = RECORD.to_vec();
    assert!(body.len() + 2 <= bytes, "a record fits");
    body.resize(bytes - 2, b'x');
    body.extend_from_slice(b"\"}");
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nCache-Control: private\r\n\
         ETag: W/\"c8-abcdefgh\"\r\nDate: Tue, 24 Nov 2026 00:00:00 GMT\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

fn find_end(input: &[u8]) -> Option<usize> {
    memchr::memmem::find(input, b"\r\n\r\n").map(|at| at + 4)
}
