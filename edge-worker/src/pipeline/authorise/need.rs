//! What only venue-service knows, where it decides a request: the question, and what came of it.

use crate::identity::roles::Role;
use crate::identity::uuid::Uuid;

/// A question that has to be answered before a request can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need<'r> {
    /// Whether the user has this standing at the venue.
    Venue { venue: Uuid, standing: &'r Standing },
    /// Whether the user is staff of any venue.
    Staff,
}

/// What a row wants somebody to be at a venue.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// On its staff, whatever the role.
    Member,
    /// Its owner. `all` is the region id of `*`, which says the same.
    Owner { all: u16 },
    /// Staff with a permission.
    Permission {
        /// Region ids of all that satisfies it.
        ids: Vec<u16>,
        /// Its name, where venue-service is asked for one permission at a time (VENUE_ACCESS_MODE hmac).
        asked: Option<String>,
    },
}

/// What is known of a need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    Holds,
    Lacks,
    /// Nobody could tell. Never a grant and never a denial.
    Unavailable,
}

/// What has been found out about one request. A row asks about one venue, and once about the staff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub venue: Option<Finding>,
    pub staff: Option<Finding>,
}

impl Known {
    #[must_use]
    pub fn with(self, need: &Need<'_>, finding: Finding) -> Known {
        match need {
            Need::Venue { .. } => Known { venue: Some(finding), ..self },
            Need::Staff => Known { staff: Some(finding), ..self },
        }
    }
}

impl Standing {
    /// Whether staff of this role and with these permissions has it; both as venue-service says, of this venue.
    #[must_use]
    pub fn is_held(&self, role: Option<Role>, permissions: &[u16]) -> bool {
        match self {
            Self::Member => true,
            Self::Owner { all } => role == Some(Role::VenueOwner) || permissions.contains(all),
            Self::Permission { ids, .. } => permissions.iter().any(|held| ids.contains(held)),
        }
    }

    /// The permission that venue-service is asked for by name. Owners and members are asked about without one, and
    /// judged by what the answer lists.
    #[must_use]
    pub fn asked(&self) -> Option<&str> {
        match self {
            Self::Permission { asked, .. } => asked.as_deref(),
            Self::Member | Self::Owner { .. } => None,
        }
    }
}
