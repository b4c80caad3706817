//! Floodgate beside HAProxy, nginx and a forwarder that only copies bytes: CPU time a request, on one core.
//!
//! `cargo bench --bench side_by_side -- [--quick] [--only SCENARIO] [--rounds N] [--before FLOODGATE]`. Every
//! contestant runs pinned to core 0; one single-threaded process on core 1 is the clients and the service at once.
//! Contestants take turns in each round, the order rotates and turns round, and what is compared is the ratio within a
//! round, never across them.
#![allow(clippy::print_stdout, reason = "the report is this program's output")]
#![allow(clippy::disallowed_methods, reason = "a benchmark waits for the time it measures")]

mod contestants;
mod asks;
mod secured;
mod forwarder;
mod simulated_service;
mod store;
mod generator;
mod measure;
mod report;
mod tokens;
#[path = "../../tests"]
mod end_to_end {
    #![allow(
        dead_code,
        unused_imports,
        reason = "the tests speak more of this language than a benchmark does"
    )]
    pub mod harness;
}

use contestants::{Contestant, Field};
use end_to_end::harness;
use generator::{Load, Pace, Shape};
use report::{Cell, Report};
use std::path::PathBuf;
use std::time::Duration;

/// One load under which all contestants are measured.
struct Scenario {
    name: &'static str,
    says: &'static str,
    shape: Shape,
    connections: usize,
    pace: Pace,
    rounds: usize,
}

/// Before each measurement.
const WARM_UP: Duration = Duration::from_millis(300);
const SMALL: Shape = Shape { answer_bytes: 200, keep_alive: true };

const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "saturated-64",
        says: "64 keep-alive connections, as fast as they go",
        shape: SMALL,
        connections: 64,
        pace: Pace::Closed,
        rounds: 15,
    },
    Scenario {
        name: "saturated-256",
        says: "256 keep-alive connections, as fast as they go",
        shape: SMALL,
        connections: 256,
        pace: Pace::Closed,
        rounds: 15,
    },
    Scenario {
        name: "one-connection",
        says: "1 keep-alive connection",
        shape: SMALL,
        connections: 1,
        pace: Pace::Closed,
        rounds: 9,
    },
    Scenario {
        name: "large-answers",
        says: "64 connections, answers of 60 KB",
        shape: Shape { answer_bytes: 60_000, keep_alive: true },
        connections: 64,
        pace: Pace::Closed,
        rounds: 9,
    },
    Scenario {
        name: "new-connections",
        says: "64 clients, a new connection for each request",
        shape: Shape { answer_bytes: 200, keep_alive: false },
        connections: 64,
        pace: Pace::Closed,
        rounds: 9,
    },
    Scenario {
        name: "fixed-rate",
        says: "10,000 requests a second on 64 connections",
        shape: SMALL,
        connections: 64,
        pace: Pace::Rate(10_000),
        rounds: 9,
    },
];

/// What the command line asks for.
#[derive(Default)]
struct Options {
    quick: bool,
    only: Option<String>,
    before: Option<PathBuf>,
    rounds: Option<usize>,
}

impl Options {
    fn wants(&self, scenario: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == scenario)
    }

    fn rounds(&self, of_scenario: usize) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { of_scenario })
    }

    fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 500 } else { 1_500 })
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    if arguments.next_if(|argument| argument == "forwarder").is_some() {
        let mut port =
            || arguments.next().and_then(|port| port.parse().ok()).expect("forwarder LISTEN UPSTREAM");
        forwarder::run(port(), port());
        return;
    }
    let options = options(arguments).unwrap_or_else(|fault| {
        eprintln!("{fault}; try --quick, --only SCENARIO, --rounds N or --before FLOODGATE");
        std::process::exit(2);
    });
    measure::pin_to_core(1);
    let field = Field::start(options.before.clone());
    let mut report = Report::new();
    for scenario in SCENARIOS.iter().filter(|scenario| options.wants(scenario.name)) {
        report.scenario(scenario.name, scenario.says);
        for round in 0..options.rounds(scenario.rounds) {
            for contestant in field.in_order(round) {
                report.add(
                    scenario.name,
                    contestant.name,
                    run(&field, contestant, scenario, options.window()),
                );
            }
        }
    }
    asks::run(&field, &options, &mut report);
    secured::run(&field, &options, &mut report);
    if options.only.is_none() {
        report.note(&cold_tokens(&field, options.quick));
    }
    println!("{}", report.markdown());
    let directory = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    report.write_json(&PathBuf::from(directory).join("side_by_side.json"));
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument}: what?"));
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--only" => options.only = Some(value()?),
            "--before" => options.before = Some(PathBuf::from(value()?)),
            "--rounds" => {
                options.rounds = Some(value()?.parse().map_err(|_| "--rounds: not a number".to_owned())?);
            }
            other => return Err(format!("{other}: not an option")),
        }
    }
    let mut names =
        SCENARIOS.iter().map(|scenario| scenario.name).chain(asks::names()).chain(secured::names());
    match &options.only {
        Some(only) if !names.any(|name| name == only) => Err(format!("{only}: not a scenario")),
        _ => Ok(options),
    }
}

fn run(field: &Field, contestant: &Contestant, scenario: &Scenario, window: Duration) -> Cell {
    let requests = [contestant.request(&field.token)];
    let load = Load {
        service: &field.service,
        target: contestant.address,
        requests: &requests,
        shape: scenario.shape,
        connections: scenario.connections,
        pace: scenario.pace,
    };
    generator::run(&load, WARM_UP, || {});
    measure::cell(contestant, &load, window)
}

/// What the first sight of an RS256 token costs, beside the same request with a token that is cached.
fn cold_tokens(field: &Field, quick: bool) -> String {
    let contestant = field.rs256();
    let count = if quick { 400 } else { 4_000 };
    let tokens = tokens::distinct_rs256(count);
    let mut figures = Vec::new();
    for requests in [
        tokens.iter().map(|token| contestant.request(token)).collect::<Vec<_>>(),
        tokens.iter().map(|token| contestant.request(token)).collect(),
    ] {
        let load = Load {
            service: &field.service,
            target: contestant.address,
            requests: &requests,
            shape: SMALL,
            connections: 16,
            pace: Pace::Each(count),
        };
        let before = measure::settled_cpu_ns(&contestant.pids());
        let outcome = generator::run(&load, Duration::from_secs(20), || {});
        let after = measure::settled_cpu_ns(&contestant.pids());
        assert_eq!(outcome.failures, 0, "every cold token must be accepted");
        figures.push((after - before) as f64 / 1_000.0 / outcome.answers.max(1) as f64);
    }
    format!(
        "{count} RS256 tokens: {:.1} us CPU a request at first sight, {:.1} us when cached, so {:.1} us for a cold token.",
        figures[0],
        figures[1],
        figures[0] - figures[1]
    )
}
