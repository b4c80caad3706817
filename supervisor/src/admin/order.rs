//! What an operator has a node do through the control socket: the orders, their answers, and the lines in which
//! both travel. Sans-io.
//!
//! A connection carries one order and one answer, each a JSON document of one line. The version stands beside the
//! order, so that a node can tell an operator of another release what it speaks; a new order is one variant more.

use crate::cluster::event::{EXPIRY_DAYS_MAX, EXPIRY_S_MAX, Event, TokenName};
use edge_worker::clock::UnixSeconds;
use edge_worker::config::tokens::TenantFormat;
use edge_worker::control::asks::Named;
use edge_worker::identity::verifier::{is_subject, is_token_id, tenant};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of orders and answers.
pub const ORDER_VERSION: u32 = 1;
/// Bytes of an order's line; the longest one holds a few ids and a reason.
pub const ORDER_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an answer's line.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a reason.
pub const REASON_BYTES_MAX: usize = 256;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    Revoke {
        whom: Revoked,
        /// For the audit line of the node, and nothing else.
        reason: Option<String>,
    },
    Circuit {
        order: CircuitOrder,
        /// None is all of them, to look at.
        service: Option<String>,
        reason: Option<String>,
    },
}

/// What is to be done with the circuit of a service, on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitOrder {
    List,
    /// Held open, or closed, until another order.
    Open,
    Close,
    /// The node decides again, as if nothing had happened.
    Reset,
}

impl CircuitOrder {
    /// `what` of the audit line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Open => "open",
            Self::Close => "close",
            Self::Reset => "reset",
        }
    }
}

/// Where a circuit stands, with the calls of the last ten seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct CircuitLine {
    pub service: String,
    /// A word of `labels::CircuitPosition`.
    pub state: String,
    /// By an operator.
    pub held: bool,
    pub calls: u64,
    pub failures: u64,
    pub retries: u64,
    /// Milliseconds until an open circuit is tried.
    pub left_ms: u64,
    /// What another node last said of its own circuit, unless that is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
}

/// Whose tokens no node accepts any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Revoked {
    Token {
        token: Named,
        expires_at: UnixSeconds,
    },
    /// All of a user's that were issued up to now, but for the one with the jti `except`.
    User {
        tenant: String,
        subject: String,
        except: Option<String>,
    },
    /// All of a tenant's that were issued up to now.
    Tenant {
        tenant: String,
    },
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderAnswer {
    Revoked {
        spread: Spread,
        /// The node's table has no place for it, so that the node answers 503 to whatever the table does not clear.
        table_full: bool,
    },
    Circuits {
        circuits: Vec<CircuitLine>,
    },
    /// Nothing was done.
    Refused {
        what: String,
        remedy: String,
    },
    /// Nothing was done: whoever gave it may not give orders.
    NotAllowed,
}

/// Which nodes know of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// The node has no Redis: there are no others.
    Alone,
    /// Redis has it.
    Published,
    /// It holds here, and waits for Redis together with others, `waiting` in all.
    Queued { waiting: usize },
    /// It holds here alone, because too many wait.
    Unpublished,
    /// It holds here alone, because Redis refuses it.
    Refused,
    /// The token has expired, so that there was nothing to revoke.
    Expired,
}

impl Spread {
    /// `outcome` of the audit line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Published => "published",
            Self::Queued { .. } => "queued",
            Self::Unpublished => "unpublished",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

/// Why a line is no order, or an order means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub what: String,
    pub remedy: String,
}

impl Refusal {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        Refusal { what: what.into(), remedy: remedy.into() }
    }
}

impl From<Refusal> for OrderAnswer {
    fn from(refusal: Refusal) -> OrderAnswer {
        OrderAnswer::Refused { what: refusal.what, remedy: refusal.remedy }
    }
}

#[derive(Deserialize)]
struct VersionAlone {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct OrderLine<T> {
    version: u32,
    order: T,
}

#[derive(Serialize, Deserialize)]
struct AnswerLine<T> {
    version: u32,
    answer: T,
}

/// The line of an order, with its end.
#[must_use]
pub fn encode_order(order: &Order) -> Vec<u8> {
    line(&OrderLine { version: ORDER_VERSION, order })
}

/// The line of an answer, with its end.
#[must_use]
pub fn encode_answer(answer: &OrderAnswer) -> Vec<u8> {
    line(&AnswerLine { version: ORDER_VERSION, answer })
}

/// Reads an order's line.
///
/// # Errors
/// Another version, or no order of this one.
pub fn decode_order(line: &[u8]) -> Result<Order, Refusal> {
    versioned(line).map(|read: OrderLine<Order>| read.order)
}

/// Reads an answer's line.
///
/// # Errors
/// Another version, or no answer of this one.
pub fn decode_answer(line: &[u8]) -> Result<OrderAnswer, Refusal> {
    versioned(line).map(|read: AnswerLine<OrderAnswer>| read.answer)
}

fn line<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("words, numbers and texts are always JSON");
    line.push(b'\n');
    line
}

fn versioned<T: DeserializeOwned>(line: &[u8]) -> Result<T, Refusal> {
    let stated: VersionAlone = serde_json::from_slice(line).map_err(|_| {
        Refusal::new("this is no document of the control socket", "use the floodgate command")
    })?;
    if stated.version != ORDER_VERSION {
        let what = format!("version {} of orders is not spoken here, but {ORDER_VERSION}", stated.version);
        return Err(Refusal::new(what, "use the floodgate of the release that runs"));
    }
    serde_json::from_slice(line).map_err(|fault| {
        Refusal::new(
            format!("the document is malformed: {fault}"),
            "use the floodgate of the release that runs",
        )
    })
}

impl Revoked {
    /// The event for the stream, with the epoch `now`. Ids are read as strictly as those of tokens: a mistyped one
    /// would revoke nothing, and nobody would notice.
    ///
    /// # Errors
    /// What no token can name.
    pub fn event(self, format: TenantFormat, now: UnixSeconds) -> Result<Event, Refusal> {
        match self {
            Revoked::Token { token, expires_at } => {
                if expires_at > now.saturating_add(EXPIRY_S_MAX) {
                    let what = format!("the expiry is more than {EXPIRY_DAYS_MAX} days away");
                    return Err(Refusal::new(what, "give exp of the token, in seconds since 1970"));
                }
                Ok(Event::Token { token: token_name(token)?, exp: expires_at })
            }
            Revoked::User { tenant, subject, except } => {
                let tenant = tenant_id(format, &tenant)?;
                if !is_subject(&subject) {
                    return Err(Refusal::new("no token can name this user", "give sub of the user's tokens"));
                }
                let except = except.map(token_id).transpose()?;
                Ok(Event::User { tenant, sub: subject, epoch: now, except })
            }
            Revoked::Tenant { tenant } => {
                Ok(Event::Tenant { tenant: tenant_id(format, &tenant)?, epoch: now })
            }
        }
    }
}

fn token_name(token: Named) -> Result<TokenName, Refusal> {
    match token {
        Named::Jti(jti) => token_id(jti).map(TokenName::Jti),
        Named::Sha256(digits) => TokenName::sha256(&digits)
            .map_err(|_| Refusal::new("this is no SHA-256 of a token", "use the floodgate command")),
    }
}

fn tenant_id(format: TenantFormat, text: &str) -> Result<String, Refusal> {
    tenant(format, text).ok_or_else(|| {
        let wanted = match format {
            TenantFormat::Uuid => "give its UUID, or set TENANT_ID_FORMAT=opaque",
            TenantFormat::Opaque => "give its id of letters, digits, - and _",
        };
        Refusal::new("no token can name this tenant", wanted)
    })
}

/// Nodes name a token by its id only if every one of them can read it.
fn token_id(jti: String) -> Result<String, Refusal> {
    let remedy =
        "give up to 256 visible ASCII characters; a token with another id is revoked by the token itself";
    is_token_id(&jti).then_some(jti).ok_or_else(|| Refusal::new("no token is named by this id", remedy))
}

#[cfg(test)]
mod tests;
