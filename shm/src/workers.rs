//! One block a worker slot: who owns it, whether it is alive, what it has in flight, and which places it has taken.
//!
//! Writer: the worker that owns the slot; the supervisor only through `clear`, after it has reaped that
//! worker. Readers: the supervisor and the other workers.
//! Torn state: none. Every cell is one word that stands for itself, and what a dead worker had in flight goes
//! with its block, so that no gauge leaks.

use crate::SERVICES_MAX;
use crate::atomics::Word;
use crate::layout::{Field, Structure};

pub mod places;

/// The block of one slot; see the file's head.
#[repr(C, align(64))]
pub struct WorkerBlock {
    /// Process id in the low half, generation in the high half.
    identity: Word,
    phase: Word,
    driver: Word,
    heartbeat_ms: Word,
    connections: Word,
    requests_in_flight: Word,
    public_keys: Word,
    pressure: Word,
    endpoint_set: Word,
    reserved: [Word; 7],
    in_flight: [Word; SERVICES_MAX],
    places: [Word; SERVICES_MAX],
    waiting: [Word; SERVICES_MAX],
}

/// Where a worker stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody owns the slot.
    Empty,
    Starting,
    Serving,
    Draining,
}

/// Which I/O driver a worker's runtime got from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Unknown,
    Uring,
    Epoll,
}

impl WorkerBlock {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "WorkerBlock",
        bytes: size_of::<Self>(),
        fields: &[
            Field("identity", std::mem::offset_of!(WorkerBlock, identity), size_of::<Word>()),
            Field("phase", std::mem::offset_of!(WorkerBlock, phase), size_of::<Word>()),
            Field("driver", std::mem::offset_of!(WorkerBlock, driver), size_of::<Word>()),
            Field("heartbeat_ms", std::mem::offset_of!(WorkerBlock, heartbeat_ms), size_of::<Word>()),
            Field("connections", std::mem::offset_of!(WorkerBlock, connections), size_of::<Word>()),
            Field(
                "requests_in_flight",
                std::mem::offset_of!(WorkerBlock, requests_in_flight),
                size_of::<Word>(),
            ),
            Field("public_keys", std::mem::offset_of!(WorkerBlock, public_keys), size_of::<Word>()),
            Field("pressure", std::mem::offset_of!(WorkerBlock, pressure), size_of::<Word>()),
            Field("endpoint_set", std::mem::offset_of!(WorkerBlock, endpoint_set), size_of::<Word>()),
            Field("reserved", std::mem::offset_of!(WorkerBlock, reserved), size_of::<[Word; 7]>()),
            Field(
                "in_flight",
                std::mem::offset_of!(WorkerBlock, in_flight),
                size_of::<[Word; SERVICES_MAX]>(),
            ),
            Field("places", std::mem::offset_of!(WorkerBlock, places), size_of::<[Word; SERVICES_MAX]>()),
            Field("waiting", std::mem::offset_of!(WorkerBlock, waiting), size_of::<[Word; SERVICES_MAX]>()),
        ],
    };

    /// A worker takes its slot: all cells start at zero, phase `Starting`.
    pub fn begin(&self, pid: u32, generation: u32) {
        self.clear();
        self.identity.store(u64::from(generation) << 32 | u64::from(pid));
        self.set_phase(Phase::Starting);
    }

    /// The supervisor empties the slot of a worker that it has reaped.
    pub fn clear(&self) {
        let head = [&self.phase, &self.identity, &self.driver, &self.heartbeat_ms];
        let gauges = [
            &self.connections,
            &self.requests_in_flight,
            &self.public_keys,
            &self.pressure,
            &self.endpoint_set,
        ];
        let services = self.in_flight.iter().chain(&self.places).chain(&self.waiting);
        for word in head.into_iter().chain(gauges).chain(services) {
            word.store(0);
        }
    }

    /// Process id of the owner; zero if there is none.
    #[must_use]
    pub fn pid(&self) -> u32 {
        low_half(self.identity.load())
    }

    /// Generation of the owner.
    #[must_use]
    pub fn generation(&self) -> u32 {
        low_half(self.identity.load() >> 32)
    }

    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u64);
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load() {
            1 => Phase::Starting,
            2 => Phase::Serving,
            3 => Phase::Draining,
            _ => Phase::Empty,
        }
    }

    pub fn set_driver(&self, driver: Driver) {
        self.driver.store(driver as u64);
    }

    #[must_use]
    pub fn driver(&self) -> Driver {
        match self.driver.load() {
            1 => Driver::Uring,
            2 => Driver::Epoll,
            _ => Driver::Unknown,
        }
    }

    /// The worker's loop is alive at `now_ms`, milliseconds of the monotonic clock.
    pub fn beat(&self, now_ms: u64) {
        self.heartbeat_ms.store(now_ms);
    }

    #[must_use]
    pub fn heartbeat_ms(&self) -> u64 {
        self.heartbeat_ms.load()
    }

    /// The worker verifies tokens with so many public keys.
    pub fn set_public_keys(&self, count: u64) {
        self.public_keys.store(count);
    }

    #[must_use]
    pub fn public_keys(&self) -> u64 {
        self.public_keys.load()
    }

    /// How much the worker sheds, in a unit of its own; zero is nothing.
    pub fn set_pressure(&self, level: u64) {
        self.pressure.store(level);
    }

    #[must_use]
    pub fn pressure(&self) -> u64 {
        self.pressure.load()
    }

    /// The worker calls instances of the list of this version, and of no older one but where a call is in flight.
    pub fn set_endpoint_set(&self, version: u64) {
        // Partner: `endpoint_set`, before entries of endpoints are freed.
        self.endpoint_set.publish(version);
    }

    /// Zero before the worker has its first list.
    #[must_use]
    pub fn endpoint_set(&self) -> u64 {
        self.endpoint_set.observe()
    }

    /// A client connection was accepted.
    pub fn connections_add(&self) {
        self.connections.add_alone(1);
    }

    /// A client connection was closed.
    pub fn connections_sub(&self) {
        self.connections.subtract_alone(1);
    }

    /// Open client connections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load()
    }

    /// A request was started.
    pub fn requests_in_flight_add(&self) {
        self.requests_in_flight.add_alone(1);
    }

    /// A request was finished, in whatever way.
    pub fn requests_in_flight_sub(&self) {
        self.requests_in_flight.subtract_alone(1);
    }

    /// Requests that have begun and not ended.
    #[must_use]
    pub fn requests_in_flight(&self) -> u64 {
        self.requests_in_flight.load()
    }

    /// A request was sent to `service`, its place in the configuration.
    pub fn in_flight_add(&self, service: usize) {
        if let Some(cell) = self.in_flight.get(service) {
            cell.add_alone(1);
        }
    }

    /// A request to `service` is over.
    pub fn in_flight_sub(&self, service: usize) {
        if let Some(cell) = self.in_flight.get(service) {
            cell.subtract_alone(1);
        }
    }

    /// Requests at `service`; zero for a number from `SERVICES_MAX` on.
    #[must_use]
    pub fn in_flight(&self, service: usize) -> u64 {
        self.in_flight.get(service).map_or(0, Word::load)
    }
}

fn low_half(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).expect("masked to 32 bits")
}

#[cfg(test)]
impl crate::atomics::Zeroed for WorkerBlock {
    fn zeroed() -> WorkerBlock {
        use crate::atomics::Zeroed;
        WorkerBlock {
            identity: Word::zeroed(),
            phase: Word::zeroed(),
            driver: Word::zeroed(),
            heartbeat_ms: Word::zeroed(),
            connections: Word::zeroed(),
            requests_in_flight: Word::zeroed(),
            public_keys: Word::zeroed(),
            pressure: Word::zeroed(),
            endpoint_set: Word::zeroed(),
            reserved: Zeroed::zeroed(),
            in_flight: Zeroed::zeroed(),
            places: Zeroed::zeroed(),
            waiting: Zeroed::zeroed(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
