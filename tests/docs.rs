//! Golden tests of the reference pages that are generated from tables.
//!
//! `FLOODGATE_BLESS=1 cargo test --test docs` rewrites them.

use std::path::PathBuf;

type Page = (&'static str, fn() -> String);

/// Page below `docs/reference/` and what generates it.
const PAGES: [Page; 5] = [
    ("settings.md", edge_worker::config::reference::settings_reference),
    ("routes.md", edge_worker::config::routes::reference),
    ("identity.md", edge_worker::identity::reference::reference),
    ("metrics.md", edge_worker::telemetry::metrics::reference::reference),
    ("security-events.md", edge_worker::telemetry::security_events::reference::reference),
];

#[test]
fn the_reference_pages_are_what_the_tables_say() {
    let bless = std::env::var_os("FLOODGATE_BLESS").is_some();
    let mut stale = Vec::new();
    for (name, generate) in PAGES {
        let path = directory().join(name);
        let wanted = generate();
        assert!(wanted.starts_with("# "), "{name} begins with a title");
        if bless {
            std::fs::create_dir_all(directory()).expect("the checkout is writable");
            std::fs::write(&path, &wanted).expect("the checkout is writable");
        } else if std::fs::read_to_string(&path).ok().as_ref() != Some(&wanted) {
            stale.push(format!("docs/reference/{name}"));
        }
    }
    assert!(stale.is_empty(), "{stale:?} differ from their tables; FLOODGATE_BLESS=1 cargo test --test docs");
}

#[test]
fn pages_name_real_settings_metrics_and_files() {
    for (name, page, least) in [
        ("authentication.md", include_str!("../docs/authentication.md"), 20),
        ("resilience.md", include_str!("../docs/resilience.md"), 8),
    ] {
        let known = names_that_exist(name, page);
        assert!(known > least, "docs/{name} names hardly anything: {known}");
    }
}

/// How many names a page holds; all of them must exist.
fn names_that_exist(page_name: &str, page: &str) -> usize {
    let metrics = edge_worker::telemetry::metrics::reference::reference();
    let settings = edge_worker::config::settings_reference();
    let (mut unknown, mut known) = (Vec::new(), 0);
    for quoted in page.split('`').skip(1).step_by(2) {
        let name = quoted.split('=').next().unwrap_or_default();
        let is_setting =
            name.contains('_') && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let is_file = name.starts_with("docs/") || name.starts_with("tests/");
        let exists = match (is_setting, is_file, name.starts_with("gateway_")) {
            (true, ..) => settings.contains(&format!("| `{name}` |")),
            (_, true, _) => directory().join("../..").join(name).exists(),
            (.., true) => metrics.contains(&format!("| `{name}` |")),
            _ => continue,
        };
        known += usize::from(exists);
        unknown.extend((!exists).then_some(name));
    }
    assert!(unknown.is_empty(), "docs/{page_name} names {unknown:?}");
    known
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
}
