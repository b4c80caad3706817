//! THE only monoio calls, behind our own stream, listener and timer types.
//!
//! Rules that monoio 0.2.4 needs (each has a test): an operation in flight is never dropped, it is ended
//! by shutting its socket down; accepting is cancelled only through a canceller, and what it won is
//! served; a buffer always comes back with the result; no task wakes itself; a panic stays in its task
//! (`guard.rs`); the fall-back from io_uring to epoll is made here, because the runtime's own does not
//! notice a ring that cannot be allocated.

mod secured;

pub use secured::SecureFault;

use super::wheel::{Reason, Timer, Wheel};
use crate::config::IoDriver;
use crate::config::limits::ACCEPTS_IN_FLIGHT;
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, Canceller, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::{TcpListener, TcpStream, UnixStream};
use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, PidfdGetfdFlags};
use secured::Secured;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Submission entries of a ring; a smaller one overflows into extra system calls, a larger one only costs memory.
const RING_ENTRIES: u32 = 1024;
const RING_ENTRIES_SMALL: u32 = 256;

/// The wheel of this worker's sockets.
pub type SocketWheel = Wheel<RawFd>;

/// Which driver a worker runs on, for the log, the region and the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Uring,
    Epoll,
}

impl Driver {
    /// An inherited descriptor must not block the epoll driver's calls, and must block for io_uring, which would
    /// complete them with EAGAIN instead of waiting.
    fn wants_nonblocking(self) -> bool {
        self == Self::Epoll
    }

    /// Accept operations to keep in flight a listener. The epoll driver remembers one waiting task a socket and
    /// direction: a second would never be woken.
    #[must_use]
    pub fn accepts_in_flight(self) -> usize {
        match self {
            Self::Uring => ACCEPTS_IN_FLIGHT,
            Self::Epoll => 1,
        }
    }
}

/// Builds the runtime and runs `main` on it to the end. Tries io_uring with the cheapest flags, then without
/// flags (kernels before 6.0), then a small ring (memory-lock limits), then epoll.
///
/// # Errors
/// The last attempt's error, if even epoll cannot be had or `Uring` was demanded and is refused.
pub fn run<F: Future>(choice: IoDriver, main: impl FnOnce(Driver) -> F) -> io::Result<F::Output> {
    if choice != IoDriver::Epoll {
        let mut refused = io::Error::from(io::ErrorKind::Unsupported);
        for (entries, flags) in [(RING_ENTRIES, true), (RING_ENTRIES, false), (RING_ENTRIES_SMALL, false)] {
            let mut ring = io_uring::IoUring::builder();
            if flags {
                ring.setup_coop_taskrun().setup_single_issuer();
            }
            let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(entries).uring_builder(ring);
            match builder.enable_timer().build() {
                Ok(runtime) => return Ok(to_the_end(runtime, main(Driver::Uring))),
                Err(error) => refused = error,
            }
        }
        if choice == IoDriver::Uring {
            return Err(refused);
        }
    }
    let runtime = RuntimeBuilder::<TimeDriver<LegacyDriver>>::new().build()?;
    Ok(to_the_end(runtime, main(Driver::Epoll)))
}

/// Runs the main task, then leaves the runtime as it is: dropping it would free buffers that operations in
/// flight still write to. The process ends next.
fn to_the_end<D: monoio::Driver, F: Future>(mut runtime: monoio::Runtime<D>, main: F) -> F::Output {
    let output = runtime.block_on(main);
    std::mem::forget(runtime);
    output
}

/// Starts a task; its handle is dropped at once, because nothing may wait for a connection.
pub fn spawn<F: Future<Output = ()> + 'static>(task: F) {
    drop(monoio::spawn(task));
}

pub async fn sleep(duration: Duration) {
    monoio::time::sleep(duration).await;
}

/// A connected socket with its two places in the wheel, one a direction: a client may be late with its body
/// while it reads its answer too slowly.
pub struct Stream {
    /// What its bytes mean, if they are TLS. Dropped first: it says goodbye on the socket.
    secured: Option<Box<Secured>>,
    read: ReadHalf,
    write: WriteHalf,
    fd: RawFd,
    read_timer: Timer<RawFd>,
    write_timer: Timer<RawFd>,
}

/// The reading side, when both directions run at once.
enum ReadHalf {
    Tcp(OwnedReadHalf<TcpStream>),
    Unix(OwnedReadHalf<UnixStream>),
}

enum WriteHalf {
    Tcp(OwnedWriteHalf<TcpStream>),
    Unix(OwnedWriteHalf<UnixStream>),
}

/// The two sides of a stream, borrowed for as long as both are at work.
pub struct Sides<'s> {
    pub reader: Reader<'s>,
    pub writer: Writer<'s>,
}

pub struct Reader<'s> {
    secured: Option<&'s Secured>,
    half: &'s mut ReadHalf,
    fd: RawFd,
    timer: &'s Timer<RawFd>,
}

pub struct Writer<'s> {
    secured: Option<&'s Secured>,
    half: &'s mut WriteHalf,
    fd: RawFd,
    timer: &'s Timer<RawFd>,
}

impl Stream {
    fn tcp(stream: TcpStream, wheel: &Rc<SocketWheel>) -> Self {
        let fd = stream.as_raw_fd();
        let (read, write) = stream.into_split();
        Self::timed(ReadHalf::Tcp(read), WriteHalf::Tcp(write), fd, wheel)
    }

    fn unix(stream: UnixStream, wheel: &Rc<SocketWheel>) -> Self {
        let fd = stream.as_raw_fd();
        let (read, write) = stream.into_split();
        Self::timed(ReadHalf::Unix(read), WriteHalf::Unix(write), fd, wheel)
    }

    fn timed(read: ReadHalf, write: WriteHalf, fd: RawFd, wheel: &Rc<SocketWheel>) -> Self {
        Stream { secured: None, read, write, fd, read_timer: wheel.timer(fd), write_timer: wheel.timer(fd) }
    }

    /// Connects to a service. A connect may be abandoned: the runtime then closes its socket.
    ///
    /// # Errors
    /// `TimedOut` after `within`, else the kernel's error.
    pub async fn connect(address: SocketAddr, within: Duration, wheel: &Rc<SocketWheel>) -> io::Result<Self> {
        let connected = monoio::time::timeout(within, TcpStream::connect_addr(address)).await;
        let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(Self::tcp(stream, wheel))
    }

    /// Connects to a unix socket of the supervisor.
    ///
    /// # Errors
    /// As [`Stream::connect`].
    pub async fn connect_unix(path: &Path, within: Duration, wheel: &Rc<SocketWheel>) -> io::Result<Self> {
        let connected = monoio::time::timeout(within, UnixStream::connect(path)).await;
        Ok(Self::unix(connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??, wheel))
    }

    /// Adopts the control socket.
    ///
    /// # Errors
    /// If the driver cannot register it.
    pub fn from_unix(
        stream: std::os::unix::net::UnixStream,
        driver: Driver,
        wheel: &Rc<SocketWheel>,
    ) -> io::Result<Self> {
        stream.set_nonblocking(driver.wants_nonblocking())?;
        Ok(Self::unix(UnixStream::from_std(stream)?, wheel))
    }

    /// Both directions at once.
    pub fn sides(&mut self) -> Sides<'_> {
        let secured = self.secured.as_deref();
        Sides {
            reader: Reader { secured, half: &mut self.read, fd: self.fd, timer: &self.read_timer },
            writer: Writer { secured, half: &mut self.write, fd: self.fd, timer: &self.write_timer },
        }
    }

    /// Reads into the buffer's spare room, behind what it holds, for at most `within_ms`.
    pub async fn read(&mut self, buffer: Vec<u8>, reason: Reason, within_ms: u64) -> Filled {
        self.sides().reader.read(buffer, reason, within_ms).await
    }

    /// Writes the whole buffer, for at most `within_ms`.
    pub async fn write_all(&mut self, buffer: Vec<u8>, within_ms: u64) -> (io::Result<usize>, Vec<u8>) {
        self.sides().writer.write_all(buffer, within_ms).await
    }

    /// Why a read on this socket was ended, if the wheel ended it.
    #[must_use]
    pub fn expired(&self) -> Option<Reason> {
        self.read_timer.fired()
    }

    /// Ends every operation on this socket, in both directions.
    pub fn shut_down(&self) {
        shut_both(self.fd);
    }

    /// Tells the peer that nothing more comes; what it still sends can be read.
    pub fn shut_write(&self) {
        // A socket that is gone already needs no telling.
        let _ = shutdown(self.fd, Shutdown::Write);
    }

    /// For the vigil.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.fd
    }

    /// True while nothing has arrived on an idle connection that its next reader would take for its own: neither
    /// bytes nor an end (400 ns).
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        if let Some(secured) = &self.secured {
            return secured.is_quiet();
        }
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.fd, &mut [0], flags) == Err(nix::errno::Errno::EAGAIN)
    }
}

impl<'s> Reader<'s> {
    /// Reads into the buffer's spare room, behind what it holds, for at most `within_ms`.
    pub async fn read(&mut self, buffer: Vec<u8>, reason: Reason, within_ms: u64) -> Filled {
        let room = buffer.capacity();
        self.read_up_to(buffer, room, reason, within_ms).await
    }

    /// The same, leaving off after `most` bytes, so that nothing of a next request is taken.
    pub async fn read_up_to(
        &mut self,
        buffer: Vec<u8>,
        most: usize,
        reason: Reason,
        within_ms: u64,
    ) -> Filled {
        self.timer.arm(reason, within_ms);
        let filled = buffer.len();
        debug_assert!(filled < buffer.capacity() && most > 0, "a read needs room");
        if let Some(secured) = self.secured {
            // Boxed, so that connections without TLS need no room for it.
            let (buffer, end) = Box::pin(self.read_secured(secured, buffer, most)).await;
            self.timer.disarm();
            return Filled { buffer, end };
        }
        let end = buffer.capacity().min(filled.saturating_add(most));
        let room = buffer.slice_mut(filled..end);
        let (result, room) = match self.half {
            ReadHalf::Tcp(half) => half.read(room).await,
            ReadHalf::Unix(half) => half.read(room).await,
        };
        self.timer.disarm();
        let buffer = room.into_inner();
        let end = match result {
            Ok(1..) => None,
            Ok(0) => Some(self.timer.fired().map_or(ReadEnd::Closed, ReadEnd::Expired)),
            Err(_) => Some(self.timer.fired().map_or(ReadEnd::Reset, ReadEnd::Expired)),
        };
        Filled { buffer, end }
    }

    #[must_use]
    pub fn timer(&self) -> &'s Timer<RawFd> {
        self.timer
    }

    /// Ends every operation on this socket, in both directions.
    pub fn shut_down(&self) {
        shut_both(self.fd);
    }

    /// See [`reset`]; where it cannot be done an ordinary close follows.
    pub fn reset(&self) {
        let _ = reset(self.fd);
    }
}

/// A buffer that comes back from a read, and why nothing was added to it if nothing was.
pub struct Filled {
    pub buffer: Vec<u8>,
    pub end: Option<ReadEnd>,
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// The peer closed its side.
    Closed,
    /// The connection broke.
    Reset,
    /// The wheel ended it.
    Expired(Reason),
}

impl Writer<'_> {
    /// Whether the wheel ended the last write.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.timer.fired().is_some()
    }

    /// Writes the buffer from `start` to its end, for at most `within_ms`. A start behind the end is the end.
    pub async fn write_from(
        &mut self,
        buffer: Vec<u8>,
        start: usize,
        within_ms: u64,
    ) -> (io::Result<usize>, Vec<u8>) {
        let start = start.min(buffer.len());
        self.timer.arm(Reason::Write, within_ms);
        if let Some(secured) = self.secured {
            let result = Box::pin(self.write_secured(secured, &buffer, start)).await;
            self.timer.disarm();
            return (result, buffer);
        }
        let part = buffer.slice(start..);
        let (result, part) = match self.half {
            WriteHalf::Tcp(half) => half.write_all(part).await,
            WriteHalf::Unix(half) => half.write_all(part).await,
        };
        self.timer.disarm();
        (result, part.into_inner())
    }

    /// Writes the whole buffer, for at most `within_ms`.
    pub async fn write_all(&mut self, buffer: Vec<u8>, within_ms: u64) -> (io::Result<usize>, Vec<u8>) {
        self.write_from(buffer, 0, within_ms).await
    }

    pub fn shut_down(&self) {
        shut_both(self.fd);
    }
}

/// What the wheel does with an expired socket. A client that is silent is no longer listened to, but can still be
/// answered; on any other the pending operation is ended in both directions.
pub fn expire(fd: RawFd, reason: Reason) {
    match reason {
        Reason::Idle | Reason::Linger | Reason::Head | Reason::Body => {
            let _ = shutdown(fd, Shutdown::Read);
        }
        _ => shut_both(fd),
    }
}

/// Whether the peer has reset the connection; an orderly end does not count.
#[must_use]
pub fn is_reset(fd: RawFd) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(fd, &mut [0], flags).is_err_and(|error| error != nix::errno::Errno::EAGAIN)
}

/// Ends every operation on a socket, in both directions.
pub fn shut_both(fd: RawFd) {
    // ENOTCONN says that the peer was faster.
    let _ = shutdown(fd, Shutdown::Both);
}

/// A listening socket that other processes hold too.
pub struct Listener {
    socket: TcpListener,
    /// The same socket, for asking whether its queue is empty.
    queue: std::net::TcpListener,
}

/// A connection that was won but has no place in the wheel yet.
pub struct Accepted(TcpStream);

/// Ends all accept operations of a worker at once.
pub struct AcceptGate {
    canceller: std::cell::RefCell<Canceller>,
    closed: std::cell::Cell<bool>,
}

impl Default for AcceptGate {
    fn default() -> Self {
        AcceptGate { canceller: Canceller::new().into(), closed: false.into() }
    }
}

impl AcceptGate {
    /// Cancels what waits. A connection that an accept had already won is still returned by it.
    pub fn close(&self) {
        self.closed.set(true);
        self.canceller.replace_with(|canceller| std::mem::take(canceller).cancel());
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

impl Listener {
    /// Adopts an inherited listener; accepted sockets inherit TCP_NODELAY from it.
    ///
    /// # Errors
    /// If the option or the registration is refused.
    pub fn from_std(listener: std::net::TcpListener, driver: Driver) -> io::Result<Self> {
        listener.set_nonblocking(driver.wants_nonblocking())?;
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        let queue = listener.try_clone()?;
        Ok(Listener { socket: TcpListener::from_std(listener)?, queue })
    }

    /// The next connection.
    ///
    /// # Errors
    /// ECANCELED after the gate closed; EMFILE and the like at once and each time, so the caller must pause.
    pub async fn accept(&self, gate: &AcceptGate) -> io::Result<(Accepted, SocketAddr)> {
        let handle = gate.canceller.borrow().handle();
        // The future is awaited to its end, cancelled or not: dropping it would lose a connection it has won.
        let (stream, peer) = self.socket.cancelable_accept(handle).await?;
        Ok((Accepted(stream), peer))
    }

    /// True if a connection waits in the queue.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        let mut polled = [PollFd::new(&self.queue, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&Timespec::default())), Ok(ready) if ready > 0)
    }
}

impl Accepted {
    /// Gives the connection its places in the wheel.
    #[must_use]
    pub fn adopt(self, wheel: &Rc<SocketWheel>) -> Stream {
        Stream::tcp(self.0, wheel)
    }
}

/// Resets a connection, so that an answer that ends with its connection cannot look complete when it was cut
/// (RFC 9112 section 8). Dissolving the association does it (connect(2), AF_UNSPEC); SO_LINGER would not,
/// because the runtime says goodbye with a FIN before it closes.
fn reset(fd: RawFd) -> io::Result<()> {
    // The runtime owns the descriptor and lends no borrow of it; a duplicate is the same socket.
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    let duplicate = rustix::process::pidfd_getfd(own, fd, PidfdGetfdFlags::empty())?;
    Ok(rustix::net::connect_unspec(duplicate)?)
}

#[cfg(test)]
mod tests;
