//! The door: accepts connections, refuses what the worker cannot hold, and starts a task for each.

use super::connection;
use super::io::{self, Accepted, Listener};
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond;
use crate::telemetry::labels::ConnectionRefusal;
use crate::worker::Worker;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Pause after an accept that failed at once (EMFILE, ENFILE, ENOBUFS), which would fail at once again.
const STARVED_PAUSE: Duration = Duration::from_millis(20);
/// A refused client gets this long to read why.
const REFUSAL_WRITE_MS: u64 = 500;

/// One of several accept loops of a listener. Ends when the gate is closed and the queue is empty.
pub async fn admit(worker: Rc<Worker>, listener: Rc<Listener>) {
    loop {
        if worker.gate.is_closed() && !listener.has_waiting() {
            return;
        }
        match listener.accept(&worker.gate).await {
            Ok((accepted, peer)) => welcome(&worker, accepted, peer),
            Err(_) if worker.gate.is_closed() => {}
            Err(_) => io::sleep(STARVED_PAUSE).await,
        }
    }
}

fn welcome(worker: &Rc<Worker>, accepted: Accepted, peer: SocketAddr) {
    let stream = accepted.adopt(&worker.wheel);
    let peer = peer.ip().to_canonical();
    let task = Rc::clone(worker);
    if worker.load.connections.get() >= worker.settings.limits.connections_max {
        worker.meters.connection_refused(ConnectionRefusal::WorkerFull);
        io::spawn(Rc::clone(worker).guard(refuse(task, stream)));
    } else {
        io::spawn(Rc::clone(worker).guard(connection::serve(task, stream, peer)));
    }
}

/// An honest answer instead of a reset; nothing is read from the client.
async fn refuse(worker: Rc<Worker>, mut stream: io::Stream) {
    let answer = respond::unasked(&worker, Rejection::Overloaded);
    if stream.write_all(answer, REFUSAL_WRITE_MS).await.0.is_ok() {
        stream.shut_write();
    }
}
