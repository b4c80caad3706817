//! What becomes known of TLS handshakes with services: each is counted, and those that fail are complained about, now
//! and then, since a service that nobody trusts is one for every request.

use crate::clock::Millis;
use crate::config::services::ServiceId;
use crate::control::asks::Complaint;
use crate::net::tls::{Handshake, TlsFault};
use crate::telemetry::metrics::Meters;
use std::cell::{Cell, RefCell};

/// Time between two complaints of a worker about one instance.
pub const COMPLAINT_PERIOD_MS: u64 = 10_000;

/// What has not been told yet. Connections are made where nobody has the worker at hand.
#[derive(Default)]
pub struct Handshakes {
    counted: RefCell<Vec<Count>>,
    complaints: RefCell<Vec<Complaint>>,
}

/// How often the handshakes with a service have ended in a way: an entry for each way there is.
struct Count {
    service: ServiceId,
    end: Handshake,
    times: u64,
}

/// How long an instance has been let off, and how often it failed meanwhile.
#[derive(Default)]
pub struct Grievance {
    silent_until: Cell<Option<Millis>>,
    times: Cell<u64>,
}

impl Handshakes {
    pub fn count(&self, service: ServiceId, end: Handshake) {
        let mut counted = self.counted.borrow_mut();
        match counted.iter_mut().find(|count| (count.service, count.end) == (service, end)) {
            Some(count) => count.times += 1,
            None => counted.push(Count { service, end, times: 1 }),
        }
    }

    /// A handshake with this instance of this service failed.
    pub fn failed(
        &self,
        now: Millis,
        (service, instance): (ServiceId, &str),
        grievance: &Grievance,
        fault: &TlsFault,
    ) {
        self.count(service, fault.end);
        let times = grievance.times.get() + 1;
        grievance.times.set(times);
        if grievance.silent_until.get().is_some_and(|until| now.0 < until.0) {
            return;
        }
        grievance.silent_until.set(Some(Millis(now.0 + COMPLAINT_PERIOD_MS)));
        grievance.times.set(0);
        let service = service.defaults().map_or("", |service| service.name).to_owned();
        let (instance, reason) = (instance.to_owned(), fault.reason.clone());
        self.complaints.borrow_mut().push(Complaint::Handshake { service, instance, reason, times });
    }

    /// Tells the counters, and gives the complaints away.
    #[must_use]
    pub fn report(&self, meters: &Meters) -> Vec<Complaint> {
        for Count { service, end, times } in self.counted.borrow_mut().drain(..) {
            meters.handshakes(service, end, times);
        }
        self.complaints.take()
    }
}

#[cfg(test)]
mod tests;
