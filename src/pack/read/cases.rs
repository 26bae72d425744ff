//! Reads the test file of an indicator.
//!
//! In: the text of `<indicator>.test.yaml`, in the same strict subset as the rules. Out: its tests, each with the line it
//! begins at, or every finding. Not here: running them (`log::RuleTests`), whether a row becomes a record.

use super::document::{Document, Form};
use super::schema::{self, near};
use super::tree::{Data, Node};
use crate::engine::ChangeKind;
use crate::pack::{Finding, Severity, Span};
use crate::record::{Level, Millis, time};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Fields of a record, in our own envelope.
pub type Fields = Map<String, Value>;

/// A test file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// 指标 / the indicator
    pub indicator: String,
    /// 用例 / its tests
    pub tests: Vec<TestCase>,
}

/// One test: records in, changes of the indicator's warnings out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// 名称 / what is shown
    pub name: String,
    /// 开始时间 / RFC 3339; offsets count from here, and log time begins here
    #[serde(deserialize_with = "instant")]
    #[schemars(with = "String")]
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
    #[schemars(with = "OneOrMore")]
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

/// One row.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TestRow {
    /// 时间 / offset from the start
    pub at: Span,
    /// Its fields.
    #[serde(flatten)]
    pub fields: Fields,
}

/// Readings at equal distances.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
    #[schemars(with = "String")]
    pub value: Vec<Option<f64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMore {
    One(Series),
    More(Vec<Series>),
}

/// One change. What is left out is not compared.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
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

impl TestFile {
    /// Reads a text. `path`: the file that findings name.
    ///
    /// # Errors
    /// Every finding of its form, each with its place.
    pub fn read(path: &str, text: &str) -> Result<TestFile, Vec<Finding>> {
        let mut document = Document::new(path, Form::Test, text);
        let formed = document.root.is_some() && schema::judge(&mut document);
        if formed {
            values(&mut document);
        }
        let read = document.root.as_ref().filter(|_| document.findings.is_empty());
        let typed = read.map(|root| serde_json::from_value::<TestFile>(root.json()));
        match typed {
            Some(Ok(mut file)) => {
                for (i, test) in file.tests.iter_mut().enumerate() {
                    test.line = document.value(&format!("/tests/{i}/name")).line;
                }
                far(&file, &mut document);
                if document.findings.is_empty() { Ok(file) } else { Err(document.findings) }
            }
            Some(Err(error)) => {
                let words = (error.to_string(), format!("内容不成立: {error}"));
                document.find("wrong-form", Severity::Error, document.whole(), words, None);
                Err(document.findings)
            }
            None => Err(document.findings),
        }
    }

    /// What `check` says of a test file: its form, and whether there is such an indicator.
    #[must_use]
    pub fn check(path: &str, text: &str, indicators: &BTreeSet<String>) -> Vec<Finding> {
        let mut findings = match TestFile::read(path, text) {
            Ok(_) => Vec::new(),
            Err(findings) => findings,
        };
        let document = Document::new(path, Form::Test, text);
        let named = document.root.as_ref().and_then(|root| root.entry("indicator"));
        if let Some(Data::Text(id)) = named.map(|e| &e.node.data)
            && !indicators.contains(id)
        {
            findings.push(Finding {
                code: "unknown-indicator",
                severity: Severity::Error,
                place: document.value("/indicator"),
                message: format!("no indicator \"{id}\""),
                message_zh: format!("没有指标“{id}”"),
                hint: near(id, indicators.iter().map(String::as_str)),
            });
        }
        findings
    }
}

/// What the schema leaves open: instants and readings are texts there.
fn values(document: &mut Document) {
    let Some(root) = document.root.as_ref().map(Node::json) else { return };
    let tests = root.get("tests").and_then(Value::as_array);
    let mut told = Vec::new();
    for (i, test) in tests.into_iter().flatten().enumerate() {
        let start = test.get("start").and_then(Value::as_str).unwrap_or_default();
        if time::parse_rfc3339(start, None).is_err() {
            let words = (format!("\"{start}\" is no instant"), format!("“{start}”不是时间"));
            told.push((format!("/tests/{i}/start"), words, "2026-03-02T08:00:00+08:00".to_owned()));
        }
        for (pointer, series) in series_of(test, i) {
            let Some(Err(part)) = series.get("value").and_then(Value::as_str).map(parts) else { continue };
            let words = (format!("\"{part}\" is no reading"), format!("“{part}”不是读数"));
            let hint = format!(
                "3, 3*5 for five of them, (3 4)*5, _ for none; at most {READINGS} / 3*5 表示五个 3, _ 表示没有发送, 最多 \
                 {READINGS} 个"
            );
            told.push((format!("{pointer}/value"), words, hint));
        }
    }
    for (pointer, words, hint) in told {
        document.find("wrong-form", Severity::Error, document.value(&pointer), words, Some(hint));
    }
}

/// The series of a test as they stand in the file, with their places.
fn series_of(test: &Value, i: usize) -> Vec<(String, &Value)> {
    match test.get("series") {
        Some(Value::Array(all)) => {
            all.iter().enumerate().map(|(n, one)| (format!("/tests/{i}/series/{n}"), one)).collect()
        }
        Some(one) => vec![(format!("/tests/{i}/series"), one)],
        None => Vec::new(),
    }
}

/// Tests that take more time than any test needs.
fn far(file: &TestFile, document: &mut Document) {
    let root = document.root.as_ref().map(Node::json).unwrap_or_default();
    for (i, test) in file.tests.iter().enumerate() {
        let written = root.pointer(&format!("/tests/{i}")).map(|test| series_of(test, i)).unwrap_or_default();
        let series = test.series.iter().zip(written).map(|(s, (pointer, _))| {
            let steps = Millis::try_from(s.value.len()).unwrap_or(Millis::MAX);
            let last = s.from.millis().saturating_add(s.every.millis().saturating_mul(steps));
            (format!("{pointer}/every"), last)
        });
        let rows = test.rows.iter().enumerate().map(|(n, r)| (format!("/tests/{i}/rows/{n}/at"), r.at.millis()));
        let ticks = test.ticks.map(|t| (format!("/tests/{i}/ticks"), t.millis()));
        for (pointer, _) in rows.chain(series).chain(ticks).filter(|(_, at)| *at > LONGEST) {
            let en = "a time is more than 100 years after the start of the test".to_owned();
            let words = (en, "距用例开始超过 100 年".to_owned());
            document.find("duration", Severity::Error, document.value(&pointer), words, None);
        }
    }
}

fn instant<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(from)?;
    time::parse_rfc3339(&text, None).map_err(|_| {
        serde::de::Error::custom(format!("\"{text}\" is no instant; write it like 2026-03-02T08:00:00+08:00"))
    })
}

/// More readings than any test needs: a slip of the keyboard must not fill the memory.
const READINGS: usize = 100_000;

fn readings<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Option<f64>>, D::Error> {
    let text = String::deserialize(from)?;
    parts(&text).map_err(|part| serde::de::Error::custom(format!("\"{part}\" is no reading")))
}

/// The readings of a series, or the part that is none.
fn parts(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut all: Vec<Option<f64>> = Vec::new();
    // Where the readings begin that stand in brackets.
    let mut bracket = None;
    for part in text.replace('(', " ( ").replace(')', " )").split_whitespace() {
        let wrong = || part.to_owned();
        let (value, times) = part.split_once('*').unwrap_or((part, "1"));
        let times: usize = times.parse().map_err(|_| wrong())?;
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
            (number, _) => vec![Some(number.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(wrong)?)],
        };
        if all.len().saturating_add(again.len().saturating_mul(times)) > READINGS {
            return Err(wrong());
        }
        all.extend(again.repeat(times));
    }
    if bracket.is_some() { Err("(".to_owned()) } else { Ok(all) }
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Series>, D::Error> {
    Ok(match OneOrMore::deserialize(from)? {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(all) => all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
indicator: a
tests:
  - name: \"x\"
    start: \"2026-03-02T08:00:00+08:00\"
    expect: []
  - name: \"y\"
    start: \"2026-03-02T08:00:00+08:00\"
    defaults: { kind: iot, sensor_id: s1 }
    series: { every: 1m, from: 2m, value: \"3*2 _ 4.5\" }
    rows:
      - { at: 5m, value: 3, tags: [a] }
    expect:
      - { at: 3m, kind: raised, level: blue }
";

    #[test]
    fn a_test_knows_its_line_and_its_readings() {
        let file = TestFile::read("a.test.yaml", GOOD).unwrap();
        assert_eq!(file.tests.iter().map(|t| t.line).collect::<Vec<_>>(), [3, 6]);
        assert_eq!(file.tests[1].series[0].value, [Some(3.0), Some(3.0), None, Some(4.5)]);
        assert_eq!(file.tests[1].expect[0].level, Some(Level::Blue));
        assert_eq!(file.tests[1].rows[0].fields.len(), 2);
    }

    #[test]
    fn series_stand_alone_or_in_a_list_and_brackets_repeat() {
        let of = |series: &str| {
            let text = format!(
                "indicator: a\ntests:\n  - name: \"x\"\n    start: \"2026-03-02T08:00:00+08:00\"\n    expect: []\n    \
                 series: {series}\n"
            );
            TestFile::read("a.test.yaml", &text)
        };
        let file = of("[{ every: 1m, with: { sensor_id: s2 }, value: \"(1 _*2)*2 7\" }, { every: 1h, value: \"\" }]");
        let series = &file.unwrap().tests[0].series;
        assert_eq!(series[0].value, [Some(1.0), None, None, Some(1.0), None, None, Some(7.0)]);
        assert_eq!((series[0].with["sensor_id"].as_str(), series.len()), (Some("s2"), 2));
        for (series, column, words) in [
            ("{ every: 1m, value: \"(1 2\" }", 33, "no reading"),
            ("{ every: 1m, value: \"1 2)*3\" }", 33, "no reading"),
            ("{ every: 1m, value: \"((1 2)*2)*3\" }", 33, "no reading"),
            ("[{ every: 1m, value: \"(1 2)*99999\" }]", 34, "no reading"),
            ("[{ every: 1m, valeu: \"1\" }]", 27, "valeu"),
        ] {
            let errors = of(series).unwrap_err();
            let found = errors.iter().find(|e| e.message.contains(words));
            let found = found.unwrap_or_else(|| panic!("{series}: {errors:?}"));
            assert_eq!((found.place.line, found.place.column), (6, column), "{series}: {errors:?}");
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_said_with_its_place() {
        for (line, now, at, hint) in [
            (GOOD, "", "0:0 empty", ""),
            ("tests:\n", "test:\n", "2:1 unknown-field", "tests"),
            (
                "start: \"2026-03-02T08:00:00+08:00\"\n    expect",
                "start: \"noon\"\n    expect",
                "4:12 wrong-form",
                "2026",
            ),
            ("expect: []", "expekt: []", "5:5 unknown-field", "expect"),
            ("level: blue", "level: bleu", "13:40 unknown-word", "blue"),
            ("kind: raised", "kind: raise", "13:25 unknown-word", "raised"),
            ("at: 3m,", "at: 3,", "13:15 wrong-type", "3m"),
            ("at: 5m, ", "", "11:9 missing-field", ""),
            ("every: 1m", "every: 1 min", "9:22 wrong-form", ""),
            ("3*2 _ 4.5", "3*2 x 4.5", "9:43 wrong-form", "3*5"),
            ("3*2 _ 4.5", "3*9999999", "9:43 wrong-form", "3*5"),
            ("at: 5m", "at: 99999d", "11:15 duration", ""),
            ("indicator: a", "indicator：a", "1:10 full-width", "--fix"),
        ] {
            assert!(GOOD.contains(line), "the good file has no line {line}");
            let findings = TestFile::read("a.test.yaml", &GOOD.replacen(line, now, 1)).unwrap_err();
            let said: Vec<String> =
                findings.iter().map(|f| format!("{}:{} {}", f.place.line, f.place.column, f.code)).collect();
            let found = said.iter().position(|s| s == at);
            let found = found.unwrap_or_else(|| panic!("{now}: {said:?} instead of {at}"));
            let said = findings[found].hint.clone().unwrap_or_default();
            assert!(said.contains(hint), "{now}: {said} lacks {hint}");
        }
    }

    #[test]
    fn an_indicator_that_is_not_there_is_said_even_where_the_form_is_wrong() {
        let known = ["gas_leak".to_owned()].into();
        let bad = GOOD.replace("indicator: a", "indicator: gas_leek").replace("expect: []", "expekt: []");
        let findings = TestFile::check("a.test.yaml", &bad, &known);
        let last = findings.last().unwrap();
        assert_eq!((last.code, last.place.line, last.place.column), ("unknown-indicator", 1, 12));
        assert!(last.hint.as_ref().is_some_and(|h| h.contains("gas_leak")));
        assert_eq!(TestFile::check("a.test.yaml", &GOOD.replace("indicator: a", "indicator: gas_leak"), &known), []);
    }
}
