//! `JWKS_URI`: fetched at the start, in the background, and at most once in 30 s because a token could be proven by a
//! key that is not here yet. One task a node, so equal wishes of all workers are one fetch.

use super::Keys;
use super::fetch::{Document, FetchFault, Fetcher};
use edge_worker::clock;
use edge_worker::config::limits::KEYS_MAX;
use edge_worker::config::tokens::PublicKey;
use edge_worker::config::tokens::jwks;
use edge_worker::control::key_set::{LastFetch, Renewal};
use edge_worker::telemetry::metrics::Metric;
use shm::SupervisorRegion;
use shm::counters::SeriesKey;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// After a fetch that a token brought about, no token brings another one about for so long. What is fetched in the
/// background counts only if somebody waited for it.
pub const QUIET: Duration = Duration::from_secs(30);
/// Between two fetches, unless the document's `max-age` says otherwise.
const REFRESH: Duration = Duration::from_secs(300);
const REFRESH_MIN: Duration = Duration::from_secs(60);
const REFRESH_MAX: Duration = Duration::from_secs(3_600);
/// After a failed fetch; doubles with each further one.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Share by which a pause is longer or shorter, so that nodes do not fetch in step.
const JITTER: f64 = 0.1;
/// Wishes that wait: no worker has more than one.
const WISHES_MAX: usize = shm::SLOTS_MAX;

/// Asks for a fetch. Without an address there is nobody to ask.
#[derive(Clone, Default)]
pub struct Wishes(Option<mpsc::Sender<oneshot::Sender<()>>>);

/// The other end.
pub struct Wished(mpsc::Receiver<oneshot::Sender<()>>);

#[must_use]
pub fn wishes() -> (Wishes, Wished) {
    let (sender, receiver) = mpsc::channel(WISHES_MAX);
    (Wishes(Some(sender)), Wished(receiver))
}

impl Wishes {
    /// Returns once the set is as new as it may be: a running fetch is waited for, one that ended a moment ago serves.
    pub async fn fetch(&self) {
        let (done, ended) = oneshot::channel();
        if let Some(wishes) = &self.0
            && wishes.try_send(done).is_ok()
        {
            // A task that is gone fetches no more; what it said last holds.
            let _ = ended.await;
        }
    }
}

/// Fetches for as long as the node runs.
pub async fn run(fetcher: Fetcher, keys: Arc<Keys>, region: &'static SupervisorRegion, mut wished: Wished) {
    let mut failures = 0;
    let mut quiet_until_ms = 0;
    let mut waiting = Vec::new();
    loop {
        let fetched = fetcher.fetch().await.map_err(Refused::Fetch).and_then(read);
        count(region, fetched.is_ok());
        waiting.extend(std::iter::from_fn(|| wished.0.try_recv().ok()));
        if !waiting.is_empty() {
            quiet_until_ms = clock::now().millis().0 + millis(QUIET);
        }
        let renewal = |last| Renewal { last, quiet_until_ms };
        let taken = fetched.and_then(|(found, max_age)| {
            let change = keys.replace_fetched(found, renewal(LastFetch::Succeeded))?;
            if !change.is_none() {
                change.log("JWKS_URI");
            }
            Ok(max_age)
        });
        let pause = match taken {
            Ok(max_age) => {
                failures = 0;
                after_success(max_age)
            }
            Err(why) => {
                failures += 1;
                tracing::error!(why = %why, failures, "JWKS_URI: no usable keys were fetched; the old ones stay");
                keys.fetch_failed(renewal(LastFetch::Failed));
                after_failure(failures)
            }
        };
        let again_at = Instant::now() + spread(pause, rand::random());
        for done in waiting.drain(..) {
            let _worker_is_gone = done.send(());
        }
        waiting.extend(wished.until(again_at, quiet_until_ms).await);
    }
}

impl Wished {
    /// Waits for the next fetch: until its time, or for a wish after the quiet time, which is returned. Earlier wishes
    /// are answered with what there is.
    async fn until(&mut self, again_at: Instant, quiet_until_ms: u64) -> Option<oneshot::Sender<()>> {
        loop {
            let done = tokio::select! {
                () = sleep_until(again_at) => return None,
                Some(done) = self.0.recv() => done,
            };
            if clock::now().millis().0 >= quiet_until_ms {
                return Some(done);
            }
            let _worker_is_gone = done.send(());
        }
    }
}

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    Fetch(FetchFault),
    /// Its own words could repeat the document.
    #[error("the document is no JWKS (line {line}, column {column})")]
    Document { line: usize, column: usize },
    #[error("the document lists more than {KEYS_MAX} keys")]
    TooMany,
    #[error("the document has no key of an accepted algorithm")]
    Empty,
    #[error("{0}")]
    Unusable(#[from] super::Unusable),
}

/// The keys of a document and how long they may be kept. Entries that cannot be used are passed over, as RFC 7517
/// section 5 has it.
fn read(document: Document) -> Result<(Vec<PublicKey>, Option<Duration>), Refused> {
    let entries = jwks::entries(&document.body)
        .map_err(|fault| Refused::Document { line: fault.line(), column: fault.column() })?;
    if entries.len() > KEYS_MAX {
        return Err(Refused::TooMany);
    }
    let mut keys = Vec::new();
    for (index, entry) in entries {
        match entry {
            Ok(key) => keys.push(key),
            Err(why) => tracing::warn!(index, why = %why, "JWKS_URI: an entry is passed over"),
        }
    }
    if keys.is_empty() { Err(Refused::Empty) } else { Ok((keys, document.max_age)) }
}

fn after_success(max_age: Option<Duration>) -> Duration {
    max_age.unwrap_or(REFRESH).clamp(REFRESH_MIN, REFRESH_MAX)
}

fn after_failure(failures: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(RETRY_MAX)
}

/// `random` is from 0 to 1.
fn spread(pause: Duration, random: f64) -> Duration {
    pause.mul_f64(1.0 + JITTER * (2.0 * random - 1.0))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// On the supervisor's one thread, as all its counters.
fn count(region: &SupervisorRegion, fetched: bool) {
    let own = &region.shared().cumulative;
    // Places in `labels::KEY_FETCHES`.
    let result = u16::from(!fetched);
    own.add(own.counter(SeriesKey::new(Metric::KeyFetches.number(), result, 0, 0)), 1);
}

#[cfg(test)]
mod tests;
