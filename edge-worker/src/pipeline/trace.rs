//! W3C trace context: every request to a service carries a `traceparent`, the client's trace continued or a new one.
//!
//! The sampled flag of a client is not believed unless a trusted proxy passed it on: otherwise anybody could make
//! the platform record everything (https://www.w3.org/TR/trace-context/, section 3.2).

use rand::Rng;
use std::str;

/// `00-<32 hex>-<16 hex>-<2 hex>`.
const TEXT_BYTES: usize = 55;
const TRACE_ID: std::ops::Range<usize> = 3..35;
const PARENT_ID: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;

/// The trace a request belongs to, and the edge's own span in it.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    text: [u8; TEXT_BYTES],
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

impl Trace {
    /// Continues a valid parent, else begins anew. `trusted`: the parent's flags are believed.
    #[must_use]
    pub fn of(parent: Option<&[u8]>, trusted: bool, random: &mut impl Rng) -> Self {
        let parent = parent.and_then(read);
        let mut trace_id = [0; 16];
        let mut span_id = [0; 8];
        random.fill_bytes(&mut span_id);
        match parent {
            Some((id, _)) => trace_id = id,
            None => random.fill_bytes(&mut trace_id),
        }
        let sampled = parent.is_some_and(|(_, flags)| trusted && flags & 1 == 1);
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write(&mut text[TRACE_ID], &trace_id);
        write(&mut text[PARENT_ID], &span_id);
        write(&mut text[FLAGS], &[u8::from(sampled)]);
        Trace { text, trace_id, span_id }
    }

    /// The `traceparent` for the service.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.text).unwrap_or_default()
    }
}

/// Trace id and flags of a valid `traceparent`. A later version is read by the rules of this one.
fn read(parent: &[u8]) -> Option<([u8; 16], u8)> {
    let version = hexadecimal::<1>(parent.get(..2)?)?[0];
    let complete = parent.len() == TEXT_BYTES || (version > 0 && parent.get(TEXT_BYTES) == Some(&b'-'));
    let dashes = [2, 35, 52].iter().all(|place| parent.get(*place) == Some(&b'-'));
    if version == 0xFF || !complete || !dashes {
        return None;
    }
    let trace_id = hexadecimal::<16>(parent.get(TRACE_ID)?)?;
    let parent_id = hexadecimal::<8>(parent.get(PARENT_ID)?)?;
    let flags = hexadecimal::<1>(parent.get(FLAGS)?)?[0];
    (trace_id != [0; 16] && parent_id != [0; 8]).then_some((trace_id, flags))
}

/// Lower case only, as the recommendation demands.
fn hexadecimal<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn write(place: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in place.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0x0F)];
    }
}

#[cfg(test)]
mod tests;
