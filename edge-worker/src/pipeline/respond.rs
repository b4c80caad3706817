//! Answers that the edge makes itself: refusals, and the few resources it owns.

use super::account::{Ending, Ledger};
use super::rejection::Rejection;
use crate::http::encode::{ClientFraming, Persistence, local_head};
use crate::http::head::Version;
use crate::http::method::{Method, MethodSet};
use crate::http::problem_body::{self, Body, Extra, Problem};
use crate::net::connection::{After, Connection};
use crate::upstream::download::Reply;
use crate::worker::Worker;
use std::str;

/// What is sent, apart from what every answer carries.
pub struct Answer<'a> {
    pub status: u16,
    pub fields: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
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
    reply.with_facts(ClientFraming::Length(0), persistence, |facts| {
        let body = if asker.method == Some(Method::Head) { Body::Omitted } else { Body::Sent };
        let problem = Problem {
            sentence: &sentence,
            instance_path: asker.path,
            facts: *facts,
            wall_millis: crate::clock::wall_millis(),
            extra: Extra::of(&rejection),
            body,
        };
        problem_body::problem(&mut out, &mut scratch, &problem);
    });
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
    let length = answer.body.len() as u64;
    let framing = if answer.status == 204 { ClientFraming::Empty } else { ClientFraming::Length(length) };
    let reply = reply(worker, &ledger, &connection.inbound, asker.version, asker.persistence);
    reply.with_facts(framing, asker.persistence, |facts| {
        local_head(&mut out, answer.status, answer.fields, facts);
    });
    if asker.method != Some(Method::Head) {
        out.extend_from_slice(answer.body);
    }
    let ending = Ending::local(answer.status, length);
    send(worker, connection, ledger, out, asker.persistence, ending).await
}

/// `204` with the methods of a known path.
pub async fn options(
    worker: &Worker,
    connection: &mut Connection,
    ledger: Ledger,
    asker: Asker<'_>,
    methods: MethodSet,
) -> After {
    let mut allow = Vec::new();
    problem_body::push_allow(&mut allow, methods);
    let fields: &[(&str, &[u8])] = &[("Allow", &allow)];
    answer(worker, connection, ledger, asker, Answer { status: 204, fields, body: b"" }).await
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
