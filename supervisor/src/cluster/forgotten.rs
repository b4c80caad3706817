//! Since when a value in Redis is void on this node although it still stands there: events say so, and the nodes that
//! wrote it need not have heard of them yet. Pure; time comes in.

use super::record::CLOCK_SKEW_S;
use edge_worker::clock::UnixSeconds;
use std::collections::HashMap;

/// Users and venues that are remembered. More, and everything from before counts as void.
pub const MARKS_MAX: usize = 65_536;
/// Longer than any value stands in Redis, seconds.
pub const MARK_S: i64 = 86_400 + CLOCK_SKEW_S;

/// By user and by venue, each under the Redis key that names it.
#[derive(Debug, Default)]
pub struct Forgotten {
    marks: HashMap<String, UnixSeconds>,
    /// What anybody said before is void.
    floor: Option<UnixSeconds>,
}

impl Forgotten {
    /// What was said of `whose` up to `now` is void.
    pub fn note(&mut self, whose: String, now: UnixSeconds) {
        if self.marks.len() >= MARKS_MAX {
            self.marks.retain(|_, at| now.saturating_sub(*at) < MARK_S);
        }
        if self.marks.len() >= MARKS_MAX {
            self.note_all(now);
        } else {
            self.marks.insert(whose, now);
        }
    }

    /// What was said of anybody up to `now` is void.
    pub fn note_all(&mut self, now: UnixSeconds) {
        self.floor = Some(now);
        self.marks.clear();
    }

    /// Whether what was said at `at`, by another node's clock, still counts.
    #[must_use]
    pub fn admits(&self, whose: &str, at: UnixSeconds) -> bool {
        let mark = self.marks.get(whose).copied().max(self.floor);
        mark.is_none_or(|mark| at > mark.saturating_add(CLOCK_SKEW_S))
    }
}

#[cfg(test)]
mod tests;
