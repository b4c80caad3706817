//! The private address: metrics and health of the node, read only. What changes anything is in `control`.
//!
//! Two doors to the same answers: a TCP address (default loopback) for operators, and the unix socket
//! `metrics.sock` through which workers forward the scrapes that they allow.

pub mod sockets;
pub mod order;
pub mod circuits;
pub mod control;
pub mod operator;

use crate::endpoints::Endpoints;
use crate::export::render::{CONTENT_TYPE, Facts, Scrape};
use crate::export::spool::Spool;
use edge_worker::clock;
use edge_worker::config::WorkerSettings;
use edge_worker::local::{Node, health, live, ready};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_NAME, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use shm::{Authority, Shared};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

/// What the answers are made from. One a supervisor, shared by all connections.
pub struct Admin {
    authority: &'static Authority,
    shared: &'static Shared,
    spool: Spool,
    /// Replaced whole when a new configuration takes effect.
    current: RwLock<Arc<Current>>,
}

/// What changes with the configuration.
pub struct Current {
    pub settings: WorkerSettings,
    pub facts: Facts,
    /// `ENABLE_METRICS`.
    pub metrics_enabled: bool,
    /// Where the services are.
    pub endpoints: Arc<Endpoints>,
}

/// Through which door a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// `Host` is checked: a browser that was lured to a name with our address must get nothing (DNS rebinding).
    Address,
    /// Who may open the socket was decided by its mode; workers pass the client's `Host` on.
    Socket,
}

/// Connections at a time, both doors together.
const CONNECTIONS_MAX: usize = 64;
/// A client that sends no complete head by then is gone.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left, say), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Answer = Response<Full<Bytes>>;

impl Admin {
    #[must_use]
    pub fn new(
        authority: &'static Authority,
        shared: &'static Shared,
        spool: Spool,
        current: Current,
    ) -> Self {
        Admin { authority, shared, spool, current: RwLock::new(Arc::new(current)) }
    }

    /// A new configuration took effect.
    pub fn configured(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers on both doors for ever.
    pub async fn serve(self: Arc<Self>, address: TcpListener, socket: UnixListener) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        tokio::join!(
            Arc::clone(&self).serve_address(address, Arc::clone(&permits)),
            self.serve_socket(socket, permits)
        );
    }

    async fn serve_address(self: Arc<Self>, listener: TcpListener, permits: Arc<Semaphore>) {
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    drop(tokio::spawn(Arc::clone(&self).connection(stream, Door::Address, permit)))
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn serve_socket(self: Arc<Self>, listener: UnixListener, permits: Arc<Semaphore>) {
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    drop(tokio::spawn(Arc::clone(&self).connection(stream, Door::Socket, permit)))
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        door: Door,
        _permit: tokio::sync::OwnedSemaphorePermit,
    ) {
        let answer = service_fn(|request: Request<Incoming>| {
            let admin = Arc::clone(&self);
            async move { Ok::<_, Infallible>(admin.answer(door, &request).await) }
        });
        // An error ends the connection of a client that broke off or sent nonsense; there is nobody to tell.
        let _ = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }

    async fn answer<Body>(&self, door: Door, request: &Request<Body>) -> Answer {
        if door == Door::Address && !host_is_an_address(request) {
            return plain(StatusCode::FORBIDDEN, "The Host header must be an IP address or localhost.\n");
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "This address only reads.\n");
            answer.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let path = request.uri().path();
        if path == "/metrics" {
            return self.metrics().await;
        }
        match door {
            Door::Address => self.health(path),
            Door::Socket => plain(StatusCode::NOT_FOUND, "No such resource.\n"),
        }
    }

    async fn metrics(&self) -> Answer {
        let current = self.current();
        if !current.metrics_enabled {
            return plain(StatusCode::NOT_FOUND, "Metrics are switched off (ENABLE_METRICS).\n");
        }
        let instances = current.endpoints.seen(clock::now().millis().0);
        let scrape = Scrape::take(self.authority, self.shared, &current.facts, &self.spool, &instances);
        match tokio::task::spawn_blocking(move || scrape.render()).await {
            Ok(text) => written(StatusCode::OK, CONTENT_TYPE, text),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be rendered.\n"),
        }
    }

    fn health(&self, path: &str) -> Answer {
        let current = self.current();
        let set = current.endpoints.watch();
        let set = Arc::clone(&set.borrow());
        let node = Node::new(self.authority, self.shared, &current.settings, &set);
        let mut body = Vec::with_capacity(512);
        let status = match path {
            "/live" => live::live(&mut body),
            "/health/live" => live::health_live(&mut body),
            "/health/startup" => live::startup(&node, &mut body),
            "/ready" | "/health/ready" => ready::ready(&node, &mut body),
            "/health" => health::health(&node, health::Detail::Full, &mut body),
            _ => return plain(StatusCode::NOT_FOUND, "No such resource.\n"),
        };
        let status = StatusCode::from_u16(status).expect("the local answers use registered status codes");
        written(status, "application/json", body)
    }
}

/// Head of an admin request; the smallest that hyper accepts.
const HEAD_BYTES_MAX: usize = 8_192;

/// Whether `Host` holds an IP address or `localhost`, with or without a port. HTTP/1.0 may leave it out: no
/// browser does.
fn host_is_an_address<Body>(request: &Request<Body>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return request.version() == hyper::Version::HTTP_10 && request.headers().get(HOST).is_none();
    };
    let Ok(host) = host.to_str() else { return false };
    if let Some(literal) = host.strip_prefix('[') {
        let Some((address, port)) = literal.split_once(']') else { return false };
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && port.strip_prefix(':').is_none_or(is_port)
            && (port.is_empty() || port.starts_with(':'));
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    port.is_none_or(is_port)
        && (name.eq_ignore_ascii_case("localhost") || matches!(name.parse(), Ok(IpAddr::V4(_))))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    written(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

fn written(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE_NAME, hyper::header::HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests;
