//! Label values as enums: what a metric or a log line may say, never a string on the request path.
//!
//! Every number here is stored in the region, which outlives a binary: members are appended, never
//! renumbered.

use crate::http::method::Method;
use crate::identity::fault::TokenFault;
use crate::pipeline::rejection::{Denial, Fault, Rejection};

/// How serious a security event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const WORDS: &'static [&'static str] = &["low", "medium", "high", "critical"];

    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// Something that an operator's security alerts look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SecurityEvent {
    /// A target that tries to leave its route.
    PathAttack,
    /// A tenant was named that is not the token's.
    TenantMismatch,
    /// A verified token without a tenant.
    TenantlessToken,
    /// Owner, permission, role or staff rule refused.
    AuthorizationDenied,
    VenueAccessDenied,
    /// An administrator passed a rule that a user would not have.
    AdminBypass,
}

impl SecurityEvent {
    pub const ALL: [SecurityEvent; 6] = [
        Self::PathAttack,
        Self::TenantMismatch,
        Self::TenantlessToken,
        Self::AuthorizationDenied,
        Self::VenueAccessDenied,
        Self::AdminBypass,
    ];

    pub const WORDS: &'static [&'static str] = &[
        "path_attack",
        "tenant_mismatch",
        "tenantless_token",
        "authorization_denied",
        "venue_access_denied",
        "admin_bypass",
    ];

    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::TenantMismatch => Severity::Critical,
            Self::PathAttack | Self::TenantlessToken | Self::VenueAccessDenied => Severity::High,
            Self::AuthorizationDenied | Self::AdminBypass => Severity::Medium,
        }
    }

    /// The event that a refusal is, if it is one.
    #[must_use]
    pub fn of(rejection: Rejection) -> Option<Self> {
        match rejection {
            Rejection::InvalidPath => Some(Self::PathAttack),
            Rejection::CrossTenant => Some(Self::TenantMismatch),
            Rejection::Unauthorized(TokenFault::MissingTenant) => Some(Self::TenantlessToken),
            Rejection::Forbidden(_) => Some(Self::AuthorizationDenied),
            Rejection::VenueNotFound => Some(Self::VenueAccessDenied),
            _ => None,
        }
    }

    /// From the number in a record.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// How a call to a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downstream {
    Status(u16),
    ConnectError,
    Timeout,
    Reset,
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
            Self::Aborted => Self::WORDS_START + 4,
        }
    }

    /// The word of a number that is not a status.
    #[must_use]
    pub fn word(number: u16) -> Option<&'static str> {
        Self::WORDS.get(usize::from(number.checked_sub(Self::WORDS_START)?)).copied()
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

/// `result` of `gateway_auth_attempts_total`.
pub const ATTEMPTS: &[&str] = &["success", "failure"];
/// `result` of `gateway_token_validation_duration_seconds`.
pub const VALIDATIONS: &[&str] = &["cache_hit", "verified", "rejected"];
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
        })
    }

    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// From a number in the region; one that this binary does not know is none.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        if Reason(number).rejection().is_some() { Reason(number) } else { Self::NONE }
    }

    /// The `reason` word, empty for none.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.rejection().map_or("", |rejection| rejection.sentence().label)
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
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
