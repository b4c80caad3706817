//! Reads of Redis that many requests want at once are made once: the first look at a token, and at an API key.
//!
//! Whether a token is revoked is not among them: whoever joined a read that began before the revocation would be told
//! that there is none.

use crate::cluster::api_keys::{ApiKeyRecord, ApiKeys};
use crate::cluster::event::TokenName;
use crate::cluster::legacy::LegacyBlacklist;
use crate::identity::single_flight::{InFlight, SingleFlight};
use edge_worker::clock::UnixSeconds;
use edge_worker::config::secret::Secret;
use edge_worker::control::asks::ASKS_WAITING_MAX;
use shm::access::Moment;

/// Redis could not be asked, or by too many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unread;

/// Which key, and since when: an answer to a question from before an event is none to one from after it.
pub(super) type AskedKey = ([u8; 32], Moment);

/// The reads that are under way.
pub(super) struct Merged {
    keys: SingleFlight<AskedKey, Result<Option<ApiKeyRecord>, Unread>>,
    sights: SingleFlight<TokenName, Result<bool, Unread>>,
}

impl Merged {
    pub(super) fn new() -> Merged {
        let in_flight = InFlight::new(ASKS_WAITING_MAX);
        Merged { keys: SingleFlight::new(in_flight.clone()), sights: SingleFlight::new(in_flight) }
    }

    /// The record of a key, if there is one.
    pub(super) async fn key(
        &self,
        keys: &ApiKeys,
        asked: AskedKey,
        key: Secret<String>,
    ) -> Result<Option<ApiKeyRecord>, Unread> {
        let keys = keys.clone();
        let read = || async move { keys.find(&key).await.map_err(|_| Unread) };
        self.keys.ask(asked, read).await.unwrap_or(Err(Unread))
    }

    /// Whether a token is on the older blacklist.
    pub(super) async fn sight(
        &self,
        legacy: &LegacyBlacklist,
        token: TokenName,
        (raw, exp): (Secret<String>, UnixSeconds),
    ) -> Result<bool, Unread> {
        let (legacy, name) = (legacy.clone(), token.clone());
        let read = || async move { legacy.first_sight(name, raw, exp).await.map_err(|_| Unread) };
        self.sights.ask(token, read).await.unwrap_or(Err(Unread))
    }
}
