//! The role table, the aliases and the vocabulary of permissions.

use super::*;
use crate::config::routes::{Notes, ShedClass, Target, VenueFrom};
use crate::http::method::MethodSet;
use crate::identity::forge;

fn row(access: Access) -> Row {
    Row {
        id: "X1".to_owned(),
        template: "/x".to_owned(),
        segments: vec![],
        methods: MethodSet::READ,
        target: Target::Deny,
        access,
        timeout_ms: None,
        body_bytes_max: None,
        notes: Notes::default(),
        class: ShedClass::Browsing,
        reason: String::new(),
    }
}

#[test]
fn every_role_allows_exactly_its_table() {
    use Role::{Admin, BoxOffice, Customer, DoorStaff, Superadmin, VenueManager, VenueOwner};
    let all = [VenueOwner, Admin, Superadmin];
    let cases: [(&str, &[Role]); 16] = [
        ("events:create", &[VenueManager]),
        ("events:update", &[VenueManager]),
        ("events:delete", &[VenueManager]),
        ("tickets:view", &[VenueManager, BoxOffice, DoorStaff]),
        ("tickets:validate", &[VenueManager, BoxOffice, DoorStaff]),
        ("reports:view", &[VenueManager]),
        ("reports:export", &[VenueManager]),
        ("reports:daily", &[BoxOffice]),
        ("tickets:sell", &[BoxOffice]),
        ("payments:process", &[BoxOffice]),
        ("tickets:purchase", &[Customer, Role::ComplianceAdmin, Role::Operator, Role::Support]),
        ("settings:view", &[]),
        ("customers:view", &[]),
        ("users:delete", &[]),
        ("analytics.read", &[]),
        ("", &[]),
    ];
    for (permission, holders) in cases {
        let allowing = RoleSet::allowing(permission);
        for role in Role::ALL {
            let expected = all.contains(&role) || holders.contains(&role);
            assert_eq!(allowing.contains(role), expected, "{permission} for {role:?}");
        }
    }
}

#[test]
fn a_role_that_is_named_twice_is_in_the_set_all_the_same() {
    let set: RoleSet = [Role::Support, Role::Operator, Role::Support].into_iter().collect();
    assert!(set.contains(Role::Support) && set.contains(Role::Operator) && !set.contains(Role::Customer));
}

#[test]
fn a_role_that_owns_things_holds_only_the_own_permission() {
    for own in ["tickets:view-own", "tickets:transfer-own", "profile:update-own"] {
        assert!(RoleSet::holding(own).contains(Role::Customer));
        assert!(!RoleSet::holding(own).contains(Role::DoorStaff));
    }
    assert!(!RoleSet::allowing("tickets:view").contains(Role::Customer));
    assert!(!RoleSet::allowing("tickets:transfer").contains(Role::Customer));
    assert_eq!(RoleSet::holding("no:such"), RoleSet::NONE);
}

#[test]
fn every_alias_means_its_role() {
    let aliases = [
        ("user", Role::Customer),
        ("ticket-holder", Role::Customer),
        ("ticket_holder", Role::Customer),
        ("", Role::Customer),
        ("root", Role::Customer),
        ("*", Role::Customer),
        (" admin", Role::Customer),
        ("owner", Role::VenueOwner),
        ("venue-admin", Role::VenueOwner),
        ("VENUE_ADMIN", Role::VenueOwner),
        ("organizer", Role::VenueOwner),
        ("manager", Role::VenueManager),
        ("venue-staff", Role::DoorStaff),
        ("scanner", Role::DoorStaff),
        ("door_staff", Role::DoorStaff),
        ("box_office", Role::BoxOffice),
        ("ops", Role::Operator),
        ("monitoring", Role::Operator),
        ("super-admin", Role::Superadmin),
        ("SUPER_ADMIN", Role::Superadmin),
        ("Admin", Role::Admin),
        ("compliance_admin", Role::ComplianceAdmin),
    ];
    for (alias, role) in aliases {
        assert_eq!(Role::claimed(alias), role, "{alias:?}");
    }
    for role in Role::ALL {
        assert_eq!(Role::claimed(role.name()), role);
        assert_eq!(Role::named(role.name()), Some(role));
    }
    assert_eq!(Role::named("owner"), None, "an alias is not a canonical word");
}

#[test]
fn only_admin_and_superadmin_run_the_platform() {
    let administrators: Vec<Role> = Role::ALL.into_iter().filter(|role| role.is_administrator()).collect();
    assert_eq!(administrators, [Role::Admin, Role::Superadmin]);
}

#[test]
fn older_spellings_are_turned_around() {
    let spellings = [
        ("buy:tickets", "tickets:purchase"),
        ("view:events", "events:view"),
        ("transfer:tickets", "tickets:transfer-own"),
        ("validate:tickets", "tickets:validate"),
        ("update:venues", "venues:update"),
        ("view:orders", "orders:view"),
        ("export:reports", "reports:export"),
        ("process:payments", "payments:process"),
        ("update-own:profile", "profile:update-own"),
        ("view:staff", "staff:view"),
        ("view:settings", "settings:view"),
        ("delete:users", "users:delete"),
        ("manage:roles", "roles:*"),
        ("manage:tickets", "tickets:*"),
    ];
    for (older, canonical) in spellings {
        assert_eq!(canonical_permission(older), canonical);
        assert_eq!(canonical_permission(canonical), canonical, "canonical strings stay");
    }
}

#[test]
fn other_strings_stay_as_they_are() {
    let strings = [
        "*",
        "",
        ":",
        ":tickets",
        "*:tickets",
        "MANAGE:tickets",
        "tickets:*",
        "analytics.read",
        "manage:dogs",
        "staff:roles",
        "manage:tickets:all",
        "tickets",
    ];
    for string in strings {
        assert_eq!(canonical_permission(string), string);
    }
}

#[test]
fn the_vocabulary_holds_all_that_can_matter_to_a_row() {
    let rows = [
        row(Access::Public),
        row(Access::Scrapers),
        row(Access::User),
        row(Access::Own { segment: 0 }),
        row(Access::Role(vec!["admin".to_owned()])),
        row(Access::Permission("dogs:walk-own".to_owned())),
        row(Access::Any(vec![
            Access::Staff("cats:feed".to_owned()),
            Access::Venue { need: VenueNeed::Permission("birds:see".to_owned()), venue: VenueFrom::Query },
            Access::Venue { need: VenueNeed::Member, venue: VenueFrom::Query },
        ])),
        row(Access::Permission("analytics.read".to_owned())),
    ];
    let (roles, permissions) = vocabulary(&rows);
    assert_eq!(roles.len(), Role::ALL.len());
    let expected = [
        "*",
        "dogs:walk-own",
        "dogs:walk",
        "dogs:*",
        "cats:feed",
        "cats:*",
        "birds:see",
        "birds:*",
        "analytics.read",
        "tickets:purchase",
        "tickets:view",
        "tickets:view-own",
        "tickets:*",
        "profile:update",
    ];
    for permission in expected {
        assert!(permissions.iter().any(|known| known == permission), "{permission}");
    }
    let mut sorted = permissions.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(permissions, sorted, "each once, in a stable order");
}

#[test]
fn role_ids_go_both_ways() {
    let ids = RoleIds::new(&forge::names(&[])).expect("all roles are named");
    for role in Role::ALL {
        assert_eq!(ids.role(ids.id(role)), Some(role));
    }
    assert_eq!(ids.role(0), None);
    assert_eq!(ids.role(999), None);
    let mut partial = forge::names(&[]);
    partial.roles.pop();
    assert!(RoleIds::new(&partial).is_none());
}

#[test]
fn venue_service_knows_the_four_roles_of_a_venue_and_no_other() {
    for (word, role) in [
        ("owner", Role::VenueOwner),
        ("OWNER", Role::VenueOwner),
        ("venue_owner", Role::VenueOwner),
        ("manager", Role::VenueManager),
        ("venue-manager", Role::VenueManager),
        ("box_office", Role::BoxOffice),
        ("door-staff", Role::DoorStaff),
    ] {
        assert_eq!(Role::at_venue(word), Some(role), "{word}");
    }
    for word in ["viewer", "", "admin", "superadmin", "customer", "organizer", "owner "] {
        assert_eq!(Role::at_venue(word), None, "{word}");
    }
}

#[test]
fn the_vocabulary_is_in_canonical_words_whatever_a_row_says() {
    let (_, permissions) = vocabulary(&[row(Access::Permission("manage:staff".to_owned()))]);
    assert!(permissions.iter().any(|permission| permission == "staff:*"));
    assert!(!permissions.iter().any(|permission| permission == "manage:staff"));
}
