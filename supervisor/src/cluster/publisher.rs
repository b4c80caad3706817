//! Writes this node's revocations: applied here at once, in Redis as soon as it can be reached, until it has them.

use super::connection::{CallFault, Connection};
use super::event::{Durable, Event, NOT_BEFORE_TTL_S};
use super::operation::Operation;
use super::outbox::{Letter, Outbox, Refusal};
use super::stream;
use super::throttle::Throttle;
use crate::export::security_log::{About, SecurityLog};
use edge_worker::clock;
use edge_worker::identity::digests::sha256_digits;
use edge_worker::telemetry::security_events::SecurityEvent;
use redis::Cmd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Letters of one transaction.
const BATCH_MAX_COUNT: usize = 100;
/// Between two attempts while Redis is down. The breaker makes most of them cost nothing.
const RETRY: Duration = Duration::from_millis(100);
/// Between two tries of what Redis refuses.
const RETRY_REFUSED: Duration = Duration::from_secs(30);
/// Digits of a digest that tell a refused revocation apart from others.
const DIGEST_DIGITS: usize = 16;

/// Keeps the later epoch, whatever order two nodes write in: an outbox that was cut off must not take a younger
/// revocation back. The same epoch with another exception excepts nobody. What is no such value is overwritten.
const NOT_BEFORE_SCRIPT: &str = "local old = redis.pcall('GET', KEYS[1])
local value = ARGV[2]
if type(old) == 'string' and old ~= value then
  local ok, was = pcall(cjson.decode, old)
  local epoch = ok and type(was) == 'table' and tonumber(was.epoch)
  if epoch and epoch > tonumber(ARGV[1]) then return 0 end
  if epoch and epoch == tonumber(ARGV[1]) then value = ARGV[3] end
end
redis.call('SET', KEYS[1], value, 'EX', ARGV[4])
return 1";

/// Clones share the outbox.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    outbox: Mutex<Outbox>,
    waiting: watch::Sender<usize>,
    /// `src` of the entries: this node's name.
    source: String,
    skew_s: i64,
    security: SecurityLog,
}

/// What became of a write. In every case it holds on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// It waits for Redis; see [`Publisher::flushed`].
    Waiting,
    /// It ended before it began, such as the revocation of an expired token.
    Over,
    /// Too many wait. No other node will hear of it.
    Refused,
}

impl Publisher {
    /// `source` names this node in the stream; `skew_s` is JWT_CLOCK_SKEW_SECS.
    #[must_use]
    pub fn new(source: String, skew_s: u32, security: SecurityLog) -> Publisher {
        Publisher(Arc::new(Inner {
            outbox: Mutex::new(Outbox::default()),
            waiting: watch::Sender::new(0),
            source,
            skew_s: i64::from(skew_s),
            security,
        }))
    }

    /// Applies the event here by `apply`, then hands it to the writer. Never waits. `reason` says why, in a word.
    pub fn publish(&self, event: Event, reason: &'static str, apply: impl FnOnce(&Event)) -> Published {
        apply(&event);
        if event.is_over(clock::wall_seconds(), self.0.skew_s) {
            return Published::Over;
        }
        let kind = event.kind();
        let fits = self.outbox().push(Letter::new(event, reason));
        if !fits {
            let about = About { what: Some(kind), ..About::default() };
            self.0.security.raise(SecurityEvent::RevocationOutboxFull, about);
            return Published::Refused;
        }
        self.note();
        Published::Waiting
    }

    /// Writes that Redis does not have yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox().waiting()
    }

    /// Those and the ones that Redis refuses.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        self.outbox().unpublished()
    }

    /// Whether Redis is up and refuses this one.
    #[must_use]
    pub fn is_refused(&self, event: &Event) -> bool {
        self.outbox().is_refused(event)
    }

    /// Ends when Redis has everything that was published before, but for what it refuses. The caller bounds the wait.
    pub async fn flushed(&self) {
        let mut waiting = self.0.waiting.subscribe();
        // The sender lives as long as self.
        let _ = waiting.wait_for(|count| *count == 0).await;
    }

    /// Redis lost data: this node's valid revocations are written again.
    pub fn replay(&self) {
        let count = self.outbox().replay(clock::wall_seconds(), self.0.skew_s);
        self.note();
        if count > 0 {
            tracing::warn!(count, "Redis lost its data: this node's revocations are written again");
        }
    }

    /// What Redis refused gets another try.
    pub fn retry_refused(&self) {
        self.outbox().retry_refused();
        self.note();
    }

    /// Writes for ever. One task a node runs it.
    pub async fn run(self, connection: Connection) {
        let mut waiting = self.0.waiting.subscribe();
        let mut complaints = Throttle::default();
        let mut count_max = BATCH_MAX_COUNT;
        let mut again = tokio::time::interval(RETRY_REFUSED);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                found = waiting.wait_for(|count| *count > 0) => {
                    if found.is_err() {
                        return;
                    }
                }
                _ = again.tick() => {
                    self.retry_refused();
                    continue;
                }
            }
            let letters = self.outbox().take(count_max);
            let outcome = self.write(&connection, &letters).await;
            match outcome {
                Ok(()) => {
                    self.outbox().written();
                    count_max = BATCH_MAX_COUNT;
                }
                Err(fault) => {
                    if complaints.admits(clock::now()) {
                        let waiting = self.waiting();
                        tracing::warn!(%fault, waiting, "revocations wait for Redis");
                    }
                    if !fault.is_final() || (letters.len() == 1 && self.postpones(&fault)) {
                        tokio::time::sleep(RETRY).await;
                    }
                    if fault.is_final() {
                        // One of them is refused. Alone each shows which; that one lets the others pass.
                        count_max = 1;
                    }
                }
            }
            self.note();
        }
    }

    /// Redis refuses the letter in hand. Whether that one waits for another try.
    fn postpones(&self, fault: &CallFault) -> bool {
        let refusal = self.outbox().refuse();
        let Some(Refusal::LaidAside(letter)) = refusal else { return refusal == Some(Refusal::Postponed) };
        let digest = sha256_digits(letter.event.id().as_bytes());
        let about = About {
            what: Some(letter.event.kind()),
            whom: digest.get(..DIGEST_DIGITS),
            reason: Some(&fault.to_string()),
            ..About::default()
        };
        self.0.security.raise(SecurityEvent::RevocationRefused, about);
        false
    }

    fn note(&self) {
        let (waiting, refused) = {
            let outbox = self.outbox();
            (outbox.waiting(), outbox.refused())
        };
        self.0.waiting.send_replace(waiting);
        self.0.security.figures().revocations_unpublished(waiting, refused);
    }

    /// All of them, or a fault; some may have been written then, and are written again.
    async fn write(&self, connection: &Connection, letters: &[Letter]) -> Result<(), CallFault> {
        let now = clock::wall_seconds();
        let keys = letters.iter().filter_map(|letter| letter.event.durable(now, self.0.skew_s)).map(set);
        let keys: Vec<Cmd> = keys.collect();
        let valid = letters.iter().filter(|letter| !letter.event.is_over(now, self.0.skew_s));
        let entries: Vec<Cmd> =
            valid.map(|letter| stream::add(&letter.event, &self.0.source, letter.reason)).collect();
        let together: Vec<Cmd> = keys.iter().chain(&entries).cloned().collect();
        if together.is_empty() {
            return Ok(());
        }
        if connection.transaction(Operation::Publish, together).await?.is_some() {
            return Ok(());
        }
        // In a Cluster the key comes first: whoever reads the entry and then loses it finds the key.
        for commands in [keys, entries] {
            for reply in connection.batch(Operation::Publish, commands).await? {
                reply?;
            }
        }
        Ok(())
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // Nobody panics while holding it, and its value is complete at any time.
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(durable: Durable) -> Cmd {
    match durable {
        Durable::Token { key, ttl_s } => {
            let mut command = redis::cmd("SET");
            command.arg(key).arg("1").arg("EX").arg(ttl_s);
            command
        }
        Durable::NotBefore { key, epoch, value, without_except } => {
            let mut command = redis::cmd("EVAL");
            command.arg(NOT_BEFORE_SCRIPT).arg(1).arg(key);
            command.arg(epoch).arg(value).arg(without_except).arg(NOT_BEFORE_TTL_S);
            command
        }
        Durable::Generation { key } => {
            let mut command = redis::cmd("INCR");
            command.arg(key);
            command
        }
    }
}
