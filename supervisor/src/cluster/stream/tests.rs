//! Ids, entries of any shape, and every way in which entries can be missing.

use super::{Entry, Gap, STREAM_ENTRIES_MAX, StreamId, StreamInfo, entries, gap};
use crate::cluster::event::{Event, Malformed, TokenName};
use redis::Value;

const NOW: i64 = 1_700_000_000;

fn id(ms: u64) -> StreamId {
    StreamId { ms, sequence: 0 }
}

fn info(first: Option<u64>, last: u64, entries: u64, added: Option<u64>) -> StreamInfo {
    StreamInfo { last_generated: id(last), first: first.map(id), entries, added }
}

#[test]
fn ids_are_read_written_and_ordered() {
    let later: StreamId = "1700000000000-12".parse().expect("an id");
    assert_eq!(later.to_string(), "1700000000000-12");
    assert!(later > "1700000000000-2".parse().expect("an id"));
    for wrong in ["", "1", "1-", "-1", "1-x", "1-2-3", "99999999999999999999-0"] {
        assert!(wrong.parse::<StreamId>().is_err(), "{wrong}");
    }
}

#[test]
fn a_gap_is_seen_however_it_came_about() {
    let before = info(Some(1), 5, 5, Some(5));
    for (now, expected, what) in [
        (Some(info(Some(1), 5, 5, Some(5))), None, "nothing new"),
        (Some(info(Some(1), 9, 9, Some(9))), None, "new ones, the old ones are there"),
        (Some(info(Some(5), 9, 5, Some(9))), None, "trimmed up to ours"),
        (Some(info(Some(6), 9, 4, Some(9))), Some(Gap::Trimmed), "ours is gone, so that others may be"),
        (Some(info(None, 5, 0, Some(5))), None, "trimmed to nothing, nothing new"),
        (Some(info(None, 6, 0, Some(6))), Some(Gap::Trimmed), "trimmed to nothing, with new ones"),
        (Some(info(Some(1), 4, 4, Some(4))), Some(Gap::Lost), "an older state"),
        (Some(info(Some(8), 9, 2, Some(2))), Some(Gap::Lost), "flushed and written again"),
        (Some(info(Some(8), 9, 2, None)), Some(Gap::Trimmed), "the same before Redis 7"),
        (None, Some(Gap::Lost), "flushed"),
    ] {
        assert_eq!(gap(id(5), before, now), expected, "{what}");
    }
}

#[test]
fn a_stream_that_begins_later_is_read_from_its_beginning() {
    let none = StreamInfo::default();
    assert_eq!(gap(StreamId::default(), none, None), None);
    assert_eq!(gap(StreamId::default(), none, Some(info(Some(3), 9, 4, Some(4)))), None);
    assert_eq!(gap(StreamId::default(), none, Some(info(Some(3), 9, 4, Some(7)))), Some(Gap::Trimmed));
    assert_eq!(gap(StreamId::default(), none, Some(info(Some(3), 9, 4, None))), None);
    let full = info(Some(3), 9, STREAM_ENTRIES_MAX, None);
    assert_eq!(gap(StreamId::default(), none, Some(full)), Some(Gap::Trimmed));
}

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn list(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|one| text(one)).collect())
}

fn answer(list: Vec<Value>) -> Value {
    Value::Array(vec![Value::Array(vec![text("gateway:revocations"), Value::Array(list)])])
}

#[test]
fn entries_that_mean_nothing_keep_their_place() {
    let good = list(&["v", "1", "kind", "jti", "id", "j", "exp", "7"]);
    let reply = answer(vec![
        Value::Array(vec![text("1-0"), good.clone()]),
        Value::Array(vec![text("2-0"), list(&["v", "1", "kind"])]),
        Value::Array(vec![text("3-0"), Value::Nil]),
        Value::Array(vec![text("4-0"), Value::Array(vec![text("v"), Value::Int(1)])]),
        Value::Array(vec![text("5-0")]),
        Value::Array(vec![text("6-0"), good]),
    ]);
    let found = entries(&reply, NOW).expect("an answer to XREAD");
    let event = Event::Token { token: TokenName::Jti("j".into()), exp: 7 };
    let shape = Err(Malformed::Shape);
    let expected =
        [Ok(event.clone()), shape.clone(), shape.clone(), Err(Malformed::Version), shape, Ok(event)];
    let expected: Vec<Entry> = (1..).zip(expected).map(|(ms, event)| Entry { id: id(ms), event }).collect();
    let places: Vec<StreamId> = found.iter().map(|entry| entry.id).collect();
    assert_eq!(places, expected.iter().map(|entry| entry.id).collect::<Vec<_>>());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.event.is_ok(), expected.event.is_ok(), "{found:?}");
    }
}

#[test]
fn what_is_no_answer_to_xread_is_none() {
    assert_eq!(entries(&Value::Nil, NOW), Some(Vec::new()));
    for reply in [
        Value::Int(1),
        Value::Array(Vec::new()),
        Value::Array(vec![Value::Array(vec![text("gateway:revocations")])]),
        answer(vec![Value::Nil]),
        answer(vec![Value::Array(vec![text("x"), Value::Nil])]),
    ] {
        assert_eq!(entries(&reply, NOW), None, "{reply:?}");
    }
    assert_eq!(StreamInfo::parse(&Value::Nil), None);
    assert_eq!(StreamInfo::parse(&list(&["length", "3"])), None);
    let older = list(&["length", "3", "last-generated-id", "9-1"]);
    let expected =
        StreamInfo { last_generated: StreamId { ms: 9, sequence: 1 }, entries: 3, ..StreamInfo::default() };
    assert_eq!(StreamInfo::parse(&older), Some(expected));
}
