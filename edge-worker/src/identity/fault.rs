//! Why a token is refused: the reason words of the platform's 401 answers, in the order they are checked.

/// One reason. The word is public (`reason`, `WWW-Authenticate`), the metric label and the log field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenFault {
    MissingToken,
    Malformed,
    AlgNotAllowed,
    UnknownKid,
    BadSignature,
    Expired,
    NotYetValid,
    WrongIssuer,
    WrongAudience,
    WrongType,
    MissingSubject,
    MissingTenant,
    MissingJti,
    Revoked,
    UserNotFound,
    UserInactive,
}

impl TokenFault {
    pub const ALL: [TokenFault; 16] = [
        Self::MissingToken,
        Self::Malformed,
        Self::AlgNotAllowed,
        Self::UnknownKid,
        Self::BadSignature,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongType,
        Self::MissingSubject,
        Self::MissingTenant,
        Self::MissingJti,
        Self::Revoked,
        Self::UserNotFound,
        Self::UserInactive,
    ];

    /// The reason word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.words().0
    }

    /// A sentence for the client that says what to do.
    #[must_use]
    pub fn detail(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingToken => {
                ("missing_token", "Send an access token in the Authorization header: Bearer <token>.")
            }
            Self::Malformed => {
                ("malformed", "The Authorization header does not hold a well-formed access token.")
            }
            Self::AlgNotAllowed => {
                ("alg_not_allowed", "The token is signed with an algorithm that is not accepted.")
            }
            Self::UnknownKid => ("unknown_kid", "The token names a signing key that is not known."),
            Self::BadSignature => ("bad_signature", "The token's signature is not valid."),
            Self::Expired => ("expired", "The token has expired; refresh it."),
            Self::NotYetValid => {
                ("not_yet_valid", "The token is not valid yet; check the clock of its issuer.")
            }
            Self::WrongIssuer => ("wrong_issuer", "The token was issued by an issuer that is not accepted."),
            Self::WrongAudience => ("wrong_audience", "The token was issued for another audience."),
            Self::WrongType => ("wrong_type", "The token is not an access token."),
            Self::MissingSubject => ("missing_subject", "The token names no valid subject."),
            Self::MissingTenant => ("missing_tenant", "The token names no valid tenant."),
            Self::MissingJti => ("missing_jti", "The token has no id."),
            Self::Revoked => ("revoked", "The token was revoked; sign in again."),
            Self::UserNotFound => ("user_not_found", "The token's user does not exist; sign in again."),
            Self::UserInactive => ("user_inactive", "The token's user is suspended, banned or deleted."),
        }
    }
}

#[cfg(test)]
mod tests;
