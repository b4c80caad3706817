//! What a line looks like.

use super::{JsonLine, filter};
use crate::export::security_log::{About, SecurityLog};
use edge_worker::config::telemetry::LogLevel;
use edge_worker::telemetry::security_events::SecurityEvent;
use serde_json::Value;
use shm::SupervisorRegion;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(write: impl FnOnce()) -> String {
    logged_at(LogLevel::Info, write)
}

fn logged_at(level: LogLevel, write: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level));
    let subscriber = builder.with_writer(move || writer.clone()).event_format(JsonLine).finish();
    tracing::subscriber::with_default(subscriber, write);
    String::from_utf8(lines.0.lock().expect("one thread").clone()).expect("text")
}

#[test]
fn a_line_is_one_json_object_with_time_level_msg_and_fields() {
    let text = logged(|| tracing::warn!(slot = 3_u64, reason = "silent", whole = true, "worker killed"));
    assert_eq!(text.matches('\n').count(), 1);
    let line: Value = serde_json::from_str(&text).expect("JSON");
    assert!(text.starts_with("{\"time\":\"") && text.contains("Z\",\"level\":\"warn\",\"msg\":"), "{text}");
    assert_eq!(line["level"], "warn");
    assert_eq!(line["msg"], "worker killed");
    assert_eq!((&line["slot"], &line["reason"], &line["whole"]), (&3.into(), &"silent".into(), &true.into()));
    let time = line["time"].as_str().expect("time");
    OffsetDateTime::parse(time, &Rfc3339).expect("RFC 3339");
}

#[test]
fn a_line_break_in_a_field_does_not_break_the_line() {
    let text = logged(|| tracing::info!(detail = "one\ntwo\"}", "message\nwith a break"));
    assert_eq!(text.matches('\n').count(), 1);
    let line: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(line["detail"], "one\ntwo\"}");
}

#[test]
fn a_security_event_is_written_whatever_the_level_of_the_log() {
    let security = SecurityLog::new(SupervisorRegion::create().expect("a memfd can be made").shared());
    for level in [LogLevel::Fatal, LogLevel::Error, LogLevel::Info] {
        let text = logged_at(level, || {
            let about = About { peer: Some((7, 8)), outcome: Some("alone"), ..About::default() };
            security.raise(SecurityEvent::OperatorRevocation, about);
            tracing::debug!("nobody wants to know");
        });
        let line: Value = serde_json::from_str(&text).expect("one line of JSON");
        assert_eq!((&line["event"], &line["severity"]), (&"operator_revocation".into(), &"high".into()));
        assert_eq!((&line["uid"], &line["pid"], &line["outcome"]), (&7.into(), &8.into(), &"alone".into()));
        assert_eq!(line.get("userId"), None);
    }
}
