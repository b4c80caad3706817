//! A body in pieces of any size is the same body.

use super::*;

fn gathered(framing: BodyFraming, bytes_max: u64, wire: &[u8], piece: usize) -> Result<Buffered, Rejection> {
    let mut gathering = Gathering::new(framing, bytes_max);
    for piece in wire.chunks(piece) {
        gathering.take(piece)?;
    }
    assert!(gathering.is_done(), "the wire holds a whole body");
    Ok(gathering.finish())
}

#[test]
fn whatever_the_pieces_the_payload_and_what_follows_are_told_apart() {
    let chunked = b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: x\r\n\r\nGET";
    for piece in 1..=chunked.len() {
        let body = gathered(BodyFraming::Chunked, 7, chunked, piece).expect("a whole body");
        assert_eq!((body.payload(), body.surplus.as_slice()), (b"abcdefg".as_slice(), b"GET".as_slice()));
        assert_eq!(body.framed(), b"7\r\nabcdefg\r\n0\r\n\r\n");
        let body = gathered(BodyFraming::Length(7), 7, b"abcdefgGET", piece).expect("a whole body");
        assert_eq!((body.payload(), body.surplus.as_slice()), (b"abcdefg".as_slice(), b"GET".as_slice()));
        assert_eq!(body.framed(), b"abcdefg");
    }
}

#[test]
fn an_empty_body_is_one() {
    let body = gathered(BodyFraming::Chunked, 7, b"0\r\n\r\n", 1).expect("a whole body");
    assert_eq!((body.payload(), body.framed().as_slice()), (b"".as_slice(), b"0\r\n\r\n".as_slice()));
    let body = gathered(BodyFraming::None, 7, b"GET", 3).expect("no body");
    assert_eq!((body.framed(), body.surplus), (Vec::new(), Vec::new()), "what follows stays where it is");
}

#[test]
fn one_byte_too_many_is_refused_and_nothing_may_be_larger_than_the_buffer() {
    let too_large = Err(Rejection::BodyTooLarge);
    assert_eq!(gathered(BodyFraming::Chunked, 6, b"7\r\nabcdefg\r\n0\r\n\r\n", 5), too_large);
    let most = usize::try_from(BUFFERED_BODY_BYTES_MAX).expect("a small number");
    let wire = vec![b'x'; most + 1];
    let framing = BodyFraming::Length(most as u64 + 1);
    assert_eq!(gathered(framing, u64::MAX, &wire, 4_096), too_large);
}

#[test]
fn a_broken_coding_is_refused() {
    let refused = gathered(BodyFraming::Chunked, 9, b"x\r\n", 1);
    assert!(matches!(refused, Err(Rejection::BadFraming(_))), "{refused:?}");
}

#[test]
fn a_body_is_here_when_all_of_its_length_is() {
    assert!(is_here(BodyFraming::None, 0));
    assert!(is_here(BodyFraming::Length(0), 0) && is_here(BodyFraming::Length(7), 7));
    assert!(is_here(BodyFraming::Length(7), 9), "the next request is behind it");
    assert!(!is_here(BodyFraming::Length(7), 6));
    assert!(!is_here(BodyFraming::Chunked, 99), "nobody has decoded it");
}

#[test]
fn bodies_that_are_awaited_are_counted_and_bounded() {
    let count = Cell::new(0);
    let first = Awaited::one_of(&count, 2).expect("there is room");
    let _second = Awaited::one_of(&count, 2).expect("there is room");
    assert_eq!(Awaited::one_of(&count, 2).err(), Some(Rejection::Overloaded));
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(Awaited::one_of(&count, 2).is_ok());
}

#[test]
fn who_waits_among_many_gets_less_patience() {
    assert_eq!((grace_ms(0, 8), grace_ms(4, 8)), (UPLOAD_GRACE_MS, UPLOAD_GRACE_MS));
    assert_eq!((grace_ms(5, 8), grace_ms(8, 8)), (CROWDED_GRACE_MS, CROWDED_GRACE_MS));
}
