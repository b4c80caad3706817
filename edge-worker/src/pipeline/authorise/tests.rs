//! Every access class with every kind of principal.

use super::policy::Policy;
use super::*;
use crate::config::routes::{Access, Notes, Row, Segment, ShedClass, Target, VenueFrom, VenueNeed};
use crate::config::services::ServiceId;
use crate::config::tokens::PermissionSource;
use crate::http::method::MethodSet;
use crate::identity::forge::{NOW, SUBJECT, TENANT, claims, names, settings, token, token_cache};
use crate::identity::roles::Role;
use crate::identity::verifier::Verifier;
use crate::pipeline::authenticate::{Authorization, authenticate};
use serde_json::{Value, json};
use shm::words::WorkerSlot;
use std::rc::Rc;

const VENUE: &str = "0b5e2f1c-77aa-4b0e-9d3e-5a1c2b3d4e5f";
const STRANGER: &str = "99999999-9999-4999-8999-999999999999";
const PLAIN: Question = Question { venue: QueryValue::Absent, scraper: Scraper::Foreign };

/// What a request says beside its path.
struct Question {
    venue: QueryValue<'static>,
    scraper: Scraper,
}

/// One row `/x/{id}` of a class, and the means to ask about it.
struct Gate {
    row: Row,
}

impl Gate {
    fn new(access: Access) -> Gate {
        let segments = vec![Segment::Literal("x".to_owned()), Segment::Parameter("id".to_owned())];
        let row = Row {
            id: "X1".to_owned(),
            template: "/x/{id}".to_owned(),
            segments,
            methods: MethodSet::ANY,
            target: Target::Service { service: ServiceId(0), upstream: vec![] },
            access,
            timeout_ms: None,
            body_bytes_max: None,
            notes: Notes::default(),
            class: ShedClass::Browsing,
            reason: String::new(),
        };
        Gate { row }
    }

    fn ask(&self, question: Question, id: &str, principal: Option<Value>) -> Result<Grant, Rejection> {
        let rows = std::slice::from_ref(&self.row);
        let names = names(rows);
        let policy = Policy::new(rows, &names, PermissionSource::Union).expect("compiles");
        let principal = principal.map(|changes| {
            let value = format!("Bearer {}", token(&claims(changes)));
            let verifier = Verifier::new(&settings(), &names).expect("usable settings");
            let slot = WorkerSlot::new(0).expect("the first slot");
            let header = Authorization::One(value.as_bytes());
            authenticate(header, &verifier, token_cache(), slot, NOW).expect("a good token").0
        });
        let segments = ["x".as_bytes(), id.as_bytes()];
        let segment = |index: u8| segments.get(usize::from(index)).copied().unwrap_or_default().into();
        authorise(
            policy.rule(0),
            question.scraper,
            segment,
            || question.venue.clone(),
            principal.map(Rc::new),
        )
    }

    /// What a role gets on `/x/{id}`.
    fn by_role(&self, role: &str, id: &str) -> Result<Option<Bypass>, Rejection> {
        self.ask(PLAIN, id, Some(json!({"role": role, "permissions": []}))).map(|grant| grant.bypass())
    }

    fn by_query_venue(&self, role: &str, venue: QueryValue<'static>) -> Result<Option<Bypass>, Rejection> {
        let question = Question { venue, ..PLAIN };
        let principal = json!({"role": role, "permissions": []});
        self.ask(question, "x", Some(principal)).map(|grant| grant.bypass())
    }
}

fn permission(permission: &str) -> Access {
    Access::Permission(permission.to_owned())
}

fn staff(permission: &str) -> Access {
    Access::Staff(permission.to_owned())
}

fn roles(words: &[&str]) -> Access {
    Access::Role(words.iter().map(|word| (*word).to_owned()).collect())
}

fn venue(need: VenueNeed, venue: VenueFrom) -> Access {
    Access::Venue { need, venue }
}

#[test]
fn a_public_row_is_granted_to_anyone_and_names_nobody() {
    let gate = Gate::new(Access::Public);
    for principal in [None, Some(json!({"role": "admin"}))] {
        let grant = gate.ask(PLAIN, "x", principal).expect("granted");
        assert!(grant.principal().is_none(), "a token that was sent along is not believed");
        assert_eq!(grant.bypass(), None);
    }
}

#[test]
fn a_scraper_row_is_there_only_for_scrapers() {
    let gate = Gate::new(Access::Scrapers);
    let allowed = Question { scraper: Scraper::Allowed, ..PLAIN };
    assert!(gate.ask(allowed, "x", None).expect("granted").principal().is_none());
    assert_eq!(gate.ask(PLAIN, "x", None).err(), Some(Rejection::NotFound));
    assert_eq!(gate.ask(PLAIN, "x", Some(json!({"role": "admin"}))).err(), Some(Rejection::NotFound));
}

#[test]
fn a_denied_row_is_there_for_nobody() {
    let mut gate = Gate::new(Access::User);
    gate.row.target = Target::Deny;
    assert_eq!(gate.ask(PLAIN, "x", None).err(), Some(Rejection::NotFound));
    assert_eq!(gate.ask(PLAIN, "x", Some(json!({"role": "admin"}))).err(), Some(Rejection::NotFound));
}

#[test]
fn every_class_but_the_public_ones_needs_an_identity() {
    let classes = [
        Access::User,
        Access::Own { segment: 1 },
        permission("tickets:view"),
        roles(&["admin"]),
        staff("tickets:view"),
        venue(VenueNeed::Member, VenueFrom::Segment(1)),
        Access::Any(vec![Access::User]),
    ];
    for class in classes {
        let refused = Gate::new(class.clone()).ask(PLAIN, VENUE, None).err();
        assert_eq!(refused, Some(Rejection::Unauthorized(TokenFault::MissingToken)), "{class:?}");
    }
}

#[test]
fn a_user_row_is_granted_to_every_identity() {
    let grant = Gate::new(Access::User).ask(PLAIN, "x", Some(json!({}))).expect("granted");
    let principal = grant.principal().expect("named");
    assert_eq!((principal.subject(), principal.tenant()), (SUBJECT, TENANT));
    assert_eq!(principal.role(), Role::Customer);
    assert_eq!(grant.bypass(), None);
}

#[test]
fn an_own_row_is_for_its_owner_and_audited_administrators() {
    let gate = Gate::new(Access::Own { segment: 1 });
    let denied = Err(Rejection::Forbidden(Denial::Owner));
    assert_eq!(gate.by_role("customer", SUBJECT), Ok(None));
    assert_eq!(gate.by_role("customer", &SUBJECT.to_uppercase()), Ok(None));
    assert_eq!(gate.by_role("customer", STRANGER), denied);
    assert_eq!(gate.by_role("customer", ""), denied);
    assert_eq!(gate.by_role("venue-owner", STRANGER), denied, "a venue's owner owns no users");
    assert_eq!(gate.by_role("admin", STRANGER), Ok(Some(Bypass::Owner)));
    assert_eq!(gate.by_role("superadmin", STRANGER), Ok(Some(Bypass::Owner)));
    assert_eq!(gate.by_role("admin", SUBJECT), Ok(None), "nothing was bypassed");
}

#[test]
fn a_permission_row_is_decided_for_every_role() {
    let expected: [(&str, &[&str]); 4] = [
        ("tickets:purchase", &["customer", "compliance-admin", "operator", "support"]),
        ("tickets:sell", &["box-office"]),
        ("events:update", &["venue-manager"]),
        ("users:delete", &[]),
    ];
    for (wanted, holders) in expected {
        let gate = Gate::new(permission(wanted));
        for role in Role::ALL.map(Role::name) {
            let all = ["venue-owner", "admin", "superadmin"].contains(&role);
            let verdict = gate.by_role(role, "x");
            if all || holders.contains(&role) {
                assert_eq!(verdict, Ok(None), "{wanted} for {role}");
            } else {
                assert_eq!(verdict, Err(Rejection::Forbidden(Denial::Permission)), "{wanted} for {role}");
            }
        }
    }
}

#[test]
fn a_tokens_own_permissions_count_in_either_spelling() {
    let gate = Gate::new(permission("events:update"));
    for held in ["events:update", "update:events", "manage:events", "events:*", "*"] {
        let principal = json!({"permissions": [held]});
        assert!(gate.ask(PLAIN, "x", Some(principal)).is_ok(), "{held}");
    }
    for held in ["events:view", "view:events", "tickets:*", "events:update-own", "EVENTS:UPDATE"] {
        let refused = gate.ask(PLAIN, "x", Some(json!({"permissions": [held]}))).err();
        assert_eq!(refused, Some(Rejection::Forbidden(Denial::Permission)), "{held}");
    }
}

#[test]
fn an_own_permission_is_held_for_ones_own_id_only() {
    let mut gate = Gate::new(permission("tickets:view-own"));
    gate.row.segments = vec![Segment::Literal("x".to_owned()), Segment::Parameter("userId".to_owned())];
    assert_eq!(gate.by_role("customer", SUBJECT), Ok(None));
    assert_eq!(gate.by_role("customer", STRANGER), Err(Rejection::Forbidden(Denial::Permission)));
    assert_eq!(gate.by_role("door-staff", STRANGER), Ok(None));
}

#[test]
fn a_role_row_is_for_the_roles_it_lists() {
    let gate = Gate::new(roles(&["admin", "venue-owner"]));
    for role in Role::ALL.map(Role::name) {
        let listed = ["admin", "superadmin", "venue-owner"].contains(&role);
        let expected = if listed { Ok(None) } else { Err(Rejection::Forbidden(Denial::Role)) };
        assert_eq!(gate.by_role(role, "x"), expected, "{role}");
    }
    assert_eq!(gate.by_role("organizer", "x"), Ok(None), "an alias of venue-owner");
}

#[test]
fn a_staff_row_is_open_to_the_permission_and_undecided_for_others() {
    let gate = Gate::new(staff("tickets:validate"));
    for role in ["venue-owner", "venue-manager", "box-office", "door-staff", "scanner"] {
        assert_eq!(gate.by_role(role, "x"), Ok(None), "{role}");
    }
    for role in ["admin", "superadmin"] {
        assert_eq!(gate.by_role(role, "x"), Ok(Some(Bypass::Staff)), "{role}");
    }
    for role in ["customer", "compliance-admin", "operator", "support"] {
        assert_eq!(gate.by_role(role, "x"), Err(Rejection::CheckUnavailable), "{role}");
    }
}

#[test]
fn a_venue_row_fails_closed_for_all_but_audited_administrators() {
    let needs = [VenueNeed::Member, VenueNeed::Owner, VenueNeed::Permission("reports:view".to_owned())];
    for need in needs {
        let gate = Gate::new(venue(need, VenueFrom::Segment(1)));
        for role in Role::ALL {
            let expected = if role.is_administrator() {
                Ok(Some(Bypass::Venue))
            } else {
                Err(Rejection::CheckUnavailable)
            };
            assert_eq!(gate.by_role(role.name(), VENUE), expected, "{role:?}");
            assert_eq!(gate.by_role(role.name(), &VENUE.to_uppercase()), expected, "{role:?}");
        }
    }
}

#[test]
fn a_venue_that_is_no_uuid_does_not_exist() {
    let gate = Gate::new(venue(VenueNeed::Member, VenueFrom::Segment(1)));
    for id in ["", "7", "user", &format!("{VENUE}x"), &VENUE.replace('-', "")] {
        for role in ["customer", "venue-owner", "admin"] {
            assert_eq!(gate.by_role(role, id), Err(Rejection::VenueNotFound), "{role} {id}");
        }
    }
}

#[test]
fn a_venue_in_the_query_binds_and_without_one_the_staff_rule_decides() {
    let gate = Gate::new(Access::Any(vec![
        venue(VenueNeed::Permission("reports:view".to_owned()), VenueFrom::Query),
        staff("reports:view"),
    ]));
    let named = || QueryValue::One(VENUE.as_bytes().into());
    assert_eq!(gate.by_query_venue("venue-manager", QueryValue::Absent), Ok(None));
    assert_eq!(gate.by_query_venue("customer", QueryValue::Absent), Err(Rejection::CheckUnavailable));
    // The permission is held globally, but whether for this venue is not known.
    assert_eq!(gate.by_query_venue("venue-manager", named()), Err(Rejection::CheckUnavailable));
    assert_eq!(gate.by_query_venue("venue-owner", named()), Err(Rejection::CheckUnavailable));
    assert_eq!(gate.by_query_venue("admin", named()), Ok(Some(Bypass::Venue)));
    assert_eq!(gate.by_query_venue("admin", QueryValue::Absent), Ok(Some(Bypass::Staff)));
    for venue in
        [QueryValue::One(b"".as_slice().into()), QueryValue::One(b"7".as_slice().into()), QueryValue::Several]
    {
        assert_eq!(
            gate.by_query_venue("venue-manager", venue.clone()),
            Err(Rejection::VenueNotFound),
            "{venue:?}"
        );
        assert_eq!(gate.by_query_venue("admin", venue.clone()), Err(Rejection::VenueNotFound), "{venue:?}");
    }
}

#[test]
fn a_row_that_wants_a_venue_in_the_query_does_not_go_without() {
    let class = venue(VenueNeed::Member, VenueFrom::Query);
    for gate in
        [Gate::new(class.clone()), Gate::new(Access::Any(vec![class])), Gate::new(Access::Any(vec![]))]
    {
        for role in ["customer", "admin"] {
            assert_eq!(gate.by_query_venue(role, QueryValue::Absent), Err(Rejection::VenueNotFound));
        }
    }
}

#[test]
fn of_several_classes_the_first_that_allows_decides() {
    let gate = Gate::new(Access::Any(vec![Access::Own { segment: 1 }, staff("customers:view")]));
    assert_eq!(gate.by_role("customer", SUBJECT), Ok(None));
    assert_eq!(gate.by_role("venue-owner", STRANGER), Ok(None), "by the second");
    assert_eq!(gate.by_role("admin", STRANGER), Ok(Some(Bypass::Owner)));
    // Denied by the first, undecided by the second.
    assert_eq!(gate.by_role("customer", STRANGER), Err(Rejection::CheckUnavailable));
}

#[test]
fn if_none_of_several_allows_the_first_denial_answers_unless_one_is_undecided() {
    let denials = Gate::new(Access::Any(vec![permission("tickets:sell"), roles(&["admin"])]));
    assert_eq!(denials.by_role("customer", "x"), Err(Rejection::Forbidden(Denial::Permission)));
    let reversed = Gate::new(Access::Any(vec![roles(&["admin"]), permission("tickets:sell")]));
    assert_eq!(reversed.by_role("customer", "x"), Err(Rejection::Forbidden(Denial::Role)));
    let undecided = Gate::new(Access::Any(vec![staff("tickets:sell"), roles(&["admin"])]));
    assert_eq!(undecided.by_role("customer", "x"), Err(Rejection::CheckUnavailable));
}

#[test]
fn either_of_two_permissions_lets_in() {
    let gate = Gate::new(Access::Any(vec![permission("tickets:purchase"), permission("tickets:sell")]));
    assert_eq!(gate.by_role("customer", "x"), Ok(None));
    assert_eq!(gate.by_role("box-office", "x"), Ok(None));
    assert_eq!(gate.by_role("door-staff", "x"), Err(Rejection::Forbidden(Denial::Permission)));
}

#[test]
fn a_rule_that_needs_no_identity_allows_nothing_as_a_member() {
    for member in [Rule::Public, Rule::Scrapers, Rule::Deny] {
        let gate = Gate::new(Access::User);
        let granted = gate.ask(PLAIN, "x", Some(json!({"role": "admin"}))).expect("granted");
        let principal = granted.principal().cloned().map(Rc::new);
        let rule = Rule::Any(vec![member]);
        let refused =
            authorise(&rule, Scraper::Allowed, |_| b"".as_slice().into(), || QueryValue::Absent, principal)
                .err();
        assert_eq!(refused, Some(Rejection::NotFound));
    }
}
