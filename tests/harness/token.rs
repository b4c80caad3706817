//! Access tokens as auth-service issues them, and every wrong variation of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

pub const TENANT: &str = "11111111-aaaa-4aaa-8aaa-111111111111";
pub const OTHER_TENANT: &str = "22222222-bbbb-4bbb-8bbb-222222222222";
pub const USER: &str = "33333333-cccc-4ccc-8ccc-333333333333";
pub const OTHER_USER: &str = "44444444-dddd-4ddd-8ddd-444444444444";
pub const JTI: &str = "55555555-eeee-4eee-8eee-555555555555";
pub const ISSUER: &str = "tickettoken-auth";
/// A secret for HS256 that satisfies the production rules.
pub const SHARED_SECRET: &str = "Zu7aePh4ohqu9ohSh0ahVeeTh3ieNg5u";

/// What a token is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Current,
    Previous,
    /// An RSA key that no edge knows.
    Foreign,
    Ec,
    Ed,
    Secret(Vec<u8>),
}

/// A token that is being written; valid until something is changed.
#[derive(Clone, Debug)]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: Key,
}

impl Token {
    /// A fan's RS256 access token.
    pub fn valid() -> Token {
        let now = now();
        let claims = json!({
            "sub": USER,
            "type": "access",
            "jti": JTI,
            "tenant_id": TENANT,
            "email": "fan@example.com",
            "permissions": ["buy:tickets", "view:events", "transfer:tickets"],
            "role": "customer",
            "iat": now,
            "exp": now + 900,
            "iss": ISSUER,
            "aud": ISSUER,
        });
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "current" });
        Token { header: object(header), claims: object(claims), key: Key::Current }
    }

    /// The same with another role.
    pub fn of_role(role: &str) -> Token {
        Token::valid().claim("role", role)
    }

    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Token {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Token {
        self.claims.remove(name);
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Token {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn without_header(mut self, name: &str) -> Token {
        self.header.remove(name);
        self
    }

    #[must_use]
    pub fn tenant(self, tenant: &str) -> Token {
        self.claim("tenant_id", tenant)
    }

    #[must_use]
    pub fn user(self, user: &str) -> Token {
        self.claim("sub", user)
    }

    #[must_use]
    pub fn permissions(self, permissions: &[&str]) -> Token {
        self.claim("permissions", permissions.to_vec())
    }

    /// Expiry in seconds from now; negative is in the past.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Token {
        self.claim("exp", now() + seconds)
    }

    /// Signs with another key; the header's `alg` follows it, `kid` does not.
    #[must_use]
    pub fn signed_with(mut self, key: Key) -> Token {
        let algorithm = key.algorithm();
        self.key = key;
        self.header("alg", format!("{algorithm:?}"))
    }

    pub fn build(&self) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        let claims = Value::Object(self.claims.clone()).to_string();
        Token::raw(&header, &claims, &self.key)
    }

    /// Signs any text as header and claims, so that duplicates and worse can be made.
    pub fn raw(header: &str, claims: &str, key: &Key) -> String {
        let message = Token::unsigned(header, claims);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key.signing(), key.algorithm())
            .expect("the test keys can sign");
        format!("{message}.{signature}")
    }

    /// Header and claims without any signature part.
    pub fn unsigned(header: &str, claims: &str) -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    /// The claims as text, to be changed where the builder cannot.
    pub fn claims_text(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }
}

impl Key {
    /// The public half in PEM.
    pub fn public_pem(&self) -> &'static str {
        match self {
            Key::Current => include_str!("../keys/current.public.pem"),
            Key::Previous => include_str!("../keys/previous.public.pem"),
            Key::Foreign => include_str!("../keys/foreign.public.pem"),
            Key::Ec => include_str!("../keys/ec.public.pem"),
            Key::Ed => include_str!("../keys/ed.public.pem"),
            Key::Secret(_) => panic!("a shared secret has no public half"),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Key::Current | Key::Previous | Key::Foreign => Algorithm::RS256,
            Key::Ec => Algorithm::ES256,
            Key::Ed => Algorithm::EdDSA,
            Key::Secret(_) => Algorithm::HS256,
        }
    }

    fn signing(&self) -> EncodingKey {
        let rsa = |pem: &str| EncodingKey::from_rsa_pem(pem.as_bytes());
        match self {
            Key::Current => rsa(include_str!("../keys/current.private.pem")),
            Key::Previous => rsa(include_str!("../keys/previous.private.pem")),
            Key::Foreign => rsa(include_str!("../keys/foreign.private.pem")),
            Key::Ec => EncodingKey::from_ec_pem(include_bytes!("../keys/ec.private.pem")),
            Key::Ed => EncodingKey::from_ed_pem(include_bytes!("../keys/ed.private.pem")),
            Key::Secret(secret) => Ok(EncodingKey::from_secret(secret)),
        }
        .expect("the test keys are well-formed")
    }
}

/// Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    i64::try_from(since.as_secs()).expect("the clock is before the year 292277026596")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}
