//! What became of every request.

use std::collections::BTreeMap;
use std::time::Duration;

/// Every request ends under exactly one heading.
#[derive(Debug, Default)]
pub struct Ledger {
    pub sent: u64,
    /// Answered with 200, in full.
    pub answered: u64,
    /// Lost with the connection of a worker that was killed.
    pub lost_with_worker: u64,
    /// Lost or refused in any other way, by what happened.
    pub failed_elsewhere: BTreeMap<String, u64>,
    /// Connections of killed workers that broke, with or without a request on them.
    pub cut: u64,
    /// Cut connections on which a request had been answered: the count of the last one may have died with the
    /// worker.
    pub cut_after_answers: u64,
    /// Idle connections that ended although their worker lived.
    pub closed_elsewhere: u64,
    /// Requests that were due while every connection waited for an answer; they were not sent.
    pub withheld: u64,
    latencies_us: Vec<u32>,
}

impl Ledger {
    pub fn failed(&self) -> u64 {
        self.failed_elsewhere.values().sum()
    }

    pub fn fail_elsewhere(&mut self, how: String) {
        *self.failed_elsewhere.entry(how).or_default() += 1;
    }

    pub fn measured(&mut self, latency: Duration) {
        self.latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Microseconds within which each of these parts of the requests was answered.
    pub fn percentiles_us<const N: usize>(&mut self, parts: [f64; N]) -> [u32; N] {
        self.latencies_us.sort_unstable();
        let last = self.latencies_us.len().saturating_sub(1) as f64;
        parts.map(|part| self.latencies_us.get((last * part) as usize).copied().unwrap_or(0))
    }
}
