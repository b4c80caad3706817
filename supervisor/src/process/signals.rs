//! The signals the supervisor listens to.

use std::io;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

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

    /// Passes every request on until nobody listens any more.
    pub async fn forward(mut self, requests: mpsc::UnboundedSender<Request>) {
        loop {
            let request = tokio::select! {
                _ = self.terminate.recv() => Request::Terminate("SIGTERM"),
                _ = self.interrupt.recv() => Request::Terminate("SIGINT"),
                _ = self.hangup.recv() => Request::Reload,
                _ = self.upgrade.recv() => Request::Upgrade,
            };
            if requests.send(request).is_err() {
                return;
            }
        }
    }
}
