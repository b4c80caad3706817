//! Bulkhead: a place at a service, or a wait for one, so that one slow service takes nothing that others need.
//!
//! All workers of a node share one cap a service, exactly: what is at a service never exceeds it
//! (`shm::workers::places` has the proof). A worker may use the places that are in its cell of the region, which costs
//! a comparison and an addition; only for more than that it looks at the cells of the others. While less than half of a
//! cap is taken, a worker keeps a reserve, so that it seldom has to look; what one keeps and does not use, another may
//! miss until the next tick, no longer. Whoever finds no place waits in the queue of its worker, first come, first
//! served; a worker that has more than its part while others wait gives back what becomes free.
//!
//! A request whose body is still to come gets a place only while half of them are free: whoever makes the edge wait,
//! and however many they are, the other half is for requests that are whole.

mod queue;

use crate::clock;
use crate::config::bulkheads::Bulkhead as Limits;
use crate::config::services::{Service, ServiceId};
use crate::net::io;
use crate::pipeline::rejection::Rejection;
use crate::telemetry::labels::BulkheadRefusal;
use crate::worker::Worker;
use queue::{Lot, Queue, Waiter};
use shm::workers::WorkerBlock;
use std::cell::Cell;
use std::future::poll_fn;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::Poll;

/// The bulkheads of the services, by [`ServiceId`].
pub struct Bulkheads {
    bulkheads: Vec<Bulkhead>,
    /// Of all slots.
    blocks: &'static [WorkerBlock],
    own: &'static WorkerBlock,
}

struct Bulkhead {
    limits: Limits,
    /// Requests of this worker that have a place.
    in_use: Cell<u64>,
    /// What is in this worker's cell: never less than `in_use`.
    taken: Cell<u64>,
    /// A place was asked for since the last tick.
    touched: Cell<bool>,
    terms: Cell<Terms>,
    queue: Queue,
}

/// What a worker may do at a service until the next tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Terms {
    /// Places to keep beyond those that are in use.
    reserve: u64,
    /// Requests of other workers wait: more places than this are not this worker's to take.
    grows_to: u64,
    /// And more than this are not to be used again.
    keeps: u64,
}

/// How a service stands on the whole node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    /// Places of all other workers.
    taken_elsewhere: u64,
    /// Workers that have a place or want one, this one among them.
    claimants: u64,
    others_wait: bool,
}

/// A place at a service; given back when it is dropped.
pub struct Place {
    worker: Rc<Worker>,
    service: ServiceId,
    waited_ms: u64,
}

/// Who would wait, and for how long at most, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub client: RawFd,
    pub timeout_ms: u64,
}

/// A place at the service, if there is one at once.
#[must_use]
pub fn take(worker: &Rc<Worker>, service: ServiceId) -> Option<Place> {
    let bulkhead = worker.bulkheads.of(service)?;
    let has = bulkhead.queue.is_empty() && worker.bulkheads.admit(service, bulkhead);
    has.then(|| Place { worker: Rc::clone(worker), service, waited_ms: 0 })
}

/// A place at the service for a request whose body is still to come: only if no more than half of all are then taken.
#[must_use]
pub fn take_early(worker: &Rc<Worker>, service: ServiceId) -> Option<Place> {
    let bulkhead = worker.bulkheads.of(service)?;
    let has = bulkhead.queue.is_empty() && worker.bulkheads.admit_early(service, bulkhead);
    has.then(|| Place { worker: Rc::clone(worker), service, waited_ms: 0 })
}

/// The service has no place for a request with a long body that is still to come.
#[cold]
pub fn refuse_long_body(worker: &Worker, service: ServiceId) -> Rejection {
    worker.meters.bulkhead_refused(service, BulkheadRefusal::LongBody);
    Rejection::ServiceFull
}

/// Waits for a place, for at most half of the request's time: the service is to have the rest.
///
/// # Errors
/// `ServiceFull` if too many wait or the wait was too long; `None` when the client left.
pub async fn wait(
    worker: &Rc<Worker>,
    service: ServiceId,
    waiting: Waiting,
) -> Result<Place, Option<Rejection>> {
    let Some(bulkhead) = worker.bulkheads.of(service) else { return Err(Some(Rejection::Internal)) };
    let began = clock::now();
    let within_ms = bulkhead.limits.queue_ms.min(waiting.timeout_ms / 2);
    let Some(waiter) = bulkhead.queue.join(waiting.client, began.millis().0 + within_ms) else {
        worker.meters.bulkhead_refused(service, BulkheadRefusal::QueueFull);
        return Err(Some(Rejection::ServiceFull));
    };
    let turn = Turn { worker, service, waiter: Some(waiter) };
    worker.bulkheads.tell(service, bulkhead);
    let lot =
        poll_fn(|context| turn.waiter.as_ref().map_or(Poll::Ready(Lot::Gone), |waiter| waiter.poll(context)));
    match lot.await {
        Lot::Place => {
            let waited_ms = clock::now().since(began).as_millis() as u64;
            turn.take();
            Ok(Place { worker: Rc::clone(worker), service, waited_ms })
        }
        Lot::Late => {
            worker.meters.bulkhead_refused(service, BulkheadRefusal::WaitedTooLong);
            Err(Some(Rejection::ServiceFull))
        }
        Lot::Gone => Err(None),
    }
}

impl Place {
    #[must_use]
    pub fn service(&self) -> ServiceId {
        self.service
    }

    /// Milliseconds of the request's time that passed before it had this place.
    #[must_use]
    pub fn waited_ms(&self) -> u64 {
        self.waited_ms
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.bulkheads.give_back(self.service);
    }
}

impl Bulkheads {
    /// `own` is one of `blocks`.
    #[must_use]
    pub fn new(services: &[Service], blocks: &'static [WorkerBlock], own: &'static WorkerBlock) -> Bulkheads {
        let bulkhead = |service: &Service| Bulkhead {
            limits: service.bulkhead,
            in_use: Cell::new(0),
            taken: Cell::new(0),
            touched: Cell::new(false),
            terms: Cell::new(Terms::free(0)),
            queue: Queue::new(service.bulkhead.queue_max),
        };
        Bulkheads { bulkheads: services.iter().map(bulkhead).collect(), blocks, own }
    }

    fn of(&self, service: ServiceId) -> Option<&Bulkhead> {
        self.bulkheads.get(usize::from(service.0))
    }

    /// One more place is in use, if that may be.
    fn admit(&self, service: ServiceId, bulkhead: &Bulkhead) -> bool {
        bulkhead.touched.set(true);
        let in_use = bulkhead.in_use.get();
        let has = in_use < bulkhead.taken.get()
            || (in_use < bulkhead.terms.get().grows_to && self.reach(service, bulkhead, in_use + 1));
        if has {
            bulkhead.in_use.set(in_use + 1);
        }
        has
    }

    /// The same for a request whose body is not here. A place that this worker has already is looked at, too: of all
    /// that hold one early, the last saw the others in their cells, so they are never more than half.
    fn admit_early(&self, service: ServiceId, bulkhead: &Bulkhead) -> bool {
        bulkhead.touched.set(true);
        let in_use = bulkhead.in_use.get();
        let places = bulkhead.taken.get().max(in_use + 1);
        let half = bulkhead.limits.in_flight_max.div_ceil(2);
        let has =
            in_use < bulkhead.terms.get().grows_to && self.reach_within(half, service, bulkhead, places);
        if has {
            bulkhead.in_use.set(in_use + 1);
        }
        has
    }

    /// Tries to have so many places in all.
    fn reach(&self, service: ServiceId, bulkhead: &Bulkhead, places: u64) -> bool {
        self.reach_within(bulkhead.limits.in_flight_max, service, bulkhead, places)
    }

    fn reach_within(&self, cap: u64, service: ServiceId, bulkhead: &Bulkhead, places: u64) -> bool {
        let has = self.own.take_places(usize::from(service.0), places, self.blocks, cap);
        if has {
            bulkhead.taken.set(places);
        }
        has
    }

    fn lower(&self, service: ServiceId, bulkhead: &Bulkhead, places: u64) {
        bulkhead.taken.set(places);
        self.own.set_places(usize::from(service.0), places);
    }

    /// A request has left its place: it goes to whoever has waited longest.
    fn give_back(&self, service: ServiceId) {
        let Some(bulkhead) = self.of(service) else { return };
        let (in_use, terms) = (bulkhead.in_use.get(), bulkhead.terms.get());
        if in_use <= terms.keeps && bulkhead.queue.grant(io::is_reset) {
            return self.tell(service, bulkhead);
        }
        let left = in_use.saturating_sub(1);
        bulkhead.in_use.set(left);
        if terms.reserve == 0 && bulkhead.taken.get() > left {
            self.lower(service, bulkhead, left);
        }
    }

    /// Lets the other workers know how many wait here.
    fn tell(&self, service: ServiceId, bulkhead: &Bulkhead) {
        self.own.set_waiting(usize::from(service.0), bulkhead.queue.len() as u64);
    }

    /// Looks at what other workers have taken and given back, and at who waits here. With every tick.
    pub fn look(&self, now_ms: u64) {
        for (bulkhead, index) in self.bulkheads.iter().zip(0..) {
            let is_used = bulkhead.touched.take() || bulkhead.in_use.get() > 0 || !bulkhead.queue.is_empty();
            if is_used {
                self.look_at(ServiceId(index), bulkhead, now_ms);
            } else if bulkhead.taken.get() > 0 {
                bulkhead.terms.set(Terms::free(0));
                self.lower(ServiceId(index), bulkhead, 0);
            }
        }
    }

    fn look_at(&self, service: ServiceId, bulkhead: &Bulkhead, now_ms: u64) {
        let in_use = bulkhead.in_use.get();
        let waiting = bulkhead.queue.len() as u64;
        let terms = Terms::of(bulkhead.limits.in_flight_max, in_use, waiting, self.standing(service));
        bulkhead.terms.set(terms);
        let wanted = in_use + terms.reserve;
        if wanted < bulkhead.taken.get() {
            self.lower(service, bulkhead, wanted);
        } else if wanted > bulkhead.taken.get() {
            // A reserve that cannot be had is missed by nobody.
            let _ = self.reach(service, bulkhead, wanted);
        }
        while !bulkhead.queue.is_empty() && self.admit(service, bulkhead) {
            if !bulkhead.queue.grant(io::is_reset) {
                self.give_back(service);
            }
        }
        // After that: a wait may be shorter than a tick.
        bulkhead.queue.expire(now_ms);
        self.tell(service, bulkhead);
    }

    fn standing(&self, service: ServiceId) -> Standing {
        let index = usize::from(service.0);
        let mut standing = Standing { claimants: 1, ..Standing::default() };
        for block in self.blocks.iter().filter(|block| !std::ptr::eq(*block, self.own)) {
            let (places, waiting) = (block.places(index), block.waiting(index));
            standing.taken_elsewhere = standing.taken_elsewhere.saturating_add(places);
            standing.claimants += u64::from(places.max(waiting) > 0);
            standing.others_wait |= waiting > 0;
        }
        standing
    }

    /// Gives up the places of clients that have left, and all of them when the drain's hard end has passed.
    pub fn sweep(&self, is_over: impl Fn(RawFd) -> bool) {
        for (bulkhead, index) in self.bulkheads.iter().zip(0..) {
            if bulkhead.queue.sweep(&is_over) {
                self.tell(ServiceId(index), bulkhead);
            }
        }
    }
}

impl Terms {
    fn free(reserve: u64) -> Terms {
        Terms { reserve, grows_to: u64::MAX, keeps: u64::MAX }
    }

    /// Pure: what follows from how the service stands. While somebody waits nobody has a reserve, and if it is somebody
    /// else, each claimant has an equal part. A part below one place makes the rounds.
    fn of(cap: u64, in_use: u64, waiting: u64, standing: Standing) -> Terms {
        let claimants = standing.claimants;
        if standing.others_wait {
            let part = cap.div_ceil(claimants);
            return Terms { reserve: 0, grows_to: part, keeps: if cap < claimants { 0 } else { part } };
        }
        if waiting > 0 {
            return Terms::free(0);
        }
        // The reserves of all workers together are no more than a quarter of the cap, and none is taken from its second
        // half: there each place is asked for.
        let room = (cap / 2).saturating_sub(standing.taken_elsewhere.saturating_add(in_use));
        Terms::free(room / (2 * claimants))
    }
}

/// A wait; whatever ends it, the queue and the places are right afterwards.
struct Turn<'w> {
    worker: &'w Rc<Worker>,
    service: ServiceId,
    waiter: Option<Rc<Waiter>>,
}

impl Turn<'_> {
    /// The place is somebody's.
    fn take(mut self) {
        self.waiter = None;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (Some(waiter), Some(bulkhead)) = (self.waiter.take(), self.worker.bulkheads.of(self.service))
        else {
            return;
        };
        if bulkhead.queue.leave(&waiter) == Some(Lot::Place) {
            self.worker.bulkheads.give_back(self.service);
        }
        self.worker.bulkheads.tell(self.service, bulkhead);
    }
}

#[cfg(test)]
mod tests;
