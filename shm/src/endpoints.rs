//! The instances of the services: which of them are well, how busy and how fast they are.
//!
//! Writers: the supervisor claims and frees entries (`owner`) and says what its checks found (`health`, of one
//! writer, by plain stores). Workers say how their calls ended (`ejection`, by compare-and-swap) and how long
//! they took (`latency`, by plain stores: a lost sample is one sample less); the supervisor forgets both of one
//! that was down. Everybody reads.
//! Calls in flight stand in rows, one a worker slot, that only the owner of the slot writes; the supervisor
//! zeroes the row of a worker that it has reaped, so that a killed worker leaves no call behind. A worker
//! compares instances by its own row: clients come to all workers alike, its row is in its own cache, and
//! what the others do to an instance shows in the latency that all of them share.
//! An entry is found by a hash of service and address. The supervisor claims it before it tells any worker of the
//! instance, and frees it when every worker has said, in its block, that it knows a later list of instances
//! without it, and no call is in flight there: nobody holds an index of a free entry. Somebody who did all the same
//! would spoil figures that the next results correct, and no count, which stands in its own row.
//! Torn state: none. Every word stands for itself and is legal with every value, every ejection ends, and an
//! entry is claimed and freed by one store.

use crate::SLOTS_MAX;
use crate::atomics::Word;
use crate::breakers::Outcome;
use crate::layout::{AuthorityWriter, Field, Structure};
use crate::names::NameId;
use crate::words::{WorkerSlot, checksum, word};
use std::net::{IpAddr, SocketAddr};

mod health;
mod ejection;
mod latency;
mod choice;

pub use choice::{Candidate, SHARE_FULL, Side, Standing, choose, eligible, pair};
pub use ejection::Ejection;
pub use health::Health;

use ejection::Outlier;
use health::Active;
use latency::Latency;

/// The table; see the file's head.
#[repr(C, align(128))]
pub struct Endpoints<const ENDPOINTS: usize = ENDPOINTS_MAX> {
    entries: [Endpoint; ENDPOINTS],
    in_flight: [[Word; ENDPOINTS]; SLOTS_MAX],
}

/// What all processes of the node know of one instance.
#[repr(C, align(128))]
pub(crate) struct Endpoint {
    /// The instance's key; zero: nobody's.
    owner: Word,
    health: Word,
    ejection: Word,
    latency: Word,
    reserved: [Word; 12],
}

/// Where an instance stands in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointIndex(u16);

/// Which instance: a service at an address. Two have the same one as seldom as two random words of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointKey(u64);

/// Among what a call has the choice.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The caller's slot. The supervisor has none: it goes by what all workers have in flight.
    pub own: Option<WorkerSlot>,
    /// Of the service; the first `INSTANCES_MAX` count.
    pub instances: &'a [EndpointIndex],
    /// Where the call failed before: not there again, if there is another one.
    pub except: Option<EndpointIndex>,
}

/// How instances are judged. They come from the configuration of whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that eject an instance; at least one.
    pub failures: u8,
    /// How long the first ejection lasts. The second in a row lasts twice as long, and so on.
    pub eject_ms: u64,
    /// How long no ejection lasts longer; at most an hour.
    pub eject_ms_max: u64,
    /// When more of a service's instances are ejected than this, ejections mean nothing.
    pub ejected_percent_max: u8,
    /// Time in which the share of an instance that is back grows to that of the others.
    pub slow_start_ms: u64,
    /// Time in which an earlier latency loses half of its weight.
    pub decay_ms: u64,
}

/// An instance as status pages and metrics see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub health: Health,
    /// Since when, on the monotonic clock; zero while it is unknown.
    pub since_ms: u64,
    /// How long it is still ejected.
    pub ejected_ms: u64,
    /// Ejections that are not forgiven yet.
    pub ejections: u8,
    /// Failures in a row.
    pub failures: u8,
    /// Zero while it is unknown.
    pub latency_us: u64,
    /// Calls of all workers.
    pub in_flight: u64,
    /// Of `SHARE_FULL`; zero while it is left out.
    pub share: u16,
}

/// Most instances that a region knows at a time.
pub const ENDPOINTS_MAX: usize = 1_024;

/// Most instances of one service that calls are spread over.
pub const INSTANCES_MAX: usize = 64;

impl<const ENDPOINTS: usize> Endpoints<ENDPOINTS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Endpoints",
        bytes: size_of::<Self>(),
        fields: &[
            Field("entries", std::mem::offset_of!(Self, entries), size_of::<[Endpoint; ENDPOINTS]>()),
            Field(
                "in_flight",
                std::mem::offset_of!(Self, in_flight),
                size_of::<[[Word; ENDPOINTS]; SLOTS_MAX]>(),
            ),
        ],
    };

    /// The instance's entry, a new one if it has none yet. `None` if the table is full: such an instance is
    /// called, but nothing is known of it.
    pub fn claim(&self, writer: &AuthorityWriter, key: EndpointKey) -> Option<EndpointIndex> {
        let _turn = writer.turn();
        if let Some(index) = self.find(key) {
            return Some(index);
        }
        let index = looked_at::<ENDPOINTS>(key).find(|index| self.entry(*index).owner.load() == 0)?;
        let entry = self.entry(index);
        for word in [&entry.health, &entry.ejection, &entry.latency] {
            word.store(0);
        }
        // Partner: `find`.
        entry.owner.publish(key.0);
        Some(index)
    }

    /// The instance's entry. Meant for whoever hears of new instances: keep the answer until there are newer ones.
    #[must_use]
    pub fn find(&self, key: EndpointKey) -> Option<EndpointIndex> {
        looked_at::<ENDPOINTS>(key).find(|index| self.entry(*index).owner.observe() == key.0)
    }

    /// Gives the entry of an instance back that no worker lists any more; `false` while a call to it is in
    /// flight.
    pub fn free(&self, writer: &AuthorityWriter, index: EndpointIndex) -> bool {
        let _turn = writer.turn();
        // Partner: `in_flight_sub`, behind the last result of the call.
        let in_flight = self.in_flight.iter().any(|row| row[usize::from(index.0)].observe() != 0);
        if !in_flight {
            self.entry(index).owner.store(0);
        }
        !in_flight
    }

    /// Which instance a call goes to, with 64 `random` bits. `None` if there are none.
    #[must_use]
    pub fn choose(
        &self,
        choice: &Choice<'_>,
        rules: &Rules,
        now_ms: u64,
        random: u64,
    ) -> Option<EndpointIndex> {
        if let [only] = choice.instances {
            return Some(*only);
        }
        let instances = choice.instances.get(..INSTANCES_MAX).unwrap_or(choice.instances);
        let mut set = eligible(
            instances.iter().map(|index| self.entry(*index).standing(now_ms)),
            rules.ejected_percent_max,
        );
        let excepted = instances.iter().position(|index| Some(*index) == choice.except);
        if let Some(others) = excepted.map(|place| set & !(1 << place)).filter(|others| *others != 0) {
            set = others;
        }
        let (first, second) = pair(set, random)?;
        let (first, second) = (*instances.get(first)?, *instances.get(second)?);
        if first == second {
            self.entry(first).note_called(now_ms);
            return Some(first);
        }
        let [one, other] = [first, second].map(|index| self.candidate(choice.own, index, rules, now_ms));
        // `pair` used the other bits.
        let chosen = match choose(one, other, random >> 32) {
            Side::First => first,
            Side::Second => second,
        };
        self.entry(chosen).note_called(now_ms);
        Some(chosen)
    }

    /// How a call ended and how long it took. The answer, to the one process whose result did it, says that
    /// the instance was ejected.
    pub fn record(
        &self,
        index: EndpointIndex,
        outcome: Outcome,
        latency_us: u64,
        rules: &Rules,
        now_ms: u64,
    ) -> Option<Ejection> {
        let entry = self.entry(index);
        let ejected = Outlier::unpack(entry.ejection.load()).left_ms(now_ms) > 0;
        if outcome != Outcome::Neutral && !ejected {
            let seen = Latency::unpack(entry.latency.load());
            let next = seen.after(latency_us, outcome, rules.decay_ms, now_ms);
            if next != seen {
                entry.latency.store(next.pack());
            }
        }
        for _ in 0..TRIES_MAX {
            let seen = entry.ejection.load();
            let (next, ejection) = Outlier::unpack(seen).after(outcome, rules, now_ms)?;
            // Partner: the same exchange by another process. Only one of those that eject does.
            if entry.ejection.exchange(seen, next.pack()) {
                if ejection.is_some() {
                    // What it was like before says nothing of how it will be when it is back.
                    entry.latency.store(0);
                }
                return ejection;
            }
        }
        None
    }

    /// What the supervisor's check found.
    pub fn set_health(&self, _writer: &AuthorityWriter, index: EndpointIndex, health: Health, now_ms: u64) {
        let entry = self.entry(index);
        let Some(next) = Active::unpack(entry.health.load()).turned(health, now_ms) else { return };
        if next.returned_ms().is_some() {
            // It was away, and what it was like before says nothing.
            entry.latency.store(0);
            entry.ejection.store(0);
        }
        entry.health.store(next.pack());
    }

    /// What the checks found.
    #[must_use]
    pub fn health(&self, index: EndpointIndex) -> Health {
        Active::unpack(self.entry(index).health.load()).health
    }

    /// The worker in `slot` sends a call.
    #[inline]
    pub fn in_flight_add(&self, slot: WorkerSlot, index: EndpointIndex) {
        self.cell(slot, index).add_alone(1);
    }

    /// A call of the worker in `slot` is over. After its result is recorded.
    #[inline]
    pub fn in_flight_sub(&self, slot: WorkerSlot, index: EndpointIndex) {
        let cell = self.cell(slot, index);
        // Partner: `free`.
        cell.publish(cell.load().saturating_sub(1));
    }

    /// Calls that the worker in `slot` has in flight.
    #[must_use]
    pub fn in_flight(&self, slot: WorkerSlot, index: EndpointIndex) -> u64 {
        self.cell(slot, index).load()
    }

    /// Zeroes what `slot` has in flight. By the supervisor after it has reaped the slot's worker, so that the next one
    /// finds its row empty.
    pub fn clear(&self, slot: WorkerSlot) {
        // A row that was never used stays unallocated.
        for cell in self.in_flight[slot.index()].iter().filter(|cell| cell.load() != 0) {
            cell.store(0);
        }
    }

    #[must_use]
    pub fn view(&self, index: EndpointIndex, rules: &Rules, now_ms: u64) -> View {
        let entry = self.entry(index);
        let well = entry.standing(now_ms) == Standing::Well;
        let active = Active::unpack(entry.health.load());
        let outlier = Outlier::unpack(entry.ejection.load());
        View {
            health: active.health,
            since_ms: active.since_ms,
            ejected_ms: outlier.left_ms(now_ms),
            ejections: outlier.ejections,
            failures: outlier.failures,
            latency_us: Latency::unpack(entry.latency.load()).at(rules.decay_ms, now_ms),
            in_flight: self.all_in_flight(index),
            share: if well { entry.share(rules, now_ms) } else { 0 },
        }
    }

    /// Visits every entry that belongs to an instance.
    pub fn each(&self, mut visit: impl FnMut(EndpointKey, EndpointIndex)) {
        for (index, entry) in (0..=u16::MAX).map(EndpointIndex).zip(&self.entries) {
            let owner = entry.owner.observe();
            if owner != 0 {
                visit(EndpointKey(owner), index);
            }
        }
    }

    fn candidate(
        &self,
        own: Option<WorkerSlot>,
        index: EndpointIndex,
        rules: &Rules,
        now_ms: u64,
    ) -> Candidate {
        let entry = self.entry(index);
        Candidate {
            in_flight: own.map_or_else(|| self.all_in_flight(index), |slot| self.in_flight(slot, index)),
            latency_us: Latency::unpack(entry.latency.load()).at(rules.decay_ms, now_ms),
            share: entry.share(rules, now_ms),
        }
    }

    fn all_in_flight(&self, index: EndpointIndex) -> u64 {
        let rows = self.in_flight.iter().map(|row| row[usize::from(index.0)].load());
        rows.fold(0, u64::saturating_add)
    }

    fn entry(&self, index: EndpointIndex) -> &Endpoint {
        &self.entries[usize::from(index.0)]
    }

    fn cell(&self, slot: WorkerSlot, index: EndpointIndex) -> &Word {
        &self.in_flight[slot.index()][usize::from(index.0)]
    }
}

impl Endpoint {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Endpoint",
        bytes: size_of::<Self>(),
        fields: &[
            Field("owner", std::mem::offset_of!(Endpoint, owner), size_of::<Word>()),
            Field("health", std::mem::offset_of!(Endpoint, health), size_of::<Word>()),
            Field("ejection", std::mem::offset_of!(Endpoint, ejection), size_of::<Word>()),
            Field("latency", std::mem::offset_of!(Endpoint, latency), size_of::<Word>()),
            Field("reserved", std::mem::offset_of!(Endpoint, reserved), size_of::<[Word; 12]>()),
        ],
    };

    fn standing(&self, now_ms: u64) -> Standing {
        if Active::unpack(self.health.load()).health == Health::Down {
            Standing::Down
        } else if Outlier::unpack(self.ejection.load()).left_ms(now_ms) > 0 {
            Standing::Ejected
        } else {
            Standing::Well
        }
    }

    /// It is called although it is ejected, because too many are: when it is back it is not new to its load.
    fn note_called(&self, now_ms: u64) {
        let seen = self.ejection.load();
        if let Some(next) = Outlier::unpack(seen).called(now_ms) {
            // Whoever was faster had more to say.
            self.ejection.exchange(seen, next.pack());
        }
    }

    /// What part of its usual share the instance is offered: less than all of it while it has not been back
    /// for long.
    fn share(&self, rules: &Rules, now_ms: u64) -> u16 {
        let returns = [
            Active::unpack(self.health.load()).returned_ms(),
            Outlier::unpack(self.ejection.load()).returned_ms(now_ms),
        ];
        choice::share(returns.into_iter().flatten().max(), rules.slow_start_ms, now_ms)
    }
}

impl EndpointKey {
    /// Of a service, by its name in the region.
    #[must_use]
    pub fn of(service: NameId, address: SocketAddr) -> EndpointKey {
        let octets = match address.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let (upper, lower) = octets.split_at(8);
        let place = u64::from(address.port()) << 16 | u64::from(service.number());
        // Zero is nobody's.
        EndpointKey(checksum(place, &[word(upper), word(lower)]).max(1))
    }
}

/// Where the entry of a key may stand, in the order of search.
fn looked_at<const ENDPOINTS: usize>(key: EndpointKey) -> impl Iterator<Item = EndpointIndex> {
    let start = usize::try_from(key.0 % ENDPOINTS as u64).expect("a remainder of a table's size");
    let places = (start..ENDPOINTS).chain(0..start).take(LOOKED_AT_MAX);
    places.map(|place| EndpointIndex(u16::try_from(place).expect("a table has fewer than 65,536 entries")))
}

/// Entries that are looked at for one instance: with a table that is two thirds full, none is ever so far away.
const LOOKED_AT_MAX: usize = 64;

/// Each try that fails is one of another process that did not.
const TRIES_MAX: usize = 64;

#[cfg(test)]
impl crate::atomics::Zeroed for Endpoint {
    fn zeroed() -> Endpoint {
        use crate::atomics::Zeroed;
        Endpoint {
            owner: Word::zeroed(),
            health: Word::zeroed(),
            ejection: Word::zeroed(),
            latency: Word::zeroed(),
            reserved: Zeroed::zeroed(),
        }
    }
}

#[cfg(test)]
impl<const ENDPOINTS: usize> crate::atomics::Zeroed for Endpoints<ENDPOINTS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Endpoints { entries: Zeroed::zeroed(), in_flight: Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
