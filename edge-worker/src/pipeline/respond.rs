//! Answers that the edge makes itself: refusals, and the few resources it owns.

use super::account::{Ending, Ledger};
use super::rejection::Rejection;
use crate::http::encode::{ClientFraming, Persistence, local_head, push_number_field};
use crate::http::head::{RequestHead, Version};
use crate::http::method::{Method, MethodSet};
use crate::http::problem_body::{self, Body, Extra, Problem};
use crate::net::connection::{After, Connection};
use crate::upstream::download::Reply;
use crate::worker::Worker;
use std::str;

/// What is sent, apart from what every answer carries.
pub struct Answer<'a> {
    pub status: u16,
    pub content: Content<'a>,
}

/// What is particular to an answer.
pub enum Content<'a> {
    Json(&'a [u8]),
    /// No body; the methods of a known path.
    Allow(MethodSet),
}

/// Who asked, as far as an answer has to know.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    pub method: Option<Method>,
    /// For `instance`; empty where none could be read.
    pub path: &'a [u8],
    pub version: Version,
    pub persistence: Persistence,
}

/// The path as the client wrote it, without the query, for [`Asker::path`].
#[must_use]
pub fn path(head: &RequestHead, bytes: &[u8]) -> Vec<u8> {
    head.target(bytes).split(|byte| *byte == b'?').next().unwrap_or_default().to_vec()
}

/// Sends a refusal and writes it down. The request's body, if it has one, was not read: the caller says with
/// `asker.persistence` whether the connection can be kept.
pub async fn refuse(
    worker: &Worker,
    connection: &mut Connection,
    ledger: Ledger,
    asker: Asker<'_>,
    rejection: Rejection,
) -> After {
    refuse_after(worker, connection, ledger, asker, rejection, Ending::refused(rejection)).await
}

/// The same where more happened before the refusal than was refused.
pub async fn refuse_after(
    worker: &Worker,
    connection: &mut Connection,
    ledger: Ledger,
    asker: Asker<'_>,
    rejection: Rejection,
    ending: Ending,
) -> After {
    let sentence = rejection.sentence();
    let persistence = if sentence.close { Persistence::Close } else { asker.persistence };
    let mut out = worker.buffers.head();
    let mut scratch = worker.buffers.head();
    let reply = reply(worker, &ledger, &connection.inbound, asker.version, persistence);
    match fallback(worker, &ledger, rejection) {
        Some(body) => write_fallback(&mut out, &reply, asker, rejection, body),
        None => write_problem(&mut out, &mut scratch, &reply, asker, rejection),
    }
    worker.buffers.give_back(scratch);
    send(worker, connection, ledger, out, persistence, ending).await
}

/// Sends an answer of the edge's own and writes it down.
pub async fn answer(
    worker: &Worker,
    connection: &mut Connection,
    ledger: Ledger,
    asker: Asker<'_>,
    answer: Answer<'_>,
) -> After {
    let mut out = worker.buffers.head();
    let reply = reply(worker, &ledger, &connection.inbound, asker.version, asker.persistence);
    let length = match answer.content {
        Content::Json(body) => {
            let framing = ClientFraming::Length(body.len() as u64);
            let fields = |out: &mut Vec<u8>| out.extend_from_slice(JSON_FIELDS);
            reply.with_facts(framing, asker.persistence, |facts| {
                local_head(&mut out, answer.status, fields, facts);
            });
            if asker.method != Some(Method::Head) {
                out.extend_from_slice(body);
            }
            body.len() as u64
        }
        Content::Allow(methods) => {
            let fields = |out: &mut Vec<u8>| problem_body::push_allow_field(out, methods);
            reply.with_facts(ClientFraming::Empty, asker.persistence, |facts| {
                local_head(&mut out, answer.status, fields, facts);
            });
            0
        }
    };
    let ending = Ending::local(answer.status, length);
    send(worker, connection, ledger, out, asker.persistence, ending).await
}

const JSON_FIELDS: &[u8] = b"Content-Type: application/json\r\nCache-Control: no-store\r\n";

/// A refusal for a client that was not asked what it wants, complete with `Connection: close`.
#[must_use]
pub fn unasked(worker: &Worker, rejection: Rejection) -> Vec<u8> {
    let ids = worker.ids.unread();
    let id = str::from_utf8(ids.request.text(b"")).unwrap_or_default();
    let reply = Reply {
        request_id: id,
        correlation_id: id,
        started: crate::clock::now(),
        date: &worker.date,
        draining: &worker.load.draining,
        version: Version::Http11,
        persistence: Persistence::Close,
    };
    let asker = Asker { method: None, path: b"/", version: Version::Http11, persistence: Persistence::Close };
    let mut out = Vec::new();
    write_problem(&mut out, &mut Vec::new(), &reply, asker, rejection);
    out
}

fn write_problem(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    reply: &Reply<'_>,
    asker: Asker<'_>,
    rejection: Rejection,
) {
    let sentence = rejection.sentence();
    reply.with_facts(ClientFraming::Length(0), reply.persistence, |facts| {
        let body = if asker.method == Some(Method::Head) { Body::Omitted } else { Body::Sent };
        let problem = Problem {
            sentence: &sentence,
            instance_path: asker.path,
            facts: *facts,
            wall_millis: crate::clock::wall_millis(),
            extra: Extra::of(&rejection),
            body,
        };
        problem_body::problem(out, scratch, &problem);
    });
}

/// The row's own words for a service that is left alone.
fn fallback<'w>(worker: &'w Worker, ledger: &Ledger, rejection: Rejection) -> Option<&'w str> {
    let Rejection::CircuitOpen { .. } = rejection else { return None };
    worker.routes.rows().get(ledger.row?)?.notes.fallback.as_deref()
}

fn write_fallback(out: &mut Vec<u8>, reply: &Reply<'_>, asker: Asker<'_>, rejection: Rejection, body: &str) {
    let sentence = rejection.sentence();
    let framing = ClientFraming::Length(body.len() as u64);
    let fields = |out: &mut Vec<u8>| {
        out.extend_from_slice(JSON_FIELDS);
        if let Some(seconds) = sentence.retry_after_s {
            push_number_field(out, b"Retry-After", u64::from(seconds));
        }
    };
    reply.with_facts(framing, reply.persistence, |facts| local_head(out, sentence.status, fields, facts));
    if asker.method != Some(Method::Head) {
        out.extend_from_slice(body.as_bytes());
    }
}

/// What every answer to this request says.
pub fn reply<'r>(
    worker: &'r Worker,
    ledger: &'r Ledger,
    bytes: &'r [u8],
    version: Version,
    persistence: Persistence,
) -> Reply<'r> {
    // Ids are plain ASCII, whoever made them.
    let text = |id: &'r super::parse::Id| str::from_utf8(id.text(bytes)).unwrap_or_default();
    Reply {
        request_id: text(&ledger.ids.request),
        correlation_id: text(&ledger.ids.correlation),
        started: ledger.started,
        date: &worker.date,
        draining: &worker.load.draining,
        version,
        persistence,
    }
}

async fn send(
    worker: &Worker,
    connection: &mut Connection,
    ledger: Ledger,
    out: Vec<u8>,
    persistence: Persistence,
    ending: Ending,
) -> After {
    let (result, out) = connection.stream.write_all(out, worker.settings.limits.write_timeout_ms).await;
    worker.buffers.give_back(out);
    ledger.close(ending, &connection.inbound);
    match (result, persistence) {
        (Err(_), _) => After::Abort,
        (Ok(_), Persistence::Close) => After::Close,
        (Ok(_), _) => After::KeepAlive,
    }
}
