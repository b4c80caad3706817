//! What the two directions of an exchange must know of each other, and whose time runs.

use crate::clock::Millis;
use crate::net::wheel::{Reason, Timer};
use std::cell::Cell;
use std::os::fd::RawFd;

/// What each direction must know of the other.
#[derive(Default)]
pub struct Progress {
    pub(super) answered: Cell<bool>,
    pub(super) uploaded: Cell<bool>,
    /// Milliseconds that the client has let us wait for its body.
    waited_ms: Cell<u64>,
    waiting_since: Cell<Option<Millis>>,
    /// The answer's timer runs for its head.
    head_awaited: Cell<bool>,
    /// We ended the service's connection ourselves: its end says nothing about its answer.
    broken_off: Cell<bool>,
}

/// The answer's time while it does not run: longer than any pause of a body, whose own time-outs bound it.
const PAUSED_MS: u64 = 86_400_000;

impl Progress {
    /// Of a request without a body.
    #[must_use]
    pub fn of_bodiless() -> Progress {
        Progress { uploaded: Cell::new(true), ..Progress::default() }
    }

    /// The upload waits for the client, until `client_came`. The service is not to blame for that, so its time
    /// does not run.
    pub fn client_awaited(&self, now: Millis, answer: &Timer<RawFd>, deadline: Millis) {
        self.waiting_since.set(Some(now));
        self.rearm(now, answer, deadline);
    }

    pub fn client_came(&self, now: Millis, answer: &Timer<RawFd>, deadline: Millis) {
        if let Some(since) = self.waiting_since.take() {
            self.waited_ms.set(self.waited_ms.get() + now.0.saturating_sub(since.0));
        }
        self.rearm(now, answer, deadline);
    }

    /// A timer that has fired has ended the read already, and says so.
    fn rearm(&self, now: Millis, answer: &Timer<RawFd>, deadline: Millis) {
        if self.head_awaited.get() && answer.fired().is_none() {
            answer.arm(Reason::Answer, self.answer_within_ms(now, deadline));
        }
    }

    /// The upload ends the service's connection.
    pub fn break_off(&self) {
        self.broken_off.set(true);
    }

    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        self.broken_off.get()
    }

    /// Milliseconds that the client has let us wait in all.
    #[must_use]
    pub fn waited_ms(&self) -> u64 {
        self.waited_ms.get()
    }

    /// What is left of the service's time.
    #[must_use]
    pub fn answer_within_ms(&self, now: Millis, deadline: Millis) -> u64 {
        match self.waiting_since.get() {
            Some(_) => PAUSED_MS,
            None => (deadline.0 + self.waited_ms.get()).saturating_sub(now.0),
        }
    }

    /// From here to `false` the answer's timer is the head's.
    pub fn head_awaited(&self, awaited: bool) {
        self.head_awaited.set(awaited);
    }

    /// The answer is over: the rest of the request's body has no reader.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered.get()
    }

    /// The request's body was read to its end.
    #[must_use]
    pub fn is_uploaded(&self) -> bool {
        self.uploaded.get()
    }
}
