//! Golden tests of the reference pages that are generated from tables.
//!
//! `FLOODGATE_BLESS=1 cargo test --test docs` rewrites them.

use std::path::PathBuf;

type Page = (&'static str, fn() -> String);

/// Page below `docs/reference/` and what generates it.
const PAGES: [Page; 4] = [
    ("settings.md", edge_worker::config::reference::settings_reference),
    ("routes.md", edge_worker::config::routes::reference),
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

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
}
