//! Rules about rows together: no two may answer the same request, and their number is bounded.

use super::load::Placed;
use super::{Row, Segment};
use crate::config::problem::Problem;
use std::collections::BTreeMap;

/// Rows of one table.
pub const ROWS_MAX: usize = 4096;

/// Adds a problem for each pair of rows that some request would match equally well.
pub(super) fn rows(placed: &[Placed], problems: &mut Vec<Problem>) {
    if placed.len() > ROWS_MAX {
        let what = format!("{} rows, more than {ROWS_MAX}", placed.len());
        problems.push(Problem::new("routes", what, "use parameters or **"));
    }
    let mut seen: BTreeMap<String, Vec<&Placed>> = BTreeMap::new();
    for placed in placed {
        let earlier = seen.entry(shape(&placed.row)).or_default();
        for other in earlier.iter() {
            if other.row.methods.iter().any(|method| placed.row.methods.contains(method)) {
                let what = format!("`{}` matches the same requests as {}", placed.row.template, other.place);
                problems.push(Problem::new(placed.place.clone(), what, "remove one, or split their methods"));
            }
        }
        earlier.push(placed);
    }
}

/// The pattern without spelling and parameter names: rows of one shape compete for the same paths.
fn shape(row: &Row) -> String {
    let mut shape = String::new();
    for segment in &row.segments {
        shape.push('/');
        match segment {
            Segment::Literal(word) => shape.push_str(&word.to_ascii_lowercase()),
            Segment::Parameter(_) => shape.push_str("{}"),
            Segment::Rest => shape.push_str("**"),
        }
    }
    shape
}

#[cfg(test)]
mod tests;
