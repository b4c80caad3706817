//! supervisor

pub mod probes;
pub mod admin;
pub mod export;
