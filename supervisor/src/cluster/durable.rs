//! Asks Redis itself whether a token is revoked, for a node whose mirror cannot be sure.

use super::connection::Connection;
use super::event::{self, Event, TokenName};
use super::operation::Operation;
use super::snapshot;
use edge_worker::clock::UnixSeconds;

/// The durable keys of revocations.
#[derive(Clone)]
pub struct DurableKeys {
    connection: Connection,
}

/// A token that may be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubted {
    pub token: TokenName,
    pub tenant: String,
    pub subject: String,
    pub issued_at: UnixSeconds,
}

/// What the keys say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    Clear,
    /// By this event, which the mirror should know.
    Revoked(Event),
    /// Redis does not answer, or with something that is no revocation and yet stands where one would.
    Unknown,
}

impl DurableKeys {
    #[must_use]
    pub fn new(connection: Connection) -> DurableKeys {
        DurableKeys { connection }
    }

    pub async fn ruling(&self, doubted: &Doubted) -> Ruling {
        let keys = event::durable_keys(&doubted.token, &doubted.tenant, &doubted.subject);
        let Ok(found) = snapshot::read(&self.connection, Operation::Revoked, &keys).await else {
            return Ruling::Unknown;
        };
        let mut unreadable = false;
        for event in found.into_iter().flatten() {
            match event {
                Ok(event) if doubted.falls_under(&event) => return Ruling::Revoked(event),
                Ok(_) => {}
                Err(_) => unreadable = true,
            }
        }
        if unreadable { Ruling::Unknown } else { Ruling::Clear }
    }
}

impl Doubted {
    /// Whether an event of one of its keys revokes it.
    fn falls_under(&self, event: &Event) -> bool {
        match event {
            Event::Token { .. } => true,
            Event::User { epoch, except, .. } => {
                self.issued_at <= *epoch && !except.as_ref().is_some_and(|jti| self.token.is_jti(jti))
            }
            Event::Tenant { epoch, .. } => self.issued_at <= *epoch,
            Event::Venue { .. } | Event::ForgetUser { .. } | Event::Ban { .. } | Event::Unban { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests;
