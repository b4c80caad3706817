//! UUIDs as text. The platform's ids are hyphenated, of any version, and letter case never tells two apart.

use std::fmt;

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

/// A hyphenated UUID, in lower case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uuid([u8; UUID_BYTES]);

impl Uuid {
    /// `None` for anything else, in whatever letter case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Uuid> {
        let mut bytes = <[u8; UUID_BYTES]>::try_from(text).ok().filter(|_| is_uuid(text))?;
        bytes.make_ascii_lowercase();
        Some(Uuid(bytes))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("hexadecimal digits and hyphens are ASCII")
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
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
