//! What an ask costs with Redis up: requests whose API key the region does not know, beside the same with a key that it
//! knows. Nothing else differs, and each new key is one ask and one GET of Redis, which Redis itself confirms.

use super::contestants::{Contestant, Field};
use super::generator::{self, Load, Pace};
use super::measure;
use super::report::{Cell, Report};
use super::{Options, SMALL, WARM_UP};
use std::ops::Range;
use std::time::Duration;

/// So many clients, each with one request under way, and so many requests in a window.
struct Depth {
    scenario: &'static str,
    says: &'static str,
    connections: usize,
    requests: usize,
}

const DEPTHS: [Depth; 2] = [
    Depth {
        scenario: "ask-1",
        says: "1 client, keys that are new to the node beside a known one",
        connections: 1,
        requests: 2_000,
    },
    Depth {
        scenario: "ask-64",
        says: "64 clients, keys that are new to the node beside a known one",
        connections: 64,
        requests: 8_000,
    },
];
const ROUNDS: usize = 9;
/// Nothing takes that long; a node that hangs must not hang the run.
const WINDOW_MAX: Duration = Duration::from_secs(10);
/// The key of every warm request.
const KNOWN: usize = 0;

/// For `--only`.
pub fn names() -> impl Iterator<Item = &'static str> {
    DEPTHS.iter().map(|depth| depth.scenario)
}

/// Measures every depth that is wanted, new and known keys in turns.
pub fn run(field: &Field, options: &Options, report: &mut Report) {
    let mut unused = KNOWN + 1;
    for depth in DEPTHS.iter().filter(|depth| options.wants(depth.scenario)) {
        report.scenario(depth.scenario, depth.says);
        let count = if options.quick { depth.requests / 5 } else { depth.requests };
        for round in 0..options.rounds(ROUNDS) {
            let new = unused..unused + count;
            unused = new.end;
            let turns = [("known-key", KNOWN..KNOWN + 1), ("new-key", new)];
            for turn in 0..turns.len() {
                let (name, keys) = turns[(round + turn) % turns.len()].clone();
                report.add(depth.scenario, name, measure(field, depth, keys, count));
            }
        }
    }
}

fn measure(field: &Field, depth: &Depth, keys: Range<usize>, count: usize) -> Cell {
    let contestant = field.checked();
    field.redis.know(KNOWN..KNOWN + 1);
    field.redis.know(keys.clone());
    let requests: Vec<_> = keys.clone().map(|number| request(contestant, &field.token, number)).collect();
    let known = [request(contestant, &field.token, KNOWN)];
    let load = |requests, pace| Load {
        service: &field.service,
        target: contestant.address,
        requests,
        shape: SMALL,
        connections: depth.connections,
        pace,
    };
    generator::run(&load(&known, Pace::Closed), WARM_UP, || {});
    let before = field.redis.reads();
    let cell = measure::cell(contestant, &load(&requests, Pace::Each(count)), WINDOW_MAX);
    let reads = field.redis.reads() - before;
    assert_eq!((cell.answers, cell.failures), (count as u64, 0), "every key is a good one");
    // A known key is looked up again when it is a minute old.
    let (least, most) = if keys.len() == count { (count, count) } else { (0, depth.connections) };
    assert!((least..=most).contains(&reads), "{reads} reads of Redis for {} keys", keys.len());
    cell
}

fn request(contestant: &Contestant, token: &str, key: usize) -> Vec<u8> {
    contestant.request_with(token, &format!("X-API-Key: {}\r\n", super::store::key(key)))
}
