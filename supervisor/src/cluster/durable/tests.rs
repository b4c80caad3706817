//! Which events revoke a token, and under which keys they stand.

use super::*;

fn doubted(issued_at: UnixSeconds) -> Doubted {
    let token = TokenName::Jti("j".to_owned());
    Doubted { token, tenant: "t".to_owned(), subject: "u".to_owned(), issued_at }
}

fn user(epoch: UnixSeconds, except: Option<&str>) -> Event {
    let except = except.map(str::to_owned);
    Event::User { tenant: "t".to_owned(), sub: "u".to_owned(), epoch, except }
}

#[test]
fn a_cut_off_takes_what_was_issued_until_then_but_for_its_exception() {
    assert!(doubted(100).falls_under(&user(100, None)));
    assert!(!doubted(101).falls_under(&user(100, None)));
    assert!(!doubted(100).falls_under(&user(100, Some("j"))));
    assert!(doubted(100).falls_under(&user(100, Some("other"))));
    let hashed = Doubted { token: TokenName::Sha256("j".to_owned()), ..doubted(100) };
    assert!(hashed.falls_under(&user(100, Some("j"))), "a digest is no jti, whatever its digits");
    assert!(doubted(100).falls_under(&Event::Tenant { tenant: "t".to_owned(), epoch: 100 }));
    assert!(!doubted(101).falls_under(&Event::Tenant { tenant: "t".to_owned(), epoch: 100 }));
}

#[test]
fn the_keys_asked_for_are_those_that_are_written() {
    let Doubted { token, tenant, subject, .. } = doubted(0);
    let events = [
        Event::Token { token: token.clone(), exp: 1_000 },
        user(5, None),
        Event::Tenant { tenant: tenant.clone(), epoch: 5 },
    ];
    let keys = event::durable_keys(&token, &tenant, &subject);
    for (event, asked) in events.iter().zip(keys) {
        let written = match event.durable(0, 30).expect("these outlive the stream") {
            event::Durable::Token { key, .. }
            | event::Durable::NotBefore { key, .. }
            | event::Durable::Generation { key } => key,
        };
        assert_eq!(written, asked);
    }
}
