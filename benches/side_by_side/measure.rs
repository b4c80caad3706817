//! CPU time of processes, and the pinning that makes it comparable.

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
