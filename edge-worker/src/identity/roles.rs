//! Roles and permissions in the platform's words: the role table, its aliases, and the one vocabulary that
//! the older spellings of permissions are mapped to.

use crate::config::NameTable;
use crate::config::routes::{Access, Row, VenueNeed};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A canonical role. Everything else a token may say is an alias of one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Role {
    VenueOwner,
    VenueManager,
    BoxOffice,
    DoorStaff,
    Customer,
    Admin,
    Superadmin,
    ComplianceAdmin,
    Operator,
    Support,
}

const CUSTOMER: &[&str] =
    &["tickets:purchase", "tickets:view-own", "tickets:transfer-own", "profile:update-own"];

impl Role {
    pub const ALL: [Role; 10] = [
        Self::VenueOwner,
        Self::VenueManager,
        Self::BoxOffice,
        Self::DoorStaff,
        Self::Customer,
        Self::Admin,
        Self::Superadmin,
        Self::ComplianceAdmin,
        Self::Operator,
        Self::Support,
    ];

    /// The canonical word, as services receive it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// The role table's permissions. A venue role that is held globally has them outside `venue` rows only.
    #[must_use]
    pub fn permissions(self) -> &'static [&'static str] {
        self.entry().1
    }

    fn entry(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::VenueOwner => ("venue-owner", &["*"]),
            Self::VenueManager => (
                "venue-manager",
                &[
                    "events:create",
                    "events:update",
                    "events:delete",
                    "tickets:view",
                    "tickets:validate",
                    "reports:view",
                    "reports:export",
                ],
            ),
            Self::BoxOffice => (
                "box-office",
                &["tickets:sell", "tickets:view", "tickets:validate", "payments:process", "reports:daily"],
            ),
            Self::DoorStaff => ("door-staff", &["tickets:validate", "tickets:view"]),
            Self::Customer => ("customer", CUSTOMER),
            Self::Admin => ("admin", &["*"]),
            Self::Superadmin => ("superadmin", &["*"]),
            Self::ComplianceAdmin => ("compliance-admin", CUSTOMER),
            Self::Operator => ("operator", CUSTOMER),
            Self::Support => ("support", CUSTOMER),
        }
    }

    /// The role of exactly this canonical word.
    #[must_use]
    pub fn named(word: &str) -> Option<Role> {
        Self::ALL.into_iter().find(|role| role.name() == word)
    }

    /// What a token's role claim means: any spelling, aliases resolved. Nothing known is a customer.
    #[must_use]
    pub fn claimed(claim: &str) -> Role {
        let word = claim.to_ascii_lowercase().replace('_', "-");
        match word.as_str() {
            "owner" | "venue-admin" | "organizer" => Self::VenueOwner,
            "manager" => Self::VenueManager,
            "venue-staff" | "scanner" => Self::DoorStaff,
            "ops" | "monitoring" => Self::Operator,
            "super-admin" => Self::Superadmin,
            // `user`, `ticket-holder`, the empty and every unknown word are a customer's.
            word => Self::named(word).unwrap_or(Self::Customer),
        }
    }

    /// What venue-service calls a role at a venue; none of the platform's other roles is one there.
    #[must_use]
    pub fn at_venue(word: &str) -> Option<Role> {
        match word.to_ascii_lowercase().replace('_', "-").as_str() {
            "owner" | "venue-owner" => Some(Self::VenueOwner),
            "manager" | "venue-manager" => Some(Self::VenueManager),
            "box-office" => Some(Self::BoxOffice),
            "door-staff" => Some(Self::DoorStaff),
            _ => None,
        }
    }

    /// Runs the platform: passes `own`, `venue` and `staff` rows of its own tenant, audited.
    #[must_use]
    pub fn is_administrator(self) -> bool {
        matches!(self, Self::Admin | Self::Superadmin)
    }
}

/// A set of roles, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleSet(u16);

impl RoleSet {
    pub const NONE: RoleSet = RoleSet(0);

    #[must_use]
    pub fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// The roles whose table entry allows `permission` without being the owner of anything.
    #[must_use]
    pub fn allowing(permission: &str) -> RoleSet {
        let wildcard = wildcard(permission);
        let allows = |held: &&str| *held == "*" || *held == permission || Some(*held) == wildcard.as_deref();
        Role::ALL.into_iter().filter(|role| role.permissions().iter().any(allows)).collect()
    }

    /// The roles whose table entry holds exactly `permission`.
    #[must_use]
    pub fn holding(permission: &str) -> RoleSet {
        Role::ALL.into_iter().filter(|role| role.permissions().contains(&permission)).collect()
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        RoleSet(roles.into_iter().fold(0, |bits, role| bits | 1 << role as u8))
    }
}

/// The region ids of the roles.
#[derive(Clone, Copy, Debug)]
pub struct RoleIds([u16; Role::ALL.len()]);

impl RoleIds {
    /// `None` if a role was not interned.
    #[must_use]
    pub fn new(names: &NameTable) -> Option<RoleIds> {
        let mut ids = [0; Role::ALL.len()];
        for (id, role) in ids.iter_mut().zip(Role::ALL) {
            *id = names.roles.iter().find(|(name, _)| name == role.name())?.1;
        }
        Some(RoleIds(ids))
    }

    #[must_use]
    pub fn id(&self, role: Role) -> u16 {
        self.0[role as usize]
    }

    #[must_use]
    pub fn role(&self, id: u16) -> Option<Role> {
        Role::ALL.into_iter().zip(self.0).find(|(_, known)| *known == id).map(|(role, _)| role)
    }
}

const NOUNS: [&str; 11] = [
    "tickets", "events", "venues", "orders", "reports", "payments", "profile", "staff", "settings", "users",
    "roles",
];

/// A permission in canonical words, `noun:verb`. The platform's tokens say `verb:noun`.
#[must_use]
pub fn canonical_permission(claim: &str) -> Cow<'_, str> {
    match claim {
        "buy:tickets" => return Cow::Borrowed("tickets:purchase"),
        "transfer:tickets" => return Cow::Borrowed("tickets:transfer-own"),
        _ => {}
    }
    match claim.split_once(':') {
        Some((verb, noun)) if NOUNS.contains(&noun) && !NOUNS.contains(&verb) && is_verb(verb) => {
            Cow::Owned(if verb == "manage" { format!("{noun}:*") } else { format!("{noun}:{verb}") })
        }
        _ => Cow::Borrowed(claim),
    }
}

/// `*:tickets` must not become `tickets:*`: only a plain word is turned around.
fn is_verb(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// `tickets:*` for `tickets:view`; none for a dotted permission.
#[must_use]
pub fn wildcard(permission: &str) -> Option<String> {
    permission.split_once(':').map(|(noun, _)| format!("{noun}:*"))
}

/// `tickets:view` for `tickets:view-own`.
#[must_use]
pub fn base_of_own(permission: &str) -> Option<&str> {
    permission.strip_suffix("-own")
}

/// Every role and every permission that can matter under these rows, for the supervisor to give ids to.
#[must_use]
pub fn vocabulary(rows: &[Row]) -> (Vec<String>, Vec<String>) {
    let mut permissions = BTreeSet::from(["*".to_owned()]);
    for row in rows {
        each_permission(&row.access, &mut |permission| add_permission(&mut permissions, permission));
    }
    for permission in Role::ALL.iter().flat_map(|role| role.permissions()) {
        add_permission(&mut permissions, permission);
    }
    let roles = Role::ALL.iter().map(|role| role.name().to_owned()).collect();
    (roles, permissions.into_iter().collect())
}

fn each_permission(access: &Access, visit: &mut impl FnMut(&str)) {
    match access {
        Access::Permission(permission)
        | Access::Staff(permission)
        | Access::Venue { need: VenueNeed::Permission(permission), .. } => visit(permission),
        Access::Any(members) => members.iter().for_each(|member| each_permission(member, visit)),
        Access::Public | Access::Scrapers | Access::User | Access::Own { .. } => {}
        Access::Role(_) | Access::Venue { .. } => {}
    }
}

/// In canonical words, as rows are compiled and tokens are read.
fn add_permission(permissions: &mut BTreeSet<String>, permission: &str) {
    let permission = canonical_permission(permission);
    permissions.extend(wildcard(&permission));
    permissions.extend(base_of_own(&permission).map(str::to_owned));
    permissions.insert(permission.into_owned());
}

#[cfg(test)]
mod tests;
