//! CPU time of processes, the pinning that makes it comparable, and what a load costs whoever carries it.

use super::contestants::Contestant;
use super::generator::{self, Load};
use super::report::Cell;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::time::Duration;

/// Nanoseconds that all threads of the processes have run (`/proc/PID/task/TID/schedstat`, first number).
pub fn cpu_ns(pids: &[u32]) -> u64 {
    let threads = pids.iter().filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// The same after work that is still under way (log lines, closes) has come to rest.
pub fn settled_cpu_ns(pids: &[u32]) -> u64 {
    std::thread::sleep(Duration::from_millis(120));
    cpu_ns(pids)
}

/// Pins the calling thread, and what it spawns from now on.
pub fn pin_to_core(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).expect("the machine has two cores");
}

/// Pins another process.
pub fn pin_process(pid: u32, core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id is positive");
    sched_setaffinity(Some(pid), &set).expect("the machine has two cores");
}

/// Puts the load on a contestant that is warm.
pub fn cell(contestant: &Contestant, load: &Load<'_>, window: Duration) -> Cell {
    let mut before = cpu_ns(&contestant.pids());
    let outcome = generator::run(load, window, || before = cpu_ns(&contestant.pids()));
    // Log lines that are still under way belong to these requests.
    let after = settled_cpu_ns(&contestant.pids());
    Cell {
        cpu_us: (after.saturating_sub(before)) as f64 / 1_000.0 / outcome.answers.max(1) as f64,
        rate: outcome.answers as f64 / outcome.elapsed.as_secs_f64(),
        p50_us: outcome.percentile_us(0.50),
        p99_us: outcome.percentile_us(0.99),
        answers: outcome.answers,
        failures: outcome.failures,
    }
}
