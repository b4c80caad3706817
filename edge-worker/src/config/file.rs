//! floodgate.toml: every setting under a readable key, and the route table if it is to be replaced.

use super::environment::{Assignment, Source};
use super::problem::Report;
use super::routes;
use super::settings::{self, Form};
use super::suggestion;
use toml::de::{DeTable, DeValue};

/// A parsed floodgate.toml.
pub struct File {
    path: String,
    text: String,
}

impl File {
    /// Parses the text; syntax errors are reported, all of them.
    pub fn parse(path: &str, text: String, report: &mut Report) -> Option<File> {
        let (_, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            let message = error.message().replace('\n', " ");
            report.problem(format!("{path}:{line}"), format!("is not TOML ({message})"), "correct the line");
        }
        errors.is_empty().then(|| File { path: path.to_owned(), text })
    }

    /// Name and text, for `routes::load`.
    #[must_use]
    pub fn source(&self) -> routes::Source<'_> {
        routes::Source { name: &self.path, text: &self.text }
    }

    /// Every setting of the file as an assignment; unknown keys and unfit values are reported.
    pub fn assignments(&self, report: &mut Report) -> Vec<Assignment> {
        let (table, _) = DeTable::parse_recoverable(&self.text);
        let mut walk = Walk { file: self, report, found: Vec::new() };
        walk.table("", table.get_ref());
        walk.found
    }
}

/// One pass over the document.
struct Walk<'a> {
    file: &'a File,
    report: &'a mut Report,
    found: Vec<Assignment>,
}

impl Walk<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let line = line_of(&self.file.text, name.span().start);
            if key == ROUTES {
                continue;
            }
            match value.get_ref() {
                DeValue::Table(inner) if is_table(&key) => self.table(&key, inner),
                value => self.entry(&key, value, format!("{}:{line} {key}", self.file.path)),
            }
        }
    }

    fn entry(&mut self, key: &str, value: &DeValue<'_>, place: String) {
        if is_table(key) {
            self.report.problem(
                place,
                "is a table, not a value",
                "see docs/reference/settings.md for its keys",
            );
            return;
        }
        let Some(name) = variable(key) else {
            let known = known_keys_and_tables();
            self.report.problem(
                place,
                "is not a key",
                suggestion::remedy(key, known.iter().map(String::as_str)),
            );
            return;
        };
        match text(value) {
            Some(text) => {
                self.found.push(Assignment { name, text, source: Source::File, place: Some(place) })
            }
            None => {
                let what = format!("is of a wrong type ({})", value.type_str());
                self.report.problem(place, what, "write a string, number, boolean or a list of strings");
            }
        }
    }
}

/// The variable a key stands for; `_file` keys name `X_FILE`.
fn variable(key: &str) -> Option<String> {
    if let Some(variable) = settings::find_key(key) {
        return Some(variable.canonical);
    }
    let variable = settings::find_key(key.strip_suffix("_file")?)?;
    (variable.setting.form != Form::Plain).then(|| format!("{}_FILE", variable.canonical))
}

/// Whether some key lies below this one.
fn is_table(key: &str) -> bool {
    let prefix = format!("{key}.");
    known_keys().iter().any(|known| known.starts_with(&prefix))
}

fn known_keys() -> Vec<String> {
    let keys = |setting: &settings::Setting| {
        if setting.is_open() {
            vec![setting.key.to_owned()]
        } else {
            setting.variables().into_iter().map(|pair| pair.1).collect()
        }
    };
    settings::all().flat_map(keys).collect()
}

/// Keys, and the tables that they lie in.
fn known_keys_and_tables() -> Vec<String> {
    let mut all = known_keys();
    let tables: Vec<String> =
        all.iter().filter_map(|key| key.rsplit_once('.')).map(|(table, _)| table.to_owned()).collect();
    all.extend(tables);
    all
}

/// A scalar, or a list of scalars, as the text of a variable.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Array(entries) => {
            let entries: Option<Vec<String>> = entries.iter().map(|entry| scalar(entry.get_ref())).collect();
            Some(entries?.join(","))
        }
        value => scalar(value),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The line, from 1, of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The array of tables that replaces the built-in route table.
const ROUTES: &str = "routes";

#[cfg(test)]
mod tests;
