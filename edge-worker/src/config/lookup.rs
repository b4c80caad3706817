//! The chosen value of each setting, checked against its rule, with typed access for the files of the nouns.

use super::environment::Source;
use super::host;
use super::problem::Report;
use super::rule;
use super::settings::{self, Form, Preset, Setting};
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};
use std::collections::{BTreeMap, BTreeSet};

/// A value with its origin. It may be secret, so it has no `Debug`.
#[derive(Clone)]
pub struct Value {
    pub text: String,
    pub source: Source,
    /// The variable, and file and line where there are some.
    pub place: String,
    pub setting: &'static Setting,
}

/// Every value of a configuration. Only values that pass their rule are in it.
pub struct Lookup {
    values: BTreeMap<String, Value>,
    /// Set, but wrong: nobody needs to be told that it is missing.
    faulty: BTreeSet<String>,
    pub report: Report,
}

/// One line of `check --print`: the sanitised effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub name: String,
    /// `set` or `unset` for secrets.
    pub value: String,
    pub source: Source,
}

impl Lookup {
    /// Checks all values against their rules and fills in fixed defaults.
    #[must_use]
    pub fn new(values: BTreeMap<String, Value>, faulty: Vec<String>, report: Report) -> Lookup {
        let mut lookup = Lookup { values: BTreeMap::new(), faulty: faulty.into_iter().collect(), report };
        for (name, value) in values {
            match value.setting.rule.check(&value.text) {
                Ok(()) => {
                    lookup.announce(&name, &value);
                    lookup.values.insert(name, value);
                }
                Err(complaint) => {
                    let remedy = complaint.remedy.map_or_else(|| advice(value.setting), ToOwned::to_owned);
                    lookup.report.problem(value.place, complaint.what, remedy);
                    lookup.faulty.insert(name);
                }
            }
        }
        for setting in settings::all() {
            if let Preset::Text(text) = setting.preset {
                for (name, _) in setting.variables() {
                    lookup.preset(&name, text);
                }
            }
        }
        lookup
    }

    /// Says so when a variable is set whose feature is not there yet.
    fn announce(&mut self, name: &str, value: &Value) {
        if let Some(feature) = value.setting.later {
            self.report.notice(format!("{name} is set and valid; it takes effect with {feature}"));
        }
    }

    /// Gives a setting its computed default; one that is set keeps its value.
    pub fn preset(&mut self, name: &str, text: &str) {
        let Some(variable) = settings::find(name) else { return };
        let value = || Value {
            text: text.to_owned(),
            source: Source::Preset,
            place: name.to_owned(),
            setting: variable.setting,
        };
        self.values.entry(name.to_owned()).or_insert_with(value);
    }

    /// Whether some source set it to a legal value.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.source != Source::Preset)
    }

    /// Whether some source set it, legal or not.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.is_set(name) || self.faulty.contains(name)
    }

    /// Whether what was set has been reported as wrong.
    #[must_use]
    pub fn is_faulty(&self, name: &str) -> bool {
        self.faulty.contains(name)
    }

    /// Takes a value back that only a later check found wrong, and reports it.
    pub fn refuse(&mut self, name: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.problem(name, what, remedy);
        self.faulty.insert(name.to_owned());
        self.values.remove(name);
    }

    /// The value or its default.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str())
    }

    /// Where a problem with this variable is to be reported.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        self.values.get(name).map_or_else(|| name.to_owned(), |value| value.place.clone())
    }

    pub fn problem(&mut self, name: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let place = self.place(name);
        self.report.problem(place, what, remedy);
    }

    pub fn warning(&mut self, name: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let place = self.place(name);
        self.report.warning(place, what, remedy);
    }

    /// A problem if nobody set it and it has no default; silent if what was set has been reported already.
    pub fn require(&mut self, name: &str, why: &str, remedy: &str) {
        if self.text(name).is_none() && !self.is_faulty(name) {
            self.report.problem(name, format!("is not set, and {why}"), remedy);
        }
    }

    /// A whole number that has a default.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.number_if_set(name).expect("the table gives a default that passes the rule")
    }

    #[must_use]
    pub fn number_if_set(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(rule::whole_number)
    }

    /// A byte size that has a default.
    #[must_use]
    pub fn bytes(&self, name: &str) -> u64 {
        self.text(name).and_then(host::bytes).expect("the table gives a default that passes the rule")
    }

    /// A true or false that has a default.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).and_then(rule::flag).expect("the table gives a default that passes the rule")
    }

    /// The entries of a list; empty if unset.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        self.text(name).map(|text| host::entries(text).map(ToOwned::to_owned).collect()).unwrap_or_default()
    }

    /// The networks of a CIDR list; empty if unset.
    #[must_use]
    pub fn networks(&self, name: &str) -> Vec<ipnet::IpNet> {
        self.list(name).iter().filter_map(|entry| host::networks(entry)).flatten().collect()
    }

    /// A word that has a default, as the enum whose serde names are the words.
    #[must_use]
    pub fn word<T: serde::de::DeserializeOwned>(&self, name: &str) -> T {
        self.text(name).and_then(word).expect("the table lists the enum's words and gives one as default")
    }

    /// A list of words as enum values.
    #[must_use]
    pub fn words<T: serde::de::DeserializeOwned>(&self, name: &str) -> Vec<T> {
        self.list(name).iter().filter_map(|entry| word(entry)).collect()
    }

    /// The set members of an open family: what follows the prefix, and the value.
    #[must_use]
    pub fn family(&self, prefix: &str) -> Vec<(&str, &str)> {
        self.values
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value.text.as_str())))
            .collect()
    }

    /// All values that are set or have a default, sanitised, in the order of the table.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        let mut all = Vec::new();
        for setting in settings::all() {
            let mut names: Vec<String> = setting.variables().into_iter().map(|(name, _)| name).collect();
            if setting.is_open() {
                let prefix = setting.name.trim_end_matches("<ID>");
                names = self.values.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
            }
            let family = setting.name.contains('<');
            for name in names.into_iter().filter(|name| !family || self.values.contains_key(name)) {
                all.push(self.effective_value(name, setting.form));
            }
        }
        all
    }

    fn effective_value(&self, name: String, form: Form) -> Effective {
        let Some(value) = self.values.get(&name) else {
            return Effective { name, value: "unset".to_owned(), source: Source::Preset };
        };
        let shown =
            if form == Form::Plain { value.text.escape_debug().to_string() } else { "set".to_owned() };
        Effective { name, value: shown, source: value.source }
    }
}

/// The enum value whose serde name is `text`.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let deserializer: StrDeserializer<'_, WordError> = text.into_deserializer();
    T::deserialize(deserializer).ok()
}

fn advice(setting: &Setting) -> String {
    match setting.preset {
        Preset::Text(text) => format!("correct it, or remove it to get the default `{text}`"),
        Preset::Rule(words) => format!("correct it, or remove it to get the default ({words})"),
        Preset::Unset => "correct it or remove it".to_owned(),
    }
}

#[cfg(test)]
mod tests;
