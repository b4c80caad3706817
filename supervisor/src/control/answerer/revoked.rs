//! Whether a token is revoked, by Redis itself.

use super::Answerer;
use crate::cluster::durable::{Doubted, Ruling};
use edge_worker::control::asks::RevokedAnswer;
use edge_worker::telemetry::labels::RevocationSource;

impl Answerer {
    /// What Redis says goes into the mirror, so that the next request need not ask. Alone, a node has nobody to ask.
    pub(super) async fn revoked(&self, doubted: Doubted) -> RevokedAnswer {
        let Some(keys) = &self.durable else { return RevokedAnswer::Outage };
        // Looked at before Redis is: a full mirror may lack what this node revoked and Redis does not have yet.
        let is_behind = self.withdrawals.unpublished() > 0;
        match keys.ruling(&doubted).await {
            Ruling::Clear if is_behind => RevokedAnswer::Outage,
            Ruling::Clear => RevokedAnswer::Clear,
            Ruling::Revoked(event) => {
                self.withdrawals.apply_here(&event, RevocationSource::Snapshot);
                RevokedAnswer::Revoked
            }
            Ruling::Unknown => RevokedAnswer::Outage,
        }
    }
}
