//! What a line looks like.

use super::JsonLine;
use serde_json::Value;
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
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || writer.clone()).event_format(JsonLine).finish();
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
