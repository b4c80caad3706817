//! Who is looked at, and whose call is ended.

use super::*;
use std::cell::RefCell;

#[test]
fn only_the_call_of_a_client_that_is_gone_is_ended_and_only_once() {
    let vigils = Rc::new(Vigils::default());
    let (first, second) = (vigils.keep(1, 11), vigils.keep(2, 12));
    let ended = RefCell::new(Vec::new());
    for _ in 0..2 {
        vigils.look(|client| client == 2, |service| ended.borrow_mut().push(service));
    }
    assert_eq!(*ended.borrow(), [12]);
    assert!(!first.is_over() && second.is_over());
}

#[test]
fn a_vigil_that_ended_is_not_looked_at_and_its_place_is_used_again() {
    let vigils = Rc::new(Vigils::default());
    drop(vigils.keep(1, 11));
    let next = vigils.keep(2, 12);
    vigils.look(|client| client == 1, |_| panic!("nobody waits for client 1"));
    assert!(!next.is_over());
    assert_eq!(vigils.pairs.borrow().len(), 1);
}
