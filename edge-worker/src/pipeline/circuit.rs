//! Circuit: does the worker have room for one more request, and is its service to be asked at all?
//!
//! The breaker of a service stands in the region, one for all workers of the node. What a call says of its service's
//! health is told to it once: when its answer begins, or by `account` if none came.

use crate::clock::{self, Millis};
use crate::config::routes::{Row, ShedClass, Target};
use crate::config::services::{Service, ServiceId};
use crate::net::io;
use crate::pipeline::bulkhead::Place;
use crate::pipeline::rejection::Rejection;
use crate::telemetry::labels::{CircuitPosition, Downstream};
use crate::worker::Worker;
use shm::breakers::{Admission, Breaker, Outcome, Parameters, Permit, Position, Retry, WAIT_MS_MAX};
use shm::layout::Shared;
use shm::names::NameId;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// The breakers of the services, by [`ServiceId`].
pub struct Circuits {
    circuits: Vec<Option<Circuit>>,
}

struct Circuit {
    breaker: &'static Breaker,
    parameters: Parameters,
}

/// Permission to call a service, returned when it is dropped, however the request ends. A permit of the breaker that
/// nobody settled says nothing about the service.
pub struct Passage {
    worker: Rc<Worker>,
    /// Where a service is called.
    place: Option<Place>,
    permit: Cell<Option<Permit>>,
    /// Holds the permit of the call that decides.
    probe: Option<Rc<Probe>>,
}

/// The call that decides about a half-open circuit. Nobody else may call meanwhile, so it does not wait for its client
/// for long.
struct Probe {
    permit: Cell<Option<Permit>>,
    /// Since when the edge waits for the next bytes of its client.
    waiting_since: Cell<Option<Millis>>,
    is_watched: Cell<bool>,
}

impl Circuits {
    /// `names` are those of the services, in their order.
    #[must_use]
    pub fn new(shared: &'static Shared, services: &[Service], rows: &[Row], names: &[u16]) -> Circuits {
        let circuits = services.iter().zip(names).zip(0..).map(|((service, name), index)| {
            let breaker = shared.breakers.of(NameId::new(*name)?)?;
            Some(Circuit { breaker, parameters: parameters(service, rows, ServiceId(index)) })
        });
        Circuits { circuits: circuits.collect() }
    }

    fn of(&self, service: ServiceId) -> Option<&Circuit> {
        self.circuits.get(usize::from(service.0))?.as_ref()
    }
}

/// Whether the service is left alone now, so that a wait for it is of no use. Takes no permit.
///
/// # Errors
/// `CircuitOpen`.
pub fn glance(worker: &Worker, service: ServiceId) -> Result<(), Rejection> {
    let Some(circuit) = worker.circuits.of(service) else { return Ok(()) };
    let view = circuit.breaker.view(worker.wheel.now().0);
    let reset_ms = circuit.parameters.reset_ms;
    match view.position {
        Position::Open => Err(open(view.left_ms.min(reset_ms))),
        Position::ForcedOpen => Err(open(reset_ms)),
        Position::Closed | Position::HalfOpen | Position::ForcedClosed => Ok(()),
    }
}

/// Takes one of the worker's places in flight, and asks the service's breaker: after the place at the service, so that
/// nobody waits with the permit of a probe. What is never shed is not refused at the cap either.
///
/// # Errors
/// `Overloaded` at the cap, `CircuitOpen` while the service is left alone.
pub fn enter(worker: &Rc<Worker>, place: Option<Place>, class: ShedClass) -> Result<Passage, Rejection> {
    let service = place.as_ref().map(Place::service);
    let in_flight = worker.load.in_flight.get();
    if class != ShedClass::Never && in_flight >= worker.settings.limits.in_flight_max {
        return Err(Rejection::Overloaded);
    }
    let circuit = service.and_then(|service| worker.circuits.of(service));
    // The wheel may be late: then a client waits a moment longer than it has to, but not longer than anybody.
    let admission = circuit.map(|circuit| (circuit.admit(worker), circuit.parameters.reset_ms));
    let (permit, probe) = match admission {
        None => (None, None),
        Some((Admission::Pass(permit), _)) => (Some(permit), None),
        Some((Admission::Probe(permit), _)) => {
            worker.meters.circuit_changed(service, CircuitPosition::HalfOpen);
            (None, Some(Probe::with(permit)))
        }
        Some((Admission::Refused { retry_after_ms }, reset_ms)) => {
            return Err(open(retry_after_ms.min(reset_ms)));
        }
    };
    worker.load.in_flight.set(in_flight + 1);
    worker.block.requests_in_flight_add();
    if let Some(service) = service {
        worker.block.in_flight_add(usize::from(service.0));
    }
    Ok(Passage { worker: Rc::clone(worker), place, permit: Cell::new(permit), probe })
}

/// What an answer, or the lack of one, says of a service's health (platform section 1). `sheds`: it came with
/// `Retry-After`.
#[must_use]
pub fn verdict(outcome: Downstream, sheds: bool) -> Outcome {
    match outcome {
        Downstream::ConnectError | Downstream::Timeout | Downstream::Reset => Outcome::Failure,
        Downstream::Status(503) if sheds => Outcome::Neutral,
        Downstream::Status(500 | 502 | 503 | 504) => Outcome::Failure,
        Downstream::Status(501) | Downstream::Aborted | Downstream::BreakerOpen => Outcome::Neutral,
        Downstream::Status(_) => Outcome::Success,
    }
}

impl Circuit {
    fn admit(&self, worker: &Worker) -> Admission {
        self.breaker.admit(&self.parameters, worker.wheel.now().0)
    }
}

impl Passage {
    fn service(&self) -> Option<ServiceId> {
        self.place.as_ref().map(Place::service)
    }

    /// Milliseconds of the request's time that it waited for its place.
    #[must_use]
    pub fn waited_ms(&self) -> u64 {
        self.place.as_ref().map_or(0, Place::waited_ms)
    }

    /// Tells the breaker how the call went. The first word counts.
    pub fn settle(&self, outcome: Outcome) {
        let held = self.permit.take().or_else(|| self.probe.as_ref()?.permit.take());
        if let Some((permit, service)) = held.zip(self.service()) {
            record(&self.worker, service, permit, outcome);
        }
    }

    /// The edge waits for the client to send its body, until it does not any more. A probe that does so for long says
    /// nothing about the service, and the next call decides.
    #[inline]
    pub fn awaits_client(&self, awaits: bool) {
        let Some(probe) = &self.probe else { return };
        probe.waiting_since.set(awaits.then(|| self.worker.wheel.now()));
        if awaits
            && !probe.is_watched.replace(true)
            && let Some(service) = self.service()
        {
            io::spawn(give_up(Rc::clone(&self.worker), service, Rc::clone(probe)));
        }
    }

    /// May the call, which failed, be made a second time? If so, the service's budget is charged for it, and the
    /// circuit waits for another word.
    #[must_use]
    pub fn again(&self) -> bool {
        self.settle(Outcome::Failure);
        let Some(circuit) = self.service().and_then(|service| self.worker.circuits.of(service)) else {
            return false;
        };
        let (permit, decides) = match circuit.admit(&self.worker) {
            Admission::Pass(permit) => (permit, false),
            // What decides about a circuit is a call of its own.
            Admission::Probe(permit) => (permit, true),
            Admission::Refused { .. } => return false,
        };
        self.permit.set(Some(permit));
        let granted = !decides && circuit.breaker.retry(self.worker.wheel.now().0) == Retry::Granted;
        if !granted {
            self.settle(Outcome::Neutral);
        }
        granted
    }

    /// The answer's head is here, which is what health is judged by (platform section 1), however long the body takes.
    pub fn answered(&self, status: u16, sheds: bool) {
        self.settle(verdict(Downstream::Status(status), sheds));
    }
}

fn record(worker: &Worker, service: ServiceId, permit: Permit, outcome: Outcome) {
    let Some(circuit) = worker.circuits.of(service) else { return };
    // By an exact clock: an open circuit is to be left alone for all of its time.
    let now_ms = match outcome {
        Outcome::Failure => clock::now().millis().0,
        Outcome::Success | Outcome::Neutral => worker.wheel.now().0,
    };
    if let Some(transition) = circuit.breaker.record(permit, outcome, &circuit.parameters, now_ms) {
        worker.meters.circuit_changed(Some(service), CircuitPosition::after(transition));
    }
}

impl Probe {
    fn with(permit: Permit) -> Rc<Probe> {
        Rc::new(Probe {
            permit: Cell::new(Some(permit)),
            waiting_since: Cell::new(None),
            is_watched: Cell::new(false),
        })
    }
}

/// Returns the permit of a probe whose client keeps it waiting. Ends with the probe.
async fn give_up(worker: Rc<Worker>, service: ServiceId, probe: Rc<Probe>) {
    loop {
        io::sleep(CLIENT_PATIENCE / 4).await;
        let Some(permit) = probe.permit.take() else { return };
        let waits = probe.waiting_since.get().map(|since| worker.wheel.now().0.saturating_sub(since.0));
        if waits.is_some_and(|waited_ms| u128::from(waited_ms) >= CLIENT_PATIENCE.as_millis()) {
            return record(&worker, service, permit, Outcome::Neutral);
        }
        probe.permit.set(Some(permit));
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.settle(Outcome::Neutral);
        let load = &self.worker.load;
        load.in_flight.set(load.in_flight.get() - 1);
        self.worker.block.requests_in_flight_sub();
        if let Some(service) = self.service() {
            self.worker.block.in_flight_sub(usize::from(service.0));
        }
    }
}

/// When the circuit of a service opens. A prober that was killed keeps its permit for longer than any call may take
/// until its answer's head is here.
#[must_use]
pub fn parameters(service: &Service, rows: &[Row], id: ServiceId) -> Parameters {
    let is_its = |row: &&Row| matches!(row.target, Target::Service { service, .. } if service == id);
    let timeouts = rows.iter().filter(is_its).filter_map(|row| row.timeout_ms);
    let longest_ms = timeouts.fold(service.read_timeout_ms.max(service.write_timeout_ms), u64::max);
    Parameters {
        error_percent: service.breaker.error_percent,
        volume: service.breaker.volume,
        reset_ms: service.breaker.reset_ms,
        probe_ms: longest_ms.saturating_add(PROBE_GRACE_MS).min(WAIT_MS_MAX),
    }
}

fn open(retry_after_ms: u64) -> Rejection {
    let retry_after_s = u16::try_from(retry_after_ms.div_ceil(1_000)).unwrap_or(u16::MAX).max(1);
    Rejection::CircuitOpen { retry_after_s }
}

const PROBE_GRACE_MS: u64 = 1_000;
/// Silence of a client that ends a probe.
const CLIENT_PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
