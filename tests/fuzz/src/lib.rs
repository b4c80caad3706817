//! What must hold for every input, one function a fuzz target. The first byte of an input says in which steps the
//! rest arrives, or which method a target has.

pub mod head;
pub mod response_head;
pub mod body;
pub mod route;

/// The step, at least one byte, and the bytes that arrive.
fn steps(input: &[u8]) -> Option<(usize, &[u8])> {
    let (first, bytes) = input.split_first()?;
    Some((usize::from(*first) + 1, bytes))
}

/// Whether `part` is a piece of `whole` in memory, not merely equal to one.
fn lies_within(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.is_empty() || (whole.start <= part.start && part.end <= whole.end)
}
