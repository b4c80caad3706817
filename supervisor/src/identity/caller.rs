//! One service as the supervisor asks it: pooled connections to its instances, chosen as workers choose them, bounded
//! answers, one circuit.
//! Redirects are never followed.

use super::asker::Asker;
use super::circuit::Circuit;
use super::connector::{self, Connector, Instances, Site};
use super::credential::{Credential, Subject};
use super::outage::{Alarm, Outage, Why};
use super::patience::{Failure, FailureKind, Patience};
use crate::endpoints::Endpoints;
use edge_worker::clock;
use edge_worker::config::services::{Service, ServiceId};
use edge_worker::control::endpoint_set::Listed;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use shm::breakers::Outcome;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// TCP and TLS together. Within an attempt's time, so that an instance that is gone counts as unconnected, not as slow.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// Longer answers to questions about one thing are not read.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longer lists are not read.
pub const LIST_BYTES_MAX: usize = 1024 * 1024;
/// The head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
/// Idle connections kept an instance.
const POOL_IDLE_MAX: usize = 32;
/// An alarm that goes on is repeated in the log this often.
const ALARM_PERIOD: Duration = Duration::from_secs(60);

const _: () = assert!(CONNECT_TIMEOUT.as_millis() < Patience::VENUE.attempt.as_millis());

pub struct Caller {
    id: ServiceId,
    name: String,
    instances: Instances,
    endpoints: Arc<Endpoints>,
    pool: Pool<Connector, Full<Bytes>>,
    circuit: Circuit,
    /// The alarm that was told last, and when.
    alarmed: Mutex<Option<(Alarm, Instant)>>,
}

/// A question, the same in every attempt but for its credential.
pub struct Question {
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Compact JSON; empty for none.
    pub body: Bytes,
    pub headers: HeaderMap,
    pub credential: Credential,
    pub answer_bytes_max: usize,
}

/// A whole answer with a status below 500 that is neither a redirect nor 429.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl Question {
    #[must_use]
    pub fn get(target: String, asker: &Asker, credential: Credential) -> Question {
        let mut headers = HeaderMap::new();
        asker.write(&mut headers);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("floodgate"));
        let answer_bytes_max = ANSWER_BYTES_MAX;
        Question { method: Method::GET, target, body: Bytes::new(), headers, credential, answer_bytes_max }
    }

    #[must_use]
    pub fn post(target: String, body: String, asker: &Asker, credential: Credential) -> Question {
        let mut question = Self::get(target, asker, credential);
        question.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Question { method: Method::POST, body: body.into(), ..question }
    }
}

impl Caller {
    /// Connections are made when they are needed, to where the service is then.
    #[must_use]
    pub fn new(id: ServiceId, service: &Service, site: Site<'_>, circuit: Circuit) -> Caller {
        let instances = Instances::new(service, site.verifier);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(service.pool_idle_ms))
            .pool_max_idle_per_host(POOL_IDLE_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http1_max_headers(HEADERS_MAX)
            .build(Connector(instances.clone()));
        Caller {
            id,
            name: service.name.clone(),
            instances,
            endpoints: Arc::clone(site.endpoints),
            pool,
            circuit,
            alarmed: Mutex::default(),
        }
    }

    /// Asks until there is an answer or patience ends.
    pub async fn ask(&self, question: &Question, patience: &Patience) -> Result<Answer, Outage> {
        // Of this question alone: a later attempt is made where the one before it failed only if there is nobody else.
        let mut failed = None;
        let attempt = |until| {
            let chosen = self.endpoints.choose(self.id, failed, rand::random());
            failed = chosen.map(|listed| listed.address);
            self.attempt(question, chosen, until)
        };
        let answer = patience.persist(rand::random::<f64>, attempt).await;
        answer.inspect_err(|outage| self.note(*outage))
    }

    /// An alarm goes into the log when it begins or changes, and once a minute while it lasts.
    pub fn note(&self, outage: Outage) {
        let Some(alarm) = outage.alarm else { return };
        let now = Instant::now();
        let mut alarmed = self.alarmed.lock().unwrap_or_else(PoisonError::into_inner);
        let repeated = |(last, at): (Alarm, Instant)| last == alarm && now < at + ALARM_PERIOD;
        if !alarmed.is_some_and(repeated) {
            *alarmed = Some((alarm, now));
            let (service, alarm) = (&self.name, alarm.word());
            tracing::error!(service, alarm, severity = "critical", "a service refuses the edge's credential");
        }
    }

    async fn attempt(
        &self,
        question: &Question,
        chosen: Option<Listed>,
        until: Instant,
    ) -> Result<Answer, Failure> {
        let listed = chosen.ok_or_else(|| last(Why::Unresolved.into()))?;
        let request = self.request(question, listed).map_err(last)?;
        let held = self.circuit.admit().ok_or_else(|| last(Why::CircuitOpen.into()))?;
        let began = clock::now();
        let result = match timeout_at(until, self.exchange(request, question.answer_bytes_max)).await {
            Ok(result) => result,
            Err(_) => Err(transient(Why::TimedOut, Outcome::Failure)),
        };
        let (result, outcome) = match result {
            Ok(answer) => (Ok(answer), Outcome::Success),
            Err((failure, outcome)) => (Err(failure), outcome),
        };
        held.end(outcome);
        self.endpoints.record(self.id, listed.address, outcome, clock::now().since(began));
        result
    }

    fn request(&self, question: &Question, listed: Listed) -> Result<Request<Full<Bytes>>, Outage> {
        let Question { method, target, body, .. } = question;
        let authority = self.instances.authority(listed).ok_or(Why::Unaskable)?;
        let uri = format!("http://{}{target}", connector::name(listed));
        let uri: Uri = uri.parse().map_err(|_| Why::Unaskable)?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = question.headers.clone();
        request.headers_mut().insert(HOST, authority);
        let subject = Subject { service: self.id, method: method.as_str(), target, body };
        question.credential.write(subject, request.headers_mut())?;
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, bytes_max: usize) -> Result<Answer, Ended> {
        let response = self.pool.request(request).await.map_err(|fault| {
            if fault.is_connect() {
                let kind = FailureKind::Unconnected;
                (Failure { outage: Why::Unconnected.into(), kind }, Outcome::Failure)
            } else {
                transient(Why::Cut, Outcome::Failure)
            }
        })?;
        let status = checked_status(&response)?;
        let body = Limited::new(response.into_body(), bytes_max).collect().await.map_err(|fault| {
            if fault.is::<LengthLimitError>() {
                (last(Why::Oversized.into()), Outcome::Failure)
            } else {
                transient(Why::Cut, Outcome::Failure)
            }
        })?;
        Ok(Answer { status, body: body.to_bytes() })
    }
}

/// How an attempt failed, and what that says about the service.
type Ended = (Failure, Outcome);

/// Statuses that answer no question, sorted by what they mean for the circuit (`platform.md` section 1).
fn checked_status(response: &Response<Incoming>) -> Result<u16, Ended> {
    let status = response.status().as_u16();
    let shed = response.headers().contains_key(RETRY_AFTER);
    match status {
        503 if shed => Err((last(Why::Status(status).into()), Outcome::Neutral)),
        501 => Err((last(Why::Status(status).into()), Outcome::Neutral)),
        500 | 502..=504 => Err(transient(Why::Status(status), Outcome::Failure)),
        505.. => Err((last(Why::Status(status).into()), Outcome::Success)),
        429 => Err((last(Why::Throttled.into()), Outcome::Success)),
        300..=399 => Err((last(Why::Redirected.into()), Outcome::Success)),
        _ => Ok(status),
    }
}

fn last(outage: Outage) -> Failure {
    Failure { outage, kind: FailureKind::Final }
}

fn transient(why: Why, outcome: Outcome) -> Ended {
    (Failure { outage: why.into(), kind: FailureKind::Transient }, outcome)
}

#[cfg(test)]
mod tests;
