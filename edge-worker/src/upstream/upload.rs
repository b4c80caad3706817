//! The request body's way from client to service: decoded, bounded, framed anew, with back-pressure.
//!
//! At most one buffer is in flight: the next read waits until the last one has been written. When the service
//! has answered early, or takes no more, the rest of the body is read and thrown away for a bounded time, so
//! that the client sees its answer instead of a reset (RFC 9112 section 9.6).

use super::progress::Progress;
use crate::clock::Millis;
use crate::config::limits::{Limits, UPLOAD_BYTES_A_MS_MIN, UPLOAD_GRACE_MS};
use crate::http::body::{self, Decoder};
use crate::http::head::BodyFraming;
use crate::net::buffers::Buffers;
use crate::net::io::{ReadEnd, Reader, SocketWheel, Writer};
use crate::net::wheel::{Reason, Timer};
use crate::pipeline::circuit::Passage;
use std::os::fd::RawFd;

/// How long a client may go on sending a body that nobody wants any more.
pub const LINGER_MS: u64 = 1_000;

/// What is to be carried.
#[derive(Clone, Copy)]
pub struct Plan<'p> {
    pub framing: BodyFraming,
    /// Payload bytes; more is refused while streaming.
    pub bytes_max: u64,
    pub limits: &'p Limits,
    pub buffers: &'p Buffers,
    pub wheel: &'p SocketWheel,
    /// Until when the answer's head must be complete, not counting what the client lets us wait.
    pub deadline: Millis,
    pub answer_timer: &'p Timer<RawFd>,
    pub passage: &'p Passage,
}

/// How the upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadEnd {
    /// The whole body was read; the client's connection is in step.
    Done,
    TooLarge,
    Malformed(&'static str),
    ClientGone,
    ClientSlow,
    /// The rest of the body was not awaited; the client's connection must be closed.
    Abandoned,
}

pub struct Uploaded {
    pub end: UploadEnd,
    /// Payload bytes read from the client.
    pub bytes: u64,
    /// The service got the whole body, so its connection is in step.
    pub delivered: bool,
    /// Bytes behind the body: the beginning of a pipelined request.
    pub surplus: Vec<u8>,
}

/// Sends `head` and the body behind it. `in_hand` is what was read together with the request's head.
pub async fn upload(
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    head: Vec<u8>,
    in_hand: &[u8],
    plan: Plan<'_>,
    progress: &Progress,
) -> Uploaded {
    let mut carrier = Carrier::new(plan, head);
    let mut input = plan.buffers.body();
    let end = match carrier.take(in_hand) {
        Err(end) => end,
        Ok(()) => carrier.carry(reader, writer, &mut input, progress).await,
    };
    if end != UploadEnd::Done && !progress.is_answered() {
        // The service must not take a broken body for a whole one, and its answer is not awaited any longer.
        progress.break_off();
        writer.shut_down();
    }
    plan.buffers.give_back(input);
    let delivered = end == UploadEnd::Done && carrier.delivering;
    Uploaded { end, bytes: carrier.bytes, delivered, surplus: carrier.surplus }
}

/// The body between two sockets.
struct Carrier<'p> {
    plan: Plan<'p>,
    decoder: Decoder,
    output: Vec<u8>,
    surplus: Vec<u8>,
    bytes: u64,
    /// False once the service takes no more.
    delivering: bool,
}

impl<'p> Carrier<'p> {
    fn new(plan: Plan<'p>, head: Vec<u8>) -> Self {
        Carrier {
            plan,
            decoder: Decoder::of_request(plan.framing),
            output: head,
            surplus: Vec::new(),
            bytes: 0,
            delivering: true,
        }
    }

    async fn carry(
        &mut self,
        reader: &mut Reader<'_>,
        writer: &mut Writer<'_>,
        input: &mut Vec<u8>,
        progress: &Progress,
    ) -> UploadEnd {
        let mut linger_until = None;
        loop {
            self.send(writer, progress).await;
            if self.decoder.is_done() {
                return UploadEnd::Done;
            }
            let (reason, within_ms) = if progress.is_answered() {
                // One moment for all that is left, however it trickles in.
                let until = *linger_until.get_or_insert(self.plan.wheel.now().0 + LINGER_MS);
                (Reason::Linger, until.saturating_sub(self.plan.wheel.now().0))
            } else {
                (Reason::Body, self.plan.limits.body_idle_timeout_ms)
            };
            input.clear();
            let most = self
                .decoder
                .remaining()
                .map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
            progress.client_awaited(self.plan.wheel.now(), self.plan.answer_timer, self.plan.deadline);
            self.plan.passage.awaits_client(true);
            let filled = reader.read_up_to(std::mem::take(input), most, reason, within_ms).await;
            self.plan.passage.awaits_client(false);
            progress.client_came(self.plan.wheel.now(), self.plan.answer_timer, self.plan.deadline);
            if progress.waited_ms() > UPLOAD_GRACE_MS + self.bytes / UPLOAD_BYTES_A_MS_MIN {
                return UploadEnd::ClientSlow;
            }
            *input = filled.buffer;
            match filled.end {
                None => {}
                Some(ReadEnd::Expired(Reason::Body)) => return UploadEnd::ClientSlow,
                Some(ReadEnd::Expired(_)) => return UploadEnd::Abandoned,
                Some(ReadEnd::Closed | ReadEnd::Reset) => return UploadEnd::ClientGone,
            }
            if let Err(end) = self.take(input) {
                return end;
            }
        }
    }

    /// Decodes what was read and frames it anew into the output.
    fn take(&mut self, input: &[u8]) -> Result<(), UploadEnd> {
        let mut rest = input;
        while !self.decoder.is_done() && !rest.is_empty() {
            let step = self.decoder.decode(rest).map_err(|fault| UploadEnd::Malformed(fault.detail()))?;
            let payload = rest.get(step.payload.clone()).unwrap_or_default();
            self.bytes += payload.len() as u64;
            if self.bytes > self.plan.bytes_max {
                return Err(UploadEnd::TooLarge);
            }
            match self.plan.framing {
                BodyFraming::Chunked => body::push_chunk(&mut self.output, payload),
                _ => self.output.extend_from_slice(payload),
            }
            rest = rest.get(step.consumed..).unwrap_or_default();
        }
        if self.decoder.is_done() {
            if self.plan.framing == BodyFraming::Chunked {
                self.output.extend_from_slice(body::LAST_CHUNK);
            }
            self.surplus.extend_from_slice(rest);
        }
        Ok(())
    }

    async fn send(&mut self, writer: &mut Writer<'_>, progress: &Progress) {
        if self.delivering && !progress.is_answered() && !self.output.is_empty() {
            let output = std::mem::take(&mut self.output);
            let (result, output) = writer.write_all(output, self.plan.limits.write_timeout_ms).await;
            self.output = output;
            // A service may close its side and still answer; the download finds out.
            self.delivering = result.is_ok();
            if writer.has_expired() {
                progress.break_off();
            }
        } else if !self.output.is_empty() {
            self.delivering = false;
        }
        self.output.clear();
    }
}
