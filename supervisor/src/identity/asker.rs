//! On whose behalf the edge asks: the ids, trace and address of the client's request, passed on with the question.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// What a question inherits from the request that caused it. Merged questions carry the first one's.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    pub request_id: String,
    pub correlation_id: String,
    /// The edge's span in the request's trace; empty if there is none.
    pub traceparent: String,
    pub tracestate: String,
    /// As proxied requests of this client carry it: services limit by address.
    pub forwarded_for: String,
}

impl Asker {
    /// Empty values, and those that no header can carry, are left out.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            ("x-request-id", &self.request_id),
            ("x-correlation-id", &self.correlation_id),
            ("traceparent", &self.traceparent),
            ("tracestate", &self.tracestate),
            ("x-forwarded-for", &self.forwarded_for),
        ] {
            if let Ok(value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}
