//! auth-service: who a user is now, and whether a token still counts.

use super::asker::Asker;
use super::caller::{Answer, Caller, Question};
use super::circuit::Circuit;
use super::connector::Site;
use super::credential::Credential;
use super::outage::{Alarm, Outage, Why};
use super::patience::Patience;
use super::service_jwt::Unable;
use super::single_flight::{InFlight, SingleFlight};
use super::templates;
use edge_worker::config::lookups::identity::IdentitySettings;
use edge_worker::config::secret::Secret;
use edge_worker::config::services::{Service, ServiceId};
use edge_worker::identity::roles::Role;
use edge_worker::identity::uuid::same_id;
use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use shm::access::Moment;
use std::sync::Arc;

/// Asks auth-service; one of it a node, so that equal questions of all workers meet.
pub struct AuthService {
    inner: Arc<Inner>,
    users: SingleFlight<UserQuestion, UserAnswer>,
    tokens: SingleFlight<[u8; 32], TokenAnswer>,
}

/// What every question's task holds on to.
struct Inner {
    caller: Caller,
    credential: Credential,
    user_path: String,
    validate_path: String,
    patience: Patience,
}

/// `getUserById`: the subject and tenant of a verified token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserQuestion {
    pub user: String,
    pub tenant: String,
    /// An answer to a question from before an event is none to one from after it.
    pub moment: Moment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAnswer {
    Record(UserRecord),
    /// Becomes a 401 with reason `user_not_found`.
    NotFound(Absence),
    Outage(Outage),
}

/// Why there is no such user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// auth-service says so.
    Unknown,
    /// There is one, in another tenant than the token's: a critical event.
    OtherTenant,
    /// Nobody can have this id, so nobody was asked.
    Impossible,
}

/// A user as auth-service knows him now. No name, no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// As the question spelt it.
    pub id: String,
    pub tenant: String,
    pub role: Role,
    pub status: UserStatus,
}

/// Every status but three lets a user in, so all others are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    Active,
    Suspended,
    Banned,
    Deleted,
}

/// `validateToken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    Valid,
    /// Becomes a 401 with reason `revoked`.
    Refused,
    Outage(Outage),
}

impl AuthService {
    /// `service` is auth-service; fails if the private key is none.
    pub fn new(
        service: &Service,
        settings: &IdentitySettings,
        site: Site<'_>,
        circuit: Circuit,
    ) -> Result<AuthService, Unable> {
        let id = ServiceId::find("auth").expect("the table of services has it");
        Self::with_patience(Caller::new(id, service, site, circuit), settings, Patience::USER)
    }

    fn with_patience(
        caller: Caller,
        settings: &IdentitySettings,
        patience: Patience,
    ) -> Result<AuthService, Unable> {
        let in_flight = InFlight::default();
        Ok(AuthService {
            inner: Arc::new(Inner {
                caller,
                credential: Credential::of_settings(settings)?,
                user_path: settings.user_path.clone(),
                validate_path: settings.validate_path.clone(),
                patience,
            }),
            users: SingleFlight::new(in_flight.clone()),
            tokens: SingleFlight::new(in_flight),
        })
    }

    /// At most 5 s. Equal questions at the same time are one.
    pub async fn user(&self, question: UserQuestion, asker: Asker) -> UserAnswer {
        let inner = Arc::clone(&self.inner);
        let key = question.clone();
        let answer = self.users.ask(key, || async move { inner.user(&question, &asker).await });
        answer.await.unwrap_or_else(|why| UserAnswer::Outage(why.into()))
    }

    /// At most 5 s. The edge shows no credential of its own: the token is the question.
    pub async fn validate(&self, token: Secret<String>, asker: Asker) -> TokenAnswer {
        let inner = Arc::clone(&self.inner);
        let key = *blake3::hash(token.expose().as_bytes()).as_bytes();
        let answer = self.tokens.ask(key, || async move { inner.validate(token, &asker).await });
        answer.await.unwrap_or_else(|why| TokenAnswer::Outage(why.into()))
    }
}

impl Inner {
    async fn user(&self, question: &UserQuestion, asker: &Asker) -> UserAnswer {
        let Some(target) = templates::fill(&self.user_path, "userId", &question.user) else {
            return UserAnswer::NotFound(Absence::Impossible);
        };
        let Ok(tenant) = HeaderValue::from_str(&question.tenant) else {
            return UserAnswer::NotFound(Absence::Impossible);
        };
        let mut asked = Question::get(target, asker, self.credential.clone());
        asked.headers.insert(HeaderName::from_static("x-tenant-id"), tenant);
        let answer = match self.caller.ask(&asked, &self.patience).await {
            Ok(answer) => read_user(question, &answer),
            Err(outage) => UserAnswer::Outage(outage),
        };
        if let UserAnswer::Outage(outage) = &answer {
            self.caller.note(*outage);
        }
        answer
    }

    async fn validate(&self, token: Secret<String>, asker: &Asker) -> TokenAnswer {
        let path = self.validate_path.clone();
        let asked = if path.ends_with("/validate") {
            let body = serde_json::json!({ "token": token.expose() }).to_string();
            Question::post(path, body, asker, Credential::Nobody)
        } else {
            Question::get(path, asker, Credential::Bearer(token))
        };
        match self.caller.ask(&asked, &self.patience).await {
            Ok(answer) => read_validation(&answer),
            Err(outage) => TokenAnswer::Outage(outage),
        }
    }
}

fn read_user(question: &UserQuestion, answer: &Answer) -> UserAnswer {
    match answer.status {
        200 => {}
        404 => return UserAnswer::NotFound(Absence::Unknown),
        status => return UserAnswer::Outage(refusal(status, &answer.body)),
    }
    let malformed = UserAnswer::Outage(Why::Malformed.into());
    let Some(member) = user_member(&answer.body) else { return malformed };
    let tenant = one_of(member.tenant_id, member.tenant_id_older);
    let (Some(id), Some(tenant), Some(status)) = (member.id, tenant, member.status) else { return malformed };
    if !same_id(id.as_bytes(), question.user.as_bytes()) {
        return malformed;
    }
    if !same_id(tenant.as_bytes(), question.tenant.as_bytes()) {
        return UserAnswer::NotFound(Absence::OtherTenant);
    }
    UserAnswer::Record(UserRecord {
        id: question.user.clone(),
        tenant: question.tenant.clone(),
        role: Role::claimed(member.role.as_deref().unwrap_or_default()),
        status: UserStatus::of(&status),
    })
}

impl UserStatus {
    /// In any letter case.
    #[must_use]
    pub fn of(word: &str) -> UserStatus {
        match word.to_ascii_uppercase().as_str() {
            "SUSPENDED" => Self::Suspended,
            "BANNED" => Self::Banned,
            "DELETED" => Self::Deleted,
            _ => Self::Active,
        }
    }

    /// The platform's word for it; every status that lets a user in has the same.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Banned => "BANNED",
            Self::Deleted => "DELETED",
        }
    }

    /// Any other is a 401 with reason `user_inactive`.
    #[must_use]
    pub fn is_active(self) -> bool {
        self == Self::Active
    }
}

fn read_validation(answer: &Answer) -> TokenAnswer {
    match answer.status {
        200 => match serde_json::from_slice::<ValidationDocument>(&answer.body) {
            Ok(ValidationDocument { valid: true }) => TokenAnswer::Valid,
            Ok(ValidationDocument { valid: false }) => TokenAnswer::Refused,
            Err(_) => TokenAnswer::Outage(Why::Malformed.into()),
        },
        // A refusal that is about the edge says nothing about the token.
        401 if named_alarm(&answer.body).is_none() => TokenAnswer::Refused,
        status => TokenAnswer::Outage(refusal(status, &answer.body)),
    }
}

/// What a status that is no answer means; 401 and 403 are about the edge's own credential.
pub(super) fn refusal(status: u16, body: &[u8]) -> Outage {
    match status {
        401 | 403 => {
            let alarm = named_alarm(body).unwrap_or(Alarm::CredentialRefused);
            Outage { why: Why::Refused, alarm: Some(alarm) }
        }
        status => Why::Status(status).into(),
    }
}

/// The alarm that a refusal names in `code` or `error`.
fn named_alarm(body: &[u8]) -> Option<Alarm> {
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    let word = |value: Option<&serde_json::Value>| value?.as_str().and_then(Alarm::of_code);
    let (code, error) = (document.get("code"), document.get("error"));
    word(code).or_else(|| word(error)).or_else(|| word(error.and_then(|error| error.get("code"))))
}

/// `{user:{…}}` or the user itself.
fn user_member(body: &[u8]) -> Option<UserMember> {
    let wrapped: UserDocument = serde_json::from_slice(body).ok()?;
    wrapped.user.or_else(|| serde_json::from_slice(body).ok())
}

#[derive(Deserialize)]
struct UserDocument {
    user: Option<UserMember>,
}

/// A member that comes twice is an error.
#[derive(Deserialize)]
struct UserMember {
    id: Option<String>,
    #[serde(rename = "tenantId")]
    tenant_id: Option<String>,
    #[serde(rename = "tenant_id")]
    tenant_id_older: Option<String>,
    role: Option<String>,
    status: Option<String>,
}

#[derive(Deserialize)]
struct ValidationDocument {
    valid: bool,
}

/// Two spellings of one member: either, or both if they agree.
pub(super) fn one_of(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => (one == other).then_some(one),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
