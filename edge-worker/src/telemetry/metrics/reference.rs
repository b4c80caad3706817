//! `docs/reference/metrics.md`, written from the table.

use super::{Definition, Kind, TABLE, Unit, Values};
use crate::http::header_rules::StrippedHeader;

/// The page. A golden test compares it with the file.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("| name | type | labels | what it says |\n|---|---|---|---|\n");
    for definition in TABLE {
        let labels: Vec<_> = definition.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            definition.name,
            definition.kind.word(),
            labels.join(", "),
            definition.help,
        ));
    }
    page.push_str(
        "\n## Buckets\n\nUpper bounds, inclusive; `+Inf` follows.\n\n| histogram | bounds |\n|---|---|\n",
    );
    for definition in TABLE.iter().filter(|definition| definition.kind == Kind::Histogram) {
        page.push_str(&format!("| `{}` | {} |\n", definition.name, bounds(definition)));
    }
    page.push_str("\n## Label words\n\n| metric | label | values |\n|---|---|---|\n");
    for definition in TABLE {
        for label in definition.labels {
            page.push_str(&format!(
                "| `{}` | `{}` | {} |\n",
                definition.name,
                label.name,
                values(label.values)
            ));
        }
    }
    page
}

fn bounds(definition: &Definition) -> String {
    let divisor = definition.unit.divisor();
    let unit = if definition.unit == Unit::Nanoseconds { "s" } else { "bytes" };
    let texts: Vec<_> =
        definition.buckets.iter().map(|bound| (*bound as f64 / divisor).to_string()).collect();
    format!("{} {unit}", texts.join(" "))
}

fn values(values: Values) -> String {
    match values {
        Values::Name(shm::names::NameKind::Route) => "the route's template, or `unmatched`".to_owned(),
        Values::Name(_) => "a service's name".to_owned(),
        Values::Method => "a method of the route table, or `OTHER`".to_owned(),
        Values::Check => "`redis`, or a service's name".to_owned(),
        Values::Number => "a decimal number".to_owned(),
        Values::Downstream => {
            "a status code, or `connect_error`, `timeout`, `reset`, `breaker_open`, `aborted`".to_owned()
        }
        Values::Reason => "the reason of the refusal, as in `docs/reference/errors.md`".to_owned(),
        Values::StrippedHeader => listed(StrippedHeader::ALL.map(StrippedHeader::label)),
        Values::Words(words) => listed(words.iter().copied()),
        Values::Text => "text".to_owned(),
    }
}

fn listed(words: impl IntoIterator<Item = &'static str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
}

const INTRODUCTION: &str = "\
# Metrics

Generated from `edge-worker/src/telemetry/metrics.rs`; `FLOODGATE_BLESS=1 cargo test docs` rewrites it.

One registry for all workers of a node: counters are sums over every worker that ever ran since the region
was made, so they never go back when a worker is replaced. No label holds a tenant, a user, an address or a
raw path. Text exposition format 0.0.4.

";
