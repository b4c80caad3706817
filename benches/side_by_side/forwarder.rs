//! The floor: a single-threaded epoll loop that accepts, connects, and copies bytes both ways.

use super::simulated_service::deepen;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Forwards connections of `port` to `upstream` until the process is ended.
pub fn run(port: u16, upstream: u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    deepen(&listener);
    listener.set_nonblocking(true).expect("a listener can be made non-blocking");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll exists");
    epoll::add(&epoll, &listener, EventData::new_u64(0), EventFlags::IN).expect("a listener can be watched");
    let mut streams: HashMap<u64, (TcpStream, u64)> = HashMap::new();
    let mut events = Vec::with_capacity(1024);
    let mut buffer = vec![0; 65_536];
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None::<&Timespec>)
            .expect("epoll waits");
        for event in &events {
            match event.data.u64() {
                0 => accept(&listener, upstream, &epoll, &mut streams),
                token => copy(token, &mut streams, &mut buffer),
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    upstream: u16,
    epoll: &impl std::os::fd::AsFd,
    streams: &mut HashMap<u64, (TcpStream, u64)>,
) {
    while let Ok((client, _)) = listener.accept() {
        // A client that left, or a service between two runs, ends the pair and not the forwarder.
        let Ok(service) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)) else { continue };
        let tokens = [client.as_raw_fd() as u64, service.as_raw_fd() as u64];
        for (stream, token) in [(&client, tokens[0]), (&service, tokens[1])] {
            stream.set_nodelay(true).expect("TCP_NODELAY can be set");
            stream.set_nonblocking(true).expect("a stream can be made non-blocking");
            epoll::add(epoll, stream, EventData::new_u64(token), EventFlags::IN)
                .expect("a stream can be watched");
        }
        streams.insert(tokens[0], (client, tokens[1]));
        streams.insert(tokens[1], (service, tokens[0]));
    }
}

fn copy(token: u64, streams: &mut HashMap<u64, (TcpStream, u64)>, buffer: &mut [u8]) {
    let Some((source, other)) = streams.get_mut(&token) else { return };
    let other = *other;
    let read = source.read(buffer);
    match read {
        Ok(count) if count > 0 => {
            let Some((sink, _)) = streams.get_mut(&other) else { return };
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                match sink.write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        _ => {
            streams.remove(&token);
            streams.remove(&other);
        }
    }
}
