//! The runtime's traps, each with real sockets, on both drivers where the kernel has both.

use super::super::guard::guarded;
use super::super::join::join;
use super::*;
use crate::clock;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream as StdStream};
use std::thread;

const PATIENCE_MS: u64 = 10_000;

/// Runs `main` on io_uring and on epoll.
pub(super) fn on_both<F: Future<Output = ()>>(main: impl Fn(Driver, Rc<SocketWheel>) -> F) {
    for choice in [IoDriver::Auto, IoDriver::Epoll] {
        let main = &main;
        let both = |driver| async move {
            let wheel = Rc::new(Wheel::new(clock::now().millis()));
            let turning = Rc::clone(&wheel);
            spawn(async move {
                loop {
                    sleep(Duration::from_millis(5)).await;
                    turning.advance(clock::now().millis(), expire);
                }
            });
            main(driver, wheel).await;
        };
        run(choice, both).expect("a driver can be had");
    }
}

pub(super) fn listen() -> (StdListener, SocketAddr) {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("a bound listener has an address");
    (listener, address)
}

/// Whether the descriptor is closed, or was given to something else meanwhile: tests share a process.
fn is_closed(fd: RawFd, socket: &std::path::Path) -> bool {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok().as_deref() != Some(socket)
}

fn socket_of(fd: RawFd) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("an open descriptor has a link")
}

#[test]
fn closing_the_gate_ends_every_accept_and_loses_no_connection_that_was_won() {
    on_both(|driver, wheel| async move {
        let (listener, address) = listen();
        let listener = Rc::new(Listener::from_std(listener, driver).expect("a listener can be adopted"));
        let gate = Rc::new(AcceptGate::default());
        let (served, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let loops = driver.accepts_in_flight();
        for _ in 0..loops {
            let (listener, gate, wheel) = (Rc::clone(&listener), Rc::clone(&gate), Rc::clone(&wheel));
            let (served, ended) = (Rc::clone(&served), Rc::clone(&ended));
            spawn(async move {
                while !gate.is_closed() {
                    let Ok((accepted, _)) = listener.accept(&gate).await else { continue };
                    let mut stream = accepted.adopt(&wheel);
                    let (result, _) = stream.write_all(b"welcome".to_vec(), PATIENCE_MS).await;
                    served.set(served.get() + usize::from(result.is_ok()));
                }
                ended.set(ended.get() + 1);
            });
        }
        let clients = thread::spawn(move || {
            let answered = (0..200).filter(|_| {
                let mut stream = StdStream::connect(address).expect("the queue takes all");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).is_ok() && answer == "welcome"
            });
            answered.count()
        });
        while served.get() < 200 {
            sleep(Duration::from_millis(1)).await;
        }
        gate.close();
        while ended.get() < loops {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(clients.join().expect("the clients end"), 200);
    });
}

#[test]
fn connections_that_wait_when_the_gate_closes_are_served() {
    on_both(|driver, wheel| async move {
        let (listener, address) = listen();
        // These wait in the kernel's queue before anybody accepts.
        let waiting: Vec<_> = (0..20).map(|_| StdStream::connect(address).expect("queued")).collect();
        let listener = Listener::from_std(listener, driver).expect("a listener can be adopted");
        let gate = AcceptGate::default();
        gate.close();
        let mut served = 0;
        while listener.has_waiting() {
            if let Ok((accepted, _)) = listener.accept(&gate).await {
                drop(accepted.adopt(&wheel));
                served += 1;
            }
        }
        assert_eq!(served, waiting.len());
    });
}

#[test]
fn an_expired_read_ends_and_keeps_its_buffer_and_its_descriptor_is_closed() {
    on_both(|driver, wheel| async move {
        let (listener, address) = listen();
        let peer = StdStream::connect(address).expect("queued");
        let gate = AcceptGate::default();
        let listener = Listener::from_std(listener, driver).expect("a listener can be adopted");
        let (accepted, _) = listener.accept(&gate).await.expect("one waits");
        let mut stream = accepted.adopt(&wheel);
        let mut buffer = Vec::with_capacity(64);
        buffer.extend_from_slice(b"kept");
        let filled = stream.read(buffer, Reason::Head, 30).await;
        assert_eq!(filled.end, Some(ReadEnd::Expired(Reason::Head)));
        assert_eq!(filled.buffer, b"kept");
        let (fd, socket) = (stream.fd, socket_of(stream.fd));
        drop((stream, peer));
        // Closing is an operation of the ring too.
        while !is_closed(fd, &socket) {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_request_that_comes_when_an_idle_connection_expires_can_still_be_read() {
    on_both(|driver, wheel| async move {
        let (listener, address) = listen();
        let mut peer = StdStream::connect(address).expect("queued");
        let gate = AcceptGate::default();
        let listener = Listener::from_std(listener, driver).expect("a listener can be adopted");
        let (accepted, _) = listener.accept(&gate).await.expect("one waits");
        let mut stream = accepted.adopt(&wheel);
        peer.write_all(b"late").expect("the peer can write");
        // The wheel's answer to an idle connection, before anything was read.
        expire(stream.fd, Reason::Linger);
        let filled = stream.read(Vec::with_capacity(64), Reason::Linger, PATIENCE_MS).await;
        assert_eq!((filled.buffer.as_slice(), filled.end), (b"late".as_slice(), None));
        let (written, _) = stream.write_all(b"answer".to_vec(), PATIENCE_MS).await;
        assert!(written.is_ok());
        drop(stream);
        let mut answer = String::new();
        assert!(peer.read_to_string(&mut answer).is_ok());
        assert_eq!(answer, "answer");
    });
}

#[test]
fn bytes_survive_reads_of_every_size_on_both_sides_at_once() {
    on_both(|driver, wheel| async move {
        let (listener, address) = listen();
        let total: usize = 1_000_000;
        let peer = thread::spawn(move || {
            let mut stream = StdStream::connect(address).expect("queued");
            let mut writing = stream.try_clone().expect("a stream can be shared");
            let writer = thread::spawn(move || {
                let bytes: Vec<u8> = (0..total).map(|index| (index % 251) as u8).collect();
                writing.write_all(&bytes).expect("the edge reads");
            });
            let mut received = vec![0; total];
            stream.read_exact(&mut received).expect("the edge writes");
            writer.join().expect("the writer ends");
            received.iter().enumerate().all(|(index, byte)| *byte == (index % 241) as u8)
        });
        let gate = AcceptGate::default();
        let listener = Listener::from_std(listener, driver).expect("a listener can be adopted");
        let (accepted, _) = listener.accept(&gate).await.expect("one comes");
        let mut stream = accepted.adopt(&wheel);
        let Sides { mut reader, mut writer } = stream.sides();
        let reading = async {
            let mut seen = 0;
            let mut buffer = Vec::with_capacity(4_099);
            while seen < total {
                buffer.clear();
                let filled = reader.read_up_to(buffer, 1 + seen % 4_000, Reason::Body, PATIENCE_MS).await;
                assert_eq!(filled.end, None);
                buffer = filled.buffer;
                assert!(buffer.iter().enumerate().all(|(index, byte)| *byte == ((seen + index) % 251) as u8));
                seen += buffer.len();
            }
        };
        let writing = async {
            let bytes: Vec<u8> = (0..total).map(|index| (index % 241) as u8).collect();
            let (result, _) = writer.write_all(bytes, PATIENCE_MS).await;
            assert_eq!(result.ok(), Some(total));
        };
        join(reading, writing).await;
        assert!(peer.join().expect("the peer ends"), "the peer read what was written");
    });
}

#[test]
fn a_write_to_a_peer_that_does_not_read_expires() {
    on_both(|driver, wheel| async move {
        let (listener, address) = listen();
        let _peer = StdStream::connect(address).expect("queued");
        let gate = AcceptGate::default();
        let listener = Listener::from_std(listener, driver).expect("a listener can be adopted");
        let (accepted, _) = listener.accept(&gate).await.expect("one waits");
        let mut stream = accepted.adopt(&wheel);
        let (result, _) = stream.write_all(vec![0; 64 << 20], 50).await;
        assert!(result.is_err());
    });
}

#[test]
fn a_panic_stays_in_its_task() {
    on_both(|_, _| async {
        let outcome = guarded(async { panic!("on purpose") }).await;
        assert!(outcome.is_err());
        sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn a_quiet_connection_is_told_from_one_with_bytes_and_one_that_ended() {
    on_both(|_, wheel| async move {
        let (listener, address) = listen();
        let stream = Stream::connect(address, Duration::from_secs(5), &wheel).await.expect("it listens");
        let (mut peer, _) = listener.accept().expect("one waits");
        assert!(stream.is_quiet());
        peer.write_all(b"x").expect("the edge is there");
        while stream.is_quiet() {
            sleep(Duration::from_millis(1)).await;
        }
        let ended = Stream::connect(address, Duration::from_secs(5), &wheel).await.expect("it listens");
        drop(listener.accept().expect("one waits"));
        while ended.is_quiet() {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn an_answer_cut_short_ends_with_a_reset() {
    on_both(|driver, wheel| async move {
        let (listener, address) = listen();
        let mut peer = StdStream::connect(address).expect("queued");
        let gate = AcceptGate::default();
        let listener = Listener::from_std(listener, driver).expect("a listener can be adopted");
        let (accepted, _) = listener.accept(&gate).await.expect("one waits");
        let mut stream = accepted.adopt(&wheel);
        let (written, _) = stream.write_all(b"half an ans".to_vec(), PATIENCE_MS).await;
        assert!(written.is_ok());
        stream.sides().reader.reset();
        drop(stream);
        sleep(Duration::from_millis(20)).await;
        let mut answer = Vec::new();
        let end = peer.read_to_end(&mut answer);
        assert_eq!(end.err().map(|error| error.kind()), Some(io::ErrorKind::ConnectionReset));
    });
}

#[test]
fn demanding_epoll_gives_epoll() {
    let driver = run(IoDriver::Epoll, |driver| async move { driver }).expect("epoll can always be had");
    assert_eq!(driver, Driver::Epoll);
}
