//! One request and its answer on one upstream connection, both directions at once where there is a body.

use super::confirmation::Confirmation;
use super::connect::{ConnectFault, Connected, Destination, Upstreams};
use super::download::{self, DownloadEnd, Downloaded, NoAnswer, Reply};
use super::endpoint::{Endpoint, Visit};
use super::upload::{self, LINGER_MS, UploadEnd, Uploaded};
use crate::clock::{Millis, Nanos};
use crate::config::limits::Limits;
use crate::http::head::{BodyFraming, ResponseHead};
use crate::http::method::Method;
use crate::net::buffers::Buffers;
use crate::net::io::{SocketWheel, Stream};
use crate::net::join::join;
use crate::net::vigil::{Vigil, Vigils};
use crate::net::wheel::{Reason, Timer};
use crate::pipeline::circuit::Passage;
use crate::pipeline::rejection::Rejection;
use crate::telemetry::metrics::Meters;
use std::cell::Cell;
use std::os::fd::RawFd;
use std::rc::Rc;

/// What is to be sent, and what is known about it.
pub struct Call<'c> {
    pub destination: Destination,
    /// `None` for the supervisor, and for a service without an address.
    pub endpoint: Option<Rc<Endpoint>>,
    pub started: Nanos,
    pub method: Method,
    /// The encoded head; comes back into the worker's buffers.
    pub head: Vec<u8>,
    pub framing: BodyFraming,
    pub body_bytes_max: u64,
    /// Body bytes that arrived with the request's head.
    pub in_hand: &'c [u8],
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

/// What each direction must know of the other.
#[derive(Default)]
pub struct Progress {
    answered: Cell<bool>,
    uploaded: Cell<bool>,
    /// Milliseconds that the client has let us wait for its body.
    waited_ms: Cell<u64>,
    waiting_since: Cell<Option<Millis>>,
    /// The answer's timer runs for its head.
    head_awaited: Cell<bool>,
    /// We ended the service's connection ourselves: its end says nothing about its answer.
    broken_off: Cell<bool>,
}

/// The answer's time while it does not run: longer than any pause of a body, whose own time-outs bound it.
const PAUSED_MS: u64 = 86_400_000;

impl Progress {
    /// The upload waits for the client, until `client_came`. The service is not to blame for that, so its time
    /// does not run.
    pub fn client_awaited(&self, now: Millis, answer: &Timer<RawFd>, deadline: Millis) {
        self.waiting_since.set(Some(now));
        self.rearm(now, answer, deadline);
    }

    pub fn client_came(&self, now: Millis, answer: &Timer<RawFd>, deadline: Millis) {
        if let Some(since) = self.waiting_since.take() {
            self.waited_ms.set(self.waited_ms.get() + now.0.saturating_sub(since.0));
        }
        self.rearm(now, answer, deadline);
    }

    /// A timer that has fired has ended the read already, and says so.
    fn rearm(&self, now: Millis, answer: &Timer<RawFd>, deadline: Millis) {
        if self.head_awaited.get() && answer.fired().is_none() {
            answer.arm(Reason::Answer, self.answer_within_ms(now, deadline));
        }
    }

    /// The upload ends the service's connection.
    pub fn break_off(&self) {
        self.broken_off.set(true);
    }

    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        self.broken_off.get()
    }

    /// Milliseconds that the client has let us wait in all.
    #[must_use]
    pub fn waited_ms(&self) -> u64 {
        self.waited_ms.get()
    }

    /// What is left of the service's time.
    #[must_use]
    pub fn answer_within_ms(&self, now: Millis, deadline: Millis) -> u64 {
        match self.waiting_since.get() {
            Some(_) => PAUSED_MS,
            None => (deadline.0 + self.waited_ms.get()).saturating_sub(now.0),
        }
    }

    /// From here to `false` the answer's timer is the head's.
    pub fn head_awaited(&self, awaited: bool) {
        self.head_awaited.set(awaited);
    }

    /// The answer is over: the rest of the request's body has no reader.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered.get()
    }

    /// The request's body was read to its end.
    #[must_use]
    pub fn is_uploaded(&self) -> bool {
        self.uploaded.get()
    }
}

/// Carries one exchange out. A kept-alive connection that turns out to be dead before it gave any sign of
/// life is replaced once, if the request may be repeated (RFC 9110 section 9.2.2).
pub async fn exchange(client: &mut Stream, call: Call<'_>, means: Means<'_>) -> Exchanged {
    let bodiless = call.framing == BodyFraming::None;
    let endpoint = call.endpoint.clone();
    let visit =
        endpoint.as_deref().map(|endpoint| means.upstreams.visit(endpoint, means.meters, call.started));
    let connected = match means.upstreams.idle(endpoint.as_ref()) {
        Some(connected) => connected,
        None => match Box::pin(connect(&call, visit.as_ref(), means)).await {
            Ok(connected) => connected,
            Err(fault) => return Exchanged::without_answer(End::Refused(fault.into()), bodiless),
        },
    };
    let visit = visit.as_ref();
    let mut head = means.buffers.answer();
    let exchanged = match bodiless {
        true => repeat(client, (call, visit), connected, &mut head, means).await,
        // Boxed, as everything that few requests come to: the room for it is part of every request's future.
        false => Box::pin(with_body(client, (call, visit), connected, &mut head, means)).await,
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

/// Without a body the request can be sent again where its connection was dead all along.
async fn repeat(
    client: &mut Stream,
    (mut call, visit): (Call<'_>, Option<&Visit<'_>>),
    mut connected: Connected,
    head: &mut ResponseHead,
    means: Means<'_>,
) -> Exchanged {
    let repeatable = call.method.is_read();
    let mut request = std::mem::take(&mut call.head);
    loop {
        let vigil = vigil(client, &connected, call.confirmation, means);
        let mut downloaded =
            without_body(client, &mut connected, &mut request, (&call, visit), (head, means)).await;
        if vigil.as_ref().is_some_and(Vigil::is_over) {
            downloaded.end = DownloadEnd::ClientGone;
        }
        // The vigil names this connection; it ends before another takes its place.
        drop(vigil);
        let stale = downloaded.end == DownloadEnd::NoAnswer(NoAnswer::Silent) && connected.reused;
        if stale && repeatable {
            match Box::pin(connect(&call, visit, means)).await {
                Ok(fresh) => connected = fresh,
                Err(fault) => return Exchanged::without_answer(End::Refused(fault.into()), true),
            }
            continue;
        }
        means.buffers.give_back(request);
        return settle(downloaded, None, connected, (visit, means));
    }
}

async fn without_body(
    client: &mut Stream,
    connected: &mut Connected,
    request: &mut Vec<u8>,
    (call, visit): (&Call<'_>, Option<&Visit<'_>>),
    (head, means): (&mut ResponseHead, Means<'_>),
) -> Downloaded {
    let progress = Progress { uploaded: Cell::new(true), ..Progress::default() };
    let mut upstream = connected.stream.sides();
    let within_ms = means.limits.write_timeout_ms.min(remaining(call, means));
    // A service that takes no more may have answered all the same; the read finds out.
    let (_, returned) = upstream.writer.write_all(std::mem::take(request), within_ms).await;
    *request = returned;
    let plan = download_plan(call, visit, means);
    download::download(&mut upstream.reader, &mut client.sides().writer, head, plan, &progress).await
}

async fn with_body(
    client: &mut Stream,
    (mut call, visit): (Call<'_>, Option<&Visit<'_>>),
    mut connected: Connected,
    head: &mut ResponseHead,
    means: Means<'_>,
) -> Exchanged {
    if call.expects_continue && call.in_hand.is_empty() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        if client.write_all(interim, means.limits.write_timeout_ms).await.0.is_err() {
            return Exchanged::without_answer(End::ClientGone { until_close: false }, false);
        }
    }
    let progress = Progress::default();
    let vigil = vigil(client, &connected, call.confirmation, means);
    let request = std::mem::take(&mut call.head);
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
    };
    let uploading = async {
        let (reader, writer) = (&mut client.reader, &mut upstream.writer);
        let uploaded = upload::upload(reader, writer, request, call.in_hand, upload_plan, &progress).await;
        progress.uploaded.set(uploaded.end == UploadEnd::Done);
        uploaded
    };
    let downloading = async {
        let (reader, writer) = (&mut upstream.reader, &mut client.writer);
        let plan = download_plan(&call, visit, means);
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
    let exchanged = settle(downloaded, Some(uploaded), connected, (visit, means));
    // A client that is no longer listened to can send no further request.
    Exchanged { in_step: exchanged.in_step && !silenced, ..exchanged }
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
    (visit, means): (Option<&Visit<'_>>, Means<'_>),
) -> Exchanged {
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
            UploadEnd::ClientGone if silence != NoAnswer::Late => End::ClientGone { until_close: false },
            _ => {
                // A connection that was dead all along says nothing of who was at its other end.
                if !(silence == NoAnswer::Silent && reused) {
                    visit.into_iter().for_each(Visit::failed);
                }
                End::Refused(silence.into())
            }
        },
    };
    let (bytes_in, surplus) = uploaded.map_or((0, Vec::new()), |uploaded| (uploaded.bytes, uploaded.surplus));
    Exchanged {
        end,
        upstream_status: downloaded.status,
        bytes_in,
        bytes_out: downloaded.bytes,
        surplus,
        in_step: upload_end == UploadEnd::Done,
        connected: true,
        silent: downloaded.silent,
        sheds: downloaded.sheds,
    }
}

fn download_plan<'c>(call: &Call<'c>, visit: Option<&'c Visit<'c>>, means: Means<'c>) -> download::Plan<'c> {
    download::Plan {
        method: call.method,
        deadline: call.deadline,
        idle_ms: call.idle_ms,
        reply: call.reply,
        confirmation: call.confirmation,
        passage: call.passage,
        visit,
        limits: means.limits,
        buffers: means.buffers,
        wheel: means.wheel,
    }
}

fn remaining(call: &Call<'_>, means: Means<'_>) -> u64 {
    call.deadline.0.saturating_sub(means.wheel.now().0)
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

impl From<NoAnswer> for Rejection {
    fn from(silence: NoAnswer) -> Self {
        match silence {
            NoAnswer::Silent | NoAnswer::Broken => Self::UpstreamReset,
            NoAnswer::Garbage => Self::UpstreamGarbage,
            NoAnswer::Late => Self::UpstreamTimeout,
        }
    }
}
