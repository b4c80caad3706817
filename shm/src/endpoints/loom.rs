//! Models of the word that all workers write: who ejects, and what a success beside it does; and of the hand-over
//! by which an entry comes to another instance.

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
    let index = endpoints.claim(&AuthorityWriter::new(), EndpointKey(1)).expect("there is room");
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
fn whoever_finds_an_entry_finds_it_empty() {
    let seen = outcomes(|| {
        let (endpoints, index) = table();
        let writer = AuthorityWriter::new();
        endpoints.entry(index).latency.store(7);
        assert!(endpoints.free(&writer, index));
        let other = Arc::clone(&endpoints);
        let thread = ::loom::thread::spawn(move || {
            other.find(EndpointKey(2)).map(|found| other.entry(found).latency.load())
        });
        endpoints.claim(&writer, EndpointKey(2)).expect("there is room");
        thread.join().expect("it does not panic")
    });
    assert_eq!(seen, BTreeSet::from([None, Some(0)]));
}

#[test]
fn an_entry_is_not_freed_before_the_last_result_of_who_knew_it() {
    let seen = outcomes(|| {
        let (endpoints, index) = table();
        let list = Arc::new(Word::zeroed());
        let slot = WorkerSlot::new(0).expect("the first one");
        let (worker, told) = (Arc::clone(&endpoints), Arc::clone(&list));
        let thread = ::loom::thread::spawn(move || {
            worker.in_flight_add(slot, index);
            // The worker has a newer list, and the call to a gone instance goes on.
            told.publish(2);
            worker.record(index, Outcome::Success, 5, &RULES, NOW);
            worker.in_flight_sub(slot, index);
        });
        let writer = AuthorityWriter::new();
        let freed = list.observe() == 2 && endpoints.free(&writer, index);
        if freed {
            endpoints.claim(&writer, EndpointKey(2)).expect("there is room");
        }
        thread.join().expect("it does not panic");
        (freed, endpoints.entry(index).latency.load() != 0)
    });
    assert_eq!(
        seen,
        BTreeSet::from([(false, true), (true, false)]),
        "the next instance has figures of its own"
    );
}
