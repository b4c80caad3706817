//! Target tenant: the tenant that a superadmin chose to act in, where CROSS_TENANT_ADMIN allows it.
//!
//! The header of anybody else is stripped like every other and has no effect.

use super::authenticate::Principal;
use super::rejection::Rejection;
use crate::config::tokens::TenantFormat;
use crate::identity::roles::Role;
use crate::identity::verifier::tenant;

/// A tenant that is not the token's. Only this file makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTenant(String);

/// Whether the role is as good as it has to be to leave the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a fresh record of the user's, or, with AUTH_USER_CHECK off, by the only word there is.
    Complete,
    /// So far the token alone says so, or a record from before auth-service went silent.
    Unproven,
}

impl TargetTenant {
    /// UUIDs in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the principal may leave its tenant at all.
#[must_use]
pub fn may_choose(principal: &Principal) -> bool {
    principal.role() == Role::Superadmin
}

/// What the values of `X-Target-Tenant-Id` choose; `None` is the token's own tenant.
///
/// # Errors
/// 400 if a superadmin sent no tenant id or several; 503 while nobody can prove that it still is one, because a request
/// that is meant for another tenant must not be carried out in this one.
pub fn choose<'h>(
    mut sent: impl Iterator<Item = &'h [u8]>,
    principal: &Principal,
    proof: Proof,
    format: TenantFormat,
) -> Result<Option<TargetTenant>, Rejection> {
    let Some(first) = sent.next() else { return Ok(None) };
    if !may_choose(principal) {
        return Ok(None);
    }
    if proof == Proof::Unproven {
        return Err(Rejection::CheckUnavailable);
    }
    let only = if sent.next().is_none() { str::from_utf8(first).ok() } else { None };
    let chosen = only.and_then(|text| tenant(format, text)).ok_or(Rejection::InvalidTargetTenant)?;
    Ok((!principal.is_of_tenant(chosen.as_bytes())).then_some(TargetTenant(chosen)))
}

#[cfg(test)]
mod tests;
