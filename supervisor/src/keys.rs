//! The node's public keys: read by the supervisor alone, one set for all workers, exchanged whole.
//!
//! A key is what its fingerprint says; kids are labels. A set that cannot be used changes nothing, and the log says
//! why.

pub mod reload;

use edge_worker::config::limits::KEYS_MAX;
use edge_worker::config::tokens::{PublicKey, TokenSettings};
use edge_worker::control::key_set::KeySet;
use edge_worker::identity::keys::{KeyFault, KeyRing};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The keys that hold, and who is told of them. One a node.
pub struct Keys {
    /// With the algorithms that are accepted; its own keys are not looked at.
    settings: TokenSettings,
    /// Held while a set is made, so that two changes cannot undo each other.
    sources: Mutex<Sources>,
    published: watch::Sender<Arc<KeySet>>,
}

/// Where keys come from.
struct Sources {
    /// `JWT_PUBLIC_KEY`, `JWT_PUBLIC_KEY_PREVIOUS` and `JWKS_FILE`.
    files: Vec<PublicKey>,
}

/// Why a new set is not taken. The old one stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("no key of an accepted algorithm would be left")]
    Empty,
    #[error("there would be more than {KEYS_MAX} keys")]
    TooMany,
    #[error("{0}")]
    Key(#[from] KeyFault),
}

/// What a new set changes: keys by fingerprint and label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub added: Vec<String>,
    pub dropped: Vec<String>,
    pub kept: Vec<String>,
}

impl Keys {
    /// The first set.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn new(settings: &TokenSettings) -> Result<Keys, Unusable> {
        let sources = Sources { files: settings.keys.clone() };
        let keys = usable(settings, sources.all())?;
        let (published, _) = watch::channel(Arc::new(KeySet { version: 1, keys }));
        Ok(Keys { settings: settings.clone(), sources: Mutex::new(sources), published })
    }

    /// Sees the set that holds now, and every later one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<KeySet>> {
        self.published.subscribe()
    }

    /// Takes what the files hold now.
    ///
    /// # Errors
    /// If the set cannot be used.
    pub fn replace_files(&self, files: Vec<PublicKey>) -> Result<Change, Unusable> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Sources { files };
        let keys = usable(&self.settings, next.all())?;
        *sources = next;
        Ok(self.publish(keys))
    }

    fn publish(&self, keys: Vec<PublicKey>) -> Change {
        let old = Arc::clone(&self.published.borrow());
        let change = Change::between(&old.keys, &keys);
        if keys != old.keys {
            self.published.send_replace(Arc::new(KeySet { version: old.version + 1, keys }));
        }
        change
    }
}

impl Sources {
    fn all(&self) -> Vec<PublicKey> {
        self.files.clone()
    }
}

/// Keys of accepted algorithms, proven to load as a worker will load them. Only a shared secret makes do without.
fn usable(settings: &TokenSettings, mut keys: Vec<PublicKey>) -> Result<Vec<PublicKey>, Unusable> {
    keys.retain(|key| settings.algorithms.contains(&key.algorithm));
    if keys.is_empty() && settings.hs256_secret.is_none() {
        return Err(Unusable::Empty);
    }
    if keys.len() > KEYS_MAX {
        return Err(Unusable::TooMany);
    }
    KeyRing::new(settings, &keys)?;
    Ok(keys)
}

impl Change {
    fn between(old: &[PublicKey], new: &[PublicKey]) -> Change {
        let holds = |keys: &[PublicKey], key: &PublicKey| {
            keys.iter().any(|other| other.fingerprint == key.fingerprint)
        };
        let named = |keys: &[PublicKey], wanted: &dyn Fn(&PublicKey) -> bool| {
            keys.iter().filter(|key| wanted(key)).map(name).collect()
        };
        Change {
            added: named(new, &|key| !holds(old, key)),
            dropped: named(old, &|key| !holds(new, key)),
            kept: named(new, &|key| holds(old, key)),
        }
    }

    /// One line of the log. A dropped key takes its tokens along, so that is worth a warning.
    pub fn log(&self, why: &str) {
        let (added, dropped, kept) = (self.added.join(" "), self.dropped.join(" "), self.kept.join(" "));
        if self.dropped.is_empty() {
            tracing::info!(why, added, kept, "public keys");
        } else {
            tracing::warn!(why, added, dropped, kept, "public keys; tokens of the dropped ones are refused");
        }
    }
}

/// How the log names a key.
fn name(key: &PublicKey) -> String {
    format!("{}:{:016x}", key.kid, key.fingerprint)
}

#[cfg(test)]
mod tests;
