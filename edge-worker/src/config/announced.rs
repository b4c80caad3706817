//! Settings of features that come later: valid or refused already now, and without effect until then.

use super::Environment;
use super::headers::forbid;
use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;

pub(super) const RATE_LIMITS: &[Setting] = &[
    Setting::new(
        "RATE_LIMIT_ENABLED",
        "rate_limits.enabled",
        Rule::Flag,
        "Limit requests; false warns in production",
    )
    .preset("true")
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_GLOBAL_MAX",
        "rate_limits.global_max",
        Rule::Number(1, u64::MAX),
        "Requests a window",
    )
    .preset("100")
    .alias("RATE_LIMIT_MAX")
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_GLOBAL_WINDOW",
        "rate_limits.global_window_ms",
        Rule::Number(1, u64::MAX),
        "Window, ms",
    )
    .preset("60000")
    .alias("RATE_LIMIT_WINDOW_MS")
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_TICKET_MAX",
        "rate_limits.ticket_max",
        Rule::Number(1, u64::MAX),
        "Purchases a window, user and event",
    )
    .preset("5")
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_TICKET_WINDOW",
        "rate_limits.ticket_window_ms",
        Rule::Number(1, u64::MAX),
        "Window, ms",
    )
    .preset("60000")
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_TICKET_BLOCK",
        "rate_limits.ticket_block_ms",
        Rule::Number(1, u64::MAX),
        "Block after too many purchases, ms",
    )
    .preset("300000")
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_NODES",
        "rate_limits.nodes",
        Rule::Number(1, 1_000),
        "Nodes that share the limits",
    )
    .preset("1")
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_EXEMPT_CIDRS",
        "rate_limits.exempt_cidrs",
        Rule::Networks,
        "Clients without limits",
    )
    .later("rate limits"),
    Setting::new(
        "RATE_LIMIT_BAN_THRESHOLD",
        "rate_limits.ban_threshold",
        Rule::Number(0, 1_000_000),
        "Blocks in 10 minutes after which an address is banned for an hour; 0 never",
    )
    .preset("0")
    .later("rate limits"),
];

pub(super) const FEATURES: &[Setting] = &[
    Setting::new(
        "WAITING_ROOM_MODE",
        "sale.waiting_room",
        Rule::Word(&["off", "verify", "host"]),
        "Pass waiting-room tokens, verify them, or also issue them",
    )
    .preset_rule("verify if QUEUE_TOKEN_SECRET is set, else off")
    .later("the waiting room"),
    Setting::new(
        "QUEUE_TOKEN_SECRET",
        "sale.queue_token_secret",
        Rule::Secret(32),
        "Verifies waiting-room tokens",
    )
    .secret()
    .required("WAITING_ROOM_MODE other than off")
    .later("the waiting room"),
    Setting::new(
        "RESPONSE_CACHE_ENABLED",
        "cache.enabled",
        Rule::Flag,
        "Cache answers of rows marked for it",
    )
    .preset("true")
    .later("the response cache"),
    Setting::new(
        "CACHE_TENANT_SHARED",
        "cache.tenant_shared",
        Rule::Names,
        "Rows of the route table whose answers all users of a tenant share",
    )
    .later("the response cache"),
    Setting::new(
        "DOMAIN_ROUTING_ENABLED",
        "cache.domain_routing",
        Rule::Flag,
        "Look up white-label hosts for logs",
    )
    .preset("false")
    .later("domain routing"),
];

pub(super) const ROUTES: &[Setting] = &[
    Setting::new(
        "WEBHOOK_PROVIDERS",
        "webhooks.providers",
        Rule::Names,
        "Values of `{provider}` in the path of notification webhooks",
    )
    .preset("mandrill"),
    Setting::new(
        "SUNSET_<ID>",
        "sunset.<id>",
        Rule::Date,
        "Date after which a deprecated row may end; sent as Sunset",
    ),
];

pub(super) fn check(lookup: &mut Lookup, environment: Environment) {
    let production = environment.is_production();
    if production && !lookup.flag("RATE_LIMIT_ENABLED") {
        lookup.warning("RATE_LIMIT_ENABLED", "is false in production", "remove it");
    }
    let mode = if lookup.is_set("QUEUE_TOKEN_SECRET") { "verify" } else { "off" };
    lookup.preset("WAITING_ROOM_MODE", mode);
    if lookup.text("WAITING_ROOM_MODE") != Some("off") {
        let remedy = "set the secret of the waiting room, or WAITING_ROOM_MODE=off";
        lookup.require("QUEUE_TOKEN_SECRET", "WAITING_ROOM_MODE needs it", remedy);
    }
    if lookup.text("QUEUE_TOKEN_SECRET").is_some_and(super::tokens::is_known_default) {
        forbid(lookup, production, "QUEUE_TOKEN_SECRET", "is a known default", "use a random value");
    }
}

/// `SUNSET_<ID>` as pairs of row id and HTTP date.
pub(super) fn sunset(lookup: &Lookup) -> Vec<(String, String)> {
    lookup.family("SUNSET_").into_iter().map(|(id, date)| (id.to_owned(), date.to_owned())).collect()
}

#[cfg(test)]
mod tests;
