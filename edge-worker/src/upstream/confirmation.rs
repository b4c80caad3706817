//! Confirmation: what a service's success sets off on this node, before the client hears of it.
//!
//! Whoever is told that a token is revoked or somebody is no longer staff finds it so with the next request.

use crate::control::asks::{Question, Unanswered, Withdrawal};
use crate::net::io;
use crate::worker::Worker;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Something that is withdrawn if, and as soon as, the service confirms it.
pub struct Confirmation<'w> {
    worker: &'w Rc<Worker>,
    withdrawal: Cell<Option<Withdrawal>>,
}

impl<'w> Confirmation<'w> {
    #[must_use]
    pub fn new(worker: &'w Rc<Worker>, withdrawal: Withdrawal) -> Confirmation<'w> {
        Confirmation { worker, withdrawal: Cell::new(Some(withdrawal)) }
    }

    /// Returns when the node has withdrawn it, or cannot be reached. Only the first 2xx counts.
    pub async fn answered(&self, status: u16) {
        if !(200..300).contains(&status) {
            return;
        }
        if let Some(withdrawal) = self.withdrawal.take() {
            // The service has done it; its answer goes on whether or not the supervisor is there to hear of it.
            if self.worker.ask(Question::Withdraw { withdrawal: withdrawal.clone() }).await.is_err() {
                io::spawn(insist(Rc::clone(self.worker), withdrawal));
            }
        }
    }
}

/// Asks again until it is withdrawn; twice is once. A supervisor that is gone does not come back to this worker.
async fn insist(worker: Rc<Worker>, withdrawal: Withdrawal) {
    for _ in 0..ATTEMPTS_MAX {
        io::sleep(PAUSE).await;
        match worker.ask(Question::Withdraw { withdrawal: withdrawal.clone() }).await {
            Ok(_) | Err(Unanswered::Gone) => return,
            Err(Unanswered::Late | Unanswered::Overloaded) => {}
        }
    }
}

/// Between two attempts, and how many there are: longer than any storm of look-ups that ends with its time-outs.
const PAUSE: Duration = Duration::from_millis(500);
const ATTEMPTS_MAX: u32 = 60;
