//! One service accepts and never answers, while people go on asking for it and for others.

use super::{Figures, Size, tell};
use crate::harness::{Backend, Client, Command, Edge, Script, Token, polling};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Of minting, whose calls may take 90 s: no circuit opens within the minute.
const STALLED: &str = "/api/v1/mint/jobs";
const OTHERS: [&str; 3] = ["/api/v1/events", "/api/v1/tickets", "/api/v1/orders"];
/// Requests a second to the other services, and clients that send them.
const PACE: f64 = 400.0;
const CLIENTS: usize = 16;
/// One request to the stalled service so often: within a minute many times what the bulkhead has places for.
const MINT_EVERY: Duration = Duration::from_millis(20);
/// What a place may cost a worker, generously: buffers of both sides, the connection's task, the client's own.
const PLACE_BYTES_MAX: u64 = 64 << 10;

struct Round {
    before: Figures,
    during: Figures,
    refused: u64,
    grown_bytes: u64,
    connections: u64,
}

#[test]
fn one_stalled_service_takes_nothing_from_the_others() {
    let size = Size::of_run();
    let (rounds, places) = (size.pick(1, 5), size.pick(16, 256));
    let (before, during) = size.pick((1, 3), (20, 60));
    let mut factors = Vec::new();
    for round in 1..=rounds {
        let seen = stall(places, Duration::from_secs(before), Duration::from_secs(during));
        let factor = seen.during.at(99).as_secs_f64() / seen.before.at(99).as_secs_f64();
        tell(&format!("stall, round {round}, others before"), &seen.before.text());
        tell(&format!("stall, round {round}, others during {during} s"), &seen.during.text());
        let Round { refused, grown_bytes, connections, .. } = seen;
        tell(
            &format!("stall, round {round}"),
            &format!(
                "p99 x{factor:.2}, {connections} connections to the stalled service, {refused} refused, workers {grown_bytes} bytes larger"
            ),
        );
        assert_eq!(connections, places, "as many as there are places");
        assert!(refused > 0, "the rest is refused");
        assert!(grown_bytes < places * PLACE_BYTES_MAX + (8 << 20), "{grown_bytes} bytes");
        factors.push(factor);
    }
    factors.sort_by(f64::total_cmp);
    let median = factors[factors.len() / 2];
    tell("stall, p99 of the others, median of the rounds", &format!("x{median:.2}"));
    if size == Size::Full {
        assert!(median <= 1.5, "{factors:?}");
    }
}

fn stall(places: u64, before: Duration, during: Duration) -> Round {
    let stalled = Backend::named("minting").on("/admin/jobs", Script::hanging());
    let services = Backend::start();
    let command = Command::run(&services).workers(2).service("minting", &stalled);
    let edge = command.set("FLOODGATE_SERVICE_IN_FLIGHT_MAX_MINTING", &places.to_string()).start();
    // Once, so that buffers and pools are what they are in use.
    send_paced(&edge, Duration::from_millis(500));
    let memory = edge.worker_memory_bytes();
    let before = send_paced(&edge, before);
    let is_over = AtomicBool::new(false);
    let (during, grown_bytes) = std::thread::scope(|scope| {
        let minting = scope.spawn(|| mint(&edge, &is_over));
        let during = send_paced(&edge, during);
        let grown_bytes = edge.worker_memory_bytes().saturating_sub(memory);
        is_over.store(true, Ordering::SeqCst);
        drop(minting.join().expect("minting does not panic"));
        (during, grown_bytes)
    });
    let refused = edge.metrics().count("gateway_bulkhead_rejections_total", &[("service", "minting")]);
    let connections = stalled.received().iter().filter(|received| received.method == "POST").count() as u64;
    Round { before, during, refused, grown_bytes, connections }
}

/// Asks the stalled service until it is over. Who is refused goes; who is not stays on the line.
fn mint(edge: &Edge, is_over: &AtomicBool) -> Vec<Client> {
    let token = Token::of_role("admin").build();
    let mut clients: Vec<(Instant, Client)> = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let mut client = edge.client();
        client.request("POST", STALLED).bearer(&token).body("{}").send_only();
        clients.push((Instant::now(), client));
        // The oldest first: those that have waited longer than the queue lets anybody have a place, or an answer.
        if let Some(index) = clients.iter().position(|(since, _)| since.elapsed() > Duration::from_secs(1)) {
            let (_, mut client) = clients.swap_remove(index);
            client.set_timeout(Duration::from_millis(1));
            if client.try_response_to("POST").is_err() {
                clients.push((Instant::now(), client));
            }
        }
        polling::pause(MINT_EVERY);
    }
    clients.into_iter().map(|(_, client)| client).collect()
}

/// Sends to the other services at a constant pace; each time counts from when its request was due.
fn send_paced(edge: &Edge, window: Duration) -> Figures {
    let token = Token::valid().build();
    let (next, times) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = edge.client();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let due = began + Duration::from_secs_f64(number as f64 / PACE);
                    if due >= began + window {
                        return;
                    }
                    polling::pause(due.saturating_duration_since(Instant::now()));
                    client.fetch_as(&token, OTHERS[number % OTHERS.len()]).expect_status(200);
                    times.lock().expect("no client panics with it").push(due.elapsed());
                }
            });
        }
    });
    Figures::of(times.into_inner().expect("no client panicked"))
}
