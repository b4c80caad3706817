//! Orders about circuits, and what they are told back.

use super::*;

fn circuits() -> Circuits {
    let region: &'static shm::SupervisorRegion =
        Box::leak(Box::new(shm::SupervisorRegion::create().expect("a memfd can be made")));
    let held = [("auth", 1), ("venue", 2)].map(|(service, number)| {
        let name = NameId::new(number).expect("not zero");
        let breaker = region.shared().breakers.of(name).expect("there is room");
        Held { service: service.to_owned(), name, breaker }
    });
    Circuits { held: held.into(), elsewhere: Elsewhere::default() }
}

fn states(circuits: &Circuits) -> Vec<(String, bool)> {
    let done = circuits.carry_out(CircuitOrder::List, None).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert!(done.changed.is_none());
    done.lines.into_iter().map(|line| (line.state, line.held)).collect()
}

fn state(word: &str, held: bool) -> (String, bool) {
    (word.to_owned(), held)
}

#[test]
fn an_operator_holds_a_circuit_until_it_is_reset() {
    let circuits = circuits();
    assert_eq!(states(&circuits), [state("closed", false), state("closed", false)]);
    for (order, to, seen) in [
        (CircuitOrder::Open, CircuitPosition::Open, state("open", true)),
        (CircuitOrder::Close, CircuitPosition::Closed, state("closed", true)),
        (CircuitOrder::Reset, CircuitPosition::Closed, state("closed", false)),
    ] {
        let done = circuits.carry_out(order, Some("venue")).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(done.changed, NameId::new(2).map(|name| (name, to)));
        assert_eq!(done.lines.len(), 1);
        assert_eq!(states(&circuits), [state("closed", false), seen]);
    }
}

#[test]
fn what_names_no_service_changes_none() {
    let circuits = circuits();
    let refusal = |order, service| circuits.carry_out(order, service).err().expect("it is refused");
    assert_eq!(refusal(CircuitOrder::Open, None).what, "no service is named");
    let unknown = refusal(CircuitOrder::Open, Some("auht"));
    assert_eq!(
        (unknown.what.as_str(), unknown.remedy.as_str()),
        ("`auht` is no service", "name one of: auth venue")
    );
    assert_eq!(states(&circuits), [state("closed", false), state("closed", false)]);
}
