//! How a handshake ended: one word for the counters, and words for the operator.

use rustls::{CertificateError, Error};

/// How a handshake ended. Its number is stored in the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Handshake {
    /// With the whole exchange of keys and certificates.
    Full,
    /// A session of before went on.
    Resumed,
    /// Nobody who is trusted has issued the certificate.
    UnknownIssuer,
    /// The certificate is not valid yet or not any more.
    Expired,
    /// The certificate is another host's.
    WrongName,
    /// Something else is wrong with the certificate.
    Certificate,
    /// The service broke it off and said why.
    Alert,
    /// There is no version, cipher or protocol that both sides accept.
    Incompatible,
    /// What the service sent is no TLS, or breaks its rules.
    Protocol,
    /// The service closed the connection.
    Closed,
    /// It took too long.
    Late,
}

impl Handshake {
    pub const WORDS: &'static [&'static str] = &[
        "full",
        "resumed",
        "unknown_issuer",
        "expired",
        "wrong_name",
        "certificate",
        "alert",
        "incompatible",
        "protocol",
        "closed",
        "late",
    ];

    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.get(self as usize).copied().unwrap_or_default()
    }
}

/// Why there is no connection, or not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    pub end: Handshake,
    /// For the log. Names of the peer's certificate may be part of it, nothing that is secret.
    pub reason: String,
}

/// Longer reasons are cut: a certificate may hold any number of names.
const REASON_CHARACTERS_MAX: usize = 300;

impl TlsFault {
    #[must_use]
    pub fn of(error: &Error) -> TlsFault {
        TlsFault { end: end_of(error), reason: printable(&error.to_string()) }
    }

    /// The peer went away in the middle of the handshake.
    #[must_use]
    pub fn closed() -> TlsFault {
        let reason = "the service closed the connection during the handshake";
        TlsFault { end: Handshake::Closed, reason: reason.to_owned() }
    }

    /// The peer takes its time.
    #[must_use]
    pub fn late() -> TlsFault {
        TlsFault { end: Handshake::Late, reason: "the handshake took too long".to_owned() }
    }

    /// The same fault of a service that had asked for a certificate, which may be why.
    #[must_use]
    pub fn after_request_for_certificate(self) -> TlsFault {
        let reason =
            format!("{}; the service asked for a client certificate, and the edge has none", self.reason);
        TlsFault { reason, ..self }
    }
}

fn end_of(error: &Error) -> Handshake {
    use CertificateError as C;
    match error {
        Error::InvalidCertificate(fault) => match fault {
            C::UnknownIssuer => Handshake::UnknownIssuer,
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
                Handshake::Expired
            }
            C::NotValidForName | C::NotValidForNameContext { .. } => Handshake::WrongName,
            _ => Handshake::Certificate,
        },
        Error::NoCertificatesPresented | Error::UnsupportedNameType => Handshake::Certificate,
        Error::AlertReceived(_) => Handshake::Alert,
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Handshake::Incompatible,
        _ => Handshake::Protocol,
    }
}

/// What a certificate says is nobody's we know: no control characters, and not for ever.
fn printable(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).take(REASON_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests;
