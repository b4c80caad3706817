//! The demo's auth-service: log in, refresh with rotation, who am I, and the user records that the edge asks for.

use super::people::{self, Person};
use super::tokens::{ACCESS_TOKEN_S, Issuer};
use edge_worker::identity::uuid;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

/// State of auth-service; lives as long as the demo.
pub struct AuthService {
    issuer: Issuer,
    /// What the edge proves itself with (S2S_SERVICE_TOKEN); new at each start.
    service_token: String,
    /// Refresh tokens that are still good, each usable once.
    refresh_tokens: RefCell<HashMap<String, &'static Person>>,
}

/// Status and document of an answer.
pub type Answer = (u16, Value);

impl AuthService {
    pub fn start() -> io::Result<AuthService> {
        Ok(AuthService {
            issuer: Issuer::generate()?,
            service_token: uuid::random(),
            refresh_tokens: RefCell::default(),
        })
    }

    #[must_use]
    pub fn public_pem(&self) -> &str {
        self.issuer.public_pem()
    }

    #[must_use]
    pub fn service_token(&self) -> &str {
        &self.service_token
    }

    /// `GET /auth/internal/users/{userId}`, for the edge alone.
    #[must_use]
    pub fn record(&self, user: &str, tenant: &str, service_token: &str) -> Answer {
        if service_token != self.service_token {
            return refusal("INVALID_SERVICE_TOKEN", "Not for clients.");
        }
        match people::find(user).filter(|person| person.tenant.id == tenant) {
            Some(Person { id, email, role, .. }) => {
                let user =
                    json!({ "id": id, "email": email, "tenantId": tenant, "role": role, "status": "ACTIVE" });
                (200, json!({ "user": user }))
            }
            None => (404, json!({ "success": false, "error": "No such user." })),
        }
    }

    /// The person who bears this token; venue-service reads tokens as auth-service writes them.
    #[must_use]
    pub fn bearer(&self, authorization: &str) -> Option<&'static Person> {
        people::find(&self.issuer.subject(authorization.strip_prefix("Bearer ")?)?)
    }

    /// `POST /auth/login {email, password}`.
    #[must_use]
    pub fn log_in(&self, body: &[u8], now_s: i64) -> Answer {
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |member: &str| document.get(member).and_then(Value::as_str).unwrap_or_default();
        match people::log_in(text("email"), text("password")) {
            Some(person) => self.issue(person, now_s),
            None => refusal("INVALID_CREDENTIALS", "E-mail address or password is wrong."),
        }
    }

    /// `POST /auth/refresh {refreshToken}`. A refresh token is good once.
    #[must_use]
    pub fn refresh(&self, body: &[u8], now_s: i64) -> Answer {
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        let presented = document.get("refreshToken").and_then(Value::as_str).unwrap_or_default();
        let person = self.refresh_tokens.borrow_mut().remove(presented);
        match person {
            Some(person) => self.issue(person, now_s),
            None => refusal("INVALID_REFRESH_TOKEN", "The refresh token is unknown or was used before."),
        }
    }

    /// `GET /auth/me`. The id is the one that the edge verified and injected.
    #[must_use]
    pub fn me(&self, user: &str) -> Answer {
        match people::find(user) {
            Some(person) => (200, json!({ "success": true, "user": profile(person) })),
            None => refusal("UNKNOWN_USER", "No such user."),
        }
    }

    fn issue(&self, person: &'static Person, now_s: i64) -> Answer {
        let Ok(access_token) = self.issuer.access_token(person, now_s) else {
            return (500, json!({ "success": false, "error": "signing failed" }));
        };
        let refresh_token = uuid::random();
        let mut live = self.refresh_tokens.borrow_mut();
        if live.len() >= REFRESH_TOKENS_MAX {
            live.clear();
        }
        live.insert(refresh_token.clone(), person);
        let tokens = json!({
            "accessToken": access_token, "refreshToken": refresh_token, "expiresIn": ACCESS_TOKEN_S,
        });
        (200, json!({ "success": true, "user": profile(person), "tokens": tokens }))
    }
}

fn profile(person: &Person) -> Value {
    json!({ "id": person.id, "email": person.email, "tenantId": person.tenant.id, "role": person.role })
}

fn refusal(code: &str, message: &str) -> Answer {
    (401, json!({ "success": false, "code": code, "error": message }))
}

/// A demo that runs for weeks forgets its refresh tokens rather than to grow.
const REFRESH_TOKENS_MAX: usize = 10_000;
