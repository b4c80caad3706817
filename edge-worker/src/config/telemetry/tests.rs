//! Log levels and formats, and what is odd about them in production.

use super::{LogFormat, LogLevel, check, log_format, log_level};
use crate::config::Environment;
use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, assert_accepted, assert_problems};

#[test]
fn levels_and_formats_are_words() {
    let settings = sample::loaded(DEVELOPMENT, &[("LOG_LEVEL", "fatal"), ("LOG_FORMAT", "pretty")]).settings;
    assert_eq!(settings.worker.log_level, LogLevel::Fatal);
    assert_eq!(settings.supervisor.log_format, LogFormat::Pretty);
    assert!(LogLevel::Fatal < LogLevel::Error && LogLevel::Debug < LogLevel::Trace);
    let levels = "is not one of fatal, error, warn, info, debug, trace; \
                  correct it, or remove it to get the default `info`";
    assert_problems(DEVELOPMENT, &[("LOG_LEVEL", "verbose", levels)]);
    assert_accepted(DEVELOPMENT, &[("LOG_LEVEL", "error"), ("LOG_LEVEL", "warn"), ("LOG_LEVEL", "trace")]);
}

#[test]
fn development_settings_warn_in_production() {
    let changes = [("LOG_FORMAT", "pretty"), ("LOG_LEVEL", "debug")];
    for (environment, expected) in [
        (
            Environment::Production,
            vec![
                "LOG_FORMAT: is pretty in production, which log collectors cannot parse; set json",
                "LOG_LEVEL: is meant for development; set info",
            ],
        ),
        (Environment::Development, vec![]),
    ] {
        let mut lookup = sample::sources(PRODUCTION, &changes).read().lookup;
        check(&mut lookup, environment);
        let warnings: Vec<String> = lookup.report.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, expected);
        assert_eq!((log_level(&lookup), log_format(&lookup)), (LogLevel::Debug, LogFormat::Pretty));
        let ratio = if environment == Environment::Production { "0.1" } else { "1.0" };
        assert_eq!(lookup.text("OTEL_TRACES_SAMPLER_ARG"), Some(ratio));
    }
}
