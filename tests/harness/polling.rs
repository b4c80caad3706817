//! Waiting for something that becomes true: short looks until a deadline, never one long sleep.

use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` gives a value, and gives it back; panics with `what` after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        pause(LOOK_EVERY);
    }
}

/// The only place where a test gives time away.
#[allow(clippy::disallowed_methods, reason = "the poll that the ban on sleeping points to")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Whether `look` became true within `limit`.
pub fn holds_within(limit: Duration, mut look: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if look() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        pause(LOOK_EVERY);
    }
}
