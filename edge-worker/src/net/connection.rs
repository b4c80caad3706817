//! One client connection: reads request heads one after the other and hands each to the pipeline.

use super::io::{ReadEnd, Stream};
use super::wheel::Reason;
use crate::http::head::{HeadFault, HeadLimits, Progress, RequestHead};
use crate::pipeline::marks::LastToken;
use crate::pipeline::{self, rejection::Rejection};
use crate::upstream::upload::LINGER_MS;
use crate::worker::Worker;
use std::net::IpAddr;
use std::rc::Rc;

/// Room a connection keeps while it is idle. Most heads fit; a longer one makes it grow.
const IDLE_BUFFER_BYTES: usize = 2_048;
/// A buffer that a long head has grown is kept up to this size.
const KEPT_BUFFER_BYTES: usize = 8_192;
/// Bytes of an unwanted body that are read and thrown away before the connection is closed.
const LINGER_BYTES_MAX: usize = 262_144;

/// A client's connection.
pub struct Connection {
    pub stream: Stream,
    /// The kernel's word for who is connected.
    pub peer: IpAddr,
    /// Bytes read and not yet consumed; a request's head stays at its front until the request is accounted.
    pub inbound: Vec<u8>,
    pub last_token: LastToken,
}

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    KeepAlive,
    /// Everything was said; the client's last bytes may still be under way.
    Close,
    /// The answer is incomplete, and the client can tell by its framing.
    Abort,
    /// The answer is incomplete, and only a reset says so.
    Reset,
}

/// Serves a connection to its end. What a request needs is boxed and borrowed for as long as it runs, so that an
/// idle connection costs little more than its buffer.
pub async fn serve(worker: Rc<Worker>, stream: Stream, peer: IpAddr) {
    let _presence = Presence::enter(&worker);
    let mut connection = Connection { stream, peer, inbound: Vec::new(), last_token: LastToken::default() };
    while connection.has_bytes(&worker).await {
        match Box::pin(connection.serve_one(&worker)).await {
            After::KeepAlive => {}
            After::Close => {
                Box::pin(connection.linger(&worker)).await;
                break;
            }
            After::Abort => break,
            After::Reset => {
                connection.stream.sides().reader.reset();
                break;
            }
        }
    }
}

impl Connection {
    /// Waits for the first bytes of a request; false when the client left or was idle for too long.
    async fn has_bytes(&mut self, worker: &Worker) -> bool {
        if !self.inbound.is_empty() {
            return true;
        }
        let limits = &worker.settings.limits;
        let (reason, within_ms) = if worker.load.draining.get() {
            (Reason::Linger, limits.drain_linger_ms)
        } else {
            (Reason::Idle, limits.keep_alive_idle_ms)
        };
        self.make_room(limits.head_bytes_max);
        let filled = self.stream.read(std::mem::take(&mut self.inbound), reason, within_ms).await;
        self.inbound = filled.buffer;
        filled.end.is_none()
    }

    /// Reads the rest of one head and has the request handled.
    async fn serve_one(&mut self, worker: &Rc<Worker>) -> After {
        let mut head = worker.heads.borrow_mut().pop().unwrap_or_default();
        head.reset();
        let after = match self.read_head(worker, &mut head).await {
            Ok(head_bytes) => pipeline::handle(worker, self, &head, head_bytes).await,
            Err(Some(rejection)) => Box::pin(pipeline::refuse_head(worker, self, rejection)).await,
            Err(None) => After::Abort,
        };
        worker.heads.borrow_mut().push(head);
        after
    }

    /// The head's length once it is complete; `Err(None)` when the client left within it.
    async fn read_head(
        &mut self,
        worker: &Worker,
        head: &mut RequestHead,
    ) -> Result<usize, Option<Rejection>> {
        let limits = &worker.settings.limits;
        let head_limits = HeadLimits::of_requests(limits.head_bytes_max);
        let deadline = worker.wheel.now().0 + limits.head_timeout_ms;
        loop {
            match head.parse(&self.inbound, &head_limits) {
                Ok(Progress::Complete { head_bytes }) => return Ok(head_bytes),
                Ok(Progress::Partial) => {}
                Err(fault) => return Err(Some(fault.into())),
            }
            let within_ms = deadline.saturating_sub(worker.wheel.now().0);
            self.make_room(limits.head_bytes_max);
            let filled = self.stream.read(std::mem::take(&mut self.inbound), Reason::Head, within_ms).await;
            self.inbound = filled.buffer;
            match filled.end {
                None => {}
                Some(ReadEnd::Expired(Reason::Head)) => return Err(Some(Rejection::HeadTimeout)),
                Some(_) => return Err(None),
            }
        }
    }

    /// Makes sure that a read has room: little for an idle connection, up to the head's limit for a long head.
    fn make_room(&mut self, head_bytes_max: usize) {
        if self.inbound.is_empty() && self.inbound.capacity() > KEPT_BUFFER_BYTES {
            self.inbound = Vec::new();
        }
        if self.inbound.capacity() == 0 {
            self.inbound = Vec::with_capacity(IDLE_BUFFER_BYTES);
        } else if self.inbound.len() == self.inbound.capacity() {
            // One byte over the limit is enough for the parser to refuse the head.
            let wanted = (self.inbound.len() * 2).min(head_bytes_max + 1).max(self.inbound.len() + 1);
            self.inbound.reserve_exact(wanted - self.inbound.len());
        }
    }

    /// Removes a request's bytes from the front and puts what was read behind it in their place.
    pub fn consume(&mut self, bytes: usize, surplus: &[u8]) {
        let bytes = bytes.min(self.inbound.len());
        if bytes == self.inbound.len() {
            self.inbound.clear();
        } else {
            self.inbound.drain(..bytes);
        }
        self.inbound.extend_from_slice(surplus);
    }

    /// Says that nothing more comes and reads for a moment what is still under way: closing at once would
    /// reset the connection and could take the answer with it (RFC 9112 section 9.6).
    async fn linger(&mut self, worker: &Worker) {
        self.stream.shut_write();
        let until = worker.wheel.now().0 + LINGER_MS;
        let mut thrown_away = 0;
        while thrown_away < LINGER_BYTES_MAX {
            self.inbound.clear();
            if self.inbound.capacity() == 0 {
                self.inbound.reserve_exact(IDLE_BUFFER_BYTES);
            }
            let within_ms = until.saturating_sub(worker.wheel.now().0);
            let filled = self.stream.read(std::mem::take(&mut self.inbound), Reason::Linger, within_ms).await;
            self.inbound = filled.buffer;
            if filled.end.is_some() {
                return;
            }
            thrown_away += self.inbound.len();
        }
    }
}

/// Counts a connection for as long as it lives, however it ends.
struct Presence(Rc<Worker>);

impl Presence {
    fn enter(worker: &Rc<Worker>) -> Self {
        worker.load.connections.set(worker.load.connections.get() + 1);
        worker.block.connections_add();
        Presence(Rc::clone(worker))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.load.connections.set(self.0.load.connections.get() - 1);
        self.0.block.connections_sub();
    }
}

impl From<HeadFault> for Rejection {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::Bad(what) => Self::BadFraming(what),
            HeadFault::TooLarge => Self::HeadTooLarge,
            HeadFault::TargetTooLong => Self::TargetTooLong,
            HeadFault::TargetNotAscii => Self::InvalidPath,
            HeadFault::VersionNotSupported => {
                Self::BadFraming("The HTTP version is not supported; use HTTP/1.1.")
            }
        }
    }
}
