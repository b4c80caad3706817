//! The one place that writes down how a request ended: counters, histograms, the access record.
//!
//! A ledger is opened when a request's head is complete and closed on every way out. One that is dropped
//! open, because its task panicked, is closed as an internal error.

use super::address::Claimed;
use super::audit;
use super::authenticate::Principal;
use super::authorise::Grant;
use super::circuit::Passage;
use super::parse::RequestIds;
use super::rejection::Rejection;
use super::target_tenant::TargetTenant;
use crate::clock::{self, Nanos};
use crate::config::routes::{Local, Target};
use crate::config::services::ServiceId;
use crate::http::head::{KnownHeader, MethodToken, RequestHead, Span};
use crate::http::header_rules::{self, StrippedHeader};
use crate::http::method::Method;
use crate::identity::roles::canonical_permission;
use crate::telemetry::labels::{Downstream, Phase};
use crate::telemetry::log::KEY_START_BYTES;
use crate::telemetry::log::{AccessLine, AccessRecord, RECORD_WORDS_MAX};
use crate::telemetry::metrics::meters::Outcome;
use crate::telemetry::security_events::{EventSet, SecurityEvent};
use crate::worker::Worker;
use shm::breakers::Outcome as Verdict;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

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
    /// Security events so far: nothing that happens later takes one back.
    events: EventSet,
    /// The venue that they are about.
    venue: Option<[u8; 16]>,
    /// The tenant that was acted in, if that is not the principal's.
    target_tenant: Option<TargetTenant>,
    /// How the API key begins that was refused.
    key_start: Option<[u8; KEY_START_BYTES]>,
    /// Somebody sent `X-Target-Tenant-Id`, and nobody has said that it may.
    has_target_header: bool,
    closed: bool,
}

/// Who handed the request to the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Client,
    /// One of TRUSTED_PROXIES.
    TrustedProxy,
}

impl Sender {
    #[must_use]
    pub fn of(claimed: &Claimed) -> Sender {
        if claimed.trusted { Sender::TrustedProxy } else { Sender::Client }
    }
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
    /// The attempt before it, if this was the second.
    pub first: Option<FirstCall>,
}

/// How a call ended that was made again.
#[derive(Clone, Copy, Debug)]
pub struct FirstCall {
    pub outcome: Downstream,
    pub timeout: Option<Phase>,
    pub took: Duration,
    /// Before the second.
    pub paused: Duration,
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
            events: EventSet::NONE,
            venue: None,
            target_tenant: None,
            key_start: None,
            has_target_header: false,
            closed: false,
        }
    }

    /// Takes down what the head says of itself, and what it says that only the edge may say.
    pub fn describe(&mut self, head: &RequestHead, bytes: &[u8], from: Sender) {
        if let MethodToken::Known(method) = head.method() {
            self.method = Some(method);
        }
        if let Some(agent) = head.value(KnownHeader::UserAgent, bytes) {
            self.user_agent = Span::of(agent, bytes);
        }
        if !head.stripped().is_empty() {
            self.strip_all(head, bytes, from);
        }
    }

    /// Every field counts; what a trusted proxy adds on the way is no danger, and a target tenant may be obeyed.
    fn strip_all(&mut self, head: &RequestHead, bytes: &[u8], from: Sender) {
        for header in header_rules::stripped_fields(head.field_set(), bytes) {
            let is_known_later =
                header == StrippedHeader::XTargetTenantId && self.worker.settings.users.cross_tenant_admin;
            if is_known_later {
                self.has_target_header = true;
            } else if from == Sender::Client || !header.is_proxy_fact() {
                self.strip(header);
            }
        }
    }

    /// Takes down a header that a client had no business sending.
    pub fn strip(&mut self, header: StrippedHeader) {
        self.worker.meters.stripped(header);
        if let Some(event) = SecurityEvent::of_stripped(header) {
            self.events.insert(event);
        }
    }

    /// The target tenant was sent by somebody who may choose one; `chosen` is `None` for the own one.
    pub fn obey(&mut self, chosen: Option<&TargetTenant>) {
        self.has_target_header = false;
        self.target_tenant = chosen.cloned();
    }

    /// Takes down how a refused API key begins.
    pub fn refuse_key(&mut self, key: &str) {
        self.key_start = key.as_bytes().first_chunk().copied();
    }

    /// Takes down what deserves it about a decision, and the venue that it was about.
    pub fn audit(&mut self, decision: Result<&Grant, Rejection>, venue: impl FnOnce() -> Option<[u8; 16]>) {
        // A refusal becomes an event when the request ends.
        if let Ok(grant) = decision {
            let Some(bypass) = grant.bypass() else { return };
            self.events.insert(SecurityEvent::of_bypass(bypass));
        }
        self.venue = venue();
    }

    /// Tells the service's breaker how the call went, and gives the place in flight back.
    pub fn settle(&self, passage: Passage, verdict: Verdict) {
        passage.settle(verdict);
    }

    /// Writes the ending down. `bytes` is the buffer the request's head was parsed from.
    pub fn close(mut self, ending: Ending, bytes: &[u8]) {
        self.write(ending, bytes);
    }

    fn write(&mut self, ending: Ending, bytes: &[u8]) {
        self.closed = true;
        if self.has_target_header {
            self.strip(StrippedHeader::XTargetTenantId);
        }
        if let Some(rejection) = ending.rejection {
            self.count_refusal(rejection);
        }
        if ending.status == 401 && ending.call.is_some() {
            self.note_refresh();
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
        if let (Some(call), Some(service)) = (ending.call, self.service) {
            let (service, total) = (usize::from(service.0), now.since(call.started));
            let mut own = total;
            if let Some(first) = call.first {
                own = total.saturating_sub(first.took + first.paused);
                worker.meters.retried(service);
                worker.meters.downstream(service, first.outcome, first.took.as_nanos() as u64);
            }
            worker.meters.downstream(service, call.outcome, own.as_nanos() as u64);
            let timeouts = [call.first.and_then(|first| first.timeout), call.timeout];
            for phase in timeouts.into_iter().flatten() {
                worker.meters.timeout(service, phase);
            }
        }
        // What ends without its answer while the drain cuts was cut by it.
        let incomplete = ending.rejection.is_some() || ending.status == CLIENT_GONE_STATUS;
        let cut = ending.cut || (worker.load.cutting.get() && incomplete);
        if cut {
            worker.meters.closed_under_request();
        }
        if worker.load.draining.get() {
            let tally = if cut { &worker.load.cut } else { &worker.load.finished };
            tally.set(tally.get() + 1);
        }
        for event in self.events.iter() {
            worker.meters.security_event(event);
        }
        let line = if self.is_silent() { AccessLine::Omitted } else { AccessLine::Written };
        if line == AccessLine::Written || !self.events.is_empty() {
            self.record(ending, duration_ns, bytes, line);
        }
    }

    fn count_refusal(&mut self, rejection: Rejection) {
        let meters = &self.worker.meters;
        meters.rejected(rejection);
        match rejection {
            Rejection::Forbidden(denial) => meters.denied(denial),
            Rejection::CrossTenant => meters.cross_tenant(),
            Rejection::CircuitOpen { .. } => {
                if let Some(service) = self.service {
                    meters.left_alone(usize::from(service.0));
                }
            }
            _ => {}
        }
        if let Some(event) = SecurityEvent::of(rejection) {
            self.events.insert(event);
        }
    }

    /// A service answered 401: if it was auth-service to a refresh token, a stolen one may have been tried.
    fn note_refresh(&mut self) {
        let row = self.row.and_then(|row| self.worker.routes.rows().get(row));
        if self.method == Some(Method::Post) && row.is_some_and(audit::is_refresh) {
            self.worker.meters.refresh_rejected();
            self.events.insert(SecurityEvent::RefreshRejected);
        }
    }

    /// Region name of the permission that the events are about; 0 if there is none.
    fn permission(&self) -> u16 {
        if self.events.is_empty() {
            return 0;
        }
        let row = self.row.and_then(|row| self.worker.routes.rows().get(row));
        let Some(asked) = row.and_then(|row| audit::permission(&row.access)) else { return 0 };
        let asked = canonical_permission(asked);
        let named = self.worker.settings.names.permissions.iter().find(|(name, _)| *name == asked);
        named.map_or(0, |(_, id)| *id)
    }

    /// Health and metrics leave no line.
    fn is_silent(&self) -> bool {
        let row = self.row.and_then(|row| self.worker.routes.rows().get(row));
        let Some(Target::Local(local)) = row.map(|row| &row.target) else { return false };
        !matches!(local, Local::CacheInvalidate | Local::CacheStats)
    }

    fn record(&self, ending: Ending, duration_ns: u64, bytes: &[u8], line: AccessLine) {
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
            role: principal.map_or(0, |principal| self.worker.roles.id(principal.role())),
            client: self.client,
            user_agent: self.user_agent.bytes(bytes),
            bytes_in: ending.bytes_in,
            bytes_out: ending.bytes_out,
            rejection: ending.rejection,
            events: self.events,
            permission: self.permission(),
            venue: self.venue,
            target_tenant: self.target_tenant.as_ref().map_or(b"", |tenant| tenant.as_str().as_bytes()),
            key_start: self.key_start,
            line,
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
