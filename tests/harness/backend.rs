//! A service behind the edge: a real TCP server that follows scripts and records what reached it.

use super::script::{Script, Step, answer_bytes};
use super::wire::{Body, Framing, Head, Reader, each_pattern_piece, value};
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A running backend; it ends when it is dropped.
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request as it reached the backend.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    /// Byte-exact.
    pub target: Vec<u8>,
    /// Names and values in order, names as they were written.
    pub fields: Vec<(String, String)>,
    pub body: Body,
    /// Which connection of this backend it came on, from 1.
    pub connection: u64,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name));
        named.map(|field| field.1.as_str()).collect()
    }

    pub fn target(&self) -> &str {
        std::str::from_utf8(&self.target).expect("the edge refuses targets that are not ASCII")
    }
}

#[derive(Default)]
struct Shared {
    name: String,
    scripts: Mutex<Vec<Rule>>,
    received: Mutex<Vec<Received>>,
    streams: Mutex<Vec<(u64, TcpStream)>>,
    connections: AtomicU64,
    hung_up: AtomicU64,
    /// Requests that are here and whose answers' last step has not begun.
    at_work: AtomicU64,
    busiest: AtomicU64,
    stopped: AtomicBool,
}

/// Which requests a script is for.
struct Rule {
    prefix: String,
    script: Script,
    /// How many requests it is still for; `None` is all.
    left: Option<usize>,
}

impl Backend {
    /// A backend that echoes every request and answers health probes.
    pub fn start() -> Backend {
        Backend::named("default")
    }

    /// The same with a name, which its echo tells.
    pub fn named(name: &str) -> Backend {
        Backend::at(name, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same at an address of this machine, such as one where another one was before.
    pub fn at(name: &str, address: SocketAddr) -> Backend {
        let listener = TcpListener::bind(address).expect("the loopback address is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared { name: name.to_owned(), ..Shared::default() });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &served));
        Backend { address, shared }
    }

    /// Uses `script` for requests whose path starts with `prefix`; the latest matching script wins.
    #[must_use]
    pub fn on(self, prefix: &str, script: Script) -> Backend {
        self.script(prefix, script);
        self
    }

    /// The same for a backend that is already in use.
    pub fn script(&self, prefix: &str, script: Script) {
        lock(&self.shared.scripts).push(Rule { prefix: prefix.to_owned(), script, left: None });
    }

    /// The same for the next request of a client only.
    pub fn script_once(&self, prefix: &str, script: Script) {
        lock(&self.shared.scripts).push(Rule { prefix: prefix.to_owned(), script, left: Some(1) });
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request but health probes, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// The only request there was.
    pub fn only(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "requests that reached the backend: {received:?}");
        received.remove(0)
    }

    /// The latest request.
    pub fn last(&self) -> Received {
        self.received().pop().expect("a request reached the backend")
    }

    pub fn hits(&self) -> usize {
        lock(&self.shared.received).len()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How often the edge ended a connection while a script was still hanging or sending.
    pub fn hung_up(&self) -> u64 {
        self.shared.hung_up.load(Ordering::SeqCst)
    }

    /// Most requests that were here at one time, none of them on its last step.
    pub fn busiest(&self) -> u64 {
        self.shared.busiest.load(Ordering::SeqCst)
    }

    /// Ends every open connection, as a service does with idle ones.
    pub fn close_connections(&self) {
        for (_, stream) in lock(&self.shared.streams).drain(..) {
            // A connection that is already gone is closed as wanted.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.close_connections();
        // Wakes the accepting thread, which then sees that it is to end.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // A peer that goes away in the middle is what many tests are about.
            let _ = Conversation::open(stream, shared, connection).and_then(Conversation::run);
        });
    }
}

/// One connection.
struct Conversation {
    stream: TcpStream,
    reader: Reader,
    shared: Arc<Shared>,
    connection: u64,
}

/// Whether the connection serves another request.
#[derive(PartialEq, Eq)]
enum After {
    Keep,
    End,
}

impl Conversation {
    fn open(stream: TcpStream, shared: Arc<Shared>, connection: u64) -> io::Result<Conversation> {
        stream.set_nodelay(true)?;
        lock(&shared.streams).push((connection, stream.try_clone()?));
        let reader = Reader::new(stream.try_clone()?);
        Ok(Conversation { stream, reader, shared, connection })
    }

    fn run(mut self) -> io::Result<()> {
        let ended = self.requests();
        // The list holds a clone; the connection ends when that is dropped with ours.
        lock(&self.shared.streams).retain(|open| open.0 != self.connection);
        ended
    }

    fn requests(&mut self) -> io::Result<()> {
        while let Some(head) = self.reader.head()? {
            let mut received = received(&head, self.connection)?;
            let scripted = self.shared.script_for(&received);
            if scripted.is_none() && is_probe(&received) {
                self.stream.write_all(&answer_bytes(200, &[], b"{\"status\":\"ok\"}"))?;
                continue;
            }
            let script = scripted.unwrap_or_else(Script::echo);
            if script.body_first {
                received.body = self.reader.body(framing(&head))?;
            }
            lock(&self.shared.received).push(received.clone());
            let mut work = Some(Work::begin(&self.shared));
            let mut steps = script.steps.into_iter().peekable();
            while let Some(step) = steps.next() {
                if steps.peek().is_none() {
                    // Before the answer's end, by which the edge learns that it may send another request.
                    work = None;
                }
                if self.step(step, &head, &received)? == After::End {
                    return Ok(());
                }
            }
            drop(work);
        }
        Ok(())
    }

    fn step(&mut self, step: Step, head: &Head, received: &Received) -> io::Result<After> {
        match step {
            Step::Send(bytes) => self.stream.write_all(&bytes)?,
            Step::Echo => {
                let body = echo(&self.shared.name, received);
                let answer = answer_bytes(200, &[("content-type", "application/json")], &body);
                let without_body = answer.get(..answer.len() - body.len()).unwrap_or_default();
                let head_only = received.method == "HEAD";
                self.stream.write_all(if head_only { without_body } else { &answer })?;
            }
            Step::Record { tenant } => {
                let user = received.target().rsplit('/').next().unwrap_or_default();
                let record = serde_json::json!({
                    "user": { "id": user, "tenantId": tenant, "role": "customer", "status": "ACTIVE" },
                });
                let fields = [("content-type", "application/json")];
                self.stream.write_all(&answer_bytes(200, &fields, record.to_string().as_bytes()))?;
            }
            Step::Pattern(length) => {
                let stream = &mut self.stream;
                let sent = each_pattern_piece(length, |piece| stream.write_all(piece));
                self.note_hang_up(sent.is_err());
                sent?;
            }
            Step::Forever(bytes) => {
                while self.stream.write_all(&bytes).is_ok() {}
                self.note_hang_up(true);
                return Ok(After::End);
            }
            Step::Pause(delay) => super::polling::pause(delay),
            Step::Served(desks) => super::polling::pause(desks.serve()),
            Step::Await(gate) => gate.wait(),
            Step::ReadBody => drop(self.reader.body(framing(head))?),
            Step::Hang => {
                while !self.reader.is_closed() && self.reader.pending().is_empty() {}
                self.note_hang_up(true);
                return Ok(After::End);
            }
            Step::Close => return Ok(After::End),
            Step::Reset => {
                let linger =
                    rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO));
                linger.map_err(io::Error::from)?;
                return Ok(After::End);
            }
        }
        Ok(After::Keep)
    }

    fn note_hang_up(&self, hung_up: bool) {
        if hung_up && !self.shared.stopped.load(Ordering::SeqCst) {
            self.shared.hung_up.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A request that is worked on.
struct Work(Arc<Shared>);

impl Work {
    fn begin(shared: &Arc<Shared>) -> Work {
        let at_work = shared.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        shared.busiest.fetch_max(at_work, Ordering::SeqCst);
        Work(Arc::clone(shared))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn script_for(&self, received: &Received) -> Option<Script> {
        let mut scripts = lock(&self.scripts);
        // What is for so many requests is not for the edge's own.
        let has_left = |rule: &Rule| rule.left.is_none_or(|left| left > 0 && !is_probe(received));
        let is_for = |rule: &&mut Rule| received.target().starts_with(&rule.prefix) && has_left(rule);
        let rule = scripts.iter_mut().rev().find(is_for)?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.script.clone())
    }
}

fn received(head: &Head, connection: u64) -> io::Result<Received> {
    let mut words = head.start.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(b"HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(io::Error::new(ErrorKind::InvalidData, "the edge sent a bad request line"));
    };
    Ok(Received {
        method: String::from_utf8_lossy(method).into_owned(),
        target: target.to_vec(),
        fields: head.fields.clone(),
        body: Body::default(),
        connection,
    })
}

fn framing(head: &Head) -> Framing {
    if head.is_chunked() {
        return Framing::Chunked;
    }
    head.length().map_or(Framing::None, Framing::Length)
}

fn is_probe(received: &Received) -> bool {
    received.method == "GET" && matches!(received.target(), "/health" | "/health/live")
}

fn echo(name: &str, received: &Received) -> Vec<u8> {
    let fields: Vec<[&str; 2]> =
        received.fields.iter().map(|field| [field.0.as_str(), field.1.as_str()]).collect();
    let described = serde_json::json!({
        "service": name,
        "method": received.method,
        "target": received.target(),
        "headers": fields,
        "bodyBytes": received.body.length,
    });
    described.to_string().into_bytes()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
