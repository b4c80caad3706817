//! THE table of security events: what each is called, how serious it is, and what it says.
//!
//! Every number here is stored in the region, which outlives a binary: members are appended, never
//! renumbered.

pub mod reference;

use crate::http::header_rules::StrippedHeader;
use crate::identity::fault::TokenFault;
use crate::pipeline::authorise::Bypass;
use crate::pipeline::rejection::Rejection;

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
    PathAttack,
    TenantMismatch,
    TenantlessToken,
    AuthorizationDenied,
    VenueAccessDenied,
    AdminVenueBypass,
    AdminOwnerBypass,
    CrossTenantOverride,
    SpoofedHeader,
    RevokedToken,
    UnknownKey,
    ForgedToken,
    RefreshRejected,
    InvalidApiKey,
    CrossVenueApiAttempt,
    RecordTenantMismatch,
    CacheValueForged,
    RevocationTableFull,
    RevocationOutboxFull,
    RevocationsUnpublished,
    OperatorRevocation,
    ControlSocketRefused,
    RevocationRefused,
    OperatorCircuit,
}

/// Whether an event is of interest even if nothing was refused: what an administrator's role alone opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Alert,
    /// A use of power that somebody may have to account for.
    Audit,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub event: SecurityEvent,
    /// `event` of metrics and log lines.
    pub word: &'static str,
    pub severity: Severity,
    pub purpose: Purpose,
    pub meaning: &'static str,
}

/// The table, in the order of the numbers.
pub const TABLE: [Row; SecurityEvent::COUNT] = {
    use Purpose::{Alert, Audit};
    use SecurityEvent as E;
    use Severity::{Critical, High, Low, Medium};
    [
        row(E::PathAttack, "path_attack", High, Alert, "A target that tries to leave its route"),
        row(
            E::TenantMismatch,
            "tenant_mismatch",
            Critical,
            Alert,
            "A query names a tenant that is not the token's",
        ),
        row(E::TenantlessToken, "tenantless_token", High, Alert, "A verified token without a tenant"),
        row(
            E::AuthorizationDenied,
            "authorization_denied",
            Medium,
            Alert,
            "An owner, permission, role or staff rule refused",
        ),
        row(E::VenueAccessDenied, "venue_access_denied", High, Alert, "A user may not act for the venue"),
        row(
            E::AdminVenueBypass,
            "admin_venue_bypass",
            Medium,
            Audit,
            "An administrator's role alone passed a venue or staff rule",
        ),
        row(
            E::AdminOwnerBypass,
            "admin_owner_bypass",
            Medium,
            Audit,
            "An administrator's role alone opened what belongs to another user",
        ),
        row(
            E::CrossTenantOverride,
            "cross_tenant_override",
            High,
            Audit,
            "A superadmin acted in another tenant (CROSS_TENANT_ADMIN)",
        ),
        row(
            E::SpoofedHeader,
            "spoofed_identity_header",
            Low,
            Alert,
            "A client sent a header of identity or of internal credentials; it was removed",
        ),
        row(E::RevokedToken, "revoked_token_used", High, Alert, "A token that was withdrawn"),
        row(
            E::UnknownKey,
            "unknown_key",
            Medium,
            Alert,
            "A token names a signing key that nobody here knows",
        ),
        row(
            E::ForgedToken,
            "forged_token",
            Medium,
            Alert,
            "A token's signature or algorithm is not a real one",
        ),
        row(
            E::RefreshRejected,
            "refresh_rejected",
            Low,
            Alert,
            "auth-service refused a refresh token with 401",
        ),
        row(E::InvalidApiKey, "invalid_api_key", Medium, Alert, "An API key that nobody here knows"),
        row(
            E::CrossVenueApiAttempt,
            "cross_venue_api_attempt",
            Critical,
            Alert,
            "An API key of one venue was used for another",
        ),
        row(
            E::RecordTenantMismatch,
            "record_tenant_mismatch",
            Critical,
            Alert,
            "auth-service keeps the token's user in another tenant",
        ),
        row(
            E::CacheValueForged,
            "cache_value_forged",
            Critical,
            Alert,
            "A cached value in Redis has a wrong MAC, or none; it was not used",
        ),
        row(
            E::RevocationTableFull,
            "revocation_table_full",
            Critical,
            Alert,
            "A revocation found no place: tokens that the mirror does not clear are refused with 503",
        ),
        row(
            E::RevocationOutboxFull,
            "revocation_outbox_full",
            Critical,
            Alert,
            "A revocation holds on this node alone: too many wait for Redis",
        ),
        row(
            E::RevocationsUnpublished,
            "revocations_unpublished",
            Critical,
            Alert,
            "A node stopped while `count` revocations waited for Redis: other nodes do not hear of them",
        ),
        row(
            E::OperatorRevocation,
            "operator_revocation",
            High,
            Audit,
            "An operator had the node revoke tokens (`floodgate revoke`)",
        ),
        row(
            E::ControlSocketRefused,
            "control_socket_refused",
            High,
            Audit,
            "Somebody who may not give orders connected to the control socket",
        ),
        row(
            E::RevocationRefused,
            "revocation_refused",
            Critical,
            Alert,
            "Redis is up and refuses a revocation: it holds on this node alone, and is tried again every 30 s",
        ),
        row(
            E::OperatorCircuit,
            "operator_circuit",
            Medium,
            Audit,
            "An operator held or reset the circuit of a service (`floodgate breaker`)",
        ),
    ]
};

const fn row(
    event: SecurityEvent,
    word: &'static str,
    severity: Severity,
    purpose: Purpose,
    meaning: &'static str,
) -> Row {
    Row { event, word, severity, purpose, meaning }
}

impl SecurityEvent {
    /// Members of the table.
    pub const COUNT: usize = SecurityEvent::OperatorCircuit as usize + 1;

    /// The words, in the order of the numbers.
    pub const WORDS: &'static [&'static str] = &{
        let mut words = [""; Self::COUNT];
        let mut index = 0;
        while index < words.len() {
            words[index] = TABLE[index].word;
            index += 1;
        }
        words
    };

    #[must_use]
    pub fn row(self) -> &'static Row {
        const ROWS: &[Row; SecurityEvent::COUNT] = &TABLE;
        &ROWS[self as usize]
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().word
    }

    #[must_use]
    pub fn severity(self) -> Severity {
        self.row().severity
    }

    /// The event that a refusal is, if it is one.
    #[must_use]
    pub fn of(rejection: Rejection) -> Option<Self> {
        match rejection {
            Rejection::InvalidPath => Some(Self::PathAttack),
            Rejection::CrossTenant => Some(Self::TenantMismatch),
            Rejection::Unauthorized(fault) => Self::of_token(fault),
            Rejection::Forbidden(_) => Some(Self::AuthorizationDenied),
            Rejection::VenueDenied => Some(Self::VenueAccessDenied),
            Rejection::InvalidApiKey => Some(Self::InvalidApiKey),
            Rejection::CrossVenueKey => Some(Self::CrossVenueApiAttempt),
            _ => None,
        }
    }

    /// A token that has expired, or of another installation, is everyday life.
    fn of_token(fault: TokenFault) -> Option<Self> {
        match fault {
            TokenFault::MissingTenant => Some(Self::TenantlessToken),
            TokenFault::Revoked => Some(Self::RevokedToken),
            TokenFault::UnknownKid => Some(Self::UnknownKey),
            TokenFault::BadSignature | TokenFault::AlgNotAllowed => Some(Self::ForgedToken),
            _ => None,
        }
    }

    /// The audit of a check that an administrator passed by role alone.
    #[must_use]
    pub fn of_bypass(bypass: Bypass) -> Self {
        match bypass {
            Bypass::Owner => Self::AdminOwnerBypass,
            Bypass::Staff | Bypass::Venue => Self::AdminVenueBypass,
            Bypass::Tenant => Self::CrossTenantOverride,
        }
    }

    /// What a header that only the edge may set says of its sender. Proxies and tools send the others.
    #[must_use]
    pub fn of_stripped(header: StrippedHeader) -> Option<Self> {
        use StrippedHeader as S;
        match header {
            S::XTenant | S::XUser | S::XVenueId | S::XVenueTier | S::XSessionId | S::XTargetTenantId => {
                Some(Self::SpoofedHeader)
            }
            S::XAuthToken | S::XAdminToken | S::XPrivileged | S::XInternal | S::XService | S::XGateway => {
                Some(Self::SpoofedHeader)
            }
            S::XCallingService | S::XMintAuthorization | S::XHealthApiKey | S::Other => {
                Some(Self::SpoofedHeader)
            }
            _ => None,
        }
    }
}

/// The events of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet(u32);

const _: () = assert!(SecurityEvent::COUNT <= u32::BITS as usize, "a set is one word");

impl EventSet {
    pub const NONE: EventSet = EventSet(0);

    pub fn insert(&mut self, event: SecurityEvent) {
        self.0 |= 1 << event as u8;
    }

    #[must_use]
    pub fn contains(self, event: SecurityEvent) -> bool {
        self.0 & 1 << event as u8 != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// In the order of the table.
    pub fn iter(self) -> impl Iterator<Item = SecurityEvent> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let row = TABLE.get(rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(row.event)
        })
    }

    /// The most serious one; of equals the first of the table.
    #[must_use]
    pub fn gravest(self) -> Option<SecurityEvent> {
        self.iter()
            .reduce(|gravest, event| if event.severity() > gravest.severity() { event } else { gravest })
    }

    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// From a record; events that this binary does not know are left out.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        EventSet(number & ((1 << SecurityEvent::COUNT) - 1))
    }
}

impl From<SecurityEvent> for EventSet {
    fn from(event: SecurityEvent) -> Self {
        let mut set = EventSet::NONE;
        set.insert(event);
        set
    }
}

/// `row` finds an event by its number.
const _: () = {
    let mut index = 0;
    while index < TABLE.len() {
        assert!(TABLE[index].event as usize == index, "the table stands in the order of the numbers");
        index += 1;
    }
};

#[cfg(test)]
mod tests;
