//! `floodgate routes`: the route table as it is in force.

use super::{ExitCode, print};
use edge_worker::config::Loaded;
use edge_worker::config::routes::{Access, Local, Part, Row, Segment, Target, VenueFrom, VenueNeed};
use edge_worker::config::services::{Service, ServiceId};
use edge_worker::http::method::Method;

const HEADINGS: [&str; 7] = ["ID", "METHODS", "PATH", "ACCESS", "UPSTREAM", "TIMEOUT", "REASON"];

/// Prints one line a row, columns aligned.
#[must_use]
pub fn run(loaded: &Loaded) -> ExitCode {
    let worker = &loaded.settings.worker;
    print(&table(&worker.routes, &worker.services))
}

fn table(rows: &[Row], services: &[Service]) -> String {
    let mut lines = vec![HEADINGS.map(ToOwned::to_owned)];
    lines.extend(rows.iter().map(|row| cells(row, services)));
    let mut widths = [0; HEADINGS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row, services: &[Service]) -> [String; HEADINGS.len()] {
    [
        row.id.clone(),
        methods(row),
        row.template.clone(),
        access(&row.access, row),
        upstream(row, services),
        timeout(row, services),
        row.reason.clone(),
    ]
}

fn methods(row: &Row) -> String {
    row.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",")
}

/// In the notation of the platform's table.
fn access(class: &Access, row: &Row) -> String {
    match class {
        Access::Public => "pub".to_owned(),
        Access::Scrapers => "pub, scrapers".to_owned(),
        Access::User => "user".to_owned(),
        Access::Own { segment } => format!("own:{}", parameter(row, *segment)),
        Access::Permission(permission) => format!("perm:{permission}"),
        Access::Role(roles) => format!("role:{}", roles.join(",")),
        Access::Staff(permission) => format!("staff:{permission}"),
        Access::Venue { need, venue } => {
            let need = match need {
                VenueNeed::Member => "member",
                VenueNeed::Owner => "owner",
                VenueNeed::Permission(permission) => permission,
            };
            match venue {
                VenueFrom::Segment(segment) => format!("venue:{need} of {{{}}}", parameter(row, *segment)),
                VenueFrom::Query => format!("venue:{need} of the query"),
            }
        }
        Access::Any(classes) => {
            classes.iter().map(|class| access(class, row)).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn parameter(row: &Row, segment: u8) -> &str {
    match row.segments.get(usize::from(segment)) {
        Some(Segment::Parameter(name)) => name,
        _ => "?",
    }
}

fn upstream(row: &Row, services: &[Service]) -> String {
    match &row.target {
        Target::Deny => "- (404)".to_owned(),
        Target::Local(local) => format!("edge: {}", local_name(*local, services)),
        Target::Service { service, upstream } => {
            let path: String = upstream.iter().map(|part| part_text(part, row)).collect();
            format!("{} {path}", service_name(*service, services))
        }
    }
}

fn part_text(part: &Part, row: &Row) -> String {
    match part {
        Part::Literal(text) => text.clone(),
        Part::Segment(segment) => format!("/{{{}}}", parameter(row, *segment)),
        Part::RestFrom(_) => "/**".to_owned(),
    }
}

fn local_name(local: Local, services: &[Service]) -> String {
    match local {
        Local::ServiceHealth(service) => format!("health of {}", service_name(service, services)),
        Local::Live => "live".to_owned(),
        Local::Ready => "ready".to_owned(),
        Local::Health => "health".to_owned(),
        Local::HealthLive => "health/live".to_owned(),
        Local::HealthStartup => "health/startup".to_owned(),
        Local::Metrics => "metrics".to_owned(),
        Local::CacheInvalidate => "cache invalidate".to_owned(),
        Local::CacheStats => "cache stats".to_owned(),
    }
}

fn service_name(service: ServiceId, services: &[Service]) -> &str {
    services.get(usize::from(service.0)).map_or("?", |service| &service.name)
}

/// Read and write time-outs in milliseconds where the row has none of its own.
fn timeout(row: &Row, services: &[Service]) -> String {
    let Target::Service { service, .. } = &row.target else { return "-".to_owned() };
    match (row.timeout_ms, services.get(usize::from(service.0))) {
        (Some(timeout_ms), _) => format!("{timeout_ms} ms"),
        (None, Some(service)) => format!("{}/{} ms", service.read_timeout_ms, service.write_timeout_ms),
        (None, None) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests;
