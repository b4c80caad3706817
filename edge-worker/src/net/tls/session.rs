//! One TLS connection without its socket.

use super::ASKED;
use super::fault::{Handshake, TlsFault};
use super::records::Records;
use super::shelf::CIPHERTEXT_BYTES;
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};
use std::io::{BufRead, ErrorKind, Write};

/// What has been received and not been taken, what is to be sent, and how far the connection has got.
pub struct Session {
    connection: ClientConnection,
    records: Records,
    /// Ciphertext from `held_from` on that is still to be worked on: its plaintext found no room so far.
    held: Vec<u8>,
    held_from: usize,
    fault: Option<TlsFault>,
    asked_for_certificate: bool,
}

/// What taking plaintext came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Some,
    /// More ciphertext is needed.
    Nothing,
    /// The peer said that it is done (close_notify). The end of a socket alone says no such thing.
    Closed,
    /// What came is not of this connection, or the peer gave it up.
    Broken,
}

impl Session {
    pub(super) fn new(mut connection: ClientConnection) -> Session {
        connection.set_buffer_limit(Some(CIPHERTEXT_BYTES));
        Session {
            connection,
            records: Records::default(),
            held: Vec::new(),
            held_from: 0,
            fault: None,
            asked_for_certificate: false,
        }
    }

    /// Works on ciphertext. Gives the buffer back unless some of it has to wait.
    pub fn receive(&mut self, ciphertext: Vec<u8>) -> Option<Vec<u8>> {
        debug_assert!(self.held.is_empty(), "what is held is worked on before more is read");
        (self.held, self.held_from) = (ciphertext, 0);
        self.work();
        self.released()
    }

    /// The buffer of ciphertext that is no longer needed.
    pub fn released(&mut self) -> Option<Vec<u8>> {
        if self.held.capacity() == 0 || self.is_full() {
            return None;
        }
        self.held_from = 0;
        Some(std::mem::take(&mut self.held))
    }

    /// Works on what is held as far as there is room for its plaintext; whether it got any further.
    fn work(&mut self) -> bool {
        let began = self.held_from;
        ASKED.set(false);
        while self.fault.is_none() {
            let mut rest = self.held.get(self.held_from..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let whole = rest;
            match self.connection.read_tls(&mut rest) {
                // Nothing counts behind the peer's last word.
                Ok(0) => self.held_from = self.held.len(),
                Ok(count) => {
                    self.records.note(whole.get(..count).unwrap_or_default());
                    self.held_from += count;
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    let reason = "a handshake message is too long".to_owned();
                    self.fault = Some(TlsFault { end: Handshake::Protocol, reason });
                }
                Err(_) => break,
            }
            if let Err(error) = self.connection.process_new_packets() {
                self.fault = Some(TlsFault::of(&error));
            }
        }
        if self.fault.is_some() {
            self.held_from = self.held.len();
        }
        self.asked_for_certificate |= ASKED.get();
        self.held_from > began
    }

    /// Moves plaintext into the spare room of `out`, at most `most` bytes.
    pub fn take(&mut self, out: &mut Vec<u8>, most: usize) -> Taken {
        let start = out.len();
        let end = out.capacity().min(start.saturating_add(most));
        let mut closed = false;
        while out.len() < end {
            let mut reader = self.connection.reader();
            if let Ok(chunk) = reader.fill_buf() {
                let part = chunk.get(..chunk.len().min(end - out.len())).unwrap_or_default();
                out.extend_from_slice(part);
                let taken = part.len();
                if taken == 0 {
                    closed = true;
                    break;
                }
                reader.consume(taken);
            } else if !self.work() {
                break;
            }
        }
        match (out.len() > start, closed, &self.fault) {
            (true, _, _) => Taken::Some,
            (false, _, Some(_)) => Taken::Broken,
            (false, true, None) => Taken::Closed,
            (false, false, None) => Taken::Nothing,
        }
    }

    /// Encrypts the beginning of `plaintext` behind what else is to be sent, and says how much it was.
    pub fn encrypt(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> usize {
        let count = match self.fault {
            None => self.connection.writer().write(plaintext).unwrap_or(0),
            Some(_) => 0,
        };
        self.drain(out);
        count
    }

    /// Appends what the protocol itself has to send: handshake, alerts, answers to updates of keys.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        while self.connection.wants_write() && self.connection.write_tls(out).is_ok() {}
    }

    #[must_use]
    pub fn has_to_send(&self) -> bool {
        self.connection.wants_write()
    }

    /// How the handshake ended, once it has, and has ended well.
    #[must_use]
    pub fn established(&self) -> Option<Handshake> {
        if self.connection.is_handshaking() || self.fault.is_some() {
            return None;
        }
        Some(match self.connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        })
    }

    /// Why the connection is of no more use.
    #[must_use]
    pub fn fault(&self) -> Option<TlsFault> {
        let fault = self.fault.clone()?;
        Some(if self.asked_for_certificate { fault.after_request_for_certificate() } else { fault })
    }

    /// In TLS 1.3 the client is done before the service has judged it. A service that asked for a certificate may not
    /// go on without one, and says so in its next bytes.
    #[must_use]
    pub fn awaits_judgement(&self) -> bool {
        self.asked_for_certificate && self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Ciphertext waits until there is room for its plaintext: no more may be received.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held_from < self.held.len()
    }

    /// Nothing waits to be taken, nothing is half received, and the peer has not ended it: the next plaintext is the
    /// answer to the next request.
    pub fn is_settled(&mut self) -> bool {
        self.work();
        let empty =
            self.connection.reader().fill_buf().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        empty && self.fault.is_none() && !self.is_full() && self.records.is_between()
    }

    /// Tells the peer that nothing more comes.
    pub fn close(&mut self) {
        if self.established().is_some() {
            self.connection.send_close_notify();
        }
    }
}
