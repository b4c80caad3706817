//! Kills workers at random moments, and watches that each is replaced.

use super::clients::Doomed;
use super::owners;
use crate::harness::{Edge, holds_within, process};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two kills, milliseconds: at least, and how much more at most.
const PAUSE_MS: (u64, u64) = (1_000, 2_000);
/// From a kill to the moment its successor has accepted a connection: the longest back-off of the supervisor's
/// plan (5 s, for a worker that dies young again and again) and two seconds to start.
pub const REPLACEMENT_MS_MAX: u64 = 7_000;

const STOP_MAX: Duration = Duration::from_secs(1);

/// One kill.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub slot: usize,
    pub connections: usize,
    at: Instant,
    /// Until the successor had accepted a connection.
    pub replaced_after: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Kills {
    pub kills: Vec<Kill>,
    /// Times at which no worker served that could have been killed.
    pub skipped: u64,
    /// How often a sum over all counters of requests was smaller than before.
    pub went_back: u64,
}

pub struct Killer<'t> {
    edge: &'t Edge,
    doomed: &'t Doomed,
    random: Random,
    /// Process id by slot of each worker that holds connections, hence serves.
    serving: Vec<Option<u32>>,
    counted: u64,
    outcome: Kills,
}

impl<'t> Killer<'t> {
    pub fn new(edge: &'t Edge, doomed: &'t Doomed, workers: usize, seed: u64) -> Self {
        let serving = vec![None; workers];
        Killer { edge, doomed, random: Random(seed), serving, counted: 0, outcome: Kills::default() }
    }

    /// Kills until `over`, then waits for the last replacement.
    pub fn run(mut self, over: &AtomicBool) -> Kills {
        loop {
            let pause = Duration::from_millis(PAUSE_MS.0 + self.random.below(PAUSE_MS.1));
            let choice = self.random.next();
            let ended = holds_within(pause, || {
                self.look();
                over.load(Ordering::SeqCst)
            });
            if ended {
                break;
            }
            self.kill(choice);
        }
        let patience = Duration::from_millis(REPLACEMENT_MS_MAX);
        holds_within(patience, || {
            self.look();
            self.serving.iter().all(Option::is_some)
        });
        self.outcome
    }

    /// Notes which workers have accepted connections.
    fn look(&mut self) {
        if self.serving.iter().all(Option::is_some) {
            return;
        }
        for pid in self.edge.worker_pids() {
            let Some(slot) = slot_of(pid) else { continue };
            let accepted = || {
                // A worker may end, or not have begun, while it is looked at.
                owners::client_ports(pid, self.edge.address().port()).is_ok_and(|ports| !ports.is_empty())
            };
            if self.serving.get(slot) == Some(&None) && accepted() {
                self.serving[slot] = Some(pid);
                let pending = self
                    .outcome
                    .kills
                    .iter_mut()
                    .rfind(|kill| kill.slot == slot && kill.replaced_after.is_none());
                if let Some(kill) = pending {
                    kill.replaced_after = Some(kill.at.elapsed());
                }
            }
        }
    }

    /// Stops a worker, learns which connections are its own, and kills it where it stands: it runs no
    /// instruction between the two signals, so the list is exact.
    fn kill(&mut self, choice: u64) {
        let candidates: Vec<(usize, u32)> =
            self.serving.iter().enumerate().filter_map(|(slot, pid)| Some((slot, (*pid)?))).collect();
        if candidates.is_empty() {
            self.outcome.skipped += 1;
            return;
        }
        let (slot, pid) = candidates[usize::try_from(choice).unwrap_or(0) % candidates.len()];
        process::kill(pid, Signal::STOP);
        let limit = Instant::now() + STOP_MAX;
        // No poll with a pause: what is sent to a stopped worker is lost with it.
        while !process::is_stopped(pid) && Instant::now() < limit {
            std::thread::yield_now();
        }
        let stopped = process::is_stopped(pid);
        let ports = owners::client_ports(pid, self.edge.address().port());
        if let Ok(ports) = &ports {
            self.doomed.add(ports.iter().copied());
        }
        process::kill(pid, Signal::KILL);
        let at = Instant::now();
        assert!(stopped, "worker {pid} does not stop");
        let connections = ports.expect("a stopped worker's descriptors can be read").len();
        self.serving[slot] = None;
        self.outcome.kills.push(Kill { slot, connections, at, replaced_after: None });
        let counted = self.edge.metrics().count("gateway_http_requests_total", &[]);
        self.outcome.went_back += u64::from(counted < self.counted);
        self.counted = counted;
    }
}

/// Workers call themselves `floodgate-SLOT`.
fn slot_of(pid: u32) -> Option<usize> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    name.trim().strip_prefix("floodgate-")?.parse().ok()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
