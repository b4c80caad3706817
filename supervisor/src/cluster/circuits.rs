//! What nodes tell each other about the circuits of the services: `cb:<service>` in Redis, for 300 s (platform
//! contract, section 1). It is advice: operators see it, and no node opens a circuit because another one did.

use super::answer::{list_of, text_of};
use super::connection::{CallFault, Connection};
use super::operation::Operation;
use edge_worker::clock;
use redis::Cmd;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// How long a notice stands that nobody renews.
pub const LIFE: Duration = Duration::from_secs(300);

/// Where nodes post and read.
#[derive(Clone)]
pub struct Bulletin {
    connection: Connection,
    /// Who posts: the host, and which of the nodes that it ever had.
    node: String,
    boot: String,
    /// Milliseconds since 1970. What this host said before is this node's no more.
    since: u64,
}

/// What the last node that had something to tell says of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice<'n> {
    /// `closed`, `open` or `half-open`.
    pub state: Cow<'n, str>,
    pub node: Cow<'n, str>,
    pub boot: Cow<'n, str>,
    /// Milliseconds since 1970.
    pub at: u64,
}

impl Bulletin {
    #[must_use]
    pub fn new(connection: Connection, node: String, boot: String) -> Bulletin {
        Bulletin { connection, node, boot, since: clock::wall_millis() }
    }

    /// Tells where circuits stand: pairs of service and state.
    ///
    /// # Errors
    /// Redis did not take all of it.
    pub async fn post(&self, states: &[(&str, &str)]) -> Result<(), CallFault> {
        let command = |(service, state): &(&str, &str)| {
            let notice = Notice {
                state: (*state).into(),
                node: self.node.as_str().into(),
                boot: self.boot.as_str().into(),
                at: clock::wall_millis(),
            };
            let text = serde_json::to_string(&notice).expect("a notice has string keys");
            let mut command = redis::cmd("SET");
            command.arg(key(service)).arg(text).arg("EX").arg(LIFE.as_secs());
            command
        };
        let commands: Vec<Cmd> = states.iter().map(command).collect();
        for reply in self.connection.batch(Operation::Circuits, commands).await? {
            reply?;
        }
        Ok(())
    }

    /// What other nodes say of these services, in their order. What is no notice says nothing.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn read(&self, services: &[&str]) -> Result<Vec<Option<Notice<'static>>>, CallFault> {
        let mut command = redis::cmd("MGET");
        for service in services {
            command.arg(key(service));
        }
        let reply = self.connection.call(Operation::Circuits, command).await?;
        let notice = |value: &redis::Value| {
            let notice: Notice<'static> = serde_json::from_str(&text_of(value)?).ok()?;
            let is_past = notice.node == self.node && notice.at < self.since;
            (notice.boot != self.boot && !is_past).then_some(notice)
        };
        Ok(list_of(&reply).unwrap_or_default().iter().map(notice).collect())
    }
}

fn key(service: &str) -> String {
    format!("cb:{service}")
}
