//! Marks: the digests by which the region knows a token and its bearer.
//!
//! A keep-alive client brings the same token with every request. Its digests are made once and kept with the
//! connection; what the region says of them is looked up for every request all the same.

use super::authenticate::{Authorization, Principal, TokenDigest};
use crate::config::secret::Secret;
use crate::identity::digests::Digests;
use std::cell::RefCell;
use std::rc::Rc;

/// Of one token and its bearer.
#[derive(Debug)]
pub struct Marks {
    /// Under which the token cache holds it.
    pub cached: TokenDigest,
    pub user: [u8; 32],
    pub tenant: [u8; 32],
    pub jti: Option<[u8; 32]>,
    /// Of the whole token, where it has no id.
    whole: [u8; 32],
}

impl Marks {
    /// `cached` is the token's digest in the cache; `whole_token` gives the hexadecimal SHA-256 of a token without id.
    pub fn of(
        digests: &Digests,
        cached: TokenDigest,
        principal: &Principal,
        whole_token: impl FnOnce() -> String,
    ) -> Marks {
        let jti = principal.jti().map(|jti| digests.token_id(jti));
        let whole = if jti.is_some() { [0; 32] } else { digests.whole_token(&whole_token()) };
        let user = digests.user(principal.tenant(), principal.subject());
        Marks { cached, user, tenant: digests.tenant(principal.tenant()), jti, whole }
    }

    /// By which the token is revoked: its id, or the whole of it.
    #[must_use]
    pub fn token(&self) -> &[u8; 32] {
        self.jti.as_ref().unwrap_or(&self.whole)
    }
}

/// A longer header is not kept: an idle connection must cost little.
const KEPT_BYTES_MAX: usize = 2_048;

/// The marks of the last token that a connection brought and that was proven.
#[derive(Debug, Default)]
pub struct LastToken(RefCell<Option<Brought>>);

#[derive(Debug)]
struct Brought {
    authorization: Secret<Box<[u8]>>,
    marks: Rc<Marks>,
}

impl LastToken {
    /// The marks, if `authorization` is the very header that they were made of.
    #[must_use]
    pub fn recall(&self, authorization: Authorization<'_>) -> Option<Rc<Marks>> {
        let Authorization::One(authorization) = authorization else { return None };
        let last = self.0.borrow();
        let last = last.as_ref()?;
        (**last.authorization.expose() == *authorization).then(|| Rc::clone(&last.marks))
    }

    /// Keeps them in place of the last ones.
    pub fn keep(&self, authorization: Authorization<'_>, marks: &Rc<Marks>) {
        let Authorization::One(authorization) = authorization else { return };
        if authorization.len() > KEPT_BYTES_MAX {
            return;
        }
        let authorization = Secret::new(authorization.into());
        *self.0.borrow_mut() = Some(Brought { authorization, marks: Rc::clone(marks) });
    }
}

#[cfg(test)]
mod tests;
