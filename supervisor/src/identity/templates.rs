//! Paths with placeholders, filled so that an id can never change which path it is.

/// An id in a path: longer ones are not asked about.
pub const ID_BYTES_MAX: usize = 128;

/// `template` with `{name}` replaced by `id`; `None` if the id could be read as something else than one segment.
/// Legal are the characters of a token's subject (`platform.md` section 4), not only dots.
#[must_use]
pub fn fill(template: &str, name: &str, id: &str) -> Option<String> {
    is_segment(id).then(|| template.replace(&format!("{{{name}}}"), id))
}

/// Whether an id stands for itself in a path: nothing to encode, and neither `.` nor `..`.
#[must_use]
pub fn is_segment(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(legal) && id.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests;
