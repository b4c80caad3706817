//! Tests of the demo's tokens.

use super::super::people::PEOPLE;
use super::{ACCESS_TOKEN_S, ISSUER, Issuer};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

#[test]
fn an_access_token_verifies_with_the_public_key_and_has_the_platforms_claims() {
    let issuer = Issuer::generate().expect("a key");
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).expect("before the year 292 billion");
    let [fan, ..] = &PEOPLE;
    let token = issuer.access_token(fan, now).expect("a token");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[ISSUER]);
    rules.set_issuer(&[ISSUER]);
    let key = DecodingKey::from_rsa_pem(issuer.public_pem().as_bytes()).expect("a PEM");
    let verified = jsonwebtoken::decode::<Value>(&token, &key, &rules).expect("a valid token");
    assert_eq!(verified.header.kid.as_deref(), Some("current"));
    let claim = |name: &str| verified.claims.get(name).cloned().unwrap_or_default();
    assert_eq!(claim("sub"), fan.id);
    assert_eq!(claim("type"), "access");
    assert_eq!(claim("tenant_id"), fan.tenant.id);
    assert_eq!(claim("exp"), now + ACCESS_TOKEN_S);
    assert_eq!(claim("jti").as_str().map(str::len), Some(36));
}
