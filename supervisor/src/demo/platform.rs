//! The nineteen simulated services, each a small HTTP/1.1 server on a loopback port.

use super::auth_service::{Answer, AuthService};
use super::catalogue;
use super::venue_service;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

/// The running platform. Its servers are tasks of the runtime that started it and end with it.
pub struct Platform {
    auth: Rc<AuthService>,
    addresses: Vec<(&'static str, SocketAddr)>,
}

impl Platform {
    /// Binds and serves all services. Must be called on a current-thread runtime inside a `LocalSet`.
    pub async fn start() -> io::Result<Platform> {
        let auth = Rc::new(AuthService::start()?);
        let mut addresses = Vec::with_capacity(SERVICES.len());
        for name in SERVICES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            addresses.push((name, listener.local_addr()?));
            let service = Rc::new(Service { name, auth: Rc::clone(&auth), requests: Cell::new(0) });
            tokio::task::spawn_local(serve(listener, service));
        }
        Ok(Platform { auth, addresses })
    }

    #[must_use]
    pub fn public_key_pem(&self) -> &str {
        self.auth.public_pem()
    }

    /// What auth-service knows the edge by.
    #[must_use]
    pub fn service_token(&self) -> &str {
        self.auth.service_token()
    }

    /// The `*_SERVICE_URL` variables with their values.
    pub fn urls(&self) -> impl Iterator<Item = (String, String)> {
        self.addresses.iter().map(|(name, address)| {
            (format!("{}_SERVICE_URL", name.to_ascii_uppercase()), format!("http://{address}"))
        })
    }
}

struct Service {
    name: &'static str,
    auth: Rc<AuthService>,
    requests: Cell<u64>,
}

async fn serve(listener: TcpListener, service: Rc<Service>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely; connections that end give some back.
            tokio::task::yield_now().await;
            continue;
        };
        let service = Rc::clone(&service);
        let answers = service_fn(move |request| {
            let service = Rc::clone(&service);
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answers);
        // A client that goes away ends its connection and nothing else.
        tokio::task::spawn_local(async move { drop(connection.await) });
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.requests.set(self.requests.get() + 1);
        let (head, body) = request.into_parts();
        // Larger bodies are cut off: this is a demonstration, not a file store.
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map(|whole| whole.to_bytes()).unwrap_or_default();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let (status, document) = match head.uri.path() {
            "/health" | "/health/live" => (200, json!({ "status": "ok", "service": self.name })),
            "/metrics" => return text(&self.metrics()),
            path => self
                .own_answer(&head.method, path, &head.headers, &body)
                .unwrap_or_else(|| (200, self.echo(&head.method, target, &head.headers, &body))),
        };
        json_answer(status, &document)
    }

    /// What this service has of its own; everything else is echoed.
    fn own_answer(&self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Option<Answer> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (tenant, user) = (header("x-tenant-id"), header("x-user-id"));
        match (self.name, method.as_str(), path) {
            ("auth", "POST", "/auth/login") => Some(self.auth.log_in(body, now_s())),
            ("auth", "POST", "/auth/refresh") => Some(self.auth.refresh(body, now_s())),
            ("auth", "GET", "/auth/me") => Some(self.auth.me(user)),
            ("auth", "GET", path) => {
                let id = path.strip_prefix("/auth/internal/users/")?;
                Some(self.auth.record(id, tenant, header("x-service-token")))
            }
            ("venue", "GET", path) => venue_service::answer(path, self.auth.bearer(header("authorization")))
                .or_else(|| resource(path, "/api/v1/venues", catalogue::venues(tenant))),
            ("event", "GET", path) => resource(path, "/api/v1/events", catalogue::events(tenant)),
            ("ticket", "GET", path) => resource(path, "/api/v1/tickets", catalogue::tickets(tenant, user)),
            _ => None,
        }
    }

    /// The request as it arrived, so that one sees what the edge made of it.
    fn echo(&self, method: &Method, target: &str, headers: &HeaderMap, body: &[u8]) -> Value {
        let fields: Vec<Value> = headers
            .iter()
            .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
            .collect();
        json!({
            "service": self.name,
            "method": method.as_str(),
            "target": target,
            "headers": fields,
            "bodyBytes": body.len(),
        })
    }

    fn metrics(&self) -> String {
        format!(
            "# HELP demo_requests_total Requests this simulated service received.\n\
             # TYPE demo_requests_total counter\n\
             demo_requests_total{{service=\"{}\"}} {}\n",
            self.name,
            self.requests.get()
        )
    }
}

/// A list at `base`, its members below it; other paths are not of this kind.
fn resource(path: &str, base: &str, list: Vec<Value>) -> Option<Answer> {
    let below = path.strip_prefix(base)?;
    match below.strip_prefix('/') {
        None if below.is_empty() => Some((200, json!({ "data": list }))),
        Some(id) if !id.contains('/') => Some(match catalogue::find(list, id) {
            Some(found) => (200, found),
            None => (404, json!({ "error": "Not found" })),
        }),
        _ => None,
    }
}

fn json_answer(status: u16, document: &Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(document.to_string())));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn text(page: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(page.to_owned())));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    answer
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Names as in the variables that hold their URLs.
pub const SERVICES: [&str; 19] = [
    "auth",
    "venue",
    "event",
    "ticket",
    "payment",
    "marketplace",
    "analytics",
    "notification",
    "integration",
    "compliance",
    "queue",
    "search",
    "file",
    "monitoring",
    "blockchain",
    "order",
    "scanning",
    "minting",
    "transfer",
];

#[cfg(test)]
mod tests;
