//! Confirmation: what a service's success sets off on this node, before the client hears of it.
//!
//! Whoever is told that a token is revoked or somebody is no longer staff finds it so with the next request.

use crate::control::asks::{Question, Withdrawal};
use crate::worker::Worker;
use std::cell::Cell;

/// Something that is withdrawn if, and as soon as, the service confirms it.
pub struct Confirmation<'w> {
    worker: &'w Worker,
    withdrawal: Cell<Option<Withdrawal>>,
}

impl<'w> Confirmation<'w> {
    #[must_use]
    pub fn new(worker: &'w Worker, withdrawal: Withdrawal) -> Confirmation<'w> {
        Confirmation { worker, withdrawal: Cell::new(Some(withdrawal)) }
    }

    /// Returns when the node has withdrawn it, or cannot be reached. Only the first 2xx counts.
    pub async fn answered(&self, status: u16) {
        if !(200..300).contains(&status) {
            return;
        }
        if let Some(withdrawal) = self.withdrawal.take() {
            // The service has done it; its answer goes on whether or not the supervisor is there to hear of it.
            drop(self.worker.ask(Question::Withdraw { withdrawal }).await);
        }
    }
}
