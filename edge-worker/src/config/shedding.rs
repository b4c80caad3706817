//! From when on the node sheds.

use super::limits::Limits;
use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;
use serde::{Deserialize, Serialize};

/// The marks of overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// How late a worker's loop may be for a while; 0 does not look at it.
    pub lag_ms: u64,
    /// Requests in flight a worker, on the average of the node; 0 does not look at them.
    pub in_flight: u64,
    /// The same at which even the last class is refused.
    pub in_flight_max: u64,
}

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "FLOODGATE_SHED_LAG_MS",
        "shedding.lag_ms",
        Rule::Number(0, 60_000),
        "A worker whose loop is never less late than this for 400 ms sheds; 0 does not look at it",
    )
    .preset("50"),
    Setting::new(
        "FLOODGATE_SHED_IN_FLIGHT",
        "shedding.in_flight",
        Rule::Number(0, 1_000_000),
        "Requests in flight a worker, on the average of the node, from which on it sheds; at twice as many all but the checkout class; 0 does not look at them",
    )
    .preset_rule("half of FLOODGATE_IN_FLIGHT_MAX"),
];

pub(super) fn read(lookup: &mut Lookup, limits: &Limits) -> Marks {
    let in_flight_max = limits.in_flight_max as u64;
    lookup.preset("FLOODGATE_SHED_IN_FLIGHT", &(in_flight_max / 2).to_string());
    let marks = Marks {
        lag_ms: lookup.number("FLOODGATE_SHED_LAG_MS"),
        in_flight: lookup.number("FLOODGATE_SHED_IN_FLIGHT"),
        in_flight_max,
    };
    if marks.in_flight >= in_flight_max && lookup.is_set("FLOODGATE_SHED_IN_FLIGHT") {
        let what = "is not below FLOODGATE_IN_FLIGHT_MAX, where everybody is refused";
        lookup.problem("FLOODGATE_SHED_IN_FLIGHT", what, "lower it");
    }
    marks
}

#[cfg(test)]
mod tests;
