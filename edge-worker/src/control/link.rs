//! The worker's end of the channel of asks: what waits for an answer, and until when.
//!
//! One task of the worker writes what was asked and reads what was answered; a request only waits on its own
//! place here.

use super::asks::{self, ASKS_WAITING_MAX, Answer, Answered, Asked, Question, Said, Unanswered};
use super::endpoint_set::EndpointSet;
use super::key_set::KeySet;
use crate::clock::Millis;
use crate::identity::keys::KeyFault;
use crate::net::io::Stream;
use crate::net::join::join;
use crate::net::wheel::Reason;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A supervisor that does not take a frame for so long is treated as gone.
const WRITE_MS: u64 = 5_000;
const READ_BYTES: usize = 16 * 1024;

/// Everything this worker waits for.
#[derive(Default)]
pub struct Asks {
    waiting: RefCell<BTreeMap<u64, Waiting>>,
    next_id: Cell<u64>,
    outbox: RefCell<Vec<u8>>,
    writer: Cell<Option<Waker>>,
    gone: Cell<bool>,
}

/// What the supervisor tells without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Keys(KeySet),
    Endpoints(EndpointSet),
}

struct Waiting {
    until: Millis,
    outcome: Option<Result<Answer, Unanswered>>,
    waker: Option<Waker>,
}

impl Asks {
    /// Asks, and waits for the answer or for the deadline of this kind of question.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, question: Question, now: Millis) -> Result<Answer, Unanswered> {
        let place = self.post(question, now)?;
        poll_fn(|context| {
            let mut waiting = self.waiting.borrow_mut();
            let Some(waiting) = waiting.get_mut(&place.id) else { return Poll::Ready(Err(Unanswered::Gone)) };
            match waiting.outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    waiting.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
        .and_then(|answer| match answer {
            Answer::Overloaded => Err(Unanswered::Overloaded),
            answer => Ok(answer),
        })
    }

    fn post(&self, question: Question, now: Millis) -> Result<Place<'_>, Unanswered> {
        if self.gone.get() {
            return Err(Unanswered::Gone);
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= ASKS_WAITING_MAX {
            return Err(Unanswered::Overloaded);
        }
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let until = Millis(now.0 + question.deadline_ms());
        if !asks::encode(&Asked { id, question }, &mut self.outbox.borrow_mut()) {
            return Err(Unanswered::Overloaded);
        }
        waiting.insert(id, Waiting { until, outcome: None, waker: None });
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        Ok(Place { asks: self, id })
    }

    /// Ends what has waited for too long. Called with every tick of the worker's clock.
    pub fn expire(&self, now: Millis) {
        let mut waiting = self.waiting.borrow_mut();
        for place in waiting.values_mut().filter(|place| place.until.0 <= now.0) {
            place.settle(Err(Unanswered::Late));
        }
    }

    /// How many asks wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Carries asks and answers until the supervisor is gone; then everything that waits ends. `adopt` takes the news;
    /// keys that it cannot use end the channel.
    pub async fn carry(&self, mut channel: Stream, adopt: impl Fn(News) -> Result<(), KeyFault>) {
        let sides = channel.sides();
        let (mut reader, mut writer) = (sides.reader, sides.writer);
        let reading = async {
            let mut bytes = Vec::with_capacity(READ_BYTES);
            loop {
                bytes.reserve(READ_BYTES);
                let filled = reader.read(bytes, Reason::Idle, u64::MAX / 2).await;
                bytes = filled.buffer;
                if filled.end.is_some() || !self.take(&mut bytes, &adopt) {
                    break;
                }
            }
            self.end();
        };
        let writing = async {
            while let Some(frames) = self.posted().await {
                if writer.write_all(frames, WRITE_MS).await.0.is_err() {
                    break;
                }
            }
            writer.shut_down();
        };
        join(reading, writing).await;
    }

    /// Settles every whole answer; `false` if the channel cannot be read any further.
    fn take(&self, bytes: &mut Vec<u8>, adopt: &impl Fn(News) -> Result<(), KeyFault>) -> bool {
        loop {
            let news = match asks::decode::<Said>(bytes) {
                Ok(Some(Said::Keys(set))) => News::Keys(set),
                Ok(Some(Said::Endpoints(set))) => News::Endpoints(set),
                Ok(Some(Said::Answered(Answered { id, answer }))) => {
                    // An answer that comes after its deadline has nobody waiting any more.
                    if let Some(place) = self.waiting.borrow_mut().get_mut(&id) {
                        place.settle(Ok(answer));
                    }
                    continue;
                }
                Ok(None) => return true,
                Err(_) => return false,
            };
            if adopt(news).is_err() {
                return false;
            }
        }
    }

    /// What is to be written; `None` once the channel has ended.
    async fn posted(&self) -> Option<Vec<u8>> {
        poll_fn(|context| {
            if self.gone.get() {
                return Poll::Ready(None);
            }
            let mut outbox = self.outbox.borrow_mut();
            if outbox.is_empty() {
                self.writer.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(Some(std::mem::take(&mut *outbox)))
        })
        .await
    }

    fn end(&self) {
        self.gone.set(true);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        for place in self.waiting.borrow_mut().values_mut() {
            place.settle(Err(Unanswered::Gone));
        }
    }
}

/// A request's place among those that wait; dropping it gives the place back.
struct Place<'a> {
    asks: &'a Asks,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.asks.waiting.borrow_mut().remove(&self.id);
    }
}

impl Waiting {
    fn settle(&mut self, outcome: Result<Answer, Unanswered>) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests;
