//! Who waits for a place at one service, in one worker: first come, first served, bounded in number and time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What becomes of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lot {
    /// It is the waiter's turn.
    Place,
    Late,
    /// The client has left.
    Gone,
}

/// The line.
pub struct Queue {
    line: RefCell<VecDeque<Rc<Waiter>>>,
    waiters_max: usize,
}

/// One request in it.
pub struct Waiter {
    client: RawFd,
    until_ms: u64,
    lot: Cell<Option<Lot>>,
    waker: Cell<Option<Waker>>,
}

impl Queue {
    #[must_use]
    pub fn new(waiters_max: usize) -> Queue {
        Queue { line: RefCell::default(), waiters_max }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.line.borrow().is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.line.borrow().len()
    }

    /// Takes the last place of the line; `None` if it is full.
    #[must_use]
    pub fn join(&self, client: RawFd, until_ms: u64) -> Option<Rc<Waiter>> {
        let mut line = self.line.borrow_mut();
        if line.len() >= self.waiters_max {
            return None;
        }
        let waiter = Rc::new(Waiter { client, until_ms, lot: Cell::new(None), waker: Cell::new(None) });
        line.push_back(Rc::clone(&waiter));
        Some(waiter)
    }

    /// It is the turn of the first whose client is still there; false if nobody's.
    pub fn grant(&self, is_gone: impl Fn(RawFd) -> bool) -> bool {
        loop {
            let Some(first) = self.line.borrow_mut().pop_front() else { return false };
            if !is_gone(first.client) {
                first.settle(Lot::Place);
                return true;
            }
            first.settle(Lot::Gone);
        }
    }

    /// Ends the waits that have taken too long.
    pub fn expire(&self, now_ms: u64) {
        self.end(Lot::Late, |waiter| waiter.until_ms <= now_ms);
    }

    /// Ends the waits of clients of whom `is_over` says so; whether there were any.
    pub fn sweep(&self, is_over: impl Fn(RawFd) -> bool) -> bool {
        self.end(Lot::Gone, |waiter| is_over(waiter.client))
    }

    /// Leaves the line; what the waiter's lot was if it had one.
    pub fn leave(&self, waiter: &Rc<Waiter>) -> Option<Lot> {
        let lot = waiter.lot.get();
        if lot.is_none() {
            self.line.borrow_mut().retain(|other| !Rc::ptr_eq(other, waiter));
        }
        lot
    }

    fn end(&self, lot: Lot, ends: impl Fn(&Waiter) -> bool) -> bool {
        let mut line = self.line.borrow_mut();
        let before = line.len();
        line.retain(|waiter| {
            let stays = !ends(waiter);
            if !stays {
                waiter.settle(lot);
            }
            stays
        });
        line.len() < before
    }
}

impl Waiter {
    /// Its lot, once it is known.
    pub fn poll(&self, context: &Context<'_>) -> Poll<Lot> {
        match self.lot.get() {
            Some(lot) => Poll::Ready(lot),
            None => {
                self.waker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }

    fn settle(&self, lot: Lot) {
        self.lot.set(Some(lot));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
