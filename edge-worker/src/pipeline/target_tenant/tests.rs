//! Who may leave the tenant, and what everybody else's header does.

use super::*;
use crate::identity::forge::{NOW, TENANT, claims, settings, token, token_cache, verifier};
use crate::pipeline::authenticate::{Authorization, authenticate, digest};
use serde_json::json;

const OTHER: &str = "4F2B8C1E-9a4d-4c5b-8e7f-0123456789ab";

fn principal(role: &str) -> Principal {
    let value = format!("Bearer {}", token(&claims(json!({"role": role}))));
    let header = Authorization::One(value.as_bytes());
    let verifier = verifier(&settings());
    let digest = digest(header, &verifier).expect("a bearer token");
    authenticate((header, digest), &verifier, token_cache(), NOW).expect("a good token").0
}

fn chosen(
    role: &str,
    sent: &[&str],
    proof: Proof,
    format: TenantFormat,
) -> Result<Option<String>, Rejection> {
    let sent = sent.iter().map(|value| value.as_bytes());
    choose(sent, &principal(role), proof, format)
        .map(|target| target.map(|target| target.as_str().to_owned()))
}

#[test]
fn a_superadmin_chooses_a_tenant() {
    let by = |sent: &[&str]| chosen("superadmin", sent, Proof::Complete, TenantFormat::Uuid);
    assert_eq!(by(&[OTHER]), Ok(Some(OTHER.to_ascii_lowercase())));
    assert_eq!(by(&[]), Ok(None));
    assert_eq!(by(&[TENANT]), Ok(None), "it is the token's own");
    assert_eq!(by(&[&TENANT.to_uppercase()]), Ok(None));
}

#[test]
fn what_is_no_tenant_id_is_refused() {
    for sent in [&["acme"] as &[&str], &[""], &["a b"], &[OTHER, OTHER], &[TENANT, OTHER], &["\u{e4}"]] {
        let refused = chosen("superadmin", sent, Proof::Complete, TenantFormat::Uuid);
        assert_eq!(refused, Err(Rejection::InvalidTargetTenant), "{sent:?}");
    }
    let opaque = |sent| chosen("superadmin", &[sent], Proof::Complete, TenantFormat::Opaque);
    assert_eq!(opaque("acme_1"), Ok(Some("acme_1".to_owned())));
    assert_eq!(opaque("a b"), Err(Rejection::InvalidTargetTenant));
}

#[test]
fn the_header_of_anybody_else_has_no_effect() {
    for role in ["customer", "venue-owner", "admin", "operator", "support", "compliance-admin"] {
        for sent in [OTHER, "no tenant"] {
            for proof in [Proof::Complete, Proof::Unproven] {
                assert_eq!(chosen(role, &[sent], proof, TenantFormat::Uuid), Ok(None), "{role}");
            }
        }
    }
}

#[test]
fn a_role_that_only_the_token_claims_does_not_leave_the_tenant_nor_act_in_the_wrong_one() {
    let claimed = |sent: &[&str]| chosen("superadmin", sent, Proof::Unproven, TenantFormat::Uuid);
    assert_eq!(claimed(&[OTHER]), Err(Rejection::CheckUnavailable));
    assert_eq!(claimed(&[]), Ok(None));
}
