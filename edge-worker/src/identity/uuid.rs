//! UUIDs as text. The platform's ids are hyphenated, of any version, and letter case never tells two apart.

/// Bytes of a hyphenated UUID (RFC 9562 section 4).
pub const UUID_BYTES: usize = 36;

/// Whether `text` is a hyphenated UUID of any version, in any letter case.
#[must_use]
pub fn is_uuid(text: &[u8]) -> bool {
    text.len() == UUID_BYTES
        && text.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether two ids name the same thing: UUIDs in any letter case, all else byte for byte.
#[must_use]
pub fn same_id(left: &[u8], right: &[u8]) -> bool {
    left == right || (is_uuid(left) && left.eq_ignore_ascii_case(right))
}

/// A random UUID (RFC 9562 version 4).
#[must_use]
pub fn random() -> String {
    let version = 0x4 << 76;
    let variant = 0x2 << 62;
    let random: u128 = rand::random();
    let bits = random & !(0xf << 76) & !(0x3 << 62) | version | variant;
    let digits = format!("{bits:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| digits.get(group).unwrap_or_default());
    groups.join("-")
}

#[cfg(test)]
mod tests;
