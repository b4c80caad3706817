//! Answers of the edge itself when it refuses: one problem+json object (RFC 9457) with the platform's older
//! members.

use super::encode::date::iso_timestamp;
use super::encode::{AnswerFacts, ClientFraming, Persistence, local_head, number, push_number_field};
use super::method::{Method, MethodSet};
use crate::config::limits::TARGET_BYTES_MAX;
use crate::pipeline::rejection::{Rejection, Sentence};

/// One refusal and what its answer needs to know of the request. `facts.framing` is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    pub sentence: &'a Sentence,
    /// The request's path without query, as the client wrote it; empty where none could be read.
    pub instance_path: &'a [u8],
    pub facts: AnswerFacts<'a>,
    /// Milliseconds since 1970.
    pub wall_millis: u64,
    pub extra: Extra,
    /// HEAD gets the head alone.
    pub body: Body,
}

/// What some refusals say besides their sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    None,
    /// The methods that a known path has (405).
    Allow(MethodSet),
}

impl Extra {
    #[must_use]
    pub fn of(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::MethodNotAllowed(methods) => Self::Allow(*methods),
            _ => Self::None,
        }
    }
}

/// Whether the body follows its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Sent,
    /// The request was HEAD.
    Omitted,
}

/// Appends the complete answer. `scratch` is emptied and holds the body while its length is not known.
pub fn problem(out: &mut Vec<u8>, scratch: &mut Vec<u8>, problem: &Problem<'_>) {
    scratch.clear();
    push_object(scratch, problem);
    let sentence = problem.sentence;
    let mut facts = AnswerFacts { framing: ClientFraming::Length(scratch.len() as u64), ..problem.facts };
    if sentence.close {
        facts.persistence = Persistence::Close;
    }
    local_head(out, sentence.status, |out| push_fields(out, problem), &facts);
    if problem.body == Body::Sent {
        out.extend_from_slice(scratch);
    }
}

/// Appends the `Allow` field. OPTIONS is answered everywhere.
pub fn push_allow_field(out: &mut Vec<u8>, methods: MethodSet) {
    out.extend_from_slice(b"Allow: OPTIONS");
    for method in methods.iter().filter(|method| *method != Method::Options) {
        out.extend_from_slice(b", ");
        out.extend_from_slice(method.as_str().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn push_fields(out: &mut Vec<u8>, problem: &Problem<'_>) {
    let sentence = problem.sentence;
    out.extend_from_slice(b"Content-Type: application/problem+json\r\nCache-Control: no-store\r\n");
    if sentence.status == 401 {
        out.extend_from_slice(b"WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"");
        out.extend_from_slice(sentence.label.as_bytes());
        out.extend_from_slice(b"\"\r\n");
    }
    if let Extra::Allow(methods) = problem.extra {
        push_allow_field(out, methods);
    }
    if let Some(retry_after_s) = sentence.retry_after_s {
        push_number_field(out, b"Retry-After", u64::from(retry_after_s));
    }
}

fn push_object(out: &mut Vec<u8>, problem: &Problem<'_>) {
    let sentence = problem.sentence;
    out.extend_from_slice(b"{\"type\":\"https://api.tickettoken.com/errors/");
    out.extend_from_slice(sentence.slug.as_bytes());
    out.push(b'"');
    push_member(out, "title", sentence.title.as_bytes());
    push_number_member(out, "status", sentence.status);
    push_member(out, "detail", sentence.detail.as_bytes());
    push_instance(out, problem.instance_path);
    push_member(out, "code", sentence.code.as_bytes());
    if sentence.status == 401 {
        push_member(out, "reason", sentence.label.as_bytes());
    }
    push_member(out, "correlationId", problem.facts.correlation_id.as_bytes());
    push_member(out, "requestId", problem.facts.request_id.as_bytes());
    push_member(out, "timestamp", &iso_timestamp(problem.wall_millis));
    push_member(out, "error", sentence.title.as_bytes());
    push_member(out, "message", sentence.detail.as_bytes());
    push_number_member(out, "statusCode", sentence.status);
    out.push(b'}');
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_name(out, name);
    out.push(b'"');
    push_escaped(out, value);
    out.push(b'"');
}

fn push_number_member(out: &mut Vec<u8>, name: &str, value: u16) {
    push_name(out, name);
    number::push(out, u64::from(value));
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A URI reference (RFC 9457 section 3.1.5): bytes that no URI holds are percent-encoded, so it is ASCII
/// whatever the client sent. The query may hold secrets and is cut.
fn push_instance(out: &mut Vec<u8>, path: &[u8]) {
    push_name(out, "instance");
    out.push(b'"');
    let bounded = path.get(..TARGET_BYTES_MAX).unwrap_or(path);
    for byte in bounded.iter().take_while(|byte| **byte != b'?') {
        if byte.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', hexadecimal(byte >> 4), hexadecimal(byte & 15)]);
        }
    }
    out.push(b'"');
}

/// JSON string content (RFC 8259 section 7). Values are ASCII; other bytes would not survive as JSON and
/// become `?`.
fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            0..b' ' => {
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    hexadecimal(byte >> 4),
                    hexadecimal(byte & 15),
                ]);
            }
            _ => out.push(b'?'),
        }
    }
}

fn hexadecimal(nibble: u8) -> u8 {
    match nibble {
        0..10 => b'0' + nibble,
        _ => b'A' + (nibble & 15) - 10,
    }
}

#[cfg(test)]
mod tests;
