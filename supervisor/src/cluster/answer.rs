//! Reads the shapes of Redis replies; what does not fit is `None`.

use redis::Value;

/// A bulk or simple string as text.
#[must_use]
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// An integer, or one written as text.
#[must_use]
pub fn number_of(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text_of(other)?.parse().ok(),
    }
}

#[must_use]
pub fn list_of(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

/// The value after `name` in a flat list of names and values.
#[must_use]
pub fn field<'reply>(pairs: &'reply [Value], name: &str) -> Option<&'reply Value> {
    pairs.chunks_exact(2).find_map(|pair| match pair {
        [key, value] if text_of(key).as_deref() == Some(name) => Some(value),
        _ => None,
    })
}
