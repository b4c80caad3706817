//! Models: two workers that reach for places at the same moment never keep more than the cap.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

fn reach(cells: &[Word; 2], own: usize, places: u64, cap: u64) -> bool {
    take(&cells[own], places, cells.iter(), cap)
}

#[test]
fn the_last_place_is_kept_by_one_at_most() {
    let seen = outcomes(|| {
        let cells: Arc<[Word; 2]> = Arc::new(Zeroed::zeroed());
        let others = Arc::clone(&cells);
        let thread = ::loom::thread::spawn(move || reach(&others, 1, 1, 1));
        let first = reach(&cells, 0, 1, 1);
        let second = thread.join().expect("the other worker does not panic");
        assert_eq!((cells[0].load(), cells[1].load()), (u64::from(first), u64::from(second)));
        (first, second)
    });
    assert_eq!(seen, BTreeSet::from([(false, false), (false, true), (true, false)]));
}

#[test]
fn a_place_given_back_is_not_used_by_its_giver() {
    let seen = outcomes(|| {
        let cells: Arc<[Word; 2]> = Arc::new(Zeroed::zeroed());
        assert!(reach(&cells, 0, 2, 2));
        let others = Arc::clone(&cells);
        let thread = ::loom::thread::spawn(move || reach(&others, 1, 1, 2));
        cells[0].publish(1);
        let again = reach(&cells, 0, 2, 2);
        let other = thread.join().expect("the other worker does not panic");
        assert!(cells[0].load() + cells[1].load() <= 2);
        (again, other)
    });
    assert!(!seen.contains(&(true, true)));
    assert!(seen.contains(&(true, false)) && seen.contains(&(false, true)), "{seen:?}");
}
