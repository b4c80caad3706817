//! Buffers that are lent to requests and come back: a worker at rest holds none for its idle connections.

use crate::config::limits::{BODY_BUFFER_BYTES, HEAD_BUFFER_BYTES};
use crate::http::head::ResponseHead;
use std::cell::RefCell;

/// Buffers kept for the next request; more are freed.
const KEPT_MAX: usize = 256;
/// An answer's head and a full read behind it may grow a buffer; that much is kept.
const BODY_BUFFER_BYTES_KEPT_MAX: usize = 2 * BODY_BUFFER_BYTES;

/// Left free in front of a service's head: the head that the client gets is longer than the service's, and takes its
/// place right before the body.
pub const ROOM: usize = 2_048;

/// The worker's spare buffers, most recently used first, so that they are warm.
#[derive(Default)]
pub struct Buffers {
    heads: RefCell<Vec<Vec<u8>>>,
    bodies: RefCell<Vec<Vec<u8>>>,
    /// Each as long as [`ROOM`].
    roomy: RefCell<Vec<Vec<u8>>>,
    answers: RefCell<Vec<ResponseHead>>,
}

impl Buffers {
    /// An empty buffer of [`HEAD_BUFFER_BYTES`].
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        self.heads.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(HEAD_BUFFER_BYTES))
    }

    /// An empty buffer of [`BODY_BUFFER_BYTES`].
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.bodies.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BODY_BUFFER_BYTES))
    }

    /// A buffer of [`BODY_BUFFER_BYTES`] whose first [`ROOM`] bytes are taken. What is in them is of no account; to
    /// fill them for every request would cost as much as a system call does.
    #[must_use]
    pub fn roomy(&self) -> Vec<u8> {
        self.roomy.borrow_mut().pop().unwrap_or_else(|| {
            let mut buffer = self.body();
            buffer.resize(ROOM, 0);
            buffer
        })
    }

    /// Takes it back, with its room if it still has one.
    pub fn give_back_roomy(&self, mut buffer: Vec<u8>) {
        let mut shelf = self.roomy.borrow_mut();
        let is_kept = (BODY_BUFFER_BYTES..=BODY_BUFFER_BYTES_KEPT_MAX).contains(&buffer.capacity());
        if buffer.len() >= ROOM && is_kept && shelf.len() < KEPT_MAX {
            buffer.truncate(ROOM);
            shelf.push(buffer);
        } else {
            self.give_back(buffer);
        }
    }

    /// A place to parse an answer's head into.
    #[must_use]
    pub fn answer(&self) -> ResponseHead {
        self.answers.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes it back.
    pub fn give_back_answer(&self, head: ResponseHead) {
        let mut answers = self.answers.borrow_mut();
        if answers.len() < KEPT_MAX {
            answers.push(head);
        }
    }

    /// Takes a buffer back. One that has grown beyond twice its size is freed instead.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let shelf = match buffer.capacity() {
            HEAD_BUFFER_BYTES..BODY_BUFFER_BYTES => &self.heads,
            BODY_BUFFER_BYTES..=BODY_BUFFER_BYTES_KEPT_MAX => &self.bodies,
            _ => return,
        };
        let mut shelf = shelf.borrow_mut();
        if shelf.len() < KEPT_MAX {
            shelf.push(buffer);
        }
    }
}
