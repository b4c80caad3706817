//! Follows the stream of revocations without losing any: reads on from the last entry, notices when entries are
//! missing, and then reads all durable keys.
//!
//! The order that makes it safe: the stream's last id is noted, then the durable keys are scanned, then reading goes
//! on after that id. A writer sets the key before its entry can be read, so whatever was written before the note is in
//! the scan, and whatever comes after it is in the stream. Applying one twice does no harm.

use super::answer::text_of;
use super::connection::{CallFault, Connection};
use super::endpoint::EndpointFault;
use super::event::Event;
use super::operation::Operation;
use super::snapshot;
use super::stream::{self, Gap, STREAM, StreamId, StreamInfo};
use super::throttle::Throttle;
use edge_worker::clock::{self, Nanos};
use edge_worker::config::redis::RedisSettings;
use redis::Value;
use std::time::Duration;
use tokio::sync::watch;

/// How long a read waits for the next entry; how old the last successful read is while nothing happens.
pub const BLOCK: Duration = Duration::from_millis(1_000);
/// Entries that are applied before others have their turn.
const APPLIED_AT_ONCE: usize = 100;
/// Between two attempts while Redis cannot be read.
const RETRY: Duration = Duration::from_millis(100);

/// What the consumer gets, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Apply it. `id` is its place in the stream, to be noted after it; `None` if a scan found it.
    Event { event: Event, id: Option<StreamId> },
    /// Entries may be missing. Revocations follow by a scan; what is not durable (access decisions, records of
    /// users) must be forgotten now. After [`Gap::Lost`], [`super::publisher::Publisher::replay`] is due.
    Gap(Gap),
    /// All durable keys have been read since the last gap.
    Whole,
    /// How far the mirror can be trusted.
    Sync(SyncState),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// The revocation store has never been seen: REVOCATION_COLD_POLICY decides.
    Cold,
    /// All entries up to this one are applied, and all durable keys.
    Live { position: StreamId },
    /// It was live. Redis cannot be read, or a gap is being closed.
    Stale,
}

/// For metrics and readiness.
#[derive(Clone, Copy, Debug)]
pub struct TailState {
    pub sync: SyncState,
    /// The end of the last successful read, empty ones included, at which the node was live.
    pub last_read: Option<Nanos>,
    pub started: Nanos,
    pub entries: u64,
    /// Entries and durable keys that meant nothing.
    pub malformed: u64,
    pub snapshots: u64,
    pub faults: u64,
}

impl TailState {
    /// `gateway_revocation_staleness_seconds`.
    #[must_use]
    pub fn staleness(&self, now: Nanos) -> Duration {
        now.since(self.last_read.unwrap_or(self.started))
    }
}

/// The reader; one a node.
pub struct Tail {
    /// Waits in XREAD, so that nobody else can use its link.
    waiting: Connection,
    asking: Connection,
    /// The last entry applied; `None` until the first scan is done.
    position: Option<StreamId>,
    /// What XINFO said when `position` was current.
    info: StreamInfo,
    /// The last gap; not closed yet while there is no `position`.
    open: Gap,
    /// Changed when the store is to be read whole.
    wanted: watch::Sender<()>,
    run_id: Option<String>,
    state: watch::Sender<TailState>,
    complaints: Throttle,
}

impl Tail {
    /// `asking` is the node's shared connection.
    pub fn new(settings: &RedisSettings, asking: Connection) -> Result<Tail, EndpointFault> {
        let state = TailState {
            sync: SyncState::Cold,
            last_read: None,
            started: clock::now(),
            entries: 0,
            malformed: 0,
            snapshots: 0,
            faults: 0,
        };
        Ok(Tail {
            waiting: Connection::blocking(settings, BLOCK, asking.figures())?,
            asking,
            position: None,
            info: StreamInfo::default(),
            open: Gap::FirstStart,
            wanted: watch::Sender::new(()),
            run_id: None,
            state: watch::Sender::new(state),
            complaints: Throttle::default(),
        })
    }

    #[must_use]
    pub fn state(&self) -> watch::Receiver<TailState> {
        self.state.subscribe()
    }

    /// Each value sent has the store read whole once more.
    #[must_use]
    pub fn wish(&self) -> watch::Sender<()> {
        self.wanted.clone()
    }

    /// Reads for ever. `apply` must not block; it gets everything in order.
    pub async fn run(mut self, mut apply: impl FnMut(Update)) {
        loop {
            let Err(fault) = self.follow(&mut apply).await;
            self.state.send_modify(|state| state.faults += 1);
            self.turn_stale(&mut apply);
            if self.complaints.admits(clock::now()) {
                tracing::warn!(%fault, "revocations cannot be read");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Until a call fails. Begins by finding out whether the link leads to what was read before.
    async fn follow(
        &mut self,
        apply: &mut impl FnMut(Update),
    ) -> Result<std::convert::Infallible, CallFault> {
        let run_id = self.run_id().await?;
        let other = self.run_id.as_ref().is_some_and(|known| *known != run_id);
        let found = if other { Some(Gap::Lost) } else { self.gap().await? };
        self.close(found, apply).await?;
        self.run_id = Some(run_id);
        let mut wanted = self.wanted.subscribe();
        loop {
            let after = self.position.unwrap_or_default();
            self.turn_live(after, apply);
            let block_ms = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
            let reply = self.waiting.call(Operation::Tail, stream::read_after(after, block_ms)).await?;
            let last = self.hand_over(&reply, apply).await?;
            // Whether there were others between them and `after` is only known now.
            let found = self.gap().await?;
            self.position = Some(last.unwrap_or(after));
            let wish = wanted.has_changed().is_ok_and(|wished| wished).then_some(Gap::NoRoom);
            wanted.mark_unchanged();
            self.close(found.or(wish), apply).await?;
        }
    }

    /// Applies the entries; gives the last one's place.
    async fn hand_over(
        &mut self,
        reply: &Value,
        apply: &mut impl FnMut(Update),
    ) -> Result<Option<StreamId>, CallFault> {
        let entries =
            stream::entries(reply, clock::wall_seconds()).ok_or(CallFault::Link("XREAD is malformed"))?;
        let mut last = None;
        let mut malformed = 0;
        for (number, entry) in entries.into_iter().enumerate() {
            if number > 0 && number % APPLIED_AT_ONCE == 0 {
                // Look-ups of workers wait on this thread.
                tokio::task::yield_now().await;
            }
            last = Some(entry.id);
            match entry.event {
                Ok(event) => apply(Update::Event { event, id: Some(entry.id) }),
                Err(cause) => {
                    malformed += 1;
                    if self.complaints.admits(clock::now()) {
                        tracing::warn!(id = %entry.id, %cause, "an entry of the revocation stream is passed over");
                    }
                }
            }
            self.state.send_modify(|state| state.entries += 1);
        }
        self.state.send_modify(|state| state.malformed += malformed);
        self.asking.figures().revocations_malformed(malformed);
        Ok(last)
    }

    /// Whether entries are missing after `position`, and what the stream is like now.
    async fn gap(&mut self) -> Result<Option<Gap>, CallFault> {
        let now = self.stream_info().await?;
        let found = match self.position {
            None => Some(self.open),
            Some(position) => stream::gap(position, self.info, now),
        };
        self.info = now.unwrap_or_default();
        Ok(found)
    }

    /// Closes a gap: note, scan, go on after the note. If it fails on the way the gap is still there.
    async fn close(&mut self, gap: Option<Gap>, apply: &mut impl FnMut(Update)) -> Result<(), CallFault> {
        let Some(gap) = gap else { return Ok(()) };
        self.turn_stale(apply);
        apply(Update::Gap(gap));
        (self.position, self.open) = (None, gap);
        let info = self.stream_info().await?.unwrap_or_default();
        let started = clock::now();
        let scanned = snapshot::scan(&self.asking, |event| apply(Update::Event { event, id: None })).await?;
        apply(Update::Whole);
        self.info = info;
        self.position = Some(info.last_generated);
        self.state.send_modify(|state| {
            state.snapshots += 1;
            state.malformed += scanned.malformed;
        });
        self.asking.figures().revocation_snapshot();
        self.asking.figures().revocations_malformed(scanned.malformed);
        let taken_ms = u64::try_from(clock::now().since(started).as_millis()).unwrap_or(u64::MAX);
        let (events, malformed) = (scanned.events, scanned.malformed);
        tracing::info!(?gap, events, malformed, taken_ms, "the revocation store was read whole");
        Ok(())
    }

    /// `None` if there is no stream.
    async fn stream_info(&self) -> Result<Option<StreamInfo>, CallFault> {
        let mut exists = redis::cmd("EXISTS");
        exists.arg(STREAM);
        let mut info = redis::cmd("XINFO");
        info.arg("STREAM").arg(STREAM);
        let mut replies = self.asking.batch(Operation::Tail, vec![exists, info]).await?.into_iter();
        match (replies.next(), replies.next()) {
            (Some(Ok(Value::Int(0))), _) => Ok(None),
            (Some(Ok(_)), Some(Ok(reply))) => {
                let parsed = StreamInfo::parse(&reply);
                parsed.map(Some).ok_or(CallFault::Link("XINFO is malformed"))
            }
            (Some(Err(fault)), _) | (_, Some(Err(fault))) => Err(fault),
            _ => Err(CallFault::Link("replies are missing")),
        }
    }

    /// Changes with every start of the server that holds the stream, and with a failover.
    async fn run_id(&self) -> Result<String, CallFault> {
        let mut command = redis::cmd("INFO");
        command.arg("server");
        let reply = self.asking.call_beside(Operation::Tail, STREAM, command).await?;
        let text = text_of(&reply).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("run_id:"));
        found.map(|id| id.trim().to_owned()).ok_or(CallFault::Link("INFO is malformed"))
    }

    fn turn_live(&self, position: StreamId, apply: &mut impl FnMut(Update)) {
        let next = SyncState::Live { position };
        if self.state.borrow().sync != next {
            apply(Update::Sync(next));
        }
        self.state.send_modify(|state| {
            state.sync = next;
            state.last_read = Some(clock::now());
        });
    }

    fn turn_stale(&self, apply: &mut impl FnMut(Update)) {
        if matches!(self.state.borrow().sync, SyncState::Live { .. }) {
            self.state.send_modify(|state| state.sync = SyncState::Stale);
            apply(Update::Sync(SyncState::Stale));
        }
    }
}
