//! Settings of later features are refused when they are wrong.

use super::{check, sunset};
use crate::config::Environment;
use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, RANDOM, assert_accepted, assert_problems};

#[test]
fn wrong_values_are_problems_already_now() {
    assert_problems(
        DEVELOPMENT,
        &[
            (
                "RATE_LIMIT_GLOBAL_MAX",
                "0",
                "is not a whole number, at least 1; correct it, or remove it to get the default `100`",
            ),
            (
                "RESPONSE_CACHE_ENABLED",
                "yes",
                "is not true or false; correct it, or remove it to get the default `true`",
            ),
            (
                "SUNSET_T9",
                "tomorrow",
                "is not an HTTP date such as Sun, 06 Nov 1994 08:49:37 GMT; correct it or remove it",
            ),
        ],
    );
}

#[test]
fn a_waiting_room_needs_its_secret() {
    let expected = "QUEUE_TOKEN_SECRET: is not set, and WAITING_ROOM_MODE needs it; \
                    set the secret of the waiting room, or WAITING_ROOM_MODE=off";
    for mode in ["verify", "host"] {
        assert_eq!(sample::problems(DEVELOPMENT, &[("WAITING_ROOM_MODE", mode)]), [expected]);
    }
    assert_accepted(DEVELOPMENT, &[("WAITING_ROOM_MODE", "off"), ("QUEUE_TOKEN_SECRET", RANDOM)]);
    let printed = sample::loaded(DEVELOPMENT, &[("QUEUE_TOKEN_SECRET", RANDOM)]).settings.print();
    assert!(printed.contains("WAITING_ROOM_MODE = verify (default)"));
    let default = "dev-queue-secret-change-in-production";
    assert_problems(PRODUCTION, &[("QUEUE_TOKEN_SECRET", default, "is a known default; use a random value")]);
    let warnings = sample::warnings(DEVELOPMENT, &[("QUEUE_TOKEN_SECRET", default)]);
    assert_eq!(warnings, ["QUEUE_TOKEN_SECRET: is a known default; use a random value"]);
}

#[test]
fn production_without_rate_limits_warns() {
    for (environment, count) in [(Environment::Production, 1), (Environment::Test, 0)] {
        let mut lookup = sample::sources(PRODUCTION, &[("RATE_LIMIT_ENABLED", "false")]).read().lookup;
        check(&mut lookup, environment);
        assert_eq!(lookup.report.warnings.len(), count);
    }
}

#[test]
fn sunset_dates_go_by_row() {
    let lookup =
        sample::sources(DEVELOPMENT, &[("SUNSET_T9", "Sun, 06 Nov 1994 08:49:37 GMT")]).read().lookup;
    assert_eq!(sunset(&lookup), [("T9".to_owned(), "Sun, 06 Nov 1994 08:49:37 GMT".to_owned())]);
}
