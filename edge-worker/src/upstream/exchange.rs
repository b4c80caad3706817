//! One request and its answer on one upstream connection, both directions at once where there is a body.

use super::connect::{ConnectFault, Connected, Destination, Upstreams};
use super::download::{self, DownloadEnd, Downloaded, NoAnswer, Reply};
use super::pool::Use;
use super::upload::{self, LINGER_MS, UploadEnd, Uploaded};
use crate::clock::Millis;
use crate::config::limits::Limits;
use crate::http::head::{BodyFraming, ResponseHead};
use crate::http::method::Method;
use crate::net::buffers::Buffers;
use crate::net::io::{SocketWheel, Stream};
use crate::net::join::join;
use crate::net::vigil::Vigils;
use crate::net::wheel::Reason;
use crate::pipeline::rejection::Rejection;
use std::cell::Cell;
use std::rc::Rc;

/// What is to be sent, and what is known about it.
pub struct Call<'c> {
    pub destination: Destination,
    pub instance: usize,
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
}

/// What the worker lends to every exchange.
#[derive(Clone, Copy)]
pub struct Means<'m> {
    pub upstreams: &'m Upstreams,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The whole answer was sent. `closing`: the client was told that the connection closes.
    Complete {
        closing: bool,
    },
    /// Nothing was sent to the client yet.
    Refused(Rejection),
    /// The service broke off after its head had been passed on. `until_close`: only a reset tells the client.
    Cut {
        until_close: bool,
    },
    ClientGone,
}

/// What each direction must know of the other.
#[derive(Default)]
pub struct Progress {
    answered: Cell<bool>,
    uploaded: Cell<bool>,
}

impl Progress {
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
    let purpose = if bodiless && call.method.is_read() { Use::Repeatable } else { Use::Once };
    let within_ms = remaining(&call, means);
    let connecting =
        means.upstreams.connect(call.destination, call.instance, purpose, within_ms, means.wheel);
    let connected = match connecting.await {
        Ok(connected) => connected,
        Err(fault) => return Exchanged::without_answer(End::Refused(fault.into()), bodiless),
    };
    let mut head = means.buffers.answer();
    let vigil = means.vigils.keep(client.descriptor(), connected.stream.descriptor());
    let mut exchanged = match bodiless {
        true => repeat(client, call, connected, &mut head, means).await,
        false => with_body(client, call, connected, &mut head, means).await,
    };
    means.buffers.give_back_answer(head);
    if vigil.is_over() {
        exchanged.end = End::ClientGone;
    }
    exchanged
}

/// Without a body the request can be sent again where its connection was dead all along.
async fn repeat(
    client: &mut Stream,
    mut call: Call<'_>,
    mut connected: Connected,
    head: &mut ResponseHead,
    means: Means<'_>,
) -> Exchanged {
    let repeatable = call.method.is_read();
    let mut request = std::mem::take(&mut call.head);
    loop {
        let downloaded = without_body(client, &mut connected, &mut request, &call, head, means).await;
        let stale = downloaded.end == DownloadEnd::NoAnswer(NoAnswer::Silent) && connected.reused;
        if let (true, true, Destination::Service(service)) = (stale, repeatable, call.destination) {
            let within_ms = remaining(&call, means);
            match means.upstreams.connect_anew(service, call.instance, within_ms, means.wheel).await {
                Ok(fresh) => connected = fresh,
                Err(fault) => return Exchanged::without_answer(End::Refused(fault.into()), true),
            }
            continue;
        }
        means.buffers.give_back(request);
        return settle(downloaded, None, connected, means);
    }
}

async fn without_body(
    client: &mut Stream,
    connected: &mut Connected,
    request: &mut Vec<u8>,
    call: &Call<'_>,
    head: &mut ResponseHead,
    means: Means<'_>,
) -> Downloaded {
    let progress = Progress { answered: Cell::new(false), uploaded: Cell::new(true) };
    let mut upstream = connected.stream.sides();
    let writing = upstream.writer.write_all(std::mem::take(request), means.limits.write_timeout_ms);
    // A service that takes no more may have answered all the same; the read finds out.
    let (_, returned) = writing.await;
    *request = returned;
    let plan = download_plan(call, means);
    download::download(&mut upstream.reader, &mut client.sides().writer, head, plan, &progress).await
}

async fn with_body(
    client: &mut Stream,
    mut call: Call<'_>,
    mut connected: Connected,
    head: &mut ResponseHead,
    means: Means<'_>,
) -> Exchanged {
    if call.expects_continue && call.in_hand.is_empty() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        if client.write_all(interim, means.limits.write_timeout_ms).await.0.is_err() {
            return Exchanged::without_answer(End::ClientGone, false);
        }
    }
    let progress = Progress::default();
    let request = std::mem::take(&mut call.head);
    let (mut client, mut upstream) = (client.sides(), connected.stream.sides());
    let client_timer = client.reader.timer();
    let upload_plan = upload::Plan {
        framing: call.framing,
        bytes_max: call.body_bytes_max,
        limits: means.limits,
        buffers: means.buffers,
    };
    let uploading = async {
        let (reader, writer) = (&mut client.reader, &mut upstream.writer);
        let uploaded = upload::upload(reader, writer, request, call.in_hand, upload_plan, &progress).await;
        progress.uploaded.set(uploaded.end == UploadEnd::Done);
        uploaded
    };
    let downloading = async {
        let (reader, writer) = (&mut upstream.reader, &mut client.writer);
        let plan = download_plan(&call, means);
        let downloaded = download::download(reader, writer, head, plan, &progress).await;
        progress.answered.set(true);
        if !progress.is_uploaded() {
            // The upload may be waiting for either side: the service takes no more, the client gets a moment.
            reader.shut_down();
            client_timer.arm(Reason::Linger, LINGER_MS);
        }
        downloaded
    };
    let (uploaded, downloaded) = join(uploading, downloading).await;
    settle(downloaded, Some(uploaded), connected, means)
}

/// Joins the ends of both directions into one, and gives the connection back if it is in step.
fn settle(
    downloaded: Downloaded,
    uploaded: Option<Uploaded>,
    connected: Connected,
    means: Means<'_>,
) -> Exchanged {
    let upload_end = uploaded.as_ref().map_or(UploadEnd::Done, |uploaded| uploaded.end);
    let delivered = uploaded.as_ref().is_none_or(|uploaded| uploaded.delivered);
    if downloaded.persistent && delivered && downloaded.end == DownloadEnd::Complete {
        means.upstreams.release(connected, means.wheel);
    }
    let end = match downloaded.end {
        DownloadEnd::Complete => End::Complete { closing: downloaded.closing },
        DownloadEnd::ClientGone => End::ClientGone,
        DownloadEnd::Cut if upload_end == UploadEnd::ClientGone => End::ClientGone,
        DownloadEnd::Cut => End::Cut { until_close: downloaded.until_close },
        DownloadEnd::NoAnswer(silence) => match upload_end {
            UploadEnd::TooLarge => End::Refused(Rejection::BodyTooLarge),
            UploadEnd::Malformed(what) => End::Refused(Rejection::BadFraming(what)),
            UploadEnd::ClientSlow => End::Refused(Rejection::BodyTimeout),
            UploadEnd::ClientGone if silence != NoAnswer::Late => End::ClientGone,
            _ => End::Refused(silence.into()),
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
    }
}

fn download_plan<'c>(call: &Call<'c>, means: Means<'c>) -> download::Plan<'c> {
    download::Plan {
        method: call.method,
        deadline: call.deadline,
        idle_ms: call.idle_ms,
        reply: call.reply,
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
        }
    }
}

impl From<ConnectFault> for Rejection {
    fn from(fault: ConnectFault) -> Self {
        match fault {
            ConnectFault::Refused => Self::UpstreamRefused,
            ConnectFault::Unresolved => Self::UpstreamUnresolved,
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
