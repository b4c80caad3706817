//! `floodgate routes`: the route table as it is in force.

use super::{ExitCode, print};
use edge_worker::config::{Loaded, routes};

/// Prints one line a row.
#[must_use]
pub fn run(loaded: &Loaded) -> ExitCode {
    let worker = &loaded.settings.worker;
    print(&routes::print(&worker.routes, &worker.services))
}
