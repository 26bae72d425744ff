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

/// Why a text is no instant or day. No value of the text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not of the form asked for.
    #[error("not of the form YYYY-MM-DDThh:mm:ss+hh:mm")]
    Form,
    /// A month, day, hour, minute or second that does not exist (30 February, second 60).
    #[error("no such day or time of day")]
    Calendar,
    /// No offset from UTC, and the source declares no zone.
    #[error("no offset from UTC, and the source declares no zone")]
    Zone,
}

/// Days in a month of the Gregorian calendar; 0 for a month that does not exist.
#[must_use]
pub const fn days_in(year: i64, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Reads exactly `n` digits from the front.
fn digits(bytes: &[u8], n: usize) -> Option<(u32, &[u8])> {
    let mut value = 0;
    for &b in bytes.get(..n)? {
        if !b.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u32::from(b - b'0');
    }
    Some((value, bytes.get(n..)?))
}

fn literal(bytes: &[u8], b: u8) -> Option<&[u8]> {
    match bytes.split_first() {
        Some((first, rest)) if *first == b => Some(rest),
        _ => None,
    }
}

fn day_part(bytes: &[u8]) -> Result<(i64, &[u8]), TimeError> {
    let read = || {
        let (year, rest) = digits(bytes, 4)?;
        let (month, rest) = digits(literal(rest, b'-')?, 2)?;
        let (day, rest) = digits(literal(rest, b'-')?, 2)?;
        Some((i64::from(year), month, day, rest))
    };
    let (year, month, day, rest) = read().ok_or(TimeError::Form)?;
    if day == 0 || day > days_in(year, month) {
        return Err(TimeError::Calendar);
    }
    Ok((day_of(year, month, day), rest))
}

/// Reads `YYYY-MM-DD` into days since 1970-01-01.
///
/// # Errors
/// [`TimeError`] when the text has another form or the day does not exist.
pub fn parse_date(text: &str) -> Result<i64, TimeError> {
    match day_part(text.as_bytes())? {
        (day, []) => Ok(day),
        _ => Err(TimeError::Form),
    }
}

/// Reads an instant: RFC 3339 with an offset. With `zone` (milliseconds east of UTC) the offset may be missing and a
/// space may stand for the `T`. `24:00:00` is the beginning of the next day; digits behind the millisecond are cut.
///
/// # Errors
/// [`TimeError`]: another form, a time that does not exist (second 60 is refused: no feed of ours has leap seconds), or
/// neither offset nor zone.
pub fn parse_rfc3339(text: &str, zone: Option<Millis>) -> Result<Millis, TimeError> {
    if let Ok(usual) = text.as_bytes().try_into()
        && let Some(at) = usual_form(usual)
    {
        return Ok(at);
    }
    let (day, rest) = day_part(text.as_bytes())?;
    let rest = match rest.split_first() {
        Some((b'T' | b't', rest)) => rest,
        Some((b' ', rest)) if zone.is_some() => rest,
        _ => return Err(TimeError::Form),
    };
    let clock = || {
        let (hour, rest) = digits(rest, 2)?;
        let (minute, rest) = digits(literal(rest, b':')?, 2)?;
        let (second, rest) = digits(literal(rest, b':')?, 2)?;
        Some((hour, minute, second, rest))
    };
    let (hour, minute, second, mut rest) = clock().ok_or(TimeError::Form)?;
    let mut ms = 0;
    if let Some(fraction) = literal(rest, b'.') {
        let n = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if n == 0 || n > 9 {
            return Err(TimeError::Form);
        }
        for i in 0..3 {
            ms = ms * 10 + fraction.get(i).filter(|_| i < n).map_or(0, |b| i64::from(b - b'0'));
        }
        rest = fraction.get(n..).unwrap_or_default();
    }
    if minute > 59 || second > 59 || hour > 24 || (hour == 24 && (minute, second, ms) != (0, 0, 0)) {
        return Err(TimeError::Calendar);
    }
    let offset = match rest {
        [] => zone.ok_or(TimeError::Zone)?,
        b"Z" | b"z" => 0,
        _ => parse_offset_bytes(rest).ok_or(TimeError::Form)?,
    };
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Ok(day * DAY + seconds * 1000 + ms - offset)
}

/// `YYYY-MM-DDThh:mm:ss+08:00`, as nearly all feeds write it; `None` for whatever else, right or wrong.
fn usual_form(b: &[u8; 25]) -> Option<Millis> {
    const FORM: &[u8; 25] = b"0000-00-00T00:00:00+08:00";
    let mut fits = true;
    for i in 0..19 {
        // Digits stand where the form has 0, the same byte elsewhere.
        fits &= if FORM[i] == b'0' { b[i].is_ascii_digit() } else { b[i] == FORM[i] };
    }
    if !fits || b[19..] != FORM[19..] {
        return None;
    }
    let two = |i: usize| u32::from(b[i] - b'0') * 10 + u32::from(b[i + 1] - b'0');
    let (year, month, day) = (i64::from(two(0) * 100 + two(2)), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if day == 0 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some(day_start(day_of(year, month, day)) + seconds * 1000)
}

fn parse_offset_bytes(bytes: &[u8]) -> Option<Millis> {
    let (sign, rest) = match bytes.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(literal(rest, b':')?, 2)?;
    (rest.is_empty() && hour <= 23 && minute <= 59).then(|| sign * i64::from(hour * 60 + minute) * 60_000)
}

/// A declared zone in milliseconds east of UTC: `+08:00`, `-05:30`, `Z`, `UTC` or `Asia/Shanghai` (a fixed +08:00).
#[must_use]
pub fn parse_zone(text: &str) -> Option<Millis> {
    match text {
        "Z" | "UTC" => Some(0),
        "Asia/Shanghai" | "PRC" => Some(ZONE),
        _ => parse_offset_bytes(text.as_bytes()),
    }
}

/// `YYYY-MM-DD` of a day number.
#[must_use]
pub fn date(day: i64) -> String {
    let (y, m, d) = civil(day);
    format!("{y:04}-{m:02}-{d:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_strictly() {
        let at = |t: &str| parse_rfc3339(t, None);
        let noon = day_start(day_of(2026, 5, 8)) + 12 * 3_600_000;
        for text in [
            "2026-05-08T12:00:00+08:00",
            "2026-05-08T04:00:00Z",
            "2026-05-08t04:00:00.000z",
            "2026-05-07T22:30:00-05:30",
            "2026-05-08T12:00:00.000999999+08:00",
        ] {
            assert_eq!(at(text), Ok(noon), "{text}");
        }
        assert_eq!(at("2026-05-08T12:00:00.5+08:00"), Ok(noon + 500));
        assert_eq!(at("2026-05-08T24:00:00+08:00"), Ok(day_start(day_of(2026, 5, 9))));
        assert_eq!(at("2024-02-29T00:00:00+08:00"), Ok(day_start(day_of(2024, 2, 29))));
        for (text, error) in [
            ("2026-05-08T12:00:00", TimeError::Zone),
            ("2026-05-08 12:00:00+08:00", TimeError::Form),
            ("2026-02-30T12:00:00+08:00", TimeError::Calendar),
            ("2026-02-29T12:00:00+08:00", TimeError::Calendar),
            ("2026-13-01T12:00:00+08:00", TimeError::Calendar),
            ("2026-00-00T12:00:00+08:00", TimeError::Calendar),
            ("2026-05-08T23:59:60+08:00", TimeError::Calendar),
            ("2026-05-08T24:00:01+08:00", TimeError::Calendar),
            ("2026-05-08T24:00:00.001+08:00", TimeError::Calendar),
            ("2026-05-08T25:00:00+08:00", TimeError::Calendar),
            ("2026-05-08T12:00+08:00", TimeError::Form),
            ("2026-05-08T12:00:00+0800", TimeError::Form),
            ("2026-05-08T12:00:00+08:00 ", TimeError::Form),
            ("2026-05-08T12:00:00.+08:00", TimeError::Form),
            ("26-05-08T12:00:00+08:00", TimeError::Form),
            ("2026年05月08日", TimeError::Form),
            ("", TimeError::Form),
        ] {
            assert_eq!(at(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_declared_zone_reads_local_times() {
        let expected = parse_rfc3339("2026-11-23T08:00:00+08:00", None);
        for text in ["2026-11-23T08:00:00", "2026-11-23 08:00:00", "2026-11-23T00:00:00Z"] {
            assert_eq!(parse_rfc3339(text, Some(ZONE)), expected, "{text}");
        }
    }

    #[test]
    fn instants_print_and_read_alike() {
        for at in [0, 1, -1, 1_778_203_800_000, 4_133_980_799_999, -62_167_219_200_000 + ZONE] {
            assert_eq!(parse_rfc3339(&rfc3339(at), None), Ok(at), "{}", rfc3339(at));
        }
    }

    #[test]
    fn days_are_read_strictly() {
        assert_eq!(parse_date("1970-01-01"), Ok(0));
        assert_eq!(parse_date("2031-05-07").map(date).as_deref(), Ok("2031-05-07"));
        for text in ["2026-02-30", "2026-2-3", "20260203", "2026-02-03T", "2026/02/03"] {
            assert!(parse_date(text).is_err(), "{text}");
        }
    }
}
