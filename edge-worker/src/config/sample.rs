//! Valid configurations for the tests of this folder, and what becomes of them with some variables changed.

use super::bulkheads::Bulkhead;
use super::services::{Criticality, Instance, SERVICES, Service};
use super::{Loaded, Sources, load};

pub(super) const CURRENT: &str = include_str!("../../../tests/keys/current.public.pem");
pub(super) const PREVIOUS: &str = include_str!("../../../tests/keys/previous.public.pem");
pub(super) const EC: &str = include_str!("../../../tests/keys/ec.public.pem");
pub(super) const ED: &str = include_str!("../../../tests/keys/ed.public.pem");
/// 32 bytes that are no known default.
pub(super) const RANDOM: &str = "5f0a1c9d77e24b8893bd0e6aa4c1f372";

pub(super) type Changes<'a> = &'a [(&'a str, &'a str)];

/// Starts: development, one RSA key.
pub(super) const DEVELOPMENT: Changes<'static> = &[("NODE_ENV", "development"), ("JWT_PUBLIC_KEY", CURRENT)];

/// Everything that production needs.
pub(super) const PRODUCTION: Changes<'static> = &[
    ("NODE_ENV", "production"),
    ("JWT_PUBLIC_KEY", CURRENT),
    ("JWT_ISSUER", "tickettoken-auth"),
    ("REDIS_PASSWORD", "a-long-password"),
    ("CACHE_MAC_KEY", RANDOM),
    ("S2S_SERVICE_TOKEN", "service-token"),
    ("AUTH_SERVICE_URL", "http://auth.internal:3001"),
    ("VENUE_SERVICE_URL", "http://venue.internal:3002"),
    ("EVENT_SERVICE_URL", "http://event.internal:3003"),
    ("TICKET_SERVICE_URL", "http://ticket.internal:3004"),
    ("PAYMENT_SERVICE_URL", "http://payment.internal:3006"),
    ("MARKETPLACE_SERVICE_URL", "http://marketplace.internal"),
    ("ANALYTICS_SERVICE_URL", "http://analytics.internal"),
    ("NOTIFICATION_SERVICE_URL", "http://notification.internal"),
    ("INTEGRATION_SERVICE_URL", "http://integration.internal"),
    ("COMPLIANCE_SERVICE_URL", "http://compliance.internal"),
    ("QUEUE_SERVICE_URL", "http://queue.internal"),
    ("SEARCH_SERVICE_URL", "http://search.internal"),
    ("FILE_SERVICE_URL", "http://file.internal"),
    ("MONITORING_SERVICE_URL", "http://monitoring.internal"),
    ("BLOCKCHAIN_SERVICE_URL", "http://blockchain.internal"),
    ("ORDER_SERVICE_URL", "http://order.internal"),
    ("SCANNING_SERVICE_URL", "http://10.0.0.9:3009,http://10.0.0.10:3009"),
    ("MINTING_SERVICE_URL", "http://minting.internal"),
    ("TRANSFER_SERVICE_URL", "http://[fd00::1]:3019"),
];

/// A service of which only name and instances matter.
pub(crate) fn service(name: &str, instances: Vec<Instance>) -> Service {
    Service {
        name: name.to_owned(),
        instances,
        criticality: Criticality::Ready,
        read_timeout_ms: 1,
        write_timeout_ms: 1,
        body_bytes_max: 1,
        pool_idle_ms: 1,
        health_path: "/health".to_owned(),
        breaker: SERVICES[0].breaker,
        bulkhead: Bulkhead { in_flight_max: 1, queue_max: 1, queue_ms: 1 },
    }
}

/// The sources of `base` with `changes` applied; an empty value removes a variable.
pub(super) fn sources(base: Changes<'_>, changes: Changes<'_>) -> Sources {
    let changed = |name: &str| changes.iter().any(|(other, _)| *other == name);
    let kept = base.iter().filter(|(name, _)| !changed(name));
    let environment =
        kept.chain(changes).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

pub(super) fn loaded(base: Changes<'_>, changes: Changes<'_>) -> Loaded {
    load(&sources(base, changes)).expect("a valid configuration")
}

/// The problems as they are printed.
pub(super) fn problems(base: Changes<'_>, changes: Changes<'_>) -> Vec<String> {
    let all = load(&sources(base, changes)).err().unwrap_or_default();
    all.iter().map(ToString::to_string).collect()
}

/// The warnings of a configuration that starts.
pub(super) fn warnings(base: Changes<'_>, changes: Changes<'_>) -> Vec<String> {
    loaded(base, changes).warnings.iter().map(ToString::to_string).collect()
}

/// Asserts the one problem of each case: (variable, value, text of the problem after its place).
pub(super) fn assert_problems(base: Changes<'_>, cases: &[(&str, &str, &str)]) {
    for (name, value, expected) in cases {
        assert_eq!(problems(base, &[(name, value)]), [format!("{name}: {expected}")], "{name}={value}");
    }
}

/// Asserts that each value is accepted without a problem.
pub(super) fn assert_accepted(base: Changes<'_>, cases: Changes<'_>) {
    for case in cases {
        assert_eq!(problems(base, &[*case]), [""; 0], "{}={}", case.0, case.1);
    }
}

/// A file of this test run, in a directory of its own that goes away with the value.
pub(super) struct Scratch(std::path::PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        let path = std::env::temp_dir().join(format!("floodgate-{:032x}", rand::random::<u128>()));
        std::fs::create_dir(&path).expect("the temporary directory is writable");
        Scratch(path)
    }

    /// Writes a file that only its owner can read, and gives its path.
    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a new file in a new directory");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("our own file");
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
