//! Which instance a call goes to: pure decisions over what is known, with their random bits as arguments.
//!
//! Power of two choices (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001): of two
//! instances picked at random the one that costs less, where the cost is latency times calls in flight, as
//! Finagle and linkerd2-proxy reckon it.

/// What is known of an instance when it is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Well,
    /// Its calls fail.
    Ejected,
    /// Its checks fail.
    Down,
}

/// One of two instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub in_flight: u64,
    /// Zero while it is unknown; then calls in flight alone decide, as between two that are about as fast.
    pub latency_us: u64,
    /// What part of `SHARE_FULL` of its calls it is offered.
    pub share: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    First,
    Second,
}

/// The share of an instance that has been well for long.
pub const SHARE_FULL: u16 = 1 << 10;

/// What an instance is offered in the moment when it is back, so that it is called at all.
const SHARE_MIN: u16 = SHARE_FULL / 64;

/// Which instances may be called, as a set of bits: those that are well; with too many ejected of those that are not
/// down, the ejected ones too, because then it is not the instance that fails; and if none is left, all of them
/// (platform contract, section 1). At most 64 count.
#[inline]
pub fn eligible(standings: impl Iterator<Item = Standing>, ejected_percent_max: u8) -> u64 {
    let (mut all, mut well, mut ejected) = (0_u64, 0_u64, 0_u64);
    for (place, standing) in standings.take(64).enumerate() {
        let bit = 1 << place;
        all |= bit;
        match standing {
            Standing::Well => well |= bit,
            Standing::Ejected => ejected |= bit,
            Standing::Down => {}
        }
    }
    let up = well | ejected;
    let too_many = ejected.count_ones() * 100 > up.count_ones() * u32::from(ejected_percent_max);
    if well != 0 && !too_many {
        well
    } else if up != 0 {
        up
    } else {
        all
    }
}

/// Two different members of a set, each pair as likely as any other; the same one twice if there is only one.
/// Uses the lower 32 of the random bits.
#[inline]
#[must_use]
pub fn pair(set: u64, random: u64) -> Option<(usize, usize)> {
    let (lowest, highest) = (set.trailing_zeros() as usize, set.checked_ilog2()? as usize);
    let count = u64::from(set.count_ones());
    let first = below(count, random & 0xffff);
    if count <= 2 {
        return Some(if first == 0 { (lowest, highest) } else { (highest, lowest) });
    }
    let second = first + 1 + below(count - 1, random >> 16 & 0xffff);
    let second = if second < count { second } else { second - count };
    Some((member(set, first), member(set, second)))
}

/// The better of two. One that has not been back for long stands back in so many cases as its share says,
/// unless both do. Uses the lower 32 of the random bits.
#[inline]
#[must_use]
pub fn choose(first: Candidate, second: Candidate, random: u64) -> Side {
    let stands = |candidate: Candidate, bits: u64| bits % u64::from(SHARE_FULL) < u64::from(candidate.share);
    match (stands(first, random), stands(second, random >> 10)) {
        (true, false) => return Side::First,
        (false, true) => return Side::Second,
        (true, true) | (false, false) => {}
    }
    let known = first.latency_us > 0 && second.latency_us > 0 && !alike(first.latency_us, second.latency_us);
    let cost = |candidate: Candidate| {
        let latency_us = if known { candidate.latency_us } else { 1 };
        latency_us.saturating_mul(candidate.in_flight.saturating_add(1))
    };
    let first_is_better = match cost(first).cmp(&cost(second)) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => random >> 20 & 1 == 0,
    };
    if first_is_better { Side::First } else { Side::Second }
}

/// Whether the difference is chance: of two that are equally fast the one that was late last would otherwise get
/// hardly a call, while there are not enough calls for those in flight to tell.
#[inline]
fn alike(first_us: u64, second_us: u64) -> bool {
    first_us.abs_diff(second_us) <= first_us.min(second_us).max(CHANCE_US)
}

/// Between services of one network.
const CHANCE_US: u64 = 1_000;

/// The share of an instance that came back at `returned_ms`: grows linearly, from `SHARE_MIN` on.
#[inline]
pub(super) fn share(returned_ms: Option<u64>, slow_start_ms: u64, now_ms: u64) -> u16 {
    let age_ms = returned_ms.and_then(|returned_ms| now_ms.checked_sub(returned_ms));
    let Some(age_ms) = age_ms.filter(|age_ms| *age_ms < slow_start_ms) else { return SHARE_FULL };
    let grown = u128::from(SHARE_FULL) * u128::from(age_ms) / u128::from(slow_start_ms);
    u16::try_from(grown).unwrap_or(SHARE_FULL).max(SHARE_MIN)
}

/// Below `limit` (at most 64), from 16 random bits.
fn below(limit: u64, bits: u64) -> u64 {
    (bits * limit) >> 16
}

/// The place of the set's member number `number`.
fn member(mut set: u64, number: u64) -> usize {
    for _ in 0..number {
        set &= set.wrapping_sub(1);
    }
    set.trailing_zeros() as usize
}
