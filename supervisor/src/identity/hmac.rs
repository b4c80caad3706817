//! Signatures of internal requests, in the platform's format and in the older one (`platform.md` section 5).

use aws_lc_rs::{digest, hmac};
use edge_worker::config::lookups::identity::{SignatureFormat, SignatureSettings};
use edge_worker::config::services::ServiceId;
use edge_worker::identity::digests::hexadecimal;

/// Signs what the edge itself asks; never a client's request.
pub struct Signer {
    service_name: String,
    key: hmac::Key,
    format: SignatureFormat,
    without_query: Vec<ServiceId>,
}

/// What a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    /// The receiver.
    pub service: ServiceId,
    /// In capitals.
    pub method: &'a str,
    /// Path and query as they are sent.
    pub target: &'a str,
    /// The compact JSON that is sent; empty without a body.
    pub body: &'a [u8],
    pub timestamp_ms: u64,
    /// A UUID that is never used again.
    pub nonce: &'a str,
}

/// Names and values of the headers that carry a signature.
pub type Headers = Vec<(&'static str, String)>;

impl Signer {
    #[must_use]
    pub fn new(settings: &SignatureSettings) -> Signer {
        Signer {
            service_name: settings.service_name.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, settings.secret.expose().as_bytes()),
            format: settings.format,
            without_query: settings.without_query.clone(),
        }
    }

    #[must_use]
    pub fn headers(&self, covered: Covered<'_>) -> Headers {
        match self.format {
            SignatureFormat::New => self.sign(covered),
            SignatureFormat::Legacy => self.sign_legacy(covered),
        }
    }

    /// `service:timestamp:nonce:METHOD:target:bodyHash`.
    fn sign(&self, covered: Covered<'_>) -> Headers {
        let Covered { method, timestamp_ms, nonce, .. } = covered;
        let unsigned_query = self.without_query.contains(&covered.service);
        let target = if unsigned_query { path(covered.target) } else { covered.target };
        let body_hash = match covered.body {
            [] => String::new(),
            body => hexadecimal(digest::digest(&digest::SHA256, body).as_ref()),
        };
        let name = &self.service_name;
        let text = format!("{name}:{timestamp_ms}:{nonce}:{method}:{target}:{body_hash}");
        let mut headers = vec![
            ("x-internal-service", name.clone()),
            ("x-internal-timestamp", timestamp_ms.to_string()),
            ("x-internal-nonce", nonce.to_owned()),
            ("x-internal-signature", self.signature(text.as_bytes())),
        ];
        if !body_hash.is_empty() {
            headers.push(("x-internal-body-hash", body_hash));
        }
        headers
    }

    /// `service:timestamp:METHOD:path:json`, with `{}` for no body. The query is not covered: receivers of this
    /// format know the path alone.
    fn sign_legacy(&self, covered: Covered<'_>) -> Headers {
        let (name, timestamp_ms) = (&self.service_name, covered.timestamp_ms);
        let mut text =
            format!("{name}:{timestamp_ms}:{}:{}:", covered.method, path(covered.target)).into_bytes();
        text.extend_from_slice(if covered.body.is_empty() { b"{}" } else { covered.body });
        vec![
            ("x-internal-service", name.clone()),
            ("x-internal-timestamp", timestamp_ms.to_string()),
            ("x-internal-signature", self.signature(&text)),
        ]
    }

    fn signature(&self, text: &[u8]) -> String {
        hexadecimal(hmac::sign(&self.key, text).as_ref())
    }
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

#[cfg(test)]
mod tests;
