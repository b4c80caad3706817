//! Shedding: who is refused while the node has more to do than it can, decided before any token is looked at.
//!
//! Two signs of overload make a level between 0 and 4. Up to 1 a part of the anonymous class is shed, from there to 2
//! all of it and a part of the browsing class, and so on: a fraction, since all of a class would be too much where a
//! bit does.
//!
//! Crowding: requests in flight on the node. From the mark to twice the mark the level grows in proportion, as a queue
//! under random early detection (Floyd and Jacobson 1993) drops more the longer it is; only at the hard cap the
//! checkout class is shed, too.
//! Strain: how late the worker's loop is, which is the time that everything in it waits. As in CoDel (Nichols and
//! Jacobson 2012) the least of an interval counts: a burst makes one tick late, overload makes every tick late. While
//! even the least is above the mark, the level rises by a step an interval, a larger one the further above; below half
//! of the mark it falls, and between the two it stays. To refuse by class, at the door and before any work, is what
//! DAGOR does (Zhou et al., "Overload Control for Scaling WeChat Microservices", 2018).
//! Whatever made it rise, the level falls slowly, so that it does not flap.

use super::rejection::Rejection;
use crate::clock::Millis;
use crate::config::routes::ShedClass;
use crate::config::shedding::Marks;
use crate::worker::Worker;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shm::workers::{Phase, WorkerBlock};
use std::cell::{Cell, RefCell};

/// How much is shed, in 256ths of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u64);

/// One class.
pub const CLASS: u64 = 256;
/// All classes that can be shed.
const ALL: u64 = 4 * CLASS;
/// What may be shed below the hard cap: all but the checkout class.
const SPARING_MAX: u64 = 3 * CLASS;
/// An interval of strain, and the ticks that it must have: one long stall is no overload.
const INTERVAL_MS: u64 = 400;
const INTERVAL_TICKS: u32 = 4;
const STEP_UP: u64 = CLASS / 4;
const STEP_UP_MAX: u64 = CLASS;
const STEP_DOWN: u64 = CLASS / 4;
/// The level falls by one class in 256 ms at most.
const FALL_A_MS: u64 = 1;

/// What a worker sheds at the moment.
pub struct Shedding {
    marks: Marks,
    pressure: RefCell<Pressure>,
    level: Cell<Level>,
    random: RefCell<SmallRng>,
}

/// What one tick saw.
#[derive(Clone, Copy, Debug)]
struct Seen {
    lag_ns: u64,
    /// Of the whole node.
    in_flight: u64,
    /// Workers that may have some of them: also those that drain or have not begun to serve.
    workers: u64,
    now: Millis,
}

/// How the level came to be what it is.
#[derive(Clone, Copy, Debug, Default)]
struct Pressure {
    level: u64,
    strain: u64,
    /// Of the interval that runs.
    least_lag_ns: u64,
    ticks: u32,
    began: Millis,
    last: Millis,
}

/// Lets a request in, or sheds it: by its row's class and by lot.
///
/// # Errors
/// `Shed`.
#[inline]
pub fn admit(worker: &Worker, class: ShedClass) -> Result<(), Rejection> {
    let level = worker.shedding.level.get();
    if level == Level::default() || !level.sheds(class, worker.shedding.lot()) {
        return Ok(());
    }
    worker.meters.shed(class);
    Err(Rejection::Shed)
}

impl Level {
    /// Whether a request of this class is shed that has drawn this lot.
    fn sheds(self, class: ShedClass, lot: u8) -> bool {
        self.0 > class as u64 * CLASS + u64::from(lot)
    }
}

impl Shedding {
    #[must_use]
    pub fn new(marks: Marks) -> Shedding {
        Shedding {
            marks,
            pressure: RefCell::default(),
            level: Cell::default(),
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
        }
    }

    /// Looks at how the node stands, and gives the level that holds until the next tick, in 256ths.
    pub fn look(&self, blocks: &[WorkerBlock], lag_ns: u64, now: Millis) -> u64 {
        let in_flight = blocks.iter().map(WorkerBlock::requests_in_flight).sum();
        let workers = blocks.iter().filter(|block| block.phase() != Phase::Empty).count() as u64;
        let seen = Seen { lag_ns, in_flight, workers, now };
        let level = self.pressure.borrow_mut().observe(self.marks, seen);
        self.level.set(level);
        level.0
    }

    fn lot(&self) -> u8 {
        (self.random.borrow_mut().next_u32() >> 24) as u8
    }
}

impl Pressure {
    fn observe(&mut self, marks: Marks, seen: Seen) -> Level {
        self.strain(marks, seen);
        let wanted = self.strain.max(crowding(marks, seen));
        let elapsed_ms = seen.now.0.saturating_sub(self.last.0);
        self.last = seen.now;
        self.level = wanted.max(self.level.saturating_sub(elapsed_ms * FALL_A_MS));
        Level(self.level)
    }

    fn strain(&mut self, marks: Marks, seen: Seen) {
        self.least_lag_ns = if self.ticks == 0 { seen.lag_ns } else { self.least_lag_ns.min(seen.lag_ns) };
        self.ticks += 1;
        let is_over = seen.now.0.saturating_sub(self.began.0) >= INTERVAL_MS && self.ticks >= INTERVAL_TICKS;
        if marks.lag_ms == 0 || !is_over {
            return;
        }
        let (least, mark) = (self.least_lag_ns, marks.lag_ms * 1_000_000);
        if least > mark {
            let step = (STEP_UP * (least / mark)).min(STEP_UP_MAX);
            self.strain = (self.strain + step).min(SPARING_MAX);
        } else if least < mark / 2 {
            self.strain = self.strain.saturating_sub(STEP_DOWN);
        }
        (self.ticks, self.began) = (0, seen.now);
    }
}

fn crowding(marks: Marks, seen: Seen) -> u64 {
    if marks.in_flight == 0 {
        return 0;
    }
    let workers = seen.workers.max(1);
    let (mark, cap) = (marks.in_flight * workers, marks.in_flight_max * workers);
    if seen.in_flight >= cap {
        return ALL;
    }
    let way = mark.min(cap.saturating_sub(mark)).max(1);
    (seen.in_flight.saturating_sub(mark) * SPARING_MAX / way).min(SPARING_MAX)
}

#[cfg(test)]
mod tests;
