//! Whether an instance is left out because calls to it fail, as one word that every worker writes: outlier
//! ejection as Envoy has it, for failures in a row.
//!
//! Each ejection lasts longer than the one before. One is forgiven for every `eject_ms` without another.

use super::Rules;
use crate::breakers::Outcome;

/// An instance was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ejection {
    pub for_ms: u64,
    /// How often in a row, this time included.
    pub count: u8,
}

/// The word, taken apart: failures in the low 8 bits, ejections in 8, whether it was called while it was ejected in
/// one, until when in 47.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlier {
    /// In a row.
    pub(super) failures: u8,
    pub(super) ejections: u8,
    /// Although it is or was ejected the last time.
    called: bool,
    /// When the last ejection ends or ended; zero if there was none.
    until_ms: u64,
}

impl Outlier {
    #[inline]
    pub(super) fn unpack(word: u64) -> Outlier {
        let [failures, ejections, ..] = word.to_le_bytes();
        Outlier { failures, ejections, called: word & CALLED != 0, until_ms: word >> UNTIL_SHIFT }
    }

    pub(super) fn pack(self) -> u64 {
        let called = if self.called { CALLED } else { 0 };
        self.until_ms << UNTIL_SHIFT | called | u64::from(self.ejections) << 8 | u64::from(self.failures)
    }

    /// How long it is still left out.
    #[inline]
    pub(super) fn left_ms(self, now_ms: u64) -> u64 {
        let left_ms = self.until_ms.saturating_sub(now_ms);
        // Nobody ejects for longer.
        if left_ms <= EJECT_MS_MAX { left_ms } else { 0 }
    }

    /// When it came back; nothing if it is still left out, or never was in truth.
    pub(super) fn returned_ms(self, now_ms: u64) -> Option<u64> {
        (!self.called && (1..=now_ms).contains(&self.until_ms)).then_some(self.until_ms)
    }

    /// What the word becomes when it is called; nothing if it stays.
    pub(super) fn called(self, now_ms: u64) -> Option<Outlier> {
        (self.left_ms(now_ms) > 0 && !self.called).then_some(Outlier { called: true, ..self })
    }

    /// What the word becomes when a call ended so; nothing if it stays.
    #[inline]
    pub(super) fn after(
        self,
        outcome: Outcome,
        rules: &Rules,
        now_ms: u64,
    ) -> Option<(Outlier, Option<Ejection>)> {
        match outcome {
            Outcome::Success if self.failures > 0 => Some((Outlier { failures: 0, ..self }, None)),
            // What was sent before the ejection says nothing new.
            Outcome::Failure if self.left_ms(now_ms) == 0 => Some(self.failed(rules, now_ms)),
            Outcome::Success | Outcome::Failure | Outcome::Neutral => None,
        }
    }

    fn failed(self, rules: &Rules, now_ms: u64) -> (Outlier, Option<Ejection>) {
        let failures = self.failures.saturating_add(1);
        if failures < rules.failures {
            return (Outlier { failures, ..self }, None);
        }
        let eject_ms = rules.eject_ms.max(1);
        let forgiven = u8::try_from(now_ms.saturating_sub(self.until_ms) / eject_ms).unwrap_or(u8::MAX);
        let count = self.ejections.saturating_sub(forgiven).saturating_add(1);
        let longest = rules.eject_ms_max.clamp(1, EJECT_MS_MAX);
        let for_ms = eject_ms.saturating_mul(u64::from(count)).min(longest);
        let until_ms = now_ms.saturating_add(for_ms) & UNTIL_MASK;
        (Outlier { failures: 0, ejections: count, called: false, until_ms }, Some(Ejection { for_ms, count }))
    }
}

/// An end further away than this was not written by anybody who is well, and counts as passed.
const EJECT_MS_MAX: u64 = 3_600_000;
const CALLED: u64 = 1 << 16;
const UNTIL_SHIFT: u32 = 17;
const UNTIL_MASK: u64 = u64::MAX >> UNTIL_SHIFT;
