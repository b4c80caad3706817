//! Tokens for the contestants: HS256 for the comparison with HAProxy, RS256 for what a cold one costs.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// The shared secret of the comparison; HAProxy checks the same signature.
pub const SECRET: &str = "a-secret-that-exists-only-for-benchmarks-0001";
pub const ISSUER: &str = "tickettoken-auth";
const PRIVATE_KEY: &str = include_str!("../../tests/keys/current.private.pem");
pub const PUBLIC_KEY: &str = include_str!("../../tests/keys/current.public.pem");

/// One long-lived HS256 token of about 400 bytes.
pub fn hs256() -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims(0), &key).expect("an HMAC can always be made")
}

/// Tokens that differ in their id.
pub fn distinct_rs256(count: usize) -> Vec<String> {
    let key = EncodingKey::from_rsa_pem(PRIVATE_KEY.as_bytes()).expect("the test key is an RSA key");
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("current".to_owned());
    (0..count).map(|index| encode(&header, &claims(index), &key).expect("the test key signs")).collect()
}

fn claims(index: usize) -> Value {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    json!({
        "sub": "5f0c9d7e-1111-4111-8111-0123456789ab",
        "type": "access",
        "jti": format!("7b1f0c9d-2222-4222-8222-{index:012}"),
        "tenant_id": "11111111-1111-4111-8111-111111111111",
        "role": "customer",
        "permissions": ["buy:tickets", "view:events", "transfer:tickets"],
        "iss": ISSUER,
        "aud": ISSUER,
        "iat": now,
        "exp": now + 3600,
    })
}
