//! Budgets over given times.

use super::*;

const PATH: Kind = Kind::Event(SecurityEvent::PathAttack);
const BYPASS: Kind = Kind::Event(SecurityEvent::AdminVenueBypass);

fn at(milliseconds: u64) -> Nanos {
    Nanos((1_000_000 + milliseconds) * 1_000_000)
}

/// Lines written of so many that come at one moment.
fn written(sampler: &mut Sampler, kind: Kind, count: u64, now: Nanos) -> u64 {
    (0..count).filter(|_| sampler.admits(kind, now)).count() as u64
}

#[test]
fn a_burst_is_written_and_then_the_steady_rate() {
    for kind in [PATH, BYPASS, Kind::RefusedRequest, Kind::Event(SecurityEvent::SpoofedHeader)] {
        let Budget { burst, lines_a_second } = kind.budget().expect("it is sampled");
        let mut sampler = Sampler::new(at(0));
        assert_eq!(written(&mut sampler, kind, 100_000, at(0)), u64::from(burst), "{kind:?}");
        assert_eq!(written(&mut sampler, kind, 100_000, at(0)), 0);
        assert_eq!(written(&mut sampler, kind, 100_000, at(1_000)), u64::from(lines_a_second), "{kind:?}");
    }
}

#[test]
fn a_budget_that_is_not_used_grows_no_further_than_the_burst() {
    let mut sampler = Sampler::new(at(0));
    let burst = u64::from(PATH.budget().expect("it is sampled").burst);
    written(&mut sampler, PATH, 1_000, at(0));
    assert_eq!(written(&mut sampler, PATH, 1_000, at(86_400_000)), burst);
}

#[test]
fn a_flood_of_one_kind_hides_no_other() {
    let mut sampler = Sampler::new(at(0));
    written(&mut sampler, PATH, 1_000_000, at(0));
    assert!(sampler.admits(BYPASS, at(0)));
    assert!(sampler.admits(Kind::RefusedRequest, at(0)));
}

#[test]
fn what_is_left_out_is_reported_once_a_period_and_never_twice() {
    let mut sampler = Sampler::new(at(0));
    written(&mut sampler, PATH, 1_000, at(0));
    let suppressed = 1_000 - u64::from(PATH.budget().expect("it is sampled").burst);
    assert_eq!(sampler.due(at(9_999)), []);
    assert_eq!(sampler.due(at(10_000)), [Report { kind: PATH, suppressed }]);
    assert_eq!(sampler.due(at(20_000)), []);
    assert_eq!(sampler.reports(), []);
}

#[test]
fn audits_and_critical_events_have_the_largest_budget_of_all_events() {
    let most =
        TABLE.iter().filter_map(|row| Kind::Event(row.event).budget()).map(|one| one.lines_a_second).max();
    for row in &TABLE {
        let Some(budget) = Kind::Event(row.event).budget() else { continue };
        if row.purpose == Purpose::Audit || row.severity == Severity::Critical {
            assert_eq!(Some(budget.lines_a_second), most, "{}", row.word);
        }
    }
}

#[test]
fn every_order_of_an_operator_is_written() {
    let mut sampler = Sampler::new(at(0));
    let order = Kind::Event(SecurityEvent::OperatorRevocation);
    assert_eq!(written(&mut sampler, order, 100_000, at(0)), 100_000);
    assert_eq!(sampler.reports(), []);
}

#[test]
fn every_kind_has_its_own_word() {
    let words: std::collections::HashSet<_> = SUPPRESSIBLE.iter().collect();
    assert_eq!(words.len(), KINDS);
    assert_eq!((Kind::RefusedRequest.word(), PATH.word()), ("refused_request", "path_attack"));
}
