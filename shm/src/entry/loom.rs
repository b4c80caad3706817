//! Models of the claim protocol: every interleaving of writers, a reader, a death and the sweep.

use std::sync::Arc;

use super::*;
use crate::atomics::Zeroed;

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
    ::loom::model(|| {
        let cell = Cell::new();
        cell.write(1, 7);
        let writer = Arc::clone(&cell);
        let thread = ::loom::thread::spawn(move || writer.write(2, 8));
        assert!(matches!(cell.read(), None | Some(7 | 8)));
        thread.join().expect("the writer does not panic");
        assert_eq!(cell.read(), Some(8));
    });
}

#[test]
fn two_writers_never_share_an_entry() {
    ::loom::model(|| {
        let cell = Cell::new();
        let other = Arc::clone(&cell);
        let thread = ::loom::thread::spawn(move || other.write(1, 5));
        cell.write(2, 6);
        assert!(matches!(cell.read(), None | Some(5 | 6)));
        thread.join().expect("the writer does not panic");
        assert!(matches!(cell.read(), Some(5 | 6)), "one of the two got it");
    });
}

#[test]
fn what_a_dead_writer_left_is_swept_while_others_go_on() {
    ::loom::model(|| {
        let cell = Cell::new();
        if let Some(dead) = cell.claim(1) {
            dead.fill(&[9, 9]);
        }
        let other = Arc::clone(&cell);
        let thread = ::loom::thread::spawn(move || {
            other.write(2, 6);
            assert!(matches!(other.read(), None | Some(6)));
        });
        assert!(sweep(&cell.sequence, owner(1)), "the claim is still there for the sweep");
        thread.join().expect("the writer does not panic");
        assert!(!Sequence::new(cell.sequence.load()).claimed());
        assert!(matches!(cell.read(), None | Some(6)));
    });
}
