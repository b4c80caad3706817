//! The report of `make bench`: what it makes of figures whose outcome is known.

use side_by_side::report::{Cell, Report};

#[path = "../benches/side_by_side"]
mod side_by_side {
    pub mod report;
}

fn cell(cpu_us: f64, p50_us: f64) -> Cell {
    Cell { cpu_us, rate: 10_000.0, p50_us, p99_us: 2.0 * p50_us, answers: 500, failures: 0 }
}

/// Three rounds, of which the middle one was slow for both: only differences within a round may count.
fn asks() -> Report {
    let mut report = Report::new();
    report.scenario("ask-1", "keys");
    for (known, new) in
        [((10.0, 100.0), (31.0, 310.0)), ((30.0, 300.0), (50.0, 500.0)), ((8.0, 90.0), (30.0, 310.0))]
    {
        report.add("ask-1", "known-key", cell(known.0, known.1));
        report.add("ask-1", "new-key", cell(new.0, new.1));
    }
    report
}

#[test]
fn what_an_ask_adds_is_the_difference_within_a_round() {
    let table = asks().markdown();
    let line = "| ask-1 | new-key | known-key | 21.00 (20.50 to 21.50) | 3.100 (2.383 to 3.425) | 210 (205 to 215) \
                | 420 (410 to 430) | 0 (0 to 0) | 3 |";
    assert!(table.contains(line), "{table}");
}

#[test]
fn the_document_of_a_run_has_the_shape_that_its_page_shows() {
    let directory = std::env::temp_dir().join(format!("fg-report-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let mut report = asks();
    report.note("a note");
    let path = directory.join("side_by_side.json");
    report.write_json(&path);
    let text = std::fs::read_to_string(&path).expect("the report was written");
    std::fs::remove_dir_all(&directory).expect("it is this test's own");
    let document: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
    let difference = &document["differences"][0];
    assert_eq!(difference["cpu_us_quartiles"], serde_json::json!([20.5, 21.0, 21.5]));
    let page = include_str!("../benches/README.md");
    let shape = page.split("```").nth(1).expect("the page shows the shape");
    for (part, object) in [("document", &document), ("row", &document["rows"][0]), ("difference", difference)]
    {
        for name in object.as_object().expect("an object").keys() {
            assert!(shape.contains(&format!("\"{name}\"")), "{part}: {name} is not in benches/README.md");
        }
    }
}

#[test]
fn without_the_other_there_is_no_difference() {
    let mut report = Report::new();
    report.scenario("saturated-64", "as fast as they go");
    report.add("saturated-64", "floodgate", cell(10.0, 100.0));
    assert!(!report.markdown().contains("more than"), "{}", report.markdown());
    report.add("saturated-64", "before", cell(10.5, 100.0));
    assert!(
        report.markdown().contains("| saturated-64 | floodgate | before | -0.50 (-0.50 to -0.50) | 0.952 (")
    );
}
