//! The table that operators read.

use super::*;

#[test]
fn a_line_says_how_a_circuit_stands_and_until_when() {
    let line = |service: &str, state: &str, held, left_ms| CircuitLine {
        service: service.to_owned(),
        state: state.to_owned(),
        held,
        calls: 20,
        failures: 11,
        retries: 2,
        left_ms,
        elsewhere: None,
    };
    let circuits = [
        line("auth", "closed", false, 0),
        line("blockchain", "open", false, 59_940),
        line("event", "open", true, 0),
        CircuitLine { elsewhere: Some("open on node-2".to_owned()), ..line("order", "closed", false, 0) },
        CircuitLine { elsewhere: Some("open on node-2".to_owned()), ..line("search", "open", false, 1_000) },
    ];
    let wanted = "\
service       state         calls  failures  retries  tried again in
auth          closed           20        11        2
blockchain    open             20        11        2  59.9 s
event         open             20        11        2  held by an operator
order         closed           20        11        2  open on node-2
search        open             20        11        2  1.0 s; open on node-2
";
    assert_eq!(table(&circuits), wanted);
}
