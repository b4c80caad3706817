//! Answers what workers ask: from auth-service and venue-service, and into the region, so that the next request
//! of any worker need not ask.

use crate::cluster::event::{Event, TokenName};
use crate::identity::asker::Asker;
use crate::identity::auth_service::{self, AuthService, UserQuestion};
use crate::identity::service_jwt::Unable;
use crate::identity::venue_service::{self, AccessQuestion, ListQuestion, VenueService};
use crate::mirror::Withdrawals;
use edge_worker::clock;
use edge_worker::config::NameTable;
use edge_worker::config::Settings;
use edge_worker::config::lookups::identity::{IdentitySettings, VenueAccessMode};
use edge_worker::config::secret::Secret;
use edge_worker::config::services::{Service, ServiceId};
use edge_worker::control::asks::{
    Answer, ListAnswer, Named, Person, Question, UserAnswer, VenueAnswer, Withdrawal,
};
use edge_worker::identity::digests::Digests;
use edge_worker::identity::roles::{RoleIds, canonical_permission};
use shm::SupervisorRegion;
use shm::access::{Decision, DecisionKey, Staff, StaffRecord, UserRecord, UserStatus, VenueAccess};
use shm::token_cache::PermissionIds;

/// How long nobody is asked again about a user that is not there, seconds (platform section 5).
const ABSENT_S: i64 = 30;
/// A denial, and a list without a venue, seconds.
const DENIED_S: i64 = 60;
/// A list with venues, seconds.
const LISTED_S: i64 = 600;

/// One a node, so that equal questions of all workers meet.
pub struct Answerer {
    auth: AuthService,
    venue: VenueService,
    region: &'static SupervisorRegion,
    withdrawals: Withdrawals,
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
    ) -> Result<Answerer, AnswererFault> {
        let identity: &IdentitySettings = &settings.identity;
        let worker = &settings.worker;
        let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        Ok(Answerer {
            auth: AuthService::new(service(&worker.services, "auth")?, identity)?,
            venue: VenueService::new(service(&worker.services, "venue")?, identity),
            region,
            withdrawals,
            digests: Digests::new(*worker.tokens.digest_key.expose()),
            names: worker.names.clone(),
            roles: RoleIds::new(&worker.names).ok_or(AnswererFault::RolesUnnamed)?,
            user_stale_s: seconds(identity.user_stale_s),
            venue_access_ttl_s: seconds(identity.venue_access_ttl_s),
        })
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
            Question::VenueList { user, bearer } => Answer::VenueList(self.list(user, bearer).await),
        }
    }

    fn withdraw(&self, withdrawal: Withdrawal) {
        let event = match withdrawal {
            Withdrawal::Token { token, expires_at } => {
                let token = match token {
                    Named::Jti(jti) => TokenName::Jti(jti),
                    Named::Sha256(digits) => TokenName::Sha256(digits),
                };
                Event::Token { token, exp: expires_at }
            }
            Withdrawal::User { tenant, subject, epoch, except } => {
                Event::User { tenant, sub: subject, epoch, except }
            }
        };
        self.withdrawals.carry_out(event, "auth_service");
    }

    async fn user(&self, user: Person) -> UserAnswer {
        let access = &self.region.authority().access;
        let asked = access.moment(self.region.writer());
        let digest = self.digests.user(&user.tenant, &user.subject);
        let question = UserQuestion { user: user.subject.clone(), tenant: user.tenant.clone() };
        let (answer, status, role, keep_s) = match self.auth.user(question, asker(user)).await {
            auth_service::UserAnswer::Record(record) if record.status.is_active() => {
                let role = self.roles.id(record.role);
                let answer = UserAnswer::Live { role: record.role.name().to_owned(), degraded: false };
                (answer, UserStatus::Active, role, self.user_stale_s)
            }
            auth_service::UserAnswer::Record(record) => {
                let role = self.roles.id(record.role);
                (UserAnswer::Inactive, UserStatus::Inactive, role, self.user_stale_s)
            }
            auth_service::UserAnswer::NotFound(_) => {
                (UserAnswer::NotFound, UserStatus::NotFound, 0, ABSENT_S)
            }
            auth_service::UserAnswer::Outage(_) => return self.remembered(&digest),
        };
        let now_s = clock::wall_seconds();
        let record = UserRecord { status, role, fetched_at_s: now_s, expires_at_s: now_s + keep_s };
        access.store_user(self.region.writer(), &digest, &record, asked, now_s);
        answer
    }

    /// In an outage a record serves until it expires.
    fn remembered(&self, digest: &[u8; 32]) -> UserAnswer {
        let record = self.region.authority().access.user(digest, clock::wall_seconds());
        match record.map(|record| (record.status, self.roles.role(record.role))) {
            Some((UserStatus::Active, Some(role))) => {
                UserAnswer::Live { role: role.name().to_owned(), degraded: true }
            }
            Some((UserStatus::Inactive, _)) => UserAnswer::Inactive,
            Some((UserStatus::NotFound, _)) => UserAnswer::NotFound,
            Some((UserStatus::Active, None)) | None => UserAnswer::Outage,
        }
    }

    async fn access(
        &self,
        user: Person,
        venue: String,
        permission: Option<String>,
        bearer: Secret<String>,
    ) -> VenueAnswer {
        // In bearer mode venue-service answers for all permissions, so the question is the same for all.
        let permission = permission.filter(|_| self.venue.mode() == VenueAccessMode::Hmac);
        let access = &self.region.authority().access;
        let asked = access.moment(self.region.writer());
        let decision = self.digests.decision(&user.tenant, &user.subject, &venue, permission.as_deref());
        let (user_digest, venue_digest) =
            (self.digests.user(&user.tenant, &user.subject), self.digests.venue(&venue));
        let question =
            AccessQuestion { tenant: user.tenant.clone(), user: user.subject.clone(), venue, permission };
        let (answer, record, keep_s) = match self.venue.access(question, bearer, asker(user)).await {
            venue_service::AccessAnswer::Allowed(found) => {
                let named: Vec<String> =
                    found.permissions.iter().map(|held| canonical_permission(held).into_owned()).collect();
                // A permission that no row asks for needs no name; `*` and wildcards have theirs.
                let ids: Vec<u16> = named.iter().filter_map(|held| self.permission(held)).collect();
                let record = PermissionIds::new(&ids).map(|ids| (VenueAccess::Allowed, ids));
                let answer = VenueAnswer::Allowed { role: found.role, permissions: named };
                (answer, record, self.venue_access_ttl_s)
            }
            venue_service::AccessAnswer::Denied => (
                VenueAnswer::Denied,
                PermissionIds::new(&[]).map(|none| (VenueAccess::Denied, none)),
                DENIED_S,
            ),
            venue_service::AccessAnswer::Outage(_) => return VenueAnswer::Outage,
        };
        let now_s = clock::wall_seconds();
        if let Some((access_word, permissions)) = record {
            let key = DecisionKey { decision: &decision, user: &user_digest, venue: &venue_digest };
            let expires_at_s = now_s + keep_s;
            let record =
                Decision { access: access_word, role: 0, permissions, venue_generation: 0, expires_at_s };
            access.store_decision(self.region.writer(), key, &record, asked, now_s);
        }
        answer
    }

    fn permission(&self, held: &str) -> Option<u16> {
        self.names.permissions.iter().find(|(name, _)| name == held).map(|(_, id)| *id)
    }

    async fn list(&self, user: Person, bearer: Secret<String>) -> ListAnswer {
        let access = &self.region.authority().access;
        let asked = access.moment(self.region.writer());
        let digest = self.digests.user(&user.tenant, &user.subject);
        let question = ListQuestion { tenant: user.tenant.clone(), user: user.subject.clone() };
        let venues = match self.venue.venues(question, bearer, asker(user)).await {
            venue_service::ListAnswer::Venues(venues) => venues,
            venue_service::ListAnswer::Outage(_) => return ListAnswer::Outage,
        };
        let now_s = clock::wall_seconds();
        let because_of = venues.first().map(|venue| self.digests.venue(venue));
        let (staff, keep_s, answer) = match because_of {
            Some(_) => (Staff::OfAVenue, LISTED_S, ListAnswer::Staff),
            None => (Staff::OfNone, DENIED_S, ListAnswer::NoStaff),
        };
        let record = StaffRecord { staff, expires_at_s: now_s + keep_s };
        access.store_staff(self.region.writer(), (&digest, because_of.as_ref()), &record, asked, now_s);
        answer
    }
}

fn service<'s>(services: &'s [Service], name: &'static str) -> Result<&'s Service, AnswererFault> {
    let id = ServiceId::find(name).ok_or(AnswererFault::NoService(name))?;
    services.get(usize::from(id.0)).ok_or(AnswererFault::NoService(name))
}

fn asker(user: Person) -> Asker {
    Asker {
        correlation_id: user.request_id.clone(),
        request_id: user.request_id,
        traceparent: user.traceparent,
        tracestate: String::new(),
        forwarded_for: user.forwarded_for,
    }
}
