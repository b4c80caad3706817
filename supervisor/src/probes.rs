//! Asks every service and Redis how they are, every two seconds, and tells the region: `/ready`, `/health` and
//! `/<service>/health` answer from that.

use crate::cluster::connection::Connection;
use crate::export::process::resident_bytes;
use crate::figures::Figures;
use edge_worker::clock;
use edge_worker::config::services::Service;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use shm::readiness::{Check, Readiness, State};
use shm::workers::WorkerBlock;
use shm::{AuthorityWriter, Shared};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
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
    /// A link of its own, so that a PING waits behind nothing; `None` while the node runs alone.
    pub redis: Option<Connection>,
}

/// Probes for ever; the first round begins at once.
pub async fn run(board: Board<'_>, probed: &Probed) {
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        board.note_memory();
        round(board, probed).await;
    }
}

/// Probes everything once, all at the same time. Ends within [`PROBE_TIMEOUT`], and a little.
pub async fn round(board: Board<'_>, probed: &Probed) {
    let Probed { services, names, redis } = probed;
    let mut probes = JoinSet::new();
    if let Some(redis) = redis.clone() {
        probes.spawn(async move { (Check::Redis, redis_answers(redis).await) });
    }
    for (index, service) in (0..=u8::MAX).zip(services) {
        let instances: Vec<_> = service
            .instances
            .iter()
            .map(|instance| (instance.authority.clone(), instance.addresses.clone()))
            .collect();
        let path = service.health_path.clone();
        probes.spawn(async move { (Check::Service(index), service_answers(instances, path).await) });
    }
    while let Some(finished) = probes.join_next().await {
        let Ok((check, latency)) = finished else { continue };
        let name = match check {
            Check::Redis => 0,
            Check::Service(index) => names.get(usize::from(index)).copied().unwrap_or(0),
        };
        board.note(check, name, latency);
    }
}

impl Board<'_> {
    /// The node looks at itself, too: workers read no file, so `/ready` has its memory from here.
    fn note_memory(self) {
        let workers: Vec<u32> =
            self.shared.workers.iter().map(WorkerBlock::pid).filter(|pid| *pid != 0).collect();
        self.readiness.set_resident_bytes(self.writer, resident_bytes(&workers));
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

/// The time of the fastest instance that answers below 500; a service with one such instance can be used.
async fn service_answers(instances: Vec<(String, Vec<SocketAddr>)>, path: String) -> Option<Duration> {
    let mut probes = JoinSet::new();
    for (authority, addresses) in instances {
        for address in addresses {
            probes.spawn(probe(address, authority.clone(), path.clone()));
        }
    }
    let answered = async {
        while let Some(finished) = probes.join_next().await {
            if let Ok(Ok(latency)) = finished {
                return Some(latency);
            }
        }
        None
    };
    tokio::time::timeout(PROBE_TIMEOUT, answered).await.unwrap_or(None)
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
async fn probe(address: SocketAddr, authority: String, path: String) -> Result<Duration, ProbeFault> {
    let started = clock::now();
    let stream = TcpStream::connect(address).await?;
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
