//! Which confirmed status of a tenant withdraws its tokens.

use super::*;

fn closes(body: &str) -> bool {
    TenantStatus::Sent(body.as_bytes()).may_close()
}

#[test]
fn an_active_tenant_keeps_its_tokens_and_any_other_status_withdraws_them() {
    for body in [
        r#"{"status":"active"}"#,
        r#" { "reason" : {"status":"suspended"}, "\u0073tatus" : "act\u0069ve" } "#,
        r#"{"note":"nothing about it"}"#,
        "{}",
    ] {
        assert!(!closes(body), "{body}");
    }
    for body in [
        r#"{"status":"suspended"}"#,
        r#"{"status":"ACTIVE"}"#,
        r#"{"status":"active "}"#,
        r#"{"status":""}"#,
        r#"{"status":null}"#,
        r#"{"status":["active"]}"#,
        r#"{"status":true}"#,
    ] {
        assert!(closes(body), "{body}");
    }
}

#[test]
fn of_two_statuses_the_worse_one_counts_wherever_it_stands() {
    assert!(closes(r#"{"status":"suspended","status":"active"}"#));
    assert!(closes(r#"{"status":"active","status":"suspended"}"#));
    assert!(closes(r#"{"status":"active","stat\u0075s":"closed"}"#));
    assert!(!closes(r#"{"status":"active","status":"active"}"#));
}

#[test]
fn what_is_not_understood_withdraws() {
    for body in
        ["", "status=suspended", "[]", "\"active\"", r#"{"status":"active"} x"#, r#"{"status":"active""#]
    {
        assert!(closes(body), "{body}");
    }
    assert!(TenantStatus::Sent(b"{\"status\":\"active\xff\"}").may_close(), "no UTF-8");
    assert!(TenantStatus::Unseen.may_close(), "a row that streams");
}

#[test]
fn the_tenant_is_the_one_that_the_service_reads() {
    let named = |path: &str| named(path.as_bytes());
    let uuid = "2222222A-bbbb-4bbb-8bbb-222222222222";
    let wanted = Some(uuid.to_ascii_lowercase());
    assert_eq!(named(&format!("/auth/admin/tenants/{uuid}/status")), wanted);
    assert_eq!(named(&format!("/auth/admin/tenants/%32{}/status", &uuid[1..])), wanted);
    assert_eq!(named("/auth/admin/tenants/Acme/status"), Some("Acme".to_owned()));
    for path in [
        "/auth/admin/tenants//status",
        "/auth/admin/tenants/a/b/status",
        "/auth/admin/tenants/a%20b/status",
        "/auth/admin/tenants/%ff/status",
        "/auth/admin/tenants/acme",
        "/auth/admin/tenants/acme/status/x",
    ] {
        assert_eq!(named(path), None, "{path}");
    }
}

#[test]
fn a_tenant_that_stays_active_is_not_named() {
    let path = b"/auth/admin/tenants/acme/status";
    assert_eq!(TenantStatus::Sent(br#"{"status":"closed"}"#).withdraws(path), Some("acme".to_owned()));
    assert_eq!(TenantStatus::Sent(br#"{"status":"active"}"#).withdraws(path), None);
    assert_eq!(TenantStatus::Unseen.withdraws(b"/auth/admin/tenants/acme"), None);
}
