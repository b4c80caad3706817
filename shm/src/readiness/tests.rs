//! Readiness: packing, saturation, unknown checks.

use super::*;
use crate::atomics::Zeroed;

#[test]
fn a_new_region_knows_nothing_and_is_starting() {
    let readiness = Readiness::zeroed();
    assert_eq!(readiness.phase(), NodePhase::Starting);
    let nothing = CheckState { state: State::Unknown, latency_us: 0, at_ms: 0 };
    assert_eq!(readiness.state(Check::Redis), nothing);
    assert_eq!(readiness.state(Check::Service(63)), nothing);
    assert_eq!(readiness.state(Check::Service(64)), nothing, "no such service");
}

#[test]
fn a_check_is_read_as_it_was_set_and_touches_no_other() {
    let (readiness, writer) = (Readiness::zeroed(), AuthorityWriter::new());
    let at_ms = 1_795_000_000_123;
    for state in [State::Ok, State::Slow, State::Error, State::Unknown] {
        readiness.set(&writer, Check::Service(7), state, 1_499_984, at_ms);
        let expected = CheckState { state, latency_us: 1_499_984, at_ms };
        assert_eq!(readiness.state(Check::Service(7)), expected);
    }
    assert_eq!(readiness.state(Check::Service(6)).at_ms, 0);
    assert_eq!(readiness.state(Check::Redis).at_ms, 0);
}

#[test]
fn a_latency_beyond_the_scale_saturates_and_leaves_the_time_alone() {
    let (readiness, writer) = (Readiness::zeroed(), AuthorityWriter::new());
    readiness.set(&writer, Check::Redis, State::Error, u32::MAX, 5);
    let state = readiness.state(Check::Redis);
    assert_eq!((state.state, state.at_ms), (State::Error, 5));
    assert_eq!(state.latency_us, 16 * ((1 << 20) - 1));
}

#[test]
fn phase_and_start_are_kept() {
    let (readiness, writer) = (Readiness::zeroed(), AuthorityWriter::new());
    for phase in [NodePhase::Serving, NodePhase::Draining, NodePhase::Starting] {
        readiness.set_phase(&writer, phase);
        assert_eq!(readiness.phase(), phase);
    }
    readiness.set_started_at_ms(&writer, 99);
    assert_eq!(readiness.started_at_ms(), 99);
}

#[test]
fn the_number_of_keys_says_by_itself_nothing_about_waiting_for_some() {
    let (readiness, writer) = (Readiness::zeroed(), AuthorityWriter::new());
    assert_eq!((readiness.public_keys(), readiness.keys_awaited()), (0, false));
    readiness.set_public_keys(&writer, 0, true);
    assert_eq!((readiness.public_keys(), readiness.keys_awaited()), (0, true));
    readiness.set_public_keys(&writer, 3, false);
    assert_eq!((readiness.public_keys(), readiness.keys_awaited()), (3, false));
}
