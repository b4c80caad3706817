//! Dates as heads and problem bodies write them, from seconds since 1970 without a formatter.

use super::number::write_padded;

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7). Made once a second, copied into every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate {
    bytes: [u8; 29],
    seconds: u64,
}

impl HttpDate {
    /// Of a time in seconds since 1970.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        let civil = Civil::of(seconds);
        let mut bytes = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        let (weekday, month) = (WEEKDAYS[civil.weekday], MONTHS[civil.month_index]);
        bytes[..3].copy_from_slice(weekday);
        write_padded(&mut bytes[5..7], civil.day);
        bytes[8..11].copy_from_slice(month);
        write_padded(&mut bytes[12..16], civil.year);
        write_time(&mut bytes[17..25], seconds);
        HttpDate { bytes, seconds }
    }

    /// Writes the new time if the second has changed.
    pub fn refresh(&mut self, seconds: u64) {
        if self.seconds != seconds {
            *self = HttpDate::at(seconds);
        }
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// `1994-11-06T08:49:37.125Z`: ISO 8601 as existing clients parse it, of milliseconds since 1970.
#[must_use]
pub fn iso_timestamp(millis: u64) -> [u8; 24] {
    let seconds = millis / 1000;
    let civil = Civil::of(seconds);
    let mut bytes = *b"1970-01-01T00:00:00.000Z";
    write_padded(&mut bytes[..4], civil.year);
    write_padded(&mut bytes[5..7], civil.month_index as u64 + 1);
    write_padded(&mut bytes[8..10], civil.day);
    write_time(&mut bytes[11..19], seconds);
    write_padded(&mut bytes[20..23], millis % 1000);
    bytes
}

fn write_time(to: &mut [u8], seconds: u64) {
    write_padded(&mut to[..2], seconds / 3600 % 24);
    write_padded(&mut to[3..5], seconds / 60 % 60);
    write_padded(&mut to[6..8], seconds % 60);
}

struct Civil {
    year: u64,
    /// 0 is January.
    month_index: usize,
    day: u64,
    /// 0 is Sunday.
    weekday: usize,
}

impl Civil {
    /// Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`, for days since 1970.
    fn of(seconds: u64) -> Self {
        let days = seconds / 86_400;
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month_index = (month_from_march + 2) % 12;
        Civil {
            year: era * 400 + year_of_era + u64::from(month_index < 2),
            month_index: month_index as usize,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            weekday: ((days + 4) % 7) as usize,
        }
    }
}

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
