//! Reads a route table from TOML: the built-in one, or the one of `floodgate.toml`.

use super::pattern::Mistake;
use super::{Row, check, expand};
use crate::config::problem::Problem;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;
use toml::Value;

/// A configuration file that may hold `routes`: its name for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

/// The TicketToken table.
pub const BUILT_IN: Source<'static> = Source { name: "built-in routes", text: include_str!("platform.toml") };

/// A row and the place where it was written.
pub(super) struct Placed {
    pub row: Row,
    pub place: String,
    /// The id under which `SUNSET_<id>` is looked up; an alias has its own.
    pub alias: String,
}

/// Reads, expands and checks the table. A file that has `routes` replaces the built-in table whole.
/// `webhook_providers` are the names that `{$WEBHOOK_PROVIDERS}` stands for, `sunset` pairs the id of a
/// deprecated row with the HTTP date on which it ends.
///
/// # Errors
/// Every problem found, each with its line.
pub fn load(
    file: Option<Source<'_>>,
    webhook_providers: &[String],
    sunset: &[(String, String)],
) -> Result<Vec<Row>, Vec<Problem>> {
    let mut problems = Vec::new();
    let (source, document) = match document(file) {
        Ok(found) => found,
        Err(problem) => return Err(vec![problem]),
    };
    check_providers(webhook_providers, &mut problems);
    let mut placed = Vec::new();
    for (index, table) in document.routes.iter().flatten().enumerate() {
        let place = place(source, table.span().start, &format!("routes[{index}]"));
        let fields = Fields::new(table.get_ref(), source, &place, &mut problems);
        placed.extend(expand::rows(fields, webhook_providers, &place));
    }
    for (index, table) in document.route_aliases.iter().enumerate() {
        let place = place(source, table.span().start, &format!("route_aliases[{index}]"));
        let fields = Fields::new(table.get_ref(), source, &place, &mut problems);
        let aliases = expand::aliases(fields, &placed, &place);
        placed.extend(aliases);
    }
    check::rows(&placed, &mut problems);
    set_sunsets(&mut placed, sunset, &mut problems);
    if problems.is_empty() {
        Ok(placed.into_iter().map(|placed| placed.row).collect())
    } else {
        Err(problems)
    }
}

#[derive(Deserialize)]
struct Document {
    routes: Option<Vec<Spanned<Table>>>,
    #[serde(default)]
    route_aliases: Vec<Spanned<Table>>,
}

type Table = BTreeMap<String, Spanned<Value>>;

fn document(file: Option<Source<'_>>) -> Result<(Source<'_>, Document), Problem> {
    if let Some(source) = file {
        let document = read(source)?;
        if document.routes.is_some() {
            return Ok((source, document));
        }
        if let Some(alias) = document.route_aliases.first() {
            let place = place(source, alias.span().start, "route_aliases[0]");
            return Err(Problem::new(
                place,
                "the file has aliases but no routes",
                "add routes, or remove both",
            ));
        }
    }
    Ok((BUILT_IN, read(BUILT_IN)?))
}

fn read(source: Source<'_>) -> Result<Document, Problem> {
    toml::from_str(source.text).map_err(|fault| {
        let start = fault.span().map_or(0, |span| span.start);
        let what = fault.message().trim().replace('\n', ", ");
        Problem::new(place(source, start, "routes"), what, "see docs/reference/routes.md")
    })
}

fn place(source: Source<'_>, offset: usize, item: &str) -> String {
    let before = source.text.as_bytes().get(..offset).unwrap_or_default();
    format!("{}:{} {item}", source.name, 1 + memchr::memchr_iter(b'\n', before).count())
}

fn check_providers(providers: &[String], problems: &mut Vec<Problem>) {
    for provider in providers {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if provider.is_empty() || !provider.bytes().all(plain) {
            problems.push(Problem::new(
                "WEBHOOK_PROVIDERS",
                format!("`{provider}` cannot be a path segment"),
                "use names of a-z 0-9 and -, separated by commas",
            ));
        }
    }
}

fn set_sunsets(placed: &mut [Placed], sunset: &[(String, String)], problems: &mut Vec<Problem>) {
    for (id, date) in sunset {
        let mut used = false;
        for alias in placed.iter_mut().filter(|placed| placed.alias == *id) {
            if alias.row.notes.deprecated.is_some() {
                alias.row.notes.sunset = Some(date.clone());
                used = true;
            }
        }
        if !used {
            let place = format!("SUNSET_{id}");
            problems.push(Problem::new(place, "no deprecated route has this id", "name a deprecated route"));
        }
    }
}

/// The keys of one table. What is wrong is collected; what nobody asked for is a problem as well.
pub(super) struct Fields<'t> {
    table: &'t Table,
    source: Source<'t>,
    place: &'t str,
    asked: BTreeSet<&'static str>,
    problems: &'t mut Vec<Problem>,
}

impl<'t> Fields<'t> {
    fn new(table: &'t Table, source: Source<'t>, place: &'t str, problems: &'t mut Vec<Problem>) -> Self {
        Fields { table, source, place, asked: BTreeSet::new(), problems }
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<&'t str> {
        let value = self.value(key)?;
        let text = value.as_str();
        self.expect(key, text, "is not a text", "write it in quotes")
    }

    /// A text that must be there.
    pub fn required_text(&mut self, key: &'static str) -> Option<&'t str> {
        if !self.table.contains_key(key) {
            self.fault(key, Mistake::new("is missing", "every row needs it"));
        }
        self.text(key)
    }

    /// `true` or `false`; absent is false.
    pub fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.value(key) else { return false };
        self.expect(key, value.as_bool(), "is not a flag", "write true or false").unwrap_or(false)
    }

    /// A whole number from 1 to `most`.
    pub fn number(&mut self, key: &'static str, most: u32) -> Option<u32> {
        let value = self.value(key)?;
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=most).contains(number));
        self.expect(key, number, &format!("is not a number from 1 to {most}"), "write whole seconds")
    }

    /// A text or a list of texts.
    pub fn texts(&mut self, key: &'static str) -> Vec<&'t str> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let texts = match value {
            Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<Vec<&str>>>(),
            other => other.as_str().map(|text| vec![text]),
        };
        self.expect(key, texts, "is not a text or a list of texts", "write them in quotes")
            .unwrap_or_default()
    }

    /// Bytes: a number, or a text such as `64KiB`.
    pub fn bytes(&mut self, key: &'static str) -> Option<u64> {
        let value = self.value(key)?;
        let bytes = match value {
            Value::String(text) => size(text),
            other => other.as_integer().and_then(|number| u64::try_from(number).ok()),
        };
        self.expect(key, bytes, "is not a size", "write bytes, or a text such as \"64KiB\" or \"10MiB\"")
    }

    /// One of the words of `choices`.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let word = self.text(key)?;
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.expect(key, found, &format!("is none of: {}", names.join(" ")), "use one of them")
    }

    /// Whether the key is written at all.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes a mistake in the value of `key`, with its line.
    pub fn fault(&mut self, key: &str, mistake: Mistake) {
        let place = match self.table.get(key) {
            Some(value) => {
                let item = self.place.split(' ').next_back().unwrap_or_default();
                place(self.source, value.span().start, &format!("{item}.{key}"))
            }
            None => format!("{}.{key}", self.place),
        };
        self.problems.push(Problem::new(place, mistake.what, mistake.remedy));
    }

    /// The value, or its mistake noted.
    pub fn accept<T>(&mut self, key: &str, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.fault(key, mistake)).ok()
    }

    /// Notes every key that no one asked for.
    pub fn finish(mut self) {
        let table = self.table;
        for key in table.keys().filter(|key| !self.asked.contains(key.as_str())).collect::<Vec<_>>() {
            self.fault(key, Mistake::new("is not a key of this table", "remove it or correct its spelling"));
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Value> {
        self.asked.insert(key);
        self.table.get(key).map(Spanned::get_ref)
    }

    fn expect<T>(&mut self, key: &str, value: Option<T>, what: &str, remedy: &'static str) -> Option<T> {
        if value.is_none() {
            self.fault(key, Mistake::new(what, remedy));
        }
        value
    }
}

fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1024),
        (_, Some(digits)) => (digits, 1024 * 1024),
        _ => return None,
    };
    digits.parse::<u32>().ok().map(|count| u64::from(count) * unit)
}

#[cfg(test)]
mod tests;
