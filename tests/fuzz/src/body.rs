//! Chunked bodies: payload does not depend on how the bytes arrive, lies within them, and survives new
//! framing.

use edge_worker::http::body::{BodyFault, Decoder, LAST_CHUNK, push_chunk};
use edge_worker::http::head::BodyFraming;

/// Asserts everything; panics where something does not hold.
pub fn check(input: &[u8]) {
    let Some((step, bytes)) = super::steps(input) else { return };
    let at_once = read(bytes, bytes.len().max(1));
    assert_eq!(at_once, read(bytes, step));
    let Ok((payload, consumed, done)) = at_once else { return };
    assert!(consumed <= bytes.len() && payload.len() <= consumed);
    assert!(done || consumed == bytes.len(), "an unfinished body takes all there is");
    let mut wire = Vec::new();
    for piece in payload.chunks(step) {
        push_chunk(&mut wire, piece);
    }
    wire.extend_from_slice(LAST_CHUNK);
    assert_eq!(read(&wire, step), Ok((payload, wire.len(), true)));
}

/// Payload, bytes consumed, and whether the body ended.
fn read(bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), BodyFault> {
    let mut decoder = Decoder::of_request(BodyFraming::Chunked);
    let mut payload = Vec::new();
    let (mut consumed, mut arrived) = (0, 0);
    loop {
        let input = &bytes[consumed..arrived];
        let found = decoder.decode(input)?;
        assert!(found.payload.start <= found.payload.end);
        assert!(found.payload.end <= found.consumed && found.consumed <= input.len());
        assert_eq!(found.done, decoder.is_done());
        payload.extend_from_slice(&input[found.payload.clone()]);
        consumed += found.consumed;
        if found.done {
            return Ok((payload, consumed, true));
        }
        if consumed < arrived {
            assert!(!found.payload.is_empty(), "no progress");
        } else if arrived < bytes.len() {
            arrived = (arrived + step).min(bytes.len());
        } else {
            assert_eq!(decoder.end_of_input(), Err(BodyFault::Truncated));
            return Ok((payload, consumed, false));
        }
    }
}
