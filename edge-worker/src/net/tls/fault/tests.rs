//! Faults by class, and what of them may be printed.

use super::*;
use rustls::{AlertDescription, InvalidMessage, PeerIncompatible};

#[test]
fn faults_are_told_apart_by_what_an_operator_would_do() {
    let cases = [
        (Error::InvalidCertificate(CertificateError::UnknownIssuer), "unknown_issuer"),
        (Error::InvalidCertificate(CertificateError::Expired), "expired"),
        (Error::InvalidCertificate(CertificateError::NotValidYet), "expired"),
        (Error::InvalidCertificate(CertificateError::NotValidForName), "wrong_name"),
        (Error::InvalidCertificate(CertificateError::BadEncoding), "certificate"),
        (Error::InvalidCertificate(CertificateError::Revoked), "certificate"),
        (Error::NoCertificatesPresented, "certificate"),
        (Error::AlertReceived(AlertDescription::CertificateRequired), "alert"),
        (Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered), "incompatible"),
        (Error::InvalidMessage(InvalidMessage::InvalidContentType), "protocol"),
        (Error::DecryptError, "protocol"),
    ];
    for (error, word) in cases {
        let fault = TlsFault::of(&error);
        assert_eq!(fault.end.word(), word, "{error}");
        assert_eq!(fault.reason, error.to_string().escape_debug().to_string());
    }
}

#[test]
fn a_reason_is_one_short_line() {
    let hostile = "a\nb\u{1b}[31m\u{202e}".repeat(200);
    let fault = TlsFault::of(&Error::General(hostile));
    assert!(fault.reason.chars().count() <= REASON_CHARACTERS_MAX);
    assert!(!fault.reason.chars().any(char::is_control), "{}", fault.reason);
    let asked = fault.after_request_for_certificate();
    assert!(asked.reason.ends_with("the service asked for a client certificate, and the edge has none"));
    assert_eq!(asked.end, Handshake::Protocol);
}

#[test]
fn every_end_has_a_word_of_its_own() {
    assert_eq!(Handshake::Late as usize + 1, Handshake::WORDS.len());
    assert_eq!(
        (Handshake::Full.word(), Handshake::Closed.word(), Handshake::Late.word()),
        ("full", "closed", "late")
    );
}
