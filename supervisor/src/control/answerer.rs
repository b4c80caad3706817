//! Answers what workers ask: from Redis, auth-service and venue-service, and into the region, so that the next
//! request of any worker need not ask, and into Redis, so that another node need not either.

mod api_keys;
mod merged;
mod revoked;
mod shared;
mod tokens;
mod users;
mod venues;

use crate::cluster::api_keys::ApiKeys;
use crate::cluster::durable::{Doubted, DurableKeys};
use crate::cluster::event::{Event, TokenName};
use crate::cluster::legacy::LegacyBlacklist;
use crate::cluster::reads::Reads;
use crate::endpoints::Endpoints;
use crate::export::security_log::SecurityLog;
use crate::identity::asker::Asker;
use crate::identity::auth_service::AuthService;
use crate::identity::circuit::Circuit;
use crate::identity::connector::Site;
use crate::identity::service_jwt::Unable;
use crate::identity::venue_service::VenueService;
use crate::keys::Keys;
use crate::keys::remote::Wishes;
use crate::line::Verifier;
use crate::mirror::Withdrawals;
use edge_worker::clock::{self, UnixSeconds};
use edge_worker::config::NameTable;
use edge_worker::config::Settings;
use edge_worker::config::lookups::identity::IdentitySettings;
use edge_worker::config::secret::Secret;
use edge_worker::config::services::{Service, ServiceId};
use edge_worker::control::asks::{Answer, Complaint, Named, Person, Question, SightAnswer, Withdrawal};
use edge_worker::control::endpoint_set::EndpointSet;
use edge_worker::control::key_set::KeySet;
use edge_worker::identity::digests::Digests;
use edge_worker::identity::roles::RoleIds;
use edge_worker::telemetry::labels::RevocationSource;
use merged::Merged;
use shared::Shared;
use shm::SupervisorRegion;
use std::sync::Arc;
use tokio::sync::watch;

/// One a node, so that equal questions of all workers meet.
pub struct Answerer {
    auth: AuthService,
    venue: VenueService,
    region: &'static SupervisorRegion,
    withdrawals: Withdrawals,
    shared: Shared,
    keys: Arc<Keys>,
    endpoints: Arc<Endpoints>,
    legacy: Option<LegacyBlacklist>,
    api_keys: Option<ApiKeys>,
    durable: Option<DurableKeys>,
    merged: Merged,
    security: SecurityLog,
    wishes: Wishes,
    digests: Digests,
    names: NameTable,
    roles: RoleIds,
    user_stale_s: i64,
    venue_access_ttl_s: i64,
}

/// Why look-ups cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AnswererFault {
    #[error("{0}")]
    Unable(#[from] Unable),
    #[error("the service {0} is not configured")]
    NoService(&'static str),
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the names of the roles are not in the region")]
    RolesUnnamed,
}

impl Answerer {
    /// After the services were resolved and the names interned.
    ///
    /// # Errors
    /// See [`AnswererFault`].
    pub fn new(
        settings: &Settings,
        region: &'static SupervisorRegion,
        withdrawals: Withdrawals,
        reads: Reads,
        (keys, wishes, endpoints): (Arc<Keys>, Wishes, Arc<Endpoints>),
        security: SecurityLog,
    ) -> Result<Answerer, AnswererFault> {
        let identity: &IdentitySettings = &settings.identity;
        let worker = &settings.worker;
        let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        let circuit = |name: &'static str| {
            let id = ServiceId::find(name).ok_or(AnswererFault::NoService(name))?;
            Circuit::new(region.shared(), worker, id).ok_or(AnswererFault::NoService(name))
        };
        let asked = |name| service(&worker.services, name);
        let verifier = Verifier::new(&worker.roots)?;
        let site = Site { verifier: &verifier, endpoints: &endpoints };
        Ok(Answerer {
            auth: AuthService::new(asked("auth")?, identity, site, circuit("auth")?)?,
            venue: VenueService::new(asked("venue")?, identity, site, circuit("venue")?),
            region,
            withdrawals,
            shared: Shared::new(reads.shared),
            keys,
            endpoints,
            legacy: reads.legacy,
            api_keys: reads.api_keys,
            durable: reads.durable,
            merged: Merged::new(),
            security,
            wishes,
            digests: Digests::new(*worker.tokens.digest_key.expose()),
            names: worker.names.clone(),
            roles: RoleIds::new(&worker.names).ok_or(AnswererFault::RolesUnnamed)?,
            user_stale_s: seconds(identity.user_stale_s),
            venue_access_ttl_s: seconds(identity.venue_access_ttl_s),
        })
    }

    /// The public keys, for a worker that has to be told.
    #[must_use]
    pub fn keys(&self) -> watch::Receiver<Arc<KeySet>> {
        self.keys.watch()
    }

    /// Where the services are, for the same.
    #[must_use]
    pub fn endpoints(&self) -> watch::Receiver<Arc<EndpointSet>> {
        self.endpoints.watch()
    }

    pub async fn answer(&self, question: Question) -> Answer {
        match question {
            Question::User { user } => Answer::User(self.user(user).await),
            Question::VenueAccess { user, venue, permission, bearer } => {
                Answer::VenueAccess(self.access(user, venue, permission, bearer).await)
            }
            Question::Withdraw { withdrawal } => {
                self.withdraw(withdrawal);
                Answer::Withdrawn
            }
            Question::Token { user, token, expires_at, bearer } => {
                Answer::Token(self.token(user, token, expires_at, bearer).await)
            }
            Question::Keys => {
                self.wishes.fetch().await;
                Answer::Keys
            }
            Question::Complaint { complaint } => {
                pass_on(&complaint);
                Answer::Noted
            }
            Question::VenueList { user, bearer } => Answer::VenueList(self.list(user, bearer).await),
            Question::FirstSight { token, bearer, expires_at } => {
                Answer::FirstSight(self.first_sight(named(token), bearer, expires_at).await)
            }
            Question::Revoked { token, tenant, subject, issued_at } => {
                let doubted = Doubted { token: named(token), tenant, subject, issued_at };
                Answer::Revoked(self.revoked(doubted).await)
            }
            Question::ApiKey { key } => Answer::ApiKey(self.api_key(key).await),
        }
    }

    /// On this node at once, and on its way to the others.
    pub fn withdraw(&self, withdrawal: Withdrawal) {
        let (event, reason) = match withdrawal {
            Withdrawal::Token { token, expires_at } => {
                (Event::Token { token: named(token), exp: expires_at }, "auth_service")
            }
            Withdrawal::User { tenant, subject, except } => {
                let epoch = clock::wall_seconds();
                (Event::User { tenant, sub: subject, epoch, except }, "auth_service")
            }
            Withdrawal::Tenant { tenant } => {
                (Event::Tenant { tenant, epoch: clock::wall_seconds() }, "auth_service")
            }
            Withdrawal::Venue { venue } => (Event::Venue { id: venue, generation: None }, "staff_changed"),
        };
        // What could not be recorded or published has said so itself, in a critical line.
        let _ = self.withdrawals.carry_out(event, reason);
    }

    /// A listed token is revoked here and now; other nodes look for themselves.
    async fn first_sight(&self, token: TokenName, raw: Secret<String>, exp: UnixSeconds) -> SightAnswer {
        let Some(legacy) = &self.legacy else { return SightAnswer::Unlisted };
        match self.merged.sight(legacy, token.clone(), (raw, exp)).await {
            Ok(true) => {
                self.withdrawals.apply_here(&Event::Token { token, exp }, RevocationSource::Legacy);
                SightAnswer::Listed
            }
            Ok(false) => SightAnswer::Unlisted,
            Err(_) => SightAnswer::Outage,
        }
    }
}

/// Tells the operator what only a worker has seen.
fn pass_on(complaint: &Complaint) {
    let Complaint::Handshake { service, instance, reason, times } = complaint;
    tracing::warn!(service, instance, reason, times, "TLS with a service failed; nothing was sent to it");
}

fn named(token: Named) -> TokenName {
    match token {
        Named::Jti(jti) => TokenName::Jti(jti),
        Named::Sha256(digits) => TokenName::Sha256(digits),
    }
}

fn service<'s>(services: &'s [Service], name: &'static str) -> Result<&'s Service, AnswererFault> {
    let id = ServiceId::find(name).ok_or(AnswererFault::NoService(name))?;
    services.get(usize::from(id.0)).ok_or(AnswererFault::NoService(name))
}

fn asker(user: Person) -> Asker {
    let correlation_id =
        if user.correlation_id.is_empty() { user.request_id.clone() } else { user.correlation_id };
    Asker {
        correlation_id,
        request_id: user.request_id,
        traceparent: user.traceparent,
        tracestate: String::new(),
        forwarded_for: user.forwarded_for,
    }
}
