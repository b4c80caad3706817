//! Venue: what venue-service says of the user at hand, on the rows where that decides.
//!
//! A record of the region that has not expired decides at once; else it is one ask. An outage is a finding of its own:
//! 503 in the end, never a grant and never a denial (platform section 5).

use super::authenticate::Principal;
use super::authorise::need::{Finding, Need, Standing};
use crate::clock;
use crate::config::secret::Secret;
use crate::control::asks::{Answer, ListAnswer, Person, Question, VenueAnswer};
use crate::identity::roles::Role;
use crate::telemetry::labels::{Cache, CacheResult};
use crate::worker::Worker;
use shm::access::{Decision, Staff, VenueAccess};

/// On whose behalf venue-service is asked, and with which token.
pub struct Voucher {
    pub person: Person,
    pub bearer: Secret<String>,
}

/// What the region remembers of one need of a principal whose digest is `user`.
pub fn recall(worker: &Worker, need: &Need<'_>, principal: &Principal, user: &[u8; 32]) -> Option<Finding> {
    let (access, now) = (&worker.authority.access, clock::wall_seconds());
    let (cache, found) = match need {
        Need::Venue { venue, standing } => {
            let (tenant, subject) = (principal.tenant(), principal.subject());
            let digest = worker.digests.decision(tenant, subject, venue.as_str(), standing.asked());
            let decision = access.decision(&digest, now);
            (Cache::VenueAccess, decision.map(|decision| judge(worker, standing, &decision)))
        }
        Need::Staff => {
            let record = access.staff(user, now);
            (Cache::VenueList, record.map(|record| held(record.staff == Staff::OfAVenue)))
        }
    };
    worker.meters.cache(cache, if found.is_some() { CacheResult::Hit } else { CacheResult::Miss });
    found
}

/// What venue-service says.
pub async fn ask(worker: &Worker, need: &Need<'_>, voucher: Voucher) -> Finding {
    let Voucher { person: user, bearer } = voucher;
    let question = match need {
        Need::Venue { venue, standing } => {
            let (venue, permission) = (venue.as_str().to_owned(), standing.asked().map(str::to_owned));
            Question::VenueAccess { user, venue, permission, bearer }
        }
        Need::Staff => Question::VenueList { user, bearer },
    };
    match (need, worker.ask(question).await) {
        (Need::Venue { standing, .. }, Ok(Answer::VenueAccess(answer))) => match answer {
            VenueAnswer::Allowed { role, permissions } => {
                let names = &worker.settings.names.permissions;
                let id = |held: &String| names.iter().find(|(name, _)| name == held).map(|(_, id)| *id);
                let ids: Vec<u16> = permissions.iter().filter_map(id).collect();
                held(standing.is_held(role.as_deref().and_then(Role::at_venue), &ids))
            }
            VenueAnswer::Denied => Finding::Lacks,
            VenueAnswer::Outage => Finding::Unavailable,
        },
        (Need::Staff, Ok(Answer::VenueList(answer))) => match answer {
            ListAnswer::Staff => Finding::Holds,
            ListAnswer::NoStaff => Finding::Lacks,
            ListAnswer::Outage => Finding::Unavailable,
        },
        _ => Finding::Unavailable,
    }
}

fn judge(worker: &Worker, standing: &Standing, decision: &Decision) -> Finding {
    match decision.access {
        VenueAccess::Allowed => {
            held(standing.is_held(worker.roles.role(decision.role), decision.permissions.as_slice()))
        }
        VenueAccess::Denied => Finding::Lacks,
    }
}

fn held(holds: bool) -> Finding {
    if holds { Finding::Holds } else { Finding::Lacks }
}
