//! An instance of a service at one of its addresses, as this worker calls it.

use super::pool::Pool;
use super::security::Security;
use crate::clock::{self, Nanos};
use crate::config::services::ServiceId;
use crate::pipeline::circuit;
use crate::telemetry::labels::Downstream;
use crate::telemetry::metrics::Meters;
use shm::WorkerSlot;
use shm::breakers::Outcome;
use shm::endpoints::{EndpointIndex, Endpoints, Rules};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// See the file's head. One that newer addresses replaced lives until its last exchange ends.
pub struct Endpoint {
    pub(super) service: ServiceId,
    pub(super) address: SocketAddr,
    pub(super) authority: String,
    pub(super) security: Rc<Security>,
    /// Where the region keeps what is known of it. A full table knows nothing, and it is called all the same.
    pub(super) index: Cell<Option<EndpointIndex>>,
    pub(super) pool: Pool,
    /// Connections come back to it.
    pub(super) listed: Cell<bool>,
    /// Its service has no other. There is nobody to call in its place, so it is never ejected: the circuit judges it.
    pub(super) alone: Cell<bool>,
}

/// What a worker knows and tells of the endpoints of the node.
#[derive(Clone, Copy)]
pub struct Board {
    pub endpoints: &'static Endpoints,
    pub slot: WorkerSlot,
    pub rules: Rules,
}

/// A call to an endpoint: in flight until this is dropped. How it went is told once, when its answer begins or
/// it fails; what nobody tells says nothing about the endpoint.
pub struct Visit<'v> {
    board: &'v Board,
    meters: &'v Meters,
    service: ServiceId,
    index: Option<EndpointIndex>,
    alone: bool,
    began: Nanos,
    settled: Cell<bool>,
}

impl Endpoint {
    /// What `Host` says to it.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// No connection comes back to it any more.
    pub(super) fn retire(&self) {
        self.listed.set(false);
        self.pool.clear();
    }
}

impl<'v> Visit<'v> {
    #[must_use]
    pub fn begin(board: &'v Board, meters: &'v Meters, endpoint: &Endpoint, began: Nanos) -> Visit<'v> {
        let index = endpoint.index.get();
        if let Some(index) = index {
            board.endpoints.in_flight_add(board.slot, index);
        }
        let alone = endpoint.alone.get();
        Visit { board, meters, service: endpoint.service, index, alone, began, settled: Cell::new(false) }
    }

    /// The answer's head was complete at `now`; the client had let the service wait for so long.
    pub fn answered(&self, status: u16, sheds: bool, now: Nanos, waited_ms: u64) {
        let took = now.since(self.began).saturating_sub(Duration::from_millis(waited_ms));
        self.settle(circuit::verdict(Downstream::Status(status), sheds), took, now);
    }

    /// There was no answer, and the client was not the reason.
    #[cold]
    pub fn failed(&self) {
        let now = clock::now();
        self.settle(Outcome::Failure, now.since(self.began), now);
    }

    fn settle(&self, outcome: Outcome, took: Duration, now: Nanos) {
        if self.settled.replace(true) {
            return;
        }
        let Some(index) = self.index.filter(|_| !(self.alone && outcome == Outcome::Failure)) else { return };
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let Board { endpoints, rules, .. } = self.board;
        if endpoints.record(index, outcome, took_us, rules, now.millis().0).is_some() {
            self.meters.ejected(usize::from(self.service.0));
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            self.board.endpoints.in_flight_sub(self.board.slot, index);
        }
    }
}
