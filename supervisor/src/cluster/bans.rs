//! Who is banned: `banned:ip:<address>` and `banned:user:<sub>`, which operators set in Redis with a life of their own.
//! Nothing announces them, so that they are read whole, again and again. A reading walks all keys of the database:
//! one round trip for each thousand.

use super::answer::number_of;
use super::connection::{BATCH_COMMANDS_MAX, CallFault, Connection};
use super::event::Banned;
use super::operation::Operation;
use super::snapshot::page;
use edge_worker::clock::{self, UnixSeconds};
use std::time::Duration;

/// Between two readings; a ban holds within 5 s.
pub const PERIOD: Duration = Duration::from_secs(2);
/// Bans that are read; further ones do not hold, and the log says so.
pub const BANS_MAX_COUNT: usize = 65_536;
const PATTERN: &str = "banned:*";

/// One of them. `exp` is `None` for one without an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    pub whom: Banned,
    pub exp: Option<UnixSeconds>,
}

/// All that are banned now; whoever is not in it is not banned any more.
pub async fn read(connection: &Connection) -> Result<Vec<Ban>, CallFault> {
    let mut bans = Vec::new();
    for node in connection.primaries(Operation::Bans).await? {
        let mut cursor = "0".to_owned();
        loop {
            let (next, keys) = page(connection, Operation::Bans, &node, &cursor, PATTERN).await?;
            bans.extend(lives(connection, &keys).await?);
            if bans.len() > BANS_MAX_COUNT {
                tracing::error!(severity = "critical", "too many bans: some do not hold");
                bans.truncate(BANS_MAX_COUNT);
                return Ok(bans);
            }
            if next == "0" {
                break;
            }
            cursor = next;
        }
    }
    Ok(bans)
}

/// Reads them for ever; `apply` gets all of them each time.
pub async fn run(connection: Connection, mut apply: impl FnMut(Vec<Ban>)) {
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        // While Redis is down the last ones hold until they end.
        if let Ok(bans) = read(&connection).await {
            apply(bans);
        }
    }
}

async fn lives(connection: &Connection, keys: &[String]) -> Result<Vec<Ban>, CallFault> {
    let whom =
        |key: &String| Banned::parse(key.strip_prefix("banned:")?).ok().map(|whom| (key.clone(), whom));
    let found: Vec<(String, Banned)> = keys.iter().filter_map(whom).collect();
    let mut bans = Vec::new();
    for some in found.chunks(BATCH_COMMANDS_MAX) {
        let commands = some.iter().map(|(key, _)| {
            let mut command = redis::cmd("PTTL");
            command.arg(key);
            command
        });
        let replies = connection.batch(Operation::Bans, commands.collect()).await?;
        let now = clock::wall_seconds();
        for ((_, whom), reply) in some.iter().zip(replies) {
            let left_ms = number_of(&reply?);
            // -2 is one that has just ended, -1 one that never does.
            let exp = match left_ms {
                None | Some(-2) => continue,
                Some(left_ms) if left_ms < 0 => None,
                Some(left_ms) => Some(now.saturating_add(left_ms / 1_000 + 1)),
            };
            bans.push(Ban { whom: whom.clone(), exp });
        }
    }
    Ok(bans)
}
