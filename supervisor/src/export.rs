//! What leaves the node: access-log lines from the workers' journals, and the figures of `/metrics`.
//!
//! `Exporter` drains journals into one buffer and hands it to the `spool`, whose thread writes it: a reader
//! of the log that stops reading costs lines, which are counted, never time of the supervisor or a worker.

pub mod spool;
pub mod sampler;
pub mod security_log;
pub mod process;
pub mod snapshot;
pub mod render;
pub mod overload;

use edge_worker::config::telemetry::{LogFormat, LogLevel};
use edge_worker::pipeline::rejection::Fault;
use edge_worker::telemetry::log::line::{write_json, write_pretty};
use edge_worker::telemetry::log::{AccessLine, AccessView, NameTexts, Scratch, event_line};
use sampler::Kind;
use security_log::SecurityLog;
use shm::{Authority, SLOTS_MAX, Shared, WorkerSlot};
use spool::Spool;
use std::cell::RefCell;
use std::time::Duration;

/// Formats the records of all journals. The only reader of them.
pub struct Exporter {
    shared: &'static Shared,
    names: NameTexts,
    scratch: Scratch,
    spool: Spool,
    security: SecurityLog,
    format: LogFormat,
    threshold: LogLevel,
    /// Lines on their way to the spool, and how many.
    buffer: Vec<u8>,
    lines: u64,
}

/// Time between two drains while clients are connected. A journal holds twice what a core serves in it.
const BUSY: Duration = Duration::from_millis(25);
/// The same while nobody is connected.
const IDLE: Duration = Duration::from_millis(50);
/// Records taken from one journal in one drain: all that it can hold.
const RECORDS_MAX: usize = 4_096;
/// From this size on the lines are handed over before the next journal is read.
const CHUNK_BYTES: usize = 256 << 10;

impl Exporter {
    #[must_use]
    pub fn new(
        authority: &'static Authority,
        shared: &'static Shared,
        spool: Spool,
        security: SecurityLog,
        format: LogFormat,
        threshold: LogLevel,
    ) -> Self {
        Exporter {
            shared,
            names: NameTexts::new(&authority.names),
            scratch: Scratch::default(),
            spool,
            security,
            format,
            threshold,
            buffer: Vec::new(),
            lines: 0,
        }
    }

    /// Drains every journal that has an owner. Returns the number of records.
    pub fn drain(&mut self) -> usize {
        let mut records = 0;
        for index in 0..SLOTS_MAX {
            // A slot without an owner was drained when its owner was reaped; its pages need not be touched.
            if self.shared.workers[index].pid() != 0 {
                records += self.format(index);
                if self.buffer.len() >= CHUNK_BYTES {
                    self.hand_over();
                }
            }
        }
        self.hand_over();
        self.security.report();
        records
    }

    /// The last lines of the node.
    pub fn finish(&mut self) {
        self.drain();
        self.security.finish();
    }

    /// Drains one journal: the last words of a worker that was reaped. Call before its block is cleared.
    pub fn drain_slot(&mut self, slot: WorkerSlot) -> usize {
        let records = self.format(slot.index());
        self.hand_over();
        records
    }

    /// How long the journals may be left alone.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.shared.workers.iter().any(|worker| worker.connections() > 0) { BUSY } else { IDLE }
    }

    /// A worker died and will be replaced.
    pub fn restarted(&self, slot: WorkerSlot) {
        let slot = u16::try_from(slot.index()).expect("a slot is below 64");
        self.security.figures().worker_restarted(slot);
    }

    fn format(&mut self, index: usize) -> usize {
        let Exporter { names, scratch, security, format, threshold, buffer, lines, .. } = self;
        self.shared.journals[index].drain(RECORDS_MAX, |words| {
            let Some(view) = AccessView::decode(words, scratch) else { return };
            // Whatever LOG_LEVEL says: an audit must not depend on how talkative the log is.
            for event in view.events.iter().filter(|event| security.admits(Kind::Event(*event))) {
                match format {
                    LogFormat::Json => event_line::write_json(&view, event, names, buffer),
                    LogFormat::Pretty => event_line::write_pretty(&view, event, names, buffer),
                }
                *lines += 1;
            }
            if !is_written(&view, *threshold, security) {
                return;
            }
            match format {
                LogFormat::Json => write_json(&view, names, buffer),
                LogFormat::Pretty => write_pretty(&view, names, buffer),
            }
            *lines += 1;
        })
    }

    fn hand_over(&mut self) {
        if self.lines > 0 {
            self.spool.push(&mut self.buffer, self.lines);
            self.lines = 0;
        }
    }
}

/// Whether a request has its line. Clients may cause refusals as often as they like, but not fill the disk with them.
fn is_written(view: &AccessView<'_>, threshold: LogLevel, security: &SecurityLog) -> bool {
    view.line == AccessLine::Written
        && view.level().passes(threshold)
        && (!matches!(view.reason.fault(), Some(Fault::Client | Fault::Load))
            || security.admits(Kind::RefusedRequest))
}

/// Drains for ever. The exporter stays reachable for [`Exporter::drain_slot`] between two drains.
pub async fn run(exporter: &RefCell<Exporter>) {
    loop {
        let pause = exporter.borrow().pause();
        tokio::time::sleep(pause).await;
        exporter.borrow_mut().drain();
    }
}

#[cfg(test)]
mod tests;
