//! One running worker as the supervisor sees it: frames from its channel, its death from its pidfd.

use super::plan::Exit;
use super::spawn::Spawned;
use super::sys;
use crate::control::{self, Answerer};
use edge_worker::control::frames::{FRAME_BYTES_MAX, FrameFault, ToSupervisor, ToWorker};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// A worker that closed its channel is on its way out; it is killed if it is still there after this.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a link tells the reactor, in this order: frames, then the end.
#[derive(Debug)]
pub enum Notice {
    Frame {
        slot: usize,
        frame: ToSupervisor,
    },
    /// The process is reaped.
    Ended {
        slot: usize,
        exit: Exit,
    },
}

/// The reactor's hold on a worker.
#[derive(Debug)]
pub struct WorkerLink {
    pub pid: Pid,
    pidfd: Arc<OwnedFd>,
    control: OwnedWriteHalf,
}

impl WorkerLink {
    /// Takes a fresh worker over; `notices` hears from it until it has ended. Needs a tokio runtime.
    pub fn open(
        slot: usize,
        spawned: Spawned,
        notices: mpsc::UnboundedSender<Notice>,
        answerer: Arc<Answerer>,
    ) -> io::Result<Self> {
        let Spawned { pid, pidfd, control, asks } = spawned;
        let pidfd = Arc::new(pidfd);
        let opened = control.set_nonblocking(true).and_then(|()| {
            asks.set_nonblocking(true)?;
            let end = sys::watch(Arc::clone(&pidfd))?;
            Ok((UnixStream::from_std(control)?.into_split(), UnixStream::from_std(asks)?, end))
        });
        match opened {
            Ok(((incoming, outgoing), asks, end)) => {
                tokio::spawn(serve(slot, asks, answerer, Arc::clone(&pidfd)));
                tokio::spawn(Watch { slot, end, incoming, bytes: Vec::new(), notices }.run());
                Ok(WorkerLink { pid, pidfd, control: outgoing })
            }
            Err(fault) => {
                // A worker that nobody hears must not run.
                kill(&pidfd);
                reap(&pidfd);
                Err(fault)
            }
        }
    }

    /// Sends a frame. Frames are few and small, so a channel that cannot take one whole is broken.
    pub fn send(&self, frame: ToWorker) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(FRAME_BYTES_MAX);
        frame.encode(&mut bytes);
        let sent = self.control.try_write(&bytes)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// SIGKILL. The process is named by its pidfd, so that a reused pid cannot be hit.
    pub fn kill(&self) {
        kill(&self.pidfd);
    }
}

fn kill(pidfd: &OwnedFd) {
    let _already_gone = pidfd_send_signal(pidfd, Signal::KILL);
}

/// Answers what the worker asks until that ends. A worker that cannot be told of keys any more must not go on with old
/// ones.
async fn serve(slot: usize, asks: UnixStream, answerer: Arc<Answerer>, pidfd: Arc<OwnedFd>) {
    control::serve(slot, asks, answerer).await;
    tokio::time::sleep(FAREWELL).await;
    kill(&pidfd);
}

struct Watch {
    slot: usize,
    end: AsyncFd<Arc<OwnedFd>>,
    incoming: OwnedReadHalf,
    bytes: Vec<u8>,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Watch {
    async fn run(mut self) {
        if let Err(fault) = self.listen().await {
            tracing::error!(slot = self.slot, fault = %fault, "a worker's channel is broken; it is killed");
            kill(self.end.get_ref());
        }
        if tokio::time::timeout(FAREWELL, ended(&self.end)).await.is_err() {
            tracing::error!(slot = self.slot, "a worker closed its channel and stayed; it is killed");
            kill(self.end.get_ref());
            ended(&self.end).await;
        }
        let exit = reap(self.end.get_ref());
        let _reactor_gone = self.notices.send(Notice::Ended { slot: self.slot, exit });
    }

    /// Passes frames on until the channel or the process ends. What a dead worker wrote last is still read.
    async fn listen(&mut self) -> Result<(), ChannelFault> {
        loop {
            let over = tokio::select! {
                biased;
                readable = self.incoming.readable() => { readable?; false }
                () = ended(&self.end) => true,
            };
            if !self.read()? || over {
                return Ok(());
            }
        }
    }

    /// Reads what is there; `false` at the end of the channel.
    fn read(&mut self) -> Result<bool, ChannelFault> {
        loop {
            let mut buffer = [0; FRAME_BYTES_MAX];
            match self.incoming.try_read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => self.bytes.extend(buffer.iter().take(count)),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(fault) if fault.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(fault) => return Err(fault.into()),
            }
            while let Some(frame) = ToSupervisor::decode(&mut self.bytes)? {
                let _reactor_gone = self.notices.send(Notice::Frame { slot: self.slot, frame });
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ChannelFault {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameFault),
}

async fn ended(end: &AsyncFd<Arc<OwnedFd>>) {
    if let Err(fault) = end.readable().await {
        tracing::error!(fault = %fault, "a pidfd cannot be watched");
    }
}

/// Takes the dead process from the kernel.
fn reap(pidfd: &OwnedFd) -> Exit {
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    match status {
        Ok(Some(status)) => exit_of(&status),
        // Somebody else reaped it, or the kernel refuses: how it ended is unknown, so it did not end well.
        Ok(None) | Err(_) => Exit::Signal(0),
    }
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}
