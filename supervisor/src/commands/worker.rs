//! `floodgate worker`: becomes one worker process. Started by the supervisor alone.

use super::ExitCode;
use crate::process::{hardening, sys};
use edge_worker::inheritance::Leave;
use std::ffi::CString;

/// What is not a descriptor of the worker's inheritance.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[arg(long)]
    slot: usize,
    #[arg(long)]
    generation: u32,
    #[arg(long)]
    listeners: usize,
}

/// Adopts the inheritance before anything else is opened, gives up what a worker never needs, and serves.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { slot, generation, listeners } = *arguments;
    let inheritance = match sys::adopt(slot, generation, listeners) {
        Ok(inheritance) => inheritance,
        Err(fault) => return fail(slot, &fault.to_string()),
    };
    if let Err(fault) = hardening::harden() {
        return fail(slot, &format!("the process cannot be hardened: {fault}"));
    }
    if let Ok(name) = CString::new(format!("floodgate-{slot}")) {
        let _name_is_for_operators_only = rustix::thread::set_name(&name);
    }
    match edge_worker::run(inheritance) {
        Leave::Clean => ExitCode::Success,
        Leave::Cut(_) => ExitCode::Cut,
        Leave::Fault(fault) => fail(slot, &fault),
    }
}

fn fail(slot: usize, fault: &str) -> ExitCode {
    eprintln!("floodgate: worker {slot}: {fault}");
    ExitCode::Software
}
