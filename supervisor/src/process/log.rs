//! The control plane's log: one JSON object a line on standard output, or plain lines in development.
//!
//! Access-log lines are written by `export`; both use whole lines, so they never mix.

use crate::export::security_log;
use edge_worker::config::telemetry::{LogFormat, LogLevel};
use serde_json::{Map, Value};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Installs the log of this process, written to `writer`. A second call changes nothing.
pub fn install<W>(format: LogFormat, level: LogLevel, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(writer);
    let _already_installed = match format {
        LogFormat::Json => builder.event_format(JsonLine).try_init(),
        LogFormat::Pretty => builder.with_target(false).compact().try_init(),
    };
}

/// `{"time":…,"level":…,"msg":…}` and the event's fields.
pub struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields { message: Value::Null, others: Map::new() };
        event.record(&mut fields);
        let time = OffsetDateTime::now_utc().format(&Rfc3339).map_err(|_| fmt::Error)?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(writer, "{{\"time\":\"{time}\",\"level\":\"{level}\",\"msg\":{}", fields.message)?;
        for (name, value) in fields.others {
            write!(writer, ",{}:{value}", Value::String(name))?;
        }
        writeln!(writer, "}}")
    }
}

/// Collects an event's fields; the message becomes `msg`.
struct Fields {
    message: Value,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, name: &str, value: Value) {
        if name == "message" {
            self.message = value;
        } else {
            self.others.insert(name.to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), Value::String(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }
}

/// An audit must not depend on how talkative the log is.
fn filter(level: LogLevel) -> EnvFilter {
    let word = match level {
        LogLevel::Fatal | LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    EnvFilter::new(format!("{word},{}=trace", security_log::TARGET))
}

#[cfg(test)]
mod tests;
