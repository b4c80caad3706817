//! What a soak found, and what of it must not be.

use super::kills::{Kills, REPLACEMENT_MS_MAX};
use super::ledger::Ledger;
use super::{CONNECTIONS, WORKERS};
use crate::harness::Metrics;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// Gauges that count what is open or under way: zero at rest.
pub const GAUGES: [&str; 2] = ["gateway_http_requests_in_flight", "gateway_active_connections"];
/// Counters that stay at zero while nothing but workers fails.
const ZEROS: [&str; 4] = [
    "gateway_panics_total",
    "gateway_series_dropped_total",
    "gateway_connections_closed_under_request_total",
    "gateway_connections_refused_total",
];
/// Losses that are allowed: a killed worker's last log lines may be among them.
const LOSSES: [&str; 2] = ["gateway_journal_dropped_total", "gateway_log_lines_dropped_total"];

/// What was known before the end.
#[derive(Debug)]
pub struct Figures {
    pub seed: u64,
    /// Requests a second, as all the others here.
    pub saturation: Option<u64>,
    pub rate: u64,
    pub achieved: u64,
    /// Connections of each worker before the first kill.
    pub spread: BTreeMap<u32, usize>,
}

/// What was seen at the end.
#[derive(Debug)]
pub struct Ending {
    /// Of the supervisor, before and after.
    pub descriptors: (usize, usize),
    /// Connections of killed workers that never broke.
    pub still_doomed: usize,
    pub exit_code: Option<i32>,
}

pub struct Report {
    figures: Figures,
    ledger: Ledger,
    kills: Kills,
    metrics: Metrics,
    ending: Ending,
    percentiles_us: [u32; 4],
    /// Every rule that was broken, as a sentence.
    pub violations: Vec<String>,
}

impl Report {
    pub fn new(figures: Figures, mut ledger: Ledger, kills: Kills, metrics: Metrics, ending: Ending) -> Self {
        let percentiles_us = ledger.percentiles_us([0.5, 0.99, 0.999, 1.0]);
        let mut report =
            Report { figures, ledger, kills, metrics, ending, percentiles_us, violations: Vec::new() };
        report.judge_requests();
        report.judge_kills();
        report.judge_counters();
        report
    }

    fn require(&mut self, holds: bool, violation: impl FnOnce(&Report) -> String) {
        if !holds {
            let violation = violation(self);
            self.violations.push(violation);
        }
    }

    fn judge_requests(&mut self) {
        let ledger = &self.ledger;
        let (failed, closed) = (ledger.failed(), ledger.closed_elsewhere);
        let ended = ledger.answered + ledger.lost_with_worker + failed;
        let (sent, answered) = (ledger.sent, ledger.answered);
        self.require(failed == 0, |report| {
            format!(
                "{failed} requests failed off killed workers' connections: {:?}",
                report.ledger.failed_elsewhere
            )
        });
        self.require(closed == 0, |_| format!("{closed} idle connections of living workers ended"));
        self.require(sent == ended, |_| format!("{sent} requests were sent and {ended} ended"));
        self.require(answered > 0, |_| "no request was answered".to_owned());
    }

    fn judge_kills(&mut self) {
        let late = |kill: &&super::kills::Kill| {
            kill.replaced_after.is_none_or(|after| after.as_millis() > u128::from(REPLACEMENT_MS_MAX))
        };
        let late: Vec<String> =
            self.kills.kills.iter().filter(late).map(|kill| format!("{kill:?}")).collect();
        let restarts = self.metrics.count("gateway_worker_restarts_total", &[]);
        let (killed, went_back) = (self.kills.kills.len(), self.kills.went_back);
        let doomed = self.ending.still_doomed;
        self.require(killed > 0, |_| "no worker was killed".to_owned());
        self.require(late.is_empty(), |_| {
            format!("successors that did not accept within {REPLACEMENT_MS_MAX} ms: {}", late.join(", "))
        });
        self.require(restarts == killed as u64, |_| {
            format!("{killed} kills and {restarts} restarts counted")
        });
        self.require(went_back == 0, |_| format!("the count of requests went back {went_back} times"));
        self.require(doomed == 0, |_| format!("{doomed} connections of killed workers stayed open"));
    }

    fn judge_counters(&mut self) {
        for gauge in GAUGES {
            let value = self.metrics.count(gauge, &[]);
            self.require(value == 0, |_| format!("{gauge} is {value} at rest"));
        }
        for counter in ZEROS {
            let value = self.metrics.count(counter, &[]);
            self.require(value == 0, |_| format!("{counter} is {value}"));
        }
        let up = self.metrics.count("gateway_worker_up", &[]);
        self.require(up == WORKERS as u64, |_| format!("{up} of {WORKERS} workers are up at the end"));
        // An answer is counted when its last byte is sent; a worker killed between the two takes the count along.
        let (counted, answered, sent) = (self.counted(), self.ledger.answered, self.ledger.sent);
        let uncounted_max = self.ledger.cut_after_answers;
        self.require(counted + uncounted_max >= answered, |_| {
            format!("{counted} requests counted, {answered} answered, at most {uncounted_max} uncounted")
        });
        self.require(counted <= sent, |_| format!("{counted} requests counted and {sent} sent"));
        let (before, after) = self.ending.descriptors;
        self.require(after <= before, |_| {
            format!("the supervisor has {after} descriptors, {before} before the first kill")
        });
        let code = self.ending.exit_code;
        self.require(code == Some(0), |_| format!("the edge ended with exit code {code:?}"));
    }

    fn counted(&self) -> u64 {
        self.metrics.count("gateway_http_requests_total", &[("status", "200")])
    }

    /// Shortest, middle and longest replacement, ms.
    fn replacements_ms(&self) -> [u128; 3] {
        let mut times: Vec<u128> =
            self.kills.kills.iter().filter_map(|kill| Some(kill.replaced_after?.as_millis())).collect();
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().unwrap_or(0);
        [at(0), at(times.len() / 2), at(times.len().saturating_sub(1))]
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Report { figures, ledger, kills, metrics, .. } = self;
        let drivers = metrics.label_values("gateway_io_driver_info", "driver");
        let running =
            drivers.iter().filter(|name| metrics.count("gateway_io_driver_info", &[("driver", name)]) > 0);
        let running: Vec<&str> = running.map(String::as_str).collect();
        let spread: Vec<String> = figures.spread.values().map(usize::to_string).collect();
        let of_slots: Vec<String> = (0..WORKERS)
            .map(|slot| kills.kills.iter().filter(|kill| kill.slot == slot).count().to_string())
            .collect();
        let held: usize = kills.kills.iter().map(|kill| kill.connections).sum();
        let [shortest, middle, longest] = self.replacements_ms();
        let [p50, p99, p999, max] = self.percentiles_us.map(|us| f64::from(us) / 1_000.0);
        writeln!(out, "edge          {WORKERS} workers on {}", running.join(", "))?;
        writeln!(out, "connections   {CONNECTIONS}, held at first by worker: {}", spread.join(" / "))?;
        if let Some(saturation) = figures.saturation {
            writeln!(out, "saturation    {saturation} requests/s")?;
        }
        writeln!(out, "rate          {} requests/s asked, {} answered", figures.rate, figures.achieved)?;
        writeln!(out, "withheld      {} (due while every connection waited)", ledger.withheld)?;
        writeln!(out, "latency       p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.0} ms")?;
        writeln!(
            out,
            "kills         {} (by slot {}), {} skipped",
            kills.kills.len(),
            of_slots.join(" / "),
            kills.skipped
        )?;
        writeln!(
            out,
            "replacement   accepts after {shortest} / {middle} / {longest} ms (shortest, middle, longest; bound \
             {REPLACEMENT_MS_MAX})"
        )?;
        writeln!(out, "cut           {} connections of {held} that killed workers held", ledger.cut)?;
        writeln!(out, "requests      {} sent", ledger.sent)?;
        writeln!(out, "  answered    {}", ledger.answered)?;
        writeln!(out, "  lost        {} on connections of killed workers", ledger.lost_with_worker)?;
        writeln!(out, "  failed      {} elsewhere {:?}", ledger.failed(), ledger.failed_elsewhere)?;
        writeln!(
            out,
            "counted       {} with 200 by the edge; {} answers may have gone uncounted with their worker",
            self.counted(),
            ledger.cut_after_answers
        )?;
        self.print_metrics(out)?;
        match self.violations.as_slice() {
            [] => write!(out, "HELD"),
            violations => write!(out, "VIOLATED (seed {})\n  {}", figures.seed, violations.join("\n  ")),
        }
    }
}

impl Report {
    fn print_metrics(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let names = GAUGES.into_iter().chain(ZEROS).chain(LOSSES);
        for name in names.chain(["gateway_worker_restarts_total", "gateway_worker_up"]) {
            writeln!(out, "  {name} {}", self.metrics.count(name, &[]))?;
        }
        let (before, after) = self.ending.descriptors;
        writeln!(out, "supervisor    {before} descriptors before, {after} after")?;
        writeln!(out, "exit code     {:?}", self.ending.exit_code)
    }
}
