//! The control socket, the only way to change anything on a running node: who may give orders, and what becomes
//! of them.
//!
//! The kernel lets the owner and the group of `control.sock` connect; the credentials of whoever did are checked
//! again, so that a directory or mode that somebody loosened opens nothing.

use super::circuits::Circuits;
use super::order::{self, CircuitOrder, Order, OrderAnswer, Revoked, Spread};
use crate::cluster::event::Event;
use crate::cluster::publisher::Published;
use crate::export::security_log::{About, SecurityLog};
use crate::mirror::{Withdrawals, Withdrawn};
use crate::process::sys;
use edge_worker::clock;
use edge_worker::config::tokens::TenantFormat;
use edge_worker::control::asks::Named;
use edge_worker::telemetry::security_events::SecurityEvent;
use shm::revocations::Recorded;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Operators at a time.
const CONNECTIONS_MAX: usize = 8;
/// A connection whose order is not there by then is closed.
const ORDER_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer waits for Redis before it says that the revocation is queued.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(2);
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left, say), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Why the stream says that an operator's revocation was written.
const REASON: &str = "operator";

/// Carries orders out.
pub struct Control {
    withdrawals: Withdrawals,
    security: SecurityLog,
    tenant_format: TenantFormat,
    owner: Owner,
    circuits: Circuits,
}

/// As whom the supervisor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Who connected, as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub pid: i32,
    /// The primary one and all others.
    pub groups: Vec<u32>,
}

impl Owner {
    #[must_use]
    pub fn of_process() -> Owner {
        Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    /// Root, the supervisor's own user, and its group.
    #[must_use]
    pub fn obeys(self, peer: &Peer) -> bool {
        peer.uid == 0 || peer.uid == self.uid || peer.groups.contains(&self.gid)
    }
}

impl Peer {
    fn of(stream: &UnixStream) -> io::Result<Peer> {
        let credentials = stream.peer_cred()?;
        let mut groups = sys::peer_groups(stream.as_fd())?;
        groups.push(credentials.gid());
        Ok(Peer { uid: credentials.uid(), pid: credentials.pid().unwrap_or(0), groups })
    }
}

impl Control {
    #[must_use]
    pub fn new(
        withdrawals: Withdrawals,
        security: SecurityLog,
        tenant_format: TenantFormat,
        owner: Owner,
        circuits: Circuits,
    ) -> Control {
        Control { withdrawals, security, tenant_format, owner, circuits }
    }

    /// Takes orders for ever.
    pub async fn serve(self: Arc<Self>, listener: UnixListener) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let control = Arc::clone(&self);
                    drop(tokio::spawn(async move {
                        // An operator who went away is told nothing; what was ordered is done.
                        let _ = control.connection(stream).await;
                        drop(permit);
                    }));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn connection(&self, mut stream: UnixStream) -> io::Result<()> {
        let peer = Peer::of(&stream)?;
        let answer = if self.owner.obeys(&peer) {
            let line = tokio::time::timeout(ORDER_WITHIN, read_line(&mut stream)).await??;
            match order::decode_order(&line) {
                Ok(order) => self.carry_out(order, &peer).await,
                Err(refusal) => refusal.into(),
            }
        } else {
            let about = About { peer: Some((peer.uid, peer.pid)), ..About::default() };
            self.security.raise(SecurityEvent::ControlSocketRefused, about);
            OrderAnswer::NotAllowed
        };
        let line = order::encode_answer(&answer);
        tokio::time::timeout(ANSWERED_WITHIN, stream.write_all(&line)).await??;
        stream.shutdown().await
    }

    async fn carry_out(&self, order: Order, peer: &Peer) -> OrderAnswer {
        match order {
            Order::Revoke { reason: Some(reason), .. } | Order::Circuit { reason: Some(reason), .. }
                if reason.len() > order::REASON_BYTES_MAX =>
            {
                OrderAnswer::Refused {
                    what: format!("the reason is longer than {} bytes", order::REASON_BYTES_MAX),
                    remedy: "shorten it".to_owned(),
                }
            }
            Order::Circuit { order, service, reason } => {
                self.circuit((order, service.as_deref()), reason.as_deref(), peer)
            }
            Order::Revoke { whom, reason } => self.revoke(whom, reason.as_deref(), peer).await,
        }
    }

    /// The audit line is written before the answer, and whether or not an answer arrives.
    async fn revoke(&self, whom: Revoked, reason: Option<&str>, peer: &Peer) -> OrderAnswer {
        let said = describe(&whom);
        let event = match whom.event(self.tenant_format, clock::wall_seconds()) {
            Ok(event) => event,
            Err(refusal) => return refusal.into(),
        };
        let kind = event.kind();
        let withdrawn = self.withdrawals.carry_out(event.clone(), REASON);
        let spread = self.spread(withdrawn, &event).await;
        let table_full = withdrawn.recorded == Some(Recorded::Full);
        let about = About {
            peer: Some((peer.uid, peer.pid)),
            what: Some(kind),
            whom: Some(&said),
            reason,
            outcome: Some(spread.word()),
            ..About::default()
        };
        self.security.raise(SecurityEvent::OperatorRevocation, about);
        OrderAnswer::Revoked { spread, table_full }
    }

    /// What only looks leaves no audit line.
    fn circuit(
        &self,
        (order, service): (CircuitOrder, Option<&str>),
        reason: Option<&str>,
        peer: &Peer,
    ) -> OrderAnswer {
        let done = match self.circuits.carry_out(order, service) {
            Ok(done) => done,
            Err(refusal) => return refusal.into(),
        };
        if let Some((name, to)) = done.changed {
            self.security.figures().circuit_changed(name, to);
            let about = About {
                peer: Some((peer.uid, peer.pid)),
                what: Some(order.word()),
                whom: service,
                reason,
                outcome: Some(to.word()),
                ..About::default()
            };
            self.security.raise(SecurityEvent::OperatorCircuit, about);
        }
        OrderAnswer::Circuits { circuits: done.lines }
    }

    async fn spread(&self, withdrawn: Withdrawn, event: &Event) -> Spread {
        match withdrawn {
            Withdrawn { recorded: Some(Recorded::Expired), .. } => Spread::Expired,
            Withdrawn { published: None, .. } => Spread::Alone,
            Withdrawn { published: Some(Published::Over), .. } => Spread::Expired,
            Withdrawn { published: Some(Published::Refused), .. } => Spread::Unpublished,
            Withdrawn { published: Some(Published::Waiting), .. } => {
                match self.withdrawals.waiting_after(PUBLISHED_WITHIN).await {
                    _ if self.withdrawals.is_refused(event) => Spread::Refused,
                    0 => Spread::Published,
                    waiting => Spread::Queued { waiting },
                }
            }
        }
    }
}

/// Up to the end of the line, of the input, or of what an order may be.
async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let most = u64::try_from(order::ORDER_BYTES_MAX).unwrap_or(u64::MAX);
    BufReader::new(stream.take(most)).read_until(b'\n', &mut line).await?;
    Ok(line)
}

/// For the audit line. A token's id is no secret, and nothing else of a token comes here.
fn describe(whom: &Revoked) -> String {
    match whom {
        Revoked::Token { token: Named::Jti(jti), .. } => format!("token {jti}"),
        Revoked::Token { token: Named::Sha256(digits), .. } => format!("token sha256 {digits}"),
        Revoked::User { tenant, subject, except: None } => format!("user {subject} of tenant {tenant}"),
        Revoked::User { tenant, subject, except: Some(jti) } => {
            format!("user {subject} of tenant {tenant}, but for token {jti}")
        }
        Revoked::Tenant { tenant } => format!("tenant {tenant}"),
    }
}

#[cfg(test)]
mod tests;
