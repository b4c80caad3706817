//! What is told when, and what of another node's word an operator gets to read.

use super::*;

const OPEN: CircuitPosition = CircuitPosition::Open;
const CLOSED: CircuitPosition = CircuitPosition::Closed;

fn view(position: Position, generation: u32) -> View {
    View { position, left_ms: 0, calls: 20, failures: 10, retries: 0, generation }
}

#[test]
fn a_change_is_seen_once_with_all_its_steps() {
    let seen = Seen::of(&view(Position::Closed, 7));
    assert_eq!(seen.change(&view(Position::Closed, 7)), None);
    let opened = seen.change(&view(Position::Open, 8)).expect("it opened");
    assert_eq!((opened.to, opened.steps, opened.calls, opened.failures), (Position::Open, 1, 20, 10));
    let quicker = seen.change(&view(Position::Closed, 10)).expect("it opened and closed in between");
    assert_eq!((quicker.to, quicker.steps), (Position::Closed, 3));
    // Its time is over, and nobody has called yet.
    assert!(Seen::of(&view(Position::Open, 8)).change(&view(Position::HalfOpen, 8)).is_some());
}

#[test]
fn others_hear_of_what_is_not_closed_and_once_of_its_end() {
    assert!(!is_due(None, CLOSED, 0), "a circuit that was never open");
    assert!(is_due(None, OPEN, 0));
    assert!(!is_due(Some((OPEN, 1_000)), OPEN, 60_999));
    assert!(is_due(Some((OPEN, 1_000)), OPEN, 61_000), "again after a minute");
    assert!(is_due(Some((OPEN, 1_000)), CLOSED, 1_001));
    assert!(!is_due(Some((CLOSED, 1_000)), CLOSED, 900_000));
}

#[test]
fn another_nodes_word_is_plain_or_nothing() {
    let notice = |state: &'static str, node: &'static str| Notice {
        state: state.into(),
        node: node.into(),
        boot: "b".into(),
        at: 1,
    };
    assert_eq!(words(&notice("open", "node-2")).as_deref(), Some("open on node-2"));
    assert_eq!(words(&notice("half-open", "a.b_c")).as_deref(), Some("half-open on a.b_c"));
    assert_eq!(words(&notice("closed", "node-2")), None);
    assert_eq!(words(&notice("on fire", "node-2")), None);
    assert_eq!(words(&notice("open", "\u{1b}[31mx\n")).as_deref(), Some("open on 31mx"));
}
