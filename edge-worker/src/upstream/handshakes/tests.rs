//! What is told, and how often.

use super::*;

const ORDER: ServiceId = ServiceId(15);

fn fault(reason: &str) -> TlsFault {
    TlsFault { end: Handshake::UnknownIssuer, reason: reason.to_owned() }
}

fn complaint(reason: &str, times: u64) -> Complaint {
    let (service, instance) = ("order".to_owned(), "order.internal".to_owned());
    Complaint::Handshake { service, instance, reason: reason.to_owned(), times }
}

#[test]
fn an_instance_that_fails_all_the_time_is_complained_about_now_and_then() {
    let (handshakes, grievance) = (Handshakes::default(), Grievance::default());
    let fail = |at: u64, reason: &str| {
        handshakes.failed(Millis(at), (ORDER, "order.internal"), &grievance, &fault(reason));
    };
    fail(5_000, "first");
    for at in 5_001..6_001 {
        fail(at, "meanwhile");
    }
    fail(5_000 + COMPLAINT_PERIOD_MS, "later");
    fail(5_001 + COMPLAINT_PERIOD_MS, "meanwhile");
    assert_eq!(handshakes.complaints.take(), [complaint("first", 1), complaint("later", 1_001)]);
}

#[test]
fn every_handshake_is_counted_by_service_and_end() {
    let (handshakes, grievance) = (Handshakes::default(), Grievance::default());
    for _ in 0..3 {
        handshakes.count(ORDER, Handshake::Resumed);
        handshakes.count(ServiceId(0), Handshake::Resumed);
        handshakes.failed(Millis(0), (ORDER, "a"), &grievance, &fault(""));
    }
    let counted = handshakes.counted.take();
    let seen: Vec<_> = counted.iter().map(|count| (count.service.0, count.end, count.times)).collect();
    let expected =
        [(15, Handshake::Resumed, 3), (0, Handshake::Resumed, 3), (15, Handshake::UnknownIssuer, 3)];
    assert_eq!(seen, expected);
}
