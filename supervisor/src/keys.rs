//! The node's public keys: read by the supervisor alone, one set for all workers, exchanged whole.
//!
//! A key is what its fingerprint says; kids are labels. A set that cannot be used changes nothing, and the log says
//! why.

pub mod reload;
pub mod remote;
pub mod fetch;

use edge_worker::config::limits::KEYS_MAX;
use edge_worker::config::tokens::{PublicKey, TokenSettings};
use edge_worker::control::key_set::{KeySet, LastFetch, Renewal};
use edge_worker::identity::keys::{KeyFault, KeyRing};
use shm::SupervisorRegion;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The keys that hold, and who is told of them. One a node.
pub struct Keys {
    /// With the algorithms that are accepted; its own keys are not looked at.
    settings: TokenSettings,
    /// Held while a set is made, so that two changes cannot undo each other.
    sources: Mutex<Sources>,
    published: watch::Sender<Arc<KeySet>>,
    region: &'static SupervisorRegion,
}

/// Where keys come from.
struct Sources {
    /// `JWT_PUBLIC_KEY`, `JWT_PUBLIC_KEY_PREVIOUS` and `JWKS_FILE`.
    files: Vec<PublicKey>,
    /// Of `JWKS_URI`.
    fetched: Vec<PublicKey>,
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
    /// The first set. It may be empty only where keys can be fetched or a secret will do.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn new(settings: &TokenSettings, region: &'static SupervisorRegion) -> Result<Keys, Unusable> {
        let sources = Sources { files: settings.keys.clone(), fetched: Vec::new() };
        let keys = usable(settings, sources.all())?;
        if keys.is_empty() && settings.hs256_secret.is_none() && !settings.renewable {
            return Err(Unusable::Empty);
        }
        let never = Renewal { last: LastFetch::Failed, quiet_until_ms: 0 };
        let renewal = settings.renewable.then_some(never);
        let (published, _) = watch::channel(Arc::new(KeySet { version: 1, keys, renewal }));
        let keys = Keys { settings: settings.clone(), sources: Mutex::new(sources), published, region };
        keys.note_count();
        Ok(keys)
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
        let sources = self.lock();
        let fetched = sources.fetched.clone();
        let renewal = self.published.borrow().renewal;
        self.replace(sources, Sources { files, fetched }, renewal)
    }

    /// Takes what the address has now.
    ///
    /// # Errors
    /// If the set cannot be used.
    pub fn replace_fetched(&self, mut fetched: Vec<PublicKey>, renewal: Renewal) -> Result<Change, Unusable> {
        fetched.retain(|key| self.settings.algorithms.contains(&key.algorithm));
        if fetched.is_empty() {
            return Err(Unusable::Empty);
        }
        let sources = self.lock();
        let files = sources.files.clone();
        self.replace(sources, Sources { files, fetched }, Some(renewal))
    }

    /// The address has nothing that can be used: the keys stay, and workers are told how much they know.
    pub fn fetch_failed(&self, renewal: Renewal) {
        let _sources = self.lock();
        let keys = self.published.borrow().keys.clone();
        self.publish(keys, Some(renewal));
    }

    fn replace(
        &self,
        mut sources: MutexGuard<'_, Sources>,
        next: Sources,
        renewal: Option<Renewal>,
    ) -> Result<Change, Unusable> {
        let keys = usable(&self.settings, next.all())?;
        let old = Arc::clone(&self.published.borrow());
        if keys.is_empty() && !old.keys.is_empty() {
            return Err(Unusable::Empty);
        }
        *sources = next;
        let change = Change::between(&old.keys, &keys);
        self.publish(keys, renewal);
        Ok(change)
    }

    fn publish(&self, keys: Vec<PublicKey>, renewal: Option<Renewal>) {
        self.published.send_if_modified(|set| {
            let changed = set.keys != keys || set.renewal != renewal;
            if changed {
                *set = Arc::new(KeySet { version: set.version + 1, keys, renewal });
            }
            changed
        });
        self.note_count();
    }

    /// Without a single key, the node is not ready until some were fetched.
    fn note_count(&self) {
        let count = self.published.borrow().keys.len() as u64;
        let awaited = self.settings.renewable && count == 0;
        self.region.authority().readiness.set_public_keys(self.region.writer(), count, awaited);
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources {
    /// Those of the files first. The same key under the same label is one.
    fn all(&self) -> Vec<PublicKey> {
        let mut all: Vec<PublicKey> = Vec::new();
        for key in self.files.iter().chain(&self.fetched) {
            if !all.iter().any(|other| other.kid == key.kid && other.fingerprint == key.fingerprint) {
                all.push(key.clone());
            }
        }
        all
    }
}

/// Keys of accepted algorithms, proven to load as a worker will load them.
fn usable(settings: &TokenSettings, mut keys: Vec<PublicKey>) -> Result<Vec<PublicKey>, Unusable> {
    keys.retain(|key| settings.algorithms.contains(&key.algorithm));
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

    /// Whether the same keys hold as before.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
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
