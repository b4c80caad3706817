//! Renewal: before a token is refused only because no key proves it, the keys are made sure to be the newest.
//!
//! The supervisor fetches, at most once in 30 s a node however many tokens ask for it; between two fetches this is a
//! look at two words. After a fetch the token is refused if still no key proves it. While the address of the keys
//! cannot be read, nobody knows which keys there are: that is an outage, and an outage is a 503, never a 401.

use super::rejection::Rejection;
use crate::control::asks::Question;
use crate::control::key_set::{LastFetch, Renewal};
use crate::worker::Worker;
use std::rc::Rc;

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// Another set than before.
    Keys,
    /// There is none newer: what was decided stands.
    Nothing,
}

/// Waits for newer keys, if there can be any.
///
/// # Errors
/// 503 if nobody can tell.
pub async fn renew(worker: &Rc<Worker>) -> Result<Renewed, Rejection> {
    let Some(renewal) = worker.keys.renewal() else { return Ok(Renewed::Nothing) };
    let before = worker.keys.version();
    let now_ms = worker.wheel.now().0;
    if now_ms < renewal.quiet_until_ms {
        return decided(renewal).map(|()| Renewed::Nothing);
    }
    if worker.keys.ask() {
        let asking = Rc::clone(worker);
        crate::net::io::spawn(async move {
            // Without an answer the set is as old as it was, and the waiting see that.
            drop(asking.ask(Question::Keys).await);
            asking.keys.asked();
        });
    }
    let waited = worker.keys.fetched().await;
    match worker.keys.renewal().filter(|renewal| waited && now_ms < renewal.quiet_until_ms) {
        Some(renewal) => decided(renewal)?,
        None => return Err(Rejection::CheckUnavailable),
    }
    Ok(if worker.keys.version() == before { Renewed::Nothing } else { Renewed::Keys })
}

fn decided(renewal: Renewal) -> Result<(), Rejection> {
    match renewal.last {
        LastFetch::Succeeded => Ok(()),
        LastFetch::Failed => Err(Rejection::CheckUnavailable),
    }
}
