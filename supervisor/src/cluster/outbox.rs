//! Own writes that Redis does not have yet, in their order, and the recent ones that it may have to get again.
//! Pure; bounded in number.

use super::event::Event;
use edge_worker::clock::UnixSeconds;
use std::collections::VecDeque;

/// Writes that wait for Redis. One more is refused: it holds on this node alone, and its writer is told.
pub const WAITING_MAX_COUNT: usize = 65_536;
/// Written ones that are kept in case Redis loses its data. The oldest goes first.
pub const RECENT_MAX_COUNT: usize = 16_384;

/// How often Redis may refuse a letter that it is given alone before the letter is laid aside.
pub const REFUSALS_MAX: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub event: Event,
    /// Why, for people who read the stream; from a fixed set, never from a request.
    pub reason: &'static str,
    refusals: u32,
}

/// What becomes of a letter that Redis refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has another try, behind the others.
    Postponed,
    LaidAside(Letter),
    /// It was laid aside before.
    Known,
}

impl Letter {
    #[must_use]
    pub fn new(event: Event, reason: &'static str) -> Letter {
        Letter { event, reason, refusals: 0 }
    }
}

#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Letter>,
    /// Redis is up and refuses these.
    refused: Vec<Letter>,
    recent: VecDeque<Letter>,
    /// How many at the front of `waiting` are being written.
    in_hand: usize,
}

impl Outbox {
    /// `false` if there is no room.
    #[must_use]
    pub fn push(&mut self, letter: Letter) -> bool {
        let fits = self.unpublished() < WAITING_MAX_COUNT;
        if fits {
            self.waiting.push_back(letter);
        }
        fits
    }

    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Those that Redis refuses.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Whatever Redis does not have.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        self.waiting.len() + self.refused.len()
    }

    #[must_use]
    pub fn is_refused(&self, event: &Event) -> bool {
        self.refused.iter().any(|letter| letter.event == *event)
    }

    /// The next ones to write; they stay until [`Outbox::written`].
    pub fn take(&mut self, count_max: usize) -> Vec<Letter> {
        self.in_hand = self.waiting.len().min(count_max);
        self.waiting.iter().take(self.in_hand).cloned().collect()
    }

    /// Redis has what was taken last.
    pub fn written(&mut self) {
        for letter in self.waiting.drain(..self.in_hand) {
            // What is not durable is of no use later.
            if matches!(letter.event, Event::Token { .. } | Event::User { .. } | Event::Tenant { .. }) {
                self.recent.push_back(letter);
            }
        }
        self.in_hand = 0;
        let excess = self.recent.len().saturating_sub(RECENT_MAX_COUNT);
        self.recent.drain(..excess);
    }

    /// Redis refuses the first one, which it was given alone. The others go before it, and after so many refusals it is
    /// laid aside, so that nobody waits for it. `None` if none waits.
    pub fn refuse(&mut self) -> Option<Refusal> {
        self.in_hand = 0;
        let mut letter = self.waiting.pop_front()?;
        letter.refusals += 1;
        if letter.refusals < REFUSALS_MAX {
            self.waiting.push_back(letter);
            return Some(Refusal::Postponed);
        }
        self.refused.push(letter.clone());
        Some(if letter.refusals == REFUSALS_MAX { Refusal::LaidAside(letter) } else { Refusal::Known })
    }

    /// What was laid aside gets another try.
    pub fn retry_refused(&mut self) {
        self.waiting.extend(self.refused.drain(..));
    }

    /// Redis lost its data: what is still valid is written again, before what waits. Gives their number.
    pub fn replay(&mut self, now: UnixSeconds, skew_s: i64) -> usize {
        let room = WAITING_MAX_COUNT.saturating_sub(self.unpublished());
        let mut again: Vec<Letter> =
            self.recent.drain(..).filter(|letter| !letter.event.is_over(now, skew_s)).collect();
        again.drain(..again.len().saturating_sub(room));
        let count = again.len();
        // Behind those in the hands of the writer, which are the front when it reports.
        let rest = self.waiting.split_off(self.in_hand);
        self.waiting.extend(again);
        self.waiting.extend(rest);
        count
    }
}

#[cfg(test)]
mod tests;
