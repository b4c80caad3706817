//! The circuit of a service as the supervisor's own calls pass it: the node's one breaker of that service, which the
//! workers' calls pass too.

use crate::figures::Figures;
use edge_worker::clock;
use edge_worker::config::WorkerSettings;
use edge_worker::config::services::ServiceId;
use edge_worker::pipeline::circuit::parameters;
use edge_worker::telemetry::labels::CircuitPosition;
use shm::Shared;
use shm::breakers::{Admission, Breaker, Outcome, Parameters, Permit};
use shm::names::NameId;

pub struct Circuit {
    breaker: &'static Breaker,
    parameters: Parameters,
    /// The service's, in the region.
    name: NameId,
    figures: Figures,
}

/// Leave to make one call; one that is dropped was given up by the edge.
pub struct Held<'c> {
    circuit: &'c Circuit,
    permit: Option<Permit>,
}

impl Circuit {
    /// `None` if the service has no name in the region.
    #[must_use]
    pub fn new(shared: &'static Shared, settings: &WorkerSettings, service: ServiceId) -> Option<Circuit> {
        let index = usize::from(service.0);
        let name = NameId::new(*settings.names.services.get(index)?)?;
        Some(Circuit {
            breaker: shared.breakers.of(name)?,
            parameters: parameters(settings.services.get(index)?, &settings.routes, service),
            name,
            figures: Figures::new(shared),
        })
    }

    /// `None` while the circuit is open, or a probe is out.
    pub fn admit(&self) -> Option<Held<'_>> {
        let permit = match self.breaker.admit(&self.parameters, clock::now().millis().0) {
            Admission::Pass(permit) => permit,
            Admission::Probe(permit) => {
                self.figures.circuit_changed(self.name, CircuitPosition::HalfOpen);
                permit
            }
            Admission::Refused { .. } => {
                self.figures.left_alone(self.name);
                return None;
            }
        };
        Some(Held { circuit: self, permit: Some(permit) })
    }
}

impl Held<'_> {
    pub fn end(mut self, outcome: Outcome) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        let Some(permit) = self.permit.take() else { return };
        let Circuit { breaker, parameters, name, figures } = self.circuit;
        let now_ms = clock::now().millis().0;
        if let Some(transition) = breaker.record(permit, outcome, parameters, now_ms) {
            figures.circuit_changed(*name, CircuitPosition::after(transition));
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.settle(Outcome::Neutral);
    }
}

#[cfg(test)]
impl Circuit {
    /// In a region of its own.
    pub(super) fn lone(parameters: Parameters) -> Circuit {
        let region: &'static shm::SupervisorRegion =
            Box::leak(Box::new(shm::SupervisorRegion::create().expect("a memfd can be made")));
        let name = NameId::new(1).expect("not zero");
        let shared = region.shared();
        let breaker = shared.breakers.of(name).expect("nobody else has one");
        Circuit { breaker, parameters, name, figures: Figures::new(shared) }
    }

    /// One that never opens.
    pub(super) fn closed() -> Circuit {
        Circuit::lone(Parameters { error_percent: 100, volume: u16::MAX, reset_ms: 1, probe_ms: 1 })
    }

    pub(super) fn position(&self) -> shm::breakers::Position {
        self.breaker.view(clock::now().millis().0).position
    }
}
