//! The access classes of all rows, compiled once so that deciding a request compares numbers only.

use super::need::Standing;
use crate::config::NameTable;
use crate::config::lookups::identity::VenueAccessMode;
use crate::config::routes::{Access, Row, Segment, Target, VenueFrom, VenueNeed};
use crate::config::tokens::PermissionSource;
use crate::identity::roles::{Role, RoleSet, base_of_own, canonical_permission, wildcard};

/// The rules of a configuration, parallel to its rows.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// One row's access class, compiled.
#[derive(Debug, PartialEq, Eq)]
pub enum Rule {
    Public,
    Scrapers,
    User,
    Own {
        segment: u8,
    },
    Permission(Permit),
    Role(RoleSet),
    Staff(Permit),
    Venue(VenueRule),
    Any(Vec<Rule>),
    /// Never granted.
    Deny,
}

/// Which venue the row is about, and what one must be there.
#[derive(Debug, PartialEq, Eq)]
pub struct VenueRule {
    pub id: VenueId,
    pub standing: Standing,
}

/// Where a request names its venue; nowhere else is it looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueId {
    Segment(u8),
    /// A venue that the query names binds, whatever else the row would allow.
    Query,
}

/// Everything that satisfies one permission.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    /// Roles whose table entry does.
    roles: RoleSet,
    /// Region ids of the token permissions that do.
    ids: Vec<u16>,
    /// What does only for the owner of the thing asked for.
    own: Option<OwnPermit>,
}

#[derive(Debug, PartialEq, Eq)]
struct OwnPermit {
    roles: RoleSet,
    ids: Vec<u16>,
    /// The path segment that names the owner.
    segment: u8,
}

/// Why a row cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    #[error("row {row}: the permission {permission:?} was not interned before the policy was built")]
    Unnamed { row: String, permission: String },
    #[error("row {row}: {role:?} is not a role of the platform")]
    UnknownRole { row: String, role: String },
    #[error("row {row}: segment {segment} is not a parameter of its path")]
    NoSuchParameter { row: String, segment: u8 },
    #[error("row {row}: a public class is hidden among the members of another")]
    HiddenPublic { row: String },
    #[error("row {row}: it asks for several things at one venue, and a request makes one look-up")]
    SeveralVenues { row: String },
}

/// Parameters that name the owner of what a path leads to.
const OWNER_PARAMETERS: [&str; 3] = ["userId", "customerId", "ownerId"];

impl Policy {
    /// # Errors
    /// The first row whose class cannot be decided by this table of names.
    pub fn new(
        rows: &[Row],
        names: &NameTable,
        source: PermissionSource,
        venues: VenueAccessMode,
    ) -> Result<Policy, PolicyFault> {
        let rules = rows
            .iter()
            .map(|row| Compiler { row, names, source, venues }.rule())
            .collect::<Result<_, _>>()?;
        Ok(Policy { rules })
    }

    /// The rule of the row with this index; a row that is not there is never granted.
    #[must_use]
    pub fn rule(&self, row: usize) -> &Rule {
        self.rules.get(row).unwrap_or(&Rule::Deny)
    }
}

impl Rule {
    /// Whether the request must be authenticated before it is decided.
    #[must_use]
    pub fn needs_identity(&self) -> bool {
        !matches!(self, Self::Public | Self::Scrapers | Self::Deny)
    }

    /// Whether it decides alone as soon as it applies, as a venue does that the query names.
    #[must_use]
    pub fn binds(&self) -> bool {
        matches!(self, Self::Venue(VenueRule { id: VenueId::Query, .. }))
    }

    /// How many venues may have to be asked about.
    fn venues(&self) -> usize {
        match self {
            Self::Venue(VenueRule { id: VenueId::Segment(_), .. }) => 1,
            Self::Any(members) => members.iter().map(Rule::venues).sum(),
            _ => 0,
        }
    }
}

impl Permit {
    /// Whether a role and a token's permissions satisfy it. `is_owner`: whether a segment is its bearer's id.
    #[must_use]
    pub fn is_held(&self, role: Role, permissions: &[u16], is_owner: impl Fn(u8) -> bool) -> bool {
        let among = |ids: &[u16]| permissions.iter().any(|held| ids.contains(held));
        if self.roles.contains(role) || among(&self.ids) {
            return true;
        }
        self.own
            .as_ref()
            .is_some_and(|own| (own.roles.contains(role) || among(&own.ids)) && is_owner(own.segment))
    }
}

struct Compiler<'a> {
    row: &'a Row,
    names: &'a NameTable,
    source: PermissionSource,
    venues: VenueAccessMode,
}

impl Compiler<'_> {
    fn rule(&self) -> Result<Rule, PolicyFault> {
        match self.row.target {
            Target::Deny => Ok(Rule::Deny),
            _ => self.access(&self.row.access),
        }
    }

    fn access(&self, access: &Access) -> Result<Rule, PolicyFault> {
        Ok(match access {
            Access::Public => Rule::Public,
            Access::Scrapers => Rule::Scrapers,
            Access::User => Rule::User,
            Access::Own { segment } => Rule::Own { segment: self.parameter(*segment)? },
            Access::Permission(permission) => Rule::Permission(self.permit(permission)?),
            Access::Role(roles) => Rule::Role(self.roles(roles)?),
            Access::Staff(permission) => Rule::Staff(self.permit(permission)?),
            Access::Venue { need, venue } => {
                let id = match venue {
                    VenueFrom::Segment(segment) => VenueId::Segment(self.parameter(*segment)?),
                    VenueFrom::Query => VenueId::Query,
                };
                Rule::Venue(VenueRule { id, standing: self.standing(need)? })
            }
            Access::Any(members) => {
                let mut rules =
                    members.iter().map(|member| self.member(member)).collect::<Result<Vec<_>, _>>()?;
                // A venue that the query names binds, wherever the row says so.
                rules.sort_by_key(|rule| !rule.binds());
                let any = Rule::Any(rules);
                if any.venues() > 1 {
                    return Err(PolicyFault::SeveralVenues { row: self.row.id.clone() });
                }
                any
            }
        })
    }

    /// A member that needs no identity would make the whole row public without saying so.
    fn member(&self, access: &Access) -> Result<Rule, PolicyFault> {
        let rule = self.access(access)?;
        if rule.needs_identity() {
            Ok(rule)
        } else {
            Err(PolicyFault::HiddenPublic { row: self.row.id.clone() })
        }
    }

    /// What venue-service lists counts whatever RBAC_PERMISSION_SOURCE says: it is of this venue alone. What is
    /// somebody's own is not the venue's to give, so its base is wanted.
    fn standing(&self, need: &VenueNeed) -> Result<Standing, PolicyFault> {
        Ok(match need {
            VenueNeed::Member => Standing::Member,
            VenueNeed::Owner => Standing::Owner { all: self.id("*")? },
            VenueNeed::Permission(permission) => {
                let permission = canonical_permission(permission);
                let base = base_of_own(&permission).unwrap_or(&permission);
                let asked = (self.venues == VenueAccessMode::Hmac).then(|| base.to_owned());
                Standing::Permission { ids: self.covering(base)?, asked }
            }
        })
    }

    fn parameter(&self, segment: u8) -> Result<u8, PolicyFault> {
        match self.row.segments.get(usize::from(segment)) {
            Some(Segment::Parameter(_)) => Ok(segment),
            _ => Err(PolicyFault::NoSuchParameter { row: self.row.id.clone(), segment }),
        }
    }

    /// A superadmin counts as an admin.
    fn roles(&self, words: &[String]) -> Result<RoleSet, PolicyFault> {
        let mut roles = Vec::new();
        for word in words {
            let role = Role::named(word).ok_or_else(|| self.unknown_role(word))?;
            roles.push(role);
            if role == Role::Admin {
                roles.push(Role::Superadmin);
            }
        }
        Ok(roles.into_iter().collect())
    }

    fn permit(&self, permission: &str) -> Result<Permit, PolicyFault> {
        let permission = canonical_permission(permission);
        let Some(base) = base_of_own(&permission) else {
            return Ok(Permit {
                roles: self.by_role(RoleSet::allowing(&permission)),
                ids: self.ids_allowing(&permission)?,
                own: None,
            });
        };
        let own = match self.owner_segment() {
            Some(segment) => Some(OwnPermit {
                roles: self.by_role(RoleSet::holding(&permission)),
                ids: self.by_token(vec![self.id(&permission)?]),
                segment,
            }),
            None => None,
        };
        Ok(Permit { roles: self.by_role(RoleSet::allowing(base)), ids: self.ids_allowing(base)?, own })
    }

    fn ids_allowing(&self, permission: &str) -> Result<Vec<u16>, PolicyFault> {
        Ok(self.by_token(self.covering(permission)?))
    }

    /// Ids of the permission and of the wildcards that include it.
    fn covering(&self, permission: &str) -> Result<Vec<u16>, PolicyFault> {
        let mut ids = vec![self.id("*")?, self.id(permission)?];
        if let Some(wildcard) = wildcard(permission) {
            ids.push(self.id(&wildcard)?);
        }
        Ok(ids)
    }

    fn id(&self, permission: &str) -> Result<u16, PolicyFault> {
        let named = self.names.permissions.iter().find(|(name, _)| name == permission);
        named.map(|(_, id)| *id).ok_or_else(|| self.unnamed(permission))
    }

    fn by_role(&self, roles: RoleSet) -> RoleSet {
        if self.source == PermissionSource::Token { RoleSet::NONE } else { roles }
    }

    fn by_token(&self, ids: Vec<u16>) -> Vec<u16> {
        if self.source == PermissionSource::Role { Vec::new() } else { ids }
    }

    fn owner_segment(&self) -> Option<u8> {
        let is_owner = |segment: &Segment| match segment {
            Segment::Parameter(name) => OWNER_PARAMETERS.contains(&name.as_str()),
            _ => false,
        };
        self.row.segments.iter().position(is_owner).and_then(|index| u8::try_from(index).ok())
    }

    fn unnamed(&self, permission: &str) -> PolicyFault {
        PolicyFault::Unnamed { row: self.row.id.clone(), permission: permission.to_owned() }
    }

    fn unknown_role(&self, word: &str) -> PolicyFault {
        PolicyFault::UnknownRole { row: self.row.id.clone(), role: word.to_owned() }
    }
}

#[cfg(test)]
mod tests;
