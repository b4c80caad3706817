//! Whether auth-service still accepts a token.

use super::{Answerer, asker, named};
use crate::cluster::event::Event;
use crate::identity::auth_service::TokenAnswer;
use edge_worker::clock::UnixSeconds;
use edge_worker::config::secret::Secret;
use edge_worker::control::asks::{Named, Person, ValidationAnswer};
use edge_worker::telemetry::labels::RevocationSource;

impl Answerer {
    /// What auth-service refuses counts as revoked on this node for as long as it would live, so that nobody asks
    /// again. Other nodes ask for themselves: only a logout speaks for all.
    pub(super) async fn token(
        &self,
        user: Person,
        token: Named,
        expires_at: UnixSeconds,
        bearer: Secret<String>,
    ) -> ValidationAnswer {
        match self.auth.validate(bearer, asker(user)).await {
            TokenAnswer::Valid => ValidationAnswer::Valid,
            TokenAnswer::Refused => {
                let event = Event::Token { token: named(token), exp: expires_at };
                self.withdrawals.apply_here(&event, RevocationSource::Node);
                ValidationAnswer::Refused
            }
            TokenAnswer::Outage(_) => ValidationAnswer::Outage,
        }
    }
}
