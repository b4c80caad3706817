//! Runs the checks of the fuzz targets over their committed seeds, so that they hold without a fuzzing
//! engine.

#[path = "../../tests/fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Every seed as it is, cut short, and arriving in other steps.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
        let path = entry.expect("readable").path();
        let mut seed = std::fs::read(&path).expect("readable");
        check(&seed);
        for length in 0..seed.len() {
            check(&seed[..length]);
        }
        for step in [0, 1, 6, 40] {
            if let Some(first) = seed.first_mut() {
                *first = step;
            }
            check(&seed);
        }
        for at in 1..seed.len() {
            for byte in [b'\r', b'\n', 0, b' ', b':', 0xff] {
                let original = std::mem::replace(&mut seed[at], byte);
                check(&seed);
                seed[at] = original;
            }
        }
        seeds += 1;
    }
    assert!(seeds >= 10, "only {seeds} seeds in {}", folder.display());
}

#[test]
fn seeds_of_request_heads_hold() {
    run("head", targets::head::check);
}

#[test]
fn seeds_of_response_heads_hold() {
    run("response_head", targets::response_head::check);
}

#[test]
fn seeds_of_bodies_hold() {
    run("body", targets::body::check);
}

#[test]
fn seeds_of_targets_hold() {
    run("route", targets::route::check);
}
