//! Every kind of request under every kind of failure, and which keys count.

use super::*;
use crate::http::head::HeadLimits;

const UUID: &str = "5f0c9d7e-1111-4111-8111-0123456789ab";

fn repeatable(method: Method, idempotency: Idempotency, lines: &str) -> Repeatable {
    let text = format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let mut head = RequestHead::default();
    head.parse(text.as_bytes(), &HeadLimits::of_requests(4096)).expect("a good head");
    Repeatable::of(method, idempotency, &head, text.as_bytes())
}

#[test]
fn what_may_follow_a_failure_is_the_contracts_to_say() {
    use Failure::{Answered, HalfAnswered, Unanswered, Unconnected};
    let answered = |status| Answered { status, sheds: false };
    for (failure, by_key, read) in [
        (Unconnected, true, true),
        (Unanswered, true, true),
        (HalfAnswered, false, true),
        (answered(502), false, true),
        (answered(503), false, true),
        (answered(504), false, true),
        (answered(500), false, false),
        (answered(501), false, false),
        (answered(505), false, false),
        (answered(200), false, false),
        (answered(429), false, false),
        (Answered { status: 503, sheds: true }, false, false),
        (Answered { status: 502, sheds: true }, false, false),
    ] {
        assert_eq!(Repeatable::ByKey.after(failure), by_key, "{failure:?}");
        assert_eq!(Repeatable::Read.after(failure), read, "{failure:?}");
        assert!(!Repeatable::Never.after(failure), "{failure:?}");
        assert_eq!(Repeatable::Unsent.after(failure), failure == Unconnected, "{failure:?}");
    }
}

#[test]
fn a_read_needs_no_key_and_a_write_needs_a_row_that_knows_keys() {
    for method in [Method::Get, Method::Head] {
        assert_eq!(repeatable(method, Idempotency::None, ""), Repeatable::Read);
    }
    for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let of = |idempotency, lines: &str| repeatable(method, idempotency, lines);
        let key = format!("Idempotency-Key: {UUID}\r\n");
        assert_eq!(of(Idempotency::None, ""), Repeatable::Never);
        assert_eq!(of(Idempotency::None, &key), Repeatable::Unsent);
        assert_eq!(of(Idempotency::Optional, ""), Repeatable::Never);
        assert_eq!(of(Idempotency::Optional, &key), Repeatable::ByKey);
        assert_eq!(of(Idempotency::RequiredUuid, &key), Repeatable::ByKey);
    }
}

#[test]
fn keys_have_the_platforms_shape() {
    let longest = "k".repeat(128);
    let too_long = "k".repeat(129);
    for (key, is_one) in [
        ("a", true),
        ("A-z_09", true),
        (&longest, true),
        (&too_long, false),
        ("a.b", false),
        ("a b", false),
        ("", false),
    ] {
        let lines = format!("Idempotency-Key: {key}\r\n");
        let found = repeatable(Method::Post, Idempotency::Optional, &lines);
        assert_eq!(found == Repeatable::ByKey, is_one, "{key}");
    }
    for (lines, optional, uuid) in [
        (format!("X-Idempotency-Key: {UUID}\r\n"), true, false),
        (format!("Idempotency-Key: {UUID}\r\nX-Idempotency-Key: {UUID}\r\n"), true, true),
        (format!("Idempotency-Key: {UUID}\r\nX-Idempotency-Key: other\r\n"), false, false),
        (format!("Idempotency-Key: {UUID}\r\nIdempotency-Key: other\r\n"), false, false),
        ("Idempotency-Key: no-uuid\r\n".to_owned(), true, false),
    ] {
        for (idempotency, is_one) in [(Idempotency::Optional, optional), (Idempotency::RequiredUuid, uuid)] {
            let found = repeatable(Method::Post, idempotency, &lines);
            assert_eq!(found == Repeatable::ByKey, is_one, "{idempotency:?} {lines}");
        }
    }
}

#[test]
fn pauses_differ_and_are_within_the_contracts_bounds() {
    let pauses: Vec<u64> = (0..200).map(|_| pause_ms()).collect();
    assert!(pauses.iter().all(|pause| (50..=100).contains(pause)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause != pauses[0]), "no jitter");
}
