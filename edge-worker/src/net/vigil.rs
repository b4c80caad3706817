//! Looks after clients that wait: one that reset its connection needs no answer, so the call for it is ended.
//!
//! Nobody reads from a client while its service works, so its end would only be noticed by the answer's write.
//! A few times a second every waiting client is looked at. An orderly end (FIN) is no reason: a client may
//! finish sending and wait for its answer (half-close, RFC 9112 section 9.6).

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;

/// Everybody who waits, of one worker.
#[derive(Default)]
pub struct Vigils {
    pairs: RefCell<Vec<Option<Pair>>>,
    free: RefCell<Vec<usize>>,
}

#[derive(Clone, Copy)]
struct Pair {
    client: RawFd,
    service: RawFd,
    gone: bool,
}

/// One client's vigil; ends when it is dropped, before its sockets are closed.
pub struct Vigil {
    vigils: Rc<Vigils>,
    place: usize,
}

impl Vigils {
    /// Begins to look after `client` while `service` works for it.
    #[must_use]
    pub fn keep(self: &Rc<Self>, client: RawFd, service: RawFd) -> Vigil {
        let pair = Some(Pair { client, service, gone: false });
        let mut pairs = self.pairs.borrow_mut();
        let place = match self.free.borrow_mut().pop() {
            Some(place) => place,
            None => pairs.len(),
        };
        match pairs.get_mut(place) {
            Some(empty) => *empty = pair,
            None => pairs.push(pair),
        }
        Vigil { vigils: Rc::clone(self), place }
    }

    /// Looks at everybody: `is_reset` says whether a client is gone, `end` ends the call for it.
    pub fn look(&self, is_reset: impl Fn(RawFd) -> bool, end: impl Fn(RawFd)) {
        for pair in self.pairs.borrow_mut().iter_mut().flatten() {
            if !pair.gone && is_reset(pair.client) {
                pair.gone = true;
                end(pair.service);
            }
        }
    }
}

impl Vigil {
    /// The call was ended because the client is gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.vigils.pairs.borrow().get(self.place).is_some_and(|pair| pair.is_some_and(|pair| pair.gone))
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        if let Some(pair) = self.vigils.pairs.borrow_mut().get_mut(self.place) {
            *pair = None;
        }
        self.vigils.free.borrow_mut().push(self.place);
    }
}

#[cfg(test)]
mod tests;
