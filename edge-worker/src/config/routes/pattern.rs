//! The words of a path in the table: alternatives, parameters, the remainder, and what goes upstream.

use super::{Part, Segment};

/// What is wrong with one value of a row, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub what: String,
    pub remedy: &'static str,
}

impl Mistake {
    pub(super) fn new(what: impl Into<String>, remedy: &'static str) -> Mistake {
        Mistake { what: what.into(), remedy }
    }
}

/// Paths that one row may stand for after its alternatives are written out.
pub const ALTERNATIVES_MAX: usize = 256;
/// Segments of one pattern.
pub const PATTERN_SEGMENTS_MAX: usize = 16;
/// Bytes of one literal. The matcher decodes segments into a buffer of this size.
pub const LITERAL_BYTES_MAX: usize = 64;

const _: () = assert!(PATTERN_SEGMENTS_MAX < crate::http::target::SEGMENTS_MAX);

/// Stands for the names in `WEBHOOK_PROVIDERS`.
const PROVIDERS: &str = "$WEBHOOK_PROVIDERS";

/// Writes out `{a,b}`: one path for each combination. `{name}` stays, it is a parameter.
///
/// # Errors
/// A brace without its partner, or more than [`ALTERNATIVES_MAX`] paths.
pub fn alternatives(path: &str, providers: &[String]) -> Result<Vec<String>, Mistake> {
    let mut paths = vec![String::new()];
    let mut left = path;
    while let Some((before, after)) = left.split_once('{') {
        let Some((inside, behind)) = after.split_once('}') else {
            return Err(Mistake::new(format!("`{path}` has a `{{` without `}}`"), "close the brace"));
        };
        let choices: Vec<String> = if inside == PROVIDERS {
            providers.to_vec()
        } else if inside.contains(',') {
            inside.split(',').map(str::to_owned).collect()
        } else {
            vec![format!("{{{inside}}}")]
        };
        if paths.len() * choices.len() > ALTERNATIVES_MAX {
            return Err(Mistake::new(format!("`{path}` stands for too many paths"), "split the row"));
        }
        let combine = |path: &String| {
            choices.iter().map(|choice| format!("{path}{before}{choice}")).collect::<Vec<String>>()
        };
        paths = paths.iter().flat_map(combine).collect();
        left = behind;
    }
    for path in &mut paths {
        path.push_str(left);
    }
    Ok(paths)
}

/// Reads a pattern. Literals keep their spelling.
///
/// # Errors
/// The first segment that cannot stand in a pattern.
pub fn segments(path: &str) -> Result<Vec<Segment>, Mistake> {
    let Some(words) = path.strip_prefix('/') else {
        return Err(Mistake::new(format!("`{path}` does not begin with `/`"), "write an absolute path"));
    };
    let mut segments = Vec::new();
    for word in words.split('/') {
        if segments.last() == Some(&Segment::Rest) {
            return Err(Mistake::new(format!("`{path}` goes on after `**`"), "let `**` be the last segment"));
        }
        let segment = segment(word).ok_or_else(|| {
            Mistake::new(
                format!("`{word}` cannot be a segment of `{path}`"),
                "use a literal of A-Z a-z 0-9 - . _ ~, a {parameter}, or a final **; `internal` never exists",
            )
        })?;
        if matches!(segment, Segment::Parameter(_)) && segments.contains(&segment) {
            return Err(Mistake::new(
                format!("`{path}` names {word} twice"),
                "give each parameter its own name",
            ));
        }
        segments.push(segment);
    }
    if segments.len() > PATTERN_SEGMENTS_MAX {
        return Err(Mistake::new(format!("`{path}` has too many segments"), "shorten the path"));
    }
    Ok(segments)
}

fn segment(word: &str) -> Option<Segment> {
    if word == "**" {
        return Some(Segment::Rest);
    }
    if let Some(name) = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return named.then(|| Segment::Parameter(name.to_owned()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let literal = (1..=LITERAL_BYTES_MAX).contains(&word.len())
        && word.bytes().all(plain)
        && !matches!(word, "." | "..")
        && !word.eq_ignore_ascii_case("internal");
    literal.then(|| Segment::Literal(word.to_owned()))
}

/// Index of the parameter `name` in a pattern.
#[must_use]
pub fn parameter(segments: &[Segment], name: &str) -> Option<u8> {
    let named = |segment: &Segment| matches!(segment, Segment::Parameter(parameter) if parameter == name);
    segments.iter().position(named).and_then(|index| u8::try_from(index).ok())
}

/// The upstream (or successor) template a row means: `=` is the public path itself, `FROM => TO` replaces its
/// leading `FROM`, anything else is written out.
///
/// # Errors
/// `FROM` is not a prefix of whole segments.
pub fn rewrite(path: &str, words: &str) -> Result<String, Mistake> {
    if words == "=" {
        return Ok(path.to_owned());
    }
    let Some((from, to)) = words.split_once("=>") else { return Ok(words.to_owned()) };
    let (from, to) = (from.trim(), to.trim());
    match path.strip_prefix(from) {
        Some(left) if left.is_empty() || left.starts_with('/') => Ok(format!("{to}{left}")),
        _ => Err(Mistake::new(format!("`{path}` does not begin with `{from}`"), "name a prefix of the path")),
    }
}

/// Ties an upstream template to the pattern whose parameters it names.
///
/// # Errors
/// A parameter or remainder that the pattern lacks, or a remainder that would be lost.
pub fn parts(upstream: &str, pattern: &[Segment]) -> Result<Vec<Part>, Mistake> {
    let mut parts = Vec::new();
    let rest = pattern.iter().position(|segment| *segment == Segment::Rest);
    let rest = rest.and_then(|index| u8::try_from(index).ok());
    for segment in segments(upstream)? {
        match (segment, rest, parts.last_mut()) {
            (Segment::Literal(word), _, Some(Part::Literal(text))) => {
                text.push('/');
                text.push_str(&word);
            }
            (Segment::Literal(word), _, _) => parts.push(Part::Literal(format!("/{word}"))),
            (Segment::Parameter(name), _, _) => {
                let Some(index) = parameter(pattern, &name) else {
                    let what = format!("`{upstream}` names {{{name}}}, which the path does not have");
                    return Err(Mistake::new(what, "use the path's parameters"));
                };
                parts.push(Part::Segment(index));
            }
            (Segment::Rest, Some(index), _) => parts.push(Part::RestFrom(index)),
            (Segment::Rest, None, _) => {
                let what = format!("`{upstream}` ends in `**`, the path does not");
                return Err(Mistake::new(what, "end both in `**` or neither"));
            }
        }
    }
    if rest.is_some() && !matches!(parts.last(), Some(Part::RestFrom(_))) {
        let what = format!("`{upstream}` drops what `**` matched");
        return Err(Mistake::new(what, "end both in `**` or neither"));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
