//! The time-out wheel: one coarse timer for every deadline of every connection.
//!
//! A hashed wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987, scheme 6) with lazy
//! re-queuing: arming writes two words, and an entry moves only when its bucket comes round. Nothing is
//! cancelled in flight: an expired entry is handed to the caller, who ends the operation by shutting its
//! socket down, and the operation then completes by itself.

use crate::clock::Millis;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Resolution of every time-out.
pub const TICK_MS: u64 = 25;
/// Buckets of the ring; a deadline further away waits in its bucket for another round.
const BUCKETS: usize = 1024;

/// What a connection was waiting for when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Keep-alive without a request.
    Idle,
    /// An incomplete request head.
    Head,
    /// Silence of a client's body.
    Body,
    /// A peer that does not read what is written to it.
    Write,
    /// An upstream's response head.
    Answer,
    /// Silence of an upstream's body.
    UpstreamBody,
    /// The last bytes of a client after an early answer.
    Linger,
    /// The drain's hard end.
    Cut,
}

/// One worker's wheel. `H` is what expires: a socket handle.
pub struct Wheel<H> {
    entries: RefCell<Vec<Entry<H>>>,
    free: RefCell<Vec<u32>>,
    buckets: Vec<RefCell<Vec<u32>>>,
    now: Cell<Millis>,
    tick: Cell<u64>,
}

struct Entry<H> {
    handle: Option<H>,
    deadline: Option<Millis>,
    reason: Reason,
    fired: Option<Reason>,
    /// The tick in whose bucket this entry is to be found; other references to it are stale.
    queued: Option<u64>,
}

/// A place in the wheel, owned by the connection whose deadlines it keeps. Dropping it gives the place back.
pub struct Timer<H> {
    wheel: Rc<Wheel<H>>,
    index: usize,
}

impl<H: Clone> Wheel<H> {
    #[must_use]
    pub fn new(now: Millis) -> Self {
        Wheel {
            entries: RefCell::default(),
            free: RefCell::default(),
            buckets: (0..BUCKETS).map(|_| RefCell::default()).collect(),
            now: Cell::new(now),
            tick: Cell::new(now.0 / TICK_MS),
        }
    }

    /// The time of the last tick: good enough for deadlines, and free.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now.get()
    }

    /// A place for `handle`, with no deadline.
    #[must_use]
    pub fn timer(self: &Rc<Self>, handle: H) -> Timer<H> {
        let entry =
            Entry { handle: Some(handle), deadline: None, reason: Reason::Idle, fired: None, queued: None };
        let mut entries = self.entries.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => index as usize,
            None => entries.len(),
        };
        match entries.get_mut(index) {
            // A stale reference in a bucket may still name this place; it is ignored unless its tick matches.
            Some(place) => *place = Entry { queued: place.queued, ..entry },
            None => entries.push(entry),
        }
        Timer { wheel: Rc::clone(self), index }
    }

    /// Moves time on and hands every expired handle to `expire`, after the borrow of the wheel has ended.
    pub fn advance(&self, now: Millis, mut expire: impl FnMut(H, Reason)) {
        let last = now.0 / TICK_MS;
        let mut due = Vec::new();
        self.now.set(now);
        // After a stall longer than one round every bucket is visited once; that is enough.
        let first = self.tick.get().max(last.saturating_sub(BUCKETS as u64 - 1));
        for tick in first..=last {
            self.visit(tick, now, &mut due);
        }
        self.tick.set(last + 1);
        for (handle, reason) in due {
            expire(handle, reason);
        }
    }

    fn visit(&self, tick: u64, now: Millis, due: &mut Vec<(H, Reason)>) {
        let references = std::mem::take(&mut *self.bucket(tick).borrow_mut());
        for index in references {
            let mut entries = self.entries.borrow_mut();
            let entry = &mut entries[index as usize];
            match entry.queued {
                // A reference from before the entry was moved to another bucket.
                Some(queued) if queued % BUCKETS as u64 != tick % BUCKETS as u64 => continue,
                // For a later round of this bucket.
                Some(queued) if queued > tick => {
                    self.bucket(tick).borrow_mut().push(index);
                    continue;
                }
                // For this tick, or for one that a stall has skipped.
                Some(_) => entry.queued = None,
                None => continue,
            }
            let Some(deadline) = entry.deadline else { continue };
            if deadline <= now {
                entry.deadline = None;
                entry.fired = Some(entry.reason);
                if let Some(handle) = entry.handle.clone() {
                    due.push((handle, entry.reason));
                }
            } else {
                self.queue(entry, index, deadline);
            }
        }
    }

    /// Brings forward the deadline of every entry that waits for `from`: they expire as `to` after `within_ms`.
    pub fn hasten(&self, from: Option<Reason>, to: Reason, within_ms: u64) {
        let deadline = Millis(self.now.get().0 + within_ms);
        let mut entries = self.entries.borrow_mut();
        for (index, entry) in entries.iter_mut().enumerate() {
            let chosen = match from {
                Some(reason) => entry.deadline.is_some() && entry.reason == reason,
                None => entry.handle.is_some(),
            };
            if chosen {
                entry.reason = to;
                entry.deadline = Some(deadline);
                self.requeue(entry, u32::try_from(index).unwrap_or(u32::MAX), deadline);
            }
        }
    }

    fn requeue(&self, entry: &mut Entry<H>, index: u32, deadline: Millis) {
        let wanted = tick_of(deadline);
        if entry.queued.is_none_or(|queued| queued > wanted) {
            self.queue(entry, index, deadline);
        }
    }

    fn queue(&self, entry: &mut Entry<H>, index: u32, deadline: Millis) {
        let tick = tick_of(deadline).max(self.tick.get());
        entry.queued = Some(tick);
        self.bucket(tick).borrow_mut().push(index);
    }

    fn bucket(&self, tick: u64) -> &RefCell<Vec<u32>> {
        &self.buckets[(tick % BUCKETS as u64) as usize]
    }
}

impl<H: Clone> Timer<H> {
    /// Sets the deadline, replacing the one before; `after_ms` from the last tick.
    pub fn arm(&self, reason: Reason, after_ms: u64) {
        let deadline = Millis(self.wheel.now.get().0 + after_ms);
        let mut entries = self.wheel.entries.borrow_mut();
        let entry = &mut entries[self.index];
        entry.reason = reason;
        entry.deadline = Some(deadline);
        self.wheel.requeue(entry, self.index as u32, deadline);
    }

    pub fn disarm(&self) {
        self.wheel.entries.borrow_mut()[self.index].deadline = None;
    }

    /// Why the deadline passed, if it did.
    #[must_use]
    pub fn fired(&self) -> Option<Reason> {
        self.wheel.entries.borrow()[self.index].fired
    }
}

impl<H> Drop for Timer<H> {
    fn drop(&mut self) {
        let entry = &mut self.wheel.entries.borrow_mut()[self.index];
        entry.handle = None;
        entry.deadline = None;
        entry.fired = None;
        self.wheel.free.borrow_mut().push(self.index as u32);
    }
}

/// The first tick at which `deadline` has passed.
fn tick_of(deadline: Millis) -> u64 {
    deadline.0.div_ceil(TICK_MS)
}

#[cfg(test)]
mod tests;
