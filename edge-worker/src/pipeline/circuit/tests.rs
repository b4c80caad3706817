//! What counts against a service, and how long a prober may take.

use super::*;
use crate::config::bulkheads::Bulkhead;
use crate::config::routes::load;

#[test]
fn only_what_the_service_is_to_blame_for_is_a_failure() {
    for (outcome, sheds, wanted) in [
        (Downstream::ConnectError, false, Outcome::Failure),
        (Downstream::Timeout, false, Outcome::Failure),
        (Downstream::Reset, false, Outcome::Failure),
        (Downstream::Aborted, false, Outcome::Neutral),
        (Downstream::Status(500), false, Outcome::Failure),
        (Downstream::Status(500), true, Outcome::Failure),
        (Downstream::Status(501), false, Outcome::Neutral),
        (Downstream::Status(502), false, Outcome::Failure),
        (Downstream::Status(503), false, Outcome::Failure),
        (Downstream::Status(503), true, Outcome::Neutral),
        (Downstream::Status(504), true, Outcome::Failure),
        (Downstream::Status(200), true, Outcome::Success),
        (Downstream::Status(401), false, Outcome::Success),
        (Downstream::Status(404), false, Outcome::Success),
        (Downstream::Status(429), true, Outcome::Success),
        (Downstream::Status(505), false, Outcome::Success),
    ] {
        assert_eq!(verdict(outcome, sheds), wanted, "{outcome:?} {sheds}");
    }
}

#[test]
fn a_permit_outlives_the_longest_call_of_its_service() {
    let rows = load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid");
    let service = |name: &str| {
        let id = ServiceId::find(name).expect("one of the nineteen");
        let defaults = id.defaults().expect("it has a row");
        let service = Service {
            name: name.to_owned(),
            instances: Vec::new(),
            criticality: defaults.criticality,
            read_timeout_ms: defaults.read_timeout_s * 1_000,
            write_timeout_ms: defaults.write_timeout_s * 1_000,
            body_bytes_max: 0,
            pool_idle_ms: 0,
            health_path: String::new(),
            breaker: defaults.breaker,
            bulkhead: Bulkhead { in_flight_max: 1, queue_max: 1, queue_ms: 1 },
        };
        parameters(&service, &rows, id)
    };
    assert_eq!(service("minting").probe_ms, 121_000, "batch-mint may take 120 s");
    assert_eq!(service("queue").probe_ms, 6_000);
    let blockchain = service("blockchain");
    assert_eq!((blockchain.error_percent, blockchain.volume, blockchain.reset_ms), (50, 10, 120_000));
}

#[test]
fn clients_wait_for_whole_seconds_and_at_least_one() {
    for (retry_after_ms, retry_after_s) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (60_000, 60)] {
        assert_eq!(open(retry_after_ms), Rejection::CircuitOpen { retry_after_s });
    }
    assert_eq!(open(u64::MAX).sentence().retry_after_s, Some(u16::MAX));
}
