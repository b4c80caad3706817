//! Floodgate beside HAProxy, nginx and a forwarder that only copies bytes: CPU time a request, on one core.
//!
//! `cargo bench --bench side_by_side -- [--quick] [--only SCENARIO] [--rounds N] [--before FLOODGATE]`. Every
//! contestant runs pinned to core 0; one single-threaded process on core 1 is the clients and the service at once.
//! Contestants take turns in each round, the order rotates, and what is compared is the ratio within a round, never
//! across them.
#![allow(clippy::print_stdout, reason = "the report is this program's output")]
#![allow(clippy::disallowed_methods, reason = "a benchmark waits for the time it measures")]

mod contestants;
mod forwarder;
mod simulated_service;
mod generator;
mod measure;
mod report;
mod tokens;

use contestants::{Contestant, Field};
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

const SMALL: Shape = Shape { answer_bytes: 200, keep_alive: true };

const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "saturated-64",
        says: "64 keep-alive connections, as fast as they go",
        shape: SMALL,
        connections: 64,
        pace: Pace::Closed,
        rounds: 9,
    },
    Scenario {
        name: "saturated-256",
        says: "256 keep-alive connections, as fast as they go",
        shape: SMALL,
        connections: 256,
        pace: Pace::Closed,
        rounds: 9,
    },
    Scenario {
        name: "one-connection",
        says: "1 keep-alive connection",
        shape: SMALL,
        connections: 1,
        pace: Pace::Closed,
        rounds: 5,
    },
    Scenario {
        name: "large-answers",
        says: "64 connections, answers of 60 KB",
        shape: Shape { answer_bytes: 60_000, keep_alive: true },
        connections: 64,
        pace: Pace::Closed,
        rounds: 5,
    },
    Scenario {
        name: "new-connections",
        says: "64 clients, a new connection for each request",
        shape: Shape { answer_bytes: 200, keep_alive: false },
        connections: 64,
        pace: Pace::Closed,
        rounds: 5,
    },
    Scenario {
        name: "fixed-rate",
        says: "10,000 requests a second on 64 connections",
        shape: SMALL,
        connections: 64,
        pace: Pace::Rate(10_000),
        rounds: 7,
    },
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut quick, mut only, mut before, mut rounds) = (false, None, None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => quick = true,
            "--only" => only = arguments.next(),
            "--before" => before = arguments.next().map(PathBuf::from),
            "--rounds" => rounds = arguments.next().and_then(|rounds| rounds.parse::<usize>().ok()),
            "forwarder" => {
                let port =
                    arguments.next().and_then(|port| port.parse().ok()).expect("forwarder LISTEN UPSTREAM");
                let upstream =
                    arguments.next().and_then(|port| port.parse().ok()).expect("forwarder LISTEN UPSTREAM");
                forwarder::run(port, upstream);
                return;
            }
            other => {
                eprintln!(
                    "{other}: not an option; try --quick, --only SCENARIO, --rounds N or --before FLOODGATE"
                );
                std::process::exit(2);
            }
        }
    }
    measure::pin_to_core(1);
    let field = Field::start(before);
    let mut report = Report::new();
    for scenario in
        SCENARIOS.iter().filter(|scenario| only.as_deref().is_none_or(|only| only == scenario.name))
    {
        let rounds = rounds.unwrap_or(if quick { 2 } else { scenario.rounds });
        let window = Duration::from_millis(if quick { 500 } else { 1_500 });
        report.scenario(scenario.name, scenario.says);
        for round in 0..rounds {
            for turn in 0..field.contestants.len() {
                let contestant = &field.contestants[(round + turn) % field.contestants.len()];
                report.add(scenario.name, contestant.name, run(&field, contestant, scenario, window));
            }
        }
    }
    if only.is_none() {
        report.note(&cold_tokens(&field, quick));
    }
    println!("{}", report.markdown());
    report.write_json();
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
    generator::run(&load, Duration::from_millis(300), || {});
    let mut before = measure::cpu_ns(&contestant.pids());
    let outcome = generator::run(&load, window, || before = measure::cpu_ns(&contestant.pids()));
    // Log lines that are still under way belong to these requests.
    let after = measure::settled_cpu_ns(&contestant.pids());
    Cell {
        cpu_us: (after.saturating_sub(before)) as f64 / 1_000.0 / outcome.answers.max(1) as f64,
        rate: outcome.answers as f64 / outcome.elapsed.as_secs_f64(),
        p50_us: outcome.percentile_us(0.50),
        p99_us: outcome.percentile_us(0.99),
        failures: outcome.failures,
    }
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
