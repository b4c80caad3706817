//! Strict reading of one JSON object.

use super::*;
use serde::de::value::{BorrowedBytesDeserializer, Error as PlainError};

fn read(json: &str) -> Option<[Option<Value<'_>>; 2]> {
    members(json.as_bytes(), &["a", "b"])
}

fn first(json: &str) -> Value<'_> {
    let [first, _] = read(json).expect("one object");
    first.expect("the member a")
}

#[test]
fn members_come_in_the_order_of_their_names() {
    let found = read(r#"{"x":1,"b":"two","a":1}"#);
    assert_eq!(found, Some([Some(Value::Whole(1)), Some(Value::Text("two".into()))]));
    assert_eq!(read("{}"), Some([None, None]));
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let doubles =
        [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":1,"y":2,"x":3}"#, r#"{"a":null,"a":null}"#];
    for double in doubles {
        assert_eq!(read(double), None, "{double}");
    }
    assert!(read(r#"{"a":1,"A":2}"#).is_some(), "names differ in letter case");
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    for json in ["", "5", "[]", "null", "{", r#"{"a":1}x"#, r#"{"a":1}{}"#, r#"{a:1}"#, r#"{"a":NaN}"#] {
        assert_eq!(read(json), None, "{json}");
    }
    assert_eq!(members(b"{\"a\":\"\xff\"}", &["a"]), None, "not UTF-8");
    assert_eq!(read(r#"{"a":"\ud800"}"#), None, "half a surrogate pair");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
    assert_eq!(read(&deep), None, "deeper than the recursion limit");
}

#[test]
fn values_are_told_apart() {
    assert_eq!(first(r#"{"a":null}"#), Value::Null);
    assert_eq!(first(r#"{"a":true}"#), Value::Other);
    assert_eq!(first(r#"{"a":"x"}"#), Value::Text("x".into()));
    assert_eq!(first(r#"{"a":"\u0078"}"#), Value::Text("x".into()));
    assert_eq!(first(r#"{"a":[]}"#), Value::Texts(vec![]));
    assert_eq!(first(r#"{"a":["x","\u0079"]}"#), Value::Texts(vec!["x".into(), "y".into()]));
    assert_eq!(first(r#"{"a":["x",5]}"#), Value::Other);
    assert_eq!(first(r#"{"a":{"a":1,"b":[2]}}"#), Value::Other);
}

#[test]
fn numbers_are_whole_and_fit_or_mean_nothing() {
    let wholes = [("0", 0), ("-0", 0), ("-5", -5), ("1.7e9", 1_700_000_000), ("12.0", 12)];
    for (text, number) in wholes {
        assert_eq!(first(&format!("{{\"a\":{text}}}")), Value::Whole(number), "{text}");
    }
    assert_eq!(first(r#"{"a":9223372036854775807}"#), Value::Whole(i64::MAX));
    for text in ["9223372036854775808", "99999999999999999999", "1e300", "1.5", "-1.5", "0.0000000001"] {
        assert_eq!(first(&format!("{{\"a\":{text}}}")), Value::Other, "{text}");
    }
    assert_eq!(read(r#"{"a":1e400}"#), None, "beyond any float");
}

#[test]
fn what_json_cannot_hold_is_an_error() {
    let bytes = BorrowedBytesDeserializer::<PlainError>::new(b"x");
    let error = Value::deserialize(bytes).expect_err("JSON has no byte strings");
    assert!(error.to_string().contains("a JSON value"), "{error}");
}
