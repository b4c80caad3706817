//! Memory, CPU time and descriptors of the supervisor and its workers, from /proc.

use std::fs;

/// Sums over the processes of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Those that ended included.
    pub cpu_ns: u64,
    /// Private memory of each, shared memory once.
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: u64,
    pub max_fds: u64,
}

/// What the supervisor and the workers with these process ids use. A process that has just ended counts nothing.
#[must_use]
pub fn usage(workers: &[u32]) -> Usage {
    let mut usage = Usage { max_fds: descriptors_max(), ..Usage::default() };
    for (index, process) in processes(workers).enumerate() {
        // Time of ended workers is the supervisor's as soon as it has reaped them, so the sum never goes back.
        let ended = if index == 0 { Ended::Counted } else { Ended::Ignored };
        usage.cpu_ns +=
            fs::read_to_string(format!("/proc/{process}/stat")).map_or(0, |stat| cpu_ns(&stat, ended));
        // A worker is not dumpable: only root may count its descriptors.
        usage.open_fds += fs::read_dir(format!("/proc/{process}/fd")).map_or(0, |files| files.count() as u64);
    }
    let memory = memory(workers);
    Usage { virtual_bytes: memory.address_space, resident_bytes: memory.resident(), ..usage }
}

/// Resident memory of the same processes: what is private of each, what they share once.
#[must_use]
pub fn resident_bytes(workers: &[u32]) -> u64 {
    memory(workers).resident()
}

fn processes(workers: &[u32]) -> impl Iterator<Item = String> {
    std::iter::once("self".to_owned()).chain(workers.iter().map(u32::to_string))
}

fn memory(workers: &[u32]) -> Memory {
    let mut sum = Memory::default();
    for process in processes(workers) {
        let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else { continue };
        let memory = Memory::parse(&status);
        sum.address_space += memory.address_space;
        sum.anonymous += memory.anonymous;
        sum.file = sum.file.max(memory.file);
        sum.region = sum.region.max(memory.region);
    }
    sum
}

/// Memory that the control group, or the machine, gives: the smaller of the two. 0 if neither can be read.
#[must_use]
pub fn memory_limit_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kibibytes(&text, "MemTotal:"));
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| {
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
        fs::read_to_string(format!("/sys/fs/cgroup{path}/memory.max")).ok()?.trim().parse().ok()
    });
    machine.into_iter().chain(group).min().unwrap_or(0)
}

/// Whether time of children that ended and were waited for counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Counted,
    Ignored,
}

/// One `/proc/<pid>/stat` (proc_pid_stat(5)): fields 14 to 17 are the times, in ticks.
fn cpu_ns(stat: &str, ended: Ended) -> u64 {
    // The name in field 2 may hold blanks and parentheses; the last parenthesis ends it.
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0 };
    let count = if ended == Ended::Counted { 4 } else { 2 };
    let ticks = fields.split_ascii_whitespace().skip(11).take(count);
    ticks.filter_map(|text| text.parse::<u64>().ok()).sum::<u64>() * TICK_NS
}

/// USER_HZ is 100 on every architecture that this runs on (it is part of the kernel's ABI there).
const TICK_NS: u64 = 10_000_000;

#[derive(Default)]
struct Memory {
    address_space: u64,
    anonymous: u64,
    file: u64,
    region: u64,
}

impl Memory {
    fn resident(&self) -> u64 {
        self.anonymous + self.file + self.region
    }

    fn parse(status: &str) -> Self {
        let field = |name| kibibytes(status, name).unwrap_or(0);
        Memory {
            address_space: field("VmSize:"),
            anonymous: field("RssAnon:"),
            file: field("RssFile:"),
            region: field("RssShmem:"),
        }
    }
}

/// The value of a line such as `VmSize:   1234 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn descriptors_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
