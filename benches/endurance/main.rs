//! What an edge must endure: `soak` kills workers under load, `idle-memory` holds ten thousand quiet connections.
//!
//! `cargo bench --bench endurance -- soak|idle-memory`. SOAK_SECONDS and FLOODGATE_SEED set the soak,
//! IDLE_CONNECTIONS the other. Figures are printed; the exit code says whether what must hold did.
#![allow(clippy::print_stdout, reason = "the report is this program's output")]

mod trial;
mod idle_memory;
mod background;
#[path = "../side_by_side/simulated_service.rs"]
#[allow(dead_code, reason = "the side-by-side benchmark asks more of the service")]
mod simulated_service;
#[path = "../../tests"]
mod end_to_end {
    #![allow(
        dead_code,
        unused_imports,
        reason = "the tests speak more of this language than two commands do"
    )]
    pub mod harness;
}

use end_to_end::harness;
use std::process::ExitCode;
use std::time::Duration;
use trial::{Pace, Terms};

const SOAK_SECONDS: u64 = 60;
/// What to do about a worker that cannot be looked into.
const SEEING: &str =
    "A worker cannot be traced by its own user: run this as root, or under `unshare --map-root-user`";
const SATURATION: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let command = std::env::args().skip(1).find(|argument| argument != "--bench");
    let held = match command.as_deref() {
        Some("soak") => soak(),
        Some("idle-memory") => idle_memory::run(number("IDLE_CONNECTIONS")),
        // Every bench target is run by a bare `cargo bench`.
        None => soak() & idle_memory::run(number("IDLE_CONNECTIONS")),
        Some(other) => {
            eprintln!("{other}: not a command; try soak or idle-memory");
            return ExitCode::from(2);
        }
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn soak() -> bool {
    let seconds = number("SOAK_SECONDS").unwrap_or(SOAK_SECONDS);
    let seed = number("FLOODGATE_SEED").unwrap_or_else(trial::any_seed);
    let port = background::serve();
    let terms = Terms {
        service_url: format!("http://127.0.0.1:{port}"),
        window: Duration::from_secs(seconds),
        pace: Pace::HalfOfSaturation(SATURATION),
        seed,
    };
    println!("soak of {seconds} s, seed {seed}: FLOODGATE_SEED={seed} repeats its pauses and choices");
    match trial::run(&terms) {
        Ok(report) => {
            println!("{report}");
            report.violations.is_empty()
        }
        Err(error) => {
            println!("a worker's connections cannot be seen: {error}. {SEEING}");
            false
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?} and must be a whole number")))
}
