//! The plan, event by event.

use super::{Action, Event, Exit, LOOK_MS_MAX, Outcome, Plan, Policy, Why};
use edge_worker::clock::Millis;

const DELAY_MS: u64 = 2_000;
const TIMEOUT_MS: u64 = 30_000;
const CRASH: Exit = Exit::Signal(9);

/// A plan with a clock of its own.
struct Node {
    plan: Plan,
    now: u64,
}

impl Node {
    fn starting(workers: usize) -> Self {
        let mut node = Node { plan: Plan::new(Policy::new(DELAY_MS, TIMEOUT_MS), workers), now: 1_000_000 };
        let started = node.on(Event::Begin);
        assert_eq!(started.len(), workers);
        node
    }

    fn serving(workers: usize) -> Self {
        let mut node = Node::starting(workers);
        for slot in 0..workers {
            let actions = node.on(Event::Ready { slot });
            assert_eq!(actions, if slot + 1 == workers { vec![Action::Serve] } else { vec![] });
        }
        node
    }

    /// Serving, told to drain, all workers stable.
    fn draining(workers: usize) -> Self {
        let mut node = Node::serving(workers);
        node.after(60_000, Event::Terminate);
        assert_eq!(node.after(DELAY_MS, Event::Tick).len(), workers);
        node
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.plan.on(event, Millis(self.now))
    }

    fn after(&mut self, ms: u64, event: Event) -> Vec<Action> {
        self.now += ms;
        self.on(event)
    }

    fn dies(&mut self, slot: usize, exit: Exit) -> Vec<Action> {
        self.on(Event::Died { slot, exit, in_flight: 0 })
    }

    /// Milliseconds until the plan wants to be woken.
    fn wakes_in(&self) -> Option<u64> {
        self.plan.wake_at().map(|at| at.0.saturating_sub(self.now))
    }

    /// Looks at a heartbeat that never changes until something happens; how long that took.
    fn silence_until_action(&mut self, slot: usize, look_ms: u64) -> (u64, Vec<Action>) {
        for look in 1..1_000 {
            let actions = self.after(look_ms, Event::Beat { slot, beat: 7 });
            if !actions.is_empty() {
                return (look * look_ms, actions);
            }
        }
        panic!("a silent worker was never noticed");
    }
}

fn start(slot: usize, restarts: u32) -> Action {
    Action::Start { slot, generation: 1, listener: slot, restarts }
}

#[test]
fn every_slot_is_started_at_the_beginning() {
    let mut node = Node { plan: Plan::new(Policy::new(DELAY_MS, TIMEOUT_MS), 3), now: 5 };
    assert_eq!(node.on(Event::Begin), [start(0, 0), start(1, 0), start(2, 0)]);
    assert_eq!(node.plan.living().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(node.wakes_in(), None);
}

#[test]
fn the_node_serves_when_every_worker_is_ready_and_says_so_once() {
    let mut node = Node::starting(2);
    assert_eq!(node.on(Event::Ready { slot: 1 }), []);
    assert_eq!(node.on(Event::Ready { slot: 1 }), []);
    assert_eq!(node.on(Event::Ready { slot: 0 }), [Action::Serve]);
    assert_eq!(node.on(Event::Ready { slot: 0 }), []);
}

#[test]
fn a_worker_that_died_before_the_others_were_ready_keeps_the_node_starting() {
    let mut node = Node::starting(2);
    node.on(Event::Ready { slot: 0 });
    assert_eq!(node.dies(0, CRASH), [start(0, 1)]);
    assert_eq!(node.on(Event::Ready { slot: 1 }), []);
    assert_eq!(node.on(Event::Ready { slot: 0 }), [Action::Serve]);
}

#[test]
fn a_dead_worker_is_replaced_at_once_and_the_node_does_not_serve_twice() {
    let mut node = Node::serving(2);
    node.now += 60_000;
    assert_eq!(node.dies(1, CRASH), [start(1, 1)]);
    assert_eq!(node.on(Event::Ready { slot: 1 }), []);
}

#[test]
fn a_worker_that_leaves_unasked_is_replaced_whatever_its_exit_code() {
    for code in [0, 1, 70] {
        let mut node = Node::serving(1);
        assert_eq!(
            node.after(60_000, Event::Died { slot: 0, exit: Exit::Code(code), in_flight: 0 }),
            [start(0, 1)]
        );
    }
}

#[test]
fn early_deaths_back_off_exponentially_up_to_five_seconds() {
    let mut node = Node::serving(1);
    assert_eq!(node.dies(0, CRASH), [start(0, 1)], "the first early death is answered at once");
    let mut waits = Vec::new();
    for restarts in 2..10 {
        assert_eq!(node.dies(0, CRASH), []);
        let wait = node.wakes_in().expect("a start is due");
        waits.push(wait);
        assert_eq!(node.after(wait - 1, Event::Tick), [], "not before its time");
        assert_eq!(node.after(1, Event::Tick), [start(0, restarts)]);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
}

#[test]
fn a_stable_life_forgives_earlier_deaths() {
    let mut node = Node::serving(1);
    node.dies(0, CRASH);
    node.dies(0, CRASH);
    node.after(100, Event::Tick);
    node.on(Event::Ready { slot: 0 });
    assert_eq!(node.after(1_999, Event::Died { slot: 0, exit: CRASH, in_flight: 0 }), []);
    assert_eq!(node.after(200, Event::Tick), [start(0, 3)]);
    node.on(Event::Ready { slot: 0 });
    assert_eq!(node.after(2_000, Event::Died { slot: 0, exit: CRASH, in_flight: 0 }), [start(0, 4)]);
    assert_eq!(node.dies(0, CRASH), [start(0, 5)], "counting begins anew");
}

#[test]
fn a_worker_that_never_served_is_an_early_death_however_long_it_took() {
    let mut node = Node::serving(1);
    node.dies(0, CRASH);
    assert_eq!(node.after(9_000, Event::Died { slot: 0, exit: CRASH, in_flight: 0 }), []);
    assert_eq!(node.wakes_in(), Some(100));
}

#[test]
fn slots_back_off_independently() {
    let mut node = Node::serving(2);
    node.dies(0, CRASH);
    assert_eq!(node.dies(0, CRASH), []);
    assert_eq!(node.dies(1, CRASH), [start(1, 1)]);
    assert_eq!(node.wakes_in(), Some(100));
}

#[test]
fn a_spawn_that_fails_counts_as_an_early_death() {
    let mut node = Node::serving(1);
    assert_eq!(node.dies(0, CRASH), [start(0, 1)]);
    assert_eq!(node.on(Event::SpawnFailed { slot: 0 }), []);
    assert_eq!(node.wakes_in(), Some(100));
    assert_eq!(node.plan.living().count(), 0);
}

#[test]
fn a_node_that_cannot_start_gives_up_and_takes_its_workers_along() {
    let mut node = Node::starting(2);
    node.on(Event::Ready { slot: 1 });
    for _ in 0..5 {
        node.dies(0, Exit::Code(70));
        node.after(5_000, Event::Tick);
    }
    let actions = node.dies(0, Exit::Code(70));
    let [Action::AnnounceDrain, Action::Drain { slot: 1, .. }] = actions[..] else { panic!("{actions:?}") };
    node.on(Event::Drained { slot: 1, finished: 0, cut: 0 });
    assert_eq!(node.dies(1, Exit::Code(0)), [Action::Leave(Outcome::NeverReady { slot: 0 })]);
}

#[test]
fn a_node_that_was_ready_once_never_gives_up() {
    let mut node = Node::serving(1);
    for _ in 0..100 {
        node.dies(0, CRASH);
        node.after(5_000, Event::Tick);
        assert!(!node.plan.leaving());
        assert_eq!(node.plan.living().count(), 1);
    }
}

#[test]
fn a_worker_without_a_heartbeat_for_five_seconds_is_killed_once_and_replaced() {
    let mut node = Node::serving(2);
    node.after(20_000, Event::Beat { slot: 0, beat: 7 });
    let (took, actions) = node.silence_until_action(0, 500);
    assert_eq!(actions, [Action::Kill { slot: 0, why: Why::Silent }]);
    assert_eq!(took, 5_000);
    assert_eq!(node.after(60_000, Event::Beat { slot: 0, beat: 7 }), [], "one kill is enough");
    assert_eq!(node.dies(0, CRASH), [start(0, 1)]);
}

#[test]
fn a_worker_that_beats_is_left_alone() {
    let mut node = Node::serving(1);
    for beat in 0..100 {
        assert_eq!(node.after(4_000, Event::Beat { slot: 0, beat }), []);
    }
}

#[test]
fn a_machine_that_slept_does_not_lose_its_workers() {
    let mut node = Node::serving(1);
    node.after(500, Event::Beat { slot: 0, beat: 7 });
    assert_eq!(node.after(3_600_000, Event::Beat { slot: 0, beat: 7 }), []);
    let (took, _) = node.silence_until_action(0, LOOK_MS_MAX * 60);
    assert_eq!(took, 60 * (5_000 - LOOK_MS_MAX), "each look counts for one second at most");
}

#[test]
fn a_worker_that_is_never_ready_is_killed_after_ten_seconds_even_if_it_beats() {
    let mut node = Node::starting(1);
    for beat in 1..20 {
        assert_eq!(node.after(500, Event::Beat { slot: 0, beat }), []);
    }
    let actions = node.after(500, Event::Beat { slot: 0, beat: 20 });
    assert_eq!(actions, [Action::Kill { slot: 0, why: Why::NeverReady }]);
}

#[test]
fn getting_ready_late_does_not_count_as_silence() {
    let mut node = Node::starting(1);
    for _ in 0..18 {
        node.after(500, Event::Beat { slot: 0, beat: 0 });
    }
    assert_eq!(node.on(Event::Ready { slot: 0 }), [Action::Serve]);
    assert_eq!(node.silence_until_action(0, 500).0, 5_500, "the first look sees a changed beat");
}

#[test]
fn a_signal_announces_the_drain_and_workers_are_told_after_the_delay() {
    let mut node = Node::serving(2);
    assert_eq!(node.on(Event::Terminate), [Action::AnnounceDrain]);
    assert!(node.plan.leaving());
    assert_eq!(node.wakes_in(), Some(DELAY_MS));
    assert_eq!(node.after(DELAY_MS - 1, Event::Tick), []);
    let cut_after_ms = TIMEOUT_MS - DELAY_MS - 1_000;
    assert_eq!(
        node.after(1, Event::Tick),
        [Action::Drain { slot: 0, cut_after_ms }, Action::Drain { slot: 1, cut_after_ms }]
    );
    assert_eq!(node.wakes_in(), Some(TIMEOUT_MS - DELAY_MS));
}

#[test]
fn a_second_signal_changes_nothing() {
    let mut node = Node::serving(1);
    node.on(Event::Terminate);
    assert_eq!(node.after(1_000, Event::Terminate), []);
    assert_eq!(node.wakes_in(), Some(DELAY_MS - 1_000));
    node.after(DELAY_MS - 1_000, Event::Tick);
    let before = node.wakes_in();
    assert_eq!(node.on(Event::Terminate), []);
    assert_eq!(node.wakes_in(), before);
}

#[test]
fn the_node_leaves_clean_when_every_worker_finished() {
    let mut node = Node::draining(2);
    assert_eq!(node.on(Event::Drained { slot: 0, finished: 3, cut: 0 }), []);
    assert_eq!(node.dies(0, Exit::Code(0)), []);
    node.on(Event::Drained { slot: 1, finished: 0, cut: 0 });
    assert_eq!(node.dies(1, Exit::Code(0)), [Action::Leave(Outcome::Drained)]);
    assert_eq!(node.wakes_in(), None);
    assert_eq!(node.after(1, Event::Tick), [], "the end is said once");
}

#[test]
fn what_workers_cut_is_summed() {
    let mut node = Node::draining(2);
    node.on(Event::Drained { slot: 0, finished: 3, cut: 2 });
    node.dies(0, Exit::Code(1));
    node.on(Event::Drained { slot: 1, finished: 0, cut: 5 });
    let left = node.dies(1, Exit::Code(1));
    assert_eq!(left, [Action::Leave(Outcome::Cut { requests: 7, unreported: 0 })]);
}

#[test]
fn a_worker_that_crashes_during_the_drain_is_not_replaced_and_is_counted() {
    let mut node = Node::draining(1);
    let left = node.on(Event::Died { slot: 0, exit: CRASH, in_flight: 4 });
    assert_eq!(left, [Action::Leave(Outcome::Cut { requests: 4, unreported: 1 })]);
}

#[test]
fn a_clean_exit_without_a_report_is_judged_by_the_region() {
    for (in_flight, outcome) in [(0, Outcome::Drained), (2, Outcome::Cut { requests: 2, unreported: 0 })] {
        let mut node = Node::draining(1);
        let left = node.on(Event::Died { slot: 0, exit: Exit::Code(0), in_flight });
        assert_eq!(left, [Action::Leave(outcome)]);
    }
}

#[test]
fn a_worker_that_dies_before_it_is_told_to_drain_is_replaced() {
    let mut node = Node::serving(1);
    node.after(60_000, Event::Terminate);
    assert_eq!(node.dies(0, CRASH), [start(0, 1)], "its listener still has a queue");
    assert!(matches!(node.after(DELAY_MS, Event::Tick)[..], [Action::Drain { slot: 0, .. }]));
    node.on(Event::Drained { slot: 0, finished: 0, cut: 0 });
    assert_eq!(node.dies(0, Exit::Code(0)), [Action::Leave(Outcome::Drained)]);
}

#[test]
fn requests_lost_with_a_worker_during_the_delay_are_counted() {
    let mut node = Node::serving(1);
    node.after(60_000, Event::Terminate);
    node.on(Event::Died { slot: 0, exit: CRASH, in_flight: 3 });
    node.after(DELAY_MS, Event::Tick);
    node.on(Event::Drained { slot: 0, finished: 0, cut: 0 });
    let left = node.dies(0, Exit::Code(0));
    assert_eq!(left, [Action::Leave(Outcome::Cut { requests: 3, unreported: 0 })]);
}

#[test]
fn a_slot_that_waits_when_the_drain_begins_is_not_started_again() {
    let mut node = Node::serving(1);
    for wait in [0, 100, 200, 400, 800, 1_600] {
        node.dies(0, CRASH);
        node.after(wait, Event::Tick);
    }
    assert_eq!(node.dies(0, CRASH), []);
    assert_eq!(node.wakes_in(), Some(3_200));
    node.on(Event::Terminate);
    assert_eq!(node.after(DELAY_MS, Event::Tick), [Action::Leave(Outcome::Drained)]);
}

#[test]
fn the_hard_stop_kills_what_is_left_and_counts_it() {
    let mut node = Node::draining(2);
    node.dies(0, Exit::Code(0));
    let stop_in = node.wakes_in().expect("a hard stop");
    assert_eq!(node.after(stop_in, Event::Tick), [Action::Kill { slot: 1, why: Why::DrainOverdue }]);
    let left = node.on(Event::Died { slot: 1, exit: CRASH, in_flight: 9 });
    assert_eq!(left, [Action::Leave(Outcome::Cut { requests: 9, unreported: 1 })]);
}

#[test]
fn the_supervisor_leaves_even_if_a_killed_worker_is_never_given_back() {
    let mut node = Node::draining(1);
    node.after(TIMEOUT_MS - DELAY_MS, Event::Tick);
    assert_eq!(node.wakes_in(), Some(1_000));
    let left = node.after(1_000, Event::Tick);
    assert_eq!(left, [Action::Leave(Outcome::Cut { requests: 0, unreported: 1 })]);
}

#[test]
fn a_silent_worker_is_killed_during_the_drain_as_well() {
    let mut node = Node::draining(1);
    node.after(500, Event::Beat { slot: 0, beat: 7 });
    assert_eq!(node.silence_until_action(0, 500).1, [Action::Kill { slot: 0, why: Why::Silent }]);
}

#[test]
fn a_signal_during_the_start_drains_workers_that_are_not_ready_yet() {
    let mut node = Node::starting(2);
    node.on(Event::Ready { slot: 0 });
    assert_eq!(node.on(Event::Terminate), [Action::AnnounceDrain]);
    assert_eq!(node.on(Event::Ready { slot: 1 }), [], "a draining node never announces that it serves");
    assert_eq!(node.after(DELAY_MS, Event::Tick).len(), 2);
}

#[test]
fn a_delay_beyond_the_timeout_is_cut_to_it() {
    let policy = Policy::new(5_000, 1_000);
    assert_eq!((policy.drain_delay_ms, policy.shutdown_timeout_ms), (1_000, 1_000));
}

#[test]
fn a_short_timeout_still_leaves_time_to_report() {
    let mut node = Node { plan: Plan::new(Policy::new(0, 1_000), 1), now: 0 };
    node.on(Event::Begin);
    node.on(Event::Ready { slot: 0 });
    let actions = node.on(Event::Terminate);
    assert_eq!(actions, [Action::AnnounceDrain, Action::Drain { slot: 0, cut_after_ms: 900 }]);
}

#[test]
fn events_of_unknown_or_empty_slots_are_ignored() {
    let mut node = Node::serving(1);
    for event in [
        Event::Ready { slot: 9 },
        Event::Drained { slot: 9, finished: 0, cut: 9 },
        Event::Beat { slot: 9, beat: 1 },
        Event::SpawnFailed { slot: 9 },
        Event::Died { slot: 9, exit: CRASH, in_flight: 9 },
    ] {
        assert_eq!(node.on(event), []);
    }
    assert_eq!(node.plan.living().count(), 1);
}
