//! The access log and the security events: one record a request, as words in the worker's journal, formatted by
//! the supervisor.
//!
//! A worker only copies: ids of region names, numbers, and the few strings a client or its token brought.
//! `line` turns a record into text. A record that does not decode is skipped: the region may hold what
//! another version wrote, or what a dying process left half done.

pub mod names;
pub mod line;
pub mod event_line;

use crate::http::method::Method;
use crate::pipeline::rejection::{Fault, Rejection};
use crate::telemetry::labels::{Reason, method_number};
use crate::telemetry::security_events::{EventSet, Severity};
use std::net::{IpAddr, Ipv6Addr};

pub use names::NameTexts;

pub use shm::journal::RECORD_WORDS_MAX;
/// Longest id (`x-request-id`, `x-correlation-id`), subject and tenant; more is cut.
pub const TEXT_BYTES_MAX: usize = 128;
/// `User-Agent` is cut here.
pub const USER_AGENT_BYTES_MAX: usize = 128;

/// How a request ended, as the worker writes it down.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// Milliseconds since 1970 at which the request ended.
    pub wall_ms: u64,
    pub request_id: &'a [u8],
    pub correlation_id: &'a [u8],
    /// W3C trace context, all zero if there is none.
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// `None` is a token that is no method of the route table.
    pub method: Option<Method>,
    /// Region name of the row's template; 0 if no row matched.
    pub route: u16,
    /// What the client was sent; 0 if it left before an answer.
    pub status: u16,
    pub duration_us: u32,
    /// Region name of the service; 0 if none was called.
    pub service: u16,
    /// 0 if no service answered.
    pub upstream_status: u16,
    /// Verified subject and tenant; empty without a principal.
    pub user: &'a [u8],
    pub tenant: &'a [u8],
    /// Region name of the canonical role; 0 without a principal.
    pub role: u16,
    pub client: IpAddr,
    pub user_agent: &'a [u8],
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Why the edge refused, if it did.
    pub rejection: Option<Rejection>,
    /// Each becomes a line of its own.
    pub events: EventSet,
    /// Region name of the permission that the row asks for; 0 if none matters to the events.
    pub permission: u16,
    /// The venue that the events are about.
    pub venue: Option<[u8; 16]>,
    /// The tenant that a superadmin chose to act in; empty for the token's own.
    pub target_tenant: &'a [u8],
    /// How an API key begins that was refused.
    pub key_start: Option<[u8; KEY_START_BYTES]>,
    pub line: AccessLine,
    /// The worker's slot.
    pub worker: u8,
}

/// Whether a request has a line in the access log, whatever its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLine {
    Written,
    /// Health and metrics are silent.
    Omitted,
}

/// What may be seen of an API key (platform section 8).
pub const KEY_START_BYTES: usize = 8;

/// Words before the texts.
const HEADER_WORDS: usize = 13;
/// Behind the texts, where a record has a venue.
const VENUE_WORDS: usize = 2;
/// Behind that, where a record has the start of a key.
const KEY_WORDS: usize = 1;
/// Version of this layout, in the first byte of a record; others may stand beside it (spans).
const KIND: u64 = 0xA2;
/// Flags of the fourth byte.
const WITH_VENUE: u8 = 1;
const LINE_OMITTED: u8 = 2;
const WITH_KEY: u8 = 4;
const TEXTS: usize = 6;
const TEXT_LIMITS: [usize; TEXTS] =
    [TEXT_BYTES_MAX, TEXT_BYTES_MAX, TEXT_BYTES_MAX, TEXT_BYTES_MAX, USER_AGENT_BYTES_MAX, TEXT_BYTES_MAX];
const TEXT_WORDS_MAX: usize = TEXTS * TEXT_BYTES_MAX / 8;

const _: () = assert!(
    HEADER_WORDS + TEXT_WORDS_MAX + VENUE_WORDS + KEY_WORDS <= RECORD_WORDS_MAX,
    "the longest record fits"
);
const _: () = assert!(TEXT_BYTES_MAX <= 255 && TEXT_BYTES_MAX.is_multiple_of(8), "a length is one byte");
const _: () = assert!(USER_AGENT_BYTES_MAX <= TEXT_BYTES_MAX);

impl AccessRecord<'_> {
    /// Writes the record and returns the number of words it takes.
    #[must_use]
    pub fn encode(&self, words: &mut [u64; RECORD_WORDS_MAX]) -> usize {
        let texts = [
            self.request_id,
            self.correlation_id,
            self.user,
            self.tenant,
            self.user_agent,
            self.target_tenant,
        ];
        let reason = self.rejection.map_or(Reason::NONE, Reason::of).number();
        let flags = match self.line {
            AccessLine::Written => 0,
            AccessLine::Omitted => LINE_OMITTED,
        } | self.venue.map_or(0, |_| WITH_VENUE)
            | self.key_start.map_or(0, |_| WITH_KEY);
        let address = match self.client {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let (address_high, address_low) = halves(address.octets());
        let (trace_high, trace_low) = halves(self.trace_id);
        words[0] = KIND
            | u64::from(method_number(self.method)) << 8
            | u64::from(self.worker) << 16
            | u64::from(flags) << 24
            | u64::from(self.status) << 32
            | u64::from(self.upstream_status) << 48;
        words[1] = u64::from(self.route)
            | u64::from(self.service) << 16
            | u64::from(self.role) << 32
            | u64::from(reason) << 48;
        words[2] = self.wall_ms;
        words[3] = u64::from(self.duration_us);
        words[4] = self.bytes_in;
        words[5] = self.bytes_out;
        words[6] = address_high;
        words[7] = address_low;
        words[8] = trace_high;
        words[9] = trace_low;
        words[10] = u64::from_be_bytes(self.span_id);
        let mut next = HEADER_WORDS;
        let mut lengths = 0;
        for (index, text) in texts.into_iter().enumerate() {
            let text = &text[..text.len().min(TEXT_LIMITS[index])];
            lengths |= (text.len() as u64) << (8 * index);
            next += pack(text, &mut words[next..]);
        }
        words[11] = lengths;
        words[12] = u64::from(self.events.number()) | u64::from(self.permission) << 32;
        if let (Some(venue), Some([first, second])) = (self.venue, words.get_mut(next..next + VENUE_WORDS)) {
            (*first, *second) = halves(venue);
            next += VENUE_WORDS;
        }
        if let (Some(start), Some(word)) = (self.key_start, words.get_mut(next)) {
            *word = u64::from_be_bytes(start);
            next += KEY_WORDS;
        }
        next
    }
}

/// What stands behind the texts, as the flags say it: a venue, and the start of a key.
type Extras = (Option<u128>, Option<[u8; KEY_START_BYTES]>);

fn extras_of(flags: u8, words: &[u64]) -> Option<Extras> {
    let venue = |high: &u64, low: &u64| Some(u128::from(*high) << 64 | u128::from(*low));
    match (flags & WITH_VENUE != 0, flags & WITH_KEY != 0, words) {
        (false, false, []) => Some((None, None)),
        (true, false, [high, low]) => Some((venue(high, low), None)),
        (false, true, [start]) => Some((None, Some(start.to_be_bytes()))),
        (true, true, [high, low, start]) => Some((venue(high, low), Some(start.to_be_bytes()))),
        _ => None,
    }
}

/// Copies bytes into words, the last one padded with zeros. Returns the words taken.
#[inline]
fn pack(text: &[u8], words: &mut [u64]) -> usize {
    let (full, rest) = text.as_chunks::<8>();
    let (whole, tail) = words.split_at_mut(full.len());
    for (word, bytes) in whole.iter_mut().zip(full) {
        *word = u64::from_le_bytes(*bytes);
    }
    if rest.is_empty() {
        return full.len();
    }
    tail[0] = match text.last_chunk::<8>() {
        // The last eight bytes without those that stand in the word before.
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    full.len() + 1
}

fn halves(bytes: [u8; 16]) -> (u64, u64) {
    let both = u128::from_be_bytes(bytes);
    ((both >> 64) as u64, both as u64)
}

/// Where the texts of the record that is being read stand. One a reader, used again and again.
pub struct Scratch {
    bytes: [u8; TEXT_WORDS_MAX * 8],
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch { bytes: [0; TEXT_WORDS_MAX * 8] }
    }
}

/// A record as the supervisor reads it. Nothing in it is trusted beyond its bounds.
#[derive(Clone, Copy, Debug)]
pub struct AccessView<'a> {
    pub wall_ms: u64,
    pub request_id: &'a [u8],
    pub correlation_id: &'a [u8],
    pub trace_id: u128,
    pub span_id: u64,
    /// Index of the method, see `labels::method_word`.
    pub method: u16,
    pub route: u16,
    pub status: u16,
    pub duration_us: u32,
    pub service: u16,
    pub upstream_status: u16,
    pub user: &'a [u8],
    pub tenant: &'a [u8],
    pub role: u16,
    pub client: IpAddr,
    pub user_agent: &'a [u8],
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub reason: Reason,
    pub events: EventSet,
    pub permission: u16,
    pub venue: Option<u128>,
    pub target_tenant: &'a [u8],
    pub key_start: Option<[u8; KEY_START_BYTES]>,
    pub line: AccessLine,
    pub worker: u8,
}

impl<'a> AccessView<'a> {
    /// Reads a record; `None` if it is not one that this version wrote.
    #[must_use]
    pub fn decode(words: &[u64], scratch: &'a mut Scratch) -> Option<Self> {
        let (header, texts) = words.split_first_chunk::<HEADER_WORDS>()?;
        if header[0] & 0xFF != KIND {
            return None;
        }
        let (places, text_words) = places(header[11])?;
        let flags = byte(header[0], 3);
        let (texts, extras) = texts.split_at_checked(text_words)?;
        let (venue, key_start) = extras_of(flags, extras)?;
        for (bytes, word) in scratch.bytes.as_chunks_mut::<8>().0.iter_mut().zip(texts) {
            *bytes = word.to_le_bytes();
        }
        let scratch = &*scratch;
        let text = |index: usize| scratch.bytes.get(places[index].0..places[index].1);
        let address = u128::from(header[6]) << 64 | u128::from(header[7]);
        Some(AccessView {
            wall_ms: header[2],
            request_id: text(0)?,
            correlation_id: text(1)?,
            trace_id: u128::from(header[8]) << 64 | u128::from(header[9]),
            span_id: header[10],
            method: u16::from(byte(header[0], 1)),
            route: half(header[1], 0),
            status: half(header[0], 2),
            duration_us: u32::try_from(header[3]).ok()?,
            service: half(header[1], 1),
            upstream_status: half(header[0], 3),
            user: text(2)?,
            tenant: text(3)?,
            role: half(header[1], 2),
            client: IpAddr::V6(Ipv6Addr::from_bits(address)).to_canonical(),
            user_agent: text(4)?,
            bytes_in: header[4],
            bytes_out: header[5],
            reason: Reason::from_number(half(header[1], 3)),
            events: EventSet::from_number(header[12] as u32),
            permission: half(header[12], 2),
            venue,
            target_tenant: text(5)?,
            key_start,
            line: if flags & LINE_OMITTED == 0 { AccessLine::Written } else { AccessLine::Omitted },
            worker: byte(header[0], 2),
        })
    }

    /// How loud the line is.
    #[must_use]
    pub fn level(&self) -> Level {
        let grave = self.events.gravest().is_some_and(|event| event.severity() >= Severity::High);
        let fault = self.reason.fault();
        let server_error = self.status >= 500 && !matches!(fault, Some(Fault::Client | Fault::Load));
        if server_error {
            Level::Error
        } else if fault == Some(Fault::Load) || grave || self.duration_us > SLOW_US {
            Level::Warn
        } else {
            Level::Info
        }
    }
}

/// Level of an access-log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warn,
    Info,
}

impl Level {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }

    /// Whether `LOG_LEVEL` lets the line through.
    #[must_use]
    pub fn passes(self, threshold: crate::config::telemetry::LogLevel) -> bool {
        use crate::config::telemetry::LogLevel;
        let level = match self {
            Self::Error => LogLevel::Error,
            Self::Warn => LogLevel::Warn,
            Self::Info => LogLevel::Info,
        };
        level <= threshold
    }
}

/// A slower request is a warning.
const SLOW_US: u32 = 1_000_000;

/// Start and end of each text among the words that follow the header, and how many words those are.
fn places(lengths: u64) -> Option<([(usize, usize); TEXTS], usize)> {
    let mut places = [(0, 0); TEXTS];
    let mut start = 0;
    for (index, place) in places.iter_mut().enumerate() {
        let length = usize::from(byte(lengths, index));
        if length > TEXT_LIMITS[index] {
            return None;
        }
        *place = (start, start + length);
        start += length.div_ceil(8) * 8;
    }
    (lengths >> (8 * TEXTS) == 0).then_some((places, start / 8))
}

fn byte(word: u64, index: usize) -> u8 {
    word.to_le_bytes()[index]
}

fn half(word: u64, index: usize) -> u16 {
    (word >> (16 * index)) as u16
}

#[cfg(test)]
mod tests;
