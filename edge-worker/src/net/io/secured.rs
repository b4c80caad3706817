//! A stream whose bytes are TLS: the same reads and writes, with a session between them and the socket.
//!
//! Both directions work on one session, each for a moment and never across an await. Only a writer writes through
//! the runtime; what a reader has to send (an alert, no to a renegotiation) goes out at once if nothing is being
//! written, as far as the socket takes it, and with the next write otherwise.

use super::{ReadEnd, ReadHalf, Reader, SocketWheel, Stream, WriteHalf, Writer, sleep};
use crate::net::tls::{Handshake, Leniency, Session, Shelf, Taken, TlsFault, Trust};
use crate::net::wheel::Reason;
use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

/// How long a service that asked for a certificate may take to say that it does not do without.
const JUDGEMENT_MS: u64 = 250;
const JUDGEMENT_STEP: Duration = Duration::from_millis(5);
/// What may have arrived on an idle connection: tickets are a few hundred bytes.
const QUIET_BYTES: usize = 4_096;
const QUIET_READS_MAX: usize = 4;

/// The session of a connection, and what goes with it.
pub(super) struct Secured {
    session: RefCell<Session>,
    shelf: Rc<Shelf>,
    leniency: Rc<Leniency>,
    fd: RawFd,
    /// The runtime is writing: nobody else may.
    writing: Cell<bool>,
    /// Ciphertext that the socket did not take at once.
    unsent: RefCell<Vec<u8>>,
}

/// What has arrived.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Some,
    /// Nothing more comes, or too much has.
    Ended,
}

/// Why there is no connection to a service over TLS.
#[derive(Debug)]
pub enum SecureFault {
    /// None at all, or not in time.
    Connect(io::Error),
    /// One was had, and the handshake failed.
    Handshake(TlsFault),
}

impl Stream {
    /// Connects to a service and shakes hands with it, both together in at most `within`.
    ///
    /// # Errors
    /// The kernel's, or what was wrong with the service, which may be that it is late.
    pub async fn connect_secured(
        address: SocketAddr,
        within: Duration,
        wheel: &Rc<SocketWheel>,
        trust: &Trust,
    ) -> Result<(Self, Handshake), SecureFault> {
        let session = trust.session().map_err(SecureFault::Handshake)?;
        let until_ms = wheel.now().0 + within.as_millis() as u64;
        let mut stream = Self::connect(address, within, wheel).await.map_err(SecureFault::Connect)?;
        stream.secured = Some(Box::new(Secured {
            session: RefCell::new(session),
            shelf: Rc::clone(&trust.shelf),
            leniency: Rc::clone(&trust.leniency),
            fd: stream.fd,
            writing: Cell::new(false),
            unsent: RefCell::default(),
        }));
        let left_ms = || until_ms.saturating_sub(wheel.now().0);
        let end = stream.shake_hands(left_ms).await?;
        Ok((stream, end))
    }

    async fn shake_hands(&mut self, left_ms: impl Fn() -> u64) -> Result<Handshake, SecureFault> {
        loop {
            let (written, _) = self.write_all(Vec::new(), left_ms()).await;
            let Some(secured) = &self.secured else { break };
            if let Some(fault) = secured.session.borrow().fault() {
                return Err(SecureFault::Handshake(fault));
            }
            if self.write_timer.fired().is_some() {
                break;
            }
            let established = secured.session.borrow().established();
            match established {
                Some(_) if written.is_err() => return Err(SecureFault::Handshake(TlsFault::closed())),
                Some(end) => return secured.judged(end, left_ms).await.map_err(SecureFault::Handshake),
                // A service that takes no more may have said why.
                None => {}
            }
            self.read_timer.arm(Reason::Answer, left_ms());
            let arrived = secured.fill(&mut self.read).await;
            self.read_timer.disarm();
            if self.read_timer.fired().is_some() {
                break;
            }
            if !arrived {
                return Err(SecureFault::Handshake(TlsFault::closed()));
            }
        }
        Err(SecureFault::Handshake(TlsFault::late()))
    }
}

impl Secured {
    /// Reads ciphertext once; whether some came.
    async fn fill(&self, half: &mut ReadHalf) -> bool {
        let room = self.shelf.lend();
        let end = room.capacity();
        let (result, room) = match half {
            ReadHalf::Tcp(half) => half.read(room.slice_mut(0..end)).await,
            ReadHalf::Unix(half) => half.read(room.slice_mut(0..end)).await,
        };
        let room = room.into_inner();
        let arrived = matches!(result, Ok(1..));
        let spare = if arrived { self.session.borrow_mut().receive(room) } else { Some(room) };
        self.after_work(spare);
        arrived
    }

    /// What follows when ciphertext was worked on.
    fn after_work(&self, spare: Option<Vec<u8>>) {
        if let Some(spare) = spare {
            self.shelf.give_back(spare);
        }
        if self.session.borrow().has_to_send() {
            self.send_now();
        }
    }

    /// Sends what the protocol has to say, as far as the socket takes it now.
    fn send_now(&self) {
        if self.writing.get() {
            return;
        }
        let mut unsent = self.unsent.borrow_mut();
        self.session.borrow_mut().drain(&mut unsent);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // A socket that is full takes it later; on one that is gone the next operation fails.
        if let Ok(count) = send(self.fd, &unsent, flags) {
            unsent.drain(..count);
        }
    }

    /// What is to be written next: what was left, and the plaintext from `at` on, which moves on.
    fn outgoing(&self, plaintext: &[u8], at: &mut usize) -> Vec<u8> {
        let mut out = self.shelf.lend();
        out.append(&mut self.unsent.borrow_mut());
        let rest = plaintext.get(*at..).unwrap_or_default();
        *at += self.session.borrow_mut().encrypt(rest, &mut out);
        out
    }

    /// A service that asked for a certificate is heard before it is sent a request. One that has done without is not
    /// waited for: it sends tickets or nothing.
    async fn judged(&self, end: Handshake, left_ms: impl Fn() -> u64) -> Result<Handshake, TlsFault> {
        if !self.session.borrow().awaits_judgement() {
            return Ok(end);
        }
        for _ in 0..JUDGEMENT_MS / JUDGEMENT_STEP.as_millis() as u64 {
            let heard = self.hear();
            let fault = self.session.borrow().fault().or_else(|| {
                (heard == Heard::Ended).then(|| TlsFault::closed().after_request_for_certificate())
            });
            if let Some(fault) = fault {
                self.leniency.note(false);
                return Err(fault);
            }
            match heard {
                Heard::Some | Heard::Ended => break,
                Heard::Nothing if self.leniency.is_known() => break,
                Heard::Nothing if left_ms() == 0 => break,
                Heard::Nothing => sleep(JUDGEMENT_STEP).await,
            }
        }
        Ok(end)
    }

    /// Works on what has arrived while nobody reads.
    fn hear(&self) -> Heard {
        if self.session.borrow().is_full() {
            return Heard::Ended;
        }
        let mut bytes = [0; QUIET_BYTES];
        let mut heard = Heard::Nothing;
        for _ in 0..QUIET_READS_MAX {
            match recv(self.fd, &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => return heard,
                Ok(count @ 1..) => {
                    let ciphertext = bytes.get(..count).unwrap_or_default().to_vec();
                    let is_done = self.session.borrow_mut().receive(ciphertext).is_some();
                    self.after_work(None);
                    if !is_done {
                        break;
                    }
                    heard = Heard::Some;
                }
                Ok(0) | Err(_) => break,
            }
        }
        Heard::Ended
    }

    /// Whether an idle connection may carry another exchange. Tickets and updates of keys may come at any time, and
    /// are worked on here; everything else is the end of it.
    pub(super) fn is_quiet(&self) -> bool {
        // Something may be left of what came with the last answer.
        self.is_settled()
            && self.hear() != Heard::Ended
            && self.is_settled()
            && self.unsent.borrow().is_empty()
    }

    fn is_settled(&self) -> bool {
        let is_settled = self.session.borrow_mut().is_settled();
        let spare = self.session.borrow_mut().released();
        self.after_work(spare);
        is_settled
    }

    /// The first plaintext says that the service does without a certificate, a break in its place that it may not.
    fn learn(&self, taken: Taken) {
        let word = matches!(taken, Taken::Some | Taken::Broken);
        if word && self.session.borrow().awaits_judgement() {
            self.leniency.note(taken == Taken::Some);
        }
    }
}

impl Reader<'_> {
    /// As [`Reader::read_up_to`]: until there is plaintext, the end, or no more time.
    pub(super) async fn read_secured(
        &mut self,
        secured: &Secured,
        mut buffer: Vec<u8>,
        most: usize,
    ) -> (Vec<u8>, Option<ReadEnd>) {
        loop {
            let taken = secured.session.borrow_mut().take(&mut buffer, most);
            secured.learn(taken);
            let spare = secured.session.borrow_mut().released();
            secured.after_work(spare);
            match taken {
                Taken::Some => return (buffer, None),
                Taken::Closed => return (buffer, Some(ReadEnd::Closed)),
                Taken::Broken => return (buffer, Some(ReadEnd::Reset)),
                Taken::Nothing => {}
            }
            // The end of the socket without the peer's word is a cut, however orderly: anybody on the way can make one.
            if !secured.fill(self.half).await {
                secured.learn(Taken::Broken);
                return (buffer, Some(self.timer.fired().map_or(ReadEnd::Reset, ReadEnd::Expired)));
            }
        }
    }
}

impl Writer<'_> {
    /// As [`Writer::write_from`].
    pub(super) async fn write_secured(
        &mut self,
        secured: &Secured,
        plaintext: &[u8],
        start: usize,
    ) -> io::Result<usize> {
        let mut at = start;
        loop {
            let out = secured.outgoing(plaintext, &mut at);
            if out.is_empty() {
                secured.shelf.give_back(out);
                let whole = at == plaintext.len();
                return if whole { Ok(at - start) } else { Err(io::ErrorKind::BrokenPipe.into()) };
            }
            secured.writing.set(true);
            let (result, out) = match self.half {
                WriteHalf::Tcp(half) => half.write_all(out).await,
                WriteHalf::Unix(half) => half.write_all(out).await,
            };
            secured.writing.set(false);
            secured.shelf.give_back(out);
            result?;
        }
    }
}

impl Drop for Secured {
    /// Says goodbye, so that the service does not take the end for a cut. The socket is still open here.
    fn drop(&mut self) {
        if self.unsent.borrow().is_empty() {
            self.session.borrow_mut().close();
            self.send_now();
        }
    }
}

#[cfg(test)]
mod tests;
