//! When keys are fetched, and what of a document is taken.

use super::*;
use hyper::body::Bytes;
use serde_json::json;

fn taken(body: &serde_json::Value) -> Result<usize, String> {
    let document = Document { body: Bytes::from(body.to_string()), max_age: None };
    read(document).map(|(keys, _)| keys.len()).map_err(|why| why.to_string())
}

#[test]
fn pauses_follow_the_document_within_bounds_and_grow_while_fetches_fail() {
    let seconds = Duration::from_secs;
    assert_eq!(after_success(None), seconds(300));
    assert_eq!(after_success(Some(seconds(0))), seconds(60));
    assert_eq!(after_success(Some(seconds(600))), seconds(600));
    assert_eq!(after_success(Some(seconds(86_400))), seconds(3_600));
    let failed: Vec<u64> = (1..=7).map(|failures| after_failure(failures).as_secs()).collect();
    assert_eq!(failed, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(after_failure(u32::MAX), seconds(30));
    let spreads = [0.0, 0.5, 1.0].map(|random| spread(seconds(100), random));
    assert_eq!(spreads, [seconds(90), seconds(100), seconds(110)]);
}

#[test]
fn entries_that_cannot_be_used_are_passed_over() {
    let good: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/harness/jwks.json")).expect("a fixture");
    let mut mixed = good.clone();
    let entries = mixed["keys"].as_array_mut().expect("a list");
    let count = entries.len();
    entries.push(json!({"kty": "EC", "crv": "P-521", "kid": "other"}));
    entries.push(json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}));
    entries.push(json!({"kty": "RSA", "kid": "no numbers", "x5c": ["MII"]}));
    entries.push(json!({"kty": "RSA", "use": "enc"}));
    assert_eq!(taken(&mixed), Ok(count));
}

#[test]
fn a_document_without_a_usable_key_is_refused_and_not_repeated() {
    let empty = Err("the document has no key of an accepted algorithm".to_owned());
    assert_eq!(taken(&json!({"keys": []})), empty);
    assert_eq!(taken(&json!({"keys": [{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"}]})), empty);
    let entry = json!({"kty": "RSA", "kid": "k"});
    let many = json!({"keys": vec![entry; KEYS_MAX + 1]});
    assert_eq!(taken(&many), Err(format!("the document lists more than {KEYS_MAX} keys")));
    let fault = taken(&json!({"keys": "secret-marker"})).expect_err("no list");
    assert!(fault.starts_with("the document is no JWKS (line 1") && !fault.contains("secret"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn wishes_within_the_quiet_time_are_answered_with_what_there_is() {
    let (wishes, mut wished) = wishes();
    let soon = Instant::now() + Duration::from_secs(5);
    let quiet_until_ms = clock::now().millis().0 + 60_000;
    let waiting = async { tokio::join!(wishes.fetch(), wishes.fetch()) };
    let (next, _) = tokio::join!(wished.until(soon, quiet_until_ms), waiting);
    assert!(next.is_none(), "the next fetch came with its own time");
    let late = async { tokio::time::timeout(Duration::from_secs(1), wishes.fetch()).await };
    let (next, late) = tokio::join!(wished.until(Instant::now() + Duration::from_secs(5), 0), late);
    assert!(next.is_some() && late.is_err(), "after it, a wish is a fetch that is waited for");
    Wishes::default().fetch().await;
}
