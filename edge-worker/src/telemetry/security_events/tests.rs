//! Which refusal and which header is which event, and how serious.

use super::*;
use crate::http::method::MethodSet;
use crate::pipeline::rejection::Denial;
use std::collections::HashSet;

#[test]
fn every_event_has_its_own_word_and_number() {
    let words: HashSet<&str> = SecurityEvent::WORDS.iter().copied().collect();
    assert_eq!(words.len(), SecurityEvent::COUNT);
    for row in &TABLE {
        assert_eq!(row.event.word(), SecurityEvent::WORDS[row.event as usize]);
        assert!(row.word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", row.word);
    }
}

#[test]
fn refusals_are_the_events_of_the_platform_contract_with_its_severities() {
    use Severity::{Critical, High, Medium};
    let token = |fault| Rejection::Unauthorized(fault);
    for (rejection, word, severity) in [
        (Rejection::InvalidPath, "path_attack", High),
        (Rejection::CrossTenant, "tenant_mismatch", Critical),
        (token(TokenFault::MissingTenant), "tenantless_token", High),
        (token(TokenFault::Revoked), "revoked_token_used", High),
        (token(TokenFault::UnknownKid), "unknown_key", Medium),
        (token(TokenFault::BadSignature), "forged_token", Medium),
        (token(TokenFault::AlgNotAllowed), "forged_token", Medium),
        (Rejection::Forbidden(Denial::Owner), "authorization_denied", Medium),
        (Rejection::Forbidden(Denial::Permission), "authorization_denied", Medium),
        (Rejection::Forbidden(Denial::Role), "authorization_denied", Medium),
        (Rejection::Forbidden(Denial::Staff), "authorization_denied", Medium),
        (Rejection::InvalidApiKey, "invalid_api_key", Medium),
        (Rejection::CrossVenueKey, "cross_venue_api_attempt", Critical),
    ] {
        let event = SecurityEvent::of(rejection).unwrap_or_else(|| panic!("{rejection:?} is an event"));
        assert_eq!((event.word(), event.severity()), (word, severity), "{rejection:?}");
    }
}

#[test]
fn everyday_refusals_and_outages_are_no_events() {
    let faults = [
        TokenFault::MissingToken,
        TokenFault::Malformed,
        TokenFault::Expired,
        TokenFault::NotYetValid,
        TokenFault::WrongIssuer,
        TokenFault::WrongAudience,
        TokenFault::WrongType,
        TokenFault::MissingSubject,
        TokenFault::MissingJti,
        TokenFault::UserNotFound,
        TokenFault::UserInactive,
    ];
    let others = [
        Rejection::BadFraming(""),
        Rejection::InvalidUuid,
        Rejection::TenantInPublicQuery,
        Rejection::NotFound,
        Rejection::VenueNotFound,
        Rejection::MethodNotAllowed(MethodSet::NONE),
        Rejection::HeadTimeout,
        Rejection::BodyTimeout,
        Rejection::BodyTooLarge,
        Rejection::TargetTooLong,
        Rejection::HeadTooLarge,
        Rejection::UpgradeNotImplemented,
        Rejection::Internal,
        Rejection::UpstreamRefused,
        Rejection::UpstreamUnresolved,
        Rejection::UpstreamGarbage,
        Rejection::UpstreamReset,
        Rejection::UpstreamTimeout,
        Rejection::CheckUnavailable,
        Rejection::Overloaded,
        Rejection::Draining,
    ];
    for rejection in others.into_iter().chain(faults.map(Rejection::Unauthorized)) {
        assert_eq!(SecurityEvent::of(rejection), None, "{rejection:?}");
    }
    let token_events = TokenFault::ALL.iter().filter(|fault| !faults.contains(*fault)).count();
    assert_eq!(token_events, 5, "every other fault of a token is an event");
}

#[test]
fn a_header_of_identity_is_an_event_and_one_of_a_proxy_is_not() {
    for header in StrippedHeader::ALL {
        let event = SecurityEvent::of_stripped(header);
        assert!(event.is_none_or(|event| event.severity() == Severity::Low), "{header:?}");
        assert!(event.is_none() || !header.is_proxy_fact(), "{header:?}");
    }
    assert_eq!(SecurityEvent::of_stripped(StrippedHeader::XTenant), Some(SecurityEvent::SpoofedHeader));
    assert_eq!(SecurityEvent::of_stripped(StrippedHeader::XInternal), Some(SecurityEvent::SpoofedHeader));
    assert_eq!(SecurityEvent::of_stripped(StrippedHeader::XForwarded), None);
    assert_eq!(SecurityEvent::of_stripped(StrippedHeader::XApiKey), None);
}

#[test]
fn a_bypass_is_an_audit() {
    for bypass in [Bypass::Owner, Bypass::Staff, Bypass::Venue] {
        let event = SecurityEvent::of_bypass(bypass);
        assert_eq!((event.row().purpose, event.severity()), (Purpose::Audit, Severity::Medium), "{bypass:?}");
    }
}

#[test]
fn a_set_keeps_every_event_and_knows_the_gravest() {
    let mut set = EventSet::NONE;
    assert!(set.is_empty() && set.gravest().is_none());
    let inserted = [SecurityEvent::SpoofedHeader, SecurityEvent::AdminVenueBypass, SecurityEvent::PathAttack];
    for event in inserted {
        set.insert(event);
    }
    assert_eq!(set.iter().count(), inserted.len());
    assert!(inserted.into_iter().all(|event| set.contains(event)));
    assert_eq!(set.gravest(), Some(SecurityEvent::PathAttack));
    assert_eq!(EventSet::from_number(set.number()), set);
    assert_eq!(EventSet::from_number(u32::MAX).iter().count(), SecurityEvent::COUNT);
}
