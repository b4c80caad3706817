//! Heads as the edge writes them: requests to services, answers to clients. Into a buffer that is reused.

pub mod date;
pub mod number;
pub mod request;
pub mod response;

pub use date::HttpDate;
pub use request::{IdentityHeaders, Injected, Places, TenantSource, UpstreamRequest, request_head};
pub use response::{AnswerFacts, ClientFraming, Persistence, local_head, response_head};

/// Appends one field. Neither part may hold control bytes; what comes from a peer was parsed by `head`.
#[inline]
pub fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(
        !value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t'),
        "a field value would break the head"
    );
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a field whose value is a number.
pub fn push_number_field(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    number::push(out, value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
