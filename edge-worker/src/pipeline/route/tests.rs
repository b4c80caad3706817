//! Every row of the platform's table reached, and everything that must not reach one.

mod platform;
mod precedence;
mod fidelity;

use super::*;
use crate::config::routes::load;

/// The built-in table, compiled.
fn table() -> RouteTable {
    RouteTable::new(load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid"))
}

/// A table of one's own, in the words of `floodgate.toml`.
fn table_of(text: &str) -> RouteTable {
    let source = crate::config::routes::Source { name: "test", text };
    RouteTable::new(load(Some(source), &[], &[]).expect("the rows of the test are valid"))
}

/// What happens to a request, in words: `V1 venue /api/v1/venues`, `405 GET HEAD OPTIONS`, `404`.
fn outcome(table: &RouteTable, method: Method, path: &str) -> String {
    let bytes = path.as_bytes();
    let target = match Target::parse(bytes) {
        Ok(target) => target,
        Err(fault) => return Rejection::from(fault).sentence().status.to_string(),
    };
    match table.find(method, &target, bytes) {
        Ok(Found::Row(matched)) => {
            let mut upstream = Vec::new();
            matched.write_upstream(bytes, &mut upstream);
            format!("{} {}", matched.row().id, String::from_utf8(upstream).expect("targets are ASCII"))
        }
        Ok(Found::Options(methods)) => format!("204 {}", names(methods)),
        Err(Rejection::MethodNotAllowed(methods)) => format!("405 {}", names(methods)),
        Err(rejection) => rejection.sentence().status.to_string(),
    }
}

fn names(methods: MethodSet) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(" ")
}

/// Runs `check` on the match of a request that has one.
fn with_match<T>(
    table: &RouteTable,
    method: Method,
    path: &str,
    check: impl FnOnce(&Matched<'_>, &[u8]) -> T,
) -> T {
    let bytes = path.as_bytes();
    let target = Target::parse(bytes).expect("the target is valid");
    match table.find(method, &target, bytes) {
        Ok(Found::Row(matched)) => check(&matched, bytes),
        other => panic!("{path} has no row: {other:?}"),
    }
}
