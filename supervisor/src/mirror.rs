//! The node's mirror of the revocation store: what the event stream says, written into the region, where workers
//! look at every request.

use crate::cluster::connection::Connection;
use crate::cluster::endpoint::EndpointFault;
use crate::cluster::event::{Event, NOT_BEFORE_TTL_S, TokenName};
use crate::cluster::publisher::{Published, Publisher};
use crate::cluster::shared_cache::SharedCache;
use crate::cluster::stream::Gap;
use crate::cluster::tail::{SyncState, Tail, TailState, Update};
use crate::export::security_log::{About, SecurityLog};
use edge_worker::clock;
use edge_worker::config::redis::RedisSettings;
use edge_worker::identity::digests::Digests;
use edge_worker::telemetry::labels::{REVOCATION_KINDS, RevocationSource};
use edge_worker::telemetry::security_events::SecurityEvent;
use shm::SupervisorRegion;
use shm::revocations::{Cutoff, Recorded, Scope, StreamId};
use std::time::Duration;
use tokio::sync::watch;

/// Between two notes of how current the mirror is.
const NOTE: Duration = Duration::from_millis(250);
/// Between two sweeps of what has expired.
const SWEEP: Duration = Duration::from_secs(60);

/// Writes events into the region. Applying one twice is applying it once.
#[derive(Clone)]
pub struct Mirror {
    region: &'static SupervisorRegion,
    digests: Digests,
    /// Entries outlive their tokens by the clock skew, seconds.
    skew_s: i64,
    security: SecurityLog,
    /// What other nodes were told; an event voids it before it voids what the region holds.
    shared: Option<SharedCache>,
}

impl Mirror {
    /// Takes over what the region holds.
    #[must_use]
    pub fn new(
        region: &'static SupervisorRegion,
        digest_key: &[u8; 32],
        skew_s: u32,
        security: SecurityLog,
    ) -> Mirror {
        let (authority, writer) = (region.authority(), region.writer());
        let digests = Digests::new(*digest_key);
        let repaired = authority.revocations.repair(writer, digests.fingerprint());
        let freed = authority.access.repair(writer);
        tracing::debug!(?repaired, freed, "the region's mirror is taken over");
        Mirror { region, digests, skew_s: i64::from(skew_s), security, shared: None }
    }

    /// What is read from this cache is voided by the same events as the region.
    #[must_use]
    pub fn before(self, shared: Option<SharedCache>) -> Mirror {
        Mirror { shared, ..self }
    }

    /// What one event changes. Bans are not kept here. `None`: it revokes nothing.
    pub fn apply(&self, event: &Event, source: RevocationSource) -> Option<Recorded> {
        let (authority, writer) = (self.region.authority(), self.region.writer());
        let now_s = clock::wall_seconds();
        if let Some(shared) = &self.shared {
            shared.overtaken_by(event);
        }
        let cut = |scope, digest: &[u8; 32], cutoff| {
            let until = now_s + NOT_BEFORE_TTL_S.cast_signed();
            authority.revocations.raise_not_before(writer, (scope, digest), cutoff, until, now_s)
        };
        let recorded = match event {
            Event::Token { token, exp } => {
                let digest = match token {
                    TokenName::Jti(jti) => self.digests.token_id(jti),
                    TokenName::Sha256(digits) => self.digests.whole_token(digits),
                };
                authority.revocations.revoke_token(writer, &digest, exp.saturating_add(self.skew_s), now_s)
            }
            Event::User { tenant, sub, epoch, except } => {
                let user = self.digests.user(tenant, sub);
                let except = except.as_ref().map(|jti| self.digests.token_id(jti));
                cut(Scope::User, &user, Cutoff::new(*epoch, except.as_ref()))
            }
            Event::Tenant { tenant, epoch } => {
                cut(Scope::Tenant, &self.digests.tenant(tenant), Cutoff::new(*epoch, None))
            }
            Event::Venue { id, .. } => {
                authority.access.forget_venue(writer, &self.digests.venue(id));
                return None;
            }
            Event::ForgetUser { tenant, sub } => {
                authority.access.forget_user(writer, &self.digests.user(tenant, sub));
                return None;
            }
            Event::Ban { .. } | Event::Unban { .. } => return None,
        };
        self.count(event, source, recorded);
        Some(recorded)
    }

    fn count(&self, event: &Event, source: RevocationSource, recorded: Recorded) {
        let figures = self.security.figures();
        let kind = REVOCATION_KINDS.iter().zip(0..).find(|(kind, _)| **kind == event.kind());
        match (recorded, kind) {
            (Recorded::Inserted | Recorded::Extended, Some((_, kind))) => figures.revoked(kind, source),
            (Recorded::Full, _) => {
                figures.revocation_lost();
                let about = About { what: Some(event.kind()), ..About::default() };
                self.security.raise(SecurityEvent::RevocationTableFull, about);
            }
            _ => {}
        }
    }

    fn update(&self, update: Update, publisher: &Publisher) {
        let (revocations, writer) = (&self.region.authority().revocations, self.region.writer());
        match update {
            Update::Event { event, id } => {
                let source = if id.is_some() { RevocationSource::Stream } else { RevocationSource::Snapshot };
                // A full table has said so itself, in a critical event.
                let _ = self.apply(&event, source);
                if let (Event::ForgetUser { tenant, sub }, Some(shared)) = (event, self.shared.clone()) {
                    drop(tokio::spawn(forget(shared, tenant, sub)));
                }
                if let Some(id) = id {
                    revocations.set_last_applied(writer, StreamId { ms: id.ms, seq: id.sequence });
                }
            }
            Update::Gap(gap) => {
                revocations.begin_sync(writer);
                if gap == Gap::NoRoom {
                    return;
                }
                // A node that has just started has missed nothing that it was there for: what others were told
                // spares it from asking for everybody again.
                if let Some(shared) = self.shared.as_ref().filter(|_| gap != Gap::FirstStart) {
                    shared.overtaken();
                }
                self.region.authority().access.forget_all(writer);
                if gap == Gap::Lost {
                    publisher.replay();
                }
            }
            // What this node revoked and Redis does not have was not read again, so that the doubt stays.
            Update::Whole if revocations.lost() > 0 && publisher.unpublished() > 0 => {
                revocations.catch_up(writer, clock::wall_millis());
            }
            Update::Whole => revocations.end_sync(writer, clock::wall_millis()),
            Update::Sync(SyncState::Live { .. }) => revocations.catch_up(writer, clock::wall_millis()),
            Update::Sync(SyncState::Stale) => revocations.fall_behind(writer),
            Update::Sync(SyncState::Cold) => {}
        }
    }

    /// Notes how current the mirror is, and frees what has expired. What found no room is then read again.
    async fn keep(self, state: watch::Receiver<TailState>, wish: watch::Sender<()>) {
        let (revocations, writer) = (&self.region.authority().revocations, self.region.writer());
        let mut sweep_at = tokio::time::Instant::now() + SWEEP;
        loop {
            tokio::time::sleep(NOTE).await;
            if let (SyncState::Live { .. }, Some(read)) = (state.borrow().sync, state.borrow().last_read) {
                let age_ms = clock::now().since(read).as_millis() as u64;
                revocations.set_synced_at_ms(writer, clock::wall_millis().saturating_sub(age_ms));
            }
            if tokio::time::Instant::now() >= sweep_at {
                sweep_at += SWEEP;
                revocations.sweep(writer, clock::wall_seconds());
                if revocations.lost() > 0 {
                    wish.send_replace(());
                }
            }
        }
    }
}

/// Without Redis its record goes with its time, which is 300 s.
async fn forget(shared: SharedCache, tenant: String, subject: String) {
    if let Err(fault) = shared.forget_user(&tenant, &subject).await {
        tracing::warn!(%fault, "Redis keeps the record of a user that is to be forgotten until it ends");
    }
}

/// How this node withdraws tokens: at once here, then on the others.
#[derive(Clone)]
pub struct Withdrawals {
    mirror: Mirror,
    /// Without Redis the node is alone.
    publisher: Option<Publisher>,
}

impl Withdrawals {
    #[must_use]
    pub fn new(mirror: Mirror, publisher: Option<Publisher>) -> Withdrawals {
        Withdrawals { mirror, publisher }
    }

    /// For what every node finds out by itself.
    pub fn apply_here(&self, event: &Event, source: RevocationSource) {
        // A full table has said so itself, in a critical event.
        let _ = self.mirror.apply(event, source);
    }

    /// `reason` says why, in a word.
    pub fn carry_out(&self, event: Event, reason: &'static str) -> Withdrawn {
        match &self.publisher {
            None => {
                let recorded = self.mirror.apply(&event, RevocationSource::Node);
                Withdrawn { recorded, published: None }
            }
            Some(publisher) => {
                let mut recorded = None;
                let apply = |event: &Event| recorded = self.mirror.apply(event, RevocationSource::Node);
                let published = publisher.publish(event, reason, apply);
                Withdrawn { recorded, published: Some(published) }
            }
        }
    }

    /// How many withdrawals wait for Redis, as soon as none does and at most `within` from now.
    pub async fn waiting_after(&self, within: Duration) -> usize {
        let Some(publisher) = &self.publisher else { return 0 };
        // Late or not, the number says it.
        let _ = tokio::time::timeout(within, publisher.flushed()).await;
        publisher.waiting()
    }

    /// How many no other node hears of, if this one ends now.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        self.publisher.as_ref().map_or(0, Publisher::unpublished)
    }

    /// Whether Redis is up and refuses to take this one.
    #[must_use]
    pub fn is_refused(&self, event: &Event) -> bool {
        self.publisher.as_ref().is_some_and(|publisher| publisher.is_refused(event))
    }
}

/// What became of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// On this node; `None` if it was none.
    pub recorded: Option<Recorded>,
    /// On its way to the others; `None` if the node is alone.
    pub published: Option<Published>,
}

/// Follows the stream and writes what this node publishes, for as long as the node runs. Within a local set.
///
/// # Errors
/// If the address of Redis cannot be used.
pub fn follow(settings: &RedisSettings, mirror: Mirror, publisher: Publisher) -> Result<(), EndpointFault> {
    let connection = Connection::new(settings, mirror.security.figures())?;
    let tail = Tail::new(settings, connection.clone())?;
    drop(tokio::task::spawn_local(mirror.clone().keep(tail.state(), tail.wish())));
    drop(tokio::spawn(publisher.clone().run(connection)));
    drop(tokio::task::spawn_local(async move {
        tail.run(|update| mirror.update(update, &publisher)).await;
    }));
    Ok(())
}

#[cfg(test)]
mod tests;
