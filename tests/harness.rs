//! What the end-to-end tests are written in: an edge, backends behind it, clients before it, tokens, Redis.

pub mod polling;
pub mod wire;
pub mod token;
pub mod script;
pub mod backend;
pub mod authority;
pub mod terminator;
pub mod client;
pub mod metrics;
pub mod process;
pub mod edge;
pub mod redis;
pub mod cable;

pub use authority::{Authority, Credentials};
pub use backend::{Backend, Received};
pub use cable::Cable;
pub use client::{Client, Response};
pub use edge::{Command, Edge};
pub use metrics::Metrics;
pub use polling::{eventually, holds_within};
pub use redis::RedisServer;
pub use script::{Desks, Gate, Script, Step};
pub use terminator::{Clients, Farewell, Terminator, Terms};
pub use token::{Key, Token};

#[cfg(test)]
mod tests;
