//! A span of time as rule authors write it: `10m`, `24h`, `7d`, `-30d`, `1h30m`.

use crate::record::Millis;
use std::fmt;
use std::str::FromStr;

/// A signed span in milliseconds. Text form: digits with a unit `s m h d`, largest first, an optional leading minus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Millis);

impl Span {
    /// The span in milliseconds.
    #[must_use]
    pub const fn millis(self) -> Millis {
        self.0
    }
}

/// Why a text is no span.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no duration; write digits and a unit: 30s, 10m, 24h, 7d")]
pub struct SpanError(String);

const UNITS: [(char, Millis); 4] = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1_000)];

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Span, SpanError> {
        let wrong = || SpanError(text.to_owned());
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut total: Millis = 0;
        let mut digits = String::new();
        let mut next_unit = 0;
        for c in body.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let unit = UNITS.iter().position(|(u, _)| *u == c).filter(|u| *u >= next_unit).ok_or_else(wrong)?;
            let n: Millis = digits.parse().map_err(|_| wrong())?;
            total = n.checked_mul(UNITS[unit].1).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
            digits.clear();
            next_unit = unit + 1;
        }
        if next_unit == 0 || !digits.is_empty() {
            return Err(wrong());
        }
        Ok(Span(if negative { -total } else { total }))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        if rest < 1_000 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl serde::Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?(\\d+d(\\d+h)?(\\d+m)?(\\d+s)?|\\d+h(\\d+m)?(\\d+s)?|\\d+m(\\d+s)?|\\d+s)$",
            "description": "时长: 30s, 10m, 24h, 7d, -30d, 1h30m"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_alike() {
        for text in ["30s", "10m", "24h", "7d", "-30d", "1h30m"] {
            let span: Span = text.parse().unwrap();
            let again: Span = span.to_string().parse().unwrap();
            assert_eq!(span, again, "{text}");
        }
        assert_eq!("1h30m".parse::<Span>().unwrap().millis(), 5_400_000);
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "-", "10", "m", "10M", "1m1h", "1.5h", "10分钟", "9999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
