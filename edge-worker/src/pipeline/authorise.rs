//! Authorise: whether a principal may do what a row offers. The only place that makes a [`Grant`].
//!
//! Pure, and so in steps: what only venue-service knows is a [`Need`]. The pipeline finds it out and asks again with
//! what it then knows; what nobody could tell fails closed with 503.

pub mod policy;
pub mod need;

use self::need::{Finding, Known, Need, Standing};
use self::policy::{Permit, Rule, VenueId};
use super::authenticate::Principal;
use super::rejection::{Denial, Rejection};
use super::target_tenant::TargetTenant;
use crate::http::encode::{IdentityHeaders, TenantSource};
use crate::http::target::query::QueryValue;
use crate::identity::fault::TokenFault;
use crate::identity::uuid::Uuid;
use std::borrow::Cow;
use std::rc::Rc;

/// The proof that a request may be forwarded, and the only source of identity headers.
#[derive(Debug)]
pub struct Grant {
    principal: Option<Rc<Principal>>,
    bypass: Option<Bypass>,
    target_tenant: Option<TargetTenant>,
}

/// A check that an administrator passed by role alone; every one is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    Owner,
    Staff,
    Venue,
    /// A superadmin acts in another tenant than its own. Said instead of what else was passed.
    Tenant,
}

/// Whether the client's address is in METRICS_ALLOWED_CIDRS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scraper {
    Allowed,
    Foreign,
}

/// How far a decision has come.
#[derive(Debug)]
pub enum Step<'r, 'c> {
    Granted(Grant),
    Needs { need: Need<'r>, of: &'c Principal },
}

/// What a rule may look at of one request.
pub struct Case<S, V> {
    pub scraper: Scraper,
    /// Gives the path's segments, decoded once, empty where there is none.
    pub segment: S,
    /// Gives what the query says under `venueId` or `venue_id`, decoded once; asked only if the rule needs it.
    pub venue: V,
    pub principal: Option<Rc<Principal>>,
    pub target_tenant: Option<TargetTenant>,
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

    /// What services are told.
    #[must_use]
    pub fn identity(&self) -> Option<IdentityHeaders<'_>> {
        self.principal().map(|principal| {
            let (tenant, tenant_source) = match &self.target_tenant {
                Some(target) => (target.as_str(), TenantSource::AdminOverride),
                None => (principal.tenant(), TenantSource::Jwt),
            };
            let (user, role) = (principal.subject(), principal.role().name());
            IdentityHeaders { tenant, tenant_source, user, role }
        })
    }
}

/// Decides one request under the rule of its row, by what is known so far.
///
/// # Errors
/// Why the request may not go on.
pub fn authorise<'r, 'c, 's>(
    rule: &'r Rule,
    case: &'c Case<impl Fn(u8) -> Cow<'s, [u8]>, impl Fn() -> QueryValue<'s>>,
    known: Known,
) -> Result<Step<'r, 'c>, Rejection> {
    match (rule, case.scraper) {
        (Rule::Public, _) | (Rule::Scrapers, Scraper::Allowed) => {
            return Ok(Step::Granted(Grant { principal: None, bypass: None, target_tenant: None }));
        }
        (Rule::Scrapers, Scraper::Foreign) | (Rule::Deny, _) => return Err(Rejection::NotFound),
        _ => {}
    }
    // The pipeline authenticates first; should it ever not, nobody is let through.
    let principal = case.principal.as_ref().ok_or(Rejection::Unauthorized(TokenFault::MissingToken))?;
    match (Decider { case, principal, known }).decide(rule) {
        Verdict::Allowed(bypass) => {
            let (principal, target_tenant) = (Some(Rc::clone(principal)), case.target_tenant.clone());
            let bypass = if target_tenant.is_some() { Some(Bypass::Tenant) } else { bypass };
            Ok(Step::Granted(Grant { principal, bypass, target_tenant }))
        }
        Verdict::Needs(need) => Ok(Step::Needs { need, of: principal }),
        Verdict::Refused(rejection) => Err(rejection),
        // The rule asks for a venue in the query and the query names none.
        Verdict::NotAsked => Err(Rejection::VenueNotFound),
    }
}

struct Decider<'a, S, V> {
    case: &'a Case<S, V>,
    principal: &'a Principal,
    known: Known,
}

enum Verdict<'r> {
    Allowed(Option<Bypass>),
    Needs(Need<'r>),
    Refused(Rejection),
    NotAsked,
}

impl<'s, S: Fn(u8) -> Cow<'s, [u8]>, V: Fn() -> QueryValue<'s>> Decider<'_, S, V> {
    fn decide<'r>(&self, rule: &'r Rule) -> Verdict<'r> {
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
            Rule::Venue(rule) => match rule.id {
                VenueId::Segment(index) => self.decide_venue(&(self.case.segment)(index), &rule.standing),
                VenueId::Query => match (self.case.venue)() {
                    QueryValue::Absent => Verdict::NotAsked,
                    QueryValue::One(venue) => self.decide_venue(&venue, &rule.standing),
                    QueryValue::Several => Verdict::Refused(Rejection::VenueNotFound),
                },
            },
            Rule::Any(members) => self.decide_any(members),
            // Decided without an identity, or never granted; as a member of another rule they allow nothing.
            Rule::Public | Rule::Scrapers | Rule::Deny => Verdict::Refused(Rejection::NotFound),
        }
    }

    fn decide_own<'r>(&self, segment: u8) -> Verdict<'r> {
        if self.is_own(segment) {
            Verdict::Allowed(None)
        } else if self.principal.role().is_administrator() {
            Verdict::Allowed(Some(Bypass::Owner))
        } else {
            forbidden(Denial::Owner)
        }
    }

    /// An administrator holds everything, and is audited on these rows. Whoever does not hold the permission may
    /// still be staff of a venue.
    fn decide_staff<'r>(&self, permit: &Permit) -> Verdict<'r> {
        if self.runs_the_tenant() {
            return Verdict::Allowed(Some(Bypass::Staff));
        }
        if self.holds(permit) {
            return Verdict::Allowed(None);
        }
        found(self.known.staff, Need::Staff, Rejection::Forbidden(Denial::Staff))
    }

    /// A role that is held globally never answers for one venue, an administrator's excepted.
    fn decide_venue<'r>(&self, venue: &[u8], standing: &'r Standing) -> Verdict<'r> {
        let Some(venue) = Uuid::parse(venue) else { return Verdict::Refused(Rejection::VenueNotFound) };
        if self.runs_the_tenant() {
            return Verdict::Allowed(Some(Bypass::Venue));
        }
        found(self.known.venue, Need::Venue { venue, standing }, Rejection::VenueDenied)
    }

    /// The first member that allows; one that binds decides alone, since falling through to the `staff` member would
    /// let a manager of one venue read another's. Nobody is asked before all that is known has failed to allow. Of
    /// several refusals one that nobody could tell counts before one that denied.
    fn decide_any<'r>(&self, members: &'r [Rule]) -> Verdict<'r> {
        let (mut need, mut refusal) = (None, None);
        for member in members {
            match self.decide(member) {
                Verdict::NotAsked => {}
                verdict if member.binds() => return verdict,
                Verdict::Allowed(bypass) => return Verdict::Allowed(bypass),
                Verdict::Needs(asked) => need = need.or(Some(asked)),
                Verdict::Refused(rejection) => {
                    if refusal.is_none() || rejection == Rejection::CheckUnavailable {
                        refusal = Some(rejection);
                    }
                }
            }
        }
        match (need, refusal) {
            (Some(need), _) => Verdict::Needs(need),
            (None, Some(rejection)) => Verdict::Refused(rejection),
            (None, None) => Verdict::NotAsked,
        }
    }

    /// Outside its own tenant no administrator passes for staff.
    fn runs_the_tenant(&self) -> bool {
        self.principal.role().is_administrator() && self.case.target_tenant.is_none()
    }

    fn holds(&self, permit: &Permit) -> bool {
        permit.is_held(self.principal.role(), self.principal.permissions(), |segment| self.is_own(segment))
    }

    fn is_own(&self, segment: u8) -> bool {
        self.principal.is_subject(&(self.case.segment)(segment))
    }
}

fn forbidden<'r>(denial: Denial) -> Verdict<'r> {
    Verdict::Refused(Rejection::Forbidden(denial))
}

/// What follows from a finding: without one it is needed, and only a denial denies.
fn found(finding: Option<Finding>, need: Need<'_>, denied: Rejection) -> Verdict<'_> {
    match finding {
        None => Verdict::Needs(need),
        Some(Finding::Holds) => Verdict::Allowed(None),
        Some(Finding::Lacks) => Verdict::Refused(denied),
        Some(Finding::Unavailable) => Verdict::Refused(Rejection::CheckUnavailable),
    }
}

#[cfg(test)]
mod tests;
