//! The two channels between a worker and the supervisor: its life cycle, and what it asks.
//!
//! The supervisor makes both socket pairs. This module holds what travels on it, sans-io; the worker
//! reads and writes it through `net::io`, the supervisor through tokio.

pub mod frames;
pub mod asks;
pub mod key_set;
pub mod endpoint_set;
pub mod link;
