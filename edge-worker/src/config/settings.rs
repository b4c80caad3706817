//! The list of settings: name, key in floodgate.toml, rule, default, meaning. Everything else is derived from it.

use super::rule::Rule;
use super::services::SERVICES;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One variable, or a family of variables such as `HEALTH_PATH_<NAME>`.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The variable; `<NAME>` stands for a service in capitals, `<ID>` for a row of the route table.
    pub name: &'static str,
    /// The key in floodgate.toml; `<name>` and `<id>` as above.
    pub key: &'static str,
    pub rule: Rule,
    pub form: Form,
    pub preset: Preset,
    /// When it must be set, in words; empty means never.
    pub required: &'static str,
    /// An older spelling.
    pub alias: Option<&'static str>,
    /// The feature with which it takes effect; `None` means it has effect now.
    pub later: Option<&'static str>,
    pub meaning: &'static str,
}

/// Where a value may stand and whether it may be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// Public, but long: may come as `X_FILE`, printed as set or unset.
    Long,
    /// May come as `X_FILE`, printed as set or unset.
    Secret,
}

/// What holds when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Unset,
    Text(&'static str),
    /// Depends on other settings; in words.
    Rule(&'static str),
}

impl Setting {
    pub const fn new(name: &'static str, key: &'static str, rule: Rule, meaning: &'static str) -> Setting {
        Setting {
            name,
            key,
            rule,
            form: Form::Plain,
            preset: Preset::Unset,
            required: "",
            alias: None,
            later: None,
            meaning,
        }
    }

    pub const fn preset(self, text: &'static str) -> Setting {
        Setting { preset: Preset::Text(text), ..self }
    }

    pub const fn preset_rule(self, words: &'static str) -> Setting {
        Setting { preset: Preset::Rule(words), ..self }
    }

    pub const fn required(self, when: &'static str) -> Setting {
        Setting { required: when, ..self }
    }

    pub const fn secret(self) -> Setting {
        Setting { form: Form::Secret, ..self }
    }

    pub const fn long(self) -> Setting {
        Setting { form: Form::Long, ..self }
    }

    pub const fn alias(self, name: &'static str) -> Setting {
        Setting { alias: Some(name), ..self }
    }

    pub const fn later(self, feature: &'static str) -> Setting {
        Setting { later: Some(feature), ..self }
    }

    /// Every variable this stands for, with its key: one, or one for each service. Families over route ids
    /// are open and give none.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        if self.name.contains("<NAME>") {
            let variable = |name: &str| self.name.replace("<NAME>", &name.to_ascii_uppercase());
            let key = |name: &str| self.key.replace("<name>", name);
            return SERVICES.iter().map(|service| (variable(service.name), key(service.name))).collect();
        }
        if self.is_open() { Vec::new() } else { vec![(self.name.to_owned(), self.key.to_owned())] }
    }

    /// Whether the members of the family cannot be listed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.name.ends_with("<ID>")
    }
}

/// A group of settings: one table of floodgate.toml, one heading of the reference.
pub struct Group {
    pub title: &'static str,
    pub settings: &'static [Setting],
}

/// All settings in the order of the reference and of `check --print`.
pub const GROUPS: &[Group] = &[
    Group { title: "Server", settings: super::server::SETTINGS },
    Group { title: "Services", settings: super::services::SETTINGS },
    Group { title: "Bulkheads", settings: super::bulkheads::SETTINGS },
    Group { title: "Instances", settings: super::instances::SETTINGS },
    Group { title: "Tokens", settings: super::tokens::SETTINGS },
    Group { title: "Redis", settings: super::redis::SETTINGS },
    Group { title: "Look-ups at services", settings: super::lookups::SETTINGS },
    Group { title: "Headers and addresses", settings: super::headers::SETTINGS },
    Group { title: "Limits", settings: super::limits::SETTINGS },
    Group { title: "Shedding", settings: super::shedding::SETTINGS },
    Group { title: "Rate limits", settings: super::announced::RATE_LIMITS },
    Group { title: "Sale and cache", settings: super::announced::FEATURES },
    Group { title: "Routes", settings: super::announced::ROUTES },
    Group { title: "Logs, metrics, traces", settings: super::telemetry::SETTINGS },
];

/// Variables of the gateway before this one: accepted without effect, so that its environment file still works.
pub const IGNORED: &[&str] = &[
    "ENABLE_SWAGGER",
    "SWAGGER_HOST",
    "SERVICE_NAME",
    "USE_NEW_HMAC",
    "ALLOWED_INTERNAL_SERVICES",
    "JWT_ACCESS_SECRET",
    "JWT_REFRESH_SECRET",
    "CIRCUIT_BREAKER_TIMEOUT",
];

/// Whether a variable is accepted without effect; `JWT_*_EXPIRY` is a family.
#[must_use]
pub fn is_ignored(name: &str) -> bool {
    IGNORED.contains(&name) || (name.starts_with("JWT_") && name.ends_with("_EXPIRY"))
}

pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings.iter())
}

/// The setting that a variable belongs to, by its own name or its older spelling.
#[must_use]
pub fn find(name: &str) -> Option<Variable> {
    let closed = INDEX.names.get(name).cloned();
    closed.or_else(|| open_family(|setting| (setting.name.trim_end_matches("<ID>"), setting.name), name))
}

/// The setting that a key of floodgate.toml belongs to.
#[must_use]
pub fn find_key(key: &str) -> Option<Variable> {
    let closed = INDEX.keys.get(key).cloned();
    closed.or_else(|| open_family(|setting| (setting.key.trim_end_matches("<id>"), setting.name), key))
}

/// A member of a family over row ids: what the prefix leaves over must look like one.
fn open_family(
    prefix_and_name: impl Fn(&Setting) -> (&'static str, &'static str),
    text: &str,
) -> Option<Variable> {
    all().filter(|setting| setting.is_open()).find_map(|setting| {
        let (prefix, name) = prefix_and_name(setting);
        let id = text.strip_prefix(prefix).filter(|id| is_row_id(id))?;
        Some(Variable { setting, canonical: name.replace("<ID>", id) })
    })
}

/// Every closed variable by name, older spelling and key.
struct Index {
    names: BTreeMap<String, Variable>,
    keys: BTreeMap<String, Variable>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index { names: BTreeMap::new(), keys: BTreeMap::new() };
    for setting in all() {
        for (canonical, key) in setting.variables() {
            let variable = Variable { setting, canonical: canonical.clone() };
            if let Some(alias) = setting.alias {
                index.names.insert(alias.to_owned(), variable.clone());
            }
            index.keys.insert(key, variable.clone());
            index.names.insert(canonical, variable);
        }
    }
    index
});

fn is_row_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A variable that a source named, resolved.
#[derive(Clone, Debug)]
pub struct Variable {
    pub setting: &'static Setting,
    /// The name under which its value is kept.
    pub canonical: String,
}

#[cfg(test)]
mod tests;
