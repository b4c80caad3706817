//! Journals in, lines out.

use super::*;
use edge_worker::http::method::Method;
use edge_worker::telemetry::log::{AccessRecord, RECORD_WORDS_MAX};
use edge_worker::telemetry::metrics::Metric;
use edge_worker::telemetry::security_events::EventSet;
use shm::SupervisorRegion;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Hands on what is written to it.
struct Tap(Sender<Vec<u8>>);

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Bench {
    shared: &'static Shared,
    exporter: Exporter,
    spool: Spool,
    lines: Receiver<Vec<u8>>,
}

fn bench(format: LogFormat, threshold: LogLevel) -> Bench {
    let region = SupervisorRegion::create().expect("a memfd can be made");
    let (sender, lines) = channel();
    let spool = Spool::start(Tap(sender), spool::SPOOL_BYTES_MAX).expect("a thread");
    let exporter = Exporter::new(
        region.authority(),
        region.shared(),
        spool.clone(),
        SecurityLog::new(region.shared()),
        format,
        threshold,
    );
    Bench { shared: region.shared(), exporter, spool, lines }
}

impl Bench {
    fn push(&self, slot: usize, status: u16) {
        let record = AccessRecord {
            wall_ms: 1,
            request_id: b"id",
            correlation_id: b"id",
            trace_id: [0; 16],
            span_id: [0; 8],
            method: Some(Method::Get),
            route: 0,
            status,
            duration_us: 1,
            service: 0,
            upstream_status: 0,
            user: b"",
            tenant: b"",
            role: 0,
            client: [127, 0, 0, 1].into(),
            user_agent: b"",
            bytes_in: 0,
            bytes_out: 0,
            rejection: None,
            events: EventSet::NONE,
            permission: 0,
            venue: None,
            target_tenant: b"",
            key_start: None,
            line: AccessLine::Written,
            worker: slot as u8,
        };
        let mut words = [0; RECORD_WORDS_MAX];
        let length = record.encode(&mut words);
        assert!(self.shared.journals[slot].push(&words[..length]));
    }

    fn written(&self) -> Vec<String> {
        assert!(self.spool.flush(Duration::from_secs(20)));
        let bytes: Vec<u8> = self.lines.try_iter().flatten().collect();
        String::from_utf8(bytes).expect("lines are UTF-8").lines().map(str::to_owned).collect()
    }
}

#[test]
fn records_of_every_worker_become_one_line_each() {
    let mut bench = bench(LogFormat::Json, LogLevel::Info);
    for slot in [0, 7] {
        bench.shared.workers[slot].begin(1, 1);
        bench.push(slot, 200);
        bench.push(slot, 404);
    }
    assert_eq!(bench.exporter.drain(), 4);
    let lines = bench.written();
    let workers: Vec<_> = lines
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["worker"].clone())
        .collect();
    assert_eq!(workers, [0, 0, 7, 7]);
    assert_eq!(bench.exporter.drain(), 0);
    assert!(bench.written().is_empty());
}

#[test]
fn a_dead_workers_last_records_are_not_lost() {
    let mut bench = bench(LogFormat::Pretty, LogLevel::Info);
    bench.push(3, 200);
    assert_eq!(bench.exporter.drain(), 0, "a slot without an owner is left alone");
    assert_eq!(bench.exporter.drain_slot(WorkerSlot::new(3).expect("a slot")), 1);
    assert_eq!(bench.written(), ["1970-01-01T00:00:00.001Z info GET unmatched 200 0.001ms id=id"]);
}

#[test]
fn lines_below_the_log_level_are_not_written() {
    let mut bench = bench(LogFormat::Json, LogLevel::Error);
    bench.shared.workers[0].begin(1, 1);
    bench.push(0, 200);
    bench.push(0, 500);
    assert_eq!(bench.exporter.drain(), 2);
    assert_eq!(bench.written().len(), 1);
}

#[test]
fn words_that_are_no_record_are_skipped() {
    let mut bench = bench(LogFormat::Json, LogLevel::Info);
    bench.shared.workers[0].begin(1, 1);
    assert!(bench.shared.journals[0].push(&[1, 2, 3]));
    bench.push(0, 200);
    assert_eq!(bench.exporter.drain(), 2);
    assert_eq!(bench.written().len(), 1);
}

#[test]
fn a_full_journal_is_drained_at_once() {
    let mut bench = bench(LogFormat::Json, LogLevel::Info);
    bench.shared.workers[0].begin(1, 1);
    for _ in 0..RECORDS_MAX {
        bench.push(0, 200);
    }
    assert_eq!(bench.exporter.drain(), RECORDS_MAX);
    assert_eq!(bench.written().len(), RECORDS_MAX);
    assert_eq!(bench.shared.journals[0].dropped(), 0);
}

#[tokio::test]
async fn the_loop_drains_by_itself() {
    let bench = bench(LogFormat::Json, LogLevel::Info);
    bench.shared.workers[0].begin(1, 1);
    bench.push(0, 200);
    let exporter = RefCell::new(bench.exporter);
    let drained = async {
        while bench.spool.flush(Duration::from_secs(20)) && bench.lines.try_recv().is_err() {
            tokio::time::sleep(BUSY).await;
        }
    };
    tokio::select! {
        () = run(&exporter) => {}
        () = drained => {}
    }
    assert_eq!(exporter.borrow_mut().drain(), 0, "the loop has taken it");
}

#[test]
fn a_restart_is_counted_under_its_slot() {
    let bench = bench(LogFormat::Json, LogLevel::Info);
    bench.exporter.restarted(WorkerSlot::new(3).expect("a slot"));
    let mut restarts = Vec::new();
    bench.shared.cumulative.each_counter(|key, value| restarts.push((key.metric(), key.labels(), value)));
    assert_eq!(restarts, [(Metric::WorkerRestarts.number(), [3, 0, 0], 1)]);
}

#[test]
fn journals_are_looked_at_less_often_while_nobody_is_connected() {
    let bench = bench(LogFormat::Json, LogLevel::Info);
    assert_eq!(bench.exporter.pause(), IDLE);
    bench.shared.workers[1].begin(1, 1);
    bench.shared.workers[1].connections_add();
    assert_eq!(bench.exporter.pause(), BUSY);
}
