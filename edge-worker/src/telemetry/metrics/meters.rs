//! A worker's hand on its counters: every figure of the request path, a few loads and adds each.
//!
//! A series is looked up (hashed) the first time it is used and remembered by its position; later
//! calls only index. One thread, so plain cells.

use super::{Metric, bucket};
use crate::config::NameTable;
use crate::config::routes::ShedClass;
use crate::config::services::ServiceId;
use crate::http::header_rules::StrippedHeader;
use crate::http::method::Method;
use crate::identity::fault::TokenFault;
use crate::net::tls::Handshake;
use crate::pipeline::rejection::{Denial, Rejection};
use crate::telemetry::labels::{
    BulkheadRefusal, Cache, CacheResult, CircuitPosition, ConnectionRefusal, Degraded, Downstream, LookupEnd,
    Phase, Reason, SHED_CLASSES, method_number,
};
use crate::telemetry::security_events::SecurityEvent;
use shm::counters::{CounterIndex, Counters, HistogramIndex, SeriesKey};
use std::cell::{Cell, OnceCell};

/// The worker's handle. Lives as long as the worker.
pub struct Meters {
    counters: &'static Counters,
    slot: u16,
    /// One entry a route of the configuration; the last is for requests without one.
    routes: Box<[RouteMeters]>,
    services: Box<[ServiceMeters]>,
    fixed: [Cell<Option<CounterIndex>>; FIXED],
    /// By cache and by what it said.
    caches: [[Cell<Option<CounterIndex>>; CACHE_METRICS.len()]; Cache::WORDS.len()],
    validations: [Cell<Option<HistogramIndex>>; 3],
    loop_lag: Cell<Option<HistogramIndex>>,
    shed: [Cell<Option<CounterIndex>>; SHED_CLASSES.len()],
}

/// Methods of the route table, and one for all other tokens.
const METHODS: usize = Method::ALL.len() + 1;
/// Statuses of one route and method, or of one service, that are remembered; others are looked up.
const STATUSES: usize = 8;

struct RouteMeters {
    name: u16,
    /// Filled when the first such request ends: most rows never see most methods.
    methods: [OnceCell<Box<RequestMeters>>; METHODS],
}

struct RequestMeters {
    duration: HistogramIndex,
    request_size: HistogramIndex,
    response_size: HistogramIndex,
    statuses: Statuses,
}

struct ServiceMeters {
    name: u16,
    known: OnceCell<Box<CallMeters>>,
}

struct CallMeters {
    duration: HistogramIndex,
    statuses: Statuses,
}

/// A small map from the last label to its cell; 0 is a free place.
struct Statuses([Cell<(u16, Option<CounterIndex>)>; STATUSES]);

/// Results of `gateway_auth_attempts_total`, by place in `Meters::fixed` and in `labels::ATTEMPTS`.
#[derive(Clone, Copy)]
enum Fixed {
    AttemptSuccess,
    AttemptFailure,
}
const FIXED: usize = 2;

/// In the order of `CacheResult`.
const CACHE_METRICS: [Metric; 3] = [Metric::CacheHits, Metric::CacheMisses, Metric::CacheErrors];

/// Places in `Meters::validations` and in `labels::VALIDATIONS`.
const VALIDATION_HIT: usize = 0;
const VALIDATION_VERIFIED: usize = 1;
const VALIDATION_REJECTED: usize = 2;

impl Meters {
    /// `counters` is the block of the worker in `slot`; `names` are those of the worker's configuration.
    #[must_use]
    pub fn new(counters: &'static Counters, names: &NameTable, slot: u16) -> Self {
        let route = |name: u16| RouteMeters { name, methods: Default::default() };
        Meters {
            counters,
            slot,
            routes: names.routes.iter().copied().chain([UNMATCHED]).map(route).collect(),
            services: names
                .services
                .iter()
                .map(|name| ServiceMeters { name: *name, known: OnceCell::new() })
                .collect(),
            fixed: Default::default(),
            caches: Default::default(),
            validations: Default::default(),
            loop_lag: Cell::new(None),
            shed: Default::default(),
        }
    }

    /// A request ended. `row` is its index in the route table; sizes are those of the bodies.
    pub fn request(&self, row: Option<usize>, method: Option<Method>, outcome: Outcome) {
        let unmatched = self.routes.len() - 1;
        let route = &self.routes[row.unwrap_or(unmatched).min(unmatched)];
        let method = method_number(method);
        let Some(slot) = route.methods.get(usize::from(method)) else { return };
        let meters = slot.get_or_init(|| Box::new(self.request_meters(method, route.name)));
        let key = |status| SeriesKey::new(Metric::HttpRequests.number(), method, route.name, status);
        self.counters.add(meters.statuses.find(self.counters, outcome.status, key), 1);
        self.observe(Metric::HttpRequestDuration, meters.duration, outcome.duration_ns);
        self.observe(Metric::HttpRequestSize, meters.request_size, outcome.bytes_in);
        self.observe(Metric::HttpResponseSize, meters.response_size, outcome.bytes_out);
    }

    fn request_meters(&self, method: u16, route: u16) -> RequestMeters {
        let histogram =
            |metric: Metric| self.counters.histogram(SeriesKey::new(metric.number(), method, route, 0));
        RequestMeters {
            duration: histogram(Metric::HttpRequestDuration),
            request_size: histogram(Metric::HttpRequestSize),
            response_size: histogram(Metric::HttpResponseSize),
            statuses: Statuses::new(),
        }
    }

    /// A call to the service with this index ended; the time is that to the answer's head or the failure.
    pub fn downstream(&self, service: usize, outcome: Downstream, duration_ns: u64) {
        let Some(service) = self.services.get(service) else { return };
        let meters = service.known.get_or_init(|| {
            let key = SeriesKey::new(Metric::DownstreamRequestDuration.number(), service.name, 0, 0);
            Box::new(CallMeters { duration: self.counters.histogram(key), statuses: Statuses::new() })
        });
        let key = |status| SeriesKey::new(Metric::DownstreamRequests.number(), service.name, status, 0);
        self.counters.add(meters.statuses.find(self.counters, outcome.number(), key), 1);
        self.observe(Metric::DownstreamRequestDuration, meters.duration, duration_ns);
    }

    /// A request for the service with this index was refused because its circuit is open.
    pub fn left_alone(&self, service: usize) {
        if let Some(service) = self.services.get(service) {
            self.count(Metric::DownstreamRequests, service.name, Downstream::BreakerOpen.number(), 1);
            self.count(Metric::CircuitBreakerRejections, service.name, 0, 1);
        }
    }

    /// A request was refused because every place at its service was taken.
    pub fn bulkhead_refused(&self, service: ServiceId, why: BulkheadRefusal) {
        if let Some(service) = self.services.get(usize::from(service.0)) {
            self.count(Metric::BulkheadRejections, service.name, why as u16, 1);
        }
    }

    /// A request of this class was shed. Under overload that is most of what a worker does.
    pub fn shed(&self, class: ShedClass) {
        if let Some(cell) = self.shed.get(class as usize) {
            let key = SeriesKey::new(Metric::ShedRequests.number(), class as u16, 0, 0);
            self.counters.add(remembered(cell, || self.counters.counter(key)), 1);
        }
    }

    /// The circuit of a service changed.
    pub fn circuit_changed(&self, service: Option<ServiceId>, to: CircuitPosition) {
        if let Some(service) = service.and_then(|service| self.services.get(usize::from(service.0))) {
            self.count(Metric::CircuitBreakerTransitions, service.name, to as u16, 1);
        }
    }

    /// An instance of the service with this index was ejected.
    #[cold]
    pub fn ejected(&self, service: usize) {
        if let Some(service) = self.services.get(service) {
            self.count(Metric::InstanceEjections, service.name, 0, 1);
        }
    }

    /// TLS handshakes with this service ended so.
    pub fn handshakes(&self, service: ServiceId, end: Handshake, times: u64) {
        if let Some(service) = self.services.get(usize::from(service.0)) {
            self.count(Metric::UpstreamTlsHandshakes, service.name, end as u16, times);
        }
    }

    /// A call to the service with this index was made a second time.
    pub fn retried(&self, service: usize) {
        if let Some(service) = self.services.get(service) {
            self.count(Metric::DownstreamRetries, service.name, 0, 1);
        }
    }

    /// A call to the service with this index ran out of time.
    pub fn timeout(&self, service: usize, phase: Phase) {
        if let Some(service) = self.services.get(service) {
            self.count(Metric::Timeouts, service.name, phase as u16, 1);
        }
    }

    /// A token was verified. Counts the token cache too: only such tokens say how well it works.
    pub fn verified(&self, cache_hit: bool, duration_ns: u64) {
        self.cache(Cache::Token, if cache_hit { CacheResult::Hit } else { CacheResult::Miss });
        self.validation(if cache_hit { VALIDATION_HIT } else { VALIDATION_VERIFIED }, duration_ns);
    }

    /// A token is no token of the platform's, or there is none.
    pub fn not_verified(&self, fault: TokenFault, duration_ns: u64) {
        if fault != TokenFault::MissingToken {
            self.validation(VALIDATION_REJECTED, duration_ns);
        }
    }

    /// Whether token, mirror and record together established who asks.
    pub fn authentication(&self, established: Result<(), Rejection>) {
        let reason = match established {
            Err(Rejection::Unauthorized(fault)) => Reason::of(Rejection::Unauthorized(fault)),
            Err(Rejection::CheckUnavailable | Rejection::Overloaded) => Reason::AUTH_UNAVAILABLE,
            // A query that names another tenant says nothing against the token.
            Ok(()) | Err(_) => return self.count_fixed(Fixed::AttemptSuccess),
        };
        self.count_fixed(Fixed::AttemptFailure);
        self.count(Metric::AuthFailures, reason.number(), 0, 1);
    }

    /// auth-service refused a refresh token.
    pub fn refresh_rejected(&self) {
        self.count(Metric::AuthFailures, Reason::REFRESH_REJECTED.number(), 0, 1);
    }

    /// A principal may not do what it asked for.
    pub fn denied(&self, denial: Denial) {
        let reason = Reason::of(Rejection::Forbidden(denial));
        self.count(Metric::AuthzDenials, reason.number(), 0, 1);
    }

    /// The edge answered instead of a service.
    pub fn rejected(&self, rejection: Rejection) {
        self.count(Metric::Rejections, Reason::of(rejection).number(), 0, 1);
    }

    /// A request named a tenant that is not its token's.
    pub fn cross_tenant(&self) {
        self.count(Metric::CrossTenantAttempts, 0, 0, 1);
    }

    pub fn security_event(&self, event: SecurityEvent) {
        self.count(Metric::SecurityEvents, event as u16, event.severity() as u16, 1);
    }

    /// A header field that clients may not send was removed.
    pub fn stripped(&self, header: StrippedHeader) {
        self.count(Metric::DangerousHeadersStripped, header as u16, 0, 1);
    }

    /// A cache was asked. On the warm path, so that the series are remembered.
    pub fn cache(&self, cache: Cache, result: CacheResult) {
        let key = SeriesKey::new(CACHE_METRICS[result as usize].number(), cache as u16, 0, 0);
        let cell = &self.caches[cache as usize][result as usize];
        self.counters.add(remembered(cell, || self.counters.counter(key)), 1);
    }

    /// A question to the supervisor ended.
    pub fn lookup(&self, question: u16, end: LookupEnd) {
        self.count(Metric::Lookups, question, end as u16, 1);
    }

    /// So many questions wait now.
    pub fn lookups_waiting(&self, count: usize) {
        let key = SeriesKey::new(Metric::LookupsWaiting.number(), 0, 0, 0);
        self.counters.store(self.counters.gauge(key), count as u64);
    }

    /// A request was decided on less than the edge wants to know.
    pub fn degraded(&self, why: Degraded) {
        self.count(Metric::DegradedDecisions, why as u16, 0, 1);
    }

    /// The worker's timer ran this late.
    pub fn loop_lag(&self, lag_ns: u64) {
        let key = SeriesKey::new(Metric::WorkerLoopLag.number(), self.slot, 0, 0);
        let index = remembered(&self.loop_lag, || self.counters.histogram(key));
        self.observe(Metric::WorkerLoopLag, index, lag_ns);
    }

    /// A request ended in a panic.
    pub fn panicked(&self) {
        self.count(Metric::Panics, 0, 0, 1);
    }

    pub fn connection_refused(&self, refusal: ConnectionRefusal) {
        self.count(Metric::ConnectionsRefused, refusal as u16, 0, 1);
    }

    /// A client connection was closed by the edge while a request on it was unanswered.
    pub fn closed_under_request(&self) {
        self.count(Metric::ConnectionsClosedUnderRequest, 0, 0, 1);
    }

    fn count_fixed(&self, fixed: Fixed) {
        let key = SeriesKey::new(Metric::AuthAttempts.number(), fixed as u16, 0, 0);
        let index = remembered(&self.fixed[fixed as usize], || self.counters.counter(key));
        self.counters.add(index, 1);
    }

    fn validation(&self, result: usize, duration_ns: u64) {
        let key = SeriesKey::new(Metric::TokenValidationDuration.number(), result as u16, 0, 0);
        let index = remembered(&self.validations[result], || self.counters.histogram(key));
        self.observe(Metric::TokenValidationDuration, index, duration_ns);
    }

    /// A rare event: looked up each time.
    fn count(&self, metric: Metric, first: u16, second: u16, times: u64) {
        let key = SeriesKey::new(metric.number(), first, second, 0);
        self.counters.add(self.counters.counter(key), times);
    }

    fn observe(&self, metric: Metric, index: HistogramIndex, value: u64) {
        self.counters.observe(index, bucket(metric.definition().buckets, value), value);
    }
}

/// How a request ended, for [`Meters::request`].
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub status: u16,
    pub duration_ns: u64,
    /// Body bytes received from the client.
    pub bytes_in: u64,
    /// Body bytes sent to the client.
    pub bytes_out: u64,
}

impl Statuses {
    fn new() -> Self {
        Statuses(std::array::from_fn(|_| Cell::new((0, None))))
    }

    fn find(&self, counters: &Counters, status: u16, key: impl Fn(u16) -> SeriesKey) -> CounterIndex {
        for cell in &self.0 {
            match cell.get() {
                (known, Some(index)) if known == status => return index,
                (_, None) => {
                    let index = counters.counter(key(status));
                    cell.set((status, Some(index)));
                    return index;
                }
                _ => {}
            }
        }
        counters.counter(key(status))
    }
}

fn remembered<Index: Copy>(cell: &Cell<Option<Index>>, find: impl FnOnce() -> Index) -> Index {
    cell.get().unwrap_or_else(|| {
        let index = find();
        cell.set(Some(index));
        index
    })
}

/// The name id of requests that matched no row.
const UNMATCHED: u16 = 0;
