//! Body: reads a request's body whole, on the rows where the edge needs something in it, and where its service has no
//! place for a request that is still to come (`bulkhead::take_early`). All others stream.
//!
//! Who is waited for here holds a connection and two buffers, and nothing of a service.
//! The service gets the payload byte for byte. Nothing of it was sent when a body is refused here.

use crate::config::limits::{
    BUFFERED_BODY_BYTES_MAX, CROWDED_GRACE_MS, UPLOAD_BYTES_A_MS_MIN, UPLOAD_GRACE_MS,
};
use crate::http::body::{self, Decoder};
use crate::http::head::{BodyFraming, RequestHead};
use crate::net::io::{ReadEnd, Stream};
use crate::net::wheel::Reason;
use crate::pipeline::rejection::Rejection;
use crate::worker::Worker;
use std::cell::Cell;

/// A body that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Buffered {
    payload: Vec<u8>,
    framing: BodyFraming,
    /// Bytes behind it: the beginning of a pipelined request.
    pub surplus: Vec<u8>,
}

impl Buffered {
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes that follow the request's head on their way to the service, in the framing of that head.
    #[must_use]
    pub fn framed(&self) -> Vec<u8> {
        match self.framing {
            BodyFraming::Chunked => {
                let mut framed = Vec::with_capacity(self.payload.len() + 32);
                body::push_chunk(&mut framed, &self.payload);
                framed.extend_from_slice(body::LAST_CHUNK);
                framed
            }
            BodyFraming::Length(_) | BodyFraming::None => self.payload.clone(),
        }
    }
}

/// Whether the whole body has come with the head. Of a chunked one nobody knows before it is decoded.
#[must_use]
pub fn is_here(framing: BodyFraming, in_hand_bytes: usize) -> bool {
    match framing {
        BodyFraming::None => true,
        BodyFraming::Length(length) => length <= in_hand_bytes as u64,
        BodyFraming::Chunked => false,
    }
}

/// Reads the body of a granted request. `inbound` begins with its head.
///
/// # Errors
/// 413, 408 and 400 as on rows that stream; 503 where too many bodies are awaited; `None` when the client left.
pub async fn read(
    worker: &Worker,
    stream: &mut Stream,
    (head, head_bytes): (&RequestHead, usize),
    inbound: &[u8],
    bytes_max: u64,
) -> Result<Box<Buffered>, Option<Rejection>> {
    let limits = &worker.settings.limits;
    let in_hand = inbound.get(head_bytes..).unwrap_or_default();
    let mut gathering = Gathering::new(head.framing(), bytes_max);
    gathering.take(in_hand)?;
    let (awaited, most) = (&worker.load.bodies_awaited, limits.in_flight_max);
    let _awaited = (!gathering.is_done()).then(|| Awaited::one_of(awaited, most)).transpose()?;
    if head.expects_continue() && in_hand.is_empty() && !gathering.is_done() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        if stream.write_all(interim, limits.write_timeout_ms).await.0.is_err() {
            return Err(None);
        }
    }
    let began = worker.wheel.now();
    let mut input = worker.buffers.body();
    while !gathering.is_done() {
        let grace_ms = grace_ms(awaited.get(), most);
        let (left, idle_ms) = (gathering.remaining(), limits.body_idle_timeout_ms.min(grace_ms));
        let filled = stream.sides().reader.read_up_to(input, left, Reason::Body, idle_ms).await;
        input = filled.buffer;
        let waited_ms = worker.wheel.now().0.saturating_sub(began.0);
        match filled.end {
            None => {}
            Some(ReadEnd::Expired(_)) => return Err(Some(Rejection::BodyTimeout)),
            Some(ReadEnd::Closed | ReadEnd::Reset) => return Err(None),
        }
        gathering.take(&input)?;
        if waited_ms > grace_ms + gathering.received() / UPLOAD_BYTES_A_MS_MIN {
            return Err(Some(Rejection::BodyTimeout));
        }
        input.clear();
    }
    worker.buffers.give_back(input);
    Ok(Box::new(gathering.finish()))
}

/// Silent clients may be many: the more of them there are, the less patience they get.
fn grace_ms(awaited: usize, most: usize) -> u64 {
    if awaited > most / 2 { CROWDED_GRACE_MS } else { UPLOAD_GRACE_MS }
}

/// One of the bodies that are awaited, until it is dropped.
struct Awaited<'c>(&'c Cell<usize>);

impl Awaited<'_> {
    fn one_of(count: &Cell<usize>, most: usize) -> Result<Awaited<'_>, Rejection> {
        if count.get() >= most {
            return Err(Rejection::Overloaded);
        }
        count.set(count.get() + 1);
        Ok(Awaited(count))
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A body while it arrives. Sans-io.
struct Gathering {
    framing: BodyFraming,
    decoder: Decoder,
    bytes_max: u64,
    payload: Vec<u8>,
    surplus: Vec<u8>,
}

impl Gathering {
    fn new(framing: BodyFraming, bytes_max: u64) -> Gathering {
        let bytes_max = bytes_max.min(BUFFERED_BODY_BYTES_MAX);
        let decoder = Decoder::of_request(framing);
        Gathering { framing, decoder, bytes_max, payload: Vec::new(), surplus: Vec::new() }
    }

    fn take(&mut self, input: &[u8]) -> Result<(), Rejection> {
        let mut rest = input;
        while !self.decoder.is_done() && !rest.is_empty() {
            let step = self.decoder.decode(rest).map_err(|fault| Rejection::BadFraming(fault.detail()))?;
            let payload = rest.get(step.payload).unwrap_or_default();
            if (self.payload.len() + payload.len()) as u64 > self.bytes_max {
                return Err(Rejection::BodyTooLarge);
            }
            self.payload.extend_from_slice(payload);
            rest = rest.get(step.consumed..).unwrap_or_default();
        }
        if self.framing != BodyFraming::None {
            self.surplus.extend_from_slice(rest);
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// How much may be read without taking anything of a next request, as far as the framing says.
    fn remaining(&self) -> usize {
        self.decoder.remaining().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn received(&self) -> u64 {
        self.payload.len() as u64
    }

    fn finish(self) -> Buffered {
        Buffered { payload: self.payload, framing: self.framing, surplus: self.surplus }
    }
}

#[cfg(test)]
mod tests;
