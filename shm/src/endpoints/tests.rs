//! Endpoints: who is left out, for how long, who is chosen, and what the dead leave.

use super::*;
use crate::atomics::Zeroed;

mod small_world;

const RULES: Rules = Rules {
    failures: 3,
    eject_ms: 10_000,
    eject_ms_max: 60_000,
    ejected_percent_max: 50,
    slow_start_ms: 8_000,
    decay_ms: 10_000,
};
const NOW: u64 = 5_000_000;
const ENDPOINTS: usize = 8;

fn table() -> (Box<Endpoints<ENDPOINTS>>, [EndpointIndex; 4]) {
    let endpoints = Box::new(Endpoints::<ENDPOINTS>::zeroed());
    let writer = AuthorityWriter::new();
    let indexes = [1, 2, 3, 4].map(|number| endpoints.claim(&writer, key(number)).expect("there is room"));
    (endpoints, indexes)
}

/// The key that stands in the table itself, so that a test can say where its entry is looked for.
fn key(number: u64) -> EndpointKey {
    EndpointKey(number)
}

fn slot(index: usize) -> WorkerSlot {
    WorkerSlot::new(index).expect("below the maximum")
}

fn fail(
    endpoints: &Endpoints<ENDPOINTS>,
    index: EndpointIndex,
    times: usize,
    now_ms: u64,
) -> Option<Ejection> {
    (0..times).filter_map(|_| endpoints.record(index, Outcome::Failure, 1_000, &RULES, now_ms)).last()
}

/// How often each instance is chosen, of many random numbers.
fn spread(endpoints: &Endpoints<ENDPOINTS>, choice: &Choice<'_>, now_ms: u64) -> Vec<u32> {
    let mut counts = vec![0; choice.instances.len()];
    for number in 0..DRAWS {
        let random = crate::words::mix(u64::from(number) + 1);
        let chosen = endpoints.choose(choice, &RULES, now_ms, random).expect("there are instances");
        let place = choice.instances.iter().position(|index| *index == chosen).expect("it is one of them");
        counts[place] += 1;
    }
    counts
}

fn all(instances: &[EndpointIndex]) -> Choice<'_> {
    Choice { own: Some(slot(0)), instances, except: None }
}

const DRAWS: u32 = 12_000;

#[test]
fn failures_in_a_row_eject_and_a_success_breaks_the_row() {
    let (endpoints, [index, ..]) = table();
    assert_eq!(fail(&endpoints, index, 2, NOW), None);
    endpoints.record(index, Outcome::Success, 1_000, &RULES, NOW);
    endpoints.record(index, Outcome::Neutral, 1_000, &RULES, NOW);
    assert_eq!(fail(&endpoints, index, 2, NOW), None);
    endpoints.record(index, Outcome::Neutral, 1_000, &RULES, NOW);
    assert_eq!(endpoints.view(index, &RULES, NOW).failures, 2, "neutral says nothing");
    assert_eq!(fail(&endpoints, index, 1, NOW), Some(Ejection { for_ms: 10_000, count: 1 }));
    let view = endpoints.view(index, &RULES, NOW + 1);
    assert_eq!((view.ejected_ms, view.ejections, view.failures, view.share), (9_999, 1, 0, 0));
    assert_eq!(fail(&endpoints, index, 9, NOW + 9_999), None, "those were sent before");
    assert_eq!(endpoints.view(index, &RULES, NOW + 10_000).ejected_ms, 0);
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let quiet = Outlier::unpack(0);
    assert_eq!(quiet.after(Outcome::Success, &RULES, NOW), None);
    assert_eq!(quiet.after(Outcome::Neutral, &RULES, NOW), None);
    assert!(quiet.after(Outcome::Failure, &RULES, NOW).is_some());
}

#[test]
fn ejections_in_a_row_grow_longer_and_are_forgiven() {
    let (endpoints, [index, ..]) = table();
    let mut now_ms = NOW;
    for (for_ms, count) in [(10_000, 1), (20_000, 2), (30_000, 3), (40_000, 4)] {
        assert_eq!(fail(&endpoints, index, 3, now_ms), Some(Ejection { for_ms, count }));
        now_ms += for_ms;
    }
    for _ in 0..4 {
        let ejection = fail(&endpoints, index, 3, now_ms).expect("it fails");
        now_ms += ejection.for_ms;
        assert!(ejection.for_ms <= 60_000);
    }
    assert_eq!(endpoints.view(index, &RULES, now_ms).ejections, 8);
    // Three times `eject_ms` without another.
    let ejection = fail(&endpoints, index, 3, now_ms + 30_000).expect("it fails");
    assert_eq!((ejection.for_ms, ejection.count), (60_000, 6));
    let ejection = fail(&endpoints, index, 3, now_ms + 3_600_000).expect("it fails");
    assert_eq!((ejection.for_ms, ejection.count), (10_000, 1), "all is forgiven");
}

#[test]
fn what_is_left_out_gets_no_calls_while_others_are_well() {
    let (endpoints, instances) = table();
    let writer = AuthorityWriter::new();
    fail(&endpoints, instances[1], 3, NOW);
    endpoints.set_health(&writer, instances[2], Health::Down, NOW);
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert!(counts[0] > DRAWS / 3 && counts[3] > DRAWS / 3, "{counts:?}");
    assert_eq!((counts[1], counts[2]), (0, 0));
}

#[test]
fn with_too_many_ejected_ejections_mean_nothing_and_checks_still_do() {
    let (endpoints, instances) = table();
    let writer = AuthorityWriter::new();
    for index in &instances[..3] {
        fail(&endpoints, *index, 3, NOW);
    }
    endpoints.set_health(&writer, instances[3], Health::Down, NOW);
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert_eq!(counts[3], 0);
    assert!(counts[..3].iter().all(|count| *count > DRAWS / 4), "{counts:?}");
    for index in instances {
        endpoints.set_health(&writer, index, Health::Down, NOW);
    }
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert!(counts.iter().all(|count| *count > DRAWS / 5), "all are down, so all are called: {counts:?}");
}

#[test]
fn a_retry_goes_elsewhere_if_there_is_an_elsewhere() {
    let (endpoints, instances) = table();
    let choice = Choice { except: Some(instances[0]), ..all(&instances[..2]) };
    assert_eq!(spread(&endpoints, &choice, NOW), [0, DRAWS]);
    let choice = Choice { except: Some(instances[0]), ..all(&instances[..1]) };
    assert_eq!(spread(&endpoints, &choice, NOW), [DRAWS]);
    assert_eq!(endpoints.choose(&all(&[]), &RULES, NOW, 7), None);
}

#[test]
fn calls_spread_evenly_and_lean_to_the_faster_and_the_less_busy() {
    let (endpoints, instances) = table();
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert!(counts.iter().all(|count| count.abs_diff(DRAWS / 4) < DRAWS / 40), "{counts:?}");
    endpoints.record(instances[0], Outcome::Success, 50_000, &RULES, NOW);
    for index in &instances[1..] {
        endpoints.record(*index, Outcome::Success, 2_000, &RULES, NOW);
    }
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert_eq!(counts[0], 0, "of two it is always the slower one");
    // The others get as busy as it is slow.
    for index in &instances[1..] {
        (0..30).for_each(|_| endpoints.in_flight_add(slot(0), *index));
    }
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert!(counts[0] > DRAWS / 3, "{counts:?}");
    let counts = spread(&endpoints, &Choice { own: Some(slot(1)), ..all(&instances) }, NOW);
    assert_eq!(counts[0], 0, "another worker has nothing in flight");
    let counts = spread(&endpoints, &Choice { own: None, ..all(&instances) }, NOW);
    assert!(counts[0] > DRAWS / 3, "the supervisor sees the calls of all: {counts:?}");
}

#[test]
fn a_difference_that_may_be_chance_makes_no_difference() {
    for (latency_us, alike) in [(200, true), (2_100, true), (2_200, true), (2_201, false), (9_000, false)] {
        let (endpoints, instances) = table();
        let instances = &instances[..2];
        endpoints.record(instances[0], Outcome::Success, 1_100, &RULES, NOW);
        endpoints.record(instances[1], Outcome::Success, latency_us, &RULES, NOW);
        let counts = spread(&endpoints, &all(instances), NOW);
        assert_eq!(counts[0].abs_diff(counts[1]) < DRAWS / 20, alike, "{latency_us}: {counts:?}");
    }
}

#[test]
fn the_share_of_one_that_is_back_grows_linearly() {
    let (endpoints, instances) = table();
    let writer = AuthorityWriter::new();
    let back = instances[0];
    assert_eq!(endpoints.view(back, &RULES, NOW).share, SHARE_FULL, "a new one is offered all at once");
    endpoints.set_health(&writer, back, Health::Up, NOW);
    assert_eq!(endpoints.view(back, &RULES, NOW).share, SHARE_FULL, "it never was down");
    endpoints.set_health(&writer, back, Health::Down, NOW);
    endpoints.set_health(&writer, back, Health::Up, NOW);
    for (after_ms, eighths) in [(1_000, 1), (4_000, 4), (6_000, 6), (8_000, 8)] {
        let now_ms = NOW + after_ms;
        assert_eq!(endpoints.view(back, &RULES, now_ms).share, SHARE_FULL / 8 * eighths);
        let count = spread(&endpoints, &all(&instances), now_ms)[0];
        let expected = DRAWS / 4 * u32::from(eighths) / 8;
        assert!(count.abs_diff(expected) < DRAWS / 40, "{count} instead of {expected}");
    }
    assert!(endpoints.view(back, &RULES, NOW).share > 0, "it is called at all");
    let ejection = fail(&endpoints, back, 3, NOW + 20_000).expect("it fails");
    let returned = NOW + 20_000 + ejection.for_ms;
    assert_eq!(endpoints.view(back, &RULES, returned + 2_000).share, SHARE_FULL / 4);
}

#[test]
fn one_that_is_called_although_it_is_ejected_is_called_in_full() {
    let (endpoints, instances) = table();
    for index in &instances[..3] {
        fail(&endpoints, *index, 3, NOW);
    }
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert!(counts.iter().all(|count| *count > DRAWS / 5), "{counts:?}");
    let counts = spread(&endpoints, &all(&instances), NOW + 10_000);
    assert!(counts.iter().all(|count| *count > DRAWS / 5), "nor is it new to its load then: {counts:?}");
    let ejection = fail(&endpoints, instances[0], 3, NOW + 20_000).expect("it fails");
    let returned = NOW + 20_000 + ejection.for_ms;
    assert_eq!(
        endpoints.view(instances[0], &RULES, returned + 2_000).share,
        SHARE_FULL / 4,
        "the next time it is"
    );
}

#[test]
fn one_that_was_down_is_not_ejected_for_what_was_before() {
    let (endpoints, [index, ..]) = table();
    let writer = AuthorityWriter::new();
    endpoints.set_health(&writer, index, Health::Up, NOW);
    fail(&endpoints, index, 3, NOW);
    endpoints.set_health(&writer, index, Health::Up, NOW + 1);
    assert!(endpoints.view(index, &RULES, NOW + 1).ejected_ms > 0, "its checks were good all the time");
    endpoints.set_health(&writer, index, Health::Down, NOW + 2);
    assert!(endpoints.view(index, &RULES, NOW + 2).ejected_ms > 0);
    endpoints.set_health(&writer, index, Health::Up, NOW + 3);
    let view = endpoints.view(index, &RULES, NOW + 3);
    assert_eq!((view.ejected_ms, view.ejections, view.failures), (0, 0, 0));
    assert!(view.share < SHARE_FULL, "but it starts slowly");
}

#[test]
fn nothing_is_learnt_of_one_that_is_ejected() {
    let (endpoints, [index, ..]) = table();
    fail(&endpoints, index, 3, NOW);
    endpoints.record(index, Outcome::Success, 5_000, &RULES, NOW + 1);
    assert_eq!(endpoints.view(index, &RULES, NOW + 1).latency_us, 0, "that call was sent before");
    endpoints.record(index, Outcome::Success, 5_000, &RULES, NOW + 10_000);
    assert_eq!(endpoints.view(index, &RULES, NOW + 10_000).latency_us, 5_000);
}

#[test]
fn those_that_are_down_do_not_count_when_too_many_are_ejected() {
    let (endpoints, instances) = table();
    let writer = AuthorityWriter::new();
    for index in &instances[1..3] {
        endpoints.set_health(&writer, *index, Health::Down, NOW);
    }
    fail(&endpoints, instances[3], 3, NOW);
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert_eq!(counts, [DRAWS, 0, 0, 0], "one of two is not too many");
    fail(&endpoints, instances[0], 3, NOW);
    let counts = spread(&endpoints, &all(&instances), NOW);
    assert_eq!(counts[1] + counts[2], 0, "both are, but nobody calls whom the checks find down: {counts:?}");
}

#[test]
fn latency_follows_what_is_usual_and_falls_while_nobody_calls() {
    let (endpoints, [index, ..]) = table();
    let at = |now_ms| endpoints.view(index, &RULES, now_ms).latency_us;
    let sample = |latency_us, now_ms| endpoints.record(index, Outcome::Success, latency_us, &RULES, now_ms);
    assert_eq!(at(NOW), 0);
    sample(90_000, NOW);
    assert_eq!(at(NOW), 90_000);
    sample(1_000, NOW + 1);
    assert_eq!(at(NOW + 1), 90_000, "so soon after the last one it is left out");
    for step in 0..=1_000 {
        sample(1_000, NOW + step);
    }
    // A second at a τ of ten: a tenth of the way.
    let after_a_second = at(NOW + 1_000);
    assert!((80_000..85_000).contains(&after_a_second), "{after_a_second}");
    for step in 1_000..=61_000 {
        sample(1_000, NOW + step);
    }
    let usual = at(NOW + 61_000);
    assert!((1_000..2_000).contains(&usual), "{usual}");
    assert_eq!(at(NOW + 71_000), usual / 2, "it falls while nobody calls");
    assert_eq!(at(NOW + 81_000), usual / 4, "by half in every τ");
    assert!(at(NOW + 100_000_000) > 0, "and stays known");
}

#[test]
fn one_slow_answer_among_many_changes_little_and_one_after_another_much() {
    let (endpoints, [index, ..]) = table();
    let at = |now_ms| endpoints.view(index, &RULES, now_ms).latency_us;
    let sample = |latency_us, now_ms| endpoints.record(index, Outcome::Success, latency_us, &RULES, now_ms);
    // Twenty a second, one of which took a minute.
    for step in 0..100 {
        sample(2_000, NOW + step * 50);
    }
    assert_eq!(at(NOW + 4_950), 2_000);
    sample(60_000_000, NOW + 5_000);
    let once = at(NOW + 5_000);
    assert!((2_100..2_200).contains(&once), "{once}");
    for step in 1..100 {
        sample(60_000_000, NOW + 5_000 + step * 50);
    }
    let for_seconds = at(NOW + 9_950);
    assert!(for_seconds > 1_000_000, "{for_seconds}");
}

#[test]
fn one_that_was_very_slow_once_is_tried_again_within_minutes() {
    let (endpoints, instances) = table();
    let instances = &instances[..2];
    endpoints.record(instances[0], Outcome::Success, 30_000_000, &RULES, NOW);
    let tried = (0..60).find(|tau| {
        let now_ms = NOW + tau * RULES.decay_ms;
        endpoints.record(instances[1], Outcome::Success, 2_000, &RULES, now_ms);
        spread(&endpoints, &all(instances), now_ms)[0] > 0
    });
    // 30 s are 4 ms, which is about as fast as 2 ms, 7,500 times, and that is not quite 2^13.
    assert_eq!(tried, Some(13));
}

#[test]
fn failing_makes_nobody_known() {
    let (endpoints, instances) = table();
    endpoints.record(instances[0], Outcome::Failure, 10, &RULES, NOW);
    assert_eq!(endpoints.view(instances[0], &RULES, NOW).latency_us, 0);
    endpoints.record(instances[1], Outcome::Success, 2_000, &RULES, NOW);
    let counts = spread(&endpoints, &all(&instances[..2]), NOW);
    assert!(
        counts[0].abs_diff(counts[1]) < DRAWS / 20,
        "who fails at once is not the faster one: {counts:?}"
    );
}

#[test]
fn small_latencies_are_averaged_as_well() {
    let (endpoints, [index, ..]) = table();
    for step in 0..200_000_u64 {
        // One in ten is slow.
        let latency_us = if step.is_multiple_of(10) { 140 } else { 100 };
        endpoints.record(index, Outcome::Success, latency_us, &RULES, NOW + step / 10);
    }
    let latency_us = endpoints.view(index, &RULES, NOW + 20_000).latency_us;
    assert!((100..=140).contains(&latency_us), "{latency_us}");
}

#[test]
fn failing_fast_does_not_make_fast() {
    let (endpoints, [index, ..]) = table();
    endpoints.record(index, Outcome::Success, 5_000, &RULES, NOW);
    for step in 0..2 {
        endpoints.record(index, Outcome::Failure, 10, &RULES, NOW + 1_000 + step);
    }
    assert!(endpoints.view(index, &RULES, NOW + 1_001).latency_us > 4_000);
    endpoints.record(index, Outcome::Neutral, 10, &RULES, NOW + 1_002);
    assert!(endpoints.view(index, &RULES, NOW + 1_002).latency_us > 4_000, "neither does a client that left");
    endpoints.record(index, Outcome::Success, 10, &RULES, NOW + 1_003);
    fail(&endpoints, index, 2, NOW + 1_004);
    endpoints.record(index, Outcome::Failure, 70_000, &RULES, NOW + 1_005);
    assert_eq!(endpoints.view(index, &RULES, NOW + 1_005).latency_us, 0, "ejected: what was is forgotten");
}

#[test]
fn a_clock_reading_that_lags_changes_nothing_back() {
    let (endpoints, [index, ..]) = table();
    endpoints.record(index, Outcome::Success, 50_000, &RULES, NOW + 10);
    endpoints.record(index, Outcome::Success, 1_000, &RULES, NOW);
    assert_eq!(endpoints.view(index, &RULES, NOW + 10).latency_us, 50_000);
}

#[test]
fn what_a_killed_worker_had_in_flight_goes_with_it() {
    let (endpoints, instances) = table();
    for index in instances {
        endpoints.in_flight_add(slot(0), index);
        endpoints.in_flight_add(slot(63), index);
        endpoints.in_flight_add(slot(63), index);
    }
    assert_eq!(endpoints.view(instances[2], &RULES, NOW).in_flight, 3);
    endpoints.in_flight_sub(slot(63), instances[2]);
    endpoints.clear(slot(63));
    assert_eq!(endpoints.view(instances[2], &RULES, NOW).in_flight, 1);
    endpoints.in_flight_sub(slot(63), instances[2]);
    assert_eq!(endpoints.view(instances[2], &RULES, NOW).in_flight, 1, "a row never wraps");
}

#[test]
fn every_word_is_legal_and_every_ejection_ends() {
    let (endpoints, instances) = table();
    let words = [u64::MAX, u64::MAX >> 1, 1 << 63, 0xffff, NOW << 16 | 0xffff, (NOW + 9_000_000) << 16 | 3];
    for word in words {
        let entry = endpoints.entry(instances[0]);
        for cell in [&entry.health, &entry.ejection, &entry.latency] {
            cell.store(word);
        }
        let view = endpoints.view(instances[0], &RULES, NOW);
        assert!(view.ejected_ms <= 3_600_000, "{word:x}: {view:?}");
        spread(&endpoints, &all(&instances), NOW);
        fail(&endpoints, instances[0], 3, NOW + 3_600_000);
        endpoints.record(instances[0], Outcome::Success, u64::MAX, &RULES, NOW + 7_200_000);
        let view = endpoints.view(instances[0], &RULES, NOW + 7_200_000);
        assert_eq!((view.ejected_ms, view.failures), (0, 0), "{word:x}");
        endpoints.set_health(&AuthorityWriter::new(), instances[0], Health::Up, NOW);
        assert_eq!(endpoints.view(instances[0], &RULES, NOW).health, Health::Up);
    }
}

#[test]
fn each_instance_has_an_entry_of_its_own_that_stays() {
    let (endpoints, instances) = table();
    let writer = AuthorityWriter::new();
    assert_eq!(endpoints.claim(&writer, key(3)), Some(instances[2]));
    // Starts its search where another one stands.
    assert_eq!(endpoints.find(key(3 + 8)), None);
    let far = endpoints.claim(&writer, key(3 + 8)).expect("there is room");
    assert!(!instances.contains(&far));
    let mut seen = Vec::new();
    endpoints.each(|key, index| seen.push((key.0, index)));
    seen.sort_by_key(|entry| entry.0);
    let numbers: Vec<u64> = seen.iter().map(|entry| entry.0).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 11]);
    assert!(seen.iter().all(|(number, index)| endpoints.find(key(*number)) == Some(*index)));
    for number in 100..103 {
        assert!(endpoints.claim(&writer, key(number)).is_some());
    }
    assert_eq!(endpoints.claim(&writer, key(200)), None, "the table is full");
    assert_eq!(endpoints.find(key(11)), Some(far));
}

#[test]
fn a_free_entry_is_claimed_anew_and_knows_nothing_of_before() {
    let (endpoints, instances) = table();
    let writer = AuthorityWriter::new();
    let (gone, far) = (instances[2], endpoints.claim(&writer, key(3 + 8)).expect("there is room"));
    endpoints.set_health(&writer, gone, Health::Down, NOW);
    endpoints.record(gone, Outcome::Success, 5_000, &RULES, NOW);
    fail(&endpoints, gone, 3, NOW);
    endpoints.in_flight_add(slot(5), gone);
    assert!(!endpoints.free(&writer, gone), "a call to it is in flight");
    assert_eq!(endpoints.find(key(3)), Some(gone));
    endpoints.in_flight_sub(slot(5), gone);
    assert!(endpoints.free(&writer, gone));
    assert_eq!(endpoints.find(key(3)), None);
    assert_eq!(endpoints.find(key(3 + 8)), Some(far), "whoever stands behind it is still found");
    assert_eq!(endpoints.claim(&writer, key(3 + 8)), Some(far), "and does not move");
    assert_eq!(endpoints.claim(&writer, key(3 + 16)), Some(gone), "the first free place");
    let view = endpoints.view(gone, &RULES, NOW);
    assert_eq!((view.health, view.ejected_ms, view.failures), (Health::Unknown, 0, 0));
    assert_eq!((view.latency_us, view.in_flight, view.share), (0, 0, SHARE_FULL));
}

#[test]
fn addresses_that_come_and_go_never_fill_the_table() {
    let endpoints = Box::new(Endpoints::<ENDPOINTS>::zeroed());
    let (writer, service) = (AuthorityWriter::new(), NameId::new(9).expect("not zero"));
    let of = |number: u16| EndpointKey::of(service, SocketAddr::from(([10, 0, 0, 1], number)));
    let mut listed = None;
    for number in 1..=20_000 {
        let index = endpoints.claim(&writer, of(number)).expect("there always is room");
        if let Some(before) = listed.replace(index) {
            assert!(endpoints.free(&writer, before));
        }
    }
}

#[test]
fn an_instance_is_a_service_at_an_address() {
    let of = |service: u16, address: &str| {
        let address = address.parse().expect("an address");
        EndpointKey::of(NameId::new(service).expect("not zero"), address)
    };
    let same = of(1, "10.0.0.1:80");
    assert_eq!(same, of(1, "10.0.0.1:80"));
    let others = [of(2, "10.0.0.1:80"), of(1, "10.0.0.2:80"), of(1, "10.0.0.1:81"), of(1, "[a00:1::]:80")];
    assert!(others.iter().all(|other| *other != same && other.0 != 0));
}
