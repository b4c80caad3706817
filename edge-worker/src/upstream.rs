//! The way to a service and back: pooled connections, one exchange on each at a time.

pub mod pool;
pub mod handshakes;
pub mod security;
pub mod endpoint;
pub mod connect;
pub mod retry;
pub mod confirmation;
pub mod exchange;
pub mod progress;
pub mod upload;
pub mod download;
