//! Label values as enums: what a metric or a log line may say, never a string on the request path.
//!
//! Every number here is stored in the region, which outlives a binary: members are appended, never
//! renumbered.

use crate::http::method::Method;
use crate::identity::fault::TokenFault;
use crate::pipeline::rejection::{Denial, Fault, Rejection};
use crate::telemetry::security_events::SecurityEvent;
use shm::breakers::{Position, Transition};

/// How a call to a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downstream {
    Status(u16),
    ConnectError,
    Timeout,
    Reset,
    /// It was left alone.
    BreakerOpen,
    /// The client left first.
    Aborted,
}

impl Downstream {
    /// Words that stand where a status code would; their numbers start above every status.
    const WORDS: [&'static str; 5] = ["connect_error", "timeout", "reset", "breaker_open", "aborted"];
    const WORDS_START: u16 = 1000;

    /// The number in a series key: the status, or a word's.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Status(status) => status.min(Self::WORDS_START - 1),
            Self::ConnectError => Self::WORDS_START,
            Self::Timeout => Self::WORDS_START + 1,
            Self::Reset => Self::WORDS_START + 2,
            Self::BreakerOpen => Self::WORDS_START + 3,
            Self::Aborted => Self::WORDS_START + 4,
        }
    }

    /// The word of a number that is not a status.
    #[must_use]
    pub fn word(number: u16) -> Option<&'static str> {
        Self::WORDS.get(usize::from(number.checked_sub(Self::WORDS_START)?)).copied()
    }
}

/// Where a service's circuit stands, for who watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CircuitPosition {
    Closed,
    Open,
    HalfOpen,
}

impl CircuitPosition {
    pub const WORDS: &'static [&'static str] = &["closed", "open", "half-open"];

    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.get(self as usize).copied().unwrap_or_default()
    }

    /// Where it stands; one that an operator holds counts as what it behaves like.
    #[must_use]
    pub fn of(position: Position) -> CircuitPosition {
        match position {
            Position::Closed | Position::ForcedClosed => Self::Closed,
            Position::Open | Position::ForcedOpen => Self::Open,
            Position::HalfOpen => Self::HalfOpen,
        }
    }

    /// Where a change has led.
    #[must_use]
    pub fn after(transition: Transition) -> CircuitPosition {
        match transition {
            Transition::Opened | Transition::Reopened | Transition::ForcedOpen => Self::Open,
            Transition::Closed | Transition::ForcedClosed | Transition::Reset => Self::Closed,
        }
    }
}

/// Where in a call to a service time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Connect,
    Head,
    Body,
}

impl Phase {
    pub const WORDS: &'static [&'static str] = &["connect", "head", "body"];
}

/// Why nobody is let in to a service whose places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BulkheadRefusal {
    QueueFull,
    WaitedTooLong,
    /// A long body is still to come, and half of the places are taken.
    LongBody,
}

impl BulkheadRefusal {
    pub const WORDS: &'static [&'static str] = &["queue_full", "waited_too_long", "long_body"];
}

/// `class` of `gateway_shed_requests_total`, in the order of `ShedClass`; the last class is never shed.
pub const SHED_CLASSES: &[&str; 4] = &["anonymous", "browsing", "admitted", "checkout"];

/// The caches of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cache {
    Token,
    User,
    VenueAccess,
    VenueList,
    Response,
    ApiKey,
}

impl Cache {
    pub const WORDS: &'static [&'static str] =
        &["token", "user", "venue_access", "venue_list", "response", "api_key"];

    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// What a cache said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    Hit,
    Miss,
    Error,
}

/// Why a connection was closed before a request was read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConnectionRefusal {
    /// The worker holds as many as it may.
    WorkerFull,
    /// The address holds as many as it may.
    AddressFull,
    /// The address opens them too fast.
    AddressRate,
}

impl ConnectionRefusal {
    pub const WORDS: &'static [&'static str] = &["worker_full", "address_full", "address_rate"];
}

/// What reading the shared cache in Redis gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SharedRead {
    Hit,
    /// Absent, too old, overtaken or forged.
    Miss,
    /// Redis could not be asked.
    Error,
}

impl SharedRead {
    pub const WORDS: &'static [&'static str] = &["hit", "miss", "error"];
}

/// Where a revocation came from that took effect on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RevocationSource {
    /// This node wrote it.
    Node,
    Stream,
    /// The durable keys, read whole.
    Snapshot,
    /// An older key, `session:blacklist:<token>`.
    Legacy,
}

impl RevocationSource {
    pub const WORDS: &'static [&'static str] = &["node", "stream", "snapshot", "legacy"];
}

/// Why a request was decided on less than the edge wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Degraded {
    /// The user's record is older than it should be, because auth-service cannot be asked.
    StaleRecord,
    /// There is no record, and AUTH_OUTAGE_POLICY lets reads go on with the token's claims.
    Claims,
    /// The node has not seen the revocation store yet, and REVOCATION_COLD_POLICY is serve.
    ColdMirror,
}

impl Degraded {
    pub const WORDS: &'static [&'static str] = &["stale_record", "claims", "cold_mirror"];
}

/// How a question to the supervisor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LookupEnd {
    Answered,
    /// The service that knows cannot be asked.
    Outage,
    Late,
    Overloaded,
    /// There is no supervisor to ask.
    Gone,
}

impl LookupEnd {
    pub const WORDS: &'static [&'static str] = &["answered", "outage", "late", "overloaded", "gone"];
}

/// `op` of the figures of Redis, in the order of the supervisor's operations.
pub const REDIS_OPERATIONS: &[&str] = &[
    "ping",
    "cache_read",
    "cache_write",
    "publish",
    "tail",
    "snapshot",
    "legacy_blacklist",
    "api_key",
    "bans",
    "revoked",
    "circuits",
];
/// `result` of `gateway_redis_operations_total`.
pub const REDIS_RESULTS: &[&str] = &["ok", "error", "blocked"];
/// `kind` of `gateway_revocations_total`.
pub const REVOCATION_KINDS: &[&str] = &["jti", "sha256", "user", "tenant"];
/// `table` of `gateway_revocation_entries`.
pub const REVOCATION_TABLES: &[&str] = &["tokens", "cutoffs"];
/// `state` of `gateway_revocations_unpublished`.
pub const UNPUBLISHED: &[&str] = &["waiting", "refused"];
/// `result` of `gateway_auth_attempts_total`.
pub const ATTEMPTS: &[&str] = &["success", "failure"];
/// `result` of `gateway_token_validation_duration_seconds`.
pub const VALIDATIONS: &[&str] = &["cache_hit", "verified", "rejected"];
/// `kind` of `gateway_log_lines_suppressed_total`: the security events, and the access lines of refusals.
pub const SUPPRESSIBLE: &[&str; SecurityEvent::COUNT + 1] = &{
    let mut words = ["refused_request"; SecurityEvent::COUNT + 1];
    let mut index = 0;
    while index < SecurityEvent::COUNT {
        words[index] = SecurityEvent::WORDS[index];
        index += 1;
    }
    words
};
/// `result` of `gateway_key_fetches_total`.
pub const KEY_FETCHES: &[&str] = &["fetched", "failed"];
/// `driver` of `gateway_io_driver_info`, in the order of the region's driver numbers.
pub const DRIVERS: &[&str] = &["unknown", "uring", "epoll"];

/// `method` of a number: the method's, and one more for a token that is no method of the route table.
#[must_use]
pub fn method_word(number: u16) -> &'static str {
    Method::ALL.get(usize::from(number)).map_or("OTHER", |method| method.as_str())
}

/// The number that stands for a method in keys and records.
#[must_use]
pub fn method_number(method: Option<Method>) -> u16 {
    method.map_or(Method::ALL.len() as u16, |method| method as u16)
}

/// A rejection as a number for series keys and records; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reason(u16);

const DENIALS_START: u16 = 48;
const DENIALS: [Denial; 4] = [Denial::Owner, Denial::Permission, Denial::Role, Denial::Staff];
const TOKEN_FAULTS_START: u16 = 64;

impl Reason {
    pub const NONE: Reason = Reason(0);
    /// Nobody could tell whether the token is good: a 503. Only of `gateway_auth_failures_total`, as is the next.
    pub const AUTH_UNAVAILABLE: Reason = Reason(40);
    /// auth-service answered 401 to a refresh token.
    pub const REFRESH_REJECTED: Reason = Reason(41);

    #[must_use]
    pub fn of(rejection: Rejection) -> Self {
        Reason(match rejection {
            Rejection::Unauthorized(fault) => TOKEN_FAULTS_START + fault as u16,
            Rejection::Forbidden(denial) => DENIALS_START + denial as u16,
            Rejection::BadFraming(_) => 1,
            Rejection::InvalidPath => 2,
            Rejection::TenantInPublicQuery => 3,
            Rejection::CrossTenant => 4,
            Rejection::NotFound => 5,
            Rejection::VenueNotFound => 6,
            Rejection::MethodNotAllowed(_) => 7,
            Rejection::HeadTimeout => 8,
            Rejection::BodyTimeout => 9,
            Rejection::BodyTooLarge => 10,
            Rejection::TargetTooLong => 11,
            Rejection::HeadTooLarge => 12,
            Rejection::UpgradeNotImplemented => 13,
            Rejection::Internal => 14,
            Rejection::UpstreamRefused => 15,
            Rejection::UpstreamUnresolved => 16,
            Rejection::UpstreamGarbage => 17,
            Rejection::UpstreamReset => 18,
            Rejection::UpstreamTimeout => 19,
            Rejection::CheckUnavailable => 20,
            Rejection::Overloaded => 21,
            Rejection::Draining => 22,
            Rejection::InvalidUuid => 23,
            Rejection::VenueDenied => 24,
            Rejection::InvalidTargetTenant => 25,
            Rejection::InvalidApiKey => 26,
            Rejection::CrossVenueKey => 27,
            Rejection::CircuitOpen { .. } => 28,
            Rejection::ServiceFull => 29,
            Rejection::Shed => 30,
            Rejection::UpstreamInsecure => 31,
        })
    }

    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// From a number in the region; one that this binary does not know is none.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        if Reason(number).word().is_empty() { Self::NONE } else { Reason(number) }
    }

    /// The `reason` word, empty for none.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::AUTH_UNAVAILABLE => "auth_unavailable",
            Self::REFRESH_REJECTED => "refresh_rejected",
            _ => self.rejection().map_or("", |rejection| rejection.sentence().label),
        }
    }

    /// Whose fault the refusal was.
    #[must_use]
    pub fn fault(self) -> Option<Fault> {
        self.rejection().map(|rejection| rejection.sentence().fault)
    }

    /// One rejection of this number: the table of `pipeline::rejection` has its words.
    fn rejection(self) -> Option<Rejection> {
        use crate::http::method::MethodSet;
        if self.0 >= TOKEN_FAULTS_START {
            let fault = TokenFault::ALL.get(usize::from(self.0 - TOKEN_FAULTS_START))?;
            return Some(Rejection::Unauthorized(*fault));
        }
        if self.0 >= DENIALS_START {
            return Some(Rejection::Forbidden(*DENIALS.get(usize::from(self.0 - DENIALS_START))?));
        }
        Some(match self.0 {
            1 => Rejection::BadFraming(""),
            2 => Rejection::InvalidPath,
            3 => Rejection::TenantInPublicQuery,
            4 => Rejection::CrossTenant,
            5 => Rejection::NotFound,
            6 => Rejection::VenueNotFound,
            7 => Rejection::MethodNotAllowed(MethodSet::NONE),
            8 => Rejection::HeadTimeout,
            9 => Rejection::BodyTimeout,
            10 => Rejection::BodyTooLarge,
            11 => Rejection::TargetTooLong,
            12 => Rejection::HeadTooLarge,
            13 => Rejection::UpgradeNotImplemented,
            14 => Rejection::Internal,
            15 => Rejection::UpstreamRefused,
            16 => Rejection::UpstreamUnresolved,
            17 => Rejection::UpstreamGarbage,
            18 => Rejection::UpstreamReset,
            19 => Rejection::UpstreamTimeout,
            20 => Rejection::CheckUnavailable,
            21 => Rejection::Overloaded,
            22 => Rejection::Draining,
            23 => Rejection::InvalidUuid,
            24 => Rejection::VenueDenied,
            25 => Rejection::InvalidTargetTenant,
            26 => Rejection::InvalidApiKey,
            27 => Rejection::CrossVenueKey,
            28 => Rejection::CircuitOpen { retry_after_s: 1 },
            29 => Rejection::ServiceFull,
            30 => Rejection::Shed,
            31 => Rejection::UpstreamInsecure,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
