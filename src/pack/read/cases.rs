//! Reads the test file of an indicator.
//!
//! In: the text of `<indicator>.test.yaml`, in the same strict subset as the rules. Out: its tests, each with the line it
//! begins at, or every finding. Not here: running them (`log::RuleTests`).

use super::scan::{Slip, scan};
use super::tree::{Data, Lines, Node, read};
use crate::engine::ChangeKind;
use crate::pack::Span;
use crate::record::{Level, Millis, time};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Fields of a record, in our own envelope.
pub type Fields = Map<String, Value>;

/// A test file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// 指标 / the indicator
    pub indicator: String,
    /// 用例 / its tests
    pub tests: Vec<TestCase>,
}

/// One test: records in, changes of the indicator's warnings out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// 名称 / what is shown
    pub name: String,
    /// 开始时间 / RFC 3339; offsets count from here, and log time begins here
    #[serde(deserialize_with = "instant")]
    pub start: Millis,
    /// 名录 / registry records, one day old at the start
    #[serde(default)]
    pub registry: Vec<Fields>,
    /// 缺省字段 / fields of every row that does not give them
    #[serde(default)]
    pub defaults: Fields,
    /// 记录 / rows, in the order in which they come in
    #[serde(default)]
    pub rows: Vec<TestRow>,
    /// 等间隔读数 / readings at equal distances: one series, or a list of them
    #[serde(default, deserialize_with = "one_or_more")]
    pub series: Vec<Series>,
    /// 时间走到 / offset to which log time goes on after the last row
    #[serde(default)]
    pub ticks: Option<Span>,
    /// 预期变化 / every change, in order
    pub expect: Vec<Expected>,
    /// Line of the file, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// Longest time that a test may take, ms: log time goes through every border between.
const LONGEST: Millis = 36_525 * 86_400_000;

impl TestCase {
    /// The latest time that the test names, ms from its start.
    fn length(&self) -> Millis {
        let series = self.series.iter().map(|s| {
            let steps = Millis::try_from(s.value.len()).unwrap_or(Millis::MAX);
            s.from.millis().saturating_add(s.every.millis().saturating_mul(steps))
        });
        let rows = self.rows.iter().map(|r| r.at.millis());
        rows.chain(series).chain(self.ticks.map(|t| t.millis())).max().unwrap_or(0)
    }
}

/// One row.
#[derive(Clone, Debug, Deserialize)]
pub struct TestRow {
    /// 时间 / offset from the start
    pub at: Span,
    /// Its fields.
    #[serde(flatten)]
    pub fields: Fields,
}

/// Readings at equal distances.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// 间隔 / distance
    pub every: Span,
    /// 起 / offset of the first
    #[serde(default)]
    pub from: Span,
    /// 字段 / fields of each of its rows, beside the value
    #[serde(default)]
    pub with: Fields,
    /// 读数 / `3*5 12 _*2 (1 2)*9`: five times 3, once 12, two that were not sent, nine times 1 and 2
    #[serde(deserialize_with = "readings")]
    pub value: Vec<Option<f64>>,
}

/// One change. What is left out is not compared.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// 时间 / offset of the change from the start
    pub at: Span,
    /// 变化 / what happened
    pub kind: ChangeKind,
    /// 等级 / the level from then on
    #[serde(default)]
    pub level: Option<Level>,
    /// 变化前等级 / the level before
    #[serde(default)]
    pub was: Option<Level>,
    /// 判定值 / the value judged, to six digits
    #[serde(default)]
    pub value: Option<f64>,
    /// 限值 / the bound
    #[serde(default)]
    pub bound: Option<f64>,
    /// 分组 / the segment
    #[serde(default)]
    pub segment: Option<String>,
    /// 键 / the routing key
    #[serde(default)]
    pub key: Option<String>,
    /// 因数据缺失 / raised because data is absent
    #[serde(default)]
    pub absent: Option<bool>,
}

/// Why a test file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TestFileError {
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl TestFile {
    /// Reads a text.
    ///
    /// # Errors
    /// Every slip of form, or the first test that does not have the form of one.
    pub fn read(text: &str) -> Result<TestFile, Vec<TestFileError>> {
        let lines = Lines::new(text);
        let all = |slips: Vec<Slip>| -> Vec<TestFileError> {
            slips
                .into_iter()
                .map(|s| TestFileError {
                    line: lines.place(&s.at).0,
                    message: format!("{} {}", s.message_zh, s.message),
                })
                .collect()
        };
        let slips = scan(text);
        if !slips.is_empty() {
            return Err(all(slips));
        }
        let root = read(text).map_err(all)?;
        let one = |line: usize, message: String| vec![TestFileError { line, message }];
        let root = root.ok_or_else(|| one(0, "the file is empty".to_owned()))?;
        let places: Vec<usize> = match root.entry("tests").map(|e| &e.node.data) {
            Some(Data::List(tests)) => tests.iter().map(|t| line_of(&lines, t)).collect(),
            _ => return Err(one(1, "a test file has an indicator and a list of tests".to_owned())),
        };
        // Test by test first, so that what does not fit is said with its line.
        if let Some(Data::List(tests)) = root.entry("tests").map(|e| &e.node.data) {
            let wrong: Vec<TestFileError> = tests
                .iter()
                .zip(&places)
                .filter_map(|(test, line)| {
                    let error = serde_json::from_value::<TestCase>(test.json()).err()?;
                    Some(TestFileError { line: *line, message: error.to_string() })
                })
                .collect();
            if !wrong.is_empty() {
                return Err(wrong);
            }
        }
        let mut file: TestFile = serde_json::from_value(root.json()).map_err(|e| one(1, e.to_string()))?;
        for (test, line) in file.tests.iter_mut().zip(places) {
            test.line = line;
        }
        let far: Vec<TestFileError> = file
            .tests
            .iter()
            .filter(|t| t.length() > LONGEST)
            .map(|t| TestFileError {
                line: t.line,
                message: "时间超过 100 年;a time is more than 100 years after the start of the test".to_owned(),
            })
            .collect();
        if far.is_empty() { Ok(file) } else { Err(far) }
    }
}

fn line_of(lines: &Lines, node: &Node) -> usize {
    let at = match &node.data {
        // A map begins at its first key; its own place may be that of the dash.
        Data::Map(entries) => entries.first().map_or(&node.at, |e| &e.key_at),
        _ => &node.at,
    };
    lines.place(at).0
}

fn instant<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(from)?;
    time::parse_rfc3339(&text, None).map_err(|_| {
        serde::de::Error::custom(format!("\"{text}\" is no instant; write it like 2026-03-02T08:00:00+08:00"))
    })
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Series>, D::Error> {
    // Told apart by hand: what does not fit must be said of the series, not of the list.
    let all = match Value::deserialize(from)? {
        Value::Array(all) => all,
        one => vec![one],
    };
    all.into_iter().map(|one| serde_json::from_value(one).map_err(serde::de::Error::custom)).collect()
}

/// More readings than any test needs: a slip of the keyboard must not fill the memory.
const READINGS: usize = 100_000;

fn readings<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Option<f64>>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = |part: &str| {
        serde::de::Error::custom(format!(
            "\"{part}\" is no reading; write 3, 3*5 for five of them, (3 4)*5, _ for none"
        ))
    };
    let many = || serde::de::Error::custom(format!("more than {READINGS} readings"));
    let mut all: Vec<Option<f64>> = Vec::new();
    // Where the readings begin that stand in brackets.
    let mut bracket = None;
    for part in text.replace('(', " ( ").replace(')', " )").split_whitespace() {
        let (value, times) = part.split_once('*').unwrap_or((part, "1"));
        let times: usize = times.parse().map_err(|_| wrong(part))?;
        let again = match (value, bracket) {
            ("(", None) if part == value => {
                bracket = Some(all.len());
                continue;
            }
            (")", Some(begin)) => {
                bracket = None;
                all.split_off(begin)
            }
            ("_", _) => vec![None],
            (number, _) => vec![Some(number.parse::<f64>().map_err(|_| wrong(part))?)],
        };
        if all.len().saturating_add(again.len().saturating_mul(times)) > READINGS {
            return Err(many());
        }
        all.extend(again.repeat(times));
    }
    if bracket.is_some() {
        return Err(wrong("("));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_knows_its_line_and_its_readings() {
        let text = "indicator: a\ntests:\n  - name: \"x\"\n    start: \"2026-03-02T08:00:00+08:00\"\n    expect: []\n  \
                    - name: \"y\"\n    start: \"2026-03-02T08:00:00+08:00\"\n    \
                    series: { every: 1m, from: 2m, value: \"3*2 _ 4.5\" }\n    \
                    expect:\n      - { at: 3m, kind: raised, level: blue }\n";
        let file = TestFile::read(text).unwrap();
        assert_eq!(file.tests.iter().map(|t| t.line).collect::<Vec<_>>(), [3, 6]);
        assert_eq!(file.tests[1].series[0].value, [Some(3.0), Some(3.0), None, Some(4.5)]);
        assert_eq!(file.tests[1].expect[0].level, Some(Level::Blue));
    }

    #[test]
    fn series_stand_alone_or_in_a_list_and_brackets_repeat() {
        let of = |series: &str| {
            TestFile::read(&format!(
                "indicator: a\ntests:\n  - name: \"x\"\n    start: \"2026-03-02T08:00:00+08:00\"\n    expect: []\n    \
                 series: {series}\n"
            ))
        };
        let file = of("[{ every: 1m, with: { sensor_id: s2 }, value: \"(1 _*2)*2 7\" }, { every: 1h, value: \"\" }]");
        let series = &file.unwrap().tests[0].series;
        assert_eq!(series[0].value, [Some(1.0), None, None, Some(1.0), None, None, Some(7.0)]);
        assert_eq!((series[0].with["sensor_id"].as_str(), series.len()), (Some("s2"), 2));
        for (series, words) in [
            ("{ every: 1m, value: \"(1 2\" }", "no reading"),
            ("{ every: 1m, value: \"1 2)*3\" }", "no reading"),
            ("{ every: 1m, value: \"((1 2)*2)*3\" }", "no reading"),
            ("{ every: 1m, value: \"(1 2)*99999\" }", "more than"),
            ("[{ every: 1m, valeu: \"1\" }]", "valeu"),
        ] {
            let errors = of(series).unwrap_err();
            assert!(errors[0].message.contains(words), "{series}: {}", errors[0].message);
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_said_with_its_line() {
        for (text, line, words) in [
            ("", 0, "empty"),
            ("indicator: a\n", 1, "tests"),
            ("indicator: a\ntests:\n  - name: \"x\"\n    start: \"noon\"\n    expect: []\n", 3, "noon"),
            (
                "indicator: a\ntests:\n  - name: \"x\"\n    start: \"2026-03-02T08:00:00+08:00\"\n    expekt: []\n",
                3,
                "expekt",
            ),
        ] {
            let errors = TestFile::read(text).unwrap_err();
            assert_eq!(errors[0].line, line, "{text}");
            assert!(errors[0].message.contains(words), "{} lacks {words}", errors[0].message);
        }
    }
}
