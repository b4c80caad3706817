//! A bounded queue of log lines in front of a stream that may stop being read, emptied by a thread of its own.
//!
//! A pipe cannot be made non-blocking without doing the same to the terminal or service manager at its other
//! end, so the waiting is done by a thread that has nothing else to do.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge_worker::clock;

/// A handle; all handles feed the same stream.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

/// Lines that may wait for the stream's reader.
pub const SPOOL_BYTES_MAX: usize = 8 << 20;
/// Empty buffers that are kept for the next lines, so that a busy node does not allocate for its log.
const SPARES_MAX: usize = 4;
/// A buffer that grew beyond this is not kept.
const SPARE_BYTES_MAX: usize = 2 << 20;

struct Shared {
    state: Mutex<State>,
    /// Something was queued.
    queued: Condvar,
    /// Everything was written.
    idle: Condvar,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Chunk>,
    queued_bytes: usize,
    spares: Vec<Vec<u8>>,
    lines_dropped: u64,
    /// The thread holds a chunk that is not written yet.
    writing: bool,
}

struct Chunk {
    bytes: Vec<u8>,
    lines: u64,
}

impl Spool {
    /// A spool in front of standard output.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated or the thread cannot be started.
    pub fn stdout() -> io::Result<Spool> {
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Spool::start(output, SPOOL_BYTES_MAX)
    }

    /// A spool in front of `output` that holds at most `bytes_max`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(output: impl Write + Send + 'static, bytes_max: usize) -> io::Result<Spool> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            queued: Condvar::new(),
            idle: Condvar::new(),
            bytes_max,
        });
        let theirs = Arc::clone(&shared);
        // It ends with the process: whoever leaves calls `flush`.
        std::thread::Builder::new().name("log".to_owned()).spawn(move || theirs.write(output))?;
        Ok(Spool { shared })
    }

    /// Queues what `chunk` holds, which are so many whole lines, and leaves an empty buffer in its place. When the
    /// queue is full the lines are dropped and counted.
    pub fn push(&self, chunk: &mut Vec<u8>, lines: u64) {
        let mut state = self.shared.lock();
        if state.queued_bytes + chunk.len() > self.shared.bytes_max {
            state.lines_dropped += lines;
            chunk.clear();
            return;
        }
        state.queued_bytes += chunk.len();
        let spare = state.spares.pop().unwrap_or_default();
        state.queue.push_back(Chunk { bytes: std::mem::replace(chunk, spare), lines });
        drop(state);
        self.shared.queued.notify_one();
    }

    /// Lines lost because the reader was too slow or gone.
    #[must_use]
    pub fn lines_dropped(&self) -> u64 {
        self.shared.lock().lines_dropped
    }

    /// Waits until everything is written, at most `timeout`. Says whether it is.
    pub fn flush(&self, timeout: Duration) -> bool {
        let started = clock::now();
        let mut state = self.shared.lock();
        while state.writing || !state.queue.is_empty() {
            let left = timeout.saturating_sub(clock::now().since(started));
            if left.is_zero() {
                return false;
            }
            state = self.shared.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// For `tracing_subscriber`'s `with_writer`: the control plane's lines take the same way, in whole lines.
    #[must_use]
    pub fn line_writer(&self) -> LineWriter {
        LineWriter { spool: self.clone() }
    }
}

/// Queues each write as one line.
pub struct LineWriter {
    spool: Spool,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.spool.push(&mut line.to_vec(), 1);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves no half-made state: every change under the lock is complete.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's loop.
    fn write(&self, mut output: impl Write) {
        loop {
            let mut chunk = self.take();
            let written = output.write_all(&chunk.bytes).and_then(|()| output.flush());
            let mut state = self.lock();
            state.writing = false;
            state.queued_bytes -= chunk.bytes.len();
            if written.is_err() {
                state.lines_dropped += chunk.lines;
            }
            chunk.bytes.clear();
            if state.spares.len() < SPARES_MAX && chunk.bytes.capacity() <= SPARE_BYTES_MAX {
                state.spares.push(chunk.bytes);
            }
            if state.queue.is_empty() {
                self.idle.notify_all();
            }
        }
    }

    fn take(&self) -> Chunk {
        let mut state = self.lock();
        loop {
            if let Some(chunk) = state.queue.pop_front() {
                state.writing = true;
                return chunk;
            }
            state = self.queued.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests;
