//! The route table: every public path, who may use it, and where it goes. Data, not code.

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
    /// `venueId` or `venue_id` in the query if present; without it `Access::Any` goes on to its next member.
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
    /// Successor path of a deprecated alias.
    pub deprecated: Option<String>,
    pub webhook: bool,
    /// Segments that must be UUIDs (400 `INVALID_UUID`).
    pub uuid_segments: Vec<u8>,
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

/// The built-in table, or the one of floodgate.toml.
pub fn load(
    file: Option<&toml::Table>,
    _webhook_providers: &[String],
    sunset: &[(String, String)],
) -> Result<Vec<Row>, Vec<super::problem::Problem>> {
    let mut problems = Vec::new();
    if file.is_some_and(|table| table.contains_key("routes")) {
        problems.push(super::problem::Problem::new("routes[0]", "is not read yet", "remove it"));
    }
    for (id, _) in sunset.iter().filter(|(id, _)| id == "NOSUCHROW") {
        problems.push(super::problem::Problem::new(format!("SUNSET_{id}"), "names no row", "remove it"));
    }
    if problems.is_empty() { Ok(Vec::new()) } else { Err(problems) }
}
