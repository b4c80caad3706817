//! Whether an instance is up, by its checks in a row: pure.

use shm::endpoints::Health;

/// Checks in a row that ended alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    good: u8,
    failed: u8,
}

/// Checks in a row that turn an instance from up to down or back. One that was never up or down is what its first check
/// finds.
const CHECKS: u8 = 2;

impl Streak {
    /// One more check; the answer is what the instance turns into.
    pub fn note(&mut self, good: bool, health: Health) -> Option<Health> {
        let (same, other) =
            if good { (&mut self.good, &mut self.failed) } else { (&mut self.failed, &mut self.good) };
        *other = 0;
        *same = same.saturating_add(1);
        let in_a_row = *same;
        match (health, good) {
            (Health::Unknown, true) => Some(Health::Up),
            (Health::Unknown, false) => Some(Health::Down),
            (Health::Down, true) if in_a_row >= CHECKS => Some(Health::Up),
            (Health::Up, false) if in_a_row >= CHECKS => Some(Health::Down),
            (Health::Up | Health::Down, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
