//! How instances of services are judged, and how often their names are resolved. The defaults are Envoy's.

use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;
use serde::{Deserialize, Serialize};
use shm::endpoints::Rules;

/// The same for all services. Milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSettings {
    /// Failures in a row that eject an instance.
    pub eject_failures: u8,
    pub eject_ms: u64,
    pub eject_ms_max: u64,
    /// When more of a service's instances are ejected, all are called; 0: ejections mean nothing.
    pub ejected_percent_max: u8,
    pub slow_start_ms: u64,
    /// Between two look-ups of a host's addresses.
    pub resolve_ms: u64,
}

impl InstanceSettings {
    /// As the region wants them.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            failures: self.eject_failures,
            eject_ms: self.eject_ms,
            eject_ms_max: self.eject_ms_max,
            ejected_percent_max: self.ejected_percent_max,
            slow_start_ms: self.slow_start_ms,
            decay_ms: LATENCY_DECAY_MS,
        }
    }
}

impl Default for InstanceSettings {
    fn default() -> Self {
        InstanceSettings {
            eject_failures: 5,
            eject_ms: 30_000,
            eject_ms_max: 300_000,
            ejected_percent_max: 50,
            slow_start_ms: 10_000,
            resolve_ms: 30_000,
        }
    }
}

/// Time in which a latency that was measured loses half of its weight. Finagle takes 10 s; with that, one late answer
/// takes most calls from an instance for half a minute while there are few, and with this for seconds.
const LATENCY_DECAY_MS: u64 = 2_000;
/// The region takes no longer ejection for one.
const EJECT_MS_MAX: u64 = 3_600_000;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "FLOODGATE_EJECT_FAILURES",
        "instances.eject_failures",
        Rule::Number(1, 255),
        "Failed calls in a row, of all workers, after which an instance is ejected: it gets no calls for a while",
    )
    .preset("5"),
    Setting::new(
        "FLOODGATE_EJECT_MS",
        "instances.eject_ms",
        Rule::Number(100, EJECT_MS_MAX),
        "How long an instance is ejected the first time; two times as long the second time in a row, then three times",
    )
    .preset("30000"),
    Setting::new(
        "FLOODGATE_EJECT_MS_MAX",
        "instances.eject_ms_max",
        Rule::Number(100, EJECT_MS_MAX),
        "How long no ejection lasts longer",
    )
    .preset("300000"),
    Setting::new(
        "FLOODGATE_EJECTED_PERCENT_MAX",
        "instances.ejected_percent_max",
        Rule::Number(0, 100),
        "When more of a service's instances are ejected, all that are up are called; 0 switches ejections off",
    )
    .preset("50"),
    Setting::new(
        "FLOODGATE_SLOW_START_MS",
        "instances.slow_start_ms",
        Rule::Number(0, EJECT_MS_MAX),
        "Time in which the calls to an instance that is back grow to its full share",
    )
    .preset("10000"),
    Setting::new(
        "FLOODGATE_RESOLVE_MS",
        "instances.resolve_ms",
        Rule::Number(100, 3_600_000),
        "Time between two look-ups of the addresses of the services' host names",
    )
    .preset("30000"),
];

pub(super) fn read(lookup: &mut Lookup) -> InstanceSettings {
    let small = |lookup: &Lookup, name: &str| u8::try_from(lookup.number(name)).unwrap_or(u8::MAX);
    let settings = InstanceSettings {
        eject_failures: small(lookup, "FLOODGATE_EJECT_FAILURES"),
        eject_ms: lookup.number("FLOODGATE_EJECT_MS"),
        eject_ms_max: lookup.number("FLOODGATE_EJECT_MS_MAX"),
        ejected_percent_max: small(lookup, "FLOODGATE_EJECTED_PERCENT_MAX"),
        slow_start_ms: lookup.number("FLOODGATE_SLOW_START_MS"),
        resolve_ms: lookup.number("FLOODGATE_RESOLVE_MS"),
    };
    if settings.eject_ms_max < settings.eject_ms {
        lookup.problem("FLOODGATE_EJECT_MS_MAX", "is shorter than FLOODGATE_EJECT_MS", "lengthen it");
    }
    settings
}

#[cfg(test)]
mod tests;
