//! What a user may do at a venue, and whether it is staff of any: by what another node was told, else by venue-service.

use super::shared::{Asked, FoundAccess};
use super::{Answerer, asker};
use crate::cluster::record;
use crate::identity::venue_service::{self, AccessQuestion, ListQuestion};
use edge_worker::clock::{self, UnixSeconds};
use edge_worker::config::lookups::identity::VenueAccessMode;
use edge_worker::config::secret::Secret;
use edge_worker::control::asks::{ListAnswer, Person, VenueAnswer};
use edge_worker::identity::roles::{Role, canonical_permission};
use shm::access::{Decision, DecisionKey, Kept, Moment, Staff, StaffRecord, VenueAccess};
use shm::token_cache::PermissionIds;

/// A denial, and a list without a venue, seconds.
const DENIED_S: i64 = 60;
/// A list with venues, seconds.
const LISTED_S: i64 = 600;

impl Answerer {
    pub(super) async fn access(
        &self,
        user: Person,
        venue: String,
        permission: Option<String>,
        bearer: Secret<String>,
    ) -> VenueAnswer {
        // In bearer mode venue-service answers for all permissions, so the question is the same for all.
        let permission = permission.filter(|_| self.venue.mode() == VenueAccessMode::Hmac);
        let moment = self.region.authority().access.moment(self.region.writer());
        let (tenant, subject) = (user.tenant.clone(), user.subject.clone());
        let asked = Asked { tenant, user: subject, venue, permission };
        let FoundAccess { hit, generation } = self.shared.access(&asked).await;
        if let Some(cached) = hit {
            self.keep_access(&asked, &cached.value, cached.at.min(clock::wall_seconds()), moment);
            return said(cached.value);
        }
        let Asked { tenant, user: subject, venue, permission } = asked.clone();
        let question = AccessQuestion { tenant, user: subject, venue, permission, moment };
        let at = clock::wall_seconds();
        let access = match self.venue.access(question, bearer, asker(user)).await {
            venue_service::AccessAnswer::Allowed(found) => record::VenueAccess {
                allowed: true,
                role: found.role,
                permissions: found
                    .permissions
                    .iter()
                    .map(|held| canonical_permission(held).into_owned())
                    .collect(),
                generation: generation.unwrap_or_default(),
            },
            venue_service::AccessAnswer::Denied => record::VenueAccess {
                allowed: false,
                role: None,
                permissions: Vec::new(),
                generation: generation.unwrap_or_default(),
            },
            venue_service::AccessAnswer::Outage(_) => return VenueAnswer::Outage,
        };
        let kept = self.keep_access(&asked, &access, at, moment);
        if kept != Kept::Outdated && generation.is_some() {
            self.shared.share_access(asked, at, access.clone());
        }
        said(access)
    }

    /// A decision with more permissions than the region has room for is asked for again.
    fn keep_access(
        &self,
        asked: &Asked,
        access: &record::VenueAccess,
        at: UnixSeconds,
        moment: Moment,
    ) -> Kept {
        let (decided, keep_s) = match access.allowed {
            true => (VenueAccess::Allowed, self.venue_access_ttl_s),
            false => (VenueAccess::Denied, DENIED_S.min(self.venue_access_ttl_s)),
        };
        // A permission that no row asks for needs no name; `*` and wildcards have theirs.
        let ids: Vec<u16> = access.permissions.iter().filter_map(|held| self.permission(held)).collect();
        let Some(permissions) = PermissionIds::new(&ids) else { return Kept::Stored };
        let role = access.role.as_deref().and_then(Role::at_venue).map_or(0, |role| self.roles.id(role));
        let Asked { tenant, user, venue, permission } = asked;
        let key = DecisionKey {
            decision: &self.digests.decision(tenant, user, venue, permission.as_deref()),
            user: &self.digests.user(tenant, user),
            venue: &self.digests.venue(venue),
        };
        let decision = Decision {
            access: decided,
            role,
            permissions,
            venue_generation: access.generation,
            expires_at_s: at.saturating_add(keep_s),
        };
        let region = &self.region.authority().access;
        region.store_decision(self.region.writer(), key, &decision, moment, clock::wall_seconds())
    }

    fn permission(&self, held: &str) -> Option<u16> {
        self.names.permissions.iter().find(|(name, _)| name == held).map(|(_, id)| *id)
    }

    pub(super) async fn list(&self, user: Person, bearer: Secret<String>) -> ListAnswer {
        let moment = self.region.authority().access.moment(self.region.writer());
        let whose = (user.tenant.clone(), user.subject.clone());
        if let Some(cached) = self.shared.list(&whose.0, &whose.1).await {
            let first = cached.value.first().map(|venue| venue.id.as_str());
            return self.keep_list(&whose, first, cached.at.min(clock::wall_seconds()), moment).0;
        }
        let question = ListQuestion { tenant: user.tenant.clone(), user: user.subject.clone(), moment };
        let at = clock::wall_seconds();
        let venues = match self.venue.venues(question, bearer, asker(user)).await {
            venue_service::ListAnswer::Venues(venues) => venues,
            venue_service::ListAnswer::Outage(_) => return ListAnswer::Outage,
        };
        let (answer, kept) = self.keep_list(&whose, venues.first().map(String::as_str), at, moment);
        if kept != Kept::Outdated {
            self.shared.share_list(whose, at, venues);
        }
        answer
    }

    fn keep_list(
        &self,
        (tenant, user): &(String, String),
        first: Option<&str>,
        at: UnixSeconds,
        moment: Moment,
    ) -> (ListAnswer, Kept) {
        let because_of = first.map(|venue| self.digests.venue(venue));
        let (staff, keep_s, answer) = match because_of {
            Some(_) => (Staff::OfAVenue, LISTED_S, ListAnswer::Staff),
            None => (Staff::OfNone, DENIED_S, ListAnswer::NoStaff),
        };
        let record = StaffRecord { staff, expires_at_s: at.saturating_add(keep_s) };
        let key = (&self.digests.user(tenant, user), because_of.as_ref());
        let region = &self.region.authority().access;
        (answer, region.store_staff(self.region.writer(), key, &record, moment, clock::wall_seconds()))
    }
}

fn said(access: record::VenueAccess) -> VenueAnswer {
    match access.allowed {
        true => VenueAnswer::Allowed { role: access.role, permissions: access.permissions },
        false => VenueAnswer::Denied,
    }
}
