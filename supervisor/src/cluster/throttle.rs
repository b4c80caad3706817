//! At most one log line a second for what a stranger can cause as often as he likes; the counter has the rest.

use edge_worker::clock::Nanos;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Throttle(Option<Nanos>);

impl Throttle {
    /// Whether to write a line now.
    pub fn admits(&mut self, now: Nanos) -> bool {
        let admits = self.0.is_none_or(|last| now.since(last) >= PERIOD);
        if admits {
            self.0 = Some(now);
        }
        admits
    }
}
