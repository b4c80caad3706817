//! The numbers in the region and the words they stand for.

use super::*;
use crate::http::method::MethodSet;
use std::collections::HashSet;

fn every_rejection() -> Vec<Rejection> {
    let mut all = vec![
        Rejection::BadFraming("detail"),
        Rejection::InvalidPath,
        Rejection::TenantInPublicQuery,
        Rejection::CrossTenant,
        Rejection::NotFound,
        Rejection::VenueNotFound,
        Rejection::MethodNotAllowed(MethodSet::READ),
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
        Rejection::InvalidUuid,
        Rejection::VenueDenied,
        Rejection::InvalidTargetTenant,
        Rejection::InvalidApiKey,
        Rejection::CrossVenueKey,
        Rejection::CircuitOpen { retry_after_s: 1 },
        Rejection::ServiceFull,
        Rejection::Shed,
        Rejection::UpstreamInsecure,
    ];
    all.extend(DENIALS.map(Rejection::Forbidden));
    all.extend(TokenFault::ALL.map(Rejection::Unauthorized));
    all
}

#[test]
fn every_rejection_has_its_own_number_and_its_own_word() {
    let mut numbers = HashSet::new();
    let mut words = HashSet::new();
    for rejection in every_rejection() {
        let reason = Reason::of(rejection);
        assert_ne!(reason, Reason::NONE, "{rejection:?}");
        assert_eq!(reason.word(), rejection.sentence().label);
        assert_eq!(reason.fault(), Some(rejection.sentence().fault));
        assert!(numbers.insert(reason.number()), "{rejection:?} shares a number");
        assert!(words.insert(reason.word()), "{rejection:?} shares a word");
        assert_eq!(Reason::from_number(reason.number()), reason);
    }
}

#[test]
fn a_number_that_is_not_known_is_no_reason() {
    for number in [0, 47, 52, 63, 64 + TokenFault::ALL.len() as u16, u16::MAX] {
        assert_eq!(Reason::from_number(number), Reason::NONE);
        assert_eq!(Reason(number).word(), "");
    }
}

#[test]
fn words_and_numbers_of_a_call_agree() {
    assert_eq!(Downstream::word(Downstream::ConnectError.number()), Some("connect_error"));
    assert_eq!(Downstream::word(Downstream::Timeout.number()), Some("timeout"));
    assert_eq!(Downstream::word(Downstream::Reset.number()), Some("reset"));
    assert_eq!(Downstream::word(Downstream::Aborted.number()), Some("aborted"));
    assert_eq!(Downstream::word(Downstream::Status(u16::MAX).number()), None);
    assert_eq!(Downstream::word(200), None);
    assert_eq!(Downstream::word(u16::MAX), None);
}

#[test]
fn a_method_outside_the_table_is_counted_as_other() {
    assert_eq!(method_word(method_number(Some(Method::Delete))), "DELETE");
    assert_eq!(method_word(method_number(None)), "OTHER");
}
