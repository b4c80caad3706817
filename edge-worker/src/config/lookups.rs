//! Calls the edge makes itself to auth-service and venue-service.

pub mod identity;

use super::Environment;
use super::headers::forbid;
use super::lookup::Lookup;
use super::rule::Rule;
use super::services::ServiceId;
use super::settings::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "AUTH_USER_CHECK",
        "lookups.user_check",
        Rule::Word(&["always", "async", "off"]),
        "When a token's user is looked up at auth-service: before its first request, beside it, or never",
    )
    .preset_rule("always in production, in staging, and wherever AUTH_S2S_MODE has its credential; else off"),
    Setting::new(
        "AUTH_S2S_MODE",
        "lookups.credential",
        Rule::Word(&["service-jwt", "hmac", "none"]),
        "How the edge proves itself to services; none is an error in production",
    )
    .preset("service-jwt"),
    Setting::new("S2S_PRIVATE_KEY", "lookups.private_key", Rule::PrivateKey, "Signs the edge's own service token")
        .secret()
        .required("mode service-jwt, unless S2S_SERVICE_TOKEN is set or AUTH_USER_CHECK is off"),
    Setting::new("S2S_SERVICE_TOKEN", "lookups.service_token", Rule::Secret(1), "A fixed service token")
        .secret()
        .required("mode service-jwt, unless S2S_PRIVATE_KEY is set or AUTH_USER_CHECK is off"),
    Setting::new("INTERNAL_HMAC_SECRET", "lookups.hmac_secret", Rule::Secret(32), "Signs internal requests")
        .secret()
        .required("AUTH_S2S_MODE or VENUE_ACCESS_MODE hmac"),
    Setting::new(
        "INTERNAL_SERVICE_SECRET",
        "lookups.service_secret",
        Rule::Secret(32),
        "Signs internal requests of the legacy format, or if INTERNAL_HMAC_FALLBACK is true",
    )
    .secret()
    .required("INTERNAL_HMAC_FORMAT legacy with hmac"),
    Setting::new("AUTH_USER_PATH", "lookups.user_path", Rule::Template(&["userId"]), "User record of auth-service")
        .preset("/auth/internal/users/{userId}"),
    Setting::new("AUTH_VALIDATE_PATH", "lookups.validate_path", Rule::Template(&[]), "Token check of auth-service: GET with the token as bearer, or POST `{token}` if the path ends in /validate")
        .preset("/auth/verify"),
    Setting::new(
        "VENUE_ACCESS_PATH",
        "lookups.venue_access_path",
        Rule::Template(&["venueId"]),
        "Access check of venue-service: GET in mode bearer, POST in mode hmac",
    )
    .preset_rule("`/api/v1/venues/{venueId}/check-access`; in mode hmac `/internal/access-check`"),
    Setting::new(
        "VENUE_LIST_PATH",
        "lookups.venue_list_path",
        Rule::Template(&["userId"]),
        "A user's venues at venue-service",
    )
    .preset_rule("`/api/v1/venues/user`; in mode hmac `/internal/users/{userId}/venues`"),
    Setting::new(
        "VENUE_ACCESS_MODE",
        "lookups.venue_access_mode",
        Rule::Word(&["bearer", "hmac"]),
        "Ask venue-service with the user's token or with a signed request",
    )
    .preset("bearer"),
    Setting::new(
        "AUTH_REMOTE_VALIDATE",
        "lookups.remote_validate",
        Rule::Flag,
        "Have auth-service check each new token, and again every 60 s; without an answer AUTH_OUTAGE_POLICY decides",
    )
    .preset("false"),
    Setting::new(
        "AUTH_OUTAGE_POLICY",
        "lookups.outage_policy",
        Rule::Word(&["deny", "claims"]),
        "Without an answer of auth-service: 503, or trust the token for reads",
    )
    .preset("deny"),
    Setting::new(
        "AUTH_USER_STALE_SECS",
        "lookups.user_stale_s",
        Rule::Number(1, 86_400),
        "Age up to which a user record serves during an outage",
    )
    .preset("900"),
    Setting::new(
        "VENUE_ACCESS_TTL_SECS",
        "lookups.venue_access_ttl_s",
        Rule::Number(1, 86_400),
        "Life of a granted venue access in the cache",
    )
    .preset("600"),
    Setting::new("INTERNAL_SERVICE_NAME", "lookups.service_name", Rule::Names, "The edge's name in signed requests")
        .preset("api-gateway"),
    Setting::new(
        "INTERNAL_HMAC_FORMAT",
        "lookups.hmac_format",
        Rule::Word(&["new", "legacy"]),
        "What a signature covers",
    )
    .preset("new"),
    Setting::new(
        "INTERNAL_HMAC_NO_QUERY",
        "lookups.hmac_no_query",
        Rule::Names,
        "Services for which the query is not signed",
    )
    .preset("compliance"),
    Setting::new(
        "INTERNAL_HMAC_FALLBACK",
        "lookups.hmac_fallback",
        Rule::Flag,
        "Sign with INTERNAL_SERVICE_SECRET if INTERNAL_HMAC_SECRET is not set",
    )
    .preset("false"),
    Setting::new(
        "REVOCATION_COLD_POLICY",
        "lookups.revocation_cold_policy",
        Rule::Word(&["deny", "serve"]),
        "Before the first sight of the revocation store: 503, or trust the token's life",
    )
    .preset_rule("deny in production and staging, else serve"),
];

pub(super) fn check(lookup: &mut Lookup, environment: Environment) {
    let production = environment.is_production();
    lookup.preset("REVOCATION_COLD_POLICY", if production { "deny" } else { "serve" });
    let signed = lookup.text("VENUE_ACCESS_MODE") == Some("hmac");
    let access = if signed { "/internal/access-check" } else { "/api/v1/venues/{venueId}/check-access" };
    lookup.preset("VENUE_ACCESS_PATH", access);
    let list = if signed { "/internal/users/{userId}/venues" } else { "/api/v1/venues/user" };
    lookup.preset("VENUE_LIST_PATH", list);
    user_check(lookup, production);
    if lookup.text("AUTH_S2S_MODE") == Some("none") {
        let what = "sends no credential to services";
        forbid(lookup, production, "AUTH_S2S_MODE", what, "use service-jwt or hmac");
    }
    credentials(lookup);
    cross_tenant(lookup, production);
    for name in lookup.list("INTERNAL_HMAC_NO_QUERY") {
        if ServiceId::find(&name).is_none() {
            lookup.problem(
                "INTERNAL_HMAC_NO_QUERY",
                "names something that is no service",
                "use names such as compliance",
            );
        }
    }
    for name in ["INTERNAL_HMAC_SECRET", "INTERNAL_SERVICE_SECRET"] {
        if lookup.text(name).is_some_and(super::tokens::is_known_default) {
            forbid(lookup, production, name, "is a known default", "use a random value");
        }
    }
}

/// Users are looked up wherever the edge can prove itself to auth-service. Outside production it may do without, and
/// says so.
fn user_check(lookup: &mut Lookup, production: bool) {
    let name = "AUTH_USER_CHECK";
    let passes = "tokens of suspended users pass until they expire";
    if production && lookup.text(name) == Some("off") {
        lookup.warning(name, format!("is off: {passes}"), "set it to always");
    }
    if production || has_credential(lookup) {
        lookup.preset(name, "always");
        return;
    }
    if !lookup.is_given(name) {
        lookup.report.notice(format!(
            "{name} is not set and there is no credential for auth-service, so it is taken as off: {passes}"
        ));
    }
    lookup.preset(name, "off");
}

/// Whether what the mode of AUTH_S2S_MODE needs is given.
fn has_credential(lookup: &Lookup) -> bool {
    let names: &[&str] = match lookup.text("AUTH_S2S_MODE") {
        Some("service-jwt") => &["S2S_PRIVATE_KEY", "S2S_SERVICE_TOKEN"],
        Some("hmac") => &["INTERNAL_HMAC_SECRET", "INTERNAL_SERVICE_SECRET"],
        _ => &[],
    };
    names.iter().any(|name| lookup.is_given(name))
}

/// What the chosen modes need. auth-service is not called while users are not looked up; venue-service always is.
fn credentials(lookup: &mut Lookup) {
    let checked = lookup.text("AUTH_USER_CHECK") != Some("off");
    let mode = lookup.text("AUTH_S2S_MODE");
    let hmac = (checked && mode == Some("hmac")) || lookup.text("VENUE_ACCESS_MODE") == Some("hmac");
    if checked && mode == Some("service-jwt") && !lookup.is_given("S2S_SERVICE_TOKEN") {
        let why = "AUTH_S2S_MODE service-jwt needs it";
        lookup.require("S2S_PRIVATE_KEY", why, "set it or S2S_SERVICE_TOKEN, or choose AUTH_S2S_MODE hmac");
    }
    if !hmac {
        return;
    }
    let legacy = lookup.text("INTERNAL_HMAC_FORMAT") == Some("legacy");
    let fallback = lookup.flag("INTERNAL_HMAC_FALLBACK") && lookup.is_given("INTERNAL_SERVICE_SECRET");
    if legacy {
        lookup.require("INTERNAL_SERVICE_SECRET", "INTERNAL_HMAC_FORMAT legacy needs it", "set it");
    } else if !fallback {
        lookup.require("INTERNAL_HMAC_SECRET", "mode hmac needs it", "set it to at least 32 random bytes");
    }
}

/// Whoever may leave its tenant is named by its record, not by a token that may be older.
fn cross_tenant(lookup: &mut Lookup, production: bool) {
    if lookup.flag("CROSS_TENANT_ADMIN") && lookup.text("AUTH_USER_CHECK") == Some("off") {
        let what = "trusts the role in the token alone while AUTH_USER_CHECK is off";
        forbid(lookup, production, "CROSS_TENANT_ADMIN", what, "set AUTH_USER_CHECK=always");
    }
}

#[cfg(test)]
mod tests;
