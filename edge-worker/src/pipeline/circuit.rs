//! Last gate before a service: does the edge have room for one more request to it?
//!
//! The breakers of the services join here; today it is the worker's cap on requests in flight.

use crate::config::services::ServiceId;
use crate::pipeline::rejection::Rejection;
use crate::worker::Worker;
use std::rc::Rc;

/// Permission to call a service, returned when it is dropped, however the request ends.
pub struct Passage {
    worker: Rc<Worker>,
    service: Option<ServiceId>,
}

/// Takes a place in flight.
///
/// # Errors
/// `Overloaded` at the cap.
pub fn enter(worker: &Rc<Worker>, service: Option<ServiceId>) -> Result<Passage, Rejection> {
    let in_flight = worker.load.in_flight.get();
    if in_flight >= worker.settings.limits.in_flight_max {
        return Err(Rejection::Overloaded);
    }
    worker.load.in_flight.set(in_flight + 1);
    worker.block.requests_in_flight_add();
    if let Some(service) = service {
        worker.block.in_flight_add(usize::from(service.0));
    }
    Ok(Passage { worker: Rc::clone(worker), service })
}

impl Drop for Passage {
    fn drop(&mut self) {
        let load = &self.worker.load;
        load.in_flight.set(load.in_flight.get() - 1);
        self.worker.block.requests_in_flight_sub();
        if let Some(service) = self.service {
            self.worker.block.in_flight_sub(usize::from(service.0));
        }
    }
}
