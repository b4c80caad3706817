//! supervisor

pub mod demo;
