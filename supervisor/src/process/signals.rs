//! The signals the supervisor listens to.

use std::io;
use tokio::signal::unix::{self, SignalKind};

/// What an operator or systemd asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT, by name.
    Terminate(&'static str),
    /// SIGHUP.
    Reload,
    /// SIGUSR2.
    Upgrade,
}

/// Installed before anything else is, so that no early signal ends the process without a drain.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
    upgrade: unix::Signal,
}

impl Signals {
    /// Must be called within a tokio runtime.
    pub fn install() -> io::Result<Self> {
        Ok(Signals {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
            upgrade: unix::signal(SignalKind::user_defined2())?,
        })
    }

    /// The next request. Safe to drop before it is ready.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Terminate("SIGTERM"),
            _ = self.interrupt.recv() => Request::Terminate("SIGINT"),
            _ = self.hangup.recv() => Request::Reload,
            _ = self.upgrade.recv() => Request::Upgrade,
        }
    }
}
