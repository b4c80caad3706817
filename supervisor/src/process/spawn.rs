//! Starts one worker: fork and exec of our own executable, with the descriptors of
//! `edge_worker::inheritance`.

use super::listeners::Listeners;
use super::sys;
use edge_worker::inheritance::{CONTROL_DESCRIPTOR, LISTENERS_MAX};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The executable this process runs, even after the file was replaced on disk.
pub const OWN_EXECUTABLE: &str = "/proc/self/exe";
/// Where coverage builds write their figures: the one variable a worker receives, if it is set.
const PROFILE_VARIABLE: &str = "LLVM_PROFILE_FILE";

/// Everything a start needs.
#[derive(Debug)]
pub struct Spawner {
    pub executable: PathBuf,
    pub settings: OwnedFd,
    pub authority: OwnedFd,
    pub shared: OwnedFd,
    pub listeners: Listeners,
    /// Processors to pin workers to, in turn; empty pins nobody.
    pub cores: Vec<usize>,
    pub fence: Fence,
}

/// A fresh worker, as the supervisor holds it.
#[derive(Debug)]
pub struct Spawned {
    pub pid: Pid,
    /// Readable when the process has ended.
    pub pidfd: OwnedFd,
    /// Our ends of its channels.
    pub control: UnixStream,
    pub asks: UnixStream,
}

impl Spawner {
    /// Starts the worker of `slot`. When this returns, the new executable runs.
    pub fn spawn(&self, slot: usize, generation: u32, listener: usize) -> io::Result<Spawned> {
        let socket = self.listeners.socket(listener).ok_or(io::ErrorKind::InvalidInput)?;
        let (control, theirs) = UnixStream::pair()?;
        let (asks, their_asks) = UnixStream::pair()?;
        let descriptors = vec![
            theirs.into(),
            self.settings.try_clone()?,
            self.authority.try_clone()?,
            self.shared.try_clone()?,
            their_asks.into(),
            socket.as_fd().try_clone_to_owned()?,
        ];
        let mut command = Command::new(&self.executable);
        command.arg0(format!("floodgate: worker {slot}"));
        command.arg("worker");
        command.args(["--slot", &slot.to_string()]);
        command.args(["--generation", &generation.to_string()]);
        command.args(["--listeners", "1"]);
        command.env_clear();
        command.envs(std::env::var_os(PROFILE_VARIABLE).map(|value| (PROFILE_VARIABLE, value)));
        command.current_dir("/");
        command.stdin(Stdio::null());
        // A process group of its own: Ctrl-C in a terminal reaches the supervisor alone, and that drains.
        command.process_group(0);
        sys::arrange(&mut command, descriptors, self.core(slot))?;
        adopt_child(command, control, asks)
    }

    fn core(&self, slot: usize) -> Option<usize> {
        self.cores.get(slot.checked_rem(self.cores.len())?).copied()
    }
}

/// The child is reaped through its pidfd, by `reactor`.
fn adopt_child(mut command: Command, control: UnixStream, asks: UnixStream) -> io::Result<Spawned> {
    let mut child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(pidfd) => Ok(Spawned { pid, pidfd, control, asks }),
        Err(fault) => {
            // Without a pidfd its death could not be noticed.
            child.kill()?;
            child.wait()?;
            Err(fault.into())
        }
    }
}

/// Keeps every number that a worker's descriptors will have occupied in the supervisor.
///
/// The standard library reports a failed exec through a pipe that it opens right before the fork. If that
/// pipe got one of the fixed numbers, the child would put a worker's descriptor over it. With the numbers
/// taken, it cannot.
#[derive(Debug)]
pub struct Fence {
    _occupied: Vec<OwnedFd>,
}

impl Fence {
    pub fn raise() -> io::Result<Self> {
        let null = std::fs::File::open("/dev/null")?;
        let last = CONTROL_DESCRIPTOR + 5 + i32::try_from(LISTENERS_MAX).map_err(io::Error::other)?;
        let mut occupied = Vec::new();
        loop {
            let filler = rustix::io::fcntl_dupfd_cloexec(&null, CONTROL_DESCRIPTOR)?;
            if std::os::fd::AsRawFd::as_raw_fd(&filler) >= last {
                return Ok(Fence { _occupied: occupied });
            }
            occupied.push(filler);
        }
    }
}
