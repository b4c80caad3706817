//! Which row wins, and what is answered when none does.

use super::*;

const ROWS: &str = r#"
routes = [
  { id = "exact", path = "/a/b", methods = "GET", service = "auth", access = "user" },
  { id = "below", path = "/a/b/**", methods = "GET POST", service = "auth", access = "user" },
  { id = "parameter", path = "/a/{x}", methods = "R PUT", service = "auth", access = "user" },
  { id = "deep", path = "/a/{x}/c", methods = "R DELETE", service = "auth", access = "user" },
  { id = "all", path = "/a/**", methods = "PATCH", service = "auth", access = "user" },
  { id = "public", path = "/a/Open", methods = "GET", service = "auth", access = "pub", reason = "test" },
  { id = "bare", path = "/strip/**", methods = "R", service = "auth", upstream = "/strip => ", access = "user" },
  { id = "deny", path = "/a/b/secret/**", methods = "A", access = "deny" },
  { id = "partly", path = "/a/b/half", methods = "W", access = "deny" },
]
"#;

fn expect(table: &RouteTable, cases: &[(Method, &str, &str)]) {
    for (method, path, wanted) in cases {
        assert_eq!(outcome(table, *method, path), *wanted, "{} {path}", method.as_str());
    }
}

#[test]
fn the_most_specific_row_wins_segment_by_segment() {
    expect(
        &table_of(ROWS),
        &[
            (Method::Get, "/a/b", "exact /a/b"),
            (Method::Get, "/a/b/x", "below /a/b/x"),
            (Method::Get, "/a/b/c", "below /a/b/c"),
            (Method::Get, "/a/x", "parameter /a/x"),
            (Method::Get, "/a/x/c", "deep /a/x/c"),
        ],
    );
}

#[test]
fn rows_of_another_method_are_skipped() {
    expect(
        &table_of(ROWS),
        &[
            (Method::Post, "/a/b", "below /a/b"),
            (Method::Put, "/a/b", "parameter /a/b"),
            (Method::Patch, "/a/b", "all /a/b"),
            (Method::Delete, "/a/b/c", "deep /a/b/c"),
            (Method::Patch, "/a", "all /a"),
            (Method::Patch, "/a/x/y/z", "all /a/x/y/z"),
        ],
    );
}

#[test]
fn head_is_matched_where_get_is() {
    expect(
        &table_of(ROWS),
        &[(Method::Head, "/a/b", "exact /a/b"), (Method::Head, "/a/b/x", "below /a/b/x")],
    );
    let mut rows = load(None, &[], &[]).expect("the built-in table is valid");
    rows.retain(|row| row.template == "/live");
    for row in &mut rows {
        row.methods = MethodSet::of(&[Method::Get]);
    }
    expect(&RouteTable::new(rows), &[(Method::Head, "/live", "E1 ")]);
}

#[test]
fn a_known_path_without_the_method_names_the_methods_of_all_its_rows() {
    expect(
        &table_of(ROWS),
        &[
            (Method::Delete, "/a/b", "405 GET HEAD POST PUT PATCH OPTIONS"),
            (Method::Delete, "/a", "405 PATCH OPTIONS"),
            (Method::Post, "/strip", "405 GET HEAD OPTIONS"),
        ],
    );
    expect(
        &table(),
        &[
            (Method::Delete, "/api/v1/search", "405 GET HEAD OPTIONS"),
            (Method::Get, "/api/v1/payments/process", "405 POST OPTIONS"),
            (Method::Post, "/api/v1/venues/user", "405 GET HEAD PUT PATCH DELETE OPTIONS"),
            (Method::Get, "/api/v1/webhooks/stripe", "405 POST OPTIONS"),
        ],
    );
}

#[test]
fn options_tells_the_methods_of_a_known_path() {
    expect(
        &table(),
        &[
            (Method::Options, "/api/v1/search", "204 GET HEAD OPTIONS"),
            (Method::Options, "/api/v1/auth/login", "204 GET HEAD POST PUT PATCH DELETE OPTIONS"),
            (Method::Options, "/api/v1/nothing", "404"),
            (Method::Options, "/api/v1/queue/cache/x", "404"),
            (Method::Options, "/api/v1/auth/internal/x", "404"),
        ],
    );
}

#[test]
fn a_denied_path_does_not_exist() {
    expect(
        &table_of(ROWS),
        &[
            (Method::Get, "/a/b/secret", "404"),
            (Method::Post, "/A/B/SECRET/x", "404"),
            (Method::Options, "/a/b/secret/x", "404"),
            (Method::Post, "/a/b/half", "404"),
            (Method::Get, "/a/b/half", "below /a/b/half"),
            (Method::Options, "/a/b/half", "204 GET HEAD OPTIONS"),
        ],
    );
}

#[test]
fn what_has_no_row_is_not_found() {
    let unknown = [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/events",
        "/api/v1/users",
        "/auth/login",
        "/api/v1/webhooks/payment-success",
        "/api/v1/webhooks/stripe/payment-complete",
        "/api/v1/notifications/webhooks/unknown",
        "/api/v1/files/upload/other",
        "/api/v1/files/f1",
        "/api/v1/monitoring/grafana",
        "/api/v1/branding",
        "/internal/access-check",
        "/livez",
    ];
    for path in unknown {
        assert_eq!(
            outcome(&table(), Method::Get, path).get(..3),
            Some(if path.ends_with("f1") { "405" } else { "404" }),
            "{path}"
        );
    }
}

#[test]
fn literals_match_in_any_case_except_on_public_rows() {
    expect(
        &table_of(ROWS),
        &[
            (Method::Get, "/A/B", "exact /a/b"),
            (Method::Get, "/A/xX/C", "deep /a/xX/c"),
            (Method::Get, "/a/Open", "public /a/Open"),
            (Method::Get, "/a/open", "parameter /a/open"),
            (Method::Get, "/A/Open", "parameter /a/Open"),
            (Method::Get, "/a/%4fpen", "public /a/Open"),
            (Method::Get, "/a/%4Fpen", "public /a/Open"),
            (Method::Get, "/a/%6fpen", "parameter /a/%6fpen"),
        ],
    );
    expect(&table(), &[(Method::Post, "/api/v1/Auth/Login", "A6 /auth/Login")]);
}

#[test]
fn one_trailing_slash_is_dropped() {
    expect(
        &table(),
        &[
            (Method::Get, "/api/v1/events/", "N1 /api/v1/events"),
            (Method::Get, "/api/v1/events/e1/", "N1 /api/v1/events/e1"),
            (Method::Get, "/api/v1/events/e1/a/?x=/", "N1 /api/v1/events/e1/a?x=/"),
            (Method::Post, "/api/v1/auth/login/", "A1 /auth/login"),
            (Method::Get, "/live/", "E1 "),
            (Method::Get, "/api/v1/events//", "400"),
        ],
    );
}

#[test]
fn a_stripped_prefix_leaves_at_least_the_root() {
    expect(
        &table_of(ROWS),
        &[
            (Method::Get, "/strip", "bare /"),
            (Method::Get, "/strip/?q", "bare /?q"),
            (Method::Get, "/strip/x", "bare /x"),
        ],
    );
}

#[test]
fn a_segment_longer_than_any_literal_can_only_be_a_parameter() {
    let long = "x".repeat(LITERAL_BYTES_MAX + 1);
    let path = format!("/api/v1/events/{long}");
    assert_eq!(outcome(&table(), Method::Get, &path), format!("N1 {path}"));
    let encoded = format!("/api/v1/events/%41{long}");
    assert_eq!(outcome(&table(), Method::Get, &encoded), format!("N1 {encoded}"));
}
