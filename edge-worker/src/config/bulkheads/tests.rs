//! Whose setting counts.

use super::super::sample::{self, Changes, DEVELOPMENT};
use super::super::services::SERVICES;
use super::*;

fn of(name: &str, changes: Changes<'_>) -> Bulkhead {
    let services = sample::loaded(DEVELOPMENT, changes).settings.worker.services;
    services.iter().find(|service| service.name == name).expect("one of the nineteen").bulkhead
}

#[test]
fn a_bulkhead_is_that_of_the_table_unless_a_variable_says_otherwise() {
    assert_eq!(of("ticket", &[]), Bulkhead { in_flight_max: 4_096, queue_max: 256, queue_ms: 500 });
    let all = [
        ("FLOODGATE_SERVICE_IN_FLIGHT_MAX", "30"),
        ("FLOODGATE_SERVICE_QUEUE_MAX", "4"),
        ("FLOODGATE_SERVICE_QUEUE_MS", "700"),
        ("FLOODGATE_SERVICE_IN_FLIGHT_MAX_TICKET", "8"),
        ("FLOODGATE_SERVICE_QUEUE_MAX_TICKET", "1"),
        ("FLOODGATE_SERVICE_QUEUE_MS_TICKET", "90"),
    ];
    assert_eq!(of("ticket", &all), Bulkhead { in_flight_max: 8, queue_max: 1, queue_ms: 90 });
    assert_eq!(of("minting", &all), Bulkhead { in_flight_max: 30, queue_max: 4, queue_ms: 700 });
}

#[test]
fn a_service_that_may_take_minutes_has_few_places() {
    for service in SERVICES {
        let is_slow = service.write_timeout_s >= 60;
        assert_eq!(service.in_flight_max == 256, is_slow, "{}", service.name);
        assert!(service.in_flight_max <= 4_096, "{}", service.name);
    }
}

#[test]
fn there_is_always_a_queue() {
    for name in ["FLOODGATE_SERVICE_QUEUE_MAX", "FLOODGATE_SERVICE_QUEUE_MAX_TICKET"] {
        let problems = sample::problems(DEVELOPMENT, &[(name, "0")]);
        assert!(problems.iter().any(|problem| problem.contains(name)), "{problems:?}");
    }
}
