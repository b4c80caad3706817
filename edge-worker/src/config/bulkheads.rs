//! How many requests may be at one service at a time, and how many may wait for a place there.

use super::lookup::Lookup;
use super::rule::Rule;
use super::services::ServiceDefaults;
use super::settings::Setting;
use serde::{Deserialize, Serialize};

/// The limits of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulkhead {
    /// Requests of all workers of the node that are at the service at a time. One costs a connection to its client, one
    /// to the service and, while bodies move, two buffers of 64 KiB.
    pub in_flight_max: u64,
    /// Requests that one worker lets wait for a place.
    pub queue_max: usize,
    /// Longest wait. No request waits for more than half of its own time.
    pub queue_ms: u64,
}

const IN_FLIGHT_CEILING: u64 = 1_000_000;
/// Without a queue there would be refusals below the cap: of two workers that reach for the last place at the same
/// moment both may have to let go of it, and one has it at its next look (`shm::workers::places`).
const QUEUE_MIN: u64 = 1;
const QUEUE_CEILING: u64 = 65_536;
const QUEUE_MS_MAX: u64 = 30_000;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "FLOODGATE_SERVICE_IN_FLIGHT_MAX",
        "bulkheads.in_flight_max",
        Rule::Number(1, IN_FLIGHT_CEILING),
        "Requests of the whole node at one service at a time; more wait for a place",
    )
    .preset_rule("see the table of services"),
    Setting::new(
        "FLOODGATE_SERVICE_IN_FLIGHT_MAX_<NAME>",
        "services.<name>.in_flight_max",
        Rule::Number(1, IN_FLIGHT_CEILING),
        "FLOODGATE_SERVICE_IN_FLIGHT_MAX for one service",
    ),
    Setting::new(
        "FLOODGATE_SERVICE_QUEUE_MAX",
        "bulkheads.queue_max",
        Rule::Number(QUEUE_MIN, QUEUE_CEILING),
        "Requests that one worker lets wait for a place at one service; more are answered 503",
    )
    .preset("256"),
    Setting::new(
        "FLOODGATE_SERVICE_QUEUE_MAX_<NAME>",
        "services.<name>.queue_max",
        Rule::Number(QUEUE_MIN, QUEUE_CEILING),
        "FLOODGATE_SERVICE_QUEUE_MAX for one service",
    ),
    Setting::new(
        "FLOODGATE_SERVICE_QUEUE_MS",
        "bulkheads.queue_ms",
        Rule::Number(1, QUEUE_MS_MAX),
        "Longest wait for a place, and at most half of the request's own time; then 503",
    )
    .preset("500"),
    Setting::new(
        "FLOODGATE_SERVICE_QUEUE_MS_<NAME>",
        "services.<name>.queue_ms",
        Rule::Number(1, QUEUE_MS_MAX),
        "FLOODGATE_SERVICE_QUEUE_MS for one service",
    ),
];

/// A service's own setting, else that of all services, else the table's.
pub(super) fn read(lookup: &Lookup, defaults: &ServiceDefaults) -> Bulkhead {
    let number = |all: &str| {
        let own = format!("{all}_{}", defaults.name.to_ascii_uppercase());
        lookup.number_if_set(&own).or_else(|| lookup.number_if_set(all))
    };
    let queue_max = number("FLOODGATE_SERVICE_QUEUE_MAX").expect("the table gives a default");
    Bulkhead {
        in_flight_max: number("FLOODGATE_SERVICE_IN_FLIGHT_MAX").unwrap_or(defaults.in_flight_max),
        queue_max: usize::try_from(queue_max).unwrap_or(usize::MAX),
        queue_ms: number("FLOODGATE_SERVICE_QUEUE_MS").expect("the table gives a default"),
    }
}

#[cfg(test)]
mod tests;
