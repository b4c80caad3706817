//! What is read from standard input, and which command lines name somebody.

use super::super::{Arguments as CommandLine, Command};
use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;

fn token(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(claims), part("signature"))
}

fn parse(arguments: &[&str]) -> Result<Whom, clap::Error> {
    let parsed = CommandLine::try_parse_from([&["floodgate", "revoke"], arguments].concat())?;
    match parsed.command {
        Some(Command::Revoke(arguments)) => Ok(arguments.whom),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_is_named_by_its_id_and_its_expiry() {
    let token = token(r#"{"type":"access","jti":"one","sub":"u","tenant_id":"t","exp":1700000000}"#);
    for line in [token.clone(), format!("Bearer {token}\n"), format!("  bearer {token}  \r\n")] {
        let (whom, said) = of_token(line.as_bytes()).expect("an access token");
        let expected = Revoked::Token { token: Named::Jti("one".to_owned()), expires_at: 1_700_000_000 };
        assert_eq!(whom, expected);
        assert_eq!(said, "token one of user u of tenant t");
    }
}

#[test]
fn a_token_without_an_id_is_named_by_its_digest() {
    let token = token(r#"{"type":"access","sub":"u\n","tenant_id":"t","exp":1700000000}"#);
    let (whom, said) = of_token(token.as_bytes()).expect("an access token");
    let digits = sha256_digits(token.as_bytes());
    assert_eq!(whom, Revoked::Token { token: Named::Sha256(digits), expires_at: 1_700_000_000 });
    assert_eq!(said, r"token without an id of user u\n of tenant t", "no control byte reaches the terminal");
    let strange = self::token(r#"{"type":"access","jti":"schl\u00fcssel","exp":1700000000}"#);
    let (whom, _) = of_token(strange.as_bytes()).expect("an access token");
    let named = Named::Sha256(sha256_digits(strange.as_bytes()));
    assert_eq!(whom, Revoked::Token { token: named, expires_at: 1_700_000_000 }, "as the nodes name it");
}

#[test]
fn what_is_no_access_token_is_refused() {
    let refresh = token(r#"{"type":"refresh","jti":"one","exp":1}"#);
    let endless = token(r#"{"type":"access","jti":"one"}"#);
    let doubled = token(r#"{"type":"access","jti":"one","jti":"two","exp":1}"#);
    for line in ["", "\n", "Bearer ", "abc", "a.b.c", &refresh, &endless, &doubled] {
        of_token(line.as_bytes()).expect_err(line);
    }
}

#[test]
fn a_token_never_stands_on_the_command_line() {
    parse(&["token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"]).expect_err("others would see it");
    assert_eq!(parse(&["token"]).expect("from standard input"), Whom::Token { jti: None, expires: None });
}

#[test]
fn an_id_needs_its_expiry_and_a_user_its_tenant() {
    parse(&["token", "--jti", "one"]).expect_err("no expiry");
    parse(&["token", "--expires", "1700000000"]).expect_err("no id");
    parse(&["user", "u"]).expect_err("no tenant");
    parse(&["tenant"]).expect_err("no tenant");
    parse(&[]).expect_err("nobody");
    parse(&["token", "--jti", "one", "--expires", "1700000000"]).expect("both");
    let user = parse(&["user", "--tenant", "t", "u", "--except", "one", "--reason", "stolen phone"]);
    let expected =
        Whom::User { tenant: "t".to_owned(), except: Some("one".to_owned()), user: "u".to_owned() };
    assert_eq!(user.expect("complete"), expected);
}

#[test]
fn the_exit_code_says_whether_other_nodes_know() {
    let code = |spread| tell("x", spread, false);
    assert_eq!(code(Spread::Published), ExitCode::Success);
    assert_eq!(code(Spread::Alone), ExitCode::Success);
    assert_eq!(code(Spread::Expired), ExitCode::Success);
    assert_eq!(code(Spread::Queued { waiting: 2 }), ExitCode::Queued);
    assert_eq!(code(Spread::Unpublished), ExitCode::Queued);
    assert_eq!(code(Spread::Refused), ExitCode::Queued);
    let refused = OrderAnswer::Refused { what: "no".to_owned(), remedy: "do".to_owned() };
    assert_eq!(accepted("revoke", refused), Err(ExitCode::Usage));
    assert_eq!(accepted("revoke", OrderAnswer::NotAllowed), Err(ExitCode::NotAllowed));
}
