//! Logs, metrics and traces: what is written and where.

use super::Environment;
use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;
use serde::{Deserialize, Serialize};

/// `LOG_LEVEL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// `LOG_FORMAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Json,
    Pretty,
}

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "LOG_LEVEL",
        "telemetry.log_level",
        Rule::Word(&["fatal", "error", "warn", "info", "debug", "trace"]),
        "Least severe lines that are written",
    )
    .preset("info"),
    Setting::new(
        "LOG_FORMAT",
        "telemetry.log_format",
        Rule::Word(&["json", "pretty"]),
        "One JSON object a line, or text for developers",
    )
    .preset("json"),
    Setting::new("ENABLE_METRICS", "telemetry.metrics", Rule::Flag, "Serve `/metrics`").preset("true"),
    Setting::new("ENABLE_TRACING", "telemetry.tracing", Rule::Flag, "Export spans over OTLP/HTTP")
        .preset("false")
        .later("tracing"),
    Setting::new(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "telemetry.otlp_endpoint",
        Rule::Collector,
        "Where spans are sent",
    )
    .preset("http://localhost:4318")
    .later("tracing"),
    Setting::new("OTEL_SERVICE_NAME", "telemetry.service_name", Rule::Text, "Name of the edge in traces")
        .preset("api-gateway")
        .later("tracing"),
    Setting::new(
        "OTEL_TRACES_SAMPLER_ARG",
        "telemetry.sampling_ratio",
        Rule::Ratio,
        "Share of new traces that is sampled",
    )
    .preset_rule("0.1 in production and staging, else 1.0")
    .later("tracing"),
];

pub(super) fn log_level(lookup: &Lookup) -> LogLevel {
    lookup.word("LOG_LEVEL")
}

pub(super) fn log_format(lookup: &Lookup) -> LogFormat {
    lookup.word("LOG_FORMAT")
}

/// Development settings in production, which are allowed but never meant.
pub(super) fn check(lookup: &mut Lookup, environment: Environment) {
    let production = environment.is_production();
    lookup.preset("OTEL_TRACES_SAMPLER_ARG", if production { "0.1" } else { "1.0" });
    if production && log_format(lookup) == LogFormat::Pretty {
        lookup.warning(
            "LOG_FORMAT",
            "is pretty in production, which log collectors cannot parse",
            "set json",
        );
    }
    if production && log_level(lookup) >= LogLevel::Debug {
        lookup.warning("LOG_LEVEL", "is meant for development", "set info");
    }
}

#[cfg(test)]
mod tests;
