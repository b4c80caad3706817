//! One JSON object of a token, read strictly: a name that stands twice refuses the whole object.
//!
//! RFC 7519 section 4 lets a reader take the last of two equal names. Services behind the edge may take
//! the first, and then edge and service would see different claims in one signed token.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

/// What a member holds, as far as it can mean something in a header or in claims.
#[derive(Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A number without fraction that fits.
    Whole(i64),
    /// An array of strings and nothing else.
    Texts(Vec<Cow<'a, str>>),
    Other,
}

/// The members called `names`, in that order; `None` if `json` is not one object or a name stands twice.
pub fn members<'a, const N: usize>(json: &'a [u8], names: &[&str; N]) -> Option<[Option<Value<'a>>; N]> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = Object { names }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(found)
}

struct Object<'n, const N: usize> {
    names: &'n [&'n str; N],
}

impl<'de, const N: usize> DeserializeSeed<'de> for Object<'_, N> {
    type Value = [Option<Value<'de>>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Object<'_, N> {
    type Value = [Option<Value<'de>>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [const { None }; N];
        let mut seen = HashSet::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, Value<'de>>()? {
            let position = self.names.iter().position(|known| *known == name);
            if !seen.insert(name) {
                return Err(A::Error::custom("a name stands twice"));
            }
            if let Some(slot) = position.and_then(|position| found.get_mut(position)) {
                *slot = Some(value);
            }
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(number).map_or(Value::Other, Value::Whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(whole(number).map_or(Value::Other, Value::Whole))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value<'de>, A::Error> {
        let mut texts = Vec::new();
        let mut texts_only = true;
        while let Some(element) = sequence.next_element::<Value<'de>>()? {
            match element {
                Value::Text(text) => texts.push(text),
                _ => texts_only = false,
            }
        }
        Ok(if texts_only { Value::Texts(texts) } else { Value::Other })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

/// A float without fraction. `Duration` does the range check that a cast would not.
fn whole(number: f64) -> Option<i64> {
    if number.fract() != 0.0 {
        return None;
    }
    i64::try_from(Duration::try_from_secs_f64(number).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests;
