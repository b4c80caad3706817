//! Defaults that belong together.

use super::super::sample::{self, Changes, DEVELOPMENT};
use super::*;

fn marks(changes: Changes<'_>) -> Marks {
    sample::loaded(DEVELOPMENT, changes).settings.worker.shedding
}

#[test]
fn a_node_sheds_from_half_of_what_it_can_hold() {
    assert_eq!(marks(&[]), Marks { lag_ms: 50, in_flight: 8_192, in_flight_max: 16_384 });
    let small = marks(&[("FLOODGATE_IN_FLIGHT_MAX", "100")]);
    assert_eq!((small.in_flight, small.in_flight_max), (50, 100));
    let off = marks(&[("FLOODGATE_SHED_IN_FLIGHT", "0"), ("FLOODGATE_SHED_LAG_MS", "0")]);
    assert_eq!((off.lag_ms, off.in_flight), (0, 0));
}

#[test]
fn a_mark_at_the_cap_sheds_nobody_in_time() {
    let changes = [("FLOODGATE_IN_FLIGHT_MAX", "100"), ("FLOODGATE_SHED_IN_FLIGHT", "100")];
    let expected = "FLOODGATE_SHED_IN_FLIGHT: is not below FLOODGATE_IN_FLIGHT_MAX, where everybody is refused; lower it";
    assert_eq!(sample::problems(DEVELOPMENT, &changes), [expected]);
    let below = [("FLOODGATE_IN_FLIGHT_MAX", "100"), ("FLOODGATE_SHED_IN_FLIGHT", "99")];
    assert_eq!(marks(&below).in_flight, 99);
}
