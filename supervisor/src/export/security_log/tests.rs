//! Counts that are exact while lines are not all written.

use super::*;
use edge_worker::telemetry::metrics::Metric;
use shm::SupervisorRegion;

#[test]
fn a_flood_of_the_supervisors_own_events_is_counted_exactly() {
    let log = SecurityLog::new(SupervisorRegion::create().expect("a memfd can be made").shared());
    let event = SecurityEvent::CacheValueForged;
    let raised = 5_000;
    for _ in 0..raised {
        log.raise(event, About::default());
    }
    let counted = log.figures().counted(Metric::SecurityEvents, event as u16, event.severity() as u16);
    assert_eq!(counted, raised);
    let suppressed = log.figures().counted(Metric::LogLinesSuppressed, event as u16, 0);
    let burst = u64::from(Kind::Event(event).budget().expect("it is sampled").burst);
    // A slow machine writes a few more in the meantime.
    assert!((raised - burst - 100..=raised - burst).contains(&suppressed), "{suppressed} left out");
    let other = SecurityEvent::RevocationTableFull;
    log.raise(other, About::default());
    assert_eq!(log.figures().counted(Metric::LogLinesSuppressed, other as u16, 0), 0);
}
