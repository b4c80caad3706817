//! The older revocation key, `session:blacklist:<raw token>`: read, never written. It is the only place where a raw
//! token goes to Redis; LEGACY_BLACKLIST=false leaves this out.
//!
//! A worker reports a token once, when the node first sees it, and says nothing more of it: a token that was used
//! counts as used until it expires. Access tokens live 15 minutes, and the bounds below hold for those that live
//! longer. So no request after the first sends anything, and a token that is used again is never found unwatched.

use super::connection::{BATCH_COMMANDS_MAX, CallFault, Connection};
use super::event::{Event, TokenName};
use super::operation::Operation;
use super::throttle::Throttle;
use crate::figures::Figures;
use edge_worker::clock::{self, UnixSeconds};
use edge_worker::config::secret::Secret;
use redis::{Cmd, Value};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks at every token.
pub const PERIOD: Duration = Duration::from_secs(5);
/// Tokens that are watched, and their bytes. One more is looked at once and not again.
pub const TOKENS_MAX_COUNT: usize = 65_536;
pub const TOKENS_BYTES_MAX: usize = 64 << 20;

/// Clones watch the same tokens.
#[derive(Clone)]
pub struct LegacyBlacklist {
    connection: Connection,
    watched: Arc<Mutex<Watched>>,
}

#[derive(Default)]
struct Watched {
    /// In an order, so that a round can go on where it was.
    tokens: BTreeMap<TokenName, WatchedToken>,
    bytes: usize,
    overflow: u64,
}

#[derive(Clone)]
struct WatchedToken {
    raw: Secret<String>,
    exp: UnixSeconds,
}

impl LegacyBlacklist {
    #[must_use]
    pub fn new(connection: Connection) -> LegacyBlacklist {
        LegacyBlacklist { connection, watched: Arc::default() }
    }

    /// The first sight of a token on this node: whether it is listed. It is watched until `exp` from now on, also
    /// if Redis cannot be asked. `name` is what the mirror knows it by.
    pub async fn first_sight(
        &self,
        name: TokenName,
        raw: Secret<String>,
        exp: UnixSeconds,
    ) -> Result<bool, CallFault> {
        let command = exists(&raw);
        let fits = self.watched().insert(name.clone(), WatchedToken { raw, exp });
        if !fits {
            self.figures().legacy_unwatched();
        }
        let listed = is_listed(&self.connection.call(Operation::Legacy, command).await?);
        if listed {
            self.forget(&name);
        }
        Ok(listed)
    }

    /// The token is not used any more, or revoked otherwise.
    pub fn forget(&self, name: &TokenName) {
        self.watched().remove(name);
    }

    /// Tokens that are watched.
    #[must_use]
    pub fn watched_count(&self) -> usize {
        self.watched().tokens.len()
    }

    /// Tokens that found no room.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.watched().overflow
    }

    /// Where tokens without room are counted.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.connection.figures()
    }

    /// Looks at all of them every [`PERIOD`], for ever. `revoked` gets an event for this node's mirror; other nodes
    /// look themselves.
    pub async fn run(self, mut revoked: impl FnMut(Event)) {
        let mut rounds = tokio::time::interval(PERIOD);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut complaints = Throttle::default();
        let mut reported = 0;
        loop {
            rounds.tick().await;
            if let Err(fault) = self.round(&mut revoked).await
                && complaints.admits(clock::now())
            {
                tracing::warn!(%fault, "the older revocation keys cannot be read");
            }
            let unwatched = self.overflow();
            if unwatched > reported && complaints.admits(clock::now()) {
                reported = unwatched;
                tracing::warn!(
                    unwatched,
                    "more tokens are used than can be looked for under their older keys"
                );
            }
        }
    }

    /// Looks at every watched token once, and forgets those that have expired.
    ///
    /// # Errors
    /// Redis is down, so that the rest was not looked at; or it refused to tell of some, of which this is the first.
    pub async fn round(&self, revoked: &mut impl FnMut(Event)) -> Result<(), CallFault> {
        self.watched().expire(clock::wall_seconds());
        let (mut last, mut refused) = (None, None);
        loop {
            let some = self.watched().after(last.as_ref(), BATCH_COMMANDS_MAX);
            let commands: Vec<Cmd> = some.iter().map(|(_, token)| exists(&token.raw)).collect();
            if commands.is_empty() {
                return refused.map_or(Ok(()), Err);
            }
            last = some.last().map(|(name, _)| name.clone());
            let replies = self.connection.batch(Operation::Legacy, commands).await?;
            for ((name, token), reply) in some.into_iter().zip(replies) {
                match reply {
                    Ok(value) if is_listed(&value) => {
                        self.forget(&name);
                        revoked(Event::Token { token: name, exp: token.exp });
                    }
                    Ok(_) => {}
                    Err(fault) => refused = refused.or(Some(fault)),
                }
            }
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        // Nobody panics while holding it, and its value is complete at any time.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// `false` if there is no room.
    fn insert(&mut self, name: TokenName, token: WatchedToken) -> bool {
        let bytes = token.raw.expose().len();
        self.remove(&name);
        if self.tokens.len() >= TOKENS_MAX_COUNT || self.bytes.saturating_add(bytes) > TOKENS_BYTES_MAX {
            self.overflow += 1;
            return false;
        }
        self.bytes += bytes;
        self.tokens.insert(name, token);
        true
    }

    /// Those behind `last`, or the first ones.
    fn after(&self, last: Option<&TokenName>, count_max: usize) -> Vec<(TokenName, WatchedToken)> {
        let begin = last.map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.tokens.range((begin, Bound::Unbounded)).take(count_max);
        some.map(|(name, token)| (name.clone(), token.clone())).collect()
    }

    fn remove(&mut self, name: &TokenName) {
        if let Some(token) = self.tokens.remove(name) {
            self.bytes -= token.raw.expose().len();
        }
    }

    fn expire(&mut self, now: UnixSeconds) {
        self.tokens.retain(|_, token| token.exp > now);
        self.bytes = self.tokens.values().map(|token| token.raw.expose().len()).sum();
    }
}

fn exists(raw: &Secret<String>) -> Cmd {
    let mut command = redis::cmd("EXISTS");
    command.arg(format!("session:blacklist:{}", raw.expose()));
    command
}

fn is_listed(value: &Value) -> bool {
    matches!(value, Value::Int(count) if *count > 0)
}
