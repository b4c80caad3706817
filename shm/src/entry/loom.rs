//! Models of the claim protocol: every interleaving of writers, a reader, a death and the sweep.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

/// An entry whose values are always `[n, n * 3]`, so that a mixture shows.
struct Cell {
    entry: Entry<2>,
    sequence: Word,
}

impl Cell {
    fn new() -> Arc<Cell> {
        Arc::new(Cell { entry: Entry::zeroed(), sequence: Word::zeroed() })
    }

    fn claim(&self, slot: usize) -> Option<Claim<'_, 2>> {
        self.entry.claim(&self.sequence, Sequence::new(self.sequence.observe()), owner(slot))
    }

    fn write(&self, slot: usize, n: u64) {
        if let Some(claim) = self.claim(slot) {
            claim.fill(&[n, n * 3]);
            claim.publish();
        }
    }

    fn read(&self) -> Option<u64> {
        let mut buffer = [0; 2];
        let value = self.entry.read(&self.sequence, Sequence::new(self.sequence.observe()), &mut buffer)?;
        assert_eq!(value.len(), 2);
        assert_eq!(value[1], value[0] * 3, "a value that nobody wrote");
        Some(value[0])
    }
}

fn owner(slot: usize) -> WorkerSlot {
    WorkerSlot::new(slot).expect("below the maximum")
}

#[test]
fn a_reader_sees_one_whole_value_or_a_miss_while_it_is_replaced() {
    let seen = outcomes(|| {
        let cell = Cell::new();
        cell.write(1, 7);
        let reader = Arc::clone(&cell);
        let thread = ::loom::thread::spawn(move || reader.read());
        cell.write(2, 8);
        let read = thread.join().expect("the reader saw no mixture");
        assert_eq!(cell.read(), Some(8));
        read
    });
    assert_eq!(seen, BTreeSet::from([None, Some(7), Some(8)]));
}

#[test]
fn a_reader_sees_the_first_value_whole_or_a_miss() {
    let seen = outcomes(|| {
        let cell = Cell::new();
        let reader = Arc::clone(&cell);
        let thread = ::loom::thread::spawn(move || reader.read());
        cell.write(1, 7);
        thread.join().expect("the reader saw no mixture")
    });
    assert_eq!(seen, BTreeSet::from([None, Some(7)]));
}

#[test]
fn two_writers_never_share_an_entry() {
    let seen = outcomes(|| {
        let cell = Cell::new();
        let other = Arc::clone(&cell);
        let thread = ::loom::thread::spawn(move || {
            other.write(1, 5);
            other.read()
        });
        cell.write(2, 6);
        let beside = thread.join().expect("the other writer saw no mixture");
        (beside, cell.read())
    });
    assert!(seen.iter().all(|(_, last)| last.is_some()), "one of the two got it: {seen:?}");
    for expected in [Some(5), Some(6)] {
        assert!(seen.iter().any(|(_, last)| *last == expected), "either may be the last: {seen:?}");
        assert!(seen.iter().any(|(beside, _)| *beside == expected), "either may be read beside: {seen:?}");
    }
}

#[test]
fn what_a_dead_writer_left_is_swept_while_others_go_on() {
    let seen = outcomes(|| {
        let cell = Cell::new();
        if let Some(dead) = cell.claim(1) {
            dead.fill(&[9, 9]);
        }
        let other = Arc::clone(&cell);
        let thread = ::loom::thread::spawn(move || {
            other.write(2, 6);
            other.read()
        });
        assert!(sweep(&cell.sequence, owner(1)), "the claim is still there for the sweep");
        let beside = thread.join().expect("the other writer saw no mixture");
        assert!(!Sequence::new(cell.sequence.load()).claimed());
        assert_eq!(cell.read(), beside);
        beside
    });
    assert_eq!(seen, BTreeSet::from([None, Some(6)]), "the other writer came before the sweep, or after it");
}
