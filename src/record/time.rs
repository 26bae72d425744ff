//! Instants as milliseconds since 1970-01-01T00:00Z, shown and cut into days at +08:00.

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// +08:00 in milliseconds; China has had no other zone or summer time since 1991.
pub const ZONE: Millis = 8 * 3_600_000;
/// A day in milliseconds.
pub const DAY: Millis = 86_400_000;

/// Days since 1970-01-01 of the local (+08:00) day that holds the instant.
#[must_use]
pub const fn local_day(at: Millis) -> i64 {
    (at + ZONE).div_euclid(DAY)
}

/// The instant at which a local day begins.
#[must_use]
pub const fn day_start(day: i64) -> Millis {
    day * DAY - ZONE
}

/// Year, month and day of a day number (proleptic Gregorian).
///
/// # Source
/// Hinnant, chrono-compatible low-level date algorithms (`civil_from_days`).
#[must_use]
pub const fn civil(day: i64) -> (i64, u32, u32) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let m = (if mp < 10 { mp + 3 } else { mp - 9 }) as u32;
    (yoe + era * 400 + if m <= 2 { 1 } else { 0 }, m, d)
}

/// The day number of a year, month and day.
#[must_use]
pub const fn day_of(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month as i64 + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day as i64 - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// RFC 3339 at +08:00, with milliseconds only when there are any.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let (y, mo, d) = civil(local_day(at));
    let ms = (at + ZONE).rem_euclid(DAY);
    let (s, ms) = (ms / 1000, ms % 1000);
    let (h, mi, s) = (s / 3600, s / 60 % 60, s % 60);
    if ms == 0 {
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}+08:00")
    } else {
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}+08:00")
    }
}
