//! Merges equal questions that are asked at the same time, and bounds how many different ones are in flight.

use super::outage::Why;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};

/// Questions in flight to one service from this node, `platform.md` section 5.
pub const IN_FLIGHT_MAX: usize = 256;

/// Room for the questions in flight to one service, shared by all its kinds of question.
#[derive(Clone)]
pub struct InFlight(Arc<Semaphore>);

impl InFlight {
    #[must_use]
    pub fn new(questions_max: usize) -> InFlight {
        InFlight(Arc::new(Semaphore::new(questions_max)))
    }
}

impl Default for InFlight {
    fn default() -> Self {
        InFlight::new(IN_FLIGHT_MAX)
    }
}

/// Questions of one kind. Each runs in a task of its own, so that whoever asked first may go away.
pub struct SingleFlight<K, V> {
    running: Arc<Running<K, V>>,
    in_flight: InFlight,
}

/// Where the answer to each running question will appear.
struct Running<K, V>(Mutex<HashMap<K, watch::Receiver<Option<V>>>>);

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    #[must_use]
    pub fn new(in_flight: InFlight) -> SingleFlight<K, V> {
        SingleFlight { running: Arc::new(Running(Mutex::default())), in_flight }
    }

    /// The answer of the running question with this key, or of `call`, which then begins. Fails with
    /// [`Why::Overloaded`] if there is no room, and with [`Why::Lost`] if the call panicked.
    ///
    /// Must be called within a tokio runtime.
    pub async fn ask<F>(&self, key: K, call: impl FnOnce() -> F) -> Result<V, Why>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut answer = self.join(key, call)?;
        let answered = answer.wait_for(Option::is_some).await;
        answered.ok().and_then(|answer| answer.clone()).ok_or(Why::Lost)
    }

    /// Different questions that are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.lock().len()
    }

    fn join<F>(&self, key: K, call: impl FnOnce() -> F) -> Result<watch::Receiver<Option<V>>, Why>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = self.running.lock();
        if let Some(answer) = running.get(&key) {
            return Ok(answer.clone());
        }
        let room = Arc::clone(&self.in_flight.0).try_acquire_owned().map_err(|_| Why::Overloaded)?;
        let (sender, receiver) = watch::channel(None);
        running.insert(key.clone(), receiver.clone());
        drop(running);
        // Made before the task begins, so that the key is taken back even if the task never runs.
        let landing = Landing { running: Arc::clone(&self.running), key };
        let call = call();
        tokio::spawn(async move {
            let _room = room;
            let sender = sender;
            let _landing = landing;
            sender.send_replace(Some(call.await));
        });
        Ok(receiver)
    }
}

impl<K, V> Running<K, V> {
    /// The map is whole between any two of its calls, so a panic elsewhere has not spoilt it.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<V>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question off the list, however its task ends.
struct Landing<K: Eq + Hash, V> {
    running: Arc<Running<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
