//! An instant as documents show it: RFC 3339 at +08:00.

use crate::record::{Millis, time};

/// An instant, clamped to the years 1 to 9999 so that it always has a text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Millis);

const FIRST: Millis = time::day_start(time::day_of(1, 1, 2));
const LAST: Millis = time::day_start(time::day_of(9999, 12, 30));

impl Time {
    /// The instant.
    #[must_use]
    pub fn new(at: Millis) -> Time {
        Time(at.clamp(FIRST, LAST))
    }

    /// Milliseconds since 1970-01-01T00:00Z.
    #[must_use]
    pub const fn millis(self) -> Millis {
        self.0
    }

    /// The local day, `YYYY-MM-DD`.
    #[must_use]
    pub fn day(self) -> String {
        let (y, m, d) = time::civil(time::local_day(self.0));
        format!("{y:04}-{m:02}-{d:02}")
    }

    /// Local day and minute, `YYYY-MM-DD HH:MM`: the form used in texts.
    #[must_use]
    pub fn minute(self) -> String {
        let minutes = (self.0 + time::ZONE).rem_euclid(time::DAY) / 60_000;
        format!("{} {:02}:{:02}", self.day(), minutes / 60, minutes % 60)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&time::rfc3339(self.0))
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Time, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse::<jiff::Timestamp>()
            .map(|t| Time::new(t.as_millisecond()))
            .map_err(|_| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{3})?\\+08:00$",
            "description": "时间 RFC 3339, +08:00"
        })
    }
}
