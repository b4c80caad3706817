//! A security event as a line of its own, in the same log: who did what, where, and how serious it is.

use super::line::{escape, text, word, write_address, write_hex, write_number, write_time, write_trace};
use super::{AccessView, Level, NameTexts};
use crate::telemetry::labels::method_word;
use crate::telemetry::security_events::{SecurityEvent, Severity};

/// `msg` of these lines.
pub const MESSAGE: &str = "security event";
/// No line is longer: ids, subject and tenants hold at most 128 bytes each, none of which is escaped, and a template
/// has the length of its row.
pub const LINE_BYTES_MAX: usize = 1_536;

/// How loud an event is.
#[must_use]
pub fn level(event: SecurityEvent) -> Level {
    match event.severity() {
        Severity::Critical => Level::Error,
        Severity::High | Severity::Medium => Level::Warn,
        Severity::Low => Level::Info,
    }
}

/// Appends one JSON object and a newline. Fields that a request does not have are left out.
pub fn write_json(view: &AccessView<'_>, event: SecurityEvent, names: &mut NameTexts, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"time\":\"");
    write_time(view.wall_ms, line);
    word(b"\",\"level\":\"", level(event).word().as_bytes(), line);
    word(b",\"msg\":\"", MESSAGE.as_bytes(), line);
    word(b",\"event\":\"", event.word().as_bytes(), line);
    word(b",\"severity\":\"", event.severity().word().as_bytes(), line);
    text(b",\"requestId\":\"", view.request_id, line);
    text(b",\"correlationId\":\"", view.correlation_id, line);
    write_trace(view, line);
    word(b",\"method\":\"", method_word(view.method).as_bytes(), line);
    word(b",\"path\":\"", names.find(view.route).unwrap_or(b"unmatched"), line);
    text(b",\"userId\":\"", view.user, line);
    text(b",\"tenantId\":\"", view.tenant, line);
    text(b",\"targetTenantId\":\"", view.target_tenant, line);
    if let Some(role) = names.find(view.role) {
        word(b",\"role\":\"", role, line);
    }
    line.extend_from_slice(b",\"clientIp\":\"");
    write_address(view.client, line);
    line.push(b'"');
    if let Some(venue) = view.venue {
        line.extend_from_slice(b",\"venueId\":\"");
        write_uuid(venue, line);
        line.push(b'"');
    }
    if let Some(start) = view.key_start {
        text(b",\"keyStart\":\"", &start, line);
    }
    if let Some(permission) = names.find(view.permission) {
        word(b",\"permission\":\"", permission, line);
    }
    if !view.reason.word().is_empty() {
        word(b",\"reason\":\"", view.reason.word().as_bytes(), line);
    }
    line.extend_from_slice(b",\"worker\":");
    write_number(u64::from(view.worker), line);
    line.extend_from_slice(b"}\n");
}

/// Appends one line for a terminal.
pub fn write_pretty(view: &AccessView<'_>, event: SecurityEvent, names: &mut NameTexts, line: &mut Vec<u8>) {
    write_time(view.wall_ms, line);
    for part in
        [level(event).word(), MESSAGE, event.word(), event.severity().word(), method_word(view.method)]
    {
        line.push(b' ');
        line.extend_from_slice(part.as_bytes());
    }
    line.push(b' ');
    line.extend_from_slice(names.find(view.route).unwrap_or(b"unmatched"));
    for (label, value) in
        [(&b" user="[..], view.user), (b" tenant=", view.tenant), (b" id=", view.request_id)]
    {
        if !value.is_empty() {
            line.extend_from_slice(label);
            escape(value, line);
        }
    }
    line.push(b'\n');
}

/// Lower-case hexadecimal digits in groups (RFC 9562 section 4).
fn write_uuid(uuid: u128, line: &mut Vec<u8>) {
    let bytes = uuid.to_be_bytes();
    for (index, group) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if index > 0 {
            line.push(b'-');
        }
        write_hex(bytes.get(group).unwrap_or_default(), line);
    }
}
