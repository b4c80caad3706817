//! One worker from its start to its end.

use crate::inheritance::{Inheritance, Leave};

/// Runs the worker until it was drained, its supervisor is gone, or it cannot go on.
pub fn run(_inheritance: Inheritance) -> Leave {
    Leave::Fault("this build has no worker".to_owned())
}
