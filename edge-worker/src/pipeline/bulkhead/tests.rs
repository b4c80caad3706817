//! What a worker may take, keep and use again.

use super::*;

fn standing(taken_elsewhere: u64, claimants: u64, others_wait: bool) -> Standing {
    Standing { taken_elsewhere, claimants, others_wait }
}

#[test]
fn reserves_end_where_half_of_the_cap_is_taken() {
    let reserve = |in_use, elsewhere, claimants| {
        Terms::of(1_000, in_use, 0, standing(elsewhere, claimants, false)).reserve
    };
    assert_eq!(reserve(0, 0, 1), 250);
    assert_eq!(reserve(100, 0, 1), 200);
    assert_eq!(reserve(100, 100, 2), 75);
    assert_eq!(reserve(250, 249, 1), 0);
    assert_eq!(reserve(250, 250, 1), 0);
    assert_eq!(reserve(0, u64::MAX, 1), 0);
    for claimants in 1..=64 {
        assert!(reserve(0, 0, claimants) * claimants <= 250, "{claimants}");
    }
}

#[test]
fn nobody_keeps_a_reserve_while_somebody_waits() {
    assert_eq!(Terms::of(1_000, 0, 1, standing(0, 1, false)), Terms::free(0));
    assert_eq!(Terms::of(1_000, 0, 0, standing(0, 2, true)).reserve, 0);
}

#[test]
fn each_claimant_has_an_equal_part_while_others_wait() {
    let parts = |cap, claimants| {
        let terms = Terms::of(cap, 1, 1, standing(1, claimants, true));
        (terms.grows_to, terms.keeps)
    };
    assert_eq!(parts(8, 2), (4, 4));
    assert_eq!(parts(5, 2), (3, 3), "the odd one is used, too");
    assert_eq!(parts(1, 2), (1, 0), "the only place goes round");
    assert_eq!(parts(8, 1), (8, 8));
}

#[test]
fn a_worker_alone_takes_all_there_is() {
    let terms = Terms::of(8, 7, 3, standing(0, 1, false));
    assert_eq!((terms.grows_to, terms.keeps), (u64::MAX, u64::MAX));
}
