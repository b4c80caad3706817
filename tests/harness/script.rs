//! How a backend answers: a list of steps, with names for the usual good and bad manners.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One thing a backend does on a connection after a request.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    /// A head with this status and these extra fields, then the request as JSON.
    Echo,
    /// auth-service's record of the user that ends the path: an active customer of this tenant.
    Record {
        tenant: String,
    },
    /// So many bytes of the test pattern.
    Pattern(u64),
    /// The same bytes until the peer goes away.
    Forever(Vec<u8>),
    /// A scripted delay: the slowness is what is tested.
    Pause(Duration),
    /// Waits for one of the desks and is served there.
    Served(Desks),
    /// Goes on when the test opens the gate.
    Await(Gate),
    /// Reads the request's body, which was left unread so far.
    ReadBody,
    /// Says nothing more until the peer goes away.
    Hang,
    Close,
    /// Closes with a reset.
    Reset,
}

/// What a backend does with one request.
#[derive(Clone, Debug)]
pub struct Script {
    /// Whether the body is read before the first step.
    pub body_first: bool,
    pub steps: Vec<Step>,
}

impl Script {
    pub fn of(steps: Vec<Step>) -> Script {
        Script { body_first: true, steps }
    }

    /// Exact bytes; the connection stays open.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Script {
        Script::of(vec![Step::Send(bytes.as_ref().to_vec())])
    }

    /// Exact bytes, then the connection ends.
    pub fn bytes_then_close(bytes: impl AsRef<[u8]>) -> Script {
        Script::of(vec![Step::Send(bytes.as_ref().to_vec()), Step::Close])
    }

    /// A plain answer with extra header lines.
    pub fn answer(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Script {
        Script::bytes(answer_bytes(status, fields, body.as_ref()))
    }

    pub fn echo() -> Script {
        Script::of(vec![Step::Echo])
    }

    /// Answers when the gate opens.
    pub fn gated(gate: &Gate) -> Script {
        Script::of(vec![Step::Await(gate.clone()), Step::Send(answer_bytes(200, &[], b"late"))])
    }

    pub fn hanging() -> Script {
        Script::of(vec![Step::Hang])
    }

    /// What a service of limited capacity does: no more at a time than it has desks.
    pub fn served(desks: &Desks) -> Script {
        Script::of(vec![Step::Served(desks.clone()), Step::Send(answer_bytes(200, &[], b"served"))])
    }

    pub fn slow_head(delay: Duration) -> Script {
        Script::of(vec![Step::Pause(delay), Step::Send(answer_bytes(200, &[], b"slow"))])
    }

    /// A head that promises `length` bytes; the body follows after the gate opens.
    pub fn slow_body(gate: &Gate, body: &[u8]) -> Script {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        Script::of(vec![Step::Send(head.into_bytes()), Step::Await(gate.clone()), Step::Send(body.to_vec())])
    }

    pub fn garbage() -> Script {
        Script::bytes_then_close(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no HTTP\r\n\r\n")
    }

    pub fn close_before_head() -> Script {
        Script::of(vec![Step::Close])
    }

    pub fn close_inside_head() -> Script {
        Script::bytes_then_close(b"HTTP/1.1 200 OK\r\ncontent-le")
    }

    /// Promises more than it sends.
    pub fn close_inside_body() -> Script {
        Script::bytes_then_close(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
    }

    pub fn close_inside_chunks() -> Script {
        Script::bytes_then_close(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
    }

    pub fn huge_head(bytes: usize) -> Script {
        Script::answer(200, &[("x-custom-huge", &"h".repeat(bytes))], b"")
    }

    pub fn endless_body() -> Script {
        Script::of(vec![
            Step::Send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()),
            Step::Forever(b"4\r\nmore\r\n".repeat(1000)),
        ])
    }

    pub fn close_delimited(body: &[u8]) -> Script {
        let mut bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        bytes.extend_from_slice(body);
        Script::bytes_then_close(bytes)
    }

    pub fn chunked(pieces: &[&str], trailers: &[(&str, &str)]) -> Script {
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for piece in pieces {
            bytes.extend_from_slice(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        }
        bytes.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        Script::bytes(bytes)
    }

    /// An interim answer, then the final one.
    pub fn interim(status: u16) -> Script {
        let mut bytes = format!("HTTP/1.1 {status} Interim\r\nlink: </style.css>\r\n\r\n").into_bytes();
        bytes.extend_from_slice(&answer_bytes(200, &[], b"final"));
        Script::bytes(bytes)
    }

    /// Answers while the body is still coming, then reads the rest of it.
    pub fn early(status: u16) -> Script {
        Script {
            body_first: false,
            steps: vec![Step::Send(answer_bytes(status, &[], b"early")), Step::ReadBody],
        }
    }

    /// `length` bytes of the pattern under a Content-Length.
    pub fn pattern(length: u64) -> Script {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        Script::of(vec![Step::Send(head.into_bytes()), Step::Pattern(length)])
    }
}

/// Bytes of an answer with a Content-Length.
pub fn answer_bytes(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// So many desks, each of which serves one request after the other and takes its time for it, first come, first served.
#[derive(Clone, Debug)]
pub struct Desks {
    taking: Duration,
    /// When each is free.
    free: Arc<Mutex<Vec<Instant>>>,
}

impl Desks {
    pub fn new(count: usize, taking: Duration) -> Desks {
        Desks { taking, free: Arc::new(Mutex::new(vec![Instant::now(); count])) }
    }

    /// How long it takes until a request that comes now has been served. It has its desk from here on.
    pub(super) fn serve(&self) -> Duration {
        let now = Instant::now();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = free.iter_mut().min().expect("there are desks");
        *desk = (*desk).max(now) + self.taking;
        desk.saturating_duration_since(now)
    }
}

/// Holds backends until the test lets them go on.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn new() -> Gate {
        Gate::default()
    }

    pub fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Returns when the gate is open, or after a limit that no passing test reaches.
    pub(super) fn wait(&self) {
        let open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(open, Duration::from_secs(60), |open| !*open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}
