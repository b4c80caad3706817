//! Every service fails, is left alone, is tried once, and comes back: what each of the nineteen circuits does,
//! and when.

use super::{Figures, Size, tell};
use crate::breakers::ROWS;
use crate::harness::polling::pause;
use crate::harness::{Backend, Command, Edge, Gate, Script, Token, eventually};
use edge_worker::config::services::SERVICES;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Clients that try all the time while the circuit is half-open.
const CLIENTS: usize = 4;
const WORKERS: usize = 2;
/// Between two tries of one of them.
const PAUSE: Duration = Duration::from_millis(10);

/// What the circuit of one service did.
struct Course {
    service: &'static str,
    calls: usize,
    opened_after: Duration,
    refused: usize,
    left_alone: Duration,
    probes: usize,
    recovered_after: Duration,
}

fn hits(backend: &Backend) -> usize {
    backend.received().iter().filter(|received| !received.target().contains("/health")).count()
}

fn course(edge: &Edge, backend: &Backend, token: &str, row: (&'static str, &str, &str)) -> Course {
    let (service, method, path) = row;
    let status = || edge.client().request(method, path).bearer(token).send().status;
    let began = Instant::now();
    while status() != 503 {}
    let (opened, opened_after) = (Instant::now(), began.elapsed());
    let calls = hits(backend);
    let gate = Gate::new();
    backend.script("/", Script::gated(&gate));
    let (refused, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (mut left_alone, mut recovered_after, mut probes) = (Duration::ZERO, Duration::ZERO, 0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while answered.load(Ordering::SeqCst) == 0 {
                    match status() {
                        200 => answered.fetch_add(1, Ordering::SeqCst),
                        _ => refused.fetch_add(1, Ordering::SeqCst),
                    };
                    pause(PAUSE);
                }
            });
        }
        while hits(backend) == calls {
            pause(Duration::from_millis(1));
        }
        left_alone = opened.elapsed();
        // All this time the others try as well.
        pause(Duration::from_millis(300));
        probes = hits(backend) - calls;
        let opened_gate = Instant::now();
        gate.open();
        while answered.load(Ordering::SeqCst) == 0 {
            pause(Duration::from_millis(1));
        }
        recovered_after = opened_gate.elapsed();
    });
    let refused = refused.into_inner();
    Course { service, calls, opened_after, refused, left_alone, probes, recovered_after }
}

#[test]
fn each_circuit_opens_at_its_volume_is_tried_once_and_recovers() {
    let size = Size::of_run();
    let backends = ROWS.map(|(service, ..)| {
        let healthy = Backend::named(service).on("/", Script::answer(500, &[], ""));
        healthy.on("/health", Script::answer(200, &[], ""))
    });
    let mut command = Command::run(&backends[0]).workers(WORKERS);
    for ((service, ..), backend) in ROWS.iter().zip(&backends) {
        command = command.service(service, backend);
    }
    // In full size by the platform's own times.
    let edge = match size {
        Size::Full => command.start(),
        Size::Small => command.set("CIRCUIT_BREAKER_RESET_TIMEOUT", "1500").start(),
    };
    eventually("the node is ready", || (edge.get("/ready").status == 200).then_some(()));
    let token = Token::of_role("admin").build();
    let courses: Vec<Course> = std::thread::scope(|scope| {
        let running: Vec<_> = ROWS
            .iter()
            .zip(&backends)
            .map(|(row, backend)| scope.spawn(|| course(&edge, backend, &token, *row)))
            .collect();
        running.into_iter().map(|one| one.join().expect("no course panics")).collect()
    });
    for course in courses {
        let defaults = SERVICES.iter().find(|row| row.name == course.service).expect("one of them");
        let reset = size.pick(Duration::from_millis(1_500), Duration::from_millis(defaults.breaker.reset_ms));
        tell(
            &format!("circuit of {}", course.service),
            &format!(
                "open after {} calls in {:.0?}; {} refused; tried after {:.1?} by {} call of {CLIENTS} clients on \
                 {WORKERS} workers; recovered {:.1?} after its answer",
                course.calls,
                course.opened_after,
                course.refused,
                course.left_alone,
                course.probes,
                course.recovered_after
            ),
        );
        assert_eq!(course.calls, usize::from(defaults.breaker.volume), "{}", course.service);
        assert_eq!(course.probes, 1, "{}", course.service);
        // It was open a little before the first client was told.
        assert!(course.left_alone + Duration::from_millis(250) >= reset, "{:?}", course.left_alone);
        assert!(course.refused > 0, "{}: nobody tried meanwhile", course.service);
    }
    edge.breaker(&["open", "search"]).expect_code(0);
    let mut client = edge.client();
    let refusals = (0..500).map(|_| {
        let asked = Instant::now();
        client.fetch_as(&token, "/api/v1/search").expect_status(503);
        asked.elapsed()
    });
    tell("refused by an open circuit, client and network included", &Figures::of(refusals.collect()).text());
}
