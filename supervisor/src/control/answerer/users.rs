//! Whether a user is live, and its role: by the region, else by what another node was told, else by auth-service.

use super::{Answerer, asker};
use crate::cluster::record;
use crate::export::security_log::About;
use crate::identity::auth_service::{self, Absence, UserQuestion};
use edge_worker::clock::{self, UnixSeconds};
use edge_worker::control::asks::{Person, UserAnswer};
use edge_worker::identity::roles::Role;
use edge_worker::identity::uuid::same_id;
use edge_worker::pipeline::user::is_fresh;
use edge_worker::telemetry::security_events::SecurityEvent;
use shm::access::{Kept, Moment, UserRecord, UserStatus};

/// How long nobody is asked again about a user that is not there, seconds (platform section 5).
const ABSENT_S: i64 = 30;

impl Answerer {
    pub(super) async fn user(&self, user: Person) -> UserAnswer {
        let access = &self.region.authority().access;
        let digest = self.digests.user(&user.tenant, &user.subject);
        // Another request may have been answered since the worker looked.
        if let Some(answer) = self.fresh(&digest) {
            return answer;
        }
        let asked = access.moment(self.region.writer());
        if let Some(record) = self.shared_user(&user).await {
            self.keep(&digest, &record, asked);
            return self.say(record, Age::Fresh);
        }
        let at = clock::wall_seconds();
        let whose = (user.tenant.clone(), user.subject.clone());
        let question =
            UserQuestion { user: user.subject.clone(), tenant: user.tenant.clone(), moment: asked };
        let about = user.clone();
        let answer = self.auth.user(question, asker(user)).await;
        let record = match &answer {
            auth_service::UserAnswer::Record(found) => {
                self.record(status(found.status), Some(found.role), at)
            }
            auth_service::UserAnswer::NotFound(absence) => {
                if *absence == Absence::OtherTenant {
                    self.report_other_tenant(&about);
                }
                self.record(UserStatus::NotFound, None, at)
            }
            auth_service::UserAnswer::Outage(_) => return self.remembered(&digest),
        };
        // What an event has overtaken serves this request, and nobody else.
        if self.keep(&digest, &record, asked) != Kept::Outdated
            && let Some(found) = shareable(answer)
        {
            self.shared.share_user(whose, at, found);
        }
        self.say(record, Age::Fresh)
    }

    fn fresh(&self, digest: &[u8; 32]) -> Option<UserAnswer> {
        let now = clock::wall_seconds();
        let record = self.region.authority().access.user(digest, now)?;
        is_fresh(&record, now).then(|| self.say(record, Age::Fresh))
    }

    /// What another node was told, if it is as fresh as an own record must be.
    async fn shared_user(&self, user: &Person) -> Option<UserRecord> {
        let cached = self.shared.user(&user.tenant, &user.subject).await?;
        let now = clock::wall_seconds();
        let at = cached.at.min(now);
        let record = match cached.value {
            None => self.record(UserStatus::NotFound, None, at),
            Some(found) => {
                let own = same_id(found.id.as_bytes(), user.subject.as_bytes())
                    && same_id(found.tenant_id.as_bytes(), user.tenant.as_bytes());
                let status = status(auth_service::UserStatus::of(&found.status));
                own.then(|| self.record(status, Some(Role::claimed(&found.role)), at))?
            }
        };
        (is_fresh(&record, now) && record.expires_at_s > now).then_some(record)
    }

    fn report_other_tenant(&self, user: &Person) {
        let about = About {
            user: Some(&user.subject),
            tenant: Some(&user.tenant),
            request_id: Some(&user.request_id),
            traceparent: Some(&user.traceparent),
            ..About::default()
        };
        self.security.raise(SecurityEvent::RecordTenantMismatch, about);
    }

    /// In an outage a record serves until it expires.
    fn remembered(&self, digest: &[u8; 32]) -> UserAnswer {
        let record = self.region.authority().access.user(digest, clock::wall_seconds());
        record.map_or(UserAnswer::Outage, |record| self.say(record, Age::Stale))
    }

    fn record(&self, status: UserStatus, role: Option<Role>, at: UnixSeconds) -> UserRecord {
        let keep_s = if status == UserStatus::NotFound { ABSENT_S } else { self.user_stale_s };
        let role = role.map_or(0, |role| self.roles.id(role));
        UserRecord { status, role, fetched_at_s: at, expires_at_s: at.saturating_add(keep_s) }
    }

    fn keep(&self, digest: &[u8; 32], record: &UserRecord, asked: Moment) -> Kept {
        let access = &self.region.authority().access;
        access.store_user(self.region.writer(), digest, record, asked, clock::wall_seconds())
    }

    fn say(&self, record: UserRecord, age: Age) -> UserAnswer {
        match (record.status, self.roles.role(record.role)) {
            (UserStatus::Active, Some(role)) => {
                UserAnswer::Live { role: role.name().to_owned(), degraded: age == Age::Stale }
            }
            (UserStatus::Inactive, _) => UserAnswer::Inactive,
            (UserStatus::NotFound, _) => UserAnswer::NotFound,
            // The role has no name here, so nobody can say what it may do.
            (UserStatus::Active, None) => UserAnswer::Outage,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Stale,
}

fn status(said: auth_service::UserStatus) -> UserStatus {
    if said.is_active() { UserStatus::Active } else { UserStatus::Inactive }
}

/// What other nodes may take over. That a user is of another tenant is each node's to find out, and to report.
fn shareable(answer: auth_service::UserAnswer) -> Option<Option<record::UserRecord>> {
    match answer {
        auth_service::UserAnswer::Record(found) => Some(Some(record::UserRecord {
            id: found.id,
            tenant_id: found.tenant,
            role: found.role.name().to_owned(),
            status: found.status.word().to_owned(),
        })),
        auth_service::UserAnswer::NotFound(Absence::Unknown) => Some(None),
        auth_service::UserAnswer::NotFound(_) | auth_service::UserAnswer::Outage(_) => None,
    }
}
