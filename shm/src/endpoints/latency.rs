//! How long an instance takes, as one word: a moving average, as Finagle and linkerd2-proxy balance by
//! (`com.twitter.finagle.loadbalancer.PeakEwma`), but for its jump to every peak. Services answer some rows in
//! milliseconds and others in a minute; with the jump one slow answer would take all other calls from its instance.
//! A sample counts for at most sixteen times the average: one among many changes little, one after another much.
//!
//! The weight of what was before is τ / (τ + age) in place of e^(-age / τ), and half as much for every whole τ
//! in between: as good, and without floating point. While nobody calls, the average falls as well, or an
//! instance that was slow once would never be tried again. Samples that come soon after the last one are left
//! out, so that the word, which all workers share, is seldom written.

use crate::breakers::Outcome;

/// The word, taken apart: microseconds in the low 36 bits, 8 of them behind the point (268 s); milliseconds
/// of the last sample in 28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    /// Zero: unknown.
    steps: u64,
    at_ms: u64,
}

impl Latency {
    #[inline]
    pub(super) fn unpack(word: u64) -> Latency {
        Latency { steps: word & STEPS_MAX, at_ms: word >> AT_SHIFT }
    }

    pub(super) fn pack(self) -> u64 {
        self.at_ms << AT_SHIFT | self.steps
    }

    /// Microseconds as of now; zero while nothing is known.
    #[inline]
    pub(super) fn at(self, decay_ms: u64, now_ms: u64) -> u64 {
        if self.steps == 0 {
            return 0;
        }
        // Known stays known.
        ((self.steps * self.weight(decay_ms, now_ms) / SCALE) >> STEPS_SHIFT).max(1)
    }

    /// With one more sample. A call that failed may have failed fast: it raises an average that is known or says
    /// nothing.
    #[inline]
    pub(super) fn after(self, sample_us: u64, outcome: Outcome, decay_ms: u64, now_ms: u64) -> Latency {
        let sample = sample_us.saturating_mul(1 << STEPS_SHIFT).clamp(1, STEPS_MAX);
        let at_ms = now_ms & AT_MASK;
        if self.steps == 0 {
            return if outcome == Outcome::Success { Latency { steps: sample, at_ms } } else { self };
        }
        let old = self.weight(decay_ms, now_ms);
        let raises = sample * SCALE >= self.steps * old;
        if old == SCALE || !(raises || outcome == Outcome::Success) {
            return self;
        }
        let sample = sample.min(self.steps * PEAK);
        Latency { steps: ((self.steps * old + sample * (SCALE - old)) / SCALE).clamp(1, STEPS_MAX), at_ms }
    }

    /// The weight of what was before, of `SCALE`.
    #[inline]
    fn weight(self, decay_ms: u64, now_ms: u64) -> u64 {
        let ahead = self.at_ms.wrapping_sub(now_ms) & AT_MASK;
        // Further ahead than any process lags is long ago.
        let age = if ahead <= AHEAD_MS_MAX { 0 } else { AT_MASK + 1 - ahead };
        let decay_ms = decay_ms.clamp(1, DECAY_MS_MAX);
        // So little is nothing: spares a busy instance the divisions and the store.
        if age < decay_ms / 256 {
            return SCALE;
        }
        let (halvings, rest) = (age / decay_ms, age % decay_ms);
        (decay_ms * SCALE / (decay_ms + rest)) >> halvings.min(HALVINGS_MAX)
    }
}

const STEPS_SHIFT: u32 = 8;
const STEPS_MAX: u64 = (1 << 36) - 1;
const AT_SHIFT: u32 = 36;
/// Three days: what is older than that may weigh too much, until the next sample.
const AT_MASK: u64 = (1 << 28) - 1;
const AHEAD_MS_MAX: u64 = 60_000;
/// For how many times the average a sample counts.
const PEAK: u64 = 16;
const SCALE: u64 = 1 << 16;
/// Nothing of `SCALE` is left.
const HALVINGS_MAX: u64 = 17;
const DECAY_MS_MAX: u64 = 3_600_000;

const _: () = assert!(STEPS_MAX * PEAK < u64::MAX / SCALE / 2 && DECAY_MS_MAX < u64::MAX / SCALE / 2);
