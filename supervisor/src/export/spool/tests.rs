//! A reader that stops costs lines, never time.

use super::*;
use std::io::Read;
use std::os::unix::net::UnixStream;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn lines_come_out_in_order() {
    let (output, mut input) = UnixStream::pair().expect("a socket pair");
    let spool = Spool::start(output, 1024).expect("a thread");
    for number in 0..10 {
        spool.push(&mut format!("line {number}\n").into_bytes(), 1);
    }
    spool.line_writer().write_all(b"the last\n").expect("never fails");
    assert!(spool.flush(PATIENCE));
    let expected: String =
        (0..10).map(|number| format!("line {number}\n")).chain(["the last\n".to_owned()]).collect();
    let mut read = vec![0; expected.len()];
    input.read_exact(&mut read).expect("all of it was written");
    assert_eq!(String::from_utf8_lossy(&read), expected);
    assert_eq!(spool.lines_dropped(), 0);
}

#[test]
fn a_reader_that_does_not_read_costs_lines_and_no_time() {
    let (output, mut input) = UnixStream::pair().expect("a socket pair");
    let spool = Spool::start(output, 1 << 20).expect("a thread");
    let chunk = vec![b'x'; 64 << 10];
    // More than the queue and the socket's own buffer hold: this would never return if a push waited.
    let pushes = 256;
    for _ in 0..pushes {
        spool.push(&mut chunk.clone(), 100);
    }
    let dropped = spool.lines_dropped();
    assert!(dropped > 0 && dropped.is_multiple_of(100), "{dropped}");
    assert!(!spool.flush(Duration::from_millis(1)), "nobody reads, so it cannot be empty");
    let expected = (pushes - dropped / 100) * chunk.len() as u64;
    let read = std::io::copy(&mut Read::by_ref(&mut input).take(expected), &mut std::io::sink());
    assert_eq!(read.expect("a stream"), expected, "what was not dropped arrives");
    assert!(spool.flush(PATIENCE));
}

#[test]
fn lines_for_a_reader_that_is_gone_are_dropped_and_counted() {
    let (output, input) = UnixStream::pair().expect("a socket pair");
    drop(input);
    let spool = Spool::start(output, 1024).expect("a thread");
    spool.push(&mut b"one\ntwo\n".to_vec(), 2);
    assert!(spool.flush(PATIENCE));
    assert_eq!(spool.lines_dropped(), 2);
}

#[test]
fn a_pushed_buffer_is_given_back_empty_and_used_again() {
    let spool = Spool::start(std::io::sink(), 1024).expect("a thread");
    let mut buffer = Vec::with_capacity(512);
    buffer.extend_from_slice(b"line\n");
    spool.push(&mut buffer, 1);
    assert!(buffer.is_empty());
    assert!(spool.flush(PATIENCE));
    buffer.extend_from_slice(b"line\n");
    spool.push(&mut buffer, 1);
    assert_eq!(buffer.capacity(), 512, "the first buffer came back");
}
