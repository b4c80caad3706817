//! The soak of `benches/endurance`, for a few seconds and at a load that leaves room for other tests.

use crate::harness::Backend;
use std::io::ErrorKind;
use std::time::Duration;
use supervisor::process::plan::Policy;
use trial_of_endurance::trial::{self, Pace, Terms, kills};

#[path = "../benches/endurance"]
mod trial_of_endurance {
    pub mod trial;
}

const WINDOW: Duration = Duration::from_secs(6);
const REQUESTS_PER_SECOND: u64 = 300;

#[test]
fn under_load_a_killed_worker_takes_its_own_connections_and_nothing_else() {
    let backend = Backend::start();
    let terms = Terms {
        service_url: backend.url(),
        window: WINDOW,
        pace: Pace::Fixed(REQUESTS_PER_SECOND),
        seed: std::env::var("FLOODGATE_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(trial::any_seed),
    };
    let report = match trial::run(&terms) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("SKIPPED: only root may see which connections a worker holds: {error}");
            return;
        }
        ended => ended.expect("a worker's connections can be listed"),
    };
    assert!(report.violations.is_empty(), "FLOODGATE_SEED={}\n{report}", terms.seed);
}

#[test]
fn the_bound_on_a_replacement_leaves_room_for_the_longest_back_off() {
    let policy = Policy::new(0, 30_000);
    assert!(kills::REPLACEMENT_MS_MAX >= policy.backoff_max_ms + 1_000);
}
