//! Who can log in at the demo: four people in two tenants, one of them staff of a venue.

/// A customer of the platform whose data nobody else may see.
#[derive(Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: &'static str,
    pub name: &'static str,
}

/// A user of auth-service.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    pub id: &'static str,
    pub email: &'static str,
    pub password: &'static str,
    pub tenant: &'static Tenant,
    pub role: &'static str,
    /// In the vocabulary that auth-service writes into tokens.
    pub permissions: &'static [&'static str],
    /// Where the person works, as venue-service knows it.
    pub works_at: Option<&'static Position>,
}

/// A row of a venue's staff.
#[derive(Debug, PartialEq, Eq)]
pub struct Position {
    pub venue: &'static str,
    pub role: &'static str,
    pub permissions: &'static [&'static str],
}

pub static AURORA: Tenant = Tenant { id: "a0a0a0a0-0000-4000-8000-00000000000a", name: "Aurora Concerts" };
pub static BOREALIS: Tenant =
    Tenant { id: "b0b0b0b0-0000-4000-8000-00000000000b", name: "Borealis Festivals" };

/// As venue-service lists a manager.
pub static MANAGER_OF_THE_HALL: Position = Position {
    venue: HALL,
    role: "manager",
    permissions: &[
        "venue:read",
        "venue:update",
        "events:create",
        "events:update",
        "events:delete",
        "tickets:view",
        "tickets:validate",
        "reports:view",
        "reports:export",
        "staff:view",
        "settings:view",
    ],
};

pub static PEOPLE: [Person; 4] = [
    Person {
        id: "11111111-1111-4111-8111-111111111111",
        email: "fan@aurora.example",
        password: "fan-demo",
        tenant: &AURORA,
        role: "customer",
        permissions: &["buy:tickets", "view:events", "transfer:tickets"],
        works_at: None,
    },
    Person {
        id: "44444444-4444-4444-8444-444444444444",
        email: "staff@aurora.example",
        password: "staff-demo",
        tenant: &AURORA,
        // Staff of a venue usually carries the role of a customer; what it may do is a matter of the venue.
        role: "customer",
        permissions: &["buy:tickets", "view:events", "transfer:tickets"],
        works_at: Some(&MANAGER_OF_THE_HALL),
    },
    Person {
        id: "22222222-2222-4222-8222-222222222222",
        email: "manager@aurora.example",
        password: "manager-demo",
        tenant: &AURORA,
        role: "venue-manager",
        permissions: &["create:events", "update:events", "validate:tickets", "view:reports"],
        works_at: None,
    },
    Person {
        id: "33333333-3333-4333-8333-333333333333",
        email: "admin@borealis.example",
        password: "admin-demo",
        tenant: &BOREALIS,
        role: "admin",
        permissions: &[],
        works_at: None,
    },
];

/// The person with this e-mail address and password.
#[must_use]
pub fn log_in(email: &str, password: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.email == email && person.password == password)
}

/// Of venue-service's venues, the one where somebody works.
pub const HALL: &str = "7e000000-0000-4000-8000-000000000001";

/// The person with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.id == id)
}
