//! One worker process, and the life of a request in it.
//!
//! `net::door` accepts a connection, `net::connection` reads requests from it, `pipeline` decides
//! each of them stage by stage, `upstream` carries what was granted to a service and back, and
//! `pipeline::account` writes down how it ended. `config` is shared with the supervisor.
#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
pub mod inheritance;
pub mod control;
pub mod worker;
pub mod net;
pub mod http;
pub mod identity;
pub mod pipeline;
pub mod upstream;
pub mod local;
pub mod telemetry;

pub use worker::run;
