//! The stream of revocations as Redis shows it: ids, entries, and whether entries are missing before our own.

use super::answer::{field, list_of, number_of, text_of};
use super::event::{Event, Malformed};
use edge_worker::clock::UnixSeconds;
use redis::{Cmd, Value};
use std::fmt;
use std::str::FromStr;

pub const STREAM: &str = "gateway:revocations";
/// Entries kept, about; Redis trims whole nodes of its tree.
pub const STREAM_ENTRIES_MAX: u64 = 100_000;
/// Entries of one read.
pub const READ_ENTRIES_MAX: usize = 1_000;

/// An entry's place; later ones are greater. The default is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    pub ms: u64,
    pub sequence: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.ms, self.sequence)
    }
}

impl FromStr for StreamId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<StreamId, Malformed> {
        let parsed = text.split_once('-').and_then(|(ms, sequence)| {
            Some(StreamId { ms: ms.parse().ok()?, sequence: sequence.parse().ok()? })
        });
        parsed.ok_or(Malformed::Illegal("entry id"))
    }
}

/// An entry, or why it means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: StreamId,
    pub event: Result<Event, Malformed>,
}

/// What XINFO STREAM tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    pub last_generated: StreamId,
    pub first: Option<StreamId>,
    pub entries: u64,
    /// All that were ever added; Redis 7 and later.
    pub added: Option<u64>,
}

/// Why what we hold may be incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Nothing has been read yet.
    FirstStart,
    /// Entries after our last one are gone, but their durable keys are there.
    Trimmed,
    /// The stream is another one or an older one: flushed, restarted empty, failed over. Durable keys may be
    /// lost, too, so that each node writes its own again.
    Lost,
    /// Nothing was missed, but the mirror had no room for some of it; now it may have.
    NoRoom,
}

/// Whether every entry after `position` can still be read. `before` is what XINFO said when `position` was current.
#[must_use]
pub fn gap(position: StreamId, before: StreamInfo, now: Option<StreamInfo>) -> Option<Gap> {
    let Some(now) = now else {
        return (position != StreamId::default()).then_some(Gap::Lost);
    };
    let recounted = matches!((before.added, now.added), (Some(then), Some(now)) if now < then);
    if recounted || now.last_generated < position {
        return Some(Gap::Lost);
    }
    let unread = now.last_generated > position;
    let reaches_back = now.first.is_some_and(|first| first <= position);
    if !unread || reaches_back {
        return None;
    }
    // A stream that began after we first looked has all its entries, unless some were trimmed.
    let whole = now.added.map_or(now.entries < STREAM_ENTRIES_MAX, |added| added == now.entries);
    let from_its_beginning = position == StreamId::default() && whole;
    (!from_its_beginning).then_some(Gap::Trimmed)
}

impl StreamInfo {
    #[must_use]
    pub fn parse(reply: &Value) -> Option<StreamInfo> {
        let pairs = list_of(reply)?;
        let id = |value: &Value| text_of(value).and_then(|text| text.parse().ok());
        let count = |value: &Value| number_of(value).and_then(|number| u64::try_from(number).ok());
        let first = field(pairs, "first-entry").and_then(list_of).and_then(|entry| entry.first());
        Some(StreamInfo {
            last_generated: field(pairs, "last-generated-id").and_then(id)?,
            first: first.and_then(id),
            entries: field(pairs, "length").and_then(count)?,
            added: field(pairs, "entries-added").and_then(count),
        })
    }
}

/// `XADD`, trimmed about to [`STREAM_ENTRIES_MAX`].
#[must_use]
pub fn add(event: &Event, source: &str, reason: &str) -> Cmd {
    let mut command = redis::cmd("XADD");
    command.arg(STREAM).arg("MAXLEN").arg("~").arg(STREAM_ENTRIES_MAX).arg("*").arg("v").arg("1");
    for (name, text) in event.fields() {
        command.arg(name).arg(text);
    }
    command.arg("src").arg(source).arg("reason").arg(reason);
    command
}

/// `XREAD` of what comes after `position`, waiting for it up to `block_ms`.
#[must_use]
pub fn read_after(position: StreamId, block_ms: u64) -> Cmd {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(READ_ENTRIES_MAX).arg("BLOCK").arg(block_ms);
    command.arg("STREAMS").arg(STREAM).arg(position.to_string());
    command
}

/// The entries in an answer to XREAD of one stream; none for an empty one, `None` for one that is no such answer.
#[must_use]
pub fn entries(reply: &Value, now: UnixSeconds) -> Option<Vec<Entry>> {
    let streams = match reply {
        Value::Nil => return Some(Vec::new()),
        other => list_of(other)?,
    };
    let [stream] = streams else { return None };
    let list = list_of(list_of(stream)?.get(1)?)?;
    // Without an id there is no place to go on from, so that one is fatal for the whole answer.
    list.iter().map(|entry| parsed(entry, now)).collect()
}

fn parsed(entry: &Value, now: UnixSeconds) -> Option<Entry> {
    let parts = list_of(entry)?;
    let id = parts.first().and_then(text_of)?.parse().ok()?;
    let event = pairs(parts.get(1)).and_then(|fields| Event::parse(&fields, now));
    Some(Entry { id, event })
}

fn pairs(fields: Option<&Value>) -> Result<Vec<(String, String)>, Malformed> {
    let list = fields.and_then(list_of).ok_or(Malformed::Shape)?;
    let pair = |pair: &[Value]| match pair {
        [name, value] => Some((text_of(name)?, text_of(value)?)),
        _ => None,
    };
    list.chunks(2).map(pair).collect::<Option<_>>().ok_or(Malformed::Shape)
}

#[cfg(test)]
mod tests;
