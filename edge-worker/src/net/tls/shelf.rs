//! Buffers for ciphertext that are lent to reads and writes and come back: an idle connection holds none.

use crate::config::limits::BODY_BUFFER_BYTES;
use std::cell::RefCell;

/// What a whole body buffer becomes, with the header, padding and tag of each of its records.
pub const CIPHERTEXT_BYTES: usize = BODY_BUFFER_BYTES + 4 * 256;
/// Buffers kept for the next operation; more are freed.
const KEPT_MAX: usize = 64;

/// A worker's spare buffers, most recently used first, so that they are warm.
#[derive(Default)]
pub struct Shelf(RefCell<Vec<Vec<u8>>>);

impl Shelf {
    /// An empty buffer of [`CIPHERTEXT_BYTES`].
    #[must_use]
    pub fn lend(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(CIPHERTEXT_BYTES))
    }

    /// Takes a buffer back. One that has another size is freed instead.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT_MAX && (CIPHERTEXT_BYTES..=2 * CIPHERTEXT_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            kept.push(buffer);
        }
    }
}
