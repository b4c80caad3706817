//! Compiling rows: what each class becomes, and which rows stop the start.

use super::*;
use crate::config::routes::{Notes, ShedClass};
use crate::http::method::MethodSet;
use crate::identity::forge::names;

fn row(segments: Vec<Segment>, access: Access) -> Row {
    Row {
        id: "X1".to_owned(),
        template: "/x".to_owned(),
        segments,
        methods: MethodSet::READ,
        target: Target::Service { service: crate::config::services::ServiceId(0), upstream: vec![] },
        access,
        timeout_ms: None,
        body_bytes_max: None,
        notes: Notes::default(),
        class: ShedClass::Browsing,
        reason: String::new(),
    }
}

fn parameter(name: &str) -> Segment {
    Segment::Parameter(name.to_owned())
}

fn compile(row: Row, source: PermissionSource) -> Result<Policy, PolicyFault> {
    let rows = [row];
    Policy::new(&rows, &names(&rows), source, VenueAccessMode::Bearer)
}

fn fault(segments: Vec<Segment>, access: Access) -> Option<PolicyFault> {
    compile(row(segments, access), PermissionSource::Union).err()
}

/// Whether a role, or a token that holds `token` beside the role support, satisfies the row's permission.
fn holds(permission: &str, source: PermissionSource, role: Role, token: &[&str]) -> bool {
    let rows = [row(vec![parameter("userId")], Access::Permission(permission.to_owned()))];
    let mut table = names(&rows);
    table.permissions.push(("other:thing".to_owned(), 999));
    let policy = Policy::new(&rows, &table, source, VenueAccessMode::Bearer).expect("compiles");
    let ids: Vec<u16> = token
        .iter()
        .map(|held| table.permissions.iter().find(|(name, _)| name == held).expect("named").1)
        .collect();
    match policy.rule(0) {
        Rule::Permission(permit) => permit.is_held(role, &ids, |segment| segment == 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_is_not_there_is_never_granted() {
    let policy = compile(row(vec![], Access::User), PermissionSource::Union).expect("compiles");
    assert_eq!(policy.rule(0), &Rule::User);
    assert_eq!(policy.rule(1), &Rule::Deny);
}

#[test]
fn a_denied_target_is_never_granted_whatever_its_class() {
    let mut denied = row(vec![], Access::Public);
    denied.target = Target::Deny;
    let policy = compile(denied, PermissionSource::Union).expect("compiles");
    assert_eq!(policy.rule(0), &Rule::Deny);
}

#[test]
fn only_public_scraper_and_denied_rows_need_no_identity() {
    let needs = [
        (Rule::Public, false),
        (Rule::Scrapers, false),
        (Rule::Deny, false),
        (Rule::User, true),
        (Rule::Own { segment: 0 }, true),
        (Rule::Role(RoleSet::NONE), true),
        (member(VenueId::Query), true),
        (Rule::Any(vec![]), true),
    ];
    for (rule, expected) in needs {
        assert_eq!(rule.needs_identity(), expected, "{rule:?}");
    }
}

#[test]
fn a_token_permission_satisfies_itself_and_what_its_wildcards_cover() {
    use PermissionSource::Union;
    let permission = "settings:view";
    for held in ["settings:view", "settings:*", "*"] {
        assert!(holds(permission, Union, Role::Support, &[held]), "{held}");
        assert!(holds(permission, Union, Role::Support, &["other:thing", held]), "{held}");
    }
    for held in [&[] as &[&str], &["tickets:*"], &["tickets:view"], &["other:thing"]] {
        assert!(!holds(permission, Union, Role::Support, held), "{held:?}");
    }
}

#[test]
fn the_source_decides_what_counts() {
    use PermissionSource::{Role as FromRole, Token, Union};
    let cases = [(Union, true, true), (Token, false, true), (FromRole, true, false)];
    for (source, by_role, by_token) in cases {
        assert_eq!(holds("tickets:validate", source, Role::DoorStaff, &[]), by_role, "{source:?}");
        let held = ["tickets:validate"];
        assert_eq!(holds("tickets:validate", source, Role::Customer, &held), by_token, "{source:?}");
    }
}

#[test]
fn an_own_permission_is_for_the_owner_and_its_base_for_everyone() {
    use PermissionSource::Union;
    let rows = [
        row(vec![Segment::Literal("t".to_owned()), parameter("userId")], own("tickets:view-own")),
        row(vec![parameter("id")], own("tickets:view-own")),
    ];
    let policy = Policy::new(&rows, &names(&rows), Union, VenueAccessMode::Bearer).expect("compiles");
    let held = |row: usize, role: Role, owner: bool| match policy.rule(row) {
        Rule::Permission(permit) => permit.is_held(role, &[], |segment| owner && segment == 1),
        other => panic!("{other:?}"),
    };
    assert!(held(0, Role::Customer, true));
    assert!(!held(0, Role::Customer, false));
    assert!(held(0, Role::DoorStaff, false), "tickets:view allows");
    assert!(held(0, Role::Admin, false));
    assert!(!held(1, Role::Customer, true), "no segment names an owner");
    assert!(held(1, Role::DoorStaff, false));
}

#[test]
fn an_own_permission_of_a_token_is_for_the_owner_too() {
    use PermissionSource::{Role as FromRole, Union};
    assert!(holds("settings:view-own", Union, Role::Support, &["settings:view-own"]));
    assert!(holds("settings:view-own", Union, Role::Support, &["settings:view"]));
    assert!(holds("settings:view-own", Union, Role::Support, &["settings:*"]));
    assert!(!holds("settings:view-own", Union, Role::Support, &["other:thing"]));
    assert!(!holds("settings:view-own", FromRole, Role::Support, &["settings:view-own"]));
    assert!(!holds("settings:view", Union, Role::Support, &["tickets:view-own"]));
}

#[test]
fn a_superadmin_counts_as_an_admin_and_not_the_other_way_round() {
    let roles = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let policy = compile(row(vec![], Access::Role(words)), PermissionSource::Union).expect("compiles");
        match policy.rule(0) {
            Rule::Role(roles) => *roles,
            other => panic!("{other:?}"),
        }
    };
    assert!(roles(&["admin"]).contains(Role::Admin) && roles(&["admin"]).contains(Role::Superadmin));
    assert!(!roles(&["superadmin"]).contains(Role::Admin));
    assert!(!roles(&["admin", "operator"]).contains(Role::VenueOwner));
    assert!(roles(&["admin", "operator"]).contains(Role::Operator));
}

#[test]
fn classes_compile_to_rules() {
    let venue = |venue: VenueFrom| Access::Venue { need: VenueNeed::Member, venue };
    let cases = [
        (Access::Public, Rule::Public),
        (Access::Scrapers, Rule::Scrapers),
        (Access::User, Rule::User),
        (Access::Own { segment: 0 }, Rule::Own { segment: 0 }),
        (venue(VenueFrom::Segment(0)), member(VenueId::Segment(0))),
        (venue(VenueFrom::Query), member(VenueId::Query)),
        (
            Access::Any(vec![venue(VenueFrom::Query), Access::User]),
            Rule::Any(vec![member(VenueId::Query), Rule::User]),
        ),
        (
            Access::Any(vec![Access::User, Access::Own { segment: 0 }, venue(VenueFrom::Query)]),
            Rule::Any(vec![member(VenueId::Query), Rule::User, Rule::Own { segment: 0 }]),
        ),
    ];
    for (access, expected) in cases {
        let policy = compile(row(vec![parameter("id")], access), PermissionSource::Union).expect("compiles");
        assert_eq!(policy.rule(0), &expected);
    }
}

#[test]
fn a_row_that_cannot_be_decided_stops_the_start() {
    let row_id = || "X1".to_owned();
    let missing = |segment: u8| Some(PolicyFault::NoSuchParameter { row: row_id(), segment });
    assert_eq!(fault(vec![], Access::Own { segment: 0 }), missing(0));
    let literal = || vec![Segment::Literal("x".to_owned()), Segment::Rest];
    assert_eq!(fault(literal(), Access::Own { segment: 0 }), missing(0));
    let venue = Access::Venue { need: VenueNeed::Owner, venue: VenueFrom::Segment(1) };
    assert_eq!(fault(literal(), venue), missing(1));
    let role = Access::Role(vec!["admin".to_owned(), "owner".to_owned()]);
    let unknown = PolicyFault::UnknownRole { row: row_id(), role: "owner".to_owned() };
    assert_eq!(fault(vec![], role), Some(unknown));
    for public in [Access::Public, Access::Scrapers] {
        let hidden = PolicyFault::HiddenPublic { row: row_id() };
        assert_eq!(fault(vec![], Access::Any(vec![Access::User, public])), Some(hidden));
    }
}

#[test]
fn a_permission_that_was_not_interned_stops_the_start() {
    for (removed, access) in [
        ("*", own("settings:view")),
        ("settings:view", own("settings:view")),
        ("settings:*", Access::Staff("settings:view".to_owned())),
        ("settings:view", own("settings:view-own")),
        ("settings:view-own", own("settings:view-own")),
        ("*", at_venue(VenueNeed::Owner)),
        ("settings:*", at_venue(VenueNeed::Permission("settings:view".to_owned()))),
    ] {
        let rows = [row(vec![parameter("userId")], access)];
        let mut table = names(&rows);
        table.permissions.retain(|(name, _)| name != removed);
        let mode = VenueAccessMode::Bearer;
        let fault = Policy::new(&rows, &table, PermissionSource::Union, mode).err();
        let expected = PolicyFault::Unnamed { row: "X1".to_owned(), permission: removed.to_owned() };
        assert_eq!(fault, Some(expected));
    }
}

fn own(permission: &str) -> Access {
    Access::Permission(permission.to_owned())
}

fn at_venue(need: VenueNeed) -> Access {
    Access::Venue { need, venue: VenueFrom::Segment(0) }
}

fn member(id: VenueId) -> Rule {
    Rule::Venue(VenueRule { id, standing: Standing::Member })
}

/// What a row wants at a venue, and the ids of its vocabulary.
fn standing(need: VenueNeed, mode: VenueAccessMode) -> (Standing, NameTable) {
    let rows = [row(vec![parameter("venueId")], at_venue(need))];
    let table = names(&rows);
    let mut policy = Policy::new(&rows, &table, PermissionSource::Role, mode).expect("compiles");
    match policy.rules.pop() {
        Some(Rule::Venue(VenueRule { standing, .. })) => (standing, table),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_venue_service_lists_decides_what_somebody_is_at_a_venue() {
    let permission = |name: &str| VenueNeed::Permission(name.to_owned());
    let cases: [(VenueNeed, Option<Role>, &[&str], bool); 15] = [
        (VenueNeed::Member, None, &[], true),
        (VenueNeed::Member, Some(Role::DoorStaff), &["tickets:validate"], true),
        (VenueNeed::Owner, Some(Role::VenueOwner), &[], true),
        (VenueNeed::Owner, None, &["*"], true),
        (VenueNeed::Owner, Some(Role::VenueManager), &["events:*"], false),
        (VenueNeed::Owner, None, &[], false),
        (permission("reports:view"), None, &["reports:view"], true),
        (permission("reports:view"), None, &["tickets:view", "reports:*"], true),
        (permission("reports:view"), None, &["*"], true),
        (permission("view:reports"), None, &["reports:view"], true),
        (permission("reports:view"), None, &["reports:export", "tickets:view"], false),
        (permission("reports:view"), Some(Role::VenueManager), &[], false),
        (permission("reports:view"), Some(Role::VenueOwner), &[], false),
        (permission("tickets:view-own"), None, &["tickets:view"], true),
        (permission("tickets:view-own"), None, &["tickets:view-own"], false),
    ];
    for (need, role, listed, expected) in cases {
        let (standing, mut table) = standing(need.clone(), VenueAccessMode::Bearer);
        for (id, name) in (900..).zip(listed) {
            if !table.permissions.iter().any(|(known, _)| known == name) {
                table.permissions.push(((*name).to_owned(), id));
            }
        }
        let id = |name: &&str| table.permissions.iter().find(|(known, _)| known == name).expect("named").1;
        let ids: Vec<u16> = listed.iter().map(id).collect();
        assert_eq!(standing.is_held(role, &ids), expected, "{need:?} by {role:?} with {listed:?}");
    }
}

#[test]
fn a_row_that_asks_for_several_things_at_one_venue_stops_the_start() {
    let segment = || at_venue(VenueNeed::Member);
    let query = || Access::Venue { need: VenueNeed::Member, venue: VenueFrom::Query };
    let compiled = |members| fault(vec![parameter("venueId")], Access::Any(members));
    let several = PolicyFault::SeveralVenues { row: "X1".to_owned() };
    assert_eq!(compiled(vec![segment(), at_venue(VenueNeed::Owner)]), Some(several.clone()));
    assert_eq!(compiled(vec![segment(), Access::Any(vec![segment()])]), Some(several));
    assert_eq!(compiled(vec![query(), segment()]), None, "the query's binds, or it is not there");
}
