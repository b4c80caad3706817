//! What systemd is told: ready, stopping, a status line, and that we are alive (`sd_notify(3)`).
//!
//! One datagram a message to the socket in `NOTIFY_SOCKET`; without it nothing is sent. A message that cannot
//! be sent is lost: systemd must never be able to hold up the supervisor.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to systemd, or nothing.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// Half of what systemd allows between two signs of life.
    watchdog: Option<Duration>,
}

/// What systemd puts into the environment of a service.
#[derive(Clone, Debug, Default)]
pub struct NotifyEnvironment {
    pub notify_socket: Option<OsString>,
    pub watchdog_usec: Option<OsString>,
    pub watchdog_pid: Option<OsString>,
}

impl NotifyEnvironment {
    #[must_use]
    pub fn read() -> Self {
        NotifyEnvironment {
            notify_socket: std::env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: std::env::var_os("WATCHDOG_USEC"),
            watchdog_pid: std::env::var_os("WATCHDOG_PID"),
        }
    }
}

impl Notifier {
    #[must_use]
    pub fn new(environment: &NotifyEnvironment) -> Self {
        let socket = environment.notify_socket.as_ref().and_then(connect);
        let number = |text: &Option<OsString>| text.as_ref()?.to_str()?.parse::<u64>().ok();
        let ours = environment.watchdog_pid.is_none()
            || number(&environment.watchdog_pid) == Some(u64::from(std::process::id()));
        let watchdog = number(&environment.watchdog_usec)
            .filter(|microseconds| ours && *microseconds > 0)
            .map(|microseconds| Duration::from_micros(microseconds / 2));
        Notifier { socket, watchdog }
    }

    /// How often [`Notifier::alive`] is due.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={status}"));
    }

    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}"));
    }

    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            let _lost_if_systemd_does_not_read = socket.send(message.as_bytes());
        }
    }
}

/// A path, or `@name` for an abstract socket.
fn connect(name: &OsString) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    match name.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?,
        [b'/', ..] => socket.connect(name).ok()?,
        _ => return None,
    }
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests;
