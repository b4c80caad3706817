//! The soak: a real edge under steady load while its workers are killed, and what must have held at the end.

pub mod owners;
pub mod ledger;
pub mod clients;
pub mod kills;
pub mod report;

use crate::harness::{Command, Edge, Metrics, Token, holds_within};
use clients::{Clients, Doomed, Load};
use kills::Killer;
use report::{Ending, Figures, Report};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub const WORKERS: usize = 2;
pub const CONNECTIONS: usize = 64;
/// An authenticated row.
const ROW: &str = "/api/v1/tickets";
/// How long gauges may take to come to rest after the last connection is closed.
const REST_MAX: Duration = Duration::from_secs(10);

/// What is asked of a soak.
pub struct Terms {
    pub service_url: String,
    pub window: Duration,
    pub pace: Pace,
    /// Of the moments of the kills and the choice of the worker, as far as the scheduler allows.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the benchmark and the end-to-end test each use one")]
pub enum Pace {
    /// Half of what is reached in a first phase of this length.
    HalfOfSaturation(Duration),
    /// Requests a second.
    Fixed(u64),
}

/// Runs it all. Panics where the edge does not even start; an error says that this user may not see which
/// connections a worker holds, because a worker cannot be traced by its own user.
pub fn run(terms: &Terms) -> io::Result<Report> {
    let mut edge = Command::run_before(&terms.service_url).workers(WORKERS).start();
    let doomed = Doomed::default();
    let mut clients = Clients::connect(edge.address(), requests(terms.window), &doomed);
    let (saturation, rate) = match terms.pace {
        Pace::Fixed(rate) => (None, rate),
        Pace::HalfOfSaturation(window) => {
            clients.drive(Load::Saturating, window);
            let saturation = rate_of(clients.ledger.answered, window);
            (Some(saturation), (saturation / 2).max(1))
        }
    };
    // By now every connection has been accepted; the killer takes workers that hold some.
    let spread = spread(&edge)?;
    let descriptors_before = owners::descriptors(edge.supervisor_pid())?;
    let answered_before = clients.ledger.answered;
    let over = AtomicBool::new(false);
    let kills = std::thread::scope(|scope| {
        let killer = Killer::new(&edge, &doomed, WORKERS, terms.seed);
        let killer = scope.spawn(|| killer.run(&over));
        clients.drive(Load::Rate(rate), terms.window);
        over.store(true, Ordering::SeqCst);
        clients.finish();
        killer.join().expect("the killer ended in order")
    });
    let achieved = rate_of(clients.ledger.answered - answered_before, terms.window);
    let ledger = std::mem::take(&mut clients.ledger);
    drop(clients);
    let mut metrics = edge.metrics();
    let mut descriptors_after = 0;
    holds_within(REST_MAX, || {
        metrics = edge.metrics();
        // A probe or a scrape may hold one for a moment.
        descriptors_after = owners::descriptors(edge.supervisor_pid()).unwrap_or(usize::MAX);
        at_rest(&metrics, kills.kills.len()) && descriptors_after <= descriptors_before
    });
    let ending = Ending {
        descriptors: (descriptors_before, descriptors_after),
        still_doomed: doomed.count(),
        exit_code: edge.terminate().code(),
    };
    Ok(Report::new(
        Figures { seed: terms.seed, saturation, rate, achieved, spread },
        ledger,
        kills,
        metrics,
        ending,
    ))
}

/// A seed that nobody chose.
pub fn any_seed() -> u64 {
    u64::from(std::process::id()) << 20 | 0x5eed
}

/// A request a client, each with a token of its own.
fn requests(window: Duration) -> Vec<Vec<u8>> {
    let expires = crate::harness::token::now() + i64::try_from(window.as_secs()).unwrap_or(0) + 900;
    let request = |index: usize| {
        let token = Token::valid()
            .claim("sub", format!("33333333-cccc-4ccc-8ccc-{index:012}"))
            .claim("jti", format!("55555555-eeee-4eee-8eee-{index:012}"))
            .claim("exp", expires)
            .build();
        let host = crate::harness::client::HOST;
        format!("GET {ROW} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nAuthorization: Bearer {token}\r\n\r\n")
            .into_bytes()
    };
    (0..CONNECTIONS).map(request).collect()
}

/// Whether nothing is open or under way and every worker that died has a successor.
fn at_rest(metrics: &Metrics, kills: usize) -> bool {
    let kills = u64::try_from(kills).expect("a count of seconds");
    report::GAUGES.iter().all(|gauge| metrics.count(gauge, &[]) == 0)
        && metrics.count("gateway_worker_restarts_total", &[]) == kills
        && metrics.count("gateway_worker_up", &[]) == WORKERS as u64
}

/// Connections of each worker, once all are accepted.
fn spread(edge: &Edge) -> io::Result<BTreeMap<u32, usize>> {
    let mut spread = Ok(BTreeMap::new());
    holds_within(REST_MAX, || {
        let held = |pid: u32| Ok((pid, owners::client_ports(pid, edge.address().port())?.len()));
        spread = edge.worker_pids().into_iter().map(held).collect();
        spread.as_ref().map_or(true, |spread| spread.values().sum::<usize>() == CONNECTIONS)
    });
    spread
}

fn rate_of(count: u64, window: Duration) -> u64 {
    (count as f64 / window.as_secs_f64()) as u64
}
