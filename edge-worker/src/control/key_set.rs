//! The node's public keys on their way to a worker: the whole set, each time it changes.
//!
//! The supervisor alone reads files and addresses. It tells every worker the set that holds, before anything else and
//! in step with the answers: whoever asked for newer keys has them when the answer is there. A worker accepts no
//! connection before it knows its keys, so that one that starts late never works with old ones.

use super::asks::ASK_BYTES_MAX;
use crate::config::limits::KEYS_MAX;
use crate::config::tokens::PublicKey;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};

/// Every key that tokens are verified with, but for the shared secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// From 1 upwards, in the order in which the sets hold.
    pub version: u64,
    pub keys: Vec<PublicKey>,
    /// Where keys can be fetched: whether that would help. `None`: the set is all there is.
    pub renewal: Option<Renewal>,
}

/// How new a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    pub last: LastFetch,
    /// Before this nothing is fetched because of a token; milliseconds of the monotonic clock.
    pub quiet_until_ms: u64,
}

/// How the last fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastFetch {
    Succeeded,
    /// Nobody knows which keys there are: a token that no key proves is not wrong, but undecided.
    Failed,
}

/// The longest key as a document: an RSA modulus of 8192 bits in base64url, its exponent, a kid of 128 characters each
/// of which may be escaped, and the names of the members.
const KEY_BYTES_MAX: usize = 1_366 + 8 + 2 * 128 + 256;
const _: () = assert!(KEYS_MAX * KEY_BYTES_MAX + 1_024 <= ASK_BYTES_MAX, "a whole set fits into one frame");

/// Requests of one worker that wait for a fetch at a time.
const WAITING_MAX: usize = 1_024;

/// Which set a worker works with.
#[derive(Default)]
pub struct Holding {
    version: Cell<u64>,
    renewal: Cell<Option<Renewal>>,
    asking: Cell<bool>,
    /// Requests that wait for the fetch that was asked for.
    waiting: RefCell<Vec<Waker>>,
    ended: Cell<bool>,
    first: RefCell<Option<Waker>>,
}

impl Holding {
    /// A set holds from now on.
    pub fn note(&self, set: &KeySet) {
        debug_assert!(set.version > self.version.get(), "sets come in order, and each once");
        self.version.set(set.version);
        self.renewal.set(set.renewal);
        self.wake();
    }

    /// The set that this worker works with.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.get()
    }

    #[must_use]
    pub fn renewal(&self) -> Option<Renewal> {
        self.renewal.get()
    }

    /// Whether nobody else of this worker has asked for a fetch yet: then the caller must, and say
    /// [`Holding::asked`] afterwards.
    pub fn ask(&self) -> bool {
        !self.asking.replace(true)
    }

    /// What was asked for is over: everybody looks at the set again.
    pub fn asked(&self) {
        self.asking.set(false);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Waits for the end of the fetch that was asked for; `false` at once if too many wait already.
    pub async fn fetched(&self) -> bool {
        poll_fn(|context| {
            let mut waiting = self.waiting.borrow_mut();
            if !self.asking.get() {
                return Poll::Ready(true);
            }
            if waiting.len() >= WAITING_MAX {
                return Poll::Ready(false);
            }
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// No set will come any more.
    pub fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    /// Waits for the first set. For one task.
    ///
    /// # Errors
    /// If none will come.
    pub async fn first(&self) -> io::Result<()> {
        poll_fn(|context| match (self.version.get(), self.ended.get()) {
            (0, true) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            (0, false) => {
                self.first.replace(Some(context.waker().clone()));
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        })
        .await
    }

    fn wake(&self) {
        if let Some(waiting) = self.first.take() {
            waiting.wake();
        }
    }
}
