//! The one place that writes down how a request ended: counters, histograms, the access record.
//!
//! A ledger is opened when a request's head is complete and closed on every way out. One that is dropped
//! open, because its task panicked, is closed as an internal error.

use super::authenticate::Principal;
use super::authorise::Grant;
use super::parse::RequestIds;
use super::rejection::Rejection;
use crate::clock::{self, Nanos};
use crate::config::routes::{Local, Target};
use crate::config::services::ServiceId;
use crate::http::head::{KnownHeader, MethodToken, RequestHead, Span};
use crate::http::method::Method;
use crate::telemetry::labels::{Downstream, Phase, SecurityEvent};
use crate::telemetry::log::{AccessRecord, RECORD_WORDS_MAX};
use crate::telemetry::metrics::meters::Outcome;
use crate::worker::Worker;
use std::net::IpAddr;
use std::rc::Rc;

/// The status under which a request is counted whose client left before its answer (nginx's 499).
pub const CLIENT_GONE_STATUS: u16 = 499;

/// What is known of a request so far.
pub struct Ledger {
    worker: Rc<Worker>,
    pub started: Nanos,
    pub ids: RequestIds,
    pub method: Option<Method>,
    pub client: IpAddr,
    pub user_agent: Span,
    pub row: Option<usize>,
    pub service: Option<ServiceId>,
    /// Who asks, once it was proven, granted or not.
    pub principal: Option<Rc<Principal>>,
    pub event: Option<SecurityEvent>,
    closed: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// What the client was sent, or [`CLIENT_GONE_STATUS`].
    pub status: u16,
    pub rejection: Option<Rejection>,
    /// The call to a service, if one was made.
    pub call: Option<Call>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The connection was closed by us before the answer was complete.
    pub cut: bool,
}

/// How the call to the service ended.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub outcome: Downstream,
    pub timeout: Option<Phase>,
    pub started: Nanos,
}

impl Ending {
    /// An answer that the edge made.
    #[must_use]
    pub fn local(status: u16, bytes_out: u64) -> Self {
        Ending { status, rejection: None, call: None, bytes_in: 0, bytes_out, cut: false }
    }

    /// A refusal.
    #[must_use]
    pub fn refused(rejection: Rejection) -> Self {
        Ending { rejection: Some(rejection), ..Ending::local(rejection.sentence().status, 0) }
    }
}

impl Ledger {
    #[must_use]
    pub fn open(worker: &Rc<Worker>, ids: RequestIds, client: IpAddr) -> Self {
        Ledger {
            worker: Rc::clone(worker),
            started: clock::now(),
            ids,
            method: None,
            client,
            user_agent: Span::default(),
            row: None,
            service: None,
            principal: None,
            event: None,
            closed: false,
        }
    }

    /// Takes down what the head says of itself.
    pub fn describe(&mut self, head: &RequestHead, bytes: &[u8]) {
        if let MethodToken::Known(method) = head.method() {
            self.method = Some(method);
        }
        if let Some(agent) = head.value(KnownHeader::UserAgent, bytes) {
            self.user_agent = Span::of(agent, bytes);
        }
    }

    /// Takes down that an administrator's role passed a check.
    pub fn audit(&mut self, grant: &Grant) {
        if grant.bypass().is_some() {
            self.event = Some(SecurityEvent::AdminBypass);
        }
    }

    /// Writes the ending down. `bytes` is the buffer the request's head was parsed from.
    pub fn close(mut self, ending: Ending, bytes: &[u8]) {
        self.write(ending, bytes);
    }

    fn write(&mut self, ending: Ending, bytes: &[u8]) {
        self.closed = true;
        if let Some(rejection) = ending.rejection {
            self.count_refusal(rejection);
        }
        let worker = &*self.worker;
        let now = clock::now();
        let duration_ns = now.since(self.started).as_nanos() as u64;
        let outcome = Outcome {
            status: ending.status,
            duration_ns,
            bytes_in: ending.bytes_in,
            bytes_out: ending.bytes_out,
        };
        worker.meters.request(self.row, self.method, outcome);
        if let Some(event) = self.event {
            worker.meters.security_event(event);
        }
        if let (Some(call), Some(service)) = (ending.call, self.service) {
            let service = usize::from(service.0);
            worker.meters.downstream(service, call.outcome, now.since(call.started).as_nanos() as u64);
            if let Some(phase) = call.timeout {
                worker.meters.timeout(service, phase);
            }
        }
        // Whatever ends while the drain cuts was cut by it.
        let cutting = worker.load.cutting.get();
        if ending.cut || cutting {
            worker.meters.closed_under_request();
        }
        if worker.load.draining.get() {
            let tally = if cutting { &worker.load.cut } else { &worker.load.finished };
            tally.set(tally.get() + 1);
        }
        if !self.is_silent() {
            self.record(ending, duration_ns, bytes);
        }
    }

    fn count_refusal(&mut self, rejection: Rejection) {
        let meters = &self.worker.meters;
        meters.rejected(rejection);
        match rejection {
            Rejection::Forbidden(denial) => meters.denied(denial),
            Rejection::CrossTenant => meters.cross_tenant(),
            _ => {}
        }
        self.event = self.event.or(SecurityEvent::of(rejection));
    }

    /// Health and metrics leave no line.
    fn is_silent(&self) -> bool {
        let row = self.row.and_then(|row| self.worker.routes.rows().get(row));
        let Some(Target::Local(local)) = row.map(|row| &row.target) else { return false };
        !matches!(local, Local::CacheInvalidate | Local::CacheStats)
    }

    fn record(&self, ending: Ending, duration_ns: u64, bytes: &[u8]) {
        let names = &self.worker.settings.names;
        let principal = self.principal.as_deref();
        let service = self.service.and_then(|service| names.services.get(usize::from(service.0)));
        let record = AccessRecord {
            wall_ms: clock::wall_millis(),
            request_id: self.ids.request.text(bytes),
            correlation_id: self.ids.correlation.text(bytes),
            trace_id: self.ids.trace.trace_id,
            span_id: self.ids.trace.span_id,
            method: self.method,
            route: self.row.and_then(|row| names.routes.get(row)).copied().unwrap_or(0),
            status: ending.status,
            duration_us: u32::try_from(duration_ns / 1_000).unwrap_or(u32::MAX),
            service: service.copied().unwrap_or(0),
            upstream_status: match ending.call {
                Some(Call { outcome: Downstream::Status(status), .. }) => status,
                _ => 0,
            },
            user: principal.map_or(b"", |principal| principal.subject().as_bytes()),
            tenant: principal.map_or(b"", |principal| principal.tenant().as_bytes()),
            role: principal.map_or(0, |principal| self.worker.verifier.role_id(principal.role())),
            client: self.client,
            user_agent: self.user_agent.bytes(bytes),
            bytes_in: ending.bytes_in,
            bytes_out: ending.bytes_out,
            rejection: ending.rejection,
            event: self.event,
            worker: self.worker.slot.index() as u8,
        };
        let mut words = [0; RECORD_WORDS_MAX];
        let used = record.encode(&mut words);
        // A full journal drops the record and counts it; a request never waits for its log line.
        self.worker.journal.push(words.get(..used).unwrap_or_default());
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if !self.closed {
            // The head's buffer may be gone: what pointed into it is left out.
            self.user_agent = Span::default();
            self.ids = self.worker.ids.unread();
            self.write(Ending { cut: true, ..Ending::refused(Rejection::Internal) }, b"");
        }
    }
}
