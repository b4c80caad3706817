//! THE ORDER in which a request is decided.

pub mod rejection;
pub mod route;
