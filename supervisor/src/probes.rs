//! Asks every service how it is, every two seconds, and tells the region: `/ready`, `/health` and
//! `/<service>/health` answer from that. One thread: the supervisor's counters have one writer.

use crate::export::process::resident_bytes;
use edge_worker::clock;
use edge_worker::config::services::Service;
use edge_worker::telemetry::metrics::{Metric, bucket};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use shm::counters::SeriesKey;
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
    pub shared: &'a Shared,
}

/// Probes for ever; the first round begins at once. `names` are the services' region names.
pub async fn run(board: Board<'_>, services: &[Service], names: &[u16]) {
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        board.note_memory();
        round(board, services, names).await;
    }
}

/// Probes every service once, all at the same time. Ends within [`PROBE_TIMEOUT`], and a little.
pub async fn round(board: Board<'_>, services: &[Service], names: &[u16]) {
    let mut probes = JoinSet::new();
    for (index, service) in (0..=u8::MAX).zip(services) {
        let instances: Vec<_> = service
            .instances
            .iter()
            .map(|instance| (instance.authority.clone(), instance.addresses.clone()))
            .collect();
        let path = service.health_path.clone();
        probes.spawn(async move { (index, service_answers(instances, path).await) });
    }
    while let Some(finished) = probes.join_next().await {
        let Ok((index, latency)) = finished else { continue };
        let name = names.get(usize::from(index)).copied().unwrap_or(0);
        board.note(index, name, latency);
    }
}

impl Board<'_> {
    /// The node looks at itself, too: workers read no file, so `/ready` has its memory from here.
    fn note_memory(self) {
        let workers: Vec<u32> =
            self.shared.workers.iter().map(WorkerBlock::pid).filter(|pid| *pid != 0).collect();
        self.readiness.set_resident_bytes(self.writer, resident_bytes(&workers));
    }

    /// `latency` is `None` for a service that could not be reached.
    fn note(self, index: u8, name: u16, latency: Option<Duration>) {
        let state = match latency {
            None => State::Error,
            Some(latency) if latency > SLOW => State::Slow,
            Some(_) => State::Ok,
        };
        let taken = latency.unwrap_or(PROBE_TIMEOUT);
        let latency_us = u32::try_from(taken.as_micros()).unwrap_or(u32::MAX);
        self.readiness.set(self.writer, Check::Service(index), state, latency_us, clock::wall_millis());
        let metric = Metric::HealthCheckDuration;
        let taken_ns = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        let counters = &self.shared.cumulative;
        let cell = counters.histogram(SeriesKey::new(metric.number(), name, 0, 0));
        counters.observe(cell, bucket(metric.definition().buckets, taken_ns), taken_ns);
    }
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
