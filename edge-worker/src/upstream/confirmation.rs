//! Confirmation: what a service's success sets off on this node, before the client hears of it.
//!
//! Whoever is told that a token is revoked or somebody is no longer staff finds it so with the next request.

use crate::clock::Millis;
use crate::control::asks::{Question, Withdrawal};
use crate::control::link::Asks;
use std::cell::Cell;

/// Something that is withdrawn if, and as soon as, the service confirms it.
pub struct Confirmation<'w> {
    asks: &'w Asks,
    withdrawal: Cell<Option<Withdrawal>>,
}

impl<'w> Confirmation<'w> {
    #[must_use]
    pub fn new(asks: &'w Asks, withdrawal: Withdrawal) -> Confirmation<'w> {
        Confirmation { asks, withdrawal: Cell::new(Some(withdrawal)) }
    }

    /// Returns when the node has withdrawn it, or cannot be reached. Only the first 2xx counts.
    pub async fn answered(&self, status: u16, now: Millis) {
        if !(200..300).contains(&status) {
            return;
        }
        if let Some(withdrawal) = self.withdrawal.take() {
            // The service has done it; its answer goes on whether or not the supervisor is there to hear of it.
            drop(self.asks.ask(Question::Withdraw { withdrawal }, now).await);
        }
    }
}
