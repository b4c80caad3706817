//! What every class of routes gives while Redis, auth-service or venue-service is down: on a node that has seen its
//! people before (warm) and on one that has just started (cold). The table is the one of `docs/authentication.md`.

use super::tell;
use crate::harness::token::{OTHER_USER, TENANT, USER};
use crate::harness::{Backend, Command, Edge, RedisServer, Script, Step, Token, eventually, redis};
use crate::venues::{HALL, check_of, listed, manager};
use serde_json::json;
use std::fmt::Write;

const PAGE: &str = include_str!("../../docs/authentication.md");

/// Class, method, path, and whose token.
const CLASSES: [(&str, &str, &str, Who); 10] = [
    ("public", "GET", "/api/v1/integrations/oauth/callback/square", Who::Nobody),
    ("user, read", "GET", "/api/v1/tickets", Who::Fan),
    ("user, write", "POST", "/api/v1/orders", Who::Fan),
    ("own", "GET", "/api/v1/tickets/users/33333333-cccc-4ccc-8ccc-333333333333", Who::Fan),
    ("permission", "POST", "/api/v1/tickets/purchase", Who::Fan),
    ("role", "GET", "/api/v1/monitoring/alerts", Who::Admin),
    ("staff", "POST", "/api/v1/events", Who::Fan),
    ("venue", "GET", "/api/v1/venues/7e000000-0000-4000-8000-000000000001/dashboard", Who::Fan),
    ("user, API key", "GET", "/api/v1/venues/7e000000-0000-4000-8000-000000000001/events", Who::KeyHolder),
    (
        "venue, API key",
        "GET",
        "/api/v1/integrations/list?venueId=7e000000-0000-4000-8000-000000000001",
        Who::KeyHolder,
    ),
];
/// Of the venue in the paths.
const KEY: &str = "vk_live.0123456789abcdef-0123456789ABCDEF";

#[derive(Clone, Copy)]
enum Who {
    Nobody,
    Fan,
    /// A fan who brings the venue's API key.
    KeyHolder,
    Admin,
}

/// What is down, and a setting that is not the default of production.
struct Outage {
    name: &'static str,
    redis: bool,
    auth: bool,
    venue: bool,
    setting: Option<(&'static str, &'static str)>,
}

const fn outage(name: &'static str, redis: bool, auth: bool, venue: bool) -> Outage {
    Outage { name, redis, auth, venue, setting: None }
}

const OUTAGES: [Outage; 7] = [
    outage("Redis", true, false, false),
    outage("auth-service", false, true, false),
    outage("venue-service", false, false, true),
    outage("Redis and auth-service", true, true, false),
    outage("auth-service and venue-service", false, true, true),
    Outage {
        setting: Some(("REVOCATION_COLD_POLICY", "serve")),
        ..outage("Redis, `REVOCATION_COLD_POLICY=serve`", true, false, false)
    },
    Outage {
        setting: Some(("AUTH_OUTAGE_POLICY", "claims")),
        ..outage("auth-service, `AUTH_OUTAGE_POLICY=claims`", false, true, false)
    },
];

/// Three services that can go away.
struct Platform {
    services: Backend,
    auth: Option<Backend>,
    venue: Option<Backend>,
    redis: RedisServer,
}

impl Platform {
    fn start() -> Platform {
        let records = Script::of(vec![Step::Record { tenant: TENANT.to_owned() }]);
        let admin =
            json!({ "user": { "id": OTHER_USER, "tenantId": TENANT, "role": "admin", "status": "ACTIVE" } });
        let admin = Script::answer(200, &[("content-type", "application/json")], admin.to_string());
        let path = "/auth/internal/users/";
        let auth = Backend::named("auth").on(path, records).on(&format!("{path}{OTHER_USER}"), admin);
        let venue = Backend::named("venue").on(&check_of(HALL), manager());
        let venue = venue.on("/api/v1/venues/user", listed(&[HALL]));
        let (auth, venue) = (Some(auth), Some(venue));
        let redis = RedisServer::start();
        let record = json!({ "venueId": HALL, "tier": "standard" });
        redis.command(&["SET", &format!("api:key:{KEY}"), &record.to_string()]);
        Platform { services: Backend::start(), auth, venue, redis }
    }

    fn edge(&self, outage: &Outage) -> Edge {
        let url = |backend: &Option<Backend>| {
            backend.as_ref().map_or_else(|| format!("http://{}", redis::free_address()), Backend::url)
        };
        let command = Command::run(&self.services)
            .service_url("auth", &url(&self.auth))
            .service_url("venue", &url(&self.venue))
            .set("AUTH_USER_CHECK", "always")
            .set("S2S_SERVICE_TOKEN", "a-token")
            .set("REDIS_URL", &self.redis.url())
            .set("REVOCATION_COLD_POLICY", "deny");
        outage.setting.iter().fold(command, |command, (name, value)| command.set(name, value)).start()
    }

    fn stop(&mut self, outage: &Outage) {
        if outage.redis {
            self.redis.kill();
        }
        self.auth = self.auth.take().filter(|_| !outage.auth);
        self.venue = self.venue.take().filter(|_| !outage.venue);
    }
}

fn statuses(edge: &Edge) -> Vec<u16> {
    let ask = |(_, method, path, who): &(&str, &str, &str, Who)| {
        let mut client = edge.client();
        let request = client.request(method, path);
        let request = match who {
            Who::Nobody => request,
            Who::Fan => request.bearer(&Token::valid().build()),
            Who::KeyHolder => request.bearer(&Token::valid().build()).header("x-api-key", KEY),
            Who::Admin => request.bearer(&Token::of_role("admin").user(OTHER_USER).build()),
        };
        let request = if *method == "POST" { request.body("{}") } else { request };
        request.send().status
    };
    CLASSES.iter().map(ask).collect()
}

fn line(name: &str, statuses: &[u16]) -> String {
    statuses.iter().fold(format!("| {name} |"), |mut line, status| {
        write!(line, " {status} |").expect("a String takes everything");
        line
    })
}

#[test]
fn every_class_gives_in_every_outage_what_the_docs_say() {
    let of_hall = CLASSES[7..].iter().all(|class| class.2.contains(HALL));
    assert!(CLASSES[3].2.ends_with(USER) && of_hall, "the paths name our ids");
    let names: Vec<&str> = CLASSES.iter().map(|class| class.0).collect();
    let mut table =
        vec![format!("| down | {} |", names.join(" | ")), format!("|---|{}", "---|".repeat(CLASSES.len()))];
    for outage in &OUTAGES {
        let mut platform = Platform::start();
        let warm = platform.edge(outage);
        eventually("a warm node serves all", || {
            statuses(&warm).iter().all(|status| *status == 200).then_some(())
        });
        platform.stop(outage);
        table.push(line(&format!("{}, warm", outage.name), &statuses(&warm)));
        drop(warm);
        let cold = platform.edge(outage);
        if !outage.redis {
            let read = || cold.ask_admin("/metrics").text().contains("gateway_revocation_entries");
            eventually("the store is read", || read().then_some(()));
        }
        table.push(line(&format!("{}, cold", outage.name), &statuses(&cold)));
    }
    let table = table.join("\n");
    tell("statuses in outages", &format!("\n{table}"));
    assert!(!table.contains("401"), "an outage is never a 401\n{table}");
    assert!(PAGE.contains(&table), "docs/authentication.md has another table than\n{table}");
}
