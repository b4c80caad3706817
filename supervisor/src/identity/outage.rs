//! Why a service gave no answer. The one thing that every failed look-up becomes.

use std::fmt;

/// A question without an answer. Says nothing about the user: an outage is never a 401, 403 or 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    pub why: Why,
    /// Set if waiting will not help, because the edge's own configuration is refused.
    pub alarm: Option<Alarm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No connection: refused, unreachable, or not made in time.
    Unconnected,
    /// No instance of the service has an address.
    Unresolved,
    TimedOut,
    /// The connection ended before the answer did, or what came is not HTTP.
    Cut,
    /// The answer is longer than is read of it.
    Oversized,
    /// The answer is not what the platform says it is.
    Malformed,
    /// Redirects are never followed.
    Redirected,
    /// 429: the service limits the edge.
    Throttled,
    /// 401 or 403.
    Refused,
    /// Any other status that is no answer to the question.
    Status(u16),
    /// The service's circuit is open.
    CircuitOpen,
    /// As many questions as may be are in flight.
    Overloaded,
    /// The question holds an id that no path can carry.
    Unaskable,
    /// The edge cannot make its credential.
    Unsigned,
    /// The question's task died.
    Lost,
}

impl Why {
    /// A word for labels and log fields.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unconnected => "unconnected",
            Self::Unresolved => "unresolved",
            Self::TimedOut => "timed_out",
            Self::Cut => "cut",
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
            Self::Redirected => "redirected",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Status(_) => "status",
            Self::CircuitOpen => "circuit_open",
            Self::Overloaded => "overloaded",
            Self::Unaskable => "unaskable",
            Self::Unsigned => "unsigned",
            Self::Lost => "lost",
        }
    }
}

/// What an operator has to correct: the credential with which the edge asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// `MISSING_SERVICE_TOKEN`
    TokenMissing,
    /// `SERVICE_TOKEN_EXPIRED`: a fixed token is over, or the clocks differ.
    TokenExpired,
    /// `INVALID_SERVICE_TOKEN`: the service does not know the key.
    TokenInvalid,
    /// `SERVICE_NOT_ALLOWED`: the service does not list the edge as a caller.
    NotAllowed,
    /// 401 or 403 without one of these words.
    CredentialRefused,
    /// The private key does not sign.
    CannotSign,
}

impl Alarm {
    /// The alarm that a refusal's code stands for.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Alarm> {
        match code {
            "MISSING_SERVICE_TOKEN" => Some(Self::TokenMissing),
            "SERVICE_TOKEN_EXPIRED" => Some(Self::TokenExpired),
            "INVALID_SERVICE_TOKEN" => Some(Self::TokenInvalid),
            "SERVICE_NOT_ALLOWED" => Some(Self::NotAllowed),
            _ => None,
        }
    }

    /// A word for labels and log fields.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenExpired => "token_expired",
            Self::TokenInvalid => "token_invalid",
            Self::NotAllowed => "not_allowed",
            Self::CredentialRefused => "credential_refused",
            Self::CannotSign => "cannot_sign",
        }
    }
}

impl From<Why> for Outage {
    fn from(why: Why) -> Self {
        Outage { why, alarm: None }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.why.word())?;
        if let Why::Status(status) = self.why {
            write!(formatter, " {status}")?;
        }
        self.alarm.map_or(Ok(()), |alarm| write!(formatter, " ({})", alarm.word()))
    }
}
