//! The command line, and the exit codes of every process of the edge.

pub mod run;
pub mod worker;
pub mod check;
pub mod routes;
pub mod breaker;
mod revoke;

use crate::demo;
use clap::{Parser, Subcommand};
use edge_worker::config::problem::Problem;
use edge_worker::config::{Loaded, Sources, load};
use std::io::{self, Write};
use std::path::PathBuf;

/// The ticketing edge: it lets the right people through to the platform's services.
#[derive(Debug, Parser)]
#[command(name = "floodgate", version, about, disable_help_subcommand = true)]
struct Arguments {
    /// Read settings from this floodgate.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read variables from this file; default /etc/floodgate/environment if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Set a variable; stronger than every other source. Secrets do not belong here: others see the command
    /// line.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run supervisor and workers in the foreground (the default).
    Run,
    /// Validate the configuration and leave.
    Check {
        /// Print the effective configuration; secrets as set or unset.
        #[arg(long)]
        print: bool,
    },
    /// Print the route table: access, upstream, time-outs, and the reason of every public row.
    Routes,
    /// Have a running node withdraw tokens on every node.
    Revoke(revoke::Arguments),
    /// Show the circuits of a running node's services, and hold or reset them.
    Breaker(breaker::Arguments),
    /// Run the edge in front of a simulated platform, to try it out.
    Demo(demo::Arguments),
    /// Started by the supervisor alone.
    #[command(hide = true)]
    Worker(worker::Arguments),
}

/// Exit codes of supervisor, workers and commands, in the meanings of `sysexits.h` from 64 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Success = 0,
    /// The drain ended before everything was finished.
    Cut = 1,
    /// The command line is wrong.
    Usage = 64,
    /// An address or socket is not available.
    Unavailable = 69,
    /// A worker cannot go on, or none became ready.
    Software = 70,
    /// The operating system refused something that must work.
    System = 71,
    /// Done on this node; other nodes do not know of it yet.
    Queued = 75,
    /// The control socket is not for this user.
    NotAllowed = 77,
    /// The configuration is invalid.
    Configuration = 78,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code as u8)
    }
}

/// Parses the command line and runs the command to its end.
#[must_use]
pub fn enter() -> std::process::ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => {
            let _closed_output = answer.print();
            let code = if answer.use_stderr() { ExitCode::Usage } else { ExitCode::Success };
            return code.into();
        }
    };
    let Arguments { config, env_file, set, command } = arguments;
    let sources = move || Sources::of_process(set, env_file, config);
    match command.unwrap_or(Command::Run) {
        Command::Worker(arguments) => worker::run(&arguments).into(),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Run => {
            let sources = sources();
            with_settings(&sources, |loaded| run::run(loaded, sources.clone())).into()
        }
        Command::Check { print } => with_settings(&sources(), |loaded| check::run(&loaded, print)).into(),
        Command::Breaker(arguments) => breaker::run(arguments, &sources()).into(),
        Command::Revoke(arguments) => revoke::run(arguments, &sources()).into(),
        Command::Routes => with_settings(&sources(), |loaded| routes::run(&loaded)).into(),
    }
}

/// Loads the configuration, or prints everything that is wrong with it, one problem a line.
fn with_settings(sources: &Sources, then: impl FnOnce(Loaded) -> ExitCode) -> ExitCode {
    match load(sources) {
        Ok(loaded) => then(loaded),
        Err(problems) => {
            complain(&problems);
            ExitCode::Configuration
        }
    }
}

fn complain(problems: &[Problem]) {
    let mut out = io::stderr().lock();
    for problem in problems {
        let _closed_output = writeln!(out, "{problem}");
    }
}

/// Writes to standard output; a reader that went away is not our failure.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    let _closed_output = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::Success
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        // The text is not repeated: it may be a secret whose name was forgotten.
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests;
