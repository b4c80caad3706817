//! The table for people: `floodgate routes` and `docs/reference/routes.md`.

use super::{Idempotency, Local, Notes, Part, Row, Segment, ShedClass, StalePolicy, Target, load};
use crate::config::services::{Service, ServiceId};
use crate::http::method::{Method, MethodSet};

/// The table as `floodgate routes` prints it: one line a row, with what the service's own values fill in.
#[must_use]
pub fn print(rows: &[Row], services: &[Service]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| cells(row, services)));
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> = line
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(&lines, column)))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The text of `docs/reference/routes.md`.
#[must_use]
pub fn reference() -> String {
    let providers = ["mandrill".to_owned()];
    let rows = load::load(None, &providers, &[]).expect("the built-in table is checked by a test");
    let mut text = REFERENCE.to_owned();
    text.push_str(&format!("| {} |\n|{}\n", HEADINGS.join(" | "), "---|".repeat(HEADINGS.len())));
    for row in &rows {
        let cells = cells(row, &[]).map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

const HEADINGS: [&str; 9] =
    ["id", "methods", "path", "access", "upstream", "time-out s", "body", "shed", "notes, reason if public"];

fn width(lines: &[[String; 9]], column: usize) -> usize {
    lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
}

fn cells(row: &Row, services: &[Service]) -> [String; 9] {
    let service = match row.target {
        Target::Service { service, .. } => services.get(usize::from(service.0)),
        Target::Local(_) | Target::Deny => None,
    };
    [
        row.id.clone(),
        methods(row.methods),
        row.template.clone(),
        if row.target == Target::Deny { "deny".to_owned() } else { row.access.words(&row.segments) },
        upstream(row),
        timeout(row, service),
        body(row, service),
        class(row.class).to_owned(),
        notes(row),
    ]
}

fn methods(methods: MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names
        .join(" ")
        .replace("GET HEAD POST PUT PATCH DELETE", "A")
        .replace("GET HEAD", "R")
        .replace("POST PUT PATCH DELETE", "W")
}

fn upstream(row: &Row) -> String {
    match &row.target {
        Target::Deny => "404".to_owned(),
        Target::Local(Local::ServiceHealth(service)) => format!("edge: health of {}", name(*service)),
        Target::Local(_) => "edge".to_owned(),
        Target::Service { service, upstream } => {
            let mut text = format!("{} ", name(*service));
            for part in upstream {
                match part {
                    Part::Literal(literal) => text.push_str(literal),
                    Part::RestFrom(_) => text.push_str("/**"),
                    Part::Segment(index) => match row.segments.get(usize::from(*index)) {
                        Some(Segment::Parameter(name)) => text.push_str(&format!("/{{{name}}}")),
                        _ => text.push_str("/{}"),
                    },
                }
            }
            text
        }
    }
}

fn name(service: ServiceId) -> &'static str {
    service.defaults().map_or("?", |service| service.name)
}

fn timeout(row: &Row, service: Option<&Service>) -> String {
    let reads = row.methods.contains(Method::Get);
    let writes = row.methods.iter().any(|method| !method.is_read());
    match (&row.target, row.timeout_ms, service) {
        (Target::Local(_) | Target::Deny, _, _) => String::new(),
        (_, Some(timeout_ms), _) => seconds(timeout_ms),
        (_, None, Some(service)) if reads && writes => {
            format!("{} / {}", seconds(service.read_timeout_ms), seconds(service.write_timeout_ms))
        }
        (_, None, Some(service)) if reads => seconds(service.read_timeout_ms),
        (_, None, Some(service)) => seconds(service.write_timeout_ms),
        (_, None, None) => "service".to_owned(),
    }
}

fn seconds(milliseconds: u64) -> String {
    match milliseconds % 1000 {
        0 => format!("{}", milliseconds / 1000),
        left => format!("{}.{left:03}", milliseconds / 1000),
    }
}

fn body(row: &Row, service: Option<&Service>) -> String {
    match (row.body_bytes_max, service) {
        _ if row.target == Target::Deny => String::new(),
        (Some(bytes), _) => size(bytes),
        (None, Some(service)) => size(service.body_bytes_max),
        (None, None) => "service".to_owned(),
    }
}

fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        _ if bytes.is_multiple_of(KIB) => format!("{}KiB", bytes / KIB),
        _ => format!("{bytes}"),
    }
}

fn class(class: ShedClass) -> &'static str {
    match class {
        ShedClass::Anonymous => "anonymous",
        ShedClass::Browsing => "browsing",
        ShedClass::Admitted => "admitted",
        ShedClass::Checkout => "checkout",
        ShedClass::Never => "never",
    }
}

fn notes(row: &Row) -> String {
    let Notes {
        idempotency,
        validated,
        cache_s,
        stream,
        buffered,
        deprecated,
        sunset,
        webhook,
        uuid_segments,
        outage,
        stale,
        fallback,
    } = &row.notes;
    let mut words: Vec<String> = Vec::new();
    match idempotency {
        Idempotency::None => {}
        Idempotency::Optional => words.push("idem".to_owned()),
        Idempotency::RequiredUuid => words.push("idem-UUID".to_owned()),
    }
    words.extend(validated.map(|_| "validated".to_owned()));
    if *cache_s > 0 {
        words.push(format!("cache {cache_s}"));
    }
    for (set, word) in [(stream, "stream"), (buffered, "buffered"), (webhook, "webhook")] {
        words.extend(set.then(|| word.to_owned()));
    }
    for index in uuid_segments {
        if let Some(Segment::Parameter(name)) = row.segments.get(usize::from(*index)) {
            words.push(format!("{name} is a UUID"));
        }
    }
    words.extend(outage.map(|policy| format!("in an outage: {}", policy.word())));
    words.extend((*stale == StalePolicy::Check).then(|| "stale: check".to_owned()));
    words.extend(fallback.iter().map(|_| "fallback body".to_owned()));
    words.extend(deprecated.iter().map(|successor| format!("deprecated for {successor}")));
    words.extend(sunset.iter().map(|date| format!("ends {date}")));
    words.extend((!row.reason.is_empty()).then(|| format!("public: {}", row.reason)));
    words.join("; ")
}

const REFERENCE: &str = include_str!("reference.md");

#[cfg(test)]
mod tests;
