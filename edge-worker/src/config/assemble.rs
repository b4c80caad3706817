//! Puts the configuration together: sources, rules, nouns, routes. One way through, all problems collected.

use super::environment::{Gathered, Sources};
use super::file::File;
use super::lookup::{Effective, Lookup};
use super::problem::Problem;
use super::routes::{Row, Target};
use super::services::{Service, clamp_body};
use super::{
    NameTable, Settings, UserSettings, WorkerSettings, announced, headers, instances, limits, lookups, redis,
    roots, routes, server, services, shedding, telemetry, tokens,
};
use std::path::PathBuf;

/// A valid configuration and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub warnings: Vec<Problem>,
    pub notices: Vec<String>,
}

/// Reads and validates everything. Reads files, and nothing else of the outside world.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<Problem>> {
    let Gathered { mut lookup, file, .. } = sources.read();
    let environment = server::environment(&mut lookup);
    let mut supervisor = server::read(&mut lookup, environment);
    let limits = limits::read(&mut lookup);
    let services = services::read(&mut lookup, environment);
    let instances = instances::read(&mut lookup);
    let roots = roots::read(&mut lookup);
    let tokens = tokens::read(&mut lookup, environment);
    let headers = headers::read(&mut lookup, environment);
    supervisor.remote_keys = tokens::key_url::read(&mut lookup, environment, &roots);
    supervisor.redis = redis::read(&mut lookup, environment);
    lookups::check(&mut lookup, environment);
    let identity = lookups::identity::read(&mut lookup, &tokens, environment.is_production());
    supervisor.revocation_cold_policy = redis::cold_policy(&lookup);
    announced::check(&mut lookup, environment);
    telemetry::check(&mut lookup, environment);
    let rows = clamp_rows(rows(&mut lookup, file.as_ref()), &services, limits.body_bytes_max);
    let worker = WorkerSettings {
        environment,
        log_level: telemetry::log_level(&lookup),
        io_driver: server::io_driver(&lookup),
        services,
        instances,
        roots,
        routes: rows,
        tokens,
        shedding: shedding::read(&mut lookup, &limits),
        limits,
        headers,
        local: server::local(&mut lookup, &supervisor),
        users: UserSettings {
            check: identity.user_check,
            outage_policy: identity.outage_policy,
            remote_validate: identity.remote_validate,
            revocation_cold: supervisor.revocation_cold_policy,
            venue_access: identity.venue_access_mode,
            cross_tenant_admin: lookup.flag("CROSS_TENANT_ADMIN"),
            older_blacklist: supervisor.redis.as_ref().is_some_and(|redis| redis.legacy_blacklist),
        },
        names: NameTable::default(),
    };
    let effective = lookup.effective();
    let report = lookup.report;
    if !report.problems.is_empty() {
        return Err(report.problems);
    }
    let settings = Settings { worker, supervisor, identity, effective };
    Ok(Loaded { settings, warnings: report.warnings, notices: report.notices })
}

/// Where a running node has its sockets. Reads the same sources as the node, and leaves the rest of them unchecked:
/// whoever gives a node orders need not hold its secrets.
///
/// # Errors
/// What is wrong with the directory, or with a file that may name another one.
pub fn runtime_dir(sources: &Sources) -> Result<PathBuf, Vec<Problem>> {
    let mut gathered = sources.read();
    let directory = server::runtime_dir(&mut gathered.lookup);
    let mut problems = std::mem::take(&mut gathered.lookup.report.problems);
    problems.retain(|problem| {
        problem.place.starts_with("FLOODGATE_RUNTIME_DIR") || gathered.hides_settings(problem)
    });
    if problems.is_empty() { Ok(directory) } else { Err(problems) }
}

/// The route table, with file and line in the places of its problems.
fn rows(lookup: &mut Lookup, file: Option<&File>) -> Vec<Row> {
    let providers = lookup.list("WEBHOOK_PROVIDERS");
    let sunset = announced::sunset(lookup);
    routes::load(file.map(File::source), &providers, &sunset).unwrap_or_else(|problems| {
        lookup.report.problems.extend(problems);
        Vec::new()
    })
}

/// `MAX_REQUEST_SIZE` bounds the rows that state a cap of their own, too.
fn clamp_rows(mut rows: Vec<Row>, services: &[Service], request_bytes_max: u64) -> Vec<Row> {
    for row in &mut rows {
        let service = match &row.target {
            Target::Service { service, .. } => {
                services.get(usize::from(service.0)).map_or("", |found| &found.name)
            }
            Target::Local(_) | Target::Deny => "",
        };
        row.body_bytes_max = row.body_bytes_max.map(|bytes| clamp_body(service, bytes, request_bytes_max));
    }
    rows
}

impl Settings {
    /// The sanitised effective configuration: `name = value (source)`, a line each, in the order of the reference.
    #[must_use]
    pub fn print(&self) -> String {
        let line = |one: &Effective| format!("{} = {} ({})\n", one.name, one.value, one.source.as_str());
        self.effective.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests;
