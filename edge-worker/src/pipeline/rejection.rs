//! Every way in which the edge refuses a request. One table gives status, public words, Retry-After,
//! log level and metric label; nothing else in the tree invents a status code.

use crate::http::method::MethodSet;
use crate::identity::fault::TokenFault;

/// Why a request is answered by the edge instead of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Framing or head violates RFC 9112; the connection is closed after the answer.
    BadFraming(&'static str),
    /// The target violates the path rules (`docs/reference/routes.md`).
    InvalidPath,
    /// A segment of the path must be a UUID on this row and is not.
    InvalidUuid,
    /// A `tenant_id` query parameter on a public row.
    TenantInPublicQuery,
    /// `X-Target-Tenant-Id` of somebody who may send it is no tenant id, or came twice.
    InvalidTargetTenant,
    Unauthorized(TokenFault),
    /// Role, permission, staff or ownership missing.
    Forbidden(Denial),
    /// A `tenant_id` query parameter that is not the token's tenant.
    CrossTenant,
    /// An API key that nobody has, of another shape, or two of them.
    InvalidApiKey,
    /// An API key of another venue than the request is about.
    CrossVenueKey,
    NotFound,
    /// What stands where a venue id belongs is none.
    VenueNotFound,
    /// venue-service says no. The same words as for a venue that does not exist.
    VenueDenied,
    MethodNotAllowed(MethodSet),
    HeadTimeout,
    BodyTimeout,
    BodyTooLarge,
    TargetTooLong,
    HeadTooLarge,
    UpgradeNotImplemented,
    Internal,
    UpstreamRefused,
    UpstreamUnresolved,
    /// No connection over TLS: nothing of the request was sent.
    UpstreamInsecure,
    UpstreamGarbage,
    UpstreamReset,
    UpstreamTimeout,
    /// An access decision needs a service that cannot be asked.
    CheckUnavailable,
    /// The service failed too often lately and is left alone for so long.
    CircuitOpen {
        retry_after_s: u16,
    },
    /// Nobody can be let in to the service, and there is no room to wait or the wait was too long.
    ServiceFull,
    /// The node has more to do than it can, and others come first.
    Shed,
    Overloaded,
    Draining,
}

/// Which authorisation rule refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    Owner,
    Permission,
    Role,
    Staff,
}

/// Whose fault a refusal is; decides the log level and whether an operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Client,
    Service,
    Edge,
    /// Nobody's: more is asked for than can be done.
    Load,
}

/// What a client is told (RFC 9457 problem details).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    pub status: u16,
    pub slug: &'static str,
    pub title: &'static str,
    pub code: &'static str,
    pub detail: &'static str,
    /// Seconds; on every 429 and 503.
    pub retry_after_s: Option<u16>,
    pub fault: Fault,
    /// `reason` label and log field.
    pub label: &'static str,
    /// The connection is not trusted to be in step after this answer.
    pub close: bool,
}

impl Rejection {
    /// The table.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        use Fault::{Client, Edge, Load, Service};
        match self {
            Self::BadFraming(detail) => {
                row(400, BAD_REQUEST, "BAD_REQUEST", detail, Client, "bad_framing").closing()
            }
            Self::InvalidPath => row(
                400,
                BAD_REQUEST,
                "INVALID_PATH",
                "The path contains a segment, encoding or character that is not allowed.",
                Client,
                "invalid_path",
            ),
            Self::InvalidUuid => row(
                400,
                BAD_REQUEST,
                "INVALID_UUID",
                "An identifier in the path is not a UUID.",
                Client,
                "invalid_uuid",
            ),
            Self::TenantInPublicQuery => row(
                400,
                BAD_REQUEST,
                "BAD_REQUEST",
                "A tenant cannot be chosen by query parameter.",
                Client,
                "tenant_in_public_query",
            ),
            Self::InvalidTargetTenant => row(
                400,
                BAD_REQUEST,
                "BAD_REQUEST",
                "X-Target-Tenant-Id is not one tenant id.",
                Client,
                "invalid_target_tenant",
            ),
            Self::Unauthorized(fault) => {
                row(401, UNAUTHORIZED, "AUTHENTICATION_ERROR", fault.detail(), Client, fault.word())
            }
            Self::Forbidden(denial) => row(
                403,
                FORBIDDEN,
                "AUTHORIZATION_ERROR",
                "You do not have permission to do this.",
                Client,
                denial.word(),
            ),
            Self::CrossTenant => row(
                403,
                FORBIDDEN,
                "CROSS_TENANT_DENIED",
                "The requested tenant is not the tenant of your token.",
                Client,
                "cross_tenant",
            ),
            Self::InvalidApiKey => {
                row(403, FORBIDDEN, "INVALID_API_KEY", "The API key is not valid.", Client, "invalid_api_key")
            }
            Self::CrossVenueKey => row(
                403,
                FORBIDDEN,
                "AUTHORIZATION_ERROR",
                "The API key belongs to another venue.",
                Client,
                "cross_venue_key",
            ),
            Self::NotFound => row(404, NOT_FOUND, "NOT_FOUND", "No such resource.", Client, "not_found"),
            Self::VenueNotFound => no_venue("venue"),
            Self::VenueDenied => no_venue("venue_access"),
            Self::MethodNotAllowed(_) => row(
                405,
                ("method-not-allowed", "Method Not Allowed"),
                "METHOD_NOT_ALLOWED",
                "The resource does not support this method; see the Allow header.",
                Client,
                "method_not_allowed",
            ),
            Self::HeadTimeout => row(
                408,
                REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                "The request head did not arrive in time.",
                Client,
                "head_timeout",
            )
            .closing(),
            Self::BodyTimeout => row(
                408,
                REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                "The request body stopped arriving.",
                Client,
                "body_timeout",
            )
            .closing(),
            Self::BodyTooLarge => row(
                413,
                ("payload-too-large", "Payload Too Large"),
                "PAYLOAD_TOO_LARGE",
                "The request body is larger than this resource accepts.",
                Client,
                "body_too_large",
            )
            .closing(),
            Self::TargetTooLong => row(
                414,
                ("uri-too-long", "URI Too Long"),
                "URI_TOO_LONG",
                "The request target is longer than 8192 bytes.",
                Client,
                "target_too_long",
            )
            .closing(),
            Self::HeadTooLarge => row(
                431,
                ("headers-too-large", "Request Header Fields Too Large"),
                "HEADERS_TOO_LARGE",
                "The request header fields are too large or too many.",
                Client,
                "head_too_large",
            )
            .closing(),
            Self::UpgradeNotImplemented => row(
                501,
                ("not-implemented", "Not Implemented"),
                "NOT_IMPLEMENTED",
                "Protocol upgrades are not supported.",
                Client,
                "upgrade",
            ),
            Self::Internal => row(
                500,
                ("internal-error", "Internal Server Error"),
                "INTERNAL_ERROR",
                "The request could not be processed.",
                Edge,
                "internal",
            )
            .closing(),
            Self::UpstreamRefused => unavailable("The service is not reachable.", 5, Service, "refused"),
            Self::UpstreamUnresolved => {
                unavailable("The service is not reachable.", 5, Service, "unresolved")
            }
            Self::UpstreamInsecure => bad_gateway("No secure connection to the service.", "tls"),
            Self::UpstreamGarbage => bad_gateway("The service sent an invalid answer.", "garbage"),
            Self::UpstreamReset => bad_gateway("The service closed the connection.", "reset"),
            Self::UpstreamTimeout => row(
                504,
                ("gateway-timeout", "Gateway Timeout"),
                "SERVICE_TIMEOUT",
                "The service did not answer in time.",
                Service,
                "timeout",
            ),
            Self::CheckUnavailable => {
                unavailable("An access check is temporarily unavailable.", 5, Edge, "check_unavailable")
            }
            Self::CircuitOpen { retry_after_s } => unavailable(
                "The service is recovering from failures.",
                retry_after_s,
                Service,
                "circuit_open",
            ),
            Self::ServiceFull => unavailable("The service is at capacity.", 2, Load, "service_full"),
            Self::Shed => unavailable("The edge is overloaded.", 2, Load, "shed"),
            Self::Overloaded => unavailable("The edge is at capacity.", 2, Edge, "overloaded"),
            Self::Draining => unavailable("The edge is restarting.", 2, Edge, "draining").closing(),
        }
    }
}

impl Denial {
    /// The `reason` label of `gateway_authz_denials_total`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Permission => "permission",
            Self::Role => "role",
            Self::Staff => "staff",
        }
    }
}

impl Sentence {
    const fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}

type Class = (&'static str, &'static str);

const BAD_REQUEST: Class = ("bad-request", "Bad Request");
const UNAUTHORIZED: Class = ("unauthorized", "Unauthorized");
const FORBIDDEN: Class = ("forbidden", "Forbidden");
const NOT_FOUND: Class = ("not-found", "Not Found");
const REQUEST_TIMEOUT: Class = ("request-timeout", "Request Timeout");

const fn row(
    status: u16,
    class: Class,
    code: &'static str,
    detail: &'static str,
    fault: Fault,
    label: &'static str,
) -> Sentence {
    Sentence {
        status,
        slug: class.0,
        title: class.1,
        code,
        detail,
        retry_after_s: None,
        fault,
        label,
        close: false,
    }
}

/// Whether there is such a venue is nobody's business who may not act for it.
const fn no_venue(label: &'static str) -> Sentence {
    row(404, NOT_FOUND, "NOT_FOUND", "Venue not found", Fault::Client, label)
}

const fn unavailable(
    detail: &'static str,
    retry_after_s: u16,
    fault: Fault,
    label: &'static str,
) -> Sentence {
    let class = ("service-unavailable", "Service Unavailable");
    let mut sentence = row(503, class, "SERVICE_UNAVAILABLE", detail, fault, label);
    sentence.retry_after_s = Some(retry_after_s);
    sentence
}

const fn bad_gateway(detail: &'static str, label: &'static str) -> Sentence {
    row(502, ("bad-gateway", "Bad Gateway"), "BAD_GATEWAY", detail, Fault::Service, label)
}
