//! Sockets and time-outs: everything of a worker that touches the runtime.

pub mod wheel;
pub mod vigil;
pub mod tls;
pub mod io;
pub mod join;
pub mod guard;
pub mod buffers;
pub mod door;
pub mod connection;
