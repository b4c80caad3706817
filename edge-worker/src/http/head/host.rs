//! The Host field and the authority of an absolute target: which bytes are believed.

/// `uri-host [":" port]`, narrower than RFC 9112 section 3.2: a name of unreserved bytes or an IP literal,
/// because the value is sent on to services and written into redirects. User info, percent-encoding and
/// list-like bytes are refused.
#[must_use]
pub fn is_valid(authority: &[u8]) -> bool {
    if let Some(literal) = authority.strip_prefix(b"[") {
        let Some(close) = literal.iter().position(|byte| *byte == b']') else { return false };
        let (address, rest) = literal.split_at(close);
        return is_address(address) && is_port_suffix(rest.get(1..).unwrap_or_default());
    }
    let end = authority.iter().position(|byte| !NAME_BYTES[usize::from(*byte)]).unwrap_or(authority.len());
    let (name, port) = authority.split_at(end);
    !name.is_empty() && is_port_suffix(port)
}

/// Unreserved bytes (RFC 3986 section 2.3).
static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

/// The standard library decides what an IPv6 address is; zones have no place in an authority.
fn is_address(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_port_suffix(suffix: &[u8]) -> bool {
    match suffix.strip_prefix(b":") {
        None => suffix.is_empty(),
        Some(digits) => {
            !digits.is_empty()
                && digits.len() <= 5
                && digits.iter().all(u8::is_ascii_digit)
                && digits.iter().fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0')) <= 65_535
        }
    }
}
