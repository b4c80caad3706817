//! Which header fields cross the edge, in each direction. One row a known name; whatever is unknown does not
//! reach a service, and whatever is not listed reaches the client.

use super::head::{Field, Fields, KnownHeader, known};

/// What happens to a client's field on its way to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRule {
    /// Forwarded byte-exact.
    Pass,
    /// Forwarded on webhook rows, dropped on others.
    PassOnWebhooks,
    /// Forwarded once it was validated, to the services that take keys.
    PassValidated,
    /// Removed and counted: a client has no business sending it.
    Strip(StrippedHeader),
    /// Removed: ordinary, but the edge's own affair or unknown to the platform.
    Drop,
}

/// What happens to a service's field on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseRule {
    Pass,
    Drop,
}

/// Signature headers pass only where the row says so, an API key only where it was validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    Ordinary,
    Webhook,
    /// The request has a valid API key, and the service takes keys.
    Keyed,
}

/// The `header` label of `dangerous_headers_stripped_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StrippedHeader {
    XTenant,
    XUser,
    XVenueId,
    XVenueTier,
    XSessionId,
    XTargetTenantId,
    XAuthToken,
    XAdminToken,
    XPrivileged,
    XInternal,
    XService,
    XGateway,
    XCallingService,
    XMintAuthorization,
    XHealthApiKey,
    XSignature,
    XTimestamp,
    XNonce,
    Forwarded,
    XForwarded,
    XRealIp,
    XOriginal,
    XClientIp,
    TrueClientIp,
    CfConnectingIp,
    XRequestDeadline,
    XTimeoutRemaining,
    XHttpMethodOverride,
    XMethodOverride,
    XRewriteUrl,
    Proxy,
    WwwAuthenticate,
    XApiKey,
    /// Named by `Connection`, or a protected name spelled with `_`.
    Other,
}

impl StrippedHeader {
    pub const ALL: [StrippedHeader; 34] = {
        use StrippedHeader as S;
        [
            S::XTenant,
            S::XUser,
            S::XVenueId,
            S::XVenueTier,
            S::XSessionId,
            S::XTargetTenantId,
            S::XAuthToken,
            S::XAdminToken,
            S::XPrivileged,
            S::XInternal,
            S::XService,
            S::XGateway,
            S::XCallingService,
            S::XMintAuthorization,
            S::XHealthApiKey,
            S::XSignature,
            S::XTimestamp,
            S::XNonce,
            S::Forwarded,
            S::XForwarded,
            S::XRealIp,
            S::XOriginal,
            S::XClientIp,
            S::TrueClientIp,
            S::CfConnectingIp,
            S::XRequestDeadline,
            S::XTimeoutRemaining,
            S::XHttpMethodOverride,
            S::XMethodOverride,
            S::XRewriteUrl,
            S::Proxy,
            S::WwwAuthenticate,
            S::XApiKey,
            S::Other,
        ]
    };

    /// The label's text.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::XTenant => "x-tenant-*",
            Self::XUser => "x-user-*",
            Self::XVenueId => "x-venue-id",
            Self::XVenueTier => "x-venue-tier",
            Self::XSessionId => "x-session-id",
            Self::XTargetTenantId => "x-target-tenant-id",
            Self::XAuthToken => "x-auth-token",
            Self::XAdminToken => "x-admin-token",
            Self::XPrivileged => "x-privileged",
            Self::XInternal => "x-internal-*",
            Self::XService => "x-service-*",
            Self::XGateway => "x-gateway-*",
            Self::XCallingService => "x-calling-service",
            Self::XMintAuthorization => "x-mint-authorization",
            Self::XHealthApiKey => "x-health-api-key",
            Self::XSignature => "x-signature",
            Self::XTimestamp => "x-timestamp",
            Self::XNonce => "x-nonce",
            Self::Forwarded => "forwarded",
            Self::XForwarded => "x-forwarded-*",
            Self::XRealIp => "x-real-ip",
            Self::XOriginal => "x-original-*",
            Self::XClientIp => "x-client-ip",
            Self::TrueClientIp => "true-client-ip",
            Self::CfConnectingIp => "cf-connecting-ip",
            Self::XRequestDeadline => "x-request-deadline",
            Self::XTimeoutRemaining => "x-timeout-remaining",
            Self::XHttpMethodOverride => "x-http-method-override",
            Self::XMethodOverride => "x-method-override",
            Self::XRewriteUrl => "x-rewrite-url",
            Self::Proxy => "proxy-*",
            Self::WwwAuthenticate => "www-authenticate",
            Self::XApiKey => "x-api-key",
            Self::Other => "other",
        }
    }

    /// What every reverse proxy in front of the edge adds: from a trusted one it is no attack.
    #[must_use]
    pub fn is_proxy_fact(self) -> bool {
        matches!(
            self,
            Self::Forwarded
                | Self::XForwarded
                | Self::XRealIp
                | Self::XOriginal
                | Self::XClientIp
                | Self::TrueClientIp
                | Self::CfConnectingIp
        )
    }
}

/// The kinds of stripped headers of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrippedSet(u64);

impl StrippedSet {
    pub fn insert(&mut self, header: StrippedHeader) {
        self.0 |= 1 << (header as u8);
    }

    #[must_use]
    pub fn contains(self, header: StrippedHeader) -> bool {
        self.0 & (1 << (header as u8)) != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = StrippedHeader> {
        StrippedHeader::ALL.into_iter().filter(move |header| self.contains(*header))
    }
}

/// What a request's head has that is stripped and counted.
#[must_use]
pub fn stripped(fields: &Fields, bytes: &[u8]) -> StrippedSet {
    let mut set = StrippedSet::default();
    if fields.present() & STRIPPED_BITS == 0 && !fields.nominates() {
        return set;
    }
    for header in stripped_fields(fields, bytes) {
        set.insert(header);
    }
    set
}

/// The family of every such field, each as often as it comes.
pub fn stripped_fields<'f>(fields: &'f Fields, bytes: &'f [u8]) -> impl Iterator<Item = StrippedHeader> {
    fields.list().iter().filter_map(|field| match request_rule(field.known) {
        RequestRule::Strip(header) => Some(header),
        RequestRule::Pass if fields.nominated(bytes, field.name_span.bytes(bytes)) => {
            Some(StrippedHeader::Other)
        }
        _ => None,
    })
}

/// Whether a client's field is forwarded.
#[must_use]
#[inline]
pub fn passes_to_service(field: &Field, fields: &Fields, bytes: &[u8], row: RowKind) -> bool {
    let listed = match request_rule(field.known) {
        RequestRule::Pass => true,
        RequestRule::PassOnWebhooks => row == RowKind::Webhook,
        RequestRule::PassValidated => row == RowKind::Keyed,
        RequestRule::Strip(_) | RequestRule::Drop => false,
    };
    listed && !fields.nominated(bytes, field.name_span.bytes(bytes))
}

/// Whether a service's field is passed on.
#[must_use]
#[inline]
pub fn passes_to_client(field: &Field, fields: &Fields, bytes: &[u8]) -> bool {
    response_rule(field.known) == ResponseRule::Pass && !fields.nominated(bytes, field.name_span.bytes(bytes))
}

/// The request table.
#[must_use]
#[inline]
pub const fn request_rule(known: KnownHeader) -> RequestRule {
    use KnownHeader as K;
    use RequestRule::{Drop, Pass, PassOnWebhooks, PassValidated, Strip};
    use StrippedHeader as S;
    match known {
        K::XTenant => Strip(S::XTenant),
        K::XUser | K::XUserId => Strip(S::XUser),
        K::XVenueId => Strip(S::XVenueId),
        K::XVenueTier => Strip(S::XVenueTier),
        K::XSessionId => Strip(S::XSessionId),
        K::XTargetTenantId => Strip(S::XTargetTenantId),
        K::XAuthToken => Strip(S::XAuthToken),
        K::XAdminToken => Strip(S::XAdminToken),
        K::XPrivileged => Strip(S::XPrivileged),
        K::XInternal => Strip(S::XInternal),
        K::XService => Strip(S::XService),
        K::XGateway => Strip(S::XGateway),
        K::XCallingService => Strip(S::XCallingService),
        K::XMintAuthorization => Strip(S::XMintAuthorization),
        K::XHealthApiKey => Strip(S::XHealthApiKey),
        K::XSignature => Strip(S::XSignature),
        K::XTimestamp => Strip(S::XTimestamp),
        K::XNonce => Strip(S::XNonce),
        K::Forwarded => Strip(S::Forwarded),
        K::XForwardedFor | K::XForwardedProto | K::XForwardedHost | K::XForwardedPort | K::XForwarded => {
            Strip(S::XForwarded)
        }
        K::XRealIp => Strip(S::XRealIp),
        K::XOriginal => Strip(S::XOriginal),
        K::XClientIp => Strip(S::XClientIp),
        K::TrueClientIp => Strip(S::TrueClientIp),
        K::CfConnectingIp => Strip(S::CfConnectingIp),
        K::XRequestDeadline => Strip(S::XRequestDeadline),
        K::XTimeoutRemaining => Strip(S::XTimeoutRemaining),
        K::XHttpMethodOverride => Strip(S::XHttpMethodOverride),
        K::XMethodOverride => Strip(S::XMethodOverride),
        K::XRewriteUrl => Strip(S::XRewriteUrl),
        K::Proxy => Strip(S::Proxy),
        K::WwwAuthenticate => Strip(S::WwwAuthenticate),
        K::XApiKey => PassValidated,
        K::SpelledAlike => Strip(S::Other),
        // Connection and framing fields come with every request: removed and written anew, but no attack.
        K::Host | K::ContentLength | K::TransferEncoding | K::Connection | K::KeepAlive => Drop,
        K::Te | K::Trailer | K::Upgrade | K::Expect => Drop,
        K::XRequestId | K::XCorrelationId => Drop,
        K::Accept | K::AcceptLanguage | K::AcceptEncoding | K::AcceptVersion | K::Authorization => Pass,
        K::ContentType | K::ContentEncoding | K::ContentLanguage | K::UserAgent | K::Referer => Pass,
        K::Origin | K::Cookie | K::Range | K::IfRange | K::IfMatch | K::IfNoneMatch => Pass,
        K::IfModifiedSince | K::IfUnmodifiedSince | K::CacheControl | K::Pragma => Pass,
        K::IdempotencyKey | K::XIdempotencyKey | K::XAccessToken | K::XWalletAddress => Pass,
        K::XWalletSignature | K::XConfirmAction | K::Traceparent | K::Tracestate | K::Baggage => Pass,
        K::B3 | K::XB3 | K::XCustom => Pass,
        K::WebhookSignature => PassOnWebhooks,
        K::AccessControlRequestMethod | K::AccessControl => Drop,
        K::Server | K::XPoweredBy | K::Date | K::RetryAfter | K::SetCookie | K::Location => Drop,
        K::EdgeSet | K::Unknown => Drop,
    }
}

/// The response table. `WWW-Authenticate` is not hop-by-hop in an answer (RFC 9110 section 11.6.1) and
/// passes.
#[must_use]
#[inline]
pub const fn response_rule(known: KnownHeader) -> ResponseRule {
    use KnownHeader as K;
    match known {
        K::XInternal | K::XService | K::XGateway | K::XTenant | K::XUserId | K::XVenueId | K::XOriginal => {
            ResponseRule::Drop
        }
        K::Server | K::XPoweredBy => ResponseRule::Drop,
        K::Host | K::ContentLength | K::TransferEncoding | K::Connection | K::KeepAlive | K::Te => {
            ResponseRule::Drop
        }
        K::Trailer | K::Upgrade | K::Expect | K::Proxy | K::SpelledAlike => ResponseRule::Drop,
        K::AccessControlRequestMethod | K::AccessControl => ResponseRule::Drop,
        K::XRequestId | K::XCorrelationId | K::EdgeSet => ResponseRule::Drop,
        _ => ResponseRule::Pass,
    }
}

/// Bits of the known names that are stripped and counted.
const STRIPPED_BITS: u128 = {
    let mut bits = stripped_bit(KnownHeader::SpelledAlike);
    let mut index = 0;
    while index < known::NAMES.len() {
        bits |= stripped_bit(known::NAMES[index].1);
        index += 1;
    }
    index = 0;
    while index < known::FAMILIES.len() {
        bits |= stripped_bit(known::FAMILIES[index].1);
        index += 1;
    }
    bits
};

const fn stripped_bit(known: KnownHeader) -> u128 {
    match request_rule(known) {
        RequestRule::Strip(_) => 1 << (known as u8),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
