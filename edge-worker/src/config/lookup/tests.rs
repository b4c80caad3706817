//! Typed access to values, and what is printed of them.

use super::{Effective, Lookup, Value};
use crate::config::environment::Source;
use crate::config::problem::Report;
use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, RANDOM};
use crate::config::settings;
use crate::config::telemetry::LogLevel;
use crate::config::{Dependency, IoDriver};

fn lookup(all: &[(&str, &str)]) -> Lookup {
    let value = |(name, text): &(&str, &str)| {
        let setting = settings::find(name).expect("a setting").setting;
        let value =
            Value { text: (*text).to_owned(), source: Source::Process, place: (*name).to_owned(), setting };
        ((*name).to_owned(), value)
    };
    Lookup::new(all.iter().map(value).collect(), Vec::new(), Report::default())
}

#[test]
fn values_have_their_types_and_defaults() {
    let lookup = lookup(&[
        ("PORT", "81"),
        ("LOG_LEVEL", "warn"),
        ("PUBLIC_HOSTS", "a, b"),
        ("MAX_REQUEST_SIZE", "1kb"),
    ]);
    assert_eq!((lookup.number("PORT"), lookup.number("SHUTDOWN_TIMEOUT_MS")), (81, 30_000));
    assert_eq!((lookup.number_if_set("TIMEOUT_DEFAULT"), lookup.bytes("MAX_REQUEST_SIZE")), (None, 1_024));
    assert_eq!((lookup.flag("ENABLE_METRICS"), lookup.flag("MASK_UPSTREAM_5XX")), (true, false));
    assert_eq!(lookup.word::<LogLevel>("LOG_LEVEL"), LogLevel::Warn);
    assert_eq!(lookup.word::<IoDriver>("FLOODGATE_IO_DRIVER"), IoDriver::Auto);
    let dependencies: Vec<Dependency> = lookup.words("READY_DEPENDENCIES");
    assert_eq!(dependencies, [Dependency::Redis, Dependency::Auth, Dependency::Venue]);
    assert_eq!(lookup.list("PUBLIC_HOSTS"), ["a", "b"]);
    assert_eq!(
        (lookup.list("TRUSTED_PROXIES").len(), lookup.networks("METRICS_ALLOWED_CIDRS").len()),
        (0, 2)
    );
    assert!(lookup.is_set("PORT") && !lookup.is_set("HOST") && !lookup.is_given("JWT_SECRET"));
    assert_eq!(
        (lookup.place("PORT"), lookup.place("JWT_SECRET")),
        ("PORT".to_owned(), "JWT_SECRET".to_owned())
    );
}

#[test]
fn a_wrong_value_is_reported_once_and_its_default_goes_on() {
    let mut lookup = lookup(&[("PORT", "65536"), ("JWT_SECRET", "short"), ("FLOODGATE_WORKERS", "none")]);
    lookup.require("JWT_SECRET", "it is needed", "set it");
    lookup.require("HEALTH_TOKEN", "it is needed", "set it");
    let problems: Vec<String> = lookup.report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "FLOODGATE_WORKERS: is not a whole number from 1 to 32; \
             correct it, or remove it to get the default (one a core)",
            "JWT_SECRET: is shorter than 32 bytes; use a random value, for example from `openssl rand -hex 32`",
            "PORT: is not a whole number from 0 to 65535; correct it, or remove it to get the default `3000`",
            "HEALTH_TOKEN: is not set, and it is needed; set it",
        ]
    );
    assert_eq!(lookup.number("PORT"), 3_000);
    assert!(lookup.is_given("JWT_SECRET") && lookup.is_faulty("JWT_SECRET") && !lookup.is_set("JWT_SECRET"));
    lookup.preset("NO_SUCH_SETTING", "1");
    assert_eq!(lookup.text("NO_SUCH_SETTING"), None);
    let remedy = sample::problems(DEVELOPMENT, &[("TRUSTED_PROXIES", "x")]);
    assert!(remedy[0].ends_with("; correct it or remove it"), "{remedy:?}");
}

#[test]
fn a_value_can_be_refused_later() {
    let mut lookup = lookup(&[("JWKS_FILE", "/x")]);
    lookup.refuse("JWKS_FILE", "is bad", "improve it");
    lookup.warning("JWKS_FILE", "is still bad", "improve it");
    assert!(lookup.is_faulty("JWKS_FILE") && lookup.text("JWKS_FILE").is_none());
    assert_eq!(lookup.report.problems[0].to_string(), "JWKS_FILE: is bad; improve it");
    assert_eq!(lookup.report.warnings.len(), 1);
}

#[test]
fn members_of_open_families_are_found_and_printed() {
    let lookup =
        lookup(&[("SUNSET_T9", "Sun, 06 Nov 1994 08:49:37 GMT"), ("FLOODGATE_CONFIG", "a\u{e9}\"b")]);
    assert_eq!(lookup.family("SUNSET_"), [("T9", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    let effective = lookup.effective();
    let value = |name: &str| effective.iter().find(|one| one.name == name).map(|one| one.value.as_str());
    assert_eq!(value("SUNSET_T9"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(value("FLOODGATE_CONFIG"), Some("a\u{e9}\\\"b"));
    let unset =
        Effective { name: "JWT_SECRET".to_owned(), value: "unset".to_owned(), source: Source::Preset };
    assert!(effective.contains(&unset));
    assert_eq!(value("AUTH_SERVICE_URL"), None);
}

#[test]
fn a_setting_of_a_later_feature_says_so() {
    let notices = sample::loaded(DEVELOPMENT, &[("QUEUE_TOKEN_SECRET", RANDOM)]).notices;
    let expected = "QUEUE_TOKEN_SECRET is set and valid; it takes effect with the waiting room".to_owned();
    assert!(notices.contains(&expected), "{notices:?}");
    assert_eq!(sample::problems(PRODUCTION, &[]), [""; 0]);
}
