//! What the channel accepts, skips and refuses.

use super::{FRAME_BYTES_MAX, FrameFault, ToSupervisor, ToWorker};
use proptest::collection::vec as many;
use proptest::prelude::*;

fn frame(version: u8, kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 2).expect("test frames are small");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[version, kind]);
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn every_frame_survives_the_way() {
    let mut bytes = Vec::new();
    ToWorker::Drain { cut_after_ms: 27_500 }.encode(&mut bytes);
    assert_eq!(ToWorker::decode(&mut bytes), Ok(Some(ToWorker::Drain { cut_after_ms: 27_500 })));
    assert!(bytes.is_empty());

    let ready = ToSupervisor::Ready { driver: 2 };
    let drained = ToSupervisor::Drained { finished: u64::MAX, cut: 3 };
    ready.encode(&mut bytes);
    drained.encode(&mut bytes);
    assert_eq!(ToSupervisor::decode(&mut bytes), Ok(Some(ready)));
    assert_eq!(ToSupervisor::decode(&mut bytes), Ok(Some(drained)));
    assert_eq!(ToSupervisor::decode(&mut bytes), Ok(None));
}

#[test]
fn the_bytes_of_version_one_never_change() {
    let mut bytes = Vec::new();
    ToWorker::Drain { cut_after_ms: 0x0102 }.encode(&mut bytes);
    assert_eq!(bytes, [10, 0, 0, 0, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0]);
    bytes.clear();
    ToSupervisor::Ready { driver: 1 }.encode(&mut bytes);
    assert_eq!(bytes, [3, 0, 0, 0, 1, 2, 1]);
    bytes.clear();
    ToSupervisor::Drained { finished: 7, cut: 0 }.encode(&mut bytes);
    assert_eq!(bytes, [18, 0, 0, 0, 1, 3, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_frame_that_arrives_byte_by_byte_is_read_once_it_is_whole() {
    let mut whole = Vec::new();
    ToWorker::Drain { cut_after_ms: 5 }.encode(&mut whole);
    let mut bytes = Vec::new();
    for (index, byte) in whole.iter().enumerate() {
        assert_eq!(ToWorker::decode(&mut bytes), Ok(None), "after {index} bytes");
        assert_eq!(bytes.len(), index, "nothing may be taken before the frame is whole");
        bytes.push(*byte);
    }
    assert_eq!(ToWorker::decode(&mut bytes), Ok(Some(ToWorker::Drain { cut_after_ms: 5 })));
}

#[test]
fn an_unknown_kind_of_a_newer_version_is_skipped() {
    let mut bytes = frame(2, 200, &[9; 40]);
    ToWorker::Drain { cut_after_ms: 1 }.encode(&mut bytes);
    assert_eq!(ToWorker::decode(&mut bytes), Ok(Some(ToWorker::Drain { cut_after_ms: 1 })));
    assert!(bytes.is_empty());

    let mut alone = frame(2, 200, &[]);
    assert_eq!(ToWorker::decode(&mut alone), Ok(None));
    assert!(alone.is_empty(), "a skipped frame must not stay in the buffer");
}

#[test]
fn a_known_kind_of_a_newer_version_may_say_more() {
    let mut bytes = frame(2, 2, &[1, 77, 78]);
    assert_eq!(ToSupervisor::decode(&mut bytes), Ok(Some(ToSupervisor::Ready { driver: 1 })));
    assert!(bytes.is_empty());
}

#[test]
fn a_malformed_frame_is_a_fault() {
    let cases: [(Vec<u8>, FrameFault); 6] = [
        (frame(1, 200, &[]), FrameFault::Kind(200)),
        (frame(0, 2, &[1]), FrameFault::Version),
        (frame(1, 2, &[1, 2]), FrameFault::Payload(2)),
        (frame(1, 2, &[]), FrameFault::Payload(2)),
        (frame(2, 3, &[0; 15]), FrameFault::Payload(3)),
        (vec![1, 0, 0, 0, 1], FrameFault::Length(1)),
    ];
    for (mut bytes, fault) in cases {
        assert_eq!(ToSupervisor::decode(&mut bytes), Err(fault));
    }
}

#[test]
fn a_frame_of_the_other_direction_is_a_fault() {
    let mut bytes = Vec::new();
    ToSupervisor::Ready { driver: 1 }.encode(&mut bytes);
    assert_eq!(ToWorker::decode(&mut bytes), Err(FrameFault::Kind(2)));
}

#[test]
fn a_length_beyond_the_bound_is_refused_before_its_bytes_arrive() {
    let stated = u32::try_from(FRAME_BYTES_MAX - 3).expect("small");
    let mut bytes = stated.to_le_bytes().to_vec();
    assert_eq!(ToWorker::decode(&mut bytes), Err(FrameFault::Length(stated)));
    let mut longest = frame(2, 200, &vec![0; FRAME_BYTES_MAX - 6]);
    assert_eq!(ToWorker::decode(&mut longest), Ok(None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_in_finite_time(bytes in many(any::<u8>(), 0..600)) {
        let mut buffer = bytes.clone();
        while let Ok(Some(_)) = ToSupervisor::decode(&mut buffer) {}
        let mut buffer = bytes;
        while let Ok(Some(_)) = ToWorker::decode(&mut buffer) {}
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        numbers in many(any::<(u64, u64)>(), 1..8),
        place in any::<prop::sample::Index>(),
    ) {
        let mut stream = Vec::new();
        for (finished, cut) in &numbers {
            ToSupervisor::Drained { finished: *finished, cut: *cut }.encode(&mut stream);
        }
        let (first, second) = stream.split_at(place.index(stream.len()));
        let mut buffer = first.to_vec();
        let mut seen = Vec::new();
        while let Some(frame) = ToSupervisor::decode(&mut buffer).expect("valid") {
            seen.push(frame);
        }
        buffer.extend_from_slice(second);
        while let Some(frame) = ToSupervisor::decode(&mut buffer).expect("valid") {
            seen.push(frame);
        }
        let sent = |(finished, cut): &(u64, u64)| ToSupervisor::Drained { finished: *finished, cut: *cut };
        let expected: Vec<_> = numbers.iter().map(sent).collect();
        prop_assert_eq!(seen, expected);
    }
}
