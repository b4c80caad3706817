//! A child process: its output line by line, its children, its memory, its end.

use super::polling::{PATIENCE, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// Where a coverage build writes what it counted; set by the coverage tool alone.
pub const PROFILE_VARIABLE: &str = "LLVM_PROFILE_FILE";

/// What is written after so many lines is read and forgotten: a soak logs a million requests.
const LINES_MAX: usize = 100_000;

/// A child whose output is collected; killed with its own children when it is dropped.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    collectors: [JoinHandle<()>; 2],
}

impl Process {
    pub fn spawn(command: &mut Command) -> Process {
        Process::spawn_with(command, b"")
    }

    /// The same with something on its standard input, which then ends.
    pub fn spawn_with(command: &mut Command, input: &[u8]) -> Process {
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary under test starts");
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).expect("a pipe holds what a test writes");
        }
        let lines = Arc::default();
        let collectors = [
            collect(child.stdout.take().expect("stdout is piped"), &lines),
            collect(child.stderr.take().expect("stderr is piped"), &lines),
        ];
        Process { child, lines, collectors }
    }

    /// Everything that a process wrote which has ended.
    pub fn whole_output(&self) -> String {
        let is_whole = || self.collectors.iter().all(JoinHandle::is_finished).then_some(());
        eventually("the output of an ended process is complete", is_whole);
        self.lines().join("\n")
    }

    /// Every line of standard output and standard error so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits for the end, at most `PATIENCE` or the drain limit on top of it.
    pub fn wait(&mut self) -> ExitStatus {
        let limit = Instant::now() + 3 * PATIENCE;
        loop {
            if let Some(status) = self.has_exited() {
                return status;
            }
            assert!(Instant::now() < limit, "process {} does not end: {:#?}", self.pid(), self.lines());
            super::polling::pause(std::time::Duration::from_millis(20));
        }
    }

    /// Process ids of the direct children, in order of their ids.
    pub fn children(&self) -> Vec<u32> {
        children_of(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::env::var_os(PROFILE_VARIABLE).is_some() {
            self.end_with_profile();
        }
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // The children first: orphans would begin to end by themselves, and be killed in the middle of it.
        for pid in self.children() {
            kill(pid, Signal::KILL);
        }
        // Both fail only if the child is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// A killed process leaves no profile, or half of one that no tool can read: coverage runs let it end.
    fn end_with_profile(&mut self) {
        let children = self.children();
        self.signal(Signal::TERM);
        let limit = Instant::now() + PATIENCE;
        while Instant::now() < limit {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)) | Err(_));
            if ended && !children.iter().any(|pid| is_alive(*pid)) {
                return;
            }
            super::polling::pause(std::time::Duration::from_millis(20));
        }
    }
}

/// Sends a signal; a process that is already gone is fine.
pub fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id of the kernel");
    let _ = kill_process(pid, signal);
}

/// Whether the process exists and is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.0 != "Z")
}

/// Whether SIGSTOP has taken effect: from then on the process runs no instruction of its own.
pub fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.0 == "T")
}

/// Resident memory of a process that is no shared mapping, in bytes.
pub fn private_memory_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is alive");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux names RssAnon");
    let kib = line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
    kib.expect("RssAnon is a number of KiB") * 1024
}

/// Waits for the end of a process that was told to end.
pub fn eventually_gone(pid: u32) {
    eventually("a killed process is gone", || (!is_alive(pid)).then_some(()));
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut children: Vec<u32> =
        pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.1 == parent && stat.0 != "Z")).collect();
    children.sort_unstable();
    children
}

/// State letter and parent of a process.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

fn collect(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < LINES_MAX {
                lines.push(line);
            }
        }
    })
}
