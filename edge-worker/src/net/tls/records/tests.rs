//! Records however they are cut.

use super::*;

fn record(length: usize) -> Vec<u8> {
    let mut bytes = vec![0x17, 3, 3, (length >> 8) as u8, length as u8];
    bytes.resize(5 + length, 0xff);
    bytes
}

#[test]
fn a_stream_is_between_records_exactly_where_one_ends() {
    let lengths = [0, 1, 255, 256, 257, 16_640, 0, 0, 300];
    let stream: Vec<u8> = lengths.into_iter().flat_map(record).collect();
    let ends: Vec<usize> = lengths
        .iter()
        .scan(0, |end, length| {
            *end += 5 + length;
            Some(*end)
        })
        .collect();
    let mut records = Records::default();
    assert!(records.is_between());
    for (byte, seen) in stream.iter().zip(1..) {
        records.note(&[*byte]);
        assert_eq!(records.is_between(), ends.contains(&seen), "after {seen} bytes");
    }
    for step in [2, 3, 7, 64, 4_096, stream.len()] {
        let mut records = Records::default();
        let mut seen = 0;
        for part in stream.chunks(step) {
            records.note(part);
            seen += part.len();
            assert_eq!(records.is_between(), ends.contains(&seen), "{step} at a time, after {seen}");
        }
    }
}
