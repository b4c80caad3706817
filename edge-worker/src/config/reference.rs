//! Writes `docs/reference/settings.md` from the tables of settings and services.

use super::services::{Criticality, SERVICES};
use super::settings::{Form, GROUPS, IGNORED, Preset, Setting};
use std::fmt::Write;

/// The reference page.
#[must_use]
pub fn settings_reference() -> String {
    let mut page = String::from(HEAD);
    for group in GROUPS {
        let _ = write!(page, "\n## {}\n\n{COLUMNS}", group.title);
        for setting in group.settings {
            page.push_str(&row(setting));
        }
        if group.title == "Services" {
            page.push_str(&services());
        }
    }
    let ignored = IGNORED.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let _ = write!(
        page,
        "\n## Accepted without effect\n\n{ignored}, `JWT_*_EXPIRY`: named once in the start log.\n"
    );
    page
}

fn row(setting: &Setting) -> String {
    let preset = match setting.preset {
        Preset::Unset => "–".to_owned(),
        Preset::Text(text) => format!("`{text}`"),
        Preset::Rule(words) => words.to_owned(),
    };
    let required = if setting.required.is_empty() { "–" } else { setting.required };
    let form = match setting.form {
        Form::Plain => "",
        Form::Long => " May come as `_FILE`.",
        Form::Secret => " Secret; may come as `_FILE`.",
    };
    let alias = setting.alias.map(|name| format!(" Older spelling `{name}`.")).unwrap_or_default();
    let later =
        setting.later.map(|what| format!(" **Validated; takes effect with {what}.**")).unwrap_or_default();
    format!(
        "| `{}` | `{}` | {preset} | {required} | {} | {}.{form}{alias}{later} |\n",
        setting.name,
        setting.key,
        setting.rule.text(),
        setting.meaning
    )
}

fn services() -> String {
    let mut table = String::from(SERVICES_HEAD);
    for service in &SERVICES {
        let criticality = match service.criticality {
            Criticality::Ready => "gates readiness",
            Criticality::Business => "pages on-call",
            Criticality::Normal => "–",
        };
        let _ = writeln!(
            table,
            "| {} | `{}` | `http://127.0.0.1:{}` | {criticality} | {} / {} | {} MiB | {} / {} / {} | `{}` | {} |",
            service.name,
            service.variable(),
            service.development_port,
            service.read_timeout_s,
            service.write_timeout_s,
            service.body_mib,
            service.breaker.error_percent,
            service.breaker.reset_ms / 1_000,
            service.breaker.volume,
            service.health_path,
            service.in_flight_max
        );
    }
    table
}

const HEAD: &str = "\
# Settings

Generated from the tables in `edge-worker/src/config/`; `FLOODGATE_BLESS=1 cargo test --test docs` rewrites this page.

Every setting is a variable and a key of the optional `floodgate.toml`. The order, strongest first: command line,
process environment, environment file (`--env-file`, `/etc/floodgate/environment` if present), `floodgate.toml`,
default. A variable that two of them set differently is named in the start log. An empty value counts as unset.

A variable marked `_FILE` may instead be given as `NAME_FILE` (key `name_file`) with the path of a file that holds the
value, such as a systemd credential; both together are an error. One line end at the end of the file is dropped.

`<NAME>` is a service in capitals (`HEALTH_PATH_VENUE`), `<ID>` a row of the route table (`SUNSET_T9`). Lists may be
written as TOML arrays. All problems are reported at once, without values, and end the start with exit code 78.
`floodgate check` does only that; `floodgate check --print` shows the effective configuration without secrets.
";

const COLUMNS: &str = "\
| variable | key in floodgate.toml | default | required | rule | meaning |
|---|---|---|---|---|---|
";

const SERVICES_HEAD: &str = "
| service `<NAME>` | variable | default in development | criticality | read / write deadline s | body | \
circuit: error % / reset s / volume | health path | in flight |
|---|---|---|---|---|---|---|---|---|
";

#[cfg(test)]
mod tests;
