//! The listeners: one `SO_REUSEPORT` socket a slot, bound before any worker starts, open as long as the
//! supervisor.
//!
//! A worker that dies leaves its accept queue standing; its successor takes it over.

use edge_worker::config::problem::Problem;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections the kernel completes ahead of `accept`, a listener. `net.core.somaxconn` may cut it.
pub const BACKLOG: i32 = 4096;

/// All listeners of one address.
#[derive(Debug)]
pub struct Listeners {
    address: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Listeners {
    /// Binds `count` listeners. Port 0 lets the kernel choose one port for all of them.
    ///
    /// `SO_REUSEPORT` would let us join the group of any other process of the same user without a word, and
    /// take a part of its connections. So the address must be free of everybody else first.
    pub fn bind(address: SocketAddr, count: usize) -> Result<Self, Problem> {
        if address.port() != 0 {
            socket(address)
                .and_then(|probe| probe.bind(&address.into()))
                .map_err(|fault| problem(address, &fault))?;
        }
        let mut listeners = Listeners { address, sockets: Vec::with_capacity(count) };
        for _ in 0..count {
            let socket = listen(listeners.address).map_err(|fault| problem(listeners.address, &fault))?;
            listeners.address = socket.local_addr().map_err(|fault| problem(address, &fault))?;
            listeners.sockets.push(socket);
        }
        Ok(listeners)
    }

    /// The bound address, with the port that the kernel chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Closes the supervisor's copies: once the workers have closed theirs, the kernel refuses new connections.
    pub fn close(&mut self) {
        self.sockets.clear();
    }

    #[must_use]
    pub fn socket(&self, index: usize) -> Option<&TcpListener> {
        self.sockets.get(index)
    }
}

/// The kernel's bound on any backlog, if it can be read.
#[must_use]
pub fn kernel_backlog_max() -> Option<i32> {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    // Connections in TIME_WAIT must not keep a restart from binding; a listening socket still does.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn problem(address: SocketAddr, fault: &io::Error) -> Problem {
    let port = address.port();
    let (what, remedy) = match fault.kind() {
        io::ErrorKind::AddrInUse => (
            format!("port {port} is in use by another process"),
            format!("stop it (`ss -ltnp 'sport = :{port}'` shows it) or choose another PORT"),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{} is not an address of this machine", address.ip()),
            "set HOST to a local address, 0.0.0.0 or ::".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user may not bind port {port}"),
            "give the service CAP_NET_BIND_SERVICE or choose a PORT from 1024 on".to_owned(),
        ),
        _ => (format!("{address} cannot be bound: {fault}"), "check HOST and PORT".to_owned()),
    };
    Problem::new("HOST, PORT", what, remedy)
}

#[cfg(test)]
mod tests;
