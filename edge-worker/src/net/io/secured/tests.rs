//! Secured streams against real servers on real sockets, on both drivers.

use super::super::Filled;
use super::super::tests::{listen, on_both};
use super::*;
use crate::clock;
use crate::net::join::join;
use crate::net::tls::Verification;
use crate::net::tls::tests::{asking_server, server_and_trust};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;

const PATIENCE_MS: u64 = 10_000;
const PATIENCE: Duration = Duration::from_millis(PATIENCE_MS);
const NEWEST: &[&SupportedProtocolVersion] = &[&TLS13];
const VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], NEWEST];

type Served = StreamOwned<ServerConnection, TcpStream>;
/// What a server does.
type Deed = fn(&mut Served);

/// A server that has `serve` do with one connection what it likes, and whom to trust there.
fn server(
    versions: &'static [&'static SupportedProtocolVersion],
    serve: impl FnOnce(Served) + Send + 'static,
) -> (SocketAddr, Trust, thread::JoinHandle<()>) {
    let (config, trust) = server_and_trust(versions);
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a positive limit");
        serve(StreamOwned::new(ServerConnection::new(config).expect("a server"), stream));
    });
    (address, trust, serving)
}

async fn connected(address: SocketAddr, trust: &Trust, wheel: &Rc<SocketWheel>) -> Stream {
    let joined = Stream::connect_secured(address, PATIENCE, wheel, trust).await;
    joined.unwrap_or_else(|fault| panic!("{fault:?}")).0
}

/// Reads exactly so many bytes.
async fn take(stream: &mut Stream, count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        let Filled { buffer, end } = stream.read(bytes, Reason::Answer, PATIENCE_MS).await;
        bytes = buffer;
        assert_eq!(end, None);
    }
    bytes
}

/// Waits until something has arrived that nobody has read.
async fn arrived(stream: &Stream) {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    while recv(stream.descriptor(), &mut [0], flags) == Err(Errno::EAGAIN) {
        sleep(Duration::from_millis(1)).await;
    }
}

fn ping_pong(stream: &mut Served) {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).expect("a question");
    stream.write_all(&bytes).expect("an answer");
    stream.flush().expect("sent");
}

async fn ask(stream: &mut Stream, question: &[u8; 4]) {
    stream.write_all(question.to_vec(), PATIENCE_MS).await.0.expect("sent");
    assert_eq!(take(stream, 4).await, question);
}

#[test]
fn tickets_and_new_keys_that_arrive_while_a_connection_is_idle_do_not_end_it() {
    on_both(|_, wheel| async move {
        let (go_on, told) = mpsc::channel::<()>();
        let (address, trust, serving) = server(NEWEST, move |mut stream| {
            for _ in 0..3 {
                ping_pong(&mut stream);
                told.recv().expect("the client has its answer");
                stream.conn.refresh_traffic_keys().expect("TLS 1.3 has it");
                stream.flush().expect("sent");
            }
            ping_pong(&mut stream);
        });
        let mut stream = connected(address, &trust, &wheel).await;
        for question in [b"one.", b"two.", b"3333"] {
            ask(&mut stream, question).await;
            go_on.send(()).expect("the server listens");
            arrived(&stream).await;
            assert!(stream.is_quiet(), "an update of keys is no answer");
        }
        ask(&mut stream, b"last").await;
        serving.join().expect("the server was content");
    });
}

#[test]
fn whatever_else_arrives_while_a_connection_is_idle_is_its_end() {
    let cases: [(&str, Deed); 4] = [
        ("an answer that nobody asked for", |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("sent");
        }),
        ("a goodbye", |stream| {
            stream.conn.send_close_notify();
            stream.flush().expect("sent");
        }),
        ("the end of the socket", |stream| stream.sock.shutdown(Shutdown::Write).expect("it is open")),
        ("half a record", |stream| stream.sock.write_all(&[0x17, 3, 3, 0, 100, 1, 2]).expect("sent")),
    ];
    for (what, then) in cases {
        on_both(|_, wheel| async move {
            let (go_on, told) = mpsc::channel::<()>();
            let (address, trust, serving) = server(NEWEST, move |mut stream| {
                ping_pong(&mut stream);
                told.recv().expect("the client has its answer");
                then(&mut stream);
                // The socket stays open until the client has looked at it.
                let _ = told.recv();
            });
            let mut stream = connected(address, &trust, &wheel).await;
            ask(&mut stream, b"ping").await;
            go_on.send(()).expect("the server listens");
            arrived(&stream).await;
            assert!(!stream.is_quiet(), "{what}");
            drop(go_on);
            serving.join().expect("the server was content");
        });
    }
}

#[test]
fn a_service_that_has_sent_much_behind_its_answer_is_not_quiet_whatever_it_sends_then() {
    const BEHIND: usize = 60_000;
    on_both(|_, wheel| async move {
        let (go_on, told) = mpsc::channel::<()>();
        let (address, trust, serving) = server(NEWEST, move |mut stream| {
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).expect("a question");
            stream.write_all(&[&bytes[..], &[b'x'; BEHIND]].concat()).expect("it fits into the socket");
            stream.flush().expect("sent");
            told.recv().expect("the client has its answer");
            stream.write_all(b"more").expect("sent");
            stream.flush().expect("sent");
            let _ = told.recv();
        });
        let mut stream = connected(address, &trust, &wheel).await;
        stream.write_all(b"ping".to_vec(), PATIENCE_MS).await.0.expect("sent");
        let mut waiting = vec![0; BEHIND];
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        while recv(stream.descriptor(), &mut waiting, flags) != Ok(BEHIND) {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(take(&mut stream, 4).await, b"ping");
        go_on.send(()).expect("the server listens");
        arrived(&stream).await;
        assert!(!stream.is_quiet(), "something is behind the answer");
        assert!(!stream.is_quiet(), "and stays there");
        drop(go_on);
        serving.join().expect("the server was content");
    });
}

#[test]
fn a_service_that_did_without_a_certificate_once_is_not_waited_for_again() {
    const TIMES: usize = 6;
    on_both(|_, wheel| async move {
        let (config, root) = asking_server();
        let (listener, address) = listen();
        let serving = thread::spawn(move || {
            for _ in 0..TIMES {
                let (stream, _) = listener.accept().expect("somebody connects");
                let connection = ServerConnection::new(config.clone()).expect("a server");
                ping_pong(&mut StreamOwned::new(connection, stream));
            }
        });
        let verification = Verification::new(&[root]).expect("a provider");
        let trust = verification.trust("localhost").expect("a name");
        let mut took_ms = Vec::new();
        for _ in 0..TIMES {
            let began = clock::now();
            let mut stream = connected(address, &trust, &wheel).await;
            took_ms.push(clock::now().since(began).as_millis() as u64);
            ask(&mut stream, b"ping").await;
        }
        serving.join().expect("the server was content");
        assert!(took_ms[0] >= JUDGEMENT_MS, "it might have refused: {took_ms:?}");
        // A busy machine may be slow as well, but hardly each time.
        assert!(took_ms.iter().any(|took| *took < JUDGEMENT_MS), "{took_ms:?}");
    });
}

#[test]
fn both_directions_run_at_once() {
    const BYTES: usize = 3_000_000;
    for versions in VERSIONS {
        on_both(|_, wheel| async move {
            let (address, trust, serving) = server(versions, |mut stream| {
                let mut part = [0; 50_000];
                let mut left = BYTES;
                while left > 0 {
                    let count = stream.read(&mut part).expect("more comes");
                    stream.write_all(&part[..count]).expect("it is read");
                    left -= count;
                }
                stream.flush().expect("sent");
            });
            let mut stream = connected(address, &trust, &wheel).await;
            let sent: Vec<u8> = (0..BYTES).map(|at| (at * 7 % 253) as u8).collect();
            let mut sides = stream.sides();
            let writing = async {
                for part in sent.chunks(65_536) {
                    let (result, part) = sides.writer.write_all(part.to_vec(), PATIENCE_MS).await;
                    assert_eq!(result.expect("taken"), part.len());
                }
            };
            let reading = async {
                let (mut received, mut buffer) = (Vec::new(), Vec::with_capacity(10_000));
                while received.len() < BYTES {
                    let filled = sides.reader.read(buffer, Reason::UpstreamBody, PATIENCE_MS).await;
                    assert_eq!(filled.end, None);
                    buffer = filled.buffer;
                    received.append(&mut buffer);
                }
                received
            };
            let ((), received) = join(writing, reading).await;
            assert!(received == sent);
            serving.join().expect("the server was content");
        });
    }
}

#[test]
fn the_end_of_a_socket_is_no_end_of_a_session() {
    for (says_goodbye, expected) in [(true, ReadEnd::Closed), (false, ReadEnd::Reset)] {
        on_both(|_, wheel| async move {
            let (address, trust, serving) = server(NEWEST, move |mut stream| {
                ping_pong(&mut stream);
                if says_goodbye {
                    stream.conn.send_close_notify();
                    stream.flush().expect("sent");
                }
                stream.sock.shutdown(Shutdown::Write).expect("it is open");
            });
            let mut stream = connected(address, &trust, &wheel).await;
            ask(&mut stream, b"ping").await;
            let filled = stream.read(Vec::with_capacity(10), Reason::UpstreamBody, PATIENCE_MS).await;
            assert_eq!((filled.end, filled.buffer.len()), (Some(expected), 0));
            serving.join().expect("the server was content");
        });
    }
}

#[test]
fn a_stream_that_is_dropped_says_goodbye() {
    for versions in VERSIONS {
        on_both(|_, wheel| async move {
            let (address, trust, serving) = server(versions, |mut stream| {
                ping_pong(&mut stream);
                // Without the goodbye this is UnexpectedEof.
                assert_eq!(stream.read(&mut [0]).expect("an orderly end"), 0);
            });
            let mut stream = connected(address, &trust, &wheel).await;
            ask(&mut stream, b"ping").await;
            drop(stream);
            serving.join().expect("the server was content");
        });
    }
}

#[test]
fn a_read_that_is_late_and_a_handshake_that_hangs_end_in_time() {
    on_both(|_, wheel| async move {
        let (over, ended) = mpsc::channel::<()>();
        let (address, trust, serving) = server(NEWEST, move |mut stream| {
            ping_pong(&mut stream);
            let _ = ended.recv();
        });
        let mut stream = connected(address, &trust, &wheel).await;
        ask(&mut stream, b"ping").await;
        let filled = stream.read(Vec::with_capacity(10), Reason::Answer, 60).await;
        assert_eq!(filled.end, Some(ReadEnd::Expired(Reason::Answer)));
        drop(over);
        serving.join().expect("the server was content");
        let (listener, address) = listen();
        let fault = Stream::connect_secured(address, Duration::from_millis(80), &wheel, &trust).await;
        match fault.err() {
            Some(SecureFault::Handshake(fault)) => assert_eq!(fault.end, Handshake::Late),
            other => panic!("{other:?}"),
        }
        drop(listener);
    });
}
