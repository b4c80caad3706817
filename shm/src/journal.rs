//! A worker's finished records (access-log lines, spans) on their way to the supervisor: a ring.
//!
//! Writer: the worker that owns the slot (producer). Reader: the supervisor (consumer).
//! Torn state: a record becomes visible when `head` is published behind it, so that a producer that dies
//! before leaves nothing, and the slot's next worker writes over it. Each record also carries its own
//! position; one that does not match is skipped and counted. A supervisor that dies inside `drain` leaves
//! `tail` where it was: its successor reads those records again. A full ring drops and counts; it never
//! waits.

use crossbeam::utils::CachePadded;

use crate::atomics::Word;
use crate::layout::{Field, Structure};

/// The ring: `RECORDS` places (a power of two) of up to `WORDS` words each; see the file's head.
#[repr(C, align(128))]
pub struct Journal<const RECORDS: usize = 4096, const WORDS: usize = RECORD_WORDS_MAX> {
    // The lines of the two ends are apart, so that neither slows the other down. This padding is the only one
    // in the region; nobody ever reads it.
    producer: CachePadded<Producer>,
    consumer: CachePadded<Consumer>,
    records: [Record<WORDS>; RECORDS],
}

/// What only the worker writes. Positions count records since the region was made, never wrapped.
#[repr(C)]
struct Producer {
    head: Word,
    /// The last `tail` that the producer looked at: it reads the other side's line only when the ring seems
    /// full.
    tail_seen: Word,
    dropped: Word,
}

/// What only the supervisor writes.
#[repr(C)]
struct Consumer {
    tail: Word,
    torn: Word,
}

/// One place.
#[repr(C)]
pub(crate) struct Record<const WORDS: usize> {
    position: Word,
    length: Word,
    words: [Word; WORDS],
}

/// Longest record, in words.
pub const RECORD_WORDS_MAX: usize = 126;

impl<const RECORDS: usize, const WORDS: usize> Journal<RECORDS, WORDS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Journal",
        bytes: size_of::<Self>(),
        fields: &[
            Field("producer", std::mem::offset_of!(Self, producer), size_of::<CachePadded<Producer>>()),
            Field("consumer", std::mem::offset_of!(Self, consumer), size_of::<CachePadded<Consumer>>()),
            Field("records", std::mem::offset_of!(Self, records), size_of::<[Record<WORDS>; RECORDS]>()),
        ],
    };

    /// Appends a record. False if it was dropped, and counted: the ring is full, or the record longer than
    /// `WORDS`.
    #[inline]
    pub fn push(&self, words: &[u64]) -> bool {
        let head = self.producer.head.load();
        if words.len() > WORDS || self.full(head) {
            self.producer.dropped.add_alone(1);
            return false;
        }
        let record = self.record(head);
        record.position.store(head);
        record.length.store(words.len() as u64);
        for (word, own) in words.iter().zip(&record.words) {
            own.store(*word);
        }
        // Partner: `drain`.
        self.producer.head.publish(head.wrapping_add(1));
        true
    }

    /// Hands up to `max` records to `visit`, oldest first, then gives their places back all at once. Returns
    /// how many places that were.
    pub fn drain(&self, max: usize, mut visit: impl FnMut(&[u64])) -> usize {
        let tail = self.consumer.tail.load();
        // Partner: `push`.
        let head = self.producer.head.observe();
        let waiting = head.wrapping_sub(tail);
        if waiting > RECORDS as u64 {
            // No producer that keeps to the rules publishes such a head. Start anew from it.
            self.consumer.torn.add_alone(1);
            self.consumer.tail.publish(head);
            return 0;
        }
        let count = waiting.min(max as u64);
        let mut buffer = [0; WORDS];
        for position in (0..count).map(|step| tail.wrapping_add(step)) {
            match self.record(position).read(position, &mut buffer) {
                Some(words) => visit(words),
                None => self.consumer.torn.add_alone(1),
            }
        }
        // Partner: `full`. The producer overwrites a place only after all of it has been read.
        self.consumer.tail.publish(tail.wrapping_add(count));
        usize::try_from(count).unwrap_or(max)
    }

    /// Records that the producer lost because the ring was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.producer.dropped.load()
    }

    /// Records that the consumer skipped because they were not what their place promised: zero, unless a
    /// worker ran wild.
    #[must_use]
    pub fn torn(&self) -> u64 {
        self.consumer.torn.load()
    }

    #[inline]
    fn full(&self, head: u64) -> bool {
        if head.wrapping_sub(self.producer.tail_seen.load()) < RECORDS as u64 {
            return false;
        }
        // Partner: `drain`.
        let tail = self.consumer.tail.observe();
        self.producer.tail_seen.store(tail);
        head.wrapping_sub(tail) >= RECORDS as u64
    }

    #[inline]
    fn record(&self, position: u64) -> &Record<WORDS> {
        const { assert!(RECORDS.is_power_of_two()) };
        let index = usize::try_from(position & (RECORDS as u64 - 1)).expect("smaller than the ring");
        &self.records[index]
    }
}

impl<const WORDS: usize> Record<WORDS> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Record",
        bytes: size_of::<Self>(),
        fields: &[
            Field("position", std::mem::offset_of!(Self, position), size_of::<Word>()),
            Field("length", std::mem::offset_of!(Self, length), size_of::<Word>()),
            Field("words", std::mem::offset_of!(Self, words), size_of::<[Word; WORDS]>()),
        ],
    };

    fn read<'b>(&self, position: u64, buffer: &'b mut [u64; WORDS]) -> Option<&'b [u64]> {
        if self.position.load() != position {
            return None;
        }
        let value = buffer.get_mut(..usize::try_from(self.length.load()).ok()?)?;
        for (word, own) in value.iter_mut().zip(&self.words) {
            *word = own.load();
        }
        Some(value)
    }
}

#[cfg(test)]
impl<const RECORDS: usize, const WORDS: usize> crate::atomics::Zeroed for Journal<RECORDS, WORDS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Journal { producer: Zeroed::zeroed(), consumer: Zeroed::zeroed(), records: Zeroed::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Producer {
    fn zeroed() -> Producer {
        Producer { head: Word::zeroed(), tail_seen: Word::zeroed(), dropped: Word::zeroed() }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Consumer {
    fn zeroed() -> Consumer {
        Consumer { tail: Word::zeroed(), torn: Word::zeroed() }
    }
}

#[cfg(test)]
impl<const WORDS: usize> crate::atomics::Zeroed for Record<WORDS> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Record { position: Word::zeroed(), length: Word::zeroed(), words: Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
