//! Reads all durable keys: what is revoked, however little of the stream is left.

use super::answer::{list_of, number_of, text_of};
use super::connection::{CallFault, Connection, Node};
use super::event::{self, Event, Malformed};
use super::operation::Operation;
use edge_worker::clock;
use redis::{Cmd, Value};

/// Both beginnings, `session:blacklist:` and `session:nbf:`, and few others of `session:`.
const PATTERN: &str = "session:[bn]*";
/// Keys a node looks at for one answer.
const SCAN_COUNT: u32 = 1_000;
/// Keys asked for at once: two commands each.
const READ_KEYS_MAX: usize = 400;
/// Scans of a Cluster whose slots move meanwhile.
const SCANS_MAX_COUNT: u32 = 3;

/// What a scan came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    pub events: u64,
    pub malformed: u64,
}

/// Hands every durable revocation to `apply`, of all primaries. A key that lives from beginning to end is found;
/// one that comes while it runs may be, and is in the stream after the position noted before. After a fault only
/// some have been handed over.
pub async fn scan(connection: &Connection, mut apply: impl FnMut(Event)) -> Result<Scanned, CallFault> {
    let mut scanned = Scanned::default();
    for _ in 0..SCANS_MAX_COUNT {
        let nodes = connection.primaries(Operation::Snapshot).await?;
        for node in &nodes {
            scan_node(connection, node, &mut scanned, &mut apply).await?;
        }
        // A slot that went from a node not yet seen to one seen already would be missed.
        if connection.primaries(Operation::Snapshot).await? == nodes {
            return Ok(scanned);
        }
    }
    Err(CallFault::Link("the Cluster changes all the time"))
}

/// Every key of the node that matches, page by page.
async fn scan_node(
    connection: &Connection,
    node: &Node,
    scanned: &mut Scanned,
    apply: &mut impl FnMut(Event),
) -> Result<(), CallFault> {
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys) = page(connection, Operation::Snapshot, node, &cursor, PATTERN).await?;
        let durable: Vec<String> = keys.into_iter().filter(|key| event::is_durable(key)).collect();
        for some in durable.chunks(READ_KEYS_MAX) {
            for event in read(connection, Operation::Snapshot, some).await? {
                match event {
                    Some(Ok(event)) => {
                        scanned.events += 1;
                        apply(event);
                    }
                    Some(Err(_)) => scanned.malformed += 1,
                    // It expired between the page and now.
                    None => {}
                }
            }
        }
        if next == "0" {
            return Ok(());
        }
        cursor = next;
    }
}

/// One page of keys that match, and the cursor of the next; `0` is both the first and the end. Keys that are not
/// UTF-8 are none of ours.
pub(super) async fn page(
    connection: &Connection,
    operation: Operation,
    node: &Node,
    cursor: &str,
    pattern: &str,
) -> Result<(String, Vec<String>), CallFault> {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
    let reply = connection.call_at(operation, node, command).await?;
    let parts = list_of(&reply).and_then(|parts| {
        let [next, keys] = parts else { return None };
        Some((text_of(next)?, list_of(keys)?.iter().filter_map(text_of).collect()))
    });
    parts.ok_or(CallFault::Link("SCAN is malformed"))
}

/// The events of these keys, in their order; `None` for one that is gone.
pub(super) async fn read(
    connection: &Connection,
    operation: Operation,
    keys: &[String],
) -> Result<Vec<Option<Result<Event, Malformed>>>, CallFault> {
    let one = |name: &str, key: &String| {
        let mut command = redis::cmd(name);
        command.arg(key);
        command
    };
    let commands: Vec<Cmd> = keys.iter().flat_map(|key| [one("GET", key), one("PTTL", key)]).collect();
    let replies = connection.batch(operation, commands).await?;
    let now = clock::wall_seconds();
    let read = |(key, pair): (&String, &[Result<Value, CallFault>])| match pair {
        [Ok(Value::Nil), _] => None,
        [Ok(value), Ok(left)] => {
            let (value, left) = (text_of(value), number_of(left));
            // PTTL of a key that has just gone.
            if left == Some(-2) {
                return None;
            }
            Some(match (value, left) {
                (Some(value), Some(left_ms)) => event::from_durable(key, &value, left_ms, now),
                _ => Err(Malformed::Shape),
            })
        }
        // A key of another type is refused.
        _ => Some(Err(Malformed::Shape)),
    };
    // Only a key of another type means nothing. Whatever else was refused is not known, and may be a revocation.
    let unread = replies.iter().find_map(|reply| reply.as_ref().err().filter(|fault| !fault.is_wrong_type()));
    match unread {
        Some(fault) => Err(fault.clone()),
        None => Ok(keys.iter().zip(replies.chunks(2)).map(read).collect()),
    }
}
