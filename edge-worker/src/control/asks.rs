//! What a worker asks the supervisor: every kind of ask, its deadline, and the frames they travel in. Sans-io.
//!
//! Everything slow or rare is an ask: the supervisor looks it up in Redis or at a service, once for all workers
//! that want the same. An ask always ends: with an answer, or with the declared outcome of [`Unanswered`].
//!
//! A frame is `length: u32` (little endian, of what follows) and a JSON document. Asks have a channel of their
//! own, so that no ask can delay a drain. A document of a newer version may have fields that an older reader
//! ignores, and a field that is new has a default: version N serves N-1.

use super::endpoint_set::EndpointSet;
use super::key_set::KeySet;
use crate::clock::UnixSeconds;
use crate::config::secret::Secret;
use serde::{Deserialize, Serialize};

/// Bytes of one frame without its prefix: the longest token, twice escaped, and a list of permissions fit.
pub const ASK_BYTES_MAX: usize = 64 * 1024;
/// Asks of one worker that may wait at a time; one more is `Overloaded` at once.
pub const ASKS_WAITING_MAX: usize = 4_096;

const PREFIX_BYTES: usize = 4;

/// Something that only the supervisor can find out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Is this user alive, and what is its role?
    User { user: Person },
    /// May this user act for this venue?
    VenueAccess {
        user: Person,
        venue: String,
        /// In the mode that asks for one permission at a time.
        permission: Option<String>,
        bearer: Secret<String>,
    },
    /// Not a question: tokens, or decisions, are to be withdrawn on every node.
    Withdraw { withdrawal: Withdrawal },
    /// Is this user staff of any venue?
    VenueList { user: Person, bearer: Secret<String> },
    /// Is this token, which the node has not seen before, on the older blacklist? It is watched from now on.
    FirstSight { token: Named, bearer: Secret<String>, expires_at: UnixSeconds },
    /// Is this a key of the platform's, and of which venue?
    ApiKey { key: Secret<String> },
    /// Does auth-service still accept this token?
    Token { user: Person, token: Named, expires_at: UnixSeconds, bearer: Secret<String> },
    /// Does Redis itself say that this token is revoked? For a node whose own revocations may be incomplete.
    Revoked { token: Named, tenant: String, subject: String, issued_at: UnixSeconds },
    /// Not a question: a token may be proven by a key that the node does not have yet. The set comes before the answer.
    Keys,
    /// Not a question: what an operator has to know and only a worker sees.
    Complaint { complaint: Complaint },
}

/// What a worker complains about, at most now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complaint {
    /// No TLS with an instance of a service.
    Handshake {
        service: String,
        /// `host[:port]`.
        instance: String,
        reason: String,
        /// Since the last complaint about the instance, this one included.
        times: u64,
    },
}

/// What is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    Token {
        token: Named,
        expires_at: UnixSeconds,
    },
    /// All of a user's that were issued until the supervisor hears of it, but for the one with the jti `except`.
    User {
        tenant: String,
        subject: String,
        except: Option<String>,
    },
    /// No token: what was decided of anybody at this venue is to be asked again.
    Venue {
        venue: String,
    },
    /// All of a tenant's that were issued until the supervisor hears of it.
    Tenant {
        tenant: String,
    },
}

/// How a token is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    Jti(String),
    /// Lower-case hexadecimal digits of the whole token's SHA-256, where it has no jti.
    Sha256(String),
}

/// Whom a question is about, and what a service is told about the request it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub tenant: String,
    pub subject: String,
    /// The value of `X-Forwarded-For`.
    pub forwarded_for: String,
    pub request_id: String,
    /// Empty if it is the request id.
    #[serde(default)]
    pub correlation_id: String,
    pub traceparent: String,
}

/// What the supervisor found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    User(UserAnswer),
    VenueAccess(VenueAnswer),
    VenueList(ListAnswer),
    /// It holds on this node, and is on its way to the others.
    Withdrawn,
    FirstSight(SightAnswer),
    ApiKey(KeyAnswer),
    Token(ValidationAnswer),
    Revoked(RevokedAnswer),
    /// The set of keys is as new as it may be.
    Keys,
    /// The operator was told.
    Noted,
    /// The supervisor has as many asks as it can take.
    Overloaded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAnswer {
    Live {
        /// As the record says it.
        role: String,
        /// The record is older than it should be, because auth-service cannot be asked.
        degraded: bool,
    },
    /// Suspended, banned or deleted.
    Inactive,
    /// Unknown, or of another tenant.
    NotFound,
    Outage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueAnswer {
    Allowed { role: Option<String>, permissions: Vec<String> },
    Denied,
    Outage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListAnswer {
    Staff,
    NoStaff,
    Outage,
}

/// What the older blacklist says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SightAnswer {
    Unlisted,
    /// It is revoked on this node from now on.
    Listed,
    /// Redis cannot be asked; the mirror alone decides.
    Outage,
}

/// What Redis says of an API key; its tier and limit are in the region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAnswer {
    Known { venue: String },
    Unknown,
    Outage,
}

impl Answer {
    /// Whether the service that knows could not be asked.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::User(UserAnswer::Outage)
                | Self::VenueAccess(VenueAnswer::Outage)
                | Self::VenueList(ListAnswer::Outage)
                | Self::FirstSight(SightAnswer::Outage)
                | Self::ApiKey(KeyAnswer::Outage)
                | Self::Token(ValidationAnswer::Outage)
                | Self::Revoked(RevokedAnswer::Outage)
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidationAnswer {
    Valid,
    Refused,
    Outage,
}

/// What the durable keys of a token, its user and its tenant say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedAnswer {
    Clear,
    /// This node knows it from now on.
    Revoked,
    /// Redis cannot be asked, or a key of its holds what nobody can read.
    Outage,
}

/// Why an ask has no answer. What follows from it is the asking stage's to say: never a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Too many asks wait, here or at the supervisor.
    Overloaded,
    /// The deadline of its kind passed.
    Late,
    /// The supervisor is gone or speaks another language.
    Gone,
}

/// `question` of `gateway_lookups_total`, by [`Question::number`].
pub const QUESTIONS: &[&str] = &[
    "user",
    "venue_access",
    "withdraw",
    "venue_list",
    "first_sight",
    "api_key",
    "keys",
    "token",
    "revoked",
    "complaint",
];

impl Question {
    /// The number of its kind, which is stored in the region: kinds are appended, never renumbered.
    #[must_use]
    pub fn number(&self) -> u16 {
        match self {
            Self::User { .. } => 0,
            Self::VenueAccess { .. } => 1,
            Self::Withdraw { .. } => 2,
            Self::VenueList { .. } => 3,
            Self::FirstSight { .. } => 4,
            Self::ApiKey { .. } => 5,
            Self::Keys => 6,
            Self::Token { .. } => 7,
            Self::Revoked { .. } => 8,
            Self::Complaint { .. } => 9,
        }
    }

    /// Milliseconds until the ask counts as unanswered: the look-up's whole time (platform section 5), and a
    /// little for the way.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        match self {
            Self::User { .. } | Self::Token { .. } | Self::Keys => 5_250,
            Self::VenueAccess { .. } | Self::VenueList { .. } => 3_250,
            Self::Withdraw { .. } | Self::Complaint { .. } => 1_000,
            // The mirror serves without it, so nobody waits for long.
            Self::FirstSight { .. } => 300,
            Self::ApiKey { .. } | Self::Revoked { .. } => 1_000,
        }
    }
}

/// An ask on its way to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Chosen by the worker, unique among what it waits for.
    pub id: u64,
    pub question: Question,
}

/// An answer on its way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub id: u64,
    pub answer: Answer,
}

/// What the supervisor writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Answered(Answered),
    /// Not asked for: these keys hold from now on.
    Keys(KeySet),
    /// Not asked for: the services are at these addresses from now on.
    Endpoints(EndpointSet),
}

/// Why a channel of asks cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskFault {
    #[error("a frame of {0} bytes is longer than {ASK_BYTES_MAX}")]
    Length(u32),
    /// The document itself may hold a token and is not shown.
    #[error("a frame's document is not valid at column {0}")]
    Document(usize),
}

/// Appends a frame; one that would be too long is not written, and `false` says so.
#[must_use]
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    let written = serde_json::to_writer(&mut *out, message).is_ok();
    let length = out.len() - start - PREFIX_BYTES;
    match u32::try_from(length).ok().filter(|_| written && length <= ASK_BYTES_MAX) {
        Some(length) => {
            out.splice(start..start + PREFIX_BYTES, length.to_le_bytes());
            true
        }
        None => {
            out.truncate(start);
            false
        }
    }
}

/// Takes the first frame off the front of `bytes`; `None` means that more bytes are needed.
///
/// # Errors
/// If this is no frame; the channel is then of no more use.
pub fn decode<T: for<'de> Deserialize<'de>>(bytes: &mut Vec<u8>) -> Result<Option<T>, AskFault> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let stated = u32::from_le_bytes(*prefix);
    let length = usize::try_from(stated).map_err(|_| AskFault::Length(stated))?;
    if length > ASK_BYTES_MAX {
        return Err(AskFault::Length(stated));
    }
    let Some(document) = rest.get(..length) else { return Ok(None) };
    let message = serde_json::from_slice(document).map_err(|fault| AskFault::Document(fault.column()))?;
    bytes.drain(..PREFIX_BYTES + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests;
