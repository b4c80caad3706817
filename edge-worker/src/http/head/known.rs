//! Header names the edge knows. A name is classified once, while its head is parsed; rules are then table
//! look-ups.

use memchr::memchr;

/// A known name, or the family of names it belongs to. Spellings differ in case only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KnownHeader {
    Unknown,
    // Framing and connection.
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    Te,
    Trailer,
    Upgrade,
    Expect,
    /// `proxy-*`
    Proxy,
    WwwAuthenticate,
    // Identity and tenant.
    /// `x-tenant-*`
    XTenant,
    /// `x-user-*` other than `x-user-id`
    XUser,
    XUserId,
    XVenueId,
    XVenueTier,
    XSessionId,
    XTargetTenantId,
    XAuthToken,
    XAdminToken,
    XPrivileged,
    // Internal credentials.
    /// `x-internal-*`
    XInternal,
    /// `x-service-*`
    XService,
    /// `x-gateway-*`
    XGateway,
    XCallingService,
    XMintAuthorization,
    XHealthApiKey,
    XSignature,
    XTimestamp,
    XNonce,
    // Proxy facts.
    Forwarded,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    XForwardedPort,
    /// `x-forwarded-*` other than the four above
    XForwarded,
    XRealIp,
    /// `x-original-*`
    XOriginal,
    XClientIp,
    TrueClientIp,
    CfConnectingIp,
    XRequestDeadline,
    XTimeoutRemaining,
    XHttpMethodOverride,
    XMethodOverride,
    XRewriteUrl,
    XApiKey,
    /// A framing, API key or tenant name written with `_` for `-`, which some services would read as that
    /// name.
    SpelledAlike,
    // Ids.
    XRequestId,
    XCorrelationId,
    // What services may see of a client.
    Accept,
    AcceptLanguage,
    AcceptEncoding,
    AcceptVersion,
    Authorization,
    ContentType,
    ContentEncoding,
    ContentLanguage,
    UserAgent,
    Referer,
    Origin,
    Cookie,
    Range,
    IfRange,
    IfMatch,
    IfNoneMatch,
    IfModifiedSince,
    IfUnmodifiedSince,
    CacheControl,
    Pragma,
    IdempotencyKey,
    XIdempotencyKey,
    XAccessToken,
    XWalletAddress,
    XWalletSignature,
    XConfirmAction,
    Traceparent,
    Tracestate,
    Baggage,
    B3,
    /// `x-b3-*`
    XB3,
    /// `x-custom-*`
    XCustom,
    /// Signature headers of the webhook rows.
    WebhookSignature,
    AccessControlRequestMethod,
    /// `access-control-*`
    AccessControl,
    // Of answers.
    Server,
    XPoweredBy,
    Date,
    RetryAfter,
    SetCookie,
    Location,
    /// Names that the edge sets on every answer, request and correlation id apart.
    EdgeSet,
}

impl KnownHeader {
    /// A set's bit for this name.
    #[must_use]
    #[inline]
    pub fn bit(self) -> u128 {
        1 << (self as u8)
    }

    /// Which name this token is. Case is ignored (RFC 9110 section 5.1).
    #[must_use]
    #[inline]
    pub fn classify(name: &[u8]) -> Self {
        match exact(name) {
            Some(known) => known,
            None => unlisted(name),
        }
    }

    /// What a name is, that becomes `self` when `_` is read as `-`. Never a name whose value the edge reads.
    fn spelled_alike(self) -> Self {
        use KnownHeader as K;
        match self {
            K::XTenant | K::XUser | K::XUserId | K::XVenueId | K::XVenueTier | K::XSessionId => self,
            K::XAuthToken | K::XAdminToken | K::XPrivileged => self,
            K::XInternal | K::XService | K::XGateway | K::XCallingService | K::XMintAuthorization => self,
            K::XHealthApiKey | K::XSignature | K::XTimestamp | K::XNonce => self,
            K::XForwardedFor | K::XForwardedProto | K::XForwardedHost | K::XForwardedPort => K::XForwarded,
            K::XForwarded | K::XRealIp | K::XOriginal | K::XClientIp | K::TrueClientIp => self,
            K::CfConnectingIp | K::XRequestDeadline | K::XTimeoutRemaining => self,
            K::XHttpMethodOverride | K::XMethodOverride | K::XRewriteUrl => self,
            K::Proxy | K::WwwAuthenticate => self,
            K::XTargetTenantId | K::XApiKey | K::ContentLength | K::TransferEncoding | K::KeepAlive => {
                K::SpelledAlike
            }
            _ => K::Unknown,
        }
    }
}

/// Names that are not listed singly: families, and spellings with `_`.
fn unlisted(name: &[u8]) -> KnownHeader {
    let family = family(name);
    if family != KnownHeader::Unknown || memchr(b'_', name).is_none() {
        return family;
    }
    let mut spelled = [0; NAME_BYTES_MAX];
    // Only the front of a longer name matters: no listed name is that long, a family is known by its prefix.
    let length = name.len().min(NAME_BYTES_MAX);
    for (to, from) in spelled.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    let spelled = spelled.get(..length).unwrap_or_default();
    exact(spelled).unwrap_or_else(|| self::family(spelled)).spelled_alike()
}

fn family(name: &[u8]) -> KnownHeader {
    if !matches!(name.first(), Some(b'x' | b'X' | b'p' | b'P' | b'a' | b'A')) {
        return KnownHeader::Unknown;
    }
    let starts_with = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    FAMILIES.iter().find(|(prefix, _)| starts_with(prefix)).map_or(KnownHeader::Unknown, |(_, known)| *known)
}

/// Names that are known by their prefix, in lower case.
pub const FAMILIES: &[(&str, KnownHeader)] = &[
    ("x-tenant-", KnownHeader::XTenant),
    ("x-user-", KnownHeader::XUser),
    ("x-internal-", KnownHeader::XInternal),
    ("x-service-", KnownHeader::XService),
    ("x-gateway-", KnownHeader::XGateway),
    ("x-forwarded-", KnownHeader::XForwarded),
    ("x-original-", KnownHeader::XOriginal),
    ("x-b3-", KnownHeader::XB3),
    ("x-custom-", KnownHeader::XCustom),
    ("proxy-", KnownHeader::Proxy),
    ("access-control-", KnownHeader::AccessControl),
];

#[inline]
fn exact(name: &[u8]) -> Option<KnownHeader> {
    let mut slot = slot_of(name);
    loop {
        let index = usize::from(SLOTS[slot]);
        let (listed, known) = NAMES.get(index)?;
        if is_alike(listed.as_bytes(), name) {
            return Some(*known);
        }
        slot = (slot + 1) % SLOTS_LENGTH;
    }
}

/// Whether a token is a listed name in any case. Setting one bit folds the case of several letters at once;
/// of the bytes a token can hold, only letters become another byte of a listed name by it.
#[inline]
fn is_alike(listed: &[u8], name: &[u8]) -> bool {
    if listed.len() != name.len() {
        return false;
    }
    if let (Some(listed_end), Some(name_end)) = (listed.last_chunk(), name.last_chunk()) {
        let (listed_words, name_words) = (listed.as_chunks().0, name.as_chunks().0);
        return is_alike_8(listed_end, name_end)
            && listed_words.iter().zip(name_words).all(|(listed, name)| is_alike_8(listed, name));
    }
    if let (Some(listed_end), Some(name_end)) = (listed.last_chunk(), name.last_chunk())
        && let (Some(listed_start), Some(name_start)) = (listed.first_chunk(), name.first_chunk())
    {
        return is_alike_4(listed_end, name_end) && is_alike_4(listed_start, name_start);
    }
    listed.iter().zip(name).all(|(listed, name)| *listed == name | 0x20)
}

#[inline]
fn is_alike_8(listed: &[u8; 8], name: &[u8; 8]) -> bool {
    u64::from_ne_bytes(*listed) == u64::from_ne_bytes(*name) | 0x2020_2020_2020_2020
}

#[inline]
fn is_alike_4(listed: &[u8; 4], name: &[u8; 4]) -> bool {
    u32::from_ne_bytes(*listed) == u32::from_ne_bytes(*name) | 0x2020_2020
}

/// Mixes length, first, middle and last byte; equal for names that differ in case only.
#[inline]
const fn slot_of(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let first = (name[0] | 0x20) as u32;
    let middle = (name[length / 2] | 0x20) as u32;
    let last = (name[length - 1] | 0x20) as u32;
    let mixed = first | middle << 8 | last << 16 | (length as u32) << 24;
    (mixed.wrapping_mul(0x9E37_79B1) >> 23) as usize % SLOTS_LENGTH
}

const SLOTS_LENGTH: usize = 512;
const EMPTY: u8 = u8::MAX;
/// Longer than every listed name and every family's prefix.
const NAME_BYTES_MAX: usize = 48;
/// Steps from a name's slot to its entry, at most.
const PROBES_MAX: usize = 4;

pub(super) static SLOTS: [u8; SLOTS_LENGTH] = fill();

pub(super) const fn fill() -> [u8; SLOTS_LENGTH] {
    let mut slots = [EMPTY; SLOTS_LENGTH];
    let mut index = 0;
    while index < NAMES.len() {
        assert!(index < EMPTY as usize && NAMES[index].0.len() < NAME_BYTES_MAX);
        let mut slot = slot_of(NAMES[index].0.as_bytes());
        let mut probes = 0;
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS_LENGTH;
            probes += 1;
            assert!(probes < PROBES_MAX, "choose another multiplier");
        }
        slots[slot] = index as u8;
        index += 1;
    }
    slots
}

/// Every name that is known singly, in lower case.
pub const NAMES: &[(&str, KnownHeader)] = {
    use KnownHeader as K;
    &[
        ("host", K::Host),
        ("content-length", K::ContentLength),
        ("transfer-encoding", K::TransferEncoding),
        ("connection", K::Connection),
        ("keep-alive", K::KeepAlive),
        ("te", K::Te),
        ("trailer", K::Trailer),
        ("upgrade", K::Upgrade),
        ("expect", K::Expect),
        ("www-authenticate", K::WwwAuthenticate),
        ("x-user-id", K::XUserId),
        ("x-venue-id", K::XVenueId),
        ("x-venue-tier", K::XVenueTier),
        ("x-session-id", K::XSessionId),
        ("x-target-tenant-id", K::XTargetTenantId),
        ("x-auth-token", K::XAuthToken),
        ("x-admin-token", K::XAdminToken),
        ("x-privileged", K::XPrivileged),
        ("x-calling-service", K::XCallingService),
        ("x-mint-authorization", K::XMintAuthorization),
        ("x-health-api-key", K::XHealthApiKey),
        ("x-signature", K::XSignature),
        ("x-timestamp", K::XTimestamp),
        ("x-nonce", K::XNonce),
        ("forwarded", K::Forwarded),
        ("x-forwarded-for", K::XForwardedFor),
        ("x-forwarded-proto", K::XForwardedProto),
        ("x-forwarded-host", K::XForwardedHost),
        ("x-forwarded-port", K::XForwardedPort),
        ("x-real-ip", K::XRealIp),
        ("x-client-ip", K::XClientIp),
        ("true-client-ip", K::TrueClientIp),
        ("cf-connecting-ip", K::CfConnectingIp),
        ("x-request-deadline", K::XRequestDeadline),
        ("x-timeout-remaining", K::XTimeoutRemaining),
        ("x-http-method-override", K::XHttpMethodOverride),
        ("x-method-override", K::XMethodOverride),
        ("x-rewrite-url", K::XRewriteUrl),
        ("x-api-key", K::XApiKey),
        ("x-request-id", K::XRequestId),
        ("x-correlation-id", K::XCorrelationId),
        ("accept", K::Accept),
        ("accept-language", K::AcceptLanguage),
        ("accept-encoding", K::AcceptEncoding),
        ("accept-version", K::AcceptVersion),
        ("authorization", K::Authorization),
        ("content-type", K::ContentType),
        ("content-encoding", K::ContentEncoding),
        ("content-language", K::ContentLanguage),
        ("user-agent", K::UserAgent),
        ("referer", K::Referer),
        ("origin", K::Origin),
        ("cookie", K::Cookie),
        ("range", K::Range),
        ("if-range", K::IfRange),
        ("if-match", K::IfMatch),
        ("if-none-match", K::IfNoneMatch),
        ("if-modified-since", K::IfModifiedSince),
        ("if-unmodified-since", K::IfUnmodifiedSince),
        ("cache-control", K::CacheControl),
        ("pragma", K::Pragma),
        ("idempotency-key", K::IdempotencyKey),
        ("x-idempotency-key", K::XIdempotencyKey),
        ("x-access-token", K::XAccessToken),
        ("x-wallet-address", K::XWalletAddress),
        ("x-wallet-signature", K::XWalletSignature),
        ("x-confirm-action", K::XConfirmAction),
        ("traceparent", K::Traceparent),
        ("tracestate", K::Tracestate),
        ("baggage", K::Baggage),
        ("b3", K::B3),
        ("stripe-signature", K::WebhookSignature),
        ("stripe-webhook-id", K::WebhookSignature),
        ("plaid-verification", K::WebhookSignature),
        ("x-square-hmacsha256-signature", K::WebhookSignature),
        ("x-square-signature", K::WebhookSignature),
        ("x-mailchimp-signature", K::WebhookSignature),
        ("intuit-signature", K::WebhookSignature),
        ("x-twilio-signature", K::WebhookSignature),
        ("x-twilio-email-event-webhook-signature", K::WebhookSignature),
        ("x-twilio-email-event-webhook-timestamp", K::WebhookSignature),
        ("x-mandrill-signature", K::WebhookSignature),
        ("x-webhook-signature", K::WebhookSignature),
        ("x-webhook-timestamp", K::WebhookSignature),
        ("x-webhook-nonce", K::WebhookSignature),
        ("x-webhook-id", K::WebhookSignature),
        ("access-control-request-method", K::AccessControlRequestMethod),
        ("server", K::Server),
        ("x-powered-by", K::XPoweredBy),
        ("date", K::Date),
        ("retry-after", K::RetryAfter),
        ("set-cookie", K::SetCookie),
        ("location", K::Location),
        ("x-api-version", K::EdgeSet),
        ("api-version", K::EdgeSet),
        ("x-response-time", K::EdgeSet),
        ("strict-transport-security", K::EdgeSet),
        ("x-frame-options", K::EdgeSet),
        ("x-content-type-options", K::EdgeSet),
        ("referrer-policy", K::EdgeSet),
        ("cross-origin-opener-policy", K::EdgeSet),
        ("cross-origin-resource-policy", K::EdgeSet),
        ("origin-agent-cluster", K::EdgeSet),
        ("x-dns-prefetch-control", K::EdgeSet),
        ("x-download-options", K::EdgeSet),
        ("x-permitted-cross-domain-policies", K::EdgeSet),
        ("content-security-policy", K::EdgeSet),
    ]
};

const _: () = assert!((KnownHeader::EdgeSet as u8) < 128, "sets of known headers are one u128");
