//! Services for tests: real listeners on loopback that answer what a script says and remember what they were asked.

use super::caller::Caller;
use super::circuit::Circuit;
use super::connector::Site;
use crate::endpoints::Endpoints;
use crate::line::Verifier;
use edge_worker::config::bulkheads::Bulkhead;
use edge_worker::config::headers::Scheme;
use edge_worker::config::instances::InstanceSettings;
use edge_worker::config::lookups::identity::{
    CredentialMode, IdentitySettings, OutagePolicy, UserCheck, VenueAccessMode,
};
use edge_worker::config::services::{Criticality, Instance, SERVICES, Service, ServiceId};
use shm::SupervisorRegion;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// What happens to one request.
#[derive(Clone)]
pub(super) enum Reply {
    /// A status, further header lines, and a JSON body.
    Answer(u16, &'static str, String),
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    Never,
    /// These bytes, and then nothing more on an open connection.
    Stall(&'static str),
    /// As `Answer` with status 200, but only once this is notified.
    Held(Arc<Notify>, String),
}

pub(super) fn json(status: u16, body: impl Into<String>) -> Reply {
    Reply::Answer(status, "", body.into())
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    /// In lower case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

pub(super) struct Backend {
    pub(super) address: SocketAddr,
    seen: watch::Receiver<Vec<Seen>>,
    connections: watch::Receiver<usize>,
}

impl Backend {
    /// Answers requests in the order of the script; its last reply goes on for ever.
    pub(super) async fn start(script: impl IntoIterator<Item = Reply>) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let (record, seen) = watch::channel(Vec::new());
        let (count, connections) = watch::channel(0);
        let record = Arc::new(record);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("it listens");
                count.send_modify(|count| *count += 1);
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&record)));
            }
        });
        Backend { address, seen, connections }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    pub(super) async fn wait_for_requests(&self, count: usize) {
        let mut seen = self.seen.clone();
        seen.wait_for(|seen| seen.len() >= count).await.expect("the backend lives");
    }
}

/// An address at which nothing listens.
pub(super) async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it is bound")
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Reply>>>,
    record: Arc<watch::Sender<Vec<Seen>>>,
) {
    while let Some(seen) = read_request(&mut stream).await {
        record.send_modify(|all| all.push(seen));
        let reply = {
            let mut script = script.lock().expect("no test panics within");
            let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
            next.expect("a script has replies")
        };
        let bytes = match reply {
            Reply::Answer(status, headers, body) => answer(status, headers, &body),
            Reply::Held(notify, body) => {
                notify.notified().await;
                answer(200, "", &body)
            }
            Reply::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Never => std::future::pending().await,
            Reply::Stall(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                std::future::pending().await
            }
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_length = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes.get(..head_length)?.to_vec()).ok()?;
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut seen = Seen { line, headers, body: String::new() };
    let length = seen.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while bytes.len() < head_length + length {
        stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
    }
    seen.body = String::from_utf8(bytes.split_off(head_length)).ok()?;
    Some(seen)
}

/// Verifies nobody, since there is nobody who could vouch.
pub(super) fn nobody() -> Verifier {
    Verifier::new(&[]).expect("the provider has every version")
}

pub(crate) fn service(addresses: Vec<SocketAddr>) -> Service {
    let instance = Instance {
        scheme: Scheme::Http,
        host: "service.internal".to_owned(),
        port: 3001,
        authority: "service.internal:3001".to_owned(),
        addresses,
    };
    Service {
        name: "auth".to_owned(),
        instances: vec![instance],
        criticality: Criticality::Ready,
        read_timeout_ms: 1,
        write_timeout_ms: 1,
        body_bytes_max: 1,
        pool_idle_ms: 60_000,
        health_path: "/health/live".to_owned(),
        breaker: SERVICES[0].breaker,
        bulkhead: Bulkhead { in_flight_max: 1, queue_max: 1, queue_ms: 1 },
    }
}

/// That service as the supervisor asks it.
pub(super) fn caller(id: ServiceId, addresses: Vec<SocketAddr>, circuit: Circuit) -> Caller {
    let region = Box::leak(Box::new(SupervisorRegion::create().expect("a memfd can be made")));
    let all: Vec<Service> = (0..=id.0).map(|_| service(addresses.clone())).collect();
    let names: Vec<u16> = (1..).take(all.len()).collect();
    let endpoints = Endpoints::of(&all, &names, InstanceSettings::default().rules(), region);
    let site = Site { verifier: &nobody(), endpoints: &Arc::new(endpoints) };
    Caller::new(id, &service(addresses), site, circuit)
}

/// The platform's defaults, with no credential.
pub(super) fn settings() -> IdentitySettings {
    IdentitySettings {
        user_check: UserCheck::Always,
        user_path: "/auth/internal/users/{userId}".to_owned(),
        user_stale_s: 900,
        outage_policy: OutagePolicy::Deny,
        validate_path: "/auth/verify".to_owned(),
        remote_validate: true,
        venue_access_mode: VenueAccessMode::Bearer,
        venue_access_path: "/api/v1/venues/{venueId}/check-access".to_owned(),
        venue_list_path: "/api/v1/venues/user".to_owned(),
        venue_access_ttl_s: 600,
        mode: CredentialMode::None,
        service_token: None,
        signature: None,
    }
}
