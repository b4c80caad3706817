//! The route table: every public path, who may use it, and where it goes. Data, not code.
//!
//! The TicketToken table is `routes/platform.toml`. A `floodgate.toml` with `[[routes]]` replaces it whole;
//! both are read by the same loader and must pass the same checks.

pub mod load;
pub mod pattern;
pub mod access;
pub mod expand;
pub mod check;
pub mod print;

pub use load::{Source, load};
pub use print::{print, reference};

use super::lookups::identity::OutagePolicy;
use super::services::ServiceId;
use crate::http::method::MethodSet;
use serde::{Deserialize, Serialize};

/// One row: one pattern and a set of methods. Rows of the platform's table that name several paths or
/// several classes become several rows with the same `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The platform's row id, such as `V1`.
    pub id: String,
    /// The public pattern, such as `/api/v1/venues/{venueId}`; the `path` label of metrics and logs.
    pub template: String,
    pub segments: Vec<Segment>,
    pub methods: MethodSet,
    pub target: Target,
    pub access: Access,
    /// Deadline for the answer's head; `None` takes the service's read or write value.
    pub timeout_ms: Option<u64>,
    /// `None` takes the service's cap; 0 refuses any body.
    pub body_bytes_max: Option<u64>,
    pub notes: Notes,
    pub class: ShedClass,
    /// Why the row is public; empty unless it is.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Segment {
    /// Lower case on rows that match case-insensitively.
    Literal(String),
    /// `{name}`: exactly one segment.
    Parameter(String),
    /// `**`: the prefix itself and everything below. Always last.
    Rest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    Service {
        service: ServiceId,
        upstream: Vec<Part>,
    },
    Local(Local),
    /// 404, never forwarded.
    Deny,
}

/// One piece of an upstream path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Sent as it stands here, with its leading slash: `/api/v1/venues`.
    Literal(String),
    /// The client's segment with this index, byte-exact, with a leading slash.
    Segment(u8),
    /// The client's segments from this index on, byte-exact, each with its leading slash.
    RestFrom(u8),
}

/// What the edge answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Local {
    Live,
    Ready,
    Health,
    HealthLive,
    HealthStartup,
    Metrics,
    ServiceHealth(ServiceId),
    CacheInvalidate,
    CacheStats,
}

/// Access classes of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    Public,
    /// Public, but only from METRICS_ALLOWED_CIDRS; others get 404.
    Scrapers,
    User,
    /// The segment with this index equals `sub`.
    Own {
        segment: u8,
    },
    Permission(String),
    Role(Vec<String>),
    /// Holds the permission globally, or is staff of a venue.
    Staff(String),
    Venue {
        need: VenueNeed,
        venue: VenueFrom,
    },
    /// The first that allows.
    Any(Vec<Access>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VenueNeed {
    Member,
    Owner,
    Permission(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VenueFrom {
    Segment(u8),
    /// `venueId` or `venue_id` in the query. If there, this decision is final; without it `Access::Any` goes
    /// on to its next member.
    Query,
}

/// What later stages need to know of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    pub idempotency: Idempotency,
    pub validated: Option<Body>,
    /// Seconds; 0 is not cached.
    pub cache_s: u32,
    pub stream: bool,
    /// The body is read whole before it is forwarded, because the edge needs something in it.
    pub buffered: bool,
    /// Successor path of a deprecated alias, with the parameters of the template.
    pub deprecated: Option<String>,
    /// HTTP date of a deprecated alias (`SUNSET_<id>`, RFC 8594).
    pub sunset: Option<String>,
    pub webhook: bool,
    /// Segments that must be UUIDs (400 `INVALID_UUID`).
    pub uuid_segments: Vec<u8>,
    /// What decides about a user nobody can ask about; `None` takes AUTH_OUTAGE_POLICY.
    pub outage: Option<OutagePolicy>,
    pub stale: StalePolicy,
    /// A JSON document that stands for the problem while the service's circuit is open.
    pub fallback: Option<String>,
}

/// What a row does while the node's mirror of revocations may lack some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StalePolicy {
    /// The mirror decides.
    #[default]
    Serve,
    /// Redis itself is asked, and 503 if it does not answer.
    Check,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Idempotency {
    #[default]
    None,
    Optional,
    RequiredUuid,
}

/// Which body schema a validated row has (built with the platform's HTTP behaviour).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    Purchase,
    Payment,
    Fees,
    Refund,
    Transfer,
    ValidateQr,
    TicketType,
}

/// Who is shed first under overload; a later class is protected longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShedClass {
    Anonymous,
    Browsing,
    Admitted,
    Checkout,
    Never,
}

impl Access {
    /// Whether requests pass without a token. Such rows match in the table's spelling only.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Public | Self::Scrapers)
    }
}

#[cfg(test)]
mod tests;
