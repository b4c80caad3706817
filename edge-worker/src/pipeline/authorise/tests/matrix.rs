//! Every role against every row of the platform's table, in every situation at a venue.
//!
//! What is expected is worked out here from the words of each row's class and the platform's own tables of roles,
//! written down again: nothing of the code under test is used for it but the words.

use super::super::need::{Finding, Known, Need, Standing};
use super::super::policy::Policy;
use super::super::*;
use super::{STRANGER, SUBJECT, VENUE, principal};
use crate::config::NameTable;
use crate::config::lookups::identity::VenueAccessMode;
use crate::config::routes::{Row, Segment, Target, load};
use crate::config::tokens::PermissionSource;
use crate::identity::forge::names;
use crate::identity::roles::{Role, canonical_permission};
use serde_json::json;

/// Section 6 of the platform's contract: roles of users.
const ROLES: [(&str, &[&str]); 10] = [
    ("venue-owner", &["*"]),
    (
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
    (
        "box-office",
        &["tickets:sell", "tickets:view", "tickets:validate", "payments:process", "reports:daily"],
    ),
    ("door-staff", &["tickets:validate", "tickets:view"]),
    ("customer", FAN),
    ("admin", &["*"]),
    ("superadmin", &["*"]),
    ("compliance-admin", FAN),
    ("operator", FAN),
    ("support", FAN),
];
const FAN: &[&str] = &["tickets:purchase", "tickets:view-own", "tickets:transfer-own", "profile:update-own"];

/// The same section: what venue-service lists for its staff.
const STAFF: [(&str, &[&str]); 5] = [
    ("owner", &["*"]),
    (
        "manager",
        &[
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
    ),
    (
        "box_office",
        &[
            "tickets:sell",
            "tickets:view",
            "tickets:validate",
            "payments:process",
            "reports:daily",
            "customers:view",
        ],
    ),
    ("door_staff", &["tickets:validate", "tickets:view", "events:view"]),
    ("viewer", &["events:view", "reports:view"]),
];

/// What venue-service would say of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service<T> {
    Says(T),
    Fails,
}

#[derive(Clone, Copy, Debug)]
struct Situation {
    role: &'static str,
    /// The ids in the path are the user's own.
    own: bool,
    query_names_venue: bool,
    /// The user's row at the venue, if any.
    venue: Service<Option<(&'static str, &'static [&'static str])>>,
    list: Service<bool>,
}

#[test]
fn every_role_gets_on_every_row_what_the_words_of_its_class_say() {
    let rows = load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid");
    let names = names(&rows);
    let policy =
        Policy::new(&rows, &names, PermissionSource::Union, VenueAccessMode::Bearer).expect("compiles");
    let mut faults = Vec::new();
    let mut decided = 0;
    for role in ROLES {
        let somebody = principal(&rows, json!({"role": role.0, "permissions": []}));
        for situation in situations(role.0) {
            for (index, row) in rows.iter().enumerate() {
                let status = decide(policy.rule(index), row, &somebody, situation, &names);
                let wanted = expected(row, situation);
                decided += 1;
                if status != wanted {
                    let words = row.access.words(&row.segments);
                    faults.push(format!("{} ({words}) {situation:?}: {status}, not {wanted}", row.template));
                }
            }
        }
    }
    let first: Vec<&String> = faults.iter().take(20).collect();
    assert!(faults.is_empty(), "{} of {decided}, such as {first:#?}", faults.len());
    assert!(decided > 100_000, "{decided} decisions are not every role on every row");
}

#[test]
fn without_a_token_every_row_is_public_or_refused() {
    let rows = load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid");
    let policy =
        Policy::new(&rows, &names(&rows), PermissionSource::Union, VenueAccessMode::Hmac).expect("compiles");
    for (index, row) in rows.iter().enumerate() {
        let case = Case {
            scraper: Scraper::Foreign,
            segment: |_| VENUE.as_bytes().into(),
            venue: || QueryValue::Absent,
            principal: None,
            target_tenant: None,
        };
        let status = match authorise(policy.rule(index), &case, Known::default()) {
            Ok(Step::Granted(_)) => 200,
            Ok(Step::Needs { .. }) => panic!("nobody is asked about nobody"),
            Err(rejection) => rejection.sentence().status,
        };
        let wanted = match (&row.target, row.access.words(&row.segments).as_str()) {
            (Target::Deny, _) | (_, "scrapers") => 404,
            (_, "pub") => 200,
            _ => 401,
        };
        assert_eq!(status, wanted, "{}", row.template);
    }
}

fn situations(role: &'static str) -> Vec<Situation> {
    let at_venue = STAFF.into_iter().map(|row| Service::Says(Some(row)));
    let at_venue: Vec<_> = at_venue.chain([Service::Says(None), Service::Fails]).collect();
    let mut all = Vec::new();
    for venue in at_venue {
        for list in [Service::Says(true), Service::Says(false), Service::Fails] {
            for own in [false, true] {
                for query_names_venue in [false, true] {
                    all.push(Situation { role, own, query_names_venue, venue, list });
                }
            }
        }
    }
    all
}

/// The decision, with every need answered as the situation says.
fn decide(rule: &Rule, row: &Row, somebody: &Rc<Principal>, situation: Situation, names: &NameTable) -> u16 {
    let id = if situation.own { SUBJECT } else { STRANGER };
    let case = Case {
        scraper: Scraper::Foreign,
        segment: |index: u8| match row.segments.get(usize::from(index)) {
            Some(Segment::Parameter(name)) if name == "venueId" => VENUE.as_bytes().into(),
            _ => id.as_bytes().into(),
        },
        venue: || match situation.query_names_venue {
            true => QueryValue::One(VENUE.as_bytes().into()),
            false => QueryValue::Absent,
        },
        principal: Some(Rc::clone(somebody)),
        target_tenant: None,
    };
    let mut known = Known::default();
    for _ in 0..3 {
        match authorise(rule, &case, known) {
            Ok(Step::Granted(_)) => return 200,
            Ok(Step::Needs { need, .. }) => known = known.with(&need, answer(&need, situation, names)),
            Err(rejection) => return rejection.sentence().status,
        }
    }
    panic!("{}: asked more than twice", row.template);
}

fn answer(need: &Need<'_>, situation: Situation, names: &NameTable) -> Finding {
    let says = match need {
        Need::Staff => match situation.list {
            Service::Says(staff) => Some(staff),
            Service::Fails => None,
        },
        Need::Venue { venue, standing } => {
            assert_eq!(venue.as_str(), VENUE);
            match situation.venue {
                Service::Says(row) => Some(row.is_some_and(|row| is_held(standing, row, names))),
                Service::Fails => None,
            }
        }
    };
    match says {
        Some(true) => Finding::Holds,
        Some(false) => Finding::Lacks,
        None => Finding::Unavailable,
    }
}

fn is_held(standing: &Standing, (role, listed): (&str, &[&str]), names: &NameTable) -> bool {
    let id = |held: &&str| {
        let held = canonical_permission(held);
        names.permissions.iter().find(|(name, _)| *name == held).map(|(_, id)| *id)
    };
    let ids: Vec<u16> = listed.iter().filter_map(id).collect();
    standing.is_held(Role::at_venue(role), &ids)
}

/// What the words of the row's class mean, member by member.
fn expected(row: &Row, situation: Situation) -> u16 {
    if row.target == Target::Deny {
        return 404;
    }
    let words = row.access.words(&row.segments);
    let mut denials = Vec::new();
    for class in words.split(" or ") {
        let (name, value) = class.split_once(':').unwrap_or((class, ""));
        let verdict = match name {
            "pub" | "user" => 200,
            "scrapers" => 404,
            "own" => {
                if situation.own || is_administrator(situation.role) {
                    200
                } else {
                    403
                }
            }
            "perm" => {
                if allows(held_by(situation.role), value) {
                    200
                } else {
                    403
                }
            }
            "role" => {
                if is_listed(situation.role, value) {
                    200
                } else {
                    403
                }
            }
            "staff" if allows(held_by(situation.role), value) => 200,
            "staff" => match situation.list {
                Service::Says(true) => 200,
                Service::Says(false) => 403,
                Service::Fails => 503,
            },
            "query-venue" if situation.query_names_venue => return at_venue(value, situation),
            // As a member of several it is passed over.
            "query-venue" => continue,
            "venue" => at_venue(value, situation),
            other => panic!("{other} is no class of the platform"),
        };
        if verdict == 200 {
            return 200;
        }
        denials.push(verdict);
    }
    match denials.first() {
        Some(_) if denials.contains(&503) => 503,
        Some(first) => *first,
        None => 404,
    }
}

fn at_venue(needed: &str, situation: Situation) -> u16 {
    if is_administrator(situation.role) {
        return 200;
    }
    match (situation.venue, needed) {
        (Service::Fails, _) => 503,
        (Service::Says(None), _) => 404,
        (Service::Says(Some(_)), "member") => 200,
        (Service::Says(Some((role, _))), "owner") => {
            if role == "owner" {
                200
            } else {
                404
            }
        }
        (Service::Says(Some((_, listed))), permission) => {
            if allows(listed, permission) {
                200
            } else {
                404
            }
        }
    }
}

fn is_administrator(role: &str) -> bool {
    role == "admin" || role == "superadmin"
}

fn is_listed(role: &str, list: &str) -> bool {
    list.split(',').any(|listed| listed == role || (listed == "admin" && role == "superadmin"))
}

fn held_by(role: &str) -> &'static [&'static str] {
    ROLES.iter().find(|(name, _)| *name == role).expect("a role of the table").1
}

/// `*`, the permission itself, or its noun's wildcard.
fn allows(held: &[&str], permission: &str) -> bool {
    let noun = permission.split(':').next().unwrap_or_default();
    held.iter().any(|held| *held == "*" || *held == permission || *held == format!("{noun}:*"))
}
