//! The supervisor: it spawns and keeps workers, answers operators and exports what the region counts.
//!
//! `process::plan` decides, `process::reactor` acts. It is the only process that reads configuration, and the
//! only one that signals, restarts, probes or speaks to anything but clients and services.
#![deny(unsafe_code)]

pub mod commands;
pub mod process;
pub mod identity;
pub mod figures;
pub mod cluster;
pub mod mirror;
pub mod line;
pub mod keys;
pub mod endpoints;
pub mod probes;
pub mod circuits;
pub mod admin;
pub mod export;
pub mod demo;
pub mod control;
