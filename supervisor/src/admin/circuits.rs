//! The circuits of the services as operators see and hold them.

use super::order::{CircuitLine, CircuitOrder, Refusal};
use crate::circuits::{Elsewhere, of_services};
use edge_worker::clock;
use edge_worker::config::WorkerSettings;
use edge_worker::telemetry::labels::CircuitPosition;
use shm::Shared;
use shm::breakers::{Breaker, View};
use shm::names::NameId;

/// One a service, in the order of the services.
pub struct Circuits {
    held: Vec<Held>,
    elsewhere: Elsewhere,
}

struct Held {
    service: String,
    name: NameId,
    breaker: &'static Breaker,
}

/// What an order did.
pub struct Done {
    pub lines: Vec<CircuitLine>,
    /// Where the circuit of a service went, if it was not only looked at.
    pub changed: Option<(NameId, CircuitPosition)>,
}

impl Circuits {
    /// Of the services that have a name in the region.
    #[must_use]
    pub fn new(shared: &'static Shared, settings: &WorkerSettings, elsewhere: Elsewhere) -> Circuits {
        let held = of_services(shared, settings).map(|(service, name, breaker)| Held {
            service: service.to_owned(),
            name,
            breaker,
        });
        Circuits { held: held.collect(), elsewhere }
    }

    /// Does it, and tells where the circuits that were meant stand.
    ///
    /// # Errors
    /// No such service, or a circuit that changed all the time.
    pub fn carry_out(&self, order: CircuitOrder, service: Option<&str>) -> Result<Done, Refusal> {
        let Some(service) = service else {
            return match order {
                CircuitOrder::List => {
                    Ok(Done { lines: self.held.iter().map(|held| self.line(held)).collect(), changed: None })
                }
                _ => Err(Refusal::new("no service is named", "name one; `breaker list` shows all")),
            };
        };
        let held = self.held.iter().find(|held| held.service == service).ok_or_else(|| {
            let known: Vec<&str> = self.held.iter().map(|held| held.service.as_str()).collect();
            let remedy = format!("name one of: {}", known.join(" "));
            Refusal::new(format!("`{}` is no service", service.escape_debug()), remedy)
        })?;
        let changed = match order {
            CircuitOrder::List => None,
            CircuitOrder::Open => Some(held.breaker.force_open()),
            CircuitOrder::Close => Some(held.breaker.force_closed()),
            CircuitOrder::Reset => Some(held.breaker.reset()),
        };
        let busy = || Refusal::new("the circuit changes all the time", "order it again");
        let transition = changed.map(|changed| changed.ok_or_else(busy)).transpose()?;
        let changed = transition.map(|transition| (held.name, CircuitPosition::after(transition)));
        Ok(Done { lines: vec![self.line(held)], changed })
    }

    fn line(&self, held: &Held) -> CircuitLine {
        let View { position, left_ms, calls, failures, retries, .. } =
            held.breaker.view(clock::now().millis().0);
        CircuitLine {
            service: held.service.clone(),
            state: CircuitPosition::of(position).word().to_owned(),
            held: position.is_held(),
            calls,
            failures,
            retries,
            left_ms,
            elsewhere: self.elsewhere.of(&held.service),
        }
    }
}

#[cfg(test)]
impl Circuits {
    /// Of a node without services.
    pub(super) fn none() -> Circuits {
        Circuits { held: Vec::new(), elsewhere: Elsewhere::default() }
    }
}

#[cfg(test)]
mod tests;
