//! What the demo prints: who can log in, and what to try.

use super::people::{HALL, PEOPLE, Person};

/// The guide for an edge on this port of the loopback address.
#[must_use]
pub fn text(port: u16) -> String {
    let edge = format!("http://127.0.0.1:{port}");
    let mut page = format!("\nFloodgate is at {edge}, in front of 19 simulated services.\n\n");
    for person in &PEOPLE {
        let (email, password, tenant) = (person.email, person.password, person.tenant.name);
        page.push_str(&format!("  {email:24} {password:14} {} of {tenant}", person.role));
        if let Some(position) = person.works_at {
            page.push_str(&format!(", {} of the venue {}", position.role, position.venue));
        }
        page.push('\n');
    }
    page.push_str("\nIn another terminal:\n");
    for (what, command) in suggestions(&edge) {
        page.push_str(&format!("\n  # {what}\n  {command}\n"));
    }
    page.push_str("\nCtrl-C drains: requests in flight are finished, then the edge ends.\n\n");
    page
}

/// The environment for an edge of one's own, as shell assignments.
#[must_use]
pub fn environment(variables: &[(String, String)]) -> String {
    let mut page = String::from("# The simulated services are running. Start an edge with:\n");
    for (name, value) in variables {
        page.push_str(&format!("export {name}='{}'\n", value.trim_end()));
    }
    page.push_str("# floodgate run\n# Ctrl-C ends the services.\n");
    page
}

fn suggestions(edge: &str) -> Vec<(&'static str, String)> {
    let events = format!("curl -si {edge}/api/v1/events");
    let bearer = "-H \"Authorization: Bearer $TOKEN\"";
    let [fan, staff, ..] = &PEOPLE;
    let settings = format!("curl -si {edge}/api/v1/venues/{HALL}/settings");
    vec![
        ("Log in. The token is a real one: RS256, good for 15 minutes.", log_in(edge, fan, "TOKEN")),
        ("An authenticated call: the events of the fan's tenant.", format!("{events} {bearer}")),
        (
            "The same with a spoofed tenant: the header is stripped, the answer is the same.",
            format!("{events} {bearer} -H 'X-Tenant-Id: b0b0b0b0-0000-4000-8000-00000000000b'"),
        ),
        ("The same without a token: 401 with its reason.", events.clone()),
        (
            "What a service sees: the headers that the edge wrote and the ones it passed on.",
            format!("curl -s {edge}/api/v1/orders {bearer} -H 'X-User-Role: admin'"),
        ),
        ("Not for fans: 403.", format!("curl -si {edge}/api/v1/mint/queue {bearer}")),
        (
            "A venue's settings, for a fan: 404, as if there were no such venue.",
            format!("{settings} {bearer}"),
        ),
        ("Log in as staff of that venue.", log_in(edge, staff, "STAFF")),
        (
            "The same for its manager. venue-service is asked once, and believed for ten minutes.",
            format!("{settings} -H \"Authorization: Bearer $STAFF\""),
        ),
        (
            "A path that tries to leave its row: 400, and no service hears of it.",
            format!("curl -si --path-as-is {edge}/api/v1/auth/login/%2e%2e/internal/users"),
        ),
        ("Metrics, and readiness.", format!("curl -s {edge}/metrics | grep ^gateway_; curl -s {edge}/ready")),
    ]
}

/// Keeps the access token in a shell variable.
fn log_in(edge: &str, person: &Person, variable: &str) -> String {
    let credentials = format!("{{\"email\":\"{}\",\"password\":\"{}\"}}", person.email, person.password);
    let taken = "sed 's/.*\"accessToken\":\"\\([^\"]*\\)\".*/\\1/'";
    format!("{variable}=$(curl -s {edge}/api/v1/auth/login -d '{credentials}' | {taken})")
}

#[cfg(test)]
mod tests;
