//! "Did you mean": the known name that a mistyped one is closest to.

/// The candidate nearest to `word`, if it is near enough to be a typing mistake (about a third of its letters).
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = word.chars().count().div_ceil(3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The remedy text for an unknown name.
#[must_use]
pub fn remedy<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, candidates) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => "remove it, or see docs/reference/settings.md".to_owned(),
    }
}

/// Edits (insert, delete, replace, ASCII case ignored) that turn one word into the other (Levenshtein 1966).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().map(|letter| letter.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().map(|letter| letter.to_ascii_lowercase()).enumerate() {
        let mut next = vec![index + 1];
        let mut before = index + 1;
        for (other, pair) in right.iter().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            before = (before + 1).min(above + 1).min(diagonal + usize::from(*other != letter));
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
