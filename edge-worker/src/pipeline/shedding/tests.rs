//! What a level sheds, and how it rises and falls.

use super::*;
use shm::SupervisorRegion;

const MILLISECOND: u64 = 1_000_000;
const MARKS: Marks = Marks { lag_ms: 50, in_flight: 100, in_flight_max: 400 };

fn shed_share(level: u64, class: ShedClass) -> usize {
    (0..=u8::MAX).filter(|lot| Level(level).sheds(class, *lot)).count()
}

fn seen(in_flight: u64, lag_ms: u64, now_ms: u64) -> Seen {
    Seen { lag_ns: lag_ms * MILLISECOND, in_flight, workers: 1, now: Millis(now_ms) }
}

/// The level after so many ticks, 50 ms apart, that all saw the same.
fn after(pressure: &mut Pressure, ticks: u64, in_flight: u64, lag_ms: u64) -> u64 {
    let began = pressure.last.0;
    (1..=ticks)
        .map(|tick| pressure.observe(MARKS, seen(in_flight, lag_ms, began + 50 * tick)).0)
        .last()
        .unwrap_or(0)
}

#[test]
fn classes_are_shed_one_after_the_other_and_a_part_at_a_time() {
    use ShedClass::{Admitted, Anonymous, Browsing, Checkout, Never};
    for (level, shares) in [
        (0, [0, 0, 0, 0, 0]),
        (1, [1, 0, 0, 0, 0]),
        (128, [128, 0, 0, 0, 0]),
        (256, [256, 0, 0, 0, 0]),
        (300, [256, 44, 0, 0, 0]),
        (512, [256, 256, 0, 0, 0]),
        (767, [256, 256, 255, 0, 0]),
        (768, [256, 256, 256, 0, 0]),
        (ALL, [256, 256, 256, 256, 0]),
    ] {
        let classes = [Anonymous, Browsing, Admitted, Checkout, Never];
        assert_eq!(classes.map(|class| shed_share(level, class)), shares, "{level}");
    }
}

#[test]
fn crowding_grows_from_the_mark_to_the_cap_and_spares_the_checkout_below_it() {
    let level = |in_flight, workers| crowding(MARKS, Seen { workers, ..seen(in_flight, 0, 0) });
    assert_eq!((level(0, 1), level(100, 1)), (0, 0));
    assert_eq!(level(101, 1), 7);
    assert_eq!((level(150, 1), level(200, 1)), (CLASS * 3 / 2, SPARING_MAX));
    assert_eq!((level(399, 1), level(400, 1)), (SPARING_MAX, ALL));
    assert_eq!(
        (level(300, 2), level(799, 2), level(800, 2)),
        (CLASS * 3 / 2, SPARING_MAX, ALL),
        "a worker's"
    );
    let near = Marks { in_flight: 300, ..MARKS };
    assert_eq!(crowding(near, seen(350, 0, 0)), CLASS * 3 / 2, "half of the way to the cap");
    assert_eq!(crowding(near, seen(399, 0, 0)), 760);
    assert_eq!(level(400, 0), ALL, "a node has one worker at least");
    let off = Marks { in_flight: 0, ..MARKS };
    assert_eq!(crowding(off, seen(1_000, 0, 0)), 0);
}

#[test]
fn the_level_rises_at_once_and_falls_slowly() {
    let mut pressure = Pressure::default();
    assert_eq!(after(&mut pressure, 1, 200, 0), 3 * CLASS);
    assert_eq!(after(&mut pressure, 1, 0, 0), 3 * CLASS - 50);
    assert_eq!(after(&mut pressure, 10, 0, 0), 3 * CLASS - 550);
    assert_eq!(after(&mut pressure, 1, 200, 0), 3 * CLASS);
    assert_eq!(after(&mut pressure, 16, 0, 0), 0);
}

#[test]
fn a_loop_that_is_always_late_sheds_step_by_step_but_never_the_checkout() {
    let mut pressure = Pressure::default();
    assert_eq!(after(&mut pressure, 7, 0, 60), 0, "an interval has 400 ms");
    assert_eq!(after(&mut pressure, 1, 0, 60), STEP_UP);
    assert_eq!(after(&mut pressure, 8, 0, 60), 2 * STEP_UP);
    assert_eq!(after(&mut pressure, 8, 0, 120), 4 * STEP_UP, "twice as late, twice the step");
    assert_eq!(after(&mut pressure, 8, 0, 9_000), 4 * STEP_UP + STEP_UP_MAX);
    assert_eq!(after(&mut pressure, 80, 0, 9_000), SPARING_MAX);
}

#[test]
fn one_tick_in_time_says_that_it_was_a_burst() {
    let mut pressure = Pressure::default();
    for _ in 0..10 {
        assert_eq!(after(&mut pressure, 7, 0, 400), 0);
        assert_eq!(after(&mut pressure, 1, 0, 49), 0);
    }
}

#[test]
fn one_long_stall_is_no_overload() {
    let mut pressure = Pressure::default();
    after(&mut pressure, 2, 0, 0);
    pressure.observe(MARKS, seen(0, 5_000, 5_100));
    assert_eq!(after(&mut pressure, 8, 0, 1), 0);
}

#[test]
fn between_half_of_the_mark_and_the_mark_nothing_changes() {
    let mut pressure = Pressure::default();
    after(&mut pressure, 16, 0, 60);
    assert_eq!(pressure.strain, 2 * STEP_UP);
    for lag_ms in [50, 25, 37] {
        after(&mut pressure, 8, 0, lag_ms);
        assert_eq!(pressure.strain, 2 * STEP_UP, "{lag_ms}");
    }
    after(&mut pressure, 8, 0, 24);
    assert_eq!(pressure.strain, 2 * STEP_UP - STEP_DOWN);
    after(&mut pressure, 80, 0, 0);
    assert_eq!((pressure.strain, pressure.level), (0, 0));
}

#[test]
fn without_a_mark_lateness_sheds_nobody() {
    let mut pressure = Pressure::default();
    let marks = Marks { lag_ms: 0, ..MARKS };
    for tick in 1..100 {
        assert_eq!(pressure.observe(marks, seen(0, 9_000, tick * 50)), Level(0));
    }
}

#[test]
fn workers_that_drain_or_start_count_as_those_that_serve() {
    let region: &'static SupervisorRegion =
        Box::leak(Box::new(SupervisorRegion::create().expect("a memfd can be made")));
    let blocks = &region.shared().workers;
    let shedding = Shedding::new(MARKS);
    let mut now_ms = 0;
    let mut level = || {
        // Whatever the level was, it has fallen meanwhile.
        now_ms += 60_000;
        shedding.look(blocks, 0, Millis(now_ms))
    };
    for block in &blocks[..2] {
        block.begin(1, 1);
        block.set_phase(Phase::Serving);
        (0..100).for_each(|_| block.requests_in_flight_add());
    }
    assert_eq!(level(), 0, "200 requests are the mark of two");
    blocks[0].set_phase(Phase::Draining);
    assert_eq!(level(), 0);
    blocks[1].set_phase(Phase::Draining);
    assert_eq!(level(), 0, "SIGTERM is no overload");
    blocks[0].set_phase(Phase::Starting);
    assert_eq!(level(), 0);
    blocks[0].clear();
    assert_eq!(level(), 0, "what the dead had is gone with them");
    (0..100).for_each(|_| blocks[1].requests_in_flight_add());
    assert_eq!(level(), SPARING_MAX, "200 requests are twice the mark of one");
}
