//! Asks every instance of every service and Redis how they are, every two seconds, and tells the region: `/ready`,
//! `/health` and `/<service>/health` answer from that, and workers leave instances out that are down.

mod streak;

use crate::cluster::connection::Connection;
use crate::endpoints::Endpoints;
use crate::export::process::resident_bytes;
use crate::figures::Figures;
use crate::line::{Line, Security, Verifier};
use edge_worker::clock;
use edge_worker::config::services::Service;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use shm::readiness::{Check, Readiness, State};
use shm::workers::WorkerBlock;
use shm::{AuthorityWriter, Shared};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use streak::Streak;
use tokio::task::JoinSet;

/// Between the starts of two rounds.
pub const PERIOD: Duration = Duration::from_secs(2);
/// A probe without an answer by then has failed.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// A later answer is slow.
pub const SLOW: Duration = Duration::from_millis(100);

const _: () = assert!(PROBE_TIMEOUT.as_millis() < PERIOD.as_millis(), "rounds never overlap");

/// Where results go.
#[derive(Clone, Copy)]
pub struct Board<'a> {
    pub readiness: &'a Readiness,
    pub writer: &'a AuthorityWriter,
    pub shared: &'static Shared,
}

/// What is probed.
pub struct Probed {
    pub services: Vec<Service>,
    /// The services' region names.
    pub names: Vec<u16>,
    /// Where their instances are.
    pub endpoints: Arc<Endpoints>,
    /// A link of its own, so that a PING waits behind nothing; `None` while the node runs alone.
    pub redis: Option<Connection>,
    pub verifier: Verifier,
}

/// How the last checks of each address went, by the place of its service.
#[derive(Default)]
pub struct Streaks(HashMap<(usize, SocketAddr), Streak>);

/// Probes for ever; the first round begins at once.
pub async fn run(board: Board<'_>, probed: &Probed) {
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut streaks = Streaks::default();
    loop {
        rounds.tick().await;
        board.note_memory();
        round(board, probed, &mut streaks).await;
    }
}

/// What one probe found: the time until the answer, if there was a good one.
struct Found {
    check: Check,
    /// None for Redis.
    address: Option<SocketAddr>,
    latency: Option<Duration>,
}

/// Probes everything once, all at the same time. Ends within [`PROBE_TIMEOUT`], and a little.
pub async fn round(board: Board<'_>, probed: &Probed, streaks: &mut Streaks) {
    let mut probes = JoinSet::new();
    if let Some(redis) = probed.redis.clone() {
        probes.spawn(async move {
            Found { check: Check::Redis, address: None, latency: redis_answers(redis).await }
        });
    }
    // A service is as well as the first of its instances that answers; then the others no longer count for it.
    let mut waiting: Vec<usize> = probed.services.iter().map(|_| 0).collect();
    let set = Arc::clone(&probed.endpoints.watch().borrow());
    for ((index, service), (listed, left)) in
        (0..=u8::MAX).zip(&probed.services).zip(set.services.iter().zip(&mut waiting))
    {
        let check = Check::Service(index);
        for one in listed {
            let Some(instance) = service.instances.get(usize::from(one.instance)) else { continue };
            let Some(security) = probed.verifier.security(&service.name, instance) else { continue };
            let (authority, path, address) =
                (instance.authority.clone(), service.health_path.clone(), one.address);
            probes.spawn(async move {
                let answered =
                    tokio::time::timeout(PROBE_TIMEOUT, probe((address, security), authority, path)).await;
                let latency = answered.ok().and_then(Result::ok);
                Found { check, address: Some(address), latency }
            });
            *left += 1;
        }
        if *left == 0 {
            board.note(check, probed.name(check), None);
        }
    }
    while let Some(finished) = probes.join_next().await {
        let Ok(Found { check, address, latency }) = finished else { continue };
        let Check::Service(index) = check else {
            board.note(check, 0, latency);
            continue;
        };
        let service = usize::from(index);
        if let Some(address) = address {
            board.judge(probed, streaks, (service, address), latency.is_some());
        }
        let Some(left) = waiting.get_mut(service).filter(|left| **left > 0) else { continue };
        *left = if latency.is_some() { 0 } else { *left - 1 };
        if *left == 0 {
            board.note(check, probed.name(check), latency);
        }
    }
    let listed = |place: &(usize, SocketAddr)| {
        set.services.get(place.0).is_some_and(|list| list.iter().any(|one| one.address == place.1))
    };
    streaks.0.retain(|place, _| listed(place));
}

impl Probed {
    /// The region name of what is checked; 0 for Redis.
    fn name(&self, check: Check) -> u16 {
        match check {
            Check::Redis => 0,
            Check::Service(index) => self.names.get(usize::from(index)).copied().unwrap_or(0),
        }
    }
}

impl Board<'_> {
    /// The node looks at itself, too: workers read no file, so `/ready` has its memory from here.
    fn note_memory(self) {
        let workers: Vec<u32> =
            self.shared.workers.iter().map(WorkerBlock::pid).filter(|pid| *pid != 0).collect();
        self.readiness.set_resident_bytes(self.writer, resident_bytes(&workers));
    }

    /// An instance was checked; says to the region what that makes of it.
    fn judge(self, probed: &Probed, streaks: &mut Streaks, place: (usize, SocketAddr), good: bool) {
        let Some(index) = probed.endpoints.find(place.0, place.1) else { return };
        let table = &self.shared.endpoints;
        let streak = streaks.0.entry(place).or_default();
        if let Some(health) = streak.note(good, table.health(index)) {
            table.set_health(self.writer, index, health, clock::now().millis().0);
        }
    }

    /// `latency` is `None` for what could not be reached. `name` is its region name, 0 for Redis.
    fn note(self, check: Check, name: u16, latency: Option<Duration>) {
        let state = match latency {
            None => State::Error,
            Some(latency) if latency > SLOW => State::Slow,
            Some(_) => State::Ok,
        };
        let taken = latency.unwrap_or(PROBE_TIMEOUT);
        let latency_us = u32::try_from(taken.as_micros()).unwrap_or(u32::MAX);
        self.readiness.set(self.writer, check, state, latency_us, clock::wall_millis());
        Figures::new(self.shared).probed(name, taken);
    }
}

/// The time of a PING. One that is late goes on, so that the breaker hears how it ended.
async fn redis_answers(redis: Connection) -> Option<Duration> {
    let asking = tokio::spawn(async move { redis.ping().await });
    tokio::time::timeout(PROBE_TIMEOUT, asking).await.ok()?.ok()?.ok()
}

/// Why a probe failed; only its being one matters so far.
#[derive(Debug, thiserror::Error)]
enum ProbeFault {
    #[error("cannot connect")]
    Connect(#[from] std::io::Error),
    #[error("no valid answer")]
    Answer(#[from] hyper::Error),
    #[error("cannot be asked for")]
    Request(#[from] hyper::http::Error),
    #[error("answered {0}")]
    Status(u16),
}

/// One GET on a connection of its own. The answer's head is enough.
async fn probe(
    (address, security): (SocketAddr, Security),
    authority: String,
    path: String,
) -> Result<Duration, ProbeFault> {
    let started = clock::now();
    let stream = Line::open(address, &security).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, authority)
        .header(hyper::header::CONNECTION, "close")
        .header(hyper::header::USER_AGENT, "floodgate-probe")
        .body(Empty::<Bytes>::new())?;
    let exchange = sender.send_request(request);
    tokio::pin!(exchange);
    let answer = tokio::select! {
        answer = &mut exchange => answer?,
        // A connection that is over has handed its answer across already, or never will.
        _ = connection => exchange.await?,
    };
    let status = answer.status().as_u16();
    if status < 500 { Ok(clock::now().since(started)) } else { Err(ProbeFault::Status(status)) }
}

#[cfg(test)]
mod tests;
