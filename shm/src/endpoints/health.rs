//! What the supervisor's checks say of an instance, as one word of one writer.

/// What the last checks found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Not checked yet; called like one that is up.
    Unknown,
    Up,
    Down,
}

/// The word, taken apart: health in the low 2 bits, whether it was down before in one, since when above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) health: Health,
    back: bool,
    pub(super) since_ms: u64,
}

impl Active {
    #[inline]
    pub(super) fn unpack(word: u64) -> Active {
        let health = match word & HEALTH_MASK {
            1 => Health::Up,
            2 => Health::Down,
            _ => Health::Unknown,
        };
        Active { health, back: word & BACK != 0, since_ms: word >> SINCE_SHIFT }
    }

    pub(super) fn pack(self) -> u64 {
        let health = match self.health {
            Health::Unknown => 0,
            Health::Up => 1,
            Health::Down => 2,
        };
        self.since_ms << SINCE_SHIFT | if self.back { BACK } else { 0 } | health
    }

    /// What it becomes when a check finds `health`; nothing if it is that already.
    pub(super) fn turned(self, health: Health, now_ms: u64) -> Option<Active> {
        let back = self.health == Health::Down && health == Health::Up;
        (self.health != health).then_some(Active { health, back, since_ms: now_ms & SINCE_MASK })
    }

    /// When it came back; nothing if it never was down.
    pub(super) fn returned_ms(self) -> Option<u64> {
        (self.health == Health::Up && self.back).then_some(self.since_ms)
    }
}

const HEALTH_MASK: u64 = 0b11;
const BACK: u64 = 0b100;
const SINCE_SHIFT: u32 = 3;
const SINCE_MASK: u64 = u64::MAX >> SINCE_SHIFT;
