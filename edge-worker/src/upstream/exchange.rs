//! One request and its answer on one upstream connection, both directions at once where there is a body.

use super::confirmation::Confirmation;
use super::connect::{ConnectFault, Connected, Destination, Upstreams};
use super::download::{self, DownloadEnd, Downloaded, NoAnswer, Reply};
use super::endpoint::{Endpoint, Visit};
use super::progress::Progress;
use super::retry::{self, Failure, Repeatable, Second};
use super::upload::{self, LINGER_MS, UploadEnd, Uploaded};
use crate::clock::{self, Millis, Nanos};
use crate::config::limits::Limits;
use crate::http::encode::Places;
use crate::http::head::{BodyFraming, ResponseHead};
use crate::http::method::Method;
use crate::net::buffers::Buffers;
use crate::net::io::{self, SocketWheel, Stream};
use crate::net::join::join;
use crate::net::vigil::{Vigil, Vigils};
use crate::net::wheel::Reason;
use crate::pipeline::circuit::Passage;
use crate::pipeline::rejection::Rejection;
use crate::telemetry::metrics::Meters;
use std::rc::Rc;
use std::time::Duration;

/// What is to be sent, and what is known about it.
pub struct Call<'c> {
    pub destination: Destination,
    /// `None` for the supervisor, and for a service without an address.
    pub endpoint: Option<Rc<Endpoint>>,
    pub started: Nanos,
    pub method: Method,
    /// The encoded head; comes back into the worker's buffers.
    pub head: Vec<u8>,
    /// Where it changes for a second attempt.
    pub places: Places,
    /// Whether there may be one, as far as the request is concerned.
    pub repeatable: Repeatable,
    pub framing: BodyFraming,
    pub body_bytes_max: u64,
    /// Body bytes that are here already: those that arrived with the request's head, or the whole body.
    pub in_hand: &'c [u8],
    /// They are the whole body, whatever its framing.
    pub is_whole: bool,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
    /// Until when the answer's head must be complete.
    pub deadline: Millis,
    /// Silence allowed in the answer's body.
    pub idle_ms: u64,
    pub reply: &'c Reply<'c>,
    pub confirmation: Option<&'c Confirmation<'c>>,
    pub passage: &'c Passage,
}

/// What the worker lends to every exchange.
#[derive(Clone, Copy)]
pub struct Means<'m> {
    pub upstreams: &'m Upstreams,
    pub meters: &'m Meters,
    pub wheel: &'m Rc<SocketWheel>,
    pub vigils: &'m Rc<Vigils>,
    pub buffers: &'m Buffers,
    pub limits: &'m Limits,
}

/// How it went.
pub struct Exchanged {
    pub end: End,
    /// The service's status, if its head arrived.
    pub upstream_status: Option<u16>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Bytes of the next request that were read behind this one's body.
    pub surplus: Vec<u8>,
    /// The body was read to its end, so the client's connection is in step.
    pub in_step: bool,
    /// A connection to the service was had.
    pub connected: bool,
    /// The service broke off by falling silent.
    pub silent: bool,
    /// The service said when to come back.
    pub sheds: bool,
    /// The attempt before this one, if this is the second.
    pub first: Option<Box<First>>,
}

/// An attempt that was repeated: the client saw nothing of it.
#[derive(Default)]
pub struct First {
    /// What the client would have been told; nothing where the service answered.
    pub rejection: Option<Rejection>,
    pub upstream_status: Option<u16>,
    pub took: Duration,
    /// Before the second.
    pub paused: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The whole answer was sent. `closing`: the client was told that the connection closes.
    Complete { closing: bool },
    /// Nothing was sent to the client yet.
    Refused(Rejection),
    /// Broken off after the service's head had been passed on. `until_close`: only a reset tells the client.
    Cut { until_close: bool, by: Party },
    /// `until_close`: only a reset tells a client that merely reads slowly.
    ClientGone { until_close: bool },
}

/// Who broke an exchange off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    Service,
    Client,
}

/// Carries one exchange out, at the second attempt if the first failed and the call may be made again (`retry`).
pub async fn exchange(client: &mut Stream, mut call: Call<'_>, means: Means<'_>) -> Exchanged {
    let exchanged = match attempt(client, &mut call, means).await {
        Ok(exchanged) => exchanged,
        // Boxed, as everything that few requests come to: the room for it is part of every request's future.
        Err(first) => Box::pin(repeat(client, &mut call, first, means)).await,
    };
    means.buffers.give_back(call.head);
    exchanged
}

/// The second attempt, after a pause and at another instance if there is one.
async fn repeat(client: &mut Stream, call: &mut Call<'_>, first: First, means: Means<'_>) -> Exchanged {
    let failed = clock::now();
    let took = failed.since(call.started);
    io::sleep(Duration::from_millis(retry::pause_ms())).await;
    let first = Box::new(First { took, paused: clock::now().since(failed), ..first });
    if let Destination::Service(service) = call.destination {
        let endpoint = means.upstreams.choose(service, call.endpoint.as_ref(), means.wheel);
        let authority = endpoint.as_ref().map_or("", |endpoint| endpoint.authority()).as_bytes();
        let head = call.places.readdress(&call.head, authority, remaining(call, means));
        means.buffers.give_back(std::mem::replace(&mut call.head, head));
        call.endpoint = endpoint;
    }
    (call.started, call.repeatable) = (clock::now(), Repeatable::Never);
    match attempt(client, call, means).await {
        Ok(second) => Exchanged { first: Some(first), ..second },
        Err(_) => unreachable!("what may never be repeated is not"),
    }
}

/// One attempt; one that has leave to be repeated is the error, and the call has its head back.
async fn attempt(client: &mut Stream, call: &mut Call<'_>, means: Means<'_>) -> Result<Exchanged, First> {
    let endpoint = call.endpoint.clone();
    let visit =
        endpoint.as_deref().map(|endpoint| means.upstreams.visit(endpoint, means.meters, call.started));
    let connected = match means.upstreams.idle(endpoint.as_ref()) {
        Some(connected) => connected,
        None => match Box::pin(connect(call, visit.as_ref(), means)).await {
            Ok(connected) => connected,
            Err(fault) => return unconnected(fault, call, means),
        },
    };
    let visit = visit.as_ref();
    let mut head = means.buffers.answer();
    let exchanged = match call.framing {
        BodyFraming::None => bodiless(client, (call, visit), connected, &mut head, means).await,
        // Boxed for the same reason.
        _ => Box::pin(with_body(client, (call, visit), connected, &mut head, means)).await,
    };
    means.buffers.give_back_answer(head);
    exchanged
}

/// A new connection, or what that says of the endpoint.
async fn connect(
    call: &Call<'_>,
    visit: Option<&Visit<'_>>,
    means: Means<'_>,
) -> Result<Connected, ConnectFault> {
    let within_ms = remaining(call, means);
    let connected =
        means.upstreams.connect(call.destination, call.endpoint.as_ref(), within_ms, means.wheel).await;
    connected.inspect_err(|_| visit.into_iter().for_each(Visit::failed))
}

#[cold]
fn unconnected(fault: ConnectFault, call: &Call<'_>, means: Means<'_>) -> Result<Exchanged, First> {
    // Nothing was sent, so that nothing has to be there to be sent again.
    let second = Second { repeatable: call.repeatable, ..call.second() };
    if second.is_granted(Failure::Unconnected, means.wheel.now()) {
        return Err(First::refused(fault.into()));
    }
    Ok(Exchanged::without_answer(End::Refused(fault.into()), call.framing == BodyFraming::None))
}

async fn bodiless(
    client: &mut Stream,
    (call, visit): (&mut Call<'_>, Option<&Visit<'_>>),
    mut connected: Connected,
    head: &mut ResponseHead,
    means: Means<'_>,
) -> Result<Exchanged, First> {
    let vigil = vigil(client, &connected, call.confirmation, means);
    let mut downloaded = without_body(client, &mut connected, (call, visit), (head, means)).await;
    if vigil.as_ref().is_some_and(Vigil::is_over) {
        downloaded.end = DownloadEnd::ClientGone;
    }
    // The vigil names this connection; it ends before another takes its place.
    drop(vigil);
    settle(downloaded, None, connected, (call, visit, means))
}

async fn without_body(
    client: &mut Stream,
    connected: &mut Connected,
    (call, visit): (&mut Call<'_>, Option<&Visit<'_>>),
    (head, means): (&mut ResponseHead, Means<'_>),
) -> Downloaded {
    let progress = Progress::of_bodiless();
    let mut upstream = connected.stream.sides();
    let within_ms = means.limits.write_timeout_ms.min(remaining(call, means));
    // A service that takes no more may have answered all the same; the read finds out.
    let (_, returned) = upstream.writer.write_all(std::mem::take(&mut call.head), within_ms).await;
    call.head = returned;
    let plan = download_plan(call, visit, means);
    download::download(&mut upstream.reader, &mut client.sides().writer, head, plan, &progress).await
}

async fn with_body(
    client: &mut Stream,
    (call, visit): (&mut Call<'_>, Option<&Visit<'_>>),
    mut connected: Connected,
    head: &mut ResponseHead,
    means: Means<'_>,
) -> Result<Exchanged, First> {
    if call.expects_continue && call.in_hand.is_empty() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        if client.write_all(interim, means.limits.write_timeout_ms).await.0.is_err() {
            return Ok(Exchanged::without_answer(End::ClientGone { until_close: false }, false));
        }
    }
    let progress = Progress::default();
    let vigil = vigil(client, &connected, call.confirmation, means);
    let request = match call.second().repeatable {
        Repeatable::Never | Repeatable::Unsent => std::mem::take(&mut call.head),
        Repeatable::ByKey | Repeatable::Read => call.head.clone(),
    };
    let (mut client, mut upstream) = (client.sides(), connected.stream.sides());
    let client_timer = client.reader.timer();
    let upload_plan = upload::Plan {
        framing: call.framing,
        bytes_max: call.body_bytes_max,
        limits: means.limits,
        buffers: means.buffers,
        wheel: means.wheel,
        deadline: call.deadline,
        answer_timer: upstream.reader.timer(),
        passage: call.passage,
    };
    let uploading = async {
        let (reader, writer) = (&mut client.reader, &mut upstream.writer);
        let uploaded = upload::upload(reader, writer, request, call.in_hand, upload_plan, &progress).await;
        progress.uploaded.set(uploaded.end == UploadEnd::Done);
        uploaded
    };
    let downloading = async {
        let (reader, writer) = (&mut upstream.reader, &mut client.writer);
        let plan = download_plan(call, visit, means);
        let downloaded = download::download(reader, writer, head, plan, &progress).await;
        progress.answered.set(true);
        if !progress.is_uploaded() {
            // The upload may be waiting for either side: the service takes no more, the client gets a moment.
            reader.shut_down();
            client_timer.arm(Reason::Linger, LINGER_MS);
        }
        downloaded
    };
    let (uploaded, mut downloaded) = join(uploading, downloading).await;
    client_timer.disarm();
    let silenced = client_timer.fired().is_some();
    if vigil.as_ref().is_some_and(Vigil::is_over) {
        downloaded.end = DownloadEnd::ClientGone;
    }
    drop(vigil);
    let exchanged = settle(downloaded, Some(uploaded), connected, (call, visit, means))?;
    // A client that is no longer listened to can send no further request.
    Ok(Exchanged { in_step: exchanged.in_step && !silenced, ..exchanged })
}

/// Looks after the client while its service works, but not where the service's success sets something off: that must be
/// heard of, whoever is still there to be told.
fn vigil(
    client: &Stream,
    connected: &Connected,
    confirmation: Option<&Confirmation<'_>>,
    means: Means<'_>,
) -> Option<Vigil> {
    let keep = || means.vigils.keep(client.descriptor(), connected.stream.descriptor());
    confirmation.is_none().then(keep)
}

/// Joins the ends of both directions into one, and gives the connection back if it is in step.
fn settle(
    downloaded: Downloaded,
    uploaded: Option<Uploaded>,
    connected: Connected,
    (call, visit, means): (&Call<'_>, Option<&Visit<'_>>, Means<'_>),
) -> Result<Exchanged, First> {
    let reused = connected.reused;
    let upload_end = uploaded.as_ref().map_or(UploadEnd::Done, |uploaded| uploaded.end);
    let delivered = uploaded.as_ref().is_none_or(|uploaded| uploaded.delivered);
    if downloaded.persistent && delivered && downloaded.end == DownloadEnd::Complete {
        means.upstreams.release(connected, means.wheel);
    }
    let end = match downloaded.end {
        DownloadEnd::Complete => End::Complete { closing: downloaded.closing },
        DownloadEnd::ClientGone => End::ClientGone { until_close: downloaded.until_close },
        DownloadEnd::Cut => match upload_end {
            UploadEnd::ClientGone => End::ClientGone { until_close: downloaded.until_close },
            // Its body was refused while the service already answered, and that broke the answer off.
            UploadEnd::TooLarge | UploadEnd::Malformed(_) | UploadEnd::ClientSlow => {
                End::Cut { until_close: downloaded.until_close, by: Party::Client }
            }
            UploadEnd::Done | UploadEnd::Abandoned => {
                End::Cut { until_close: downloaded.until_close, by: Party::Service }
            }
        },
        DownloadEnd::NoAnswer(silence) => match upload_end {
            UploadEnd::TooLarge => End::Refused(Rejection::BodyTooLarge),
            UploadEnd::Malformed(what) => End::Refused(Rejection::BadFraming(what)),
            UploadEnd::ClientSlow => End::Refused(Rejection::BodyTimeout),
            UploadEnd::ClientGone if !matches!(silence, NoAnswer::Late | NoAnswer::CutOff) => {
                End::ClientGone { until_close: false }
            }
            _ => unanswered((silence, reused), call, visit, means)?,
        },
        DownloadEnd::Repeat => {
            return Err(First { upstream_status: downloaded.status, ..First::default() });
        }
    };
    let (bytes_in, surplus) = uploaded.map_or((0, Vec::new()), |uploaded| (uploaded.bytes, uploaded.surplus));
    Ok(Exchanged {
        end,
        upstream_status: downloaded.status,
        bytes_in,
        bytes_out: downloaded.bytes,
        surplus,
        in_step: upload_end == UploadEnd::Done,
        connected: true,
        silent: downloaded.silent,
        sheds: downloaded.sheds,
        first: None,
    })
}

/// No answer, and the client was not the reason.
fn unanswered(
    (silence, reused): (NoAnswer, bool),
    call: &Call<'_>,
    visit: Option<&Visit<'_>>,
    means: Means<'_>,
) -> Result<End, First> {
    // A connection that was dead all along says nothing of who was at its other end, and what the drain cut off
    // neither.
    if silence != NoAnswer::CutOff && !(silence == NoAnswer::Silent && reused) {
        visit.into_iter().for_each(Visit::failed);
    }
    let now = means.wheel.now();
    match silence.failure().is_some_and(|failure| call.second().is_granted(failure, now)) {
        true => Err(First::refused(silence.into())),
        false => Ok(End::Refused(silence.into())),
    }
}

fn download_plan<'c>(call: &Call<'c>, visit: Option<&'c Visit<'c>>, means: Means<'c>) -> download::Plan<'c> {
    download::Plan {
        method: call.method,
        deadline: call.deadline,
        idle_ms: call.idle_ms,
        reply: call.reply,
        confirmation: call.confirmation,
        second: call.second(),
        visit,
        limits: means.limits,
        buffers: means.buffers,
        wheel: means.wheel,
    }
}

fn remaining(call: &Call<'_>, means: Means<'_>) -> u64 {
    call.deadline.0.saturating_sub(means.wheel.now().0)
}

impl<'c> Call<'c> {
    /// What a second attempt depends on, once some of the request was sent.
    fn second(&self) -> Second<'c> {
        let in_hand = self.in_hand.len() as u64;
        let is_replayable = match self.framing {
            BodyFraming::None => true,
            BodyFraming::Length(bytes) => self.is_whole || in_hand >= bytes,
            BodyFraming::Chunked => self.is_whole,
        };
        let repeatable = if is_replayable { self.repeatable } else { Repeatable::Never };
        Second { repeatable, deadline: self.deadline, passage: self.passage }
    }
}

impl First {
    fn refused(rejection: Rejection) -> First {
        First { rejection: Some(rejection), ..First::default() }
    }
}

impl Exchanged {
    fn without_answer(end: End, in_step: bool) -> Self {
        Exchanged {
            end,
            upstream_status: None,
            bytes_in: 0,
            bytes_out: 0,
            surplus: Vec::new(),
            in_step,
            connected: false,
            silent: false,
            sheds: false,
            first: None,
        }
    }
}

impl From<ConnectFault> for Rejection {
    fn from(fault: ConnectFault) -> Self {
        match fault {
            ConnectFault::Refused => Self::UpstreamRefused,
            ConnectFault::Unresolved => Self::UpstreamUnresolved,
            ConnectFault::Insecure => Self::UpstreamInsecure,
            ConnectFault::TimedOut => Self::UpstreamTimeout,
        }
    }
}

impl NoAnswer {
    /// As far as the call may be made again.
    fn failure(self) -> Option<Failure> {
        match self {
            Self::Silent => Some(Failure::Unanswered),
            Self::Broken => Some(Failure::HalfAnswered),
            Self::Garbage | Self::Late | Self::CutOff => None,
        }
    }
}

impl From<NoAnswer> for Rejection {
    fn from(silence: NoAnswer) -> Self {
        match silence {
            NoAnswer::Silent | NoAnswer::Broken => Self::UpstreamReset,
            NoAnswer::Garbage => Self::UpstreamGarbage,
            NoAnswer::Late => Self::UpstreamTimeout,
            NoAnswer::CutOff => Self::Draining,
        }
    }
}
