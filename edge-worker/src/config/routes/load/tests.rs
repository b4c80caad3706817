//! What a file may say, and that every problem is found with its line.

use super::*;
use crate::config::lookups::identity::OutagePolicy;
use crate::config::routes::{Access, Idempotency, ShedClass, StalePolicy};

fn load_text(text: &str) -> Result<Vec<Row>, Vec<Problem>> {
    load(Some(Source { name: "floodgate.toml", text }), &["mandrill".to_owned()], &[])
}

fn problems(text: &str) -> Vec<String> {
    load_text(text).expect_err("the file has problems").iter().map(Problem::to_string).collect()
}

/// One row with these keys, on line 3.
fn problem_of_row(keys: &str) -> String {
    problems(&format!("\n# comment\nroutes = [{{ {keys} }}]\n")).join("\n")
}

#[test]
fn policies_for_an_outage_stand_where_they_mean_something() {
    for (keys, wanted) in [
        (r#"methods = "R", access = "user""#, ""),
        (r#"methods = "A", access = "own:x""#, ""),
        (r#"methods = "W", access = "user""#, "outage: lets claims decide"),
        (r#"methods = "R", access = "perm:events:update""#, "outage: lets claims decide"),
        (r#"methods = "R", access = "pub", reason = "why""#, "stale: means nothing"),
        (r#"methods = "R", access = "scrapers", reason = "why""#, "outage: means nothing"),
    ] {
        let row = format!(r#"id = "A", path = "/a/{{x}}", service = "auth", {keys}"#);
        let text = format!("\n# comment\nroutes = [{{ {row}, outage = \"claims\", stale = \"check\" }}]\n");
        match load_text(&text) {
            Ok(rows) => {
                assert_eq!(wanted, "", "{keys}");
                let notes: Vec<_> = rows.iter().map(|row| (row.notes.outage, row.notes.stale)).collect();
                assert_eq!(notes, [(Some(OutagePolicy::Claims), StalePolicy::Check)]);
            }
            Err(_) => {
                let found = problems(&text).join("\n");
                assert!(!wanted.is_empty() && found.contains(wanted), "{keys}: {found}");
            }
        }
    }
    let denied = r#"id = "A", path = "/a", methods = "R", access = "deny", stale = "serve""#;
    assert!(problem_of_row(denied).contains("stale: means nothing"), "{}", problem_of_row(denied));
}

#[test]
fn without_routes_in_the_file_the_built_in_table_is_used() {
    let built_in = load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid");
    assert!(built_in.len() > 200, "{} rows", built_in.len());
    assert_eq!(load_text("[limits]\nx = 1\n").as_ref(), Ok(&built_in));
    assert_eq!(load_text("").as_ref(), Ok(&built_in));
}

#[test]
fn routes_in_the_file_replace_the_whole_table() {
    let rows = load_text(
        r#"
[[routes]]
id = "T7"
path = ["/users/{userId}/{cart,Seats}", "/me"]
methods = "R POST"
service = "ticket"
upstream = "="
access = "user"
timeout_s = 7
body = "2KiB"
class = "checkout"
idempotency = "uuid"
cache_s = 3
stream = true

[[routes]]
id = "B"
path = "/b"
methods = "W"
service = "event"
access = "pub"
reason = "open house"
body = 17
"#,
    )
    .expect("valid");
    let templates: Vec<&str> = rows.iter().map(|row| row.template.as_str()).collect();
    assert_eq!(templates, ["/users/{userId}/cart", "/users/{userId}/Seats", "/me", "/b"]);
    let [cart, _, _, public] = rows.as_slice() else { panic!("four rows") };
    assert_eq!(
        (cart.timeout_ms, cart.body_bytes_max, cart.class),
        (Some(7000), Some(2048), ShedClass::Checkout)
    );
    assert_eq!((cart.notes.idempotency, cart.notes.cache_s), (Idempotency::RequiredUuid, 3));
    assert!(cart.notes.stream && !cart.notes.buffered && !cart.notes.webhook);
    assert_eq!((&public.access, public.class), (&Access::Public, ShedClass::Anonymous));
    assert_eq!((public.timeout_ms, public.body_bytes_max), (None, Some(17)));
}

#[test]
fn all_problems_are_reported_at_once_with_their_lines() {
    let found = problems(
        r#"
[[routes]]
id = "A"
path = "/a"
methods = "R"
service = "auht"
access = "everyone"
colour = "red"

[[routes]]
id = "B"
path = "/b/{x}"
methods = "GET PUSH"
service = "auth"
access = "own:y"
timeout_s = 0

[[routes]]
id = "C"
path = "/b/{y}"
methods = "R"
service = "auth"
access = "own:z"
"#,
    );
    let wanted = [
        "floodgate.toml:6 routes[0].service: is none of: auth venue",
        "floodgate.toml:8 routes[0].colour: is not a key of this table",
        "floodgate.toml:13 routes[1].methods: `PUSH` is not a method",
        "floodgate.toml:16 routes[1].timeout_s: is not a number from 1 to 600",
        "floodgate.toml:23 routes[2].access: access names {z}, which the path does not have",
    ];
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.starts_with(wanted), "{found} is not {wanted}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_key() {
    let base = r#"id = "A", path = "/a/{x}", methods = "R", service = "auth", access = "user""#;
    for (keys, wanted) in [
        (r#"path = "/a", methods = "R", service = "auth", access = "user""#, ":3 routes[0].id: is missing"),
        (r#"id = "A", methods = "R", service = "auth", access = "user""#, "routes[0].path: names no path"),
        (r#"id = "A", path = "/a", methods = "R", access = "user""#, "routes[0].service: is missing"),
        (r#"id = "A", path = "/a", methods = "R", service = "auth""#, "routes[0].access: is missing"),
        (
            r#"id = "A", path = "/a", methods = "", service = "auth", access = "user""#,
            "methods: names no method",
        ),
        (r#"id = 1, path = "/a", methods = "R", service = "auth", access = "user""#, "id: is not a text"),
        (
            r#"id = "A", path = 1, methods = "R", service = "auth", access = "user""#,
            "path: is not a text or a list",
        ),
        (
            r#"id = "A", path = [1], methods = "R", service = "auth", access = "user""#,
            "path: is not a text or a list",
        ),
        (
            r#"id = "A", path = "/{a", methods = "R", service = "auth", access = "user""#,
            "path: `/{a` has a `{`",
        ),
        (
            r#"id = "A", path = "a", methods = "R", service = "auth", access = "user""#,
            "path: `a` does not begin",
        ),
        (r#"id = "A", path = "/a", methods = "R", service = "auth", access = "pub""#, "reason: must say why"),
        (
            r#"id = "A", path = "/a", methods = "R", service = "auth", access = "deny""#,
            "service: means nothing",
        ),
        (
            r#"id = "A", path = "/a", methods = "R", local = "live", upstream = "=", access = "user""#,
            "upstream: means",
        ),
        (
            r#"id = "A", path = "/a", methods = "R", local = "live", service = "auth", access = "user""#,
            "service: means",
        ),
        (
            r#"id = "A", path = "/a", methods = "R", local = "lives", access = "user""#,
            "local: is none of: live ready",
        ),
        (
            r#"id = "A", path = "/a", methods = "R", local = "service-health", access = "user""#,
            "service: is missing",
        ),
        (
            r#"id = "A", path = "/a", methods = "HEAD", service = "auth", access = "user""#,
            "`HEAD` is not a method",
        ),
    ] {
        let found = problem_of_row(keys);
        assert!(found.contains(wanted), "{keys}: {found}");
    }
    for (extra, wanted) in [
        (r#"reason = "why""#, "reason: must say why"),
        (r#"upstream = "/b/{y}""#, "upstream: `/b/{y}` names {y}"),
        (r#"upstream = "/b => /c""#, "upstream: `/a/{x}` does not begin with `/b`"),
        (r#"deprecated = "/b/{y}""#, "deprecated: `/b/{y}` names {y}"),
        (r#"uuid = ["y"]"#, "uuid: names {y}"),
        (r#"timeout_s = 601"#, "timeout_s: is not a number from 1 to 600"),
        (r#"timeout_s = "1""#, "timeout_s: is not a number"),
        (r#"cache_s = -1"#, "cache_s: is not a number"),
        (r#"body = "64KB""#, "body: is not a size"),
        (r#"body = "xKiB""#, "body: is not a size"),
        (r#"body = -1"#, "body: is not a size"),
        (r#"stream = 1"#, "stream: is not a flag"),
        (r#"buffered = true"#, "buffered: needs a body cap of at most 64KiB"),
        (r#"buffered = true, body = "65KiB""#, "buffered: needs a body cap of at most 64KiB"),
        (r#"idempotency = "always""#, "idempotency: is none of: optional uuid"),
        (r#"validated = "x""#, "validated: is none of: purchase"),
        (r#"class = "x""#, "class: is none of: anonymous"),
        (r#"outage = "x""#, "outage: is none of: deny claims"),
        (r#"stale = "x""#, "stale: is none of: serve check"),
        (r#"fallback = "{""#, "fallback: is no JSON document"),
        (r#"fallback = 7"#, "fallback: is not a text"),
    ] {
        let found = problem_of_row(&format!("{base}, {extra}"));
        assert!(found.contains(wanted), "{extra}: {found}");
    }
}

#[test]
fn a_fallback_stands_for_a_service_or_means_nothing() {
    let local = r#"id = "A", path = "/a", methods = "R", access = "pub", reason = "why", local = "live""#;
    let found = problem_of_row(&format!("{local}, fallback = '{{}}'"));
    assert!(found.contains("fallback: means nothing on a row that no service answers"), "{found}");
    let served = r#"id = "A", path = "/a", methods = "R", access = "user", service = "search""#;
    let text = format!("routes = [{{ {served}, fallback = '{{\"items\":[]}}' }}]\n");
    let rows = load_text(&text).expect("a valid row");
    assert_eq!(rows.first().and_then(|row| row.notes.fallback.as_deref()), Some(r#"{"items":[]}"#));
}

#[test]
fn a_file_that_is_no_table_of_rows_is_one_problem() {
    assert!(problems("routes = [\n  { id = }\n]").join("").starts_with("floodgate.toml:2 routes: "));
    assert!(problems("\nroutes = 7").join("").starts_with("floodgate.toml:2 routes: invalid type"));
    let found = problems("\n[[route_aliases]]\nid = \"Z\"\n").join("");
    assert!(
        found.starts_with("floodgate.toml:2 route_aliases[0]: the file has aliases but no routes"),
        "{found}"
    );
}

#[test]
fn aliases_repeat_the_rows_below_a_prefix() {
    const ROUTES: &str = r#"
routes = [
  { id = "N", path = "/events/{id}", methods = "R", service = "event", upstream = "/v2/{id}", access = "own:id" },
  { id = "N", path = "/events", methods = "R", service = "event", access = "pub", reason = "test" },
  { id = "O", path = "/eventsother", methods = "R", service = "event", access = "user" },
]
"#;
    let with = |alias: &str| load_text(&format!("{ROUTES}route_aliases = [{{ {alias} }}]"));
    let rows = with(r#"id = "Z", prefix = "/Event", successor = "/events""#).expect("valid");
    let [_, _, _, one, all] = rows.as_slice() else { panic!("five rows") };
    assert_eq!((one.template.as_str(), one.id.as_str()), ("/Event/{id}", "N"));
    assert_eq!(one.notes.deprecated.as_deref(), Some("/events/{id}"));
    assert_eq!(one.segments.first(), Some(&crate::config::routes::Segment::Literal("event".to_owned())));
    assert_eq!(all.segments.first(), Some(&crate::config::routes::Segment::Literal("Event".to_owned())));
    assert_eq!(one.target, rows.first().expect("a row").target);
    for (alias, wanted) in [
        (r#"prefix = "/event", successor = "/events""#, "route_aliases[0].id: is missing"),
        (r#"id = "Z", prefix = "/event", successor = "/event""#, "successor: is the prefix of no row"),
        (r#"id = "Z", prefix = "event", successor = "/events""#, "prefix: `event/{id}` does not begin"),
        (r#"id = "Z", prefix = "/a/event", successor = "/events""#, "prefix: has another length"),
        (r#"id = "Z", prefix = "/eventsother", successor = "/events""#, "matches the same requests as"),
        (r#"id = "Z", prefix = "/event", successor = "/events", access = "pub""#, "access: is not a key"),
    ] {
        let found = with(alias).expect_err(alias).iter().map(Problem::to_string).collect::<String>();
        assert!(found.contains(wanted), "{alias}: {found}");
    }
}

#[test]
fn sunset_dates_reach_the_deprecated_rows_of_their_id() {
    let date = "Sun, 01 Nov 2026 00:00:00 GMT".to_owned();
    let sunset = [("Z1".to_owned(), date.clone()), ("P3".to_owned(), date.clone())];
    let rows = load(None, &[], &sunset).expect("valid");
    for row in &rows {
        let dated = row.template.starts_with("/api/v1/event/")
            || matches!(row.template.as_str(), "/api/v1/event" | "/api/v1/payments/{id}/refund");
        if dated {
            assert_eq!(row.notes.sunset.as_ref(), Some(&date), "{}", row.template);
        }
        assert!(row.notes.sunset.is_none() || row.notes.deprecated.is_some(), "{}", row.template);
    }
    for id in ["V1", "Z9"] {
        let found = load(None, &[], &[(id.to_owned(), date.clone())]).expect_err(id);
        assert_eq!(found.first().map(|problem| problem.place.clone()), Some(format!("SUNSET_{id}")));
    }
}

#[test]
fn webhook_providers_are_segments_of_their_own() {
    let row_of = |providers: &[&str]| {
        let providers: Vec<String> = providers.iter().map(|name| (*name).to_owned()).collect();
        load(None, &providers, &[]).map(|rows| {
            let below =
                |row: &Row| row.template.strip_prefix("/api/v1/notifications/webhooks/").map(str::to_owned);
            rows.iter().filter_map(below).collect::<Vec<String>>()
        })
    };
    assert_eq!(row_of(&["mandrill", "ses-2"]), Ok(vec!["mandrill".to_owned(), "ses-2".to_owned()]));
    assert_eq!(row_of(&[]), Ok(Vec::new()));
    for bad in ["", "a/b", "{x}", "**", "Mandrill", ".."] {
        let found = row_of(&[bad]).expect_err(bad);
        assert_eq!(found.first().map(|problem| problem.place.as_str()), Some("WEBHOOK_PROVIDERS"), "{bad}");
    }
}
