//! An access-log record as a line: JSON for machines, a short one for people at a terminal.

use super::{AccessView, NameTexts};
use crate::telemetry::labels::method_word;

/// Appends one JSON object and a newline. Fields that a request does not have are left out.
pub fn write_json(view: &AccessView<'_>, names: &mut NameTexts, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"time\":\"");
    write_time(view.wall_ms, line);
    line.extend_from_slice(b"\",\"level\":\"");
    line.extend_from_slice(view.level().word().as_bytes());
    line.extend_from_slice(b"\",\"msg\":\"request\"");
    text(b",\"requestId\":\"", view.request_id, line);
    text(b",\"correlationId\":\"", view.correlation_id, line);
    write_trace(view, line);
    word(b",\"method\":\"", method_word(view.method).as_bytes(), line);
    word(b",\"path\":\"", names.find(view.route).unwrap_or(b"unmatched"), line);
    line.extend_from_slice(b",\"status\":");
    write_number(u64::from(view.status), line);
    line.extend_from_slice(b",\"durationMs\":");
    write_millis(view.duration_us, line);
    if let Some(service) = names.find(view.service) {
        word(b",\"service\":\"", service, line);
    }
    if view.upstream_status != 0 {
        line.extend_from_slice(b",\"upstreamStatus\":");
        write_number(u64::from(view.upstream_status), line);
    }
    text(b",\"userId\":\"", view.user, line);
    text(b",\"tenantId\":\"", view.tenant, line);
    if let Some(role) = names.find(view.role) {
        word(b",\"role\":\"", role, line);
    }
    line.extend_from_slice(b",\"clientIp\":\"");
    write_address(view.client, line);
    line.push(b'"');
    text(b",\"userAgent\":\"", view.user_agent, line);
    line.extend_from_slice(b",\"bytesIn\":");
    write_number(view.bytes_in, line);
    line.extend_from_slice(b",\"bytesOut\":");
    write_number(view.bytes_out, line);
    line.extend_from_slice(b",\"worker\":");
    write_number(u64::from(view.worker), line);
    if !view.reason.word().is_empty() {
        word(b",\"reason\":\"", view.reason.word().as_bytes(), line);
    }
    if let Some(event) = view.events.gravest() {
        word(b",\"event\":\"", event.word().as_bytes(), line);
        word(b",\"severity\":\"", event.severity().word().as_bytes(), line);
    }
    line.extend_from_slice(b"}\n");
}

/// Appends one line for a terminal: time, level, method, route, status, duration, who and why.
pub fn write_pretty(view: &AccessView<'_>, names: &mut NameTexts, line: &mut Vec<u8>) {
    write_time(view.wall_ms, line);
    line.push(b' ');
    line.extend_from_slice(view.level().word().as_bytes());
    line.push(b' ');
    line.extend_from_slice(method_word(view.method).as_bytes());
    line.push(b' ');
    line.extend_from_slice(names.find(view.route).unwrap_or(b"unmatched"));
    line.push(b' ');
    write_number(u64::from(view.status), line);
    line.push(b' ');
    write_millis(view.duration_us, line);
    line.extend_from_slice(b"ms");
    if let Some(service) = names.find(view.service) {
        word_plain(b" service=", service, line);
    }
    for (label, value) in [
        (&b" user="[..], view.user),
        (b" tenant=", view.tenant),
        (b" reason=", view.reason.word().as_bytes()),
        (b" event=", view.events.gravest().map_or(b"".as_slice(), |event| event.word().as_bytes())),
        (b" id=", view.request_id),
    ] {
        if !value.is_empty() {
            line.extend_from_slice(label);
            escape(value, line);
        }
    }
    line.push(b'\n');
}

pub(super) fn write_trace(view: &AccessView<'_>, line: &mut Vec<u8>) {
    if view.trace_id != 0 {
        line.extend_from_slice(b",\"traceId\":\"");
        write_hex(&view.trace_id.to_be_bytes(), line);
        line.extend_from_slice(b"\",\"spanId\":\"");
        write_hex(&view.span_id.to_be_bytes(), line);
        line.push(b'"');
    }
}

/// A field whose value came from outside; left out if empty.
pub(super) fn text(opening: &[u8], value: &[u8], line: &mut Vec<u8>) {
    if !value.is_empty() {
        line.extend_from_slice(opening);
        escape(value, line);
        line.push(b'"');
    }
}

/// A field whose value needs no escaping.
pub(super) fn word(opening: &[u8], value: &[u8], line: &mut Vec<u8>) {
    line.extend_from_slice(opening);
    line.extend_from_slice(value);
    line.push(b'"');
}

fn word_plain(opening: &[u8], value: &[u8], line: &mut Vec<u8>) {
    line.extend_from_slice(opening);
    line.extend_from_slice(value);
}

/// Appends the inside of a JSON string (RFC 8259 section 7). What is not UTF-8 becomes U+FFFD, and every
/// control character, DEL and the C1 set included, is written as an escape: a log is read on terminals.
pub fn escape(value: &[u8], line: &mut Vec<u8>) {
    if is_plain(value) {
        line.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            escape_character(character, line);
        }
        if !chunk.invalid().is_empty() {
            line.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

fn escape_character(character: char, line: &mut Vec<u8>) {
    match character {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        // Line and paragraph separator end a line for some readers.
        '\u{2028}' | '\u{2029}' => write_escape(character, line),
        _ if character.is_control() => write_escape(character, line),
        _ => line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// `\uXXXX`; every character that is escaped so lies below U+10000.
fn write_escape(character: char, line: &mut Vec<u8>) {
    line.extend_from_slice(b"\\u");
    let code = u32::from(character).to_be_bytes();
    write_hex(&code[2..], line);
}

/// Whether every byte stands for itself in a JSON string. In steps of sixteen, which become vector instructions.
fn is_plain(value: &[u8]) -> bool {
    let plain = |byte: &u8| (0x20..0x7F).contains(byte) & (*byte != b'"') & (*byte != b'\\');
    let (steps, rest) = value.as_chunks::<16>();
    steps.iter().all(|step| step.iter().fold(true, |all, byte| all & plain(byte))) && rest.iter().all(plain)
}

pub(super) fn write_hex(bytes: &[u8], line: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        line.push(DIGITS[usize::from(byte >> 4)]);
        line.push(DIGITS[usize::from(byte & 0xF)]);
    }
}

/// Appends a decimal number.
pub fn write_number(number: u64, line: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[start..]);
}

/// Microseconds as milliseconds with three decimals.
fn write_millis(micros: u32, line: &mut Vec<u8>) {
    write_number(u64::from(micros / 1000), line);
    line.push(b'.');
    write_padded::<3>(u64::from(micros % 1000), line);
}

fn write_padded<const WIDTH: usize>(number: u64, line: &mut Vec<u8>) {
    let mut digits = [b'0'; WIDTH];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    line.extend_from_slice(&digits);
}

pub(super) fn write_address(address: std::net::IpAddr, line: &mut Vec<u8>) {
    match address {
        std::net::IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    line.push(b'.');
                }
                write_number(u64::from(octet), line);
            }
        }
        std::net::IpAddr::V6(_) => line.extend_from_slice(address.to_string().as_bytes()),
    }
}

/// `2026-11-24T05:41:07.123Z` (RFC 3339) of milliseconds since 1970.
pub fn write_time(wall_ms: u64, line: &mut Vec<u8>) {
    let seconds = wall_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    write_padded::<4>(year, line);
    line.push(b'-');
    write_padded::<2>(month, line);
    line.push(b'-');
    write_padded::<2>(day, line);
    line.push(b'T');
    write_padded::<2>(of_day / 3600, line);
    line.push(b':');
    write_padded::<2>(of_day / 60 % 60, line);
    line.push(b':');
    write_padded::<2>(of_day % 60, line);
    line.push(b'.');
    write_padded::<3>(wall_ms % 1000, line);
    line.push(b'Z');
}

/// Year, month and day of a day since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}
