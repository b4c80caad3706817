//! Models of the cache: a reader beside a supervisor that replaces and forgets.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

type Tiny = Access<1, 1, 1, 1>;

const NOW: i64 = 100;
const USER: [u8; 32] = [1; 32];

fn record(number: u16) -> UserRecord {
    let at_s = NOW + i64::from(number);
    UserRecord { status: UserStatus::Active, role: number, fetched_at_s: at_s, expires_at_s: at_s }
}

fn role(access: &Tiny, user: &[u8; 32]) -> u16 {
    access.user(user, NOW).map_or(0, |found| {
        assert_eq!(found, record(found.role), "a mixture of two records");
        found.role
    })
}

#[test]
fn a_record_that_is_replaced_is_the_old_one_the_new_one_or_a_miss() {
    let seen = outcomes(|| {
        let (access, writer) = (Arc::new(Tiny::zeroed()), AuthorityWriter::new());
        let asked = access.moment(&writer);
        access.store_user(&writer, &USER, &record(1), asked, NOW);
        let reader = Arc::clone(&access);
        let thread = ::loom::thread::spawn(move || role(&reader, &USER));
        access.store_user(&writer, &USER, &record(2), asked, NOW);
        thread.join().expect("the reader saw no mixture")
    });
    assert_eq!(seen, BTreeSet::from([0, 1, 2]));
}

#[test]
fn a_record_that_is_forgotten_and_whose_place_is_taken_is_never_anothers() {
    let seen = outcomes(|| {
        let (access, writer) = (Arc::new(Tiny::zeroed()), AuthorityWriter::new());
        access.store_user(&writer, &USER, &record(1), access.moment(&writer), NOW);
        let reader = Arc::clone(&access);
        let thread = ::loom::thread::spawn(move || role(&reader, &USER));
        access.forget_user(&writer, &USER);
        // The same hint, so that only the whole digest tells them apart.
        let mut other = USER;
        other[31] = 2;
        access.store_user(&writer, &other, &record(2), access.moment(&writer), NOW);
        let found = thread.join().expect("the reader saw no mixture");
        assert_eq!((role(&access, &USER), role(&access, &other)), (0, 2));
        found
    });
    assert_eq!(seen, BTreeSet::from([0, 1]));
}
