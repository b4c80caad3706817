//! Models of the word that all workers write: who ejects, and what a success beside it does.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

const RULES: Rules = Rules {
    failures: 2,
    eject_ms: 1_000,
    eject_ms_max: 5_000,
    ejected_percent_max: 50,
    slow_start_ms: 0,
    decay_ms: 1_000,
};
const NOW: u64 = 100_000;

/// One entry: rows of all slots would be more than a model can hold.
fn table() -> (Arc<Endpoints<1>>, EndpointIndex) {
    let endpoints = Arc::new(Endpoints::zeroed());
    let index = endpoints.of(NameId::new(1).expect("not zero")).expect("there is room");
    (endpoints, index)
}

#[test]
fn one_of_those_that_cross_the_line_ejects() {
    let seen = outcomes(|| {
        let (endpoints, index) = table();
        let other = Arc::clone(&endpoints);
        let thread =
            ::loom::thread::spawn(move || other.record(index, Outcome::Failure, 1, &RULES, NOW).is_some());
        let own = endpoints.record(index, Outcome::Failure, 1, &RULES, NOW).is_some();
        let others = thread.join().expect("it does not panic");
        let view = endpoints.entry(index);
        assert_eq!(Outlier::unpack(view.ejection.load()).left_ms(NOW), 1_000, "no failure is lost");
        (own, others)
    });
    assert_eq!(seen, BTreeSet::from([(true, false), (false, true)]));
}

#[test]
fn a_success_beside_a_failure_comes_before_or_after_it() {
    let seen = outcomes(|| {
        let (endpoints, index) = table();
        endpoints.record(index, Outcome::Failure, 1, &RULES, NOW);
        let other = Arc::clone(&endpoints);
        let thread = ::loom::thread::spawn(move || other.record(index, Outcome::Success, 1, &RULES, NOW));
        let ejection = endpoints.record(index, Outcome::Failure, 1, &RULES, NOW);
        assert_eq!(thread.join().expect("it does not panic"), None);
        let outlier = Outlier::unpack(endpoints.entry(index).ejection.load());
        (ejection.is_some(), outlier.left_ms(NOW), outlier.failures)
    });
    assert_eq!(seen, BTreeSet::from([(true, 1_000, 0), (false, 0, 1)]));
}

#[test]
fn two_that_claim_an_entry_for_one_name_share_it() {
    let seen = outcomes(|| {
        let endpoints = Arc::new(Endpoints::<2>::zeroed());
        let name = NameId::new(5).expect("not zero");
        let other = Arc::clone(&endpoints);
        let thread = ::loom::thread::spawn(move || other.of(name));
        let own = endpoints.of(name);
        own.is_some() && own == thread.join().expect("it does not panic")
    });
    assert_eq!(seen, BTreeSet::from([true]));
}

#[test]
fn two_names_never_share_an_entry() {
    let seen = outcomes(|| {
        let endpoints = Arc::new(Endpoints::<2>::zeroed());
        let [one, another] = [5, 7].map(|number| NameId::new(number).expect("not zero"));
        let other = Arc::clone(&endpoints);
        let thread = ::loom::thread::spawn(move || other.of(another));
        let own = endpoints.of(one);
        let others = thread.join().expect("it does not panic");
        own.is_some() && others.is_some() && own != others
    });
    assert_eq!(seen, BTreeSet::from([true]));
}
