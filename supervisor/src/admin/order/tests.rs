//! What travels through the control socket, and which orders mean something.

use super::*;

const NOW: UnixSeconds = 1_700_000_000;
const TENANT: &str = "22222222-BBBB-4bbb-8bbb-222222222222";

fn orders() -> Vec<Order> {
    let revoke = |whom| Order::Revoke { whom, reason: Some("stolen phone".to_owned()) };
    vec![
        revoke(Revoked::Token { token: Named::Jti("one".to_owned()), expires_at: NOW + 60 }),
        revoke(Revoked::Token { token: Named::Sha256("0".repeat(64)), expires_at: NOW }),
        revoke(Revoked::User { tenant: TENANT.to_owned(), subject: "u".to_owned(), except: None }),
        Order::Revoke { whom: Revoked::Tenant { tenant: TENANT.to_owned() }, reason: None },
    ]
}

#[test]
fn every_order_and_answer_is_one_line_that_reads_back_the_same() {
    for order in orders() {
        let line = encode_order(&order);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        assert_eq!(decode_order(&line), Ok(order));
    }
    let spreads = [
        Spread::Alone,
        Spread::Published,
        Spread::Queued { waiting: 3 },
        Spread::Unpublished,
        Spread::Refused,
        Spread::Expired,
    ];
    for spread in spreads {
        let answer = OrderAnswer::Revoked { spread, table_full: false };
        assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
    }
    let refused = OrderAnswer::Refused { what: "a\nb".to_owned(), remedy: String::new() };
    for answer in [refused, OrderAnswer::NotAllowed] {
        assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
    }
}

#[test]
fn another_version_is_told_apart_from_nonsense() {
    let other = decode_order(br#"{"version":2,"order":{"dance":{}}}"#).expect_err("another version");
    assert!(other.what.contains("version 2"), "{other:?}");
    for text in ["", "{}", "[]", "GET / HTTP/1.1", r#"{"order":{}}"#, r#"{"version":"1"}"#] {
        decode_order(text.as_bytes()).expect_err(text);
    }
}

#[test]
fn what_an_order_does_not_know_is_refused_and_not_passed_over() {
    let unknown = [
        r#"{"version":1,"order":{"dance":{}}}"#,
        r#"{"version":1,"order":{"revoke":{"whom":{"tenant":{"tenant":"t","but":"u"}},"reason":null}}}"#,
        r#"{"version":1,"order":{"revoke":{"whom":{"everybody":{}},"reason":null}}}"#,
        r#"{"version":1,"order":{"revoke":{"whom":{"tenant":{"tenant":"t"}},"except":"u"}}}"#,
    ];
    for text in unknown {
        decode_order(text.as_bytes()).expect_err(text);
    }
}

#[test]
fn a_users_and_a_tenants_epoch_is_now_and_tenants_are_in_lower_case() {
    let user = Revoked::User {
        tenant: TENANT.to_owned(),
        subject: "someone".to_owned(),
        except: Some("this-one".to_owned()),
    };
    let tenant = TENANT.to_ascii_lowercase();
    assert_eq!(
        user.event(TenantFormat::Uuid, NOW),
        Ok(Event::User {
            tenant: tenant.clone(),
            sub: "someone".to_owned(),
            epoch: NOW,
            except: Some("this-one".to_owned())
        })
    );
    let all = Revoked::Tenant { tenant: TENANT.to_owned() };
    assert_eq!(all.event(TenantFormat::Uuid, NOW), Ok(Event::Tenant { tenant, epoch: NOW }));
}

#[test]
fn ids_that_no_token_can_hold_are_refused() {
    let user = |tenant: &str, subject: &str, except: Option<&str>| Revoked::User {
        tenant: tenant.to_owned(),
        subject: subject.to_owned(),
        except: except.map(str::to_owned),
    };
    let token = |token, expires_at| Revoked::Token { token, expires_at };
    let wrong = [
        Revoked::Tenant { tenant: "acme".to_owned() },
        Revoked::Tenant { tenant: String::new() },
        user("acme", "u", None),
        user(TENANT, "", None),
        user(TENANT, "two words", None),
        user(TENANT, "u", Some("a b")),
        token(Named::Jti(String::new()), NOW + 1),
        token(Named::Jti("a\nb".to_owned()), NOW + 1),
        token(Named::Sha256("abc".to_owned()), NOW + 1),
        token(Named::Jti("schlüssel".to_owned()), NOW + 1),
        token(Named::Jti("j".to_owned()), NOW + EXPIRY_S_MAX + 1),
        token(Named::Jti("j".to_owned()), UnixSeconds::MAX),
    ];
    for whom in wrong {
        let said = format!("{whom:?}");
        let refusal = whom.event(TenantFormat::Uuid, NOW).expect_err(&said);
        assert!(!refusal.what.is_empty() && !refusal.remedy.is_empty(), "{said}");
    }
    Revoked::Tenant { tenant: "acme".to_owned() }.event(TenantFormat::Opaque, NOW).expect("opaque tenants");
}

#[test]
fn a_token_keeps_the_expiry_that_was_given() {
    for exp in [NOW - 5, NOW + EXPIRY_S_MAX] {
        let whom = Revoked::Token { token: Named::Jti("j".to_owned()), expires_at: exp };
        let event = Event::Token { token: TokenName::Jti("j".to_owned()), exp };
        assert_eq!(whom.event(TenantFormat::Uuid, NOW), Ok(event.clone()));
        let mut fields = event.fields();
        fields.push(("v", "1".to_owned()));
        let fields: Vec<_> = fields.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        assert_eq!(Event::parse(&fields, NOW), Ok(event), "the other nodes keep it as long");
    }
}
