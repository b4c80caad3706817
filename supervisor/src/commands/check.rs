//! `floodgate check`: what is wrong with the configuration, and nothing else.

use super::{ExitCode, print};
use edge_worker::config::Loaded;
use std::fmt::Write;

/// The configuration is valid; prints what is still worth knowing about it.
#[must_use]
pub fn run(loaded: &Loaded, effective: bool) -> ExitCode {
    print(&text(loaded, effective))
}

fn text(loaded: &Loaded, effective: bool) -> String {
    let mut text = if effective { loaded.settings.print() } else { String::new() };
    let (services, rows) = (loaded.settings.worker.services.len(), loaded.settings.worker.routes.len());
    let infallible = "a String takes everything";
    for notice in &loaded.notices {
        writeln!(text, "notice: {notice}").expect(infallible);
    }
    for warning in &loaded.warnings {
        writeln!(text, "warning: {warning}").expect(infallible);
    }
    let warnings = loaded.warnings.len();
    writeln!(text, "configuration ok: {services} services, {rows} route rows, {warnings} warnings")
        .expect(infallible);
    text
}
