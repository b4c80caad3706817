//! The door: accepts connections, refuses what the worker cannot hold, and starts a task for each.

use super::connection;
use super::io::{self, AcceptGate, Accepted, Listener};
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

/// One of several accept loops of a listener. Ends when the gate is closed.
pub async fn admit(worker: Rc<Worker>, listener: Rc<Listener>) {
    let _presence = Presence::enter(&worker);
    while !worker.gate.is_closed() {
        match listener.accept(&worker.gate).await {
            Ok((accepted, peer)) => welcome(&worker, accepted, peer),
            Err(_) if worker.gate.is_closed() => {}
            Err(_) => io::sleep(STARVED_PAUSE).await,
        }
    }
}

/// Accepts what waits in the kernel's queue, after every accept loop has ended: with two takers, one of them
/// could wait for a connection that the other has got.
pub async fn empty(worker: &Rc<Worker>, listener: &Listener) {
    let gate = AcceptGate::default();
    while worker.load.accepting.get() == 0 && listener.has_waiting() {
        let Ok((accepted, peer)) = listener.accept(&gate).await else { return };
        welcome(worker, accepted, peer);
    }
}

/// Counts an accept loop for as long as it runs.
struct Presence(Rc<Worker>);

impl Presence {
    fn enter(worker: &Rc<Worker>) -> Self {
        worker.load.accepting.set(worker.load.accepting.get() + 1);
        Presence(Rc::clone(worker))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.load.accepting.set(self.0.load.accepting.get() - 1);
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
