//! Every access class with every kind of principal, and with everything that look-ups may find.

mod matrix;

use super::policy::Policy;
use super::*;
use crate::config::lookups::identity::VenueAccessMode;
use crate::config::routes::{Access, Notes, Row, Segment, ShedClass, Target, VenueFrom, VenueNeed};
use crate::config::services::ServiceId;
use crate::config::tokens::{PermissionSource, TenantFormat};
use crate::http::method::MethodSet;
use crate::identity::forge::{NOW, SUBJECT, TENANT, claims, names, settings, token, token_cache};
use crate::identity::roles::Role;
use crate::identity::verifier::Verifier;
use crate::pipeline::authenticate::{Authorization, authenticate, digest};
use crate::pipeline::target_tenant::{self, Proof};
use serde_json::{Value, json};

const VENUE: &str = "0b5e2f1c-77aa-4b0e-9d3e-5a1c2b3d4e5f";
const STRANGER: &str = "99999999-9999-4999-8999-999999999999";
const OTHER_TENANT: &str = "4f2b8c1e-9a4d-4c5b-8e7f-0123456789ab";
const PLAIN: Question =
    Question { venue: QueryValue::Absent, scraper: Scraper::Foreign, known: UNKNOWN, target: None };
const UNKNOWN: Known = Known { venue: None, staff: None };
const FINDINGS: [Finding; 3] = [Finding::Holds, Finding::Lacks, Finding::Unavailable];

/// What a request says beside its path, and what is known of it.
#[derive(Clone)]
struct Question {
    venue: QueryValue<'static>,
    scraper: Scraper,
    known: Known,
    target: Option<&'static str>,
}

/// Why there is no grant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stop {
    Refused(Rejection),
    /// Which venue, and which permission by name.
    Venue(String, Option<String>),
    Staff,
}

type Outcome = Result<Option<Bypass>, Stop>;

/// One row `/x/{id}` of a class, and the means to ask about it.
struct Gate {
    row: Row,
    mode: VenueAccessMode,
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
        Gate { row, mode: VenueAccessMode::Bearer }
    }

    fn ask(&self, question: Question, id: &str, changes: Option<Value>) -> Result<Grant, Stop> {
        let rows = std::slice::from_ref(&self.row);
        let policy = Policy::new(rows, &names(rows), PermissionSource::Union, self.mode).expect("compiles");
        let principal = changes.map(|changes| principal(rows, changes));
        let sent = question.target.into_iter().map(str::as_bytes);
        let target_tenant = principal.as_ref().and_then(|principal| {
            target_tenant::choose(sent, principal, Proof::Complete, TenantFormat::Uuid).expect("a tenant")
        });
        let segments = ["x".as_bytes(), id.as_bytes()];
        let case = Case {
            scraper: question.scraper,
            segment: |index: u8| segments.get(usize::from(index)).copied().unwrap_or_default().into(),
            venue: || question.venue.clone(),
            principal,
            target_tenant,
        };
        match authorise(policy.rule(0), &case, question.known) {
            Ok(Step::Granted(grant)) => Ok(grant),
            Ok(Step::Needs { need: Need::Staff, .. }) => Err(Stop::Staff),
            Ok(Step::Needs { need: Need::Venue { venue, standing }, of }) => {
                assert_eq!(of.subject(), SUBJECT);
                Err(Stop::Venue(venue.as_str().to_owned(), standing.asked().map(str::to_owned)))
            }
            Err(rejection) => Err(Stop::Refused(rejection)),
        }
    }

    /// What a role gets on `/x/{id}`.
    fn by_role(&self, role: &str, id: &str) -> Outcome {
        self.knowing(UNKNOWN, role, id)
    }

    /// The same once something was found out.
    fn knowing(&self, known: Known, role: &str, id: &str) -> Outcome {
        let principal = json!({"role": role, "permissions": []});
        self.ask(Question { known, ..PLAIN }, id, Some(principal)).map(|grant| grant.bypass())
    }

    fn by_query_venue(&self, role: &str, venue: QueryValue<'static>) -> Outcome {
        self.by_query_venue_knowing(UNKNOWN, role, venue)
    }

    fn by_query_venue_knowing(&self, known: Known, role: &str, venue: QueryValue<'static>) -> Outcome {
        let principal = json!({"role": role, "permissions": []});
        self.ask(Question { venue, known, ..PLAIN }, "x", Some(principal)).map(|grant| grant.bypass())
    }
}

/// Somebody whose token says what tokens say, with `changes`.
fn principal(rows: &[Row], changes: Value) -> Rc<Principal> {
    let value = format!("Bearer {}", token(&claims(changes)));
    let verifier = Verifier::new(&settings(), &names(rows)).expect("usable settings");
    let header = Authorization::One(value.as_bytes());
    let digest = digest(header, &verifier).expect("a bearer token");
    Rc::new(authenticate((header, digest), &verifier, token_cache(), NOW).expect("a good token").0)
}

fn refused(rejection: Rejection) -> Outcome {
    Err(Stop::Refused(rejection))
}

fn forbidden_by(denial: Denial) -> Outcome {
    refused(Rejection::Forbidden(denial))
}

fn needs_venue() -> Outcome {
    Err(Stop::Venue(VENUE.to_owned(), None))
}

fn at_venue(finding: Finding) -> Known {
    Known { venue: Some(finding), staff: None }
}

fn as_staff(finding: Finding) -> Known {
    Known { venue: None, staff: Some(finding) }
}

fn named() -> QueryValue<'static> {
    QueryValue::One(VENUE.as_bytes().into())
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
    assert_eq!(gate.ask(PLAIN, "x", None).err(), Some(Stop::Refused(Rejection::NotFound)));
    let admin = Some(json!({"role": "admin"}));
    assert_eq!(gate.ask(PLAIN, "x", admin).err(), Some(Stop::Refused(Rejection::NotFound)));
}

#[test]
fn a_denied_row_is_there_for_nobody() {
    let mut gate = Gate::new(Access::User);
    gate.row.target = Target::Deny;
    assert_eq!(gate.ask(PLAIN, "x", None).err(), Some(Stop::Refused(Rejection::NotFound)));
    let admin = Some(json!({"role": "admin"}));
    assert_eq!(gate.ask(PLAIN, "x", admin).err(), Some(Stop::Refused(Rejection::NotFound)));
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
        let missing = Rejection::Unauthorized(TokenFault::MissingToken);
        assert_eq!(refused, Some(Stop::Refused(missing)), "{class:?}");
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
    let denied = forbidden_by(Denial::Owner);
    assert_eq!(gate.by_role("customer", SUBJECT), Ok(None));
    assert_eq!(gate.by_role("customer", &SUBJECT.to_uppercase()), Ok(None));
    assert_eq!(gate.by_role("customer", STRANGER), denied.clone());
    assert_eq!(gate.by_role("customer", ""), denied.clone());
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
                assert_eq!(verdict, forbidden_by(Denial::Permission), "{wanted} for {role}");
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
        let denied = Stop::Refused(Rejection::Forbidden(Denial::Permission));
        assert_eq!(refused, Some(denied), "{held}");
    }
}

#[test]
fn an_own_permission_is_held_for_ones_own_id_only() {
    let mut gate = Gate::new(permission("tickets:view-own"));
    gate.row.segments = vec![Segment::Literal("x".to_owned()), Segment::Parameter("userId".to_owned())];
    assert_eq!(gate.by_role("customer", SUBJECT), Ok(None));
    assert_eq!(gate.by_role("customer", STRANGER), forbidden_by(Denial::Permission));
    assert_eq!(gate.by_role("door-staff", STRANGER), Ok(None));
}

#[test]
fn a_role_row_is_for_the_roles_it_lists() {
    let gate = Gate::new(roles(&["admin", "venue-owner"]));
    for role in Role::ALL.map(Role::name) {
        let listed = ["admin", "superadmin", "venue-owner"].contains(&role);
        let expected = if listed { Ok(None) } else { forbidden_by(Denial::Role) };
        assert_eq!(gate.by_role(role, "x"), expected, "{role}");
    }
    assert_eq!(gate.by_role("organizer", "x"), Ok(None), "an alias of venue-owner");
}

#[test]
fn a_staff_row_is_open_to_the_permission_and_asks_about_others() {
    let gate = Gate::new(staff("tickets:validate"));
    for role in ["venue-owner", "venue-manager", "box-office", "door-staff", "scanner"] {
        assert_eq!(gate.by_role(role, "x"), Ok(None), "{role}");
    }
    for role in ["admin", "superadmin"] {
        assert_eq!(gate.by_role(role, "x"), Ok(Some(Bypass::Staff)), "{role}");
    }
    for role in ["customer", "compliance-admin", "operator", "support"] {
        assert_eq!(gate.by_role(role, "x"), Err(Stop::Staff), "{role}");
        assert_eq!(gate.knowing(at_venue(Finding::Holds), role, "x"), Err(Stop::Staff), "of one venue");
        assert_eq!(gate.knowing(as_staff(Finding::Holds), role, "x"), Ok(None), "{role}");
        assert_eq!(gate.knowing(as_staff(Finding::Lacks), role, "x"), forbidden_by(Denial::Staff), "{role}");
        let unavailable = gate.knowing(as_staff(Finding::Unavailable), role, "x");
        assert_eq!(unavailable, refused(Rejection::CheckUnavailable), "{role}");
    }
}

#[test]
fn a_venue_row_asks_about_all_but_audited_administrators() {
    let needs = [VenueNeed::Member, VenueNeed::Owner, VenueNeed::Permission("reports:view".to_owned())];
    for need in needs {
        let gate = Gate::new(venue(need, VenueFrom::Segment(1)));
        for role in Role::ALL {
            let expected = if role.is_administrator() { Ok(Some(Bypass::Venue)) } else { needs_venue() };
            assert_eq!(gate.by_role(role.name(), VENUE), expected, "{role:?}");
            assert_eq!(gate.by_role(role.name(), &VENUE.to_uppercase()), expected, "one venue in any case");
        }
    }
}

#[test]
fn what_was_found_out_decides_a_venue_row() {
    let gate = Gate::new(venue(VenueNeed::Member, VenueFrom::Segment(1)));
    for role in ["customer", "venue-owner", "operator"] {
        assert_eq!(gate.knowing(at_venue(Finding::Holds), role, VENUE), Ok(None));
        assert_eq!(gate.knowing(at_venue(Finding::Lacks), role, VENUE), refused(Rejection::VenueDenied));
        let unavailable = gate.knowing(at_venue(Finding::Unavailable), role, VENUE);
        assert_eq!(unavailable, refused(Rejection::CheckUnavailable));
        assert_eq!(gate.knowing(as_staff(Finding::Holds), role, VENUE), needs_venue(), "of another one");
    }
    for finding in FINDINGS {
        assert_eq!(gate.knowing(at_venue(finding), "admin", VENUE), Ok(Some(Bypass::Venue)));
    }
}

#[test]
fn a_permission_is_asked_for_by_name_only_where_the_mode_says_so() {
    let needs = [
        (VenueNeed::Member, None),
        (VenueNeed::Owner, None),
        (VenueNeed::Permission("reports:view".to_owned()), Some("reports:view")),
        (VenueNeed::Permission("view:reports".to_owned()), Some("reports:view")),
        (VenueNeed::Permission("tickets:view-own".to_owned()), Some("tickets:view")),
    ];
    for (need, asked) in needs {
        let mut gate = Gate::new(venue(need, VenueFrom::Segment(1)));
        assert_eq!(gate.by_role("customer", VENUE), needs_venue());
        gate.mode = VenueAccessMode::Hmac;
        let by_name = Err(Stop::Venue(VENUE.to_owned(), asked.map(str::to_owned)));
        assert_eq!(gate.by_role("customer", VENUE), by_name);
    }
}

#[test]
fn a_venue_that_is_no_uuid_does_not_exist() {
    let gate = Gate::new(venue(VenueNeed::Member, VenueFrom::Segment(1)));
    for id in ["", "7", "user", &format!("{VENUE}x"), &VENUE.replace('-', "")] {
        for role in ["customer", "venue-owner", "admin"] {
            assert_eq!(gate.by_role(role, id), refused(Rejection::VenueNotFound), "{role} {id}");
        }
    }
}

#[test]
fn a_venue_in_the_query_binds_and_without_one_the_staff_rule_decides() {
    let gate = Gate::new(Access::Any(vec![
        venue(VenueNeed::Permission("reports:view".to_owned()), VenueFrom::Query),
        staff("reports:view"),
    ]));
    assert_eq!(gate.by_query_venue("venue-manager", QueryValue::Absent), Ok(None));
    assert_eq!(gate.by_query_venue("customer", QueryValue::Absent), Err(Stop::Staff));
    // The permission is held globally, but whether for this venue is not known.
    for role in ["customer", "venue-manager", "venue-owner"] {
        assert_eq!(gate.by_query_venue(role, named()), needs_venue(), "{role}");
        let known = |finding| Known { venue: Some(finding), staff: Some(Finding::Holds) };
        let decided = |finding| gate.by_query_venue_knowing(known(finding), role, named());
        assert_eq!(decided(Finding::Holds), Ok(None));
        assert_eq!(decided(Finding::Lacks), refused(Rejection::VenueDenied), "staff of another venue");
        assert_eq!(decided(Finding::Unavailable), refused(Rejection::CheckUnavailable));
    }
    assert_eq!(gate.by_query_venue("admin", named()), Ok(Some(Bypass::Venue)));
    assert_eq!(gate.by_query_venue("admin", QueryValue::Absent), Ok(Some(Bypass::Staff)));
    for venue in
        [QueryValue::One(b"".as_slice().into()), QueryValue::One(b"7".as_slice().into()), QueryValue::Several]
    {
        let nothing = refused(Rejection::VenueNotFound);
        assert_eq!(gate.by_query_venue("venue-manager", venue.clone()), nothing, "{venue:?}");
        assert_eq!(gate.by_query_venue("admin", venue.clone()), nothing, "{venue:?}");
    }
}

#[test]
fn a_row_that_wants_a_venue_in_the_query_does_not_go_without() {
    let class = venue(VenueNeed::Member, VenueFrom::Query);
    for gate in
        [Gate::new(class.clone()), Gate::new(Access::Any(vec![class])), Gate::new(Access::Any(vec![]))]
    {
        for role in ["customer", "admin"] {
            assert_eq!(gate.by_query_venue(role, QueryValue::Absent), refused(Rejection::VenueNotFound));
        }
    }
}

#[test]
fn of_several_classes_the_first_that_allows_decides() {
    let gate = Gate::new(Access::Any(vec![Access::Own { segment: 1 }, staff("customers:view")]));
    assert_eq!(gate.by_role("customer", SUBJECT), Ok(None));
    assert_eq!(gate.by_role("venue-owner", STRANGER), Ok(None), "by the second");
    assert_eq!(gate.by_role("admin", STRANGER), Ok(Some(Bypass::Owner)));
    // Denied by the first, open by the second.
    assert_eq!(gate.by_role("customer", STRANGER), Err(Stop::Staff));
    let knowing = |finding| gate.knowing(as_staff(finding), "customer", STRANGER);
    assert_eq!(knowing(Finding::Holds), Ok(None));
    assert_eq!(knowing(Finding::Lacks), forbidden_by(Denial::Owner));
    assert_eq!(knowing(Finding::Unavailable), refused(Rejection::CheckUnavailable));
}

#[test]
fn nobody_is_asked_while_another_class_allows() {
    let gate = Gate::new(Access::Any(vec![
        venue(VenueNeed::Member, VenueFrom::Segment(1)),
        staff("tickets:sell"),
        permission("tickets:purchase"),
    ]));
    assert_eq!(gate.by_role("customer", VENUE), Ok(None), "by the last");
    assert_eq!(gate.by_role("box-office", VENUE), Ok(None), "by the second");
    // Neither: the venue is asked about first, then the staff, and one yes is enough.
    let known = |venue, staff| Known { venue, staff };
    let [holds, lacks, unavailable] = FINDINGS.map(Some);
    for (known, expected) in [
        (known(None, None), needs_venue()),
        (known(holds, None), Ok(None)),
        (known(lacks, None), Err(Stop::Staff)),
        (known(unavailable, None), Err(Stop::Staff)),
        (known(unavailable, holds), Ok(None)),
        (known(lacks, lacks), refused(Rejection::VenueDenied)),
        (known(lacks, unavailable), refused(Rejection::CheckUnavailable)),
        (known(unavailable, lacks), refused(Rejection::CheckUnavailable)),
    ] {
        assert_eq!(gate.knowing(known, "door-staff", VENUE), expected, "{known:?}");
    }
}

#[test]
fn if_none_of_several_allows_the_first_denial_answers() {
    let denials = Gate::new(Access::Any(vec![permission("tickets:sell"), roles(&["admin"])]));
    assert_eq!(denials.by_role("customer", "x"), forbidden_by(Denial::Permission));
    let reversed = Gate::new(Access::Any(vec![roles(&["admin"]), permission("tickets:sell")]));
    assert_eq!(reversed.by_role("customer", "x"), forbidden_by(Denial::Role));
    let open = Gate::new(Access::Any(vec![staff("tickets:sell"), roles(&["admin"])]));
    assert_eq!(open.by_role("customer", "x"), Err(Stop::Staff));
}

#[test]
fn either_of_two_permissions_lets_in() {
    let gate = Gate::new(Access::Any(vec![permission("tickets:purchase"), permission("tickets:sell")]));
    assert_eq!(gate.by_role("customer", "x"), Ok(None));
    assert_eq!(gate.by_role("box-office", "x"), Ok(None));
    assert_eq!(gate.by_role("door-staff", "x"), forbidden_by(Denial::Permission));
}

#[test]
fn a_rule_that_needs_no_identity_allows_nothing_as_a_member() {
    for member in [Rule::Public, Rule::Scrapers, Rule::Deny] {
        let case = Case {
            scraper: Scraper::Allowed,
            segment: |_| b"".as_slice().into(),
            venue: || QueryValue::Absent,
            principal: Some(principal(&[], json!({"role": "admin"}))),
            target_tenant: None,
        };
        let rule = Rule::Any(vec![member]);
        assert_eq!(authorise(&rule, &case, UNKNOWN).err(), Some(Rejection::NotFound));
    }
}

#[test]
fn services_are_told_the_tenant_of_the_token() {
    let grant = Gate::new(Access::User).ask(PLAIN, "x", Some(json!({"role": "admin"}))).expect("granted");
    let told =
        IdentityHeaders { tenant: TENANT, tenant_source: TenantSource::Jwt, user: SUBJECT, role: "admin" };
    assert_eq!(grant.identity(), Some(told));
    assert_eq!(Gate::new(Access::Public).ask(PLAIN, "x", None).expect("granted").identity(), None);
}

#[test]
fn a_superadmin_in_another_tenant_is_named_with_it_and_always_audited() {
    let question = || Question { target: Some(OTHER_TENANT), ..PLAIN };
    let superadmin = || Some(json!({"role": "superadmin", "permissions": []}));
    for class in
        [Access::User, Access::Own { segment: 1 }, permission("x:y"), roles(&["admin"]), staff("x:y")]
    {
        let grant = Gate::new(class.clone()).ask(question(), STRANGER, superadmin()).expect("granted");
        assert_eq!(grant.bypass(), Some(Bypass::Tenant), "{class:?}");
        let told = IdentityHeaders {
            tenant: OTHER_TENANT,
            tenant_source: TenantSource::AdminOverride,
            user: SUBJECT,
            role: "superadmin",
        };
        assert_eq!(grant.identity(), Some(told));
    }
}

#[test]
fn outside_the_own_tenant_a_superadmin_does_not_pass_for_a_venues_staff() {
    let gate = Gate::new(venue(VenueNeed::Member, VenueFrom::Segment(1)));
    let ask = |known| {
        let question = Question { target: Some(OTHER_TENANT), known, ..PLAIN };
        gate.ask(question, VENUE, Some(json!({"role": "superadmin"}))).map(|grant| grant.bypass())
    };
    assert_eq!(ask(UNKNOWN), needs_venue());
    assert_eq!(ask(at_venue(Finding::Lacks)), refused(Rejection::VenueDenied));
    assert_eq!(ask(at_venue(Finding::Holds)), Ok(Some(Bypass::Tenant)));
}
