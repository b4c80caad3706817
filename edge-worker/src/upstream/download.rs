//! The answer's way from service to client: the head filtered and rewritten, the body framed anew.

use super::exchange::Progress;
use crate::clock::{self, Millis, Nanos};
use crate::config::limits::Limits;
use crate::http::body::{self, Decoder};
use crate::http::encode::{self, AnswerFacts, ClientFraming, HttpDate, Persistence};
use crate::http::head::{HeadLimits, Progress as HeadProgress, ResponseFraming, ResponseHead, Version};
use crate::http::method::Method;
use crate::net::buffers::Buffers;
use crate::net::io::{ReadEnd, Reader, SocketWheel, Writer};
use crate::net::wheel::Reason;
use std::cell::RefCell;

/// What the edge says on the answer, whoever made it.
#[derive(Clone, Copy)]
pub struct Reply<'r> {
    pub request_id: &'r str,
    pub correlation_id: &'r str,
    /// When the request's head was complete.
    pub started: Nanos,
    pub date: &'r RefCell<HttpDate>,
    /// What the client speaks.
    pub version: Version,
    /// What the client asked for; `Close` also where the edge wants it so.
    pub persistence: Persistence,
}

impl Reply<'_> {
    /// Hands the facts of this answer, as of now, to `encode`.
    pub fn with_facts(&self, framing: ClientFraming, persistence: Persistence, encode: impl FnOnce(&AnswerFacts<'_>)) {
        let response_time_ms = clock::now().since(self.started).as_millis() as u64;
        encode(&AnswerFacts {
            request_id: self.request_id,
            correlation_id: self.correlation_id,
            response_time_ms,
            date: &self.date.borrow(),
            framing,
            persistence,
        });
    }
}

/// What is expected and how it is to be passed on.
#[derive(Clone, Copy)]
pub struct Plan<'p> {
    pub method: Method,
    /// Until when the answer's head must be complete.
    pub deadline: Millis,
    /// Silence allowed in its body.
    pub idle_ms: u64,
    pub reply: &'p Reply<'p>,
    pub limits: &'p Limits,
    pub buffers: &'p Buffers,
    pub wheel: &'p SocketWheel,
}

/// How the answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadEnd {
    Complete,
    /// No head came; nothing was sent to the client.
    NoAnswer(NoAnswer),
    /// The client takes no more.
    ClientGone,
    /// The service broke off within its body; the client must not take it for whole.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// Closed or reset before a single byte: what a stale keep-alive connection looks like.
    Silent,
    /// Closed or reset within the head.
    Broken,
    Garbage,
    Late,
}

pub struct Downloaded {
    pub end: DownloadEnd,
    /// The service's status, once its head was complete.
    pub status: Option<u16>,
    /// Payload bytes sent to the client.
    pub bytes: u64,
    /// The service's connection may carry another exchange.
    pub persistent: bool,
    /// The client was told that its connection closes.
    pub closing: bool,
    /// Only the connection's end marks the end of the answer.
    pub until_close: bool,
    /// The body stopped coming.
    pub silent: bool,
}

/// Reads one answer and passes it on.
pub async fn download(
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    head: &mut ResponseHead,
    plan: Plan<'_>,
    progress: &Progress,
) -> Downloaded {
    let input = plan.buffers.body();
    let (input, head_bytes) = match read_head(reader, head, input, &plan).await {
        Ok(found) => found,
        Err((fault, input)) => {
            plan.buffers.give_back(input);
            return Downloaded {
                end: DownloadEnd::NoAnswer(fault),
                status: None,
                bytes: 0,
                persistent: false,
                closing: false,
                until_close: false,
                silent: false,
            };
        }
    };
    // A client that is still sending may have to be cut off, so it is told.
    let persistence =
        if progress.is_uploaded() { plan.reply.persistence } else { Persistence::Close };
    pass_on(reader, writer, head, (input, head_bytes), persistence, plan).await
}

async fn read_head(
    reader: &mut Reader<'_>,
    head: &mut ResponseHead,
    mut input: Vec<u8>,
    plan: &Plan<'_>,
) -> Result<(Vec<u8>, usize), (NoAnswer, Vec<u8>)> {
    head.reset();
    loop {
        let within_ms = plan.deadline.0.saturating_sub(plan.wheel.now().0);
        if input.len() == input.capacity() {
            return Err((NoAnswer::Garbage, input));
        }
        let filled = reader.read(input, Reason::Answer, within_ms).await;
        input = filled.buffer;
        match filled.end {
            None => {}
            Some(ReadEnd::Expired(_)) => return Err((NoAnswer::Late, input)),
            Some(_) if input.is_empty() => return Err((NoAnswer::Silent, input)),
            Some(_) => return Err((NoAnswer::Broken, input)),
        }
        match head.parse(&input, &HeadLimits::UPSTREAM) {
            Err(_) => return Err((NoAnswer::Garbage, input)),
            Ok(HeadProgress::Partial) => {}
            Ok(HeadProgress::Complete { head_bytes }) => return Ok((input, head_bytes)),
        }
    }
}

/// The body's state while it is passed on.
struct Passing<'p> {
    plan: Plan<'p>,
    decoder: Decoder,
    /// The service's bytes are payload alone: its body is not chunked.
    verbatim: bool,
    chunked: bool,
    bytes: u64,
}

async fn pass_on(
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    head: &ResponseHead,
    (mut input, head_bytes): (Vec<u8>, usize),
    persistence: Persistence,
    plan: Plan<'_>,
) -> Downloaded {
    let framing = head.framing(plan.method);
    let client_framing = ClientFraming::of(head, framing, plan.reply.version);
    let chunked = client_framing == ClientFraming::Chunked;
    let closing = persistence == Persistence::Close || client_framing == ClientFraming::UntilClose;
    let verbatim = framing != ResponseFraming::Chunked;
    let mut passing = Passing { plan, decoder: Decoder::of_response(framing), verbatim, chunked, bytes: 0 };
    let mut output = plan.buffers.body();
    plan.reply.with_facts(client_framing, persistence, |facts| {
        encode::response_head(&mut output, head, &input, facts);
    });
    let in_hand = input.get(head_bytes..).unwrap_or_default();
    let (mut surplus, mut silent) = (false, false);
    let mut end = match passing.take(in_hand, &mut output) {
        Ok(rest) => {
            surplus = rest > 0;
            None
        }
        Err(cut) => Some(cut),
    };
    // What came before a broken chunk is still sent: the client sees an answer that ends too early.
    let (result, returned) = writer.write_all(output, plan.limits.write_timeout_ms).await;
    output = returned;
    if result.is_err() {
        end = Some(DownloadEnd::ClientGone);
    }
    while end.is_none() && !passing.decoder.is_done() {
        input.clear();
        let filled = reader.read(input, Reason::UpstreamBody, plan.idle_ms).await;
        input = filled.buffer;
        match filled.end {
            None => {}
            Some(ReadEnd::Closed) if framing == ResponseFraming::UntilClose => {
                end = passing.finish(writer, &mut output).await;
                break;
            }
            Some(why) => {
                silent = matches!(why, ReadEnd::Expired(_));
                end = Some(DownloadEnd::Cut);
                break;
            }
        }
        match passing.forward(writer, &mut input, &mut output).await {
            Ok(rest) => surplus |= rest > 0,
            Err(ended) => end = Some(ended),
        }
    }
    plan.buffers.give_back(input);
    plan.buffers.give_back(output);
    let complete = end.is_none() || end == Some(DownloadEnd::Complete);
    let persistent =
        complete && !surplus && head.persistent() && framing != ResponseFraming::UntilClose;
    Downloaded {
        end: end.unwrap_or(DownloadEnd::Complete),
        status: Some(head.status()),
        bytes: passing.bytes,
        persistent,
        closing,
        silent,
    }
}

impl Passing<'_> {
    /// Frames decoded payload into `output`; the number of bytes behind the body comes back.
    fn take(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DownloadEnd> {
        let mut rest = input;
        while !self.decoder.is_done() && !rest.is_empty() {
            let step = self.decoder.decode(rest).map_err(|_| DownloadEnd::Cut)?;
            let payload = rest.get(step.payload.clone()).unwrap_or_default();
            self.bytes += payload.len() as u64;
            if self.chunked {
                body::push_chunk(output, payload);
            } else {
                output.extend_from_slice(payload);
            }
            rest = rest.get(step.consumed..).unwrap_or_default();
        }
        if self.decoder.is_done() && self.chunked {
            output.extend_from_slice(body::LAST_CHUNK);
        }
        Ok(rest.len())
    }

    /// Sends what was read; a body of known length goes out from the buffer it came in.
    async fn forward(
        &mut self,
        writer: &mut Writer<'_>,
        input: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> Result<usize, DownloadEnd> {
        let mut surplus = 0;
        if self.verbatim && !self.chunked {
            let step = self.decoder.decode(input).map_err(|_| DownloadEnd::Cut)?;
            surplus = input.len() - step.consumed;
            input.truncate(step.consumed);
            self.bytes += step.consumed as u64;
            std::mem::swap(input, output);
        } else {
            output.clear();
            surplus += self.take(input, output)?;
        }
        self.write(writer, output).await?;
        Ok(surplus)
    }

    /// The end of a body that ends with its connection.
    async fn finish(&mut self, writer: &mut Writer<'_>, output: &mut Vec<u8>) -> Option<DownloadEnd> {
        if !self.chunked {
            return Some(DownloadEnd::Complete);
        }
        output.clear();
        output.extend_from_slice(body::LAST_CHUNK);
        match self.write(writer, output).await {
            Ok(()) => Some(DownloadEnd::Complete),
            Err(end) => Some(end),
        }
    }

    async fn write(&self, writer: &mut Writer<'_>, output: &mut Vec<u8>) -> Result<(), DownloadEnd> {
        let (result, returned) =
            writer.write_all(std::mem::take(output), self.plan.limits.write_timeout_ms).await;
        *output = returned;
        result.map(|_| ()).map_err(|_| DownloadEnd::ClientGone)
    }
}
