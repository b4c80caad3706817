//! The control channel between a worker and the supervisor.
//!
//! The supervisor makes one socket pair a worker. This module holds what travels on it, sans-io; the worker
//! reads and writes it through `net::io`, the supervisor through tokio.

pub mod frames;
