//! Forward: carries a granted request to its service and the answer back.
//!
//! Demands a passage and a grant; identity headers come from the grant and from nowhere else.

use super::account::{CLIENT_GONE_STATUS, Call as Called, Ending, FirstCall, Ledger};
use super::address::Claimed;
use super::api_key::VenueKey;
use super::authenticate;
use super::authorise::Grant;
use super::body::Buffered;
use super::circuit::{self, Passage};
use super::door::Admission;
use super::parse::Request;
use super::rejection::Rejection;
use super::respond::{self, Asker};
use super::route::Matched;
use super::tenant_status::TenantStatus;
use super::withdraw;
use crate::clock::{self, Millis, Nanos};
use crate::config::headers::Scheme;
use crate::config::limits::{UPSTREAM_BODY_IDLE_MS, UPSTREAM_STREAM_IDLE_MS};
use crate::config::routes::Row;
use crate::config::services::ServiceId;
use crate::control::asks::Withdrawal;
use crate::http::encode::{Injected, Persistence, Places, UpstreamRequest, request_head};
use crate::http::head::{BodyFraming, KnownHeader, RequestHead};
use crate::http::header_rules::{RowKind, StrippedHeader};
use crate::http::method::Method;
use crate::net::connection::{After, Connection};
use crate::telemetry::labels::{Downstream, Phase};
use crate::upstream::confirmation::Confirmation;
use crate::upstream::connect::Destination;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::exchange::{self, Call, End, Exchanged, First, Party};
use crate::upstream::retry::Repeatable;
use crate::worker::Worker;
use std::fmt::Write;
use std::net::IpAddr;
use std::rc::Rc;
use std::str;

/// A request that is ready to be sent.
pub struct Granted {
    service: ServiceId,
    /// None while the service has no address.
    endpoint: Option<Rc<Endpoint>>,
    method: Method,
    head: Vec<u8>,
    places: Places,
    repeatable: Repeatable,
    body_bytes_max: u64,
    deadline: Millis,
    idle_ms: u64,
    /// Where the row has it read before.
    body: Option<Box<Buffered>>,
    withdrawal: Option<Withdrawal>,
}

/// Encodes the head for the service.
pub fn prepare(
    worker: &Worker,
    request: &Request<'_>,
    matched: &Matched<'_>,
    claimed: &Claimed,
    admission: &Admission,
    (grant, key, ledger, passage): (&Grant, Option<&VenueKey>, &Ledger, &Passage),
    body: Option<Box<Buffered>>,
) -> Granted {
    let row = matched.row();
    let service = ledger.service.expect("the order sets the service before it prepares a request for it");
    let timeout_ms = timeout_ms(worker, row, service, request.method).saturating_sub(passage.waited_ms());
    let endpoint = worker.upstreams.choose(service, None, &worker.wheel);
    let trace = &ledger.ids.trace;
    let mut texts = Texts::default();
    texts.write(claimed);
    let headers = &worker.settings.headers;
    let reply = respond::reply(worker, ledger, request.bytes, request.head.version(), Persistence::Close);
    let injected = Injected {
        request_id: reply.request_id,
        correlation_id: reply.correlation_id,
        client_ip: texts.client(),
        forwarded_for: &texts.chain,
        proto: proto(request, claimed, headers.external_scheme),
        host: host(worker, request),
        port: headers.external_port,
        deadline_epoch_ms: clock::wall_millis() + timeout_ms,
        remaining_ms: timeout_ms,
        traceparent: Some(trace.text()),
        identity: grant.identity(),
    };
    let kind = row_kind(row, service, key);
    if kind != RowKind::Keyed && request.head.field_set().has(KnownHeader::XApiKey) {
        worker.meters.stripped(StrippedHeader::XApiKey);
    }
    let upstream = UpstreamRequest {
        authority: endpoint.as_deref().map_or("", Endpoint::authority).as_bytes(),
        head: request.head,
        bytes: request.bytes,
        row: kind,
        framing: request.head.framing(),
        injected,
    };
    let mut head = worker.buffers.head();
    let target = |out: &mut Vec<u8>| matched.write_upstream(request.target_bytes, out);
    let places = request_head(&mut head, request.method, target, &upstream);
    Granted {
        service,
        endpoint,
        method: request.method,
        head,
        places,
        repeatable: Repeatable::of(request.method, row.notes.idempotency, request.head, request.bytes),
        body_bytes_max: admission.body_bytes_max,
        deadline: Millis(worker.wheel.now().0 + timeout_ms),
        idle_ms: if row.notes.stream { UPSTREAM_STREAM_IDLE_MS } else { UPSTREAM_BODY_IDLE_MS },
        withdrawal: withdrawal(worker, request, matched, (service, grant), body.as_deref()),
        body,
    }
}

fn row_kind(row: &Row, service: ServiceId, key: Option<&VenueKey>) -> RowKind {
    match key {
        Some(key) if key.is_for(service) => RowKind::Keyed,
        _ if row.notes.webhook => RowKind::Webhook,
        _ => RowKind::Ordinary,
    }
}

/// What the answer may withdraw.
fn withdrawal(
    worker: &Worker,
    request: &Request<'_>,
    matched: &Matched<'_>,
    (service, grant): (ServiceId, &Grant),
    body: Option<&Buffered>,
) -> Option<Withdrawal> {
    let principal = grant.principal().filter(|_| !request.method.is_read())?;
    let service = withdraw::Confirming::of(service)?;
    let mut path = worker.buffers.head();
    matched.write_upstream(request.target_bytes, &mut path);
    let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    path.truncate(end);
    let whole_token = || authenticate::whole_token(authenticate::authorization(request));
    let done = (service, request.method, path.as_slice());
    let status = body.map_or(TenantStatus::Unseen, |body| TenantStatus::Sent(body.payload()));
    let withdrawal = withdraw::of(done, principal, whole_token, status);
    worker.buffers.give_back(path);
    withdrawal
}

/// Sends the request, passes the answer on, and writes down how it ended.
pub async fn forward(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    (head, head_bytes): (&RequestHead, usize),
    ledger: Ledger,
    passage: Passage,
    granted: Granted,
) -> After {
    let persistence =
        if worker.load.draining.get() { Persistence::Close } else { Persistence::asked_by(head) };
    let Connection { stream, inbound, .. } = &mut *connection;
    let framing = head.framing();
    let reply = respond::reply(worker, &ledger, inbound, head.version(), persistence);
    let in_hand = match framing {
        BodyFraming::None => &[],
        _ => inbound.get(head_bytes..).unwrap_or_default(),
    };
    let consumed = head_bytes + in_hand.len();
    let confirmation = granted.withdrawal.map(|withdrawal| Confirmation::new(worker, withdrawal));
    let (buffered, surplus) = match granted.body {
        Some(body) => (Some(body.framed()), body.surplus),
        None => (None, Vec::new()),
    };
    let started = clock::now();
    let call = Call {
        destination: Destination::Service(granted.service),
        endpoint: granted.endpoint,
        started,
        method: granted.method,
        head: granted.head,
        places: granted.places,
        repeatable: granted.repeatable,
        framing,
        body_bytes_max: granted.body_bytes_max,
        in_hand: buffered.as_deref().unwrap_or(in_hand),
        is_whole: buffered.is_some(),
        expects_continue: head.expects_continue(),
        deadline: granted.deadline,
        idle_ms: granted.idle_ms,
        reply: &reply,
        confirmation: confirmation.as_ref(),
        passage: &passage,
    };
    let exchanged = exchange::exchange(stream, call, worker.means()).await;
    let outcome = outcome(exchanged.end, exchanged.upstream_status);
    ledger.settle(passage, circuit::verdict(outcome, exchanged.sheds));
    let after = conclude(worker, connection, head, ledger, (&exchanged, started), persistence).await;
    connection.consume(consumed, if buffered.is_some() { &surplus } else { &exchanged.surplus });
    after
}

/// Writes the exchange down and says what becomes of the client's connection. Where the service gave no
/// answer, the edge's own takes its place.
async fn conclude(
    worker: &Worker,
    connection: &mut Connection,
    head: &RequestHead,
    ledger: Ledger,
    (exchanged, started): (&Exchanged, Nanos),
    persistence: Persistence,
) -> After {
    let ending = Ending {
        status: exchanged.upstream_status.unwrap_or(CLIENT_GONE_STATUS),
        rejection: None,
        call: Some(Called {
            outcome: outcome(exchanged.end, exchanged.upstream_status),
            timeout: timeout(exchanged),
            started,
            first: exchanged.first.as_deref().map(first_call),
        }),
        bytes_in: exchanged.bytes_in,
        bytes_out: exchanged.bytes_out,
        cut: false,
    };
    let bytes = &connection.inbound;
    match exchanged.end {
        End::Complete { closing } => {
            ledger.close(ending, bytes);
            if closing || !exchanged.in_step { After::Close } else { After::KeepAlive }
        }
        End::Cut { until_close, .. } => {
            ledger.close(Ending { cut: true, ..ending }, bytes);
            if until_close { After::Reset } else { After::Abort }
        }
        End::ClientGone { until_close } => {
            ledger.close(Ending { status: CLIENT_GONE_STATUS, ..ending }, bytes);
            if until_close { After::Reset } else { After::Abort }
        }
        End::Refused(rejection) => {
            let path = respond::path(head, bytes);
            let persistence = if exchanged.in_step { persistence } else { Persistence::Close };
            let asker = Asker { method: ledger.method, path: &path, version: head.version(), persistence };
            let ending = Ending { rejection: Some(rejection), status: rejection.sentence().status, ..ending };
            Box::pin(respond::refuse_after(worker, connection, ledger, asker, rejection, ending)).await
        }
    }
}

/// The attempt that nobody heard of.
fn first_call(first: &First) -> FirstCall {
    let end = first.rejection.map_or(End::Complete { closing: false }, End::Refused);
    let timeout = (first.rejection == Some(Rejection::UpstreamTimeout)).then_some(Phase::Connect);
    let (took, paused) = (first.took, first.paused);
    FirstCall { outcome: outcome(end, first.upstream_status), timeout, took, paused }
}

fn outcome(end: End, upstream_status: Option<u16>) -> Downstream {
    match (end, upstream_status) {
        (End::ClientGone { .. } | End::Cut { by: Party::Client, .. }, _) => Downstream::Aborted,
        (End::Cut { by: Party::Service, .. }, _) => Downstream::Reset,
        (End::Complete { .. }, Some(status)) => Downstream::Status(status),
        (
            End::Refused(
                Rejection::UpstreamRefused | Rejection::UpstreamUnresolved | Rejection::UpstreamInsecure,
            ),
            _,
        ) => Downstream::ConnectError,
        (End::Refused(Rejection::UpstreamTimeout), _) => Downstream::Timeout,
        (End::Refused(Rejection::UpstreamReset | Rejection::UpstreamGarbage), _) => Downstream::Reset,
        // The client's own body was the reason.
        _ => Downstream::Aborted,
    }
}

fn timeout(exchanged: &Exchanged) -> Option<Phase> {
    match exchanged.end {
        End::Refused(Rejection::UpstreamTimeout) if exchanged.connected => Some(Phase::Head),
        End::Refused(Rejection::UpstreamTimeout) => Some(Phase::Connect),
        End::Cut { .. } if exchanged.silent => Some(Phase::Body),
        _ => None,
    }
}

/// Milliseconds until the answer's head has to be here.
#[must_use]
pub fn timeout_ms(worker: &Worker, row: &Row, service: ServiceId, method: Method) -> u64 {
    let service = worker.settings.services.get(usize::from(service.0));
    row.timeout_ms.unwrap_or_else(|| {
        service.map_or(
            0,
            |service| {
                if method.is_read() { service.read_timeout_ms } else { service.write_timeout_ms }
            },
        )
    })
}

/// `X-Forwarded-Proto`: a trusted proxy's word, else what the edge is configured to be reached by.
fn proto(request: &Request<'_>, claimed: &Claimed, external: Scheme) -> &'static str {
    let said = request.head.value(KnownHeader::XForwardedProto, request.bytes).filter(|_| claimed.trusted);
    match said {
        Some(said) if said.eq_ignore_ascii_case(b"https") => "https",
        Some(said) if said.eq_ignore_ascii_case(b"http") => "http",
        _ => external.as_str(),
    }
}

/// `X-Forwarded-Host`: the client's Host if it is one of PUBLIC_HOSTS or there are none, else the first of them.
fn host<'h>(worker: &'h Worker, request: &Request<'h>) -> &'h [u8] {
    let sent = request.head.host(request.bytes);
    let public = &worker.settings.headers.public_hosts;
    match public.first() {
        Some(first) if !public.iter().any(|host| host.as_bytes().eq_ignore_ascii_case(sent)) => {
            first.as_bytes()
        }
        _ => sent,
    }
}

/// `X-Forwarded-For` as the services get it.
pub fn forwarded_for(claimed: &Claimed) -> String {
    let mut texts = Texts::default();
    texts.write(claimed);
    texts.chain
}

/// Addresses as text: `client[, trusted hops]`, nothing that a client wrote.
#[derive(Default)]
struct Texts {
    chain: String,
    client_bytes: usize,
}

impl Texts {
    fn write(&mut self, claimed: &Claimed) {
        self.push(claimed.client);
        self.client_bytes = self.chain.len();
        for hop in &claimed.hops {
            self.chain.push_str(", ");
            self.push(*hop);
        }
    }

    fn push(&mut self, address: IpAddr) {
        // Writing to a String cannot fail.
        let _ = write!(self.chain, "{address}");
    }

    fn client(&self) -> &str {
        str::from_utf8(self.chain.as_bytes().get(..self.client_bytes).unwrap_or_default()).unwrap_or_default()
    }
}
