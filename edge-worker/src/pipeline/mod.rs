//! THE ORDER in which a request is decided.

pub mod authenticate;
pub mod authorise;
pub mod rejection;
