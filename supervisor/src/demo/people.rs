//! Who can log in at the demo: three people in two tenants.

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
}

pub static AURORA: Tenant = Tenant { id: "a0a0a0a0-0000-4000-8000-00000000000a", name: "Aurora Concerts" };
pub static BOREALIS: Tenant =
    Tenant { id: "b0b0b0b0-0000-4000-8000-00000000000b", name: "Borealis Festivals" };

pub static PEOPLE: [Person; 3] = [
    Person {
        id: "11111111-1111-4111-8111-111111111111",
        email: "fan@aurora.example",
        password: "fan-demo",
        tenant: &AURORA,
        role: "customer",
        permissions: &["buy:tickets", "view:events", "transfer:tickets"],
    },
    Person {
        id: "22222222-2222-4222-8222-222222222222",
        email: "manager@aurora.example",
        password: "manager-demo",
        tenant: &AURORA,
        role: "venue-manager",
        permissions: &["create:events", "update:events", "validate:tickets", "view:reports"],
    },
    Person {
        id: "33333333-3333-4333-8333-333333333333",
        email: "admin@borealis.example",
        password: "admin-demo",
        tenant: &BOREALIS,
        role: "admin",
        permissions: &[],
    },
];

/// The person with this e-mail address and password.
#[must_use]
pub fn log_in(email: &str, password: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.email == email && person.password == password)
}

/// The person with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.id == id)
}
