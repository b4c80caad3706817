//! Authorise: whether a principal may do what a row offers. The only place that makes a [`Grant`].
//!
//! What only a look-up at venue-service could decide fails closed with 503.

pub mod policy;

use self::policy::{Permit, Rule, VenueId};
use super::authenticate::Principal;
use super::rejection::{Denial, Rejection};
use crate::http::target::query::QueryValue;
use crate::identity::fault::TokenFault;
use crate::identity::uuid::is_uuid;
use std::borrow::Cow;
use std::rc::Rc;

/// The proof that a request may be forwarded, and the only source of identity headers.
#[derive(Debug)]
pub struct Grant {
    principal: Option<Rc<Principal>>,
    bypass: Option<Bypass>,
}

/// A check that an administrator passed by role alone; every one is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    Owner,
    Staff,
    Venue,
}

/// Whether the client's address is in METRICS_ALLOWED_CIDRS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scraper {
    Allowed,
    Foreign,
}

impl Grant {
    /// Who was granted; nobody on public rows, even if a token was sent.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    /// The check that was passed by an administrator's role.
    #[must_use]
    pub fn bypass(&self) -> Option<Bypass> {
        self.bypass
    }
}

/// Decides one request under the rule of its row. `segment` gives the path's segments, empty where there is
/// none, `venue` what the query says under `venueId` or `venue_id`; both decoded once, and asked only if the
/// rule needs them.
///
/// # Errors
/// Why the request may not go on.
pub fn authorise<'s>(
    rule: &Rule,
    scraper: Scraper,
    segment: impl Fn(u8) -> Cow<'s, [u8]>,
    venue: impl Fn() -> QueryValue<'s>,
    principal: Option<Rc<Principal>>,
) -> Result<Grant, Rejection> {
    match (rule, scraper) {
        (Rule::Public, _) | (Rule::Scrapers, Scraper::Allowed) => {
            return Ok(Grant { principal: None, bypass: None });
        }
        (Rule::Scrapers, Scraper::Foreign) | (Rule::Deny, _) => return Err(Rejection::NotFound),
        _ => {}
    }
    // The pipeline authenticates first; should it ever not, nobody is let through.
    let principal = principal.ok_or(Rejection::Unauthorized(TokenFault::MissingToken))?;
    let case = Case { segment, venue, principal: &principal };
    match case.decide(rule) {
        Verdict::Allowed(bypass) => Ok(Grant { principal: Some(principal), bypass }),
        Verdict::Refused(rejection) | Verdict::Final(rejection) => Err(rejection),
        // The rule asks for a venue in the query and the query names none.
        Verdict::NotAsked => Err(Rejection::VenueNotFound),
    }
}

struct Case<'a, S, V> {
    segment: S,
    venue: V,
    principal: &'a Principal,
}

enum Verdict {
    Allowed(Option<Bypass>),
    Refused(Rejection),
    /// No other member of the rule may allow it any more.
    Final(Rejection),
    NotAsked,
}

impl<'s, S: Fn(u8) -> Cow<'s, [u8]>, V: Fn() -> QueryValue<'s>> Case<'_, S, V> {
    fn decide(&self, rule: &Rule) -> Verdict {
        match rule {
            Rule::User => Verdict::Allowed(None),
            Rule::Own { segment } => self.decide_own(*segment),
            Rule::Permission(permit) => {
                if self.holds(permit) {
                    Verdict::Allowed(None)
                } else {
                    forbidden(Denial::Permission)
                }
            }
            Rule::Role(roles) => {
                if roles.contains(self.principal.role()) {
                    Verdict::Allowed(None)
                } else {
                    forbidden(Denial::Role)
                }
            }
            Rule::Staff(permit) => self.decide_staff(permit),
            Rule::Venue(VenueId::Segment(index)) => self.decide_venue(&(self.segment)(*index)),
            Rule::Venue(VenueId::Query) => self.decide_query_venue(),
            Rule::Any(members) => self.decide_any(members),
            // Decided without an identity, or never granted; as a member of another rule they allow nothing.
            Rule::Public | Rule::Scrapers | Rule::Deny => Verdict::Refused(Rejection::NotFound),
        }
    }

    fn decide_own(&self, segment: u8) -> Verdict {
        if self.is_own(segment) {
            Verdict::Allowed(None)
        } else if self.principal.role().is_administrator() {
            Verdict::Allowed(Some(Bypass::Owner))
        } else {
            forbidden(Denial::Owner)
        }
    }

    /// An administrator holds everything, and is audited on these rows. Whoever does not hold the permission
    /// may still be staff of a venue, which only venue-service knows.
    fn decide_staff(&self, permit: &Permit) -> Verdict {
        if self.principal.role().is_administrator() {
            Verdict::Allowed(Some(Bypass::Staff))
        } else if self.holds(permit) {
            Verdict::Allowed(None)
        } else {
            Verdict::Refused(Rejection::CheckUnavailable)
        }
    }

    /// A role that is held globally never answers for one venue, an administrator's excepted.
    fn decide_venue(&self, venue: &[u8]) -> Verdict {
        if !is_uuid(venue) {
            Verdict::Refused(Rejection::VenueNotFound)
        } else if self.principal.role().is_administrator() {
            Verdict::Allowed(Some(Bypass::Venue))
        } else {
            Verdict::Refused(Rejection::CheckUnavailable)
        }
    }

    /// A venue that the query names binds: falling through to the `staff` member would let a manager of one
    /// venue read another's.
    fn decide_query_venue(&self) -> Verdict {
        let verdict = match (self.venue)() {
            QueryValue::Absent => return Verdict::NotAsked,
            QueryValue::One(venue) => self.decide_venue(&venue),
            QueryValue::Several => Verdict::Refused(Rejection::VenueNotFound),
        };
        match verdict {
            Verdict::Refused(rejection) => Verdict::Final(rejection),
            other => other,
        }
    }

    /// The first member that allows. If none does, an undecided one counts before one that denied.
    fn decide_any(&self, members: &[Rule]) -> Verdict {
        let mut refusal = None;
        for member in members {
            match self.decide(member) {
                Verdict::Refused(rejection) => {
                    if refusal.is_none() || rejection == Rejection::CheckUnavailable {
                        refusal = Some(rejection);
                    }
                }
                Verdict::NotAsked => {}
                conclusive => return conclusive,
            }
        }
        refusal.map_or(Verdict::NotAsked, Verdict::Refused)
    }

    fn holds(&self, permit: &Permit) -> bool {
        permit.is_held(self.principal.role(), self.principal.permissions(), |segment| self.is_own(segment))
    }

    fn is_own(&self, segment: u8) -> bool {
        self.principal.is_subject(&(self.segment)(segment))
    }
}

fn forbidden(denial: Denial) -> Verdict {
    Verdict::Refused(Rejection::Forbidden(denial))
}

#[cfg(test)]
mod tests;
