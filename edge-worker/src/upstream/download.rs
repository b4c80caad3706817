//! The answer's way from service to client: the head filtered and rewritten, the body framed anew.

use super::confirmation::Confirmation;
use super::endpoint::Visit;
use super::progress::Progress;
use super::retry::{Failure, Second};
use crate::clock::{self, Millis, Nanos};
use crate::config::limits::{Limits, UPSTREAM_HEAD_BYTES_MAX};
use crate::http::body::{self, Decoder};
use crate::http::encode::{self, AnswerFacts, ClientFraming, HttpDate, Persistence};
use crate::http::head::{
    HeadLimits, KnownHeader, Progress as HeadProgress, ResponseFraming, ResponseHead, Version,
};
use crate::http::method::Method;
use crate::net::buffers::{Buffers, ROOM};
use crate::net::io::{ReadEnd, Reader, SocketWheel, Writer};
use crate::net::wheel::Reason;
use std::cell::{Cell, RefCell};

/// What the edge says on the answer, whoever made it.
#[derive(Clone, Copy)]
pub struct Reply<'r> {
    pub request_id: &'r str,
    pub correlation_id: &'r str,
    /// When the request's head was complete.
    pub started: Nanos,
    pub date: &'r RefCell<HttpDate>,
    /// The worker takes on no more: every client is told with its next answer.
    pub draining: &'r Cell<bool>,
    /// What the client speaks.
    pub version: Version,
    /// What the client asked for; `Close` also where the edge wants it so.
    pub persistence: Persistence,
}

impl Reply<'_> {
    /// Hands the facts of this answer, as of now, to `encode`.
    pub fn with_facts(
        &self,
        framing: ClientFraming,
        persistence: Persistence,
        encode: impl FnOnce(&AnswerFacts<'_>),
    ) {
        self.with_facts_at(clock::now(), framing, persistence, encode);
    }

    /// The same where somebody has just looked at the clock.
    fn with_facts_at(
        &self,
        now: Nanos,
        framing: ClientFraming,
        persistence: Persistence,
        encode: impl FnOnce(&AnswerFacts<'_>),
    ) {
        let response_time_ms = now.since(self.started).as_millis() as u64;
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
    pub confirmation: Option<&'p Confirmation<'p>>,
    pub second: Second<'p>,
    pub visit: Option<&'p Visit<'p>>,
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
    /// The service says that it failed, nothing was sent to the client, and the call has leave to be made again.
    Repeat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// Closed or reset before a single byte: what a stale keep-alive connection looks like.
    Silent,
    /// Closed or reset within the head.
    Broken,
    Garbage,
    Late,
    /// The drain's hard end came first.
    CutOff,
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
    /// The service said when to come back.
    pub sheds: bool,
}

impl Downloaded {
    /// Nothing was passed on, and the connection is of no more use.
    fn nothing(end: DownloadEnd, status: Option<u16>) -> Downloaded {
        Downloaded {
            end,
            status,
            bytes: 0,
            persistent: false,
            closing: false,
            until_close: false,
            silent: false,
            sheds: false,
        }
    }
}

/// Reads one answer and passes it on.
pub async fn download(
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    head: &mut ResponseHead,
    plan: Plan<'_>,
    progress: &Progress,
) -> Downloaded {
    let input = plan.buffers.roomy();
    progress.head_awaited(true);
    let read = read_head(reader, head, input, &plan, progress).await;
    progress.head_awaited(false);
    let (input, head_bytes) = match read {
        Ok(found) => found,
        Err((fault, input)) => {
            plan.buffers.give_back_roomy(input);
            return Downloaded::nothing(DownloadEnd::NoAnswer(fault), None);
        }
    };
    let sheds = head.status() == 503 && head.value(KnownHeader::RetryAfter, after(&input, ROOM)).is_some();
    plan.second.passage.answered(head.status(), sheds);
    let mut now = clock::now();
    if let Some(visit) = plan.visit {
        visit.answered(head.status(), sheds, now, progress.waited_ms());
    }
    let answered = Failure::Answered { status: head.status(), sheds };
    if plan.second.is_granted(answered, plan.wheel.now()) {
        plan.buffers.give_back_roomy(input);
        return Downloaded::nothing(DownloadEnd::Repeat, Some(head.status()));
    }
    if let Some(confirmation) = plan.confirmation {
        Box::pin(confirmation.answered(head.status())).await;
        now = clock::now();
    }
    // A client that is still sending may have to be cut off, so it is told.
    let persistence = if progress.is_uploaded() && !plan.reply.draining.get() {
        plan.reply.persistence
    } else {
        Persistence::Close
    };
    let passed =
        pass_on(reader, writer, head, (input, head_bytes), (persistence, now), (plan, progress)).await;
    Downloaded { sheds, ..passed }
}

async fn read_head(
    reader: &mut Reader<'_>,
    head: &mut ResponseHead,
    mut input: Vec<u8>,
    plan: &Plan<'_>,
    progress: &Progress,
) -> Result<(Vec<u8>, usize), (NoAnswer, Vec<u8>)> {
    head.reset();
    loop {
        let within_ms = progress.answer_within_ms(plan.wheel.now(), plan.deadline);
        if input.len() == input.capacity() {
            if input.len() >= ROOM + UPSTREAM_HEAD_BYTES_MAX {
                return Err((NoAnswer::Garbage, input));
            }
            input.reserve(ROOM + UPSTREAM_HEAD_BYTES_MAX - input.len());
        }
        let filled = reader.read(input, Reason::Answer, within_ms).await;
        input = filled.buffer;
        match filled.end {
            None => {}
            Some(ReadEnd::Expired(Reason::Cut)) => return Err((NoAnswer::CutOff, input)),
            Some(ReadEnd::Expired(_)) => return Err((NoAnswer::Late, input)),
            Some(_) if input.len() == ROOM => return Err((NoAnswer::Silent, input)),
            Some(_) => return Err((NoAnswer::Broken, input)),
        }
        match head.parse(after(&input, ROOM), &HeadLimits::UPSTREAM) {
            Err(_) => return Err((NoAnswer::Garbage, input)),
            Ok(HeadProgress::Partial) => {}
            Ok(HeadProgress::Complete { head_bytes }) => return Ok((input, head_bytes)),
        }
    }
}

fn after(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start..).unwrap_or_default()
}

/// The body's state while it is passed on.
struct Passing<'p> {
    plan: Plan<'p>,
    progress: &'p Progress,
    decoder: Decoder,
    framing: ResponseFraming,
    /// Towards the client.
    chunked: bool,
    bytes: u64,
    /// The service sent bytes behind its answer.
    surplus: bool,
    /// The service fell silent within its body.
    silent: bool,
}

async fn pass_on(
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    head: &ResponseHead,
    (mut input, head_bytes): (Vec<u8>, usize),
    (persistence, now): (Persistence, Nanos),
    (plan, progress): (Plan<'_>, &Progress),
) -> Downloaded {
    let framing = head.framing(plan.method);
    let client_framing = ClientFraming::of(head, framing, plan.reply.version);
    let until_close = client_framing == ClientFraming::UntilClose;
    let mut passing = Passing {
        plan,
        progress,
        framing,
        decoder: Decoder::of_response(framing),
        chunked: client_framing == ClientFraming::Chunked,
        bytes: 0,
        surplus: false,
        silent: false,
    };
    let framed_anew = passing.is_framed_anew();
    let mut output = if framed_anew { plan.buffers.body() } else { plan.buffers.head() };
    plan.reply.with_facts_at(now, client_framing, persistence, |facts| {
        encode::response_head(&mut output, head, after(&input, ROOM), facts);
    });
    let first = passing.first(writer, (&mut input, ROOM + head_bytes), &mut output).await;
    let end = match first {
        Ok(()) => passing.rest(reader, writer, input, &mut output).await,
        Err(end) => {
            plan.buffers.give_back_roomy(input);
            end
        }
    };
    plan.buffers.give_back(output);
    let in_step = end == DownloadEnd::Complete && !passing.surplus;
    Downloaded {
        end,
        status: Some(head.status()),
        bytes: passing.bytes,
        persistent: in_step && head.persistent() && framing != ResponseFraming::UntilClose,
        closing: persistence == Persistence::Close || until_close,
        until_close,
        silent: passing.silent,
        sheds: false,
    }
}

impl Passing<'_> {
    /// Sends the encoded head and what came of the body with the service's head, in one write. A body that needs
    /// no framing stays where it was read, and the head is put in front of it.
    async fn first(
        &mut self,
        writer: &mut Writer<'_>,
        (input, body_at): (&mut Vec<u8>, usize),
        output: &mut Vec<u8>,
    ) -> Result<(), DownloadEnd> {
        let start = body_at.checked_sub(output.len());
        let (Some(start), false) = (start, self.is_framed_anew()) else {
            let taken = self.take(after(input, body_at), output);
            // What came before a broken chunk is still sent: the client sees an answer that ends too early.
            self.write(writer, output).await?;
            return taken;
        };
        let step = self.decoder.decode(after(input, body_at)).map_err(|_| DownloadEnd::Cut)?;
        self.surplus |= input.len() > body_at + step.consumed;
        self.bytes += step.consumed as u64;
        input.truncate(body_at + step.consumed);
        if let Some(place) = input.get_mut(start..body_at) {
            place.copy_from_slice(output);
        }
        let within_ms = self.plan.limits.write_timeout_ms;
        let (result, returned) = writer.write_from(std::mem::take(input), start, within_ms).await;
        *input = returned;
        result.map(drop).map_err(|_| DownloadEnd::ClientGone)
    }

    /// Whether the body's bytes are not simply the service's.
    fn is_framed_anew(&self) -> bool {
        self.framing == ResponseFraming::Chunked || self.chunked
    }

    /// Reads and passes on until the body ends, one way or another.
    async fn rest(
        &mut self,
        reader: &mut Reader<'_>,
        writer: &mut Writer<'_>,
        mut input: Vec<u8>,
        output: &mut Vec<u8>,
    ) -> DownloadEnd {
        let mut end = DownloadEnd::Complete;
        while !self.decoder.is_done() {
            input.clear();
            let filled = reader.read(input, Reason::UpstreamBody, self.plan.idle_ms).await;
            input = filled.buffer;
            match filled.end {
                None => {}
                Some(ReadEnd::Closed)
                    if self.framing == ResponseFraming::UntilClose && !self.progress.is_broken_off() =>
                {
                    end = self.finish(writer, output).await;
                    break;
                }
                Some(why) => {
                    self.silent = why == ReadEnd::Expired(Reason::UpstreamBody);
                    end = DownloadEnd::Cut;
                    break;
                }
            }
            if let Err(ended) = self.forward(writer, &mut input, output).await {
                end = ended;
                break;
            }
        }
        self.plan.buffers.give_back_roomy(input);
        end
    }

    /// Frames decoded payload into `output`.
    fn take(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), DownloadEnd> {
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
        self.surplus |= !rest.is_empty();
        Ok(())
    }

    /// Sends what was read; a body that is not chunked goes out from the buffer it came in.
    async fn forward(
        &mut self,
        writer: &mut Writer<'_>,
        input: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> Result<(), DownloadEnd> {
        if self.is_framed_anew() {
            output.clear();
            self.take(input, output)?;
        } else {
            let step = self.decoder.decode(input).map_err(|_| DownloadEnd::Cut)?;
            self.surplus |= input.len() > step.consumed;
            input.truncate(step.consumed);
            self.bytes += step.consumed as u64;
            return self.write(writer, input).await;
        }
        self.write(writer, output).await
    }

    /// The end of a body that ends with its connection.
    async fn finish(&mut self, writer: &mut Writer<'_>, output: &mut Vec<u8>) -> DownloadEnd {
        if !self.chunked {
            return DownloadEnd::Complete;
        }
        output.clear();
        output.extend_from_slice(body::LAST_CHUNK);
        self.write(writer, output).await.err().unwrap_or(DownloadEnd::Complete)
    }

    async fn write(&self, writer: &mut Writer<'_>, output: &mut Vec<u8>) -> Result<(), DownloadEnd> {
        let (result, returned) =
            writer.write_all(std::mem::take(output), self.plan.limits.write_timeout_ms).await;
        *output = returned;
        result.map(|_| ()).map_err(|_| DownloadEnd::ClientGone)
    }
}
