//! The one handle to Redis: every call has a time-out and passes the breaker, a broken link is replaced by the next
//! call, and whether Redis is up can be watched.

use super::answer::text_of;
use super::breaker::Breaker;
use super::endpoint::{CONNECT_TIMEOUT, Endpoint, EndpointFault, Link};
use super::operation::{Operation, OperationEnd};
use crate::figures::Figures;
use edge_worker::clock::{self, Nanos};
use edge_worker::config::redis::RedisSettings;
use redis::aio::ConnectionLike;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// For every command that does not wait on purpose, the replies of a batch included.
pub const COMMAND_TIMEOUT: Duration = Duration::from_millis(500);
/// Commands of one batch.
pub const BATCH_COMMANDS_MAX: usize = 1_000;

/// Clones share the link, the breaker and the state.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    /// Held while a link is opened, so that callers wait for one attempt instead of making many.
    slot: tokio::sync::Mutex<Slot>,
    breaker: Mutex<Breaker>,
    figures: Figures,
    state: watch::Sender<LinkState>,
    timeout: Duration,
}

struct Slot {
    endpoint: Endpoint,
    link: Option<Link>,
    /// Counts links, so that a call that failed on an old one does not close its successor.
    number: u64,
}

/// What is known of Redis from the calls made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Nobody has asked yet.
    Unknown,
    Up {
        since: Nanos,
    },
    Down {
        since: Nanos,
    },
}

/// Why a call gave nothing. Never holds a key or a value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallFault {
    #[error("the breaker is open")]
    Blocked,
    #[error("no link within {} ms", CONNECT_TIMEOUT.as_millis())]
    ConnectTimeout,
    #[error("no answer in time")]
    Timeout,
    #[error("the link failed: {0}")]
    Link(&'static str),
    /// Redis answered, and refused. It is up.
    #[error("Redis refused: {0}")]
    Refused(String),
}

/// What Redis says while it takes no writes: no memory, no disk, no replicas, a script that runs, a slot that moves, a
/// password that was changed.
const PASSING: [&str; 8] = ["OOM", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN", "MOVED", "ASK", "NOAUTH"];

impl CallFault {
    /// Whether it says that Redis cannot be used. A refused command is the command's fault.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// Whether the command was refused for its own sake. If not, Redis is down, or takes nothing for the moment.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(code) if !PASSING.contains(&code.as_str()))
    }

    /// Whether a key that was asked for holds something of another type. No other refusal says anything of the key.
    #[must_use]
    pub fn is_wrong_type(&self) -> bool {
        matches!(self, Self::Refused(code) if code == "WRONGTYPE")
    }
}

impl Connection {
    /// A handle for calls that are answered at once.
    pub fn new(settings: &RedisSettings, figures: Figures) -> Result<Connection, EndpointFault> {
        Connection::with_timeout(settings, COMMAND_TIMEOUT, figures)
    }

    /// A handle of its own for blocking reads of at most `wait`: on a shared link they would hold up everybody.
    pub fn blocking(
        settings: &RedisSettings,
        wait: Duration,
        figures: Figures,
    ) -> Result<Connection, EndpointFault> {
        Connection::with_timeout(settings, wait + COMMAND_TIMEOUT, figures)
    }

    fn with_timeout(
        settings: &RedisSettings,
        timeout: Duration,
        figures: Figures,
    ) -> Result<Connection, EndpointFault> {
        let endpoint = Endpoint::new(settings, timeout)?;
        Ok(Connection(Arc::new(Inner {
            slot: tokio::sync::Mutex::new(Slot { endpoint, link: None, number: 0 }),
            breaker: Mutex::new(Breaker::default()),
            figures,
            state: watch::Sender::new(LinkState::Unknown),
            timeout,
        })))
    }

    /// Whether Redis answers, and since when; wakes on a change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.0.state.subscribe()
    }

    /// Where its calls are counted.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.0.figures
    }

    /// The time of a PING, for readiness. Goes through the breaker like every call.
    pub async fn ping(&self) -> Result<Duration, CallFault> {
        let started = clock::now();
        self.call(Operation::Ping, redis::cmd("PING")).await?;
        Ok(clock::now().since(started))
    }

    /// One command; in a Cluster its first key says where it goes.
    pub async fn call(&self, operation: Operation, command: Cmd) -> Result<Value, CallFault> {
        self.guarded(operation, async move |link: Link| match link {
            Link::Single(mut link) => reply(link.send_packed_command(&command).await),
            Link::Cluster(mut link) => reply(link.req_packed_command(&command).await),
        })
        .await
    }

    /// Several commands at once, at most [`BATCH_COMMANDS_MAX`]; a reply or refusal each, in their order. Not
    /// atomic. In a Cluster each goes to the node of its key.
    pub async fn batch(
        &self,
        operation: Operation,
        commands: Vec<Cmd>,
    ) -> Result<Vec<Result<Value, CallFault>>, CallFault> {
        debug_assert!(commands.len() <= BATCH_COMMANDS_MAX, "batches are bounded by their makers");
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.guarded(operation, async move |link: Link| {
            let replies = match link {
                Link::Single(mut link) => pipelined(&mut link, &commands).await?,
                Link::Cluster(link) => scattered(&link, commands).await?,
            };
            // A sick link fails the whole; a refusal stays with its command.
            match replies.iter().find_map(|one| one.as_ref().err().filter(|fault| fault.is_down())) {
                Some(fault) => Err(fault.clone()),
                None => Ok(replies),
            }
        })
        .await
    }

    /// Several commands that take effect together or not at all. `None` in a Cluster, which cannot do that for
    /// keys of different slots; nothing is sent then.
    pub async fn transaction(
        &self,
        operation: Operation,
        commands: Vec<Cmd>,
    ) -> Result<Option<Vec<Value>>, CallFault> {
        self.guarded(operation, async move |link: Link| {
            let Link::Single(mut link) = link else { return Ok(None) };
            let mut pipeline = Pipeline::with_capacity(commands.len());
            pipeline.atomic();
            for command in commands {
                pipeline.add_command(command);
            }
            match reply(pipeline.query_async::<Value>(&mut link).await)? {
                Value::Array(replies) => Ok(Some(replies)),
                _ => Err(CallFault::Link("a transaction without a list of replies")),
            }
        })
        .await
    }

    /// One command at this node; a single Redis is the only node there is.
    pub async fn call_at(&self, operation: Operation, node: &Node, command: Cmd) -> Result<Value, CallFault> {
        let node = node.0.clone();
        self.guarded(operation, async move |link: Link| match (link, node) {
            (Link::Single(mut link), _) => reply(link.send_packed_command(&command).await),
            (Link::Cluster(mut link), Some((host, port))) => {
                let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port });
                reply(link.route_command(command, route).await)
            }
            (Link::Cluster(_), None) => Err(CallFault::Link("not a node of this Cluster")),
        })
        .await
    }

    /// One command without a key, at the node that holds `key`.
    pub async fn call_beside(
        &self,
        operation: Operation,
        key: &str,
        command: Cmd,
    ) -> Result<Value, CallFault> {
        self.guarded(operation, async move |link: Link| match link {
            Link::Single(mut link) => reply(link.send_packed_command(&command).await),
            Link::Cluster(mut link) => {
                let place = Route::with_key(key, SlotAddr::Master);
                let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(place));
                reply(link.route_command(command, route).await)
            }
        })
        .await
    }

    /// Every node that holds keys of its own, in a fixed order.
    pub async fn primaries(&self, operation: Operation) -> Result<Vec<Node>, CallFault> {
        self.guarded(operation, async move |link: Link| {
            let Link::Cluster(mut link) = link else { return Ok(vec![Node(None)]) };
            let mut command = redis::cmd("CLUSTER");
            command.arg("SLOTS");
            let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
            let answer = reply(link.route_command(command, route).await)?;
            nodes(&answer).ok_or(CallFault::Link("CLUSTER SLOTS is malformed"))
        })
        .await
    }

    /// Breaker, link, time-out, books. `run` is the exchange itself.
    async fn guarded<T, F>(&self, operation: Operation, run: impl FnOnce(Link) -> F) -> Result<T, CallFault>
    where
        F: Future<Output = Result<T, CallFault>>,
    {
        let started = clock::now();
        if !locked(&self.0.breaker).admits(started) {
            self.0.figures.redis(operation, OperationEnd::Blocked);
            return Err(CallFault::Blocked);
        }
        let (outcome, number) = match self.link().await {
            Err(fault) => (Err(fault), None),
            Ok((link, number)) => {
                let answered = tokio::time::timeout(self.0.timeout, run(link)).await;
                (answered.unwrap_or(Err(CallFault::Timeout)), Some(number))
            }
        };
        let now = clock::now();
        let down = outcome.as_ref().is_err_and(CallFault::is_down);
        self.note(now, down);
        if let (true, Some(number)) = (down, number) {
            self.close(number).await;
        }
        let end = if outcome.is_ok() { OperationEnd::Succeeded } else { OperationEnd::Failed };
        self.0.figures.redis(operation, end);
        if self.0.timeout <= COMMAND_TIMEOUT {
            self.0.figures.redis_took(operation, now.since(started));
        }
        outcome
    }

    /// The open link, or a new one.
    async fn link(&self) -> Result<(Link, u64), CallFault> {
        let opened = async {
            let mut slot = self.0.slot.lock().await;
            if let Some(link) = &slot.link {
                return Ok((link.clone(), slot.number));
            }
            let link = slot.endpoint.open().await.map_err(|cause| connect_fault(&cause))?;
            slot.number += 1;
            slot.link = Some(link.clone());
            Ok((link, slot.number))
        };
        tokio::time::timeout(CONNECT_TIMEOUT, opened).await.unwrap_or(Err(CallFault::ConnectTimeout))
    }

    async fn close(&self, number: u64) {
        let mut slot = self.0.slot.lock().await;
        if slot.number == number {
            slot.link = None;
        }
    }

    fn note(&self, now: Nanos, down: bool) {
        let mut breaker = locked(&self.0.breaker);
        if down {
            breaker.failed(now);
        } else {
            breaker.succeeded();
        }
        drop(breaker);
        self.0.state.send_if_modified(|state| {
            let next = match (down, *state) {
                (true, LinkState::Down { .. }) | (false, LinkState::Up { .. }) => return false,
                (true, _) => LinkState::Down { since: now },
                (false, _) => LinkState::Up { since: now },
            };
            *state = next;
            true
        });
    }
}

/// A node that holds keys; inside is its address in a Cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node(Option<(String, u16)>);

/// The primaries in an answer to CLUSTER SLOTS: first slot, last slot, primary, replicas.
fn nodes(reply: &Value) -> Option<Vec<Node>> {
    let Value::Array(ranges) = reply else { return None };
    let mut nodes = Vec::new();
    for range in ranges {
        let Value::Array(parts) = range else { return None };
        let Some(Value::Array(primary)) = parts.get(2) else { return None };
        let host = primary.first().and_then(text_of)?;
        let Some(Value::Int(port)) = primary.get(1) else { return None };
        nodes.push(Node(Some((host, u16::try_from(*port).ok()?))));
    }
    nodes.sort();
    nodes.dedup();
    Some(nodes)
}

async fn pipelined(
    link: &mut redis::aio::MultiplexedConnection,
    commands: &[Cmd],
) -> Result<Vec<Result<Value, CallFault>>, CallFault> {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.add_command(command.clone());
    }
    let replies = link.send_packed_commands(&pipeline, 0, commands.len()).await;
    let replies = replies.map_err(|cause| fault(&cause))?;
    if replies.len() != commands.len() {
        return Err(CallFault::Link("replies are missing"));
    }
    Ok(replies.into_iter().map(|value| reply(Ok(value))).collect())
}

async fn scattered(
    link: &redis::cluster_async::ClusterConnection,
    commands: Vec<Cmd>,
) -> Result<Vec<Result<Value, CallFault>>, CallFault> {
    let mut replies = vec![Ok(Value::Nil); commands.len()];
    let mut running = JoinSet::new();
    for (index, command) in commands.into_iter().enumerate() {
        let mut link = link.clone();
        running.spawn(async move { (index, reply(link.req_packed_command(&command).await)) });
    }
    while let Some(finished) = running.join_next().await {
        let (index, one) = finished.map_err(|_| CallFault::Link("a command of a batch was lost"))?;
        if let Some(place) = replies.get_mut(index) {
            *place = one;
        }
    }
    Ok(replies)
}

/// An error that stands in the place of a reply is one, too.
fn reply(outcome: RedisResult<Value>) -> Result<Value, CallFault> {
    outcome.and_then(Value::extract_error).map_err(|cause| fault(&cause))
}

/// What matters is whether Redis can be used after this error.
fn fault(cause: &RedisError) -> CallFault {
    match cause.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => refusal(cause),
        ErrorKind::AuthenticationFailed => CallFault::Link("the password is refused"),
        ErrorKind::ClusterConnectionNotFound => CallFault::Link("a node of the Cluster cannot be reached"),
        ErrorKind::Io => CallFault::Link("closed or reset"),
        _ => CallFault::Link("protocol error"),
    }
}

/// By the word that Redis said. A transaction that was given up says why in the answer to one of its commands.
fn refusal(cause: &RedisError) -> CallFault {
    let errors = cause.clone().into_server_errors().unwrap_or_default();
    let code = errors.first().map(|(_, error)| error.code()).or_else(|| cause.code());
    match code.unwrap_or("ERR") {
        "LOADING" => CallFault::Link("Redis is loading its data"),
        "READONLY" => CallFault::Link("the master became a replica"),
        "MASTERDOWN" | "CLUSTERDOWN" => CallFault::Link("the Cluster is down"),
        code => CallFault::Refused(code.to_owned()),
    }
}

fn connect_fault(cause: &RedisError) -> CallFault {
    match fault(cause) {
        CallFault::Refused(_) => CallFault::Link("Redis refuses the connection"),
        other => other,
    }
}

/// Nobody panics while holding one of these locks, and their values are complete at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
