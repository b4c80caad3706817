//! Which requests withdraw what, by the path that the service gets.

use super::*;
use crate::control::asks::Named;
use crate::identity::forge::{JTI, NOW, SUBJECT, TENANT, claims, settings, token, token_cache, verifier};
use crate::pipeline::authenticate::{Authorization, authenticate, digest};
use serde_json::json;

const VENUE: &str = "0b5e2f1c-77aa-4b0e-9d3e-5a1c2b3d4e5f";

fn principal() -> Principal {
    let value = format!("Bearer {}", token(&claims(json!({}))));
    let header = Authorization::One(value.as_bytes());
    let verifier = verifier(&settings());
    let digest = digest(header, &verifier).expect("a bearer token");
    authenticate((header, digest), &verifier, token_cache(), NOW).expect("a good token").0
}

fn withdrawn(service: Confirming, method: Method, path: &str) -> Option<Withdrawal> {
    let whole_token = || panic!("the token has an id");
    let sent = TenantStatus::Sent(br#"{"status":"suspended"}"#);
    of((service, method, path.as_bytes()), &principal(), whole_token, sent)
}

#[test]
fn the_answers_that_the_platform_lists_withdraw_tokens() {
    use Confirming::Auth;
    let user = |except: Option<&str>| {
        let (tenant, subject) = (TENANT.to_owned(), SUBJECT.to_owned());
        Some(Withdrawal::User { tenant, subject, except: except.map(str::to_owned) })
    };
    let token = Withdrawal::Token { token: Named::Jti(JTI.to_owned()), expires_at: NOW + 840 };
    assert_eq!(withdrawn(Auth, Method::Post, "/auth/logout"), Some(token));
    assert_eq!(withdrawn(Auth, Method::Delete, "/auth/sessions/all"), user(None));
    assert_eq!(withdrawn(Auth, Method::Post, "/auth/gdpr/delete"), user(None));
    assert_eq!(withdrawn(Auth, Method::Put, "/auth/change-password"), user(Some(JTI)));
    let tenant = Some(Withdrawal::Tenant { tenant: "acme".to_owned() });
    assert_eq!(withdrawn(Auth, Method::Put, "/auth/admin/tenants/acme/status"), tenant);
    assert_eq!(withdrawn(Auth, Method::Post, "/auth/admin/tenants/acme/status"), None);
    assert_eq!(withdrawn(Confirming::Venue, Method::Put, "/auth/admin/tenants/acme/status"), None);
    assert_eq!(withdrawn(Auth, Method::Get, "/auth/logout"), None);
    assert_eq!(withdrawn(Auth, Method::Delete, "/auth/sessions/7"), None);
    assert_eq!(withdrawn(Confirming::Venue, Method::Post, "/auth/logout"), None);
}

#[test]
fn what_changes_a_venue_or_its_staff_withdraws_the_decisions_about_it() {
    use Confirming::{Auth, Venue};
    let decisions = Some(Withdrawal::Venue { venue: VENUE.to_owned() });
    let encoded = VENUE.replace('0', "%30");
    for (service, method, path) in [
        (Venue, Method::Post, format!("/api/v1/venues/{VENUE}/staff")),
        (Venue, Method::Delete, format!("/api/v1/venues/{VENUE}/staff/u-1")),
        (Venue, Method::Patch, format!("/api/v1/venues/{VENUE}/staff/u-1/role")),
        (Venue, Method::Put, format!("/api/v1/venues/{}/staff/u-1", VENUE.to_uppercase())),
        (Venue, Method::Put, format!("/api/v1/venues/{encoded}/staff")),
        (Venue, Method::Put, format!("/api/v1/venues/{VENUE}")),
        (Venue, Method::Patch, format!("/api/v1/venues/{VENUE}")),
        (Venue, Method::Delete, format!("/api/v1/venues/{VENUE}")),
        (Auth, Method::Post, format!("/auth/venues/{VENUE}/roles")),
        (Auth, Method::Delete, format!("/auth/venues/{VENUE}/roles/u-1")),
    ] {
        assert_eq!(withdrawn(service, method, &path), decisions, "{method:?} {path}");
    }
}

#[test]
fn other_requests_withdraw_nothing() {
    use Confirming::{Auth, Venue};
    for (service, method, path) in [
        (Venue, Method::Get, format!("/api/v1/venues/{VENUE}/staff")),
        (Venue, Method::Post, format!("/api/v1/venues/{VENUE}")),
        (Venue, Method::Post, "/api/v1/venues".to_owned()),
        (Venue, Method::Put, format!("/api/v1/venues/{VENUE}/settings")),
        (Venue, Method::Put, format!("/api/v1/venues/{VENUE}/staffing")),
        (Venue, Method::Put, format!("/api/venues/{VENUE}/staff")),
        (Venue, Method::Put, "/api/v1/venues/hall/staff".to_owned()),
        (Venue, Method::Put, format!("/auth/venues/{VENUE}/roles")),
        (Auth, Method::Put, format!("/auth/venues/{VENUE}")),
        (Auth, Method::Put, format!("/auth/venues/{VENUE}/members")),
        (Auth, Method::Head, format!("/auth/venues/{VENUE}/roles")),
        (Auth, Method::Post, format!("/api/v1/venues/{VENUE}/staff")),
    ] {
        assert_eq!(withdrawn(service, method, &path), None, "{method:?} {path}");
    }
}

#[test]
fn two_services_confirm_what_is_withdrawn() {
    let of = |name| Confirming::of(ServiceId::find(name).expect("a service"));
    assert_eq!(
        [of("auth"), of("venue"), of("event")],
        [Some(Confirming::Auth), Some(Confirming::Venue), None]
    );
}
