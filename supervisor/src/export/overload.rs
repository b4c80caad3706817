//! Says in the log when the node begins to shed and when it ends: two lines, however long it takes and however often a
//! level touches zero in between.

use edge_worker::clock::{self, Millis};
use edge_worker::pipeline::shedding::CLASS;
use edge_worker::telemetry::labels::SHED_CLASSES;
use shm::Shared;
use shm::workers::WorkerBlock;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Nothing was shed for so long: it has ended.
const QUIET_MS: u64 = 2_000;

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Begins,
    /// `highest` is the level at the worst of it, in 256ths of a class.
    Ends {
        lasted_ms: u64,
        highest: u64,
    },
}

/// A time of shedding.
#[derive(Clone, Copy, Debug)]
struct Spell {
    began: Millis,
    /// When something was shed last.
    last: Millis,
    highest: u64,
}

/// Looks at all workers for ever.
pub async fn run(shared: &'static Shared) {
    let mut spell = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let level = shared.workers.iter().map(WorkerBlock::pressure).max().unwrap_or(0);
        match look(&mut spell, level, clock::now().millis()) {
            Some(Said::Begins) => {
                tracing::warn!(class = class(level), "shedding begins");
            }
            Some(Said::Ends { lasted_ms, highest }) => {
                tracing::info!(lasted_ms, up_to_class = class(highest), "shedding ends");
            }
            None => {}
        }
    }
}

/// Pure: what a level at this time means after what was before.
fn look(spell: &mut Option<Spell>, level: u64, now: Millis) -> Option<Said> {
    match spell {
        None if level > 0 => {
            *spell = Some(Spell { began: now, last: now, highest: level });
            Some(Said::Begins)
        }
        None => None,
        Some(running) if level > 0 => {
            (running.last, running.highest) = (now, running.highest.max(level));
            None
        }
        Some(running) if now.0.saturating_sub(running.last.0) >= QUIET_MS => {
            let (lasted_ms, highest) = (running.last.0.saturating_sub(running.began.0), running.highest);
            *spell = None;
            Some(Said::Ends { lasted_ms, highest })
        }
        Some(_) => None,
    }
}

/// The highest class of which something is shed.
fn class(level: u64) -> &'static str {
    let index = usize::try_from(level.saturating_sub(1) / CLASS).unwrap_or(usize::MAX);
    SHED_CLASSES.get(index).or(SHED_CLASSES.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
