//! Bodies whole, in pieces, and broken.

use super::*;
use crate::config::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};
use proptest::prelude::*;

/// Feeds `input` in pieces of `step` bytes; gives payload, bytes consumed, and whether the body ended.
fn read(decoder: &mut Decoder, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), BodyFault> {
    let mut payload = Vec::new();
    let mut consumed = 0;
    let mut arrived = 0;
    loop {
        let found = decoder.decode(&input[consumed..arrived])?;
        assert!(found.consumed <= arrived - consumed && found.payload.end <= found.consumed);
        payload.extend_from_slice(&input[consumed..arrived][found.payload.clone()]);
        consumed += found.consumed;
        if found.done {
            return Ok((payload, consumed, true));
        }
        if consumed == arrived {
            if arrived == input.len() {
                return Ok((payload, consumed, false));
            }
            arrived = (arrived + step).min(input.len());
        } else {
            assert!(found.consumed > 0 && !found.payload.is_empty(), "no progress");
        }
    }
}

fn chunked(input: &[u8]) -> Result<(Vec<u8>, usize, bool), BodyFault> {
    read(&mut Decoder::of_request(BodyFraming::Chunked), input, input.len().max(1))
}

#[test]
fn a_body_with_a_length_ends_where_it_says() {
    let mut decoder = Decoder::of_request(BodyFraming::Length(5));
    assert_eq!(decoder.remaining(), Some(5));
    assert_eq!(decoder.decode(b"abc"), Ok(Step { consumed: 3, payload: 0..3, done: false }));
    assert_eq!(decoder.end_of_input(), Err(BodyFault::Truncated));
    assert_eq!(decoder.remaining(), Some(2));
    assert_eq!(decoder.decode(b"deGET /"), Ok(Step { consumed: 2, payload: 0..2, done: true }));
    assert!(decoder.is_done() && decoder.end_of_input().is_ok());
}

#[test]
fn no_body_is_done_before_it_begins() {
    for mut decoder in [Decoder::of_request(BodyFraming::None), Decoder::of_response(ResponseFraming::None)] {
        assert!(decoder.is_done());
        assert_eq!(decoder.decode(b"GET /"), Ok(Step { consumed: 0, payload: 0..0, done: true }));
    }
}

#[test]
fn a_body_until_close_ends_with_the_connection_only() {
    let mut decoder = Decoder::of_response(ResponseFraming::UntilClose);
    assert_eq!(decoder.decode(b"abc"), Ok(Step { consumed: 3, payload: 0..3, done: false }));
    assert!(!decoder.is_done() && decoder.end_of_input().is_ok());
    assert_eq!(decoder.remaining(), None);
}

#[test]
fn a_length_beyond_memory_is_counted() {
    let mut decoder = Decoder::of_response(ResponseFraming::Length(u64::MAX));
    assert_eq!(decoder.decode(b"abc"), Ok(Step { consumed: 3, payload: 0..3, done: false }));
    assert_eq!(decoder.remaining(), Some(u64::MAX - 3));
}

#[test]
fn one_call_takes_a_chunk_and_all_framing_behind_it() {
    let mut decoder = Decoder::of_response(ResponseFraming::Chunked);
    let input = b"3\r\nabc\r\n0\r\n\r\nHTTP/1.1";
    assert_eq!(decoder.decode(input), Ok(Step { consumed: 13, payload: 3..6, done: true }));
    assert_eq!(decoder.decode(b"HTTP"), Ok(Step { consumed: 0, payload: 0..0, done: true }));
    assert_eq!(decoder.remaining(), None);
}

#[test]
fn legal_chunked_bodies_are_read() {
    let bodies: [(&[u8], &[u8]); 9] = [
        (b"0\r\n\r\n", b""),
        (b"0000\r\n\r\n", b""),
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"a;name=value;x=\"y z\"\r\n0123456789\r\n0;last\r\n\r\n", b"0123456789"),
        (b"0000000000000003\r\n\r\n0\r\n0\r\n\r\n", b"\r\n0"),
        (b"1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", b"\r\n"),
        (b"1\r\nx\r\n0\r\nTrailer: dropped\r\nEmpty:\r\n\r\n", b"x"),
        (b"0\r\nT: \xe9\t \r\n\r\n", b""),
    ];
    for (input, payload) in bodies {
        let text = String::from_utf8_lossy(input);
        assert_eq!(chunked(input), Ok((payload.to_vec(), input.len(), true)), "{text:?}");
        let mut longer = input.to_vec();
        longer.extend_from_slice(b"GET / HTTP/1.1");
        assert_eq!(chunked(&longer), Ok((payload.to_vec(), input.len(), true)), "{text:?} and more");
        for step in 1..input.len() {
            let mut decoder = Decoder::of_request(BodyFraming::Chunked);
            assert_eq!(
                read(&mut decoder, input, step),
                Ok((payload.to_vec(), input.len(), true)),
                "{text:?}"
            );
        }
        for cut in 0..input.len() {
            let mut decoder = Decoder::of_request(BodyFraming::Chunked);
            let ended = read(&mut decoder, &input[..cut], cut.max(1)).map(|(_, _, done)| done);
            assert_eq!(ended, Ok(false), "{text:?} cut at {cut}");
            assert_eq!(decoder.end_of_input(), Err(BodyFault::Truncated));
        }
    }
}

#[test]
fn broken_chunked_bodies_are_refused() {
    use BodyFault as F;
    let bodies: [(&[u8], BodyFault); 35] = [
        (b"\r\n", F::ChunkSize),
        (b";x\r\n", F::ChunkSize),
        (b"-1\r\n", F::ChunkSize),
        (b"+1\r\n", F::ChunkSize),
        (b"0x1\r\n", F::ChunkSize),
        (b"1 \r\n", F::ChunkSize),
        (b" 1\r\n", F::ChunkSize),
        (b"1\t\r\n", F::ChunkSize),
        (b"1 ;x\r\n", F::ChunkSize),
        (b"g\r\n", F::ChunkSize),
        (b"1.0\r\n", F::ChunkSize),
        (b"1,1\r\n", F::ChunkSize),
        (b"1_0\r\n", F::ChunkSize),
        (b"\xd9\xa1\r\n", F::ChunkSize),
        (b"1\0\r\n", F::ChunkSize),
        (b"00000000000000001\r\n", F::ChunkSize),
        (b"10000000000000000\r\n", F::ChunkSize),
        (b"fffffffffffffffff\r\n", F::ChunkSize),
        (b"1\nx", F::ChunkSize),
        (b"1\rx", F::ChunkEnd),
        (b"1\r\rx", F::ChunkEnd),
        (b"1;a\nx\r\n", F::ChunkExtension),
        (b"1;a\rx\r\n", F::ChunkEnd),
        (b"1;\0\r\n", F::ChunkExtension),
        (b"1;\x7f\r\n", F::ChunkExtension),
        (b"1;\xe9\r\n", F::ChunkExtension),
        (b"1;a\x0b\r\n", F::ChunkExtension),
        (b"1\r\nxy\r\n", F::ChunkEnd),
        (b"1\r\nx\n0\r\n\r\n", F::ChunkEnd),
        (b"1\r\nx\rx", F::ChunkEnd),
        (b"0\r\n\n", F::Trailer),
        (b"0\r\n\rx", F::ChunkEnd),
        (b"0\r\nA : b\r\n\r\n", F::Trailer),
        (b"0\r\nA: b\r\n c\r\n\r\n", F::Trailer),
        (b"0\r\nA: b\n\r\n", F::Trailer),
    ];
    for (input, fault) in bodies {
        let text = String::from_utf8_lossy(input);
        assert_eq!(chunked(input), Err(fault), "{text:?}");
        for step in 1..input.len() {
            let mut decoder = Decoder::of_request(BodyFraming::Chunked);
            assert_eq!(read(&mut decoder, input, step), Err(fault), "{text:?} in steps of {step}");
        }
    }
    for more in [
        b"0\r\n: b\r\n\r\n".as_slice(),
        b"0\r\nA\r\n\r\n",
        b"0\r\nA: \x01\r\n\r\n",
        b"0\r\nA: b\r\r\n",
        b"0\r\n\x01",
    ] {
        assert_eq!(chunked(more), Err(BodyFault::Trailer), "{:?}", String::from_utf8_lossy(more));
    }
}

#[test]
fn the_largest_size_is_counted_and_not_wrapped() {
    let mut decoder = Decoder::of_request(BodyFraming::Chunked);
    let input = b"ffffffffffffffff\r\nabc";
    assert_eq!(decoder.decode(input), Ok(Step { consumed: 21, payload: 18..21, done: false }));
    assert_eq!(decoder.end_of_input(), Err(BodyFault::Truncated));
}

#[test]
fn lines_and_trailers_are_bounded() {
    let line = |extension: usize| {
        let mut input = b"0;".to_vec();
        input.extend(std::iter::repeat_n(b'x', extension));
        input.extend_from_slice(b"\r\n\r\n");
        input
    };
    assert!(chunked(&line(CHUNK_LINE_BYTES_MAX - 4)).is_ok());
    assert_eq!(chunked(&line(CHUNK_LINE_BYTES_MAX - 3)), Err(BodyFault::ChunkLineTooLong));
    let trailers = |value: usize| {
        let mut input = b"0\r\nA:".to_vec();
        input.extend(std::iter::repeat_n(b'x', value));
        input.extend_from_slice(b"\r\n\r\n");
        input
    };
    assert!(chunked(&trailers(TRAILER_BYTES_MAX - 5)).is_ok());
    assert_eq!(chunked(&trailers(TRAILER_BYTES_MAX)), Err(BodyFault::TrailerTooLarge));
    let many = format!("0\r\n{}", "A: b\r\n".repeat(TRAILER_BYTES_MAX));
    assert_eq!(chunked(many.as_bytes()), Err(BodyFault::TrailerTooLarge));
    let second_line = b"1;aaaaaaaaaaaa\r\nx\r\n1;aaaaaaaaaaaa\r\nx\r\n".repeat(CHUNK_LINE_BYTES_MAX);
    assert!(chunked(&second_line).is_ok(), "the limit is a line's, not the body's");
}

#[test]
fn every_fault_has_its_sentence() {
    use BodyFault as F;
    let all = [
        F::ChunkSize,
        F::ChunkExtension,
        F::ChunkLineTooLong,
        F::ChunkEnd,
        F::Trailer,
        F::TrailerTooLarge,
        F::Truncated,
    ];
    let sentences: std::collections::HashSet<&str> = all.into_iter().map(BodyFault::detail).collect();
    assert_eq!(sentences.len(), all.len());
}

#[test]
fn chunk_prefixes_are_hexadecimal() {
    for (length, text) in
        [(1, "1\r\n"), (10, "a\r\n"), (0xdead_beef, "deadbeef\r\n"), (usize::MAX, "ffffffffffffffff\r\n")]
    {
        let prefix = ChunkPrefix::of(length).expect("not empty");
        assert_eq!(prefix.as_bytes(), text.as_bytes());
    }
    assert!(ChunkPrefix::of(0).is_none(), "an empty chunk would end the body");
}

proptest! {
    #[test]
    fn what_is_framed_anew_is_read_back(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
        step in 1_usize..40,
    ) {
        let mut wire = Vec::new();
        for payload in &payloads {
            push_chunk(&mut wire, payload);
        }
        wire.extend_from_slice(LAST_CHUNK);
        let mut decoder = Decoder::of_request(BodyFraming::Chunked);
        let read_back = read(&mut decoder, &wire, step);
        prop_assert_eq!(read_back, Ok((payloads.concat(), wire.len(), true)));
    }

    #[test]
    fn the_payload_does_not_depend_on_how_it_arrives(
        pieces in prop::collection::vec(prop::sample::select(vec![
            b"3\r\nabc\r\n".as_slice(), b"1;x=y\r\nz\r\n", b"0\r\n", b"\r\n", b"T: v\r\n", b"\n",
            b"\r", b"f", b" ",
            b"10\r\n0123456789abcdef\r\n", b";", b"\x00",
        ]), 0..8),
        step in 1_usize..9,
    ) {
        let input = pieces.concat();
        let at_once = chunked(&input);
        let in_steps = read(&mut Decoder::of_request(BodyFraming::Chunked), &input, step);
        prop_assert_eq!(at_once, in_steps);
    }
}
