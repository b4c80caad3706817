//! Of three instances one starts failing, one gets slow, one is killed: what clients see, before and after it is left
//! out.

use super::{Figures, Size, tell};
use crate::harness::polling::pause;
use crate::harness::{Backend, Client, Command, Script, Step, Token};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";
const CLIENTS: u32 = 8;
/// Each client's time between two requests: 400 a second in all.
const EVERY: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_millis(200);

/// What a client saw.
struct Answer {
    /// Since the fault; before it, negative.
    at_ms: i64,
    took: Duration,
    failed: bool,
}

/// Everything that clients saw in a window.
struct Window {
    failed_percent: f64,
    figures: Figures,
}

impl Window {
    fn of(answers: &[Answer], from_ms: i64, to_ms: i64) -> Window {
        // What was due before the fault and came after it belongs to neither side.
        let on_one_side = |answer: &&Answer| answer.at_ms >= 0 || answer.at_ms + millis_of(answer.took) < 0;
        let due = |answer: &&Answer| (from_ms..to_ms).contains(&answer.at_ms);
        let within = || answers.iter().filter(due).filter(on_one_side);
        let failed = within().filter(|answer| answer.failed).count();
        let figures = Figures::of(within().map(|answer| answer.took).collect());
        Window { failed_percent: failed as f64 * 100.0 / figures.0.len().max(1) as f64, figures }
    }

    fn row(&self, name: &str, table: &mut String) {
        let (failed, p99, count) = (self.failed_percent, self.figures.at(99), self.figures.0.len());
        writeln!(table, "{name:>16} | {failed:6.1} | {p99:>10.1?} | {count:6}").expect("a String takes all");
    }
}

/// Lets the clients work, and the fault happen in the middle.
fn measure(
    edge: std::net::SocketAddr,
    before: Duration,
    after: Duration,
    fault: impl FnOnce(),
) -> Vec<Answer> {
    let (answers, token) = (Mutex::new(Vec::new()), Token::valid().build());
    let began = Instant::now();
    let (fault_at, end) = (began + before, began + before + after);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (answers, token) = (&answers, &token);
            scope.spawn(move || {
                let mut client = Client::connect(edge);
                let mut due = began + EVERY * number / CLIENTS;
                while due < end {
                    pause(due.saturating_duration_since(Instant::now()));
                    let status = client.fetch_as(token, ROW).status;
                    // A late client counts from when it should have sent.
                    let answer =
                        Answer { at_ms: millis(fault_at, due), took: due.elapsed(), failed: status >= 500 };
                    answers.lock().expect("no client panics with it").push(answer);
                    due = (due + EVERY).max(Instant::now());
                }
            });
        }
        pause(fault_at.saturating_duration_since(Instant::now()));
        fault();
    });
    answers.into_inner().expect("no client panicked")
}

fn millis(from: Instant, to: Instant) -> i64 {
    if to >= from { millis_of(to - from) } else { -millis_of(from - to) }
}

/// Prints the course and gives the windows before the fault and at the end.
fn course(what: &str, answers: &[Answer], before: Duration, after: Duration) -> (Window, Window) {
    let (before_ms, after_ms) = (millis_of(before), millis_of(after));
    let first = Window::of(answers, -before_ms, 0);
    let last = Window::of(answers, after_ms - after_ms / 4, after_ms);
    let mut table = String::from("\n            time | failed |        p99 |  calls\n");
    first.row("before", &mut table);
    let step_ms = after_ms / 10;
    for step in 0..10 {
        let (from, to) = (step * step_ms, (step + 1) * step_ms);
        Window::of(answers, from, to).row(&format!("{from}-{to} ms"), &mut table);
    }
    tell(&format!("of three instances one {what}"), &table);
    (first, last)
}

fn millis_of(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("a show is short")
}

fn three() -> [Backend; 3] {
    ["one", "two", "three"].map(Backend::named)
}

fn edge(backends: &[Backend; 3]) -> crate::harness::Edge {
    let urls = backends.each_ref().map(Backend::url).join(",");
    Command::run(&backends[1]).workers(2).service_url("ticket", &urls).start()
}

/// With the machine to itself, those that are left are as fast as before; beside other tests nobody can say. Of several
/// windows the median counts, so that no other process decides, and what is added is less than the pause before a
/// repeated call: nobody pays for the one that is left out.
fn nearly_as_fast(size: Size, answers: &[Answer], before: Duration, after: Duration) {
    let typical = |from_ms: i64, to_ms: i64| {
        let step_ms = (to_ms - from_ms) / 5;
        let start = |number: i64| from_ms + number * step_ms;
        let windows = (0..5).map(|number| Window::of(answers, start(number), start(number + 1)));
        Figures::of(windows.map(|window| window.figures.at(99)).collect()).at(50)
    };
    if size == Size::Full {
        let (before_ms, after_ms) = (millis_of(before), millis_of(after));
        let (before, after) = (typical(-before_ms, 0), typical(after_ms / 2, after_ms));
        assert!(
            after <= before.mul_f64(1.5) + Duration::from_millis(25),
            "{before:?} before, {after:?} after"
        );
    }
}

#[test]
fn of_three_instances_one_starts_failing() {
    let size = Size::of_run();
    let (before, after) = size.pick((500, 2_000), (3_000, 10_000));
    let (before, after) = (Duration::from_millis(before), Duration::from_millis(after));
    let backends = three();
    let edge = edge(&backends);
    let fault = || backends[0].script("/api", Script::answer(500, &[], ""));
    let answers = measure(edge.address(), before, after, fault);
    let (first, last) = course("starts failing", &answers, before, after);
    let failed = answers.iter().filter(|answer| answer.failed).count();
    assert!((5..=5 + CLIENTS as usize).contains(&failed), "five, and what was on its way: {failed}");
    assert_eq!((first.failed_percent, last.failed_percent), (0.0, 0.0));
    nearly_as_fast(size, &answers, before, after);
}

#[test]
fn of_three_instances_one_gets_slow() {
    let size = Size::of_run();
    let (before, after) = size.pick((500, 3_000), (3_000, 12_000));
    let (before, after) = (Duration::from_millis(before), Duration::from_millis(after));
    let backends = three();
    let edge = edge(&backends);
    let fault = || backends[0].script("/api", Script::of(vec![Step::Pause(SLOW), Step::Echo]));
    let answers = measure(edge.address(), before, after, fault);
    let (_, last) = course("gets slow", &answers, before, after);
    assert_eq!(answers.iter().filter(|answer| answer.failed).count(), 0);
    let slow = answers.iter().filter(|answer| answer.at_ms > 0 && answer.took >= SLOW).count();
    assert!(slow * 10 < answers.len(), "{slow} of {} were slow; a third would have been", answers.len());
    if size == Size::Full {
        assert!(last.figures.at(99) < SLOW, "{:?}", last.figures.at(99));
    }
}

#[test]
fn of_three_instances_one_is_killed() {
    let size = Size::of_run();
    let (before, after) = size.pick((500, 3_000), (3_000, 12_000));
    let (before, after) = (Duration::from_millis(before), Duration::from_millis(after));
    let backends = three();
    let edge = edge(&backends);
    let [killed, _one, _other] = backends;
    let answers = measure(edge.address(), before, after, move || drop(killed));
    let (first, last) = course("is killed", &answers, before, after);
    let failed = answers.iter().filter(|answer| answer.failed).count();
    assert!(failed <= 5 + 2 * CLIENTS as usize, "five, and what was on its way: {failed}");
    assert_eq!((first.failed_percent, last.failed_percent), (0.0, 0.0));
    nearly_as_fast(size, &answers, before, after);
}
