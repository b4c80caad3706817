//! venue-service: who may work at a venue, and at which venues somebody works.

use super::asker::Asker;
use super::auth_service::{one_of, refusal};
use super::caller::{Answer, Caller, LIST_BYTES_MAX, Question};
use super::circuit::Circuit;
use super::connector::Site;
use super::credential::Credential;
use super::outage::{Outage, Why};
use super::patience::Patience;
use super::single_flight::{InFlight, SingleFlight};
use super::templates;
use edge_worker::config::lookups::identity::{IdentitySettings, VenueAccessMode};
use edge_worker::config::secret::Secret;
use edge_worker::config::services::{Service, ServiceId};
use edge_worker::identity::uuid::same_id;
use serde::{Deserialize, Serialize};
use shm::access::Moment;
use std::sync::Arc;

/// Permissions in one answer; the platform knows about twenty.
pub const PERMISSIONS_MAX: usize = 64;
/// A permission or role.
pub const WORD_BYTES_MAX: usize = 64;

/// Asks venue-service; one of it a node.
pub struct VenueService {
    inner: Arc<Inner>,
    access: SingleFlight<AccessQuestion, AccessAnswer>,
    lists: SingleFlight<ListQuestion, ListAnswer>,
}

struct Inner {
    caller: Caller,
    /// `None` in mode bearer, where each question carries the user's token.
    credential: Option<Credential>,
    access_path: String,
    list_path: String,
    patience: Patience,
}

/// `checkUserVenueAccess`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccessQuestion {
    pub tenant: String,
    pub user: String,
    /// A UUID; the caller has answered 404 to anything else.
    pub venue: String,
    /// Asked for by name in mode hmac; in mode bearer the service lists all, so leave it out and more
    /// questions are equal.
    pub permission: Option<String>,
    /// An answer to a question from before an event is none to one from after it.
    pub moment: Moment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessAnswer {
    Allowed(VenueAccess),
    /// The service said `hasAccess: false`, and nothing less: becomes a 404.
    Denied,
    /// Becomes a 503.
    Outage(Outage),
}

/// In venue-service's words, not yet in canonical ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VenueAccess {
    pub role: Option<String>,
    /// In mode hmac the permission that was asked for is among them.
    pub permissions: Vec<String>,
}

/// `getUserVenues`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuestion {
    pub tenant: String,
    pub user: String,
    /// An answer to a question from before an event is none to one from after it.
    pub moment: Moment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListAnswer {
    /// Ids of the venues in the question's tenant.
    Venues(Vec<String>),
    Outage(Outage),
}

impl VenueService {
    /// `service` is venue-service.
    #[must_use]
    pub fn new(
        service: &Service,
        settings: &IdentitySettings,
        site: Site<'_>,
        circuit: Circuit,
    ) -> VenueService {
        let id = ServiceId::find("venue").expect("the table of services has it");
        Self::with_patience(Caller::new(id, service, site, circuit), settings, Patience::VENUE)
    }

    fn with_patience(caller: Caller, settings: &IdentitySettings, patience: Patience) -> VenueService {
        let in_flight = InFlight::default();
        VenueService {
            inner: Arc::new(Inner {
                caller,
                credential: Credential::for_venues(settings),
                access_path: settings.venue_access_path.clone(),
                list_path: settings.venue_list_path.clone(),
                patience,
            }),
            access: SingleFlight::new(in_flight.clone()),
            lists: SingleFlight::new(in_flight),
        }
    }

    /// Whether a question has to name its permission.
    #[must_use]
    pub fn mode(&self) -> VenueAccessMode {
        match self.inner.credential {
            Some(_) => VenueAccessMode::Hmac,
            None => VenueAccessMode::Bearer,
        }
    }

    /// At most 3 s. `token` is the user's, and used in mode bearer only.
    pub async fn access(
        &self,
        question: AccessQuestion,
        token: Secret<String>,
        asker: Asker,
    ) -> AccessAnswer {
        let inner = Arc::clone(&self.inner);
        let key = question.clone();
        let answer = self.access.ask(key, || async move { inner.access(&question, token, &asker).await });
        answer.await.unwrap_or_else(|why| AccessAnswer::Outage(why.into()))
    }

    /// At most 3 s. `token` as for [`Self::access`].
    pub async fn venues(&self, question: ListQuestion, token: Secret<String>, asker: Asker) -> ListAnswer {
        let inner = Arc::clone(&self.inner);
        let key = question.clone();
        let answer = self.lists.ask(key, || async move { inner.venues(&question, token, &asker).await });
        answer.await.unwrap_or_else(|why| ListAnswer::Outage(why.into()))
    }
}

impl Inner {
    async fn access(&self, question: &AccessQuestion, token: Secret<String>, asker: &Asker) -> AccessAnswer {
        let AccessQuestion { user, venue, permission, .. } = question;
        let Some(path) = templates::fill(&self.access_path, "venueId", venue) else {
            return AccessAnswer::Outage(Why::Unaskable.into());
        };
        let (asked, permission) = match &self.credential {
            None => (Question::get(path, asker, Credential::Bearer(token)), None),
            Some(credential) => {
                let permission = permission.as_deref();
                let Ok(body) = serde_json::to_string(&AccessBody { user, venue, permission }) else {
                    return AccessAnswer::Outage(Why::Unaskable.into());
                };
                (Question::post(path, body, asker, credential.clone()), permission)
            }
        };
        match self.ask(&asked).await {
            Ok(answer) => read_access(permission, &answer),
            Err(outage) => AccessAnswer::Outage(outage),
        }
    }

    async fn venues(&self, question: &ListQuestion, token: Secret<String>, asker: &Asker) -> ListAnswer {
        let Some(path) = templates::fill(&self.list_path, "userId", &question.user) else {
            return ListAnswer::Outage(Why::Unaskable.into());
        };
        let credential = self.credential.clone().unwrap_or(Credential::Bearer(token));
        let mut asked = Question::get(path, asker, credential);
        asked.answer_bytes_max = LIST_BYTES_MAX;
        match self.ask(&asked).await {
            Ok(answer) => read_list(question, &answer),
            Err(outage) => ListAnswer::Outage(outage),
        }
    }

    /// A whole answer with status 200. What else the service says is an outage, and an alarm only if it was
    /// the edge's own credential that it refused.
    async fn ask(&self, question: &Question) -> Result<Answer, Outage> {
        let answer = self.caller.ask(question, &self.patience).await?;
        if answer.status == 200 {
            return Ok(answer);
        }
        let outage = refusal(answer.status, &answer.body);
        match &self.credential {
            Some(_) => {
                self.caller.note(outage);
                Err(outage)
            }
            None => Err(outage.why.into()),
        }
    }
}

fn read_access(asked: Option<&str>, answer: &Answer) -> AccessAnswer {
    let malformed = AccessAnswer::Outage(Why::Malformed.into());
    let Ok(document) = serde_json::from_slice::<AccessDocument>(&answer.body) else { return malformed };
    if !document.has_access {
        return AccessAnswer::Denied;
    }
    let mut permissions = document.permissions.unwrap_or_default();
    if permissions.len() > PERMISSIONS_MAX
        || !permissions.iter().chain(&document.role).all(|word| is_word(word))
    {
        return malformed;
    }
    if let Some(asked) = asked
        && !permissions.iter().any(|held| held == asked)
    {
        permissions.push(asked.to_owned());
    }
    AccessAnswer::Allowed(VenueAccess { role: document.role, permissions })
}

fn is_word(word: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Venues of other tenants are left out: they give nobody anything here.
fn read_list(question: &ListQuestion, answer: &Answer) -> ListAnswer {
    let entries = match serde_json::from_slice(&answer.body) {
        Ok(ListDocument::Bare(entries) | ListDocument::Wrapped { data: entries }) => entries,
        Err(_) => return ListAnswer::Outage(Why::Malformed.into()),
    };
    let mut venues = Vec::new();
    for entry in entries {
        if !templates::is_segment(&entry.id) {
            return ListAnswer::Outage(Why::Malformed.into());
        }
        let stated = entry.tenant_id.is_some() || entry.tenant_id_older.is_some();
        let tenant = one_of(entry.tenant_id, entry.tenant_id_older);
        if !stated || tenant.is_some_and(|tenant| same_id(tenant.as_bytes(), question.tenant.as_bytes())) {
            venues.push(entry.id);
        } else {
            tracing::warn!(
                user = question.user,
                tenant = question.tenant,
                "venue-service lists another tenant's venue"
            );
        }
    }
    ListAnswer::Venues(venues)
}

/// In this order, which the platform's signature vectors have.
#[derive(Serialize)]
struct AccessBody<'a> {
    #[serde(rename = "userId")]
    user: &'a str,
    #[serde(rename = "venueId")]
    venue: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<&'a str>,
}

#[derive(Deserialize)]
struct AccessDocument {
    #[serde(rename = "hasAccess")]
    has_access: bool,
    role: Option<String>,
    permissions: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ListDocument {
    Bare(Vec<ListEntry>),
    Wrapped { data: Vec<ListEntry> },
}

#[derive(Deserialize)]
struct ListEntry {
    id: String,
    #[serde(rename = "tenantId")]
    tenant_id: Option<String>,
    #[serde(rename = "tenant_id")]
    tenant_id_older: Option<String>,
}

#[cfg(test)]
mod tests;
