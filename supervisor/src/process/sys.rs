//! The only unsafe code of the supervisor: descriptors put into place between fork and exec, and adopted
//! after it; and one question about the peer of a socket.
#![allow(unsafe_code)]

use edge_worker::inheritance::{
    ASKS_DESCRIPTOR, AUTHORITY_DESCRIPTOR, CONTROL_DESCRIPTOR, Inheritance, LISTENER_DESCRIPTOR,
    LISTENERS_MAX, SETTINGS_DESCRIPTOR, SHARED_DESCRIPTOR,
};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Descriptors are first copied above every fixed number, so that none is overwritten before it was copied.
const STAGE: RawFd = 100;
/// Control, settings, authority, shared, asks, and the listeners.
const DESCRIPTORS_MAX: usize = 5 + LISTENERS_MAX;

const _: () = assert!(CONTROL_DESCRIPTOR as usize + DESCRIPTORS_MAX <= STAGE as usize);
const _: () = assert!(LISTENER_DESCRIPTOR == CONTROL_DESCRIPTOR + 5);

/// Arranges that `command`'s process starts with `descriptors` at 3, 4, 5 and so on, nothing else above
/// standard error, on `core`, without a way to new privileges and without core files.
///
/// The caller keeps the numbers below the last fixed one occupied (see `spawn::Fence`): the pipe by which the
/// standard library reports a failed exec must not lie on one of them.
pub fn arrange(command: &mut Command, descriptors: Vec<OwnedFd>, core: Option<usize>) -> io::Result<()> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let cores = core.map(|core| {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(core);
        cores
    });
    let between_fork_and_exec = move || {
        place(&descriptors)?;
        if let Some(cores) = &cores {
            rustix::thread::sched_setaffinity(None, cores)?;
        }
        rustix::thread::set_no_new_privs(true)?;
        let no_core = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        rustix::process::setrlimit(rustix::process::Resource::Core, no_core)?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed, because another thread may have
    // held a lock at the fork. The closure makes system calls only: it neither allocates nor frees
    // (`descriptors` and `cores` were made before, errors are plain numbers, and the closure is dropped by
    // the parent alone), takes no lock and does not panic (`place` is bounded by the check above).
    unsafe { command.pre_exec(between_fork_and_exec) };
    Ok(())
}

fn place(descriptors: &[OwnedFd]) -> io::Result<()> {
    let mut staged = [-1; DESCRIPTORS_MAX];
    for (descriptor, number) in descriptors.iter().zip(&mut staged) {
        *number = rustix::io::fcntl_dupfd_cloexec(descriptor, STAGE)?.into_raw_fd();
    }
    let mut target = CONTROL_DESCRIPTOR;
    for number in staged.iter().take(descriptors.len()) {
        // SAFETY: dup2 takes two numbers. `number` was opened above and is closed by the exec; `target` may
        // close a descriptor that some value of the parent owns, but this is the child, where no such value
        // is used again.
        if unsafe { libc::dup2(*number, target) } < 0 {
            return Err(io::Error::last_os_error());
        }
        target += 1;
    }
    // Marked and not closed: the pipe that reports a failed exec is among them and is needed until then.
    let (first, last, flags) = (target.unsigned_abs(), libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: close_range with CLOEXEC changes flags of descriptors and touches no memory.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets tokio say when `descriptor` becomes readable: a pidfd does when its process has ended. Within a
/// runtime.
pub fn watch(descriptor: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the descriptor must stay open and the same as long as the `AsyncFd` lives. It holds a share of
    // the `OwnedFd`, which closes only with its last share and always gives the same number.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    watched.map_err(|fault| fault.into_parts().1)
}

/// More groups than this make a peer unknown; the kernel's own limit is 65,536, and people are in a few.
const GROUPS_MAX: usize = 1_024;

/// The supplementary groups of the process at the other end of a unix socket, as they were when it connected.
///
/// # Errors
/// Not a connected unix socket, or more than `GROUPS_MAX` groups.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; GROUPS_MAX];
    let bytes = GROUPS_MAX * size_of::<libc::gid_t>();
    let mut length = libc::socklen_t::try_from(bytes).map_err(io::Error::other)?;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERGROUPS);
    // SAFETY: getsockopt writes at most `length` bytes to `groups`, which is so long and lives through the call, and
    // the number written to `length`, an exclusive borrow. `gid_t` is `u32`, so every bit pattern is valid.
    let outcome =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, groups.as_mut_ptr().cast(), &mut length) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    groups.truncate(usize::try_from(length).unwrap_or(0) / size_of::<libc::gid_t>());
    Ok(groups)
}

/// Why a process is not a worker.
#[derive(Debug, thiserror::Error)]
pub enum AdoptFault {
    #[error(
        "descriptor {number} is not what a worker inherits ({reason}); only the supervisor starts workers"
    )]
    Descriptor { number: RawFd, reason: &'static str },
    #[error("a worker serves 1 to {LISTENERS_MAX} listeners, not {0}")]
    Listeners(usize),
}

/// Takes possession of the inherited descriptors. Called once, first thing in a worker's process.
pub fn adopt(slot: usize, generation: u32, listeners: usize) -> Result<Inheritance, AdoptFault> {
    if !(1..=LISTENERS_MAX).contains(&listeners) {
        return Err(AdoptFault::Listeners(listeners));
    }
    let control = adopt_one(CONTROL_DESCRIPTOR, Kind::Channel)?;
    let settings = adopt_one(SETTINGS_DESCRIPTOR, Kind::File)?;
    let authority = adopt_one(AUTHORITY_DESCRIPTOR, Kind::File)?;
    let shared = adopt_one(SHARED_DESCRIPTOR, Kind::File)?;
    let asks = adopt_one(ASKS_DESCRIPTOR, Kind::Channel)?;
    let listeners = (LISTENER_DESCRIPTOR..)
        .take(listeners)
        .map(|number| adopt_one(number, Kind::Listener).map(TcpListener::from))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Inheritance {
        slot,
        generation,
        control: UnixStream::from(control),
        settings,
        authority,
        shared,
        asks: UnixStream::from(asks),
        listeners,
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Channel,
    File,
    Listener,
}

fn adopt_one(number: RawFd, kind: Kind) -> Result<OwnedFd, AdoptFault> {
    let refuse = |reason| AdoptFault::Descriptor { number, reason };
    // SAFETY: the borrow ends with this function's checks, and nothing closes the number meanwhile: the
    // process has one thread here. A number that is not open makes the first call fail with EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_getfd(borrowed).map_err(|_| refuse("not open"))?;
    check(borrowed, kind).map_err(refuse)?;
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).map_err(|_| refuse("not settable"))?;
    // SAFETY: the number is open (checked above), and nobody else in this process owns it: the supervisor put
    // it there for this purpose, `adopt` is called once and before anything else opens or wraps descriptors.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn check(descriptor: BorrowedFd<'_>, kind: Kind) -> Result<(), &'static str> {
    use rustix::net::{AddressFamily, sockopt};
    let descriptor = descriptor.as_fd();
    let file_type = rustix::fs::fstat(descriptor)
        .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode))
        .map_err(|_| "not readable")?;
    let is_socket = file_type == rustix::fs::FileType::Socket;
    let fits = match kind {
        Kind::File => file_type == rustix::fs::FileType::RegularFile,
        Kind::Channel => is_socket && sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX),
        Kind::Listener => is_socket && sockopt::socket_acceptconn(descriptor) == Ok(true),
    };
    if fits { Ok(()) } else { Err("another kind of descriptor") }
}

#[cfg(test)]
mod tests;
