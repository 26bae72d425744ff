//! Bad files and what is said about them; good files that pass; mends that make bad files good.

use super::document::Form;
use crate::pack::load::built_in;
use crate::pack::read::{fix, judge};
use crate::pack::{Body, Loaded, Pack};
use proptest::prelude::*;
use std::path::Path;

const INDUSTRY: &str = "\
id: gas
name: \"燃气\"
name_en: \"Gas\"
lead: urban_management
assist: [fire_rescue]
";

const PLAN: &str = "\
id: plan_gas
name: \"预案\"
levels:
  blue: { steps: [{ id: \"1\", by: lead, do: \"查\", within: 2h }] }
  yellow: { steps: [{ id: \"1\", by: lead, do: \"查\", within: 2h }] }
  orange: { steps: [{ id: \"1\", by: fire_rescue, do: \"查\", within: 2h }] }
";

/// A good reading; the tables change lines of it.
const LEAK: &str = "\
id: gas_leak
name: \"泄漏浓度\"
status: stable
source: iot
key: { space: object, state: [sensor_id] }
filter: \"sensor_type = 'gas_lel'\"
kind: sustained
value: \"value\"
levels: { blue: 10, yellow: 25, orange: 50 }
on_null: skip
basis: [{ name: \"标准\", status: S }]
message: \"{{ object.name }}达{{ value }}{{ unit }}\"
";

/// A good count.
const COUNT: &str = "\
id: gas_count
name: \"次数\"
status: shadow
source: supervision
key: { space: entity }
kind: measure
window: 7d
measures:
  n: { count: true }
levels: { blue: 1, yellow: 2 }
on_null: zero
";

fn pack() -> Body {
    let mut body = built_in();
    for (path, text) in [
        ("rules/gas/industry.yaml", INDUSTRY),
        ("rules/gas/plan.yaml", PLAN),
        ("rules/gas/gas_leak.yaml", LEAK),
        ("rules/gas/gas_count.yaml", COUNT),
    ] {
        body.files.insert(path.to_owned(), text.to_owned());
    }
    body
}

/// The findings of a pack in which one file was changed, `file:line:column code`.
fn findings(path: &str, text: &str) -> Vec<String> {
    let mut body = pack();
    body.files.insert(path.to_owned(), text.to_owned());
    told(&body)
}

fn told(body: &Body) -> Vec<String> {
    let name = |f: &str| f.rsplit('/').next().unwrap_or_default().to_owned();
    let (_, findings) = judge(body);
    findings.iter().map(|f| format!("{}:{}:{} {}", name(&f.place.file), f.place.line, f.place.column, f.code)).collect()
}

#[test]
fn a_good_pack_has_no_findings() {
    assert_eq!(told(&pack()), Vec::<String>::new());
    let pack = Pack::read(pack()).unwrap();
    assert_eq!(pack.indicators["gas_leak"].industry.as_deref(), Some("gas"));
    assert_eq!(pack.hash.len(), 64);
}

/// Checks a table of (line of the file, its replacement, findings).
fn table(path: &str, good: &str, cases: &[(&str, &str, &[&str])]) {
    let mut wrong = Vec::new();
    for (line, now, expected) in cases {
        assert!(good.contains(line), "the good file has no line {line}");
        let found = findings(path, &good.replacen(line, now, 1));
        if found != *expected {
            wrong.push(format!("{now}\n   expected {expected:?}\n      found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn slips_of_ordinary_editors_are_told_with_their_place() {
    table(
        "rules/gas/gas_leak.yaml",
        LEAK,
        &[
            ("name: \"泄漏浓度\"", "name：\"泄漏浓度\"", &["gas_leak.yaml:2:5 full-width"]),
            ("name: \"泄漏浓度\"", "name: “泄漏浓度”", &["gas_leak.yaml:2:7 full-width"]),
            ("name: \"泄漏浓度\"", "name: 泄漏浓度", &["gas_leak.yaml:2:7 unquoted"]),
            ("name: \"泄漏浓度\"", "name: 泄漏，浓度", &["gas_leak.yaml:2:7 unquoted"]),
            ("name: \"泄漏浓度\"", "name: \"泄漏，浓度：#1\"", &[]),
            ("name: \"泄漏浓度\"", "name: \"泄漏\" # 注释，随意：", &[]),
            ("blue: 10, yellow: 25", "blue: 10，yellow: 25", &["gas_leak.yaml:9:19 full-width"]),
            ("levels: {", "levels: ｛", &["gas_leak.yaml:9:9 full-width"]),
            ("status: stable", "status:\u{3000}stable", &["gas_leak.yaml:3:8 wide-space"]),
            ("status: stable", "status:\tstable", &["gas_leak.yaml:3:8 tab"]),
            ("status: stable", "status: stable\r", &["gas_leak.yaml:3:15 line-end"]),
            ("status: stable", "status: stable#ok", &["gas_leak.yaml:3:9 unknown-word", "gas_leak.yaml:3:15 hash"]),
            ("status: stable", "status: &a stable", &["gas_leak.yaml:3:9 anchor"]),
            ("status: stable", "status: *a", &["gas_leak.yaml:3:9 alias"]),
            ("status: stable", "status: !!str stable", &["gas_leak.yaml:3:9 tag"]),
            ("status: stable", "<<: { a: 1 }", &["gas_leak.yaml:3:1 merge-key"]),
            ("status: stable", "status: stable\nstatus: draft", &["gas_leak.yaml:4:1 duplicate-key"]),
            ("status: stable", "status: stable\n---\na: 1", &["gas_leak.yaml:4:1 documents"]),
            ("status: stable", "status:", &["gas_leak.yaml:3:7 empty"]),
            ("status: stable", "status: [stable", &["gas_leak.yaml:4:7 yaml-syntax"]),
        ],
    );
}

#[test]
fn fields_types_and_words_are_told_with_their_place() {
    table(
        "rules/gas/gas_leak.yaml",
        LEAK,
        &[
            ("levels: {", "levls: {", &["gas_leak.yaml:9:1 unknown-field"]),
            ("blue: 10", "bleu: 10", &["gas_leak.yaml:9:11 unknown-field"]),
            ("value: \"value\"\n", "", &["gas_leak.yaml:1:1 missing-field"]),
            ("status: stable", "status: stabel", &["gas_leak.yaml:3:9 unknown-word"]),
            ("kind: sustained", "kind: sustaind", &["gas_leak.yaml:7:7 unknown-word"]),
            ("kind: sustained", "kind: sustaned", &["gas_leak.yaml:7:7 unknown-word"]),
            ("kind: sustained\n", "", &["gas_leak.yaml:1:1 missing-field"]),
            ("kind: sustained", "kind: sustained\nduration: 7x", &["gas_leak.yaml:8:11 wrong-form"]),
            ("kind: sustained", "kind: sustained\nsamples: \"2\"", &["gas_leak.yaml:8:10 wrong-type"]),
            ("kind: sustained", "kind: sustained\ncool_down: { bleu: 1h }", &["gas_leak.yaml:8:14 unknown-field"]),
            ("kind: sustained", "kind: sustained\nclear: { below: \"95\" }", &["gas_leak.yaml:8:17 wrong-form"]),
            ("name: \"泄漏浓度\"", "name: 001", &[]),
            ("name: \"泄漏浓度\"", "name: 101", &["gas_leak.yaml:2:7 wrong-type"]),
            ("blue: 10", "blue: true", &["gas_leak.yaml:9:17 wrong-type"]),
            ("blue: 10", "blue: { abov: 10 }", &["gas_leak.yaml:9:19 unknown-field"]),
            ("id: gas_leak", "- gas_leak", &["gas_leak.yaml:2:1 yaml-syntax"]),
        ],
    );
}

#[test]
fn what_an_indicator_names_must_exist() {
    table(
        "rules/gas/gas_leak.yaml",
        LEAK,
        &[
            ("id: gas_leak", "id: gas_leek", &["gas_leak.yaml:1:5 id-file"]),
            ("source: iot", "source: iott", &["gas_leak.yaml:4:9 unknown-source"]),
            ("space: object", "space: street", &["gas_leak.yaml:5:15 route"]),
            ("[sensor_id]", "[sensor]", &["gas_leak.yaml:5:31 sql-column"]),
            ("basis: ", "to: { lead: urban_managment }\nbasis: ", &["gas_leak.yaml:11:13 unknown-department"]),
            ("basis: ", "plan: plan_gass\nbasis: ", &["gas_leak.yaml:11:7 unknown-plan"]),
            ("orange: 50", "orange: 50, red: 60", &["gas_leak.yaml:1:5 plan-level"]),
            ("basis: [{ name: \"标准\", status: S }]\n", "", &["gas_leak.yaml:1:5 no-basis"]),
            ("basis: ", "matter_code: \"X\"\nbasis: ", &["gas_leak.yaml:11:14 unknown-matter"]),
            ("basis: ", "lookups: { lic: gas_lic }\nbasis: ", &["gas_leak.yaml:11:17 unknown-indicator"]),
            ("basis: ", "lookups: { lic: gas_count }\nbasis: ", &["gas_leak.yaml:11:17 lookup"]),
            ("orange: 50", "orange: { signal: gas_count }", &["gas_leak.yaml:9:51 signal-route"]),
            ("orange: 50", "orange: { signal: gas_cont }", &["gas_leak.yaml:9:51 unknown-indicator"]),
            ("basis: ", "incident: [seq]\nbasis: ", &["gas_leak.yaml:11:12 incident"]),
            ("value: \"value\"", "value: \"valu\"", &["gas_leak.yaml:8:9 sql-column"]),
            ("'gas_lel'\"", "'gas_lel' AND nosuch = 1\"", &["gas_leak.yaml:6:38 sql-column"]),
        ],
    );
}

#[test]
fn levels_rise_and_fit_their_method() {
    table(
        "rules/gas/gas_leak.yaml",
        LEAK,
        &[
            ("yellow: 25", "yellow: 9", &["gas_leak.yaml:9:29 level-order"]),
            ("yellow: 25", "yellow: 10", &["gas_leak.yaml:9:29 level-order"]),
            (
                "levels: {",
                "levels: { direction: below,",
                &["gas_leak.yaml:9:47 level-order", "gas_leak.yaml:9:59 level-order"],
            ),
            ("yellow: 25", "yellow: 5m", &["gas_leak.yaml:9:29 level-form"]),
            ("yellow: 25", "yellow: [1, 2]", &["gas_leak.yaml:9:21 level-form"]),
            (
                "levels: {",
                "bound: 5\nlevels: {",
                &["gas_leak.yaml:10:17 level-form", "gas_leak.yaml:10:29 level-form", "gas_leak.yaml:10:41 level-form"],
            ),
            ("levels: { blue: 10, yellow: 25, orange: 50 }\n", "", &["gas_leak.yaml:1:5 no-levels"]),
            ("orange: 50", "orange: {}", &["gas_leak.yaml:9:33 condition"]),
            (
                "orange: 50",
                "orange: { above: 1, signal: gas_count }",
                &["gas_leak.yaml:9:33 condition", "gas_leak.yaml:9:61 signal-route"],
            ),
            ("orange: 50", "orange: { measure: n, above: 1 }", &["gas_leak.yaml:9:52 unknown-measure"]),
            ("orange: 50", "orange: { after: 5m }", &["gas_leak.yaml:9:50 condition"]),
            ("on_null", "clear: { above: \"105%\" }\non_null", &["gas_leak.yaml:10:17 clear"]),
            ("on_null", "raise: [{ when: { above: 1 }, by: 4 }]\non_null", &["gas_leak.yaml:10:35 raise"]),
            (
                "on_null",
                "segments: [{ id: a, when: \"true\", levels: { blue: 10, yellow: 25, orange: 50 } }]\non_null",
                &["gas_leak.yaml:10:12 no-effect"],
            ),
        ],
    );
}

#[test]
fn measures_and_texts_are_checked() {
    table(
        "rules/gas/gas_count.yaml",
        COUNT,
        &[
            ("{ count: true }", "{ count: true, sum: \"amount_cny\" }", &["gas_count.yaml:9:3 measure"]),
            ("{ count: true }", "{}", &["gas_count.yaml:9:3 measure"]),
            ("window: 7d\n", "", &["gas_count.yaml:8:3 no-window"]),
            ("window: 7d", "window: { size: 7d, pane: 5h }", &["gas_count.yaml:7:27 pane"]),
            ("window: 7d", "window: 0s", &["gas_count.yaml:7:9 duration"]),
            (
                "n: { count: true }",
                "n: { distinct: \"entity_id\", window: { size: 7d, keep: panes } }",
                &["gas_count.yaml:9:18 distinct-rows"],
            ),
            ("n: { count: true }", "n: { count: true }\n  m: { sum: \"amount_cny\" }", &["gas_count.yaml:8:1 measure"]),
            ("kind: measure", "kind: measure\nvalue: \"m * 2\"", &["gas_count.yaml:7:9 sql-column"]),
            ("on_null: zero", "on_null: zero\nmessage: \"{{ object.nam }}\"", &["gas_count.yaml:12:10 template"]),
            ("on_null: zero", "on_null: zero\nmessage: \"{{ object.name\"", &["gas_count.yaml:12:10 template"]),
            ("on_null: zero", "on_null: zero\nmessage: \"超过30分钟\"", &["gas_count.yaml:12:10 bare-number"]),
        ],
    );
}

#[test]
fn conditions_that_no_row_fulfils_are_refused() {
    table(
        "rules/gas/gas_leak.yaml",
        LEAK,
        &[
            ("= 'gas_lel'", "= 'gas_lal'", &["gas_leak.yaml:6:24 sql-word"]),
            ("= 'gas_lel'", "IN ('gas_lel', 'toxic')", &["gas_leak.yaml:6:37 sql-word"]),
            ("'gas_lel'\"", "'gas_lel' AND status <> 'bad'\"", &["gas_leak.yaml:6:48 sql-word"]),
            ("'gas_lel'\"", "'gas_lel' AND object_status = 'open'\"", &["gas_leak.yaml:6:54 sql-word"]),
            ("'gas_lel'\"", "'gas_lel' AND unit = '℃'\"", &["gas_leak.yaml:6:45 sql-word"]),
            ("= 'gas_lel'", "= NULL", &["gas_leak.yaml:6:24 sql-null"]),
            ("\"sensor_type = 'gas_lel'\"", "\"1 > 2\"", &["gas_leak.yaml:6:9 sql-constant"]),
            ("\"sensor_type = 'gas_lel'\"", "\"true\"", &[]),
            ("orange: 50", "orange: { row: \"industry = 'gass'\" }", &["gas_leak.yaml:9:60 sql-word"]),
            ("on_null", "lookups: { at: gas_leak__at }\non_null", &["gas_leak.yaml:10:16 unknown-indicator"]),
        ],
    );
    let told = |readers: &str| {
        let mut body = pack();
        let lookup = "id: gas_leak__at\nname: \"x\"\nstatus: shadow\nsource: iot\nkey: { space: object }\nkind: lookup\n\
                      values: { quality: \"status\", place: \"location_id\" }\non_null: skip\n";
        body.files.insert("rules/gas/gas_leak__at.yaml".into(), lookup.into());
        let filter = format!("'gas_lel' AND {readers}\"\nlookups: {{ at: gas_leak__at }}");
        body.files.insert("rules/gas/gas_leak.yaml".into(), LEAK.replace("'gas_lel'\"", &filter));
        super::tests::told(&body)
    };
    assert_eq!(told("at_quality = 'good'"), Vec::<String>::new());
    assert_eq!(told("at_quality = 'goood'"), ["gas_leak.yaml:6:51 sql-word"], "a lookup hands the words on");
    assert_eq!(told("at_place = 'goood'"), Vec::<String>::new());
}

#[test]
fn signals_of_indicators_that_are_not_there_are_refused() {
    let sender = COUNT.replace("on_null", "signal_to: [{ space: entity, key: entity_id }]\non_null");
    let told = |filter: &str| {
        let mut body = pack();
        let reader = COUNT
            .replace("gas_count", "gas_heat")
            .replace("source: supervision", &format!("source: signal\nfilter: \"{filter}\""));
        body.files.insert("rules/gas/gas_count.yaml".into(), sender.clone());
        body.files.insert("rules/gas/gas_heat.yaml".into(), reader);
        super::tests::told(&body)
    };
    assert_eq!(told("indicator = 'gas_count'"), Vec::<String>::new());
    assert_eq!(told("indicator = 'gas_cont'"), ["gas_heat.yaml:5:22 sql-word"]);
}

#[test]
fn units_are_those_of_the_readings() {
    table(
        "rules/gas/gas_leak.yaml",
        LEAK,
        &[
            ("on_null", "unit: \"%LEL\"\non_null", &[]),
            ("on_null", "unit: \"LEL%\"\non_null", &[]),
            ("on_null", "unit: \"%\"\non_null", &["gas_leak.yaml:10:7 unit"]),
            ("on_null", "unit: \"℃\"\non_null", &["gas_leak.yaml:10:7 unit"]),
            ("value: \"value\"", "value: \"value / 100\"\nunit: \"份\"", &[]),
        ],
    );
    table(
        "rules/gas/gas_count.yaml",
        &COUNT
            .replace("source: supervision", "source: iot\nfilter: \"sensor_type = 'temp_c'\"\nunit: \"℃\"")
            .replace("count: true", "max: \"value\"")
            .replace("space: entity", "space: object"),
        &[
            ("unit: \"℃\"", "unit: \"Cel\"", &[]),
            ("unit: \"℃\"", "unit: \"K\"", &["gas_count.yaml:6:7 unit"]),
            ("unit: \"℃\"", "unit: \"kPa\"\nclear: { below: \"90%\" }", &["gas_count.yaml:6:7 unit"]),
            ("max: \"value\"", "count: true", &[]),
        ],
    );
    table(
        "rules/sources/meter.yaml",
        FEED,
        &[
            ("type: float }", "type: float, unit: \"%LEL\" }", &[]),
            ("type: float }", "type: float, unit: \"kPa\" }", &["meter.yaml:5:35 unit"]),
            ("  value:", "  unit: \"'ppm'\"\n  value:", &["meter.yaml:15:9 unit"]),
            ("'gas_lel'", "'gas_lal'", &["meter.yaml:13:17 sql-word"]),
            ("\"'good'\"", "\"CASE WHEN v > 1 THEN 'good' ELSE 'bad' END\"", &["meter.yaml:14:45 sql-word"]),
        ],
    );
}

#[test]
fn bounds_that_every_count_reaches_or_none_are_refused() {
    table(
        "rules/gas/gas_count.yaml",
        COUNT,
        &[
            ("blue: 1", "blue: 0", &["gas_count.yaml:10:17 always"]),
            ("{ blue: 1", "{ direction: over, blue: 0", &[]),
            ("{ blue: 1", "{ direction: over, blue: -1", &["gas_count.yaml:10:34 always"]),
            ("{ blue: 1, yellow: 2 }", "{ direction: under, blue: 0 }", &["gas_count.yaml:10:35 never"]),
            ("blue: 1", "blue: { measure: n, above: 0 }", &["gas_count.yaml:10:38 always"]),
            (
                "n: { count: true }\nlevels: { blue: 1",
                "n: { sum: \"amount_cny\" }\nlevels: { blue: 0",
                &["gas_count.yaml:10:17 always"],
            ),
            ("n: { count: true }\nlevels: { blue: 1", "n: { last: \"credit_score\" }\nlevels: { blue: 0", &[]),
            ("window: 7d", "window: 7d\nvalue: \"n - 5\"\nclear: { evaluations: 2 }", &[]),
        ],
    );
    let minus = COUNT.replace("window: 7d", "window: 7d\nvalue: \"n - 5\"").replace("blue: 1", "blue: 0");
    assert_eq!(findings("rules/gas/gas_count.yaml", &minus), Vec::<String>::new(), "a difference may be below zero");
    let gap = LEAK.replace("kind: sustained\nvalue: \"value\"", "kind: gap");
    let gap = gap.replace("blue: 10, yellow: 25, orange: 50", "blue: 0s, yellow: 15d");
    assert_eq!(findings("rules/gas/gas_leak.yaml", &gap), ["gas_leak.yaml:8:17 always"]);
    let reading = LEAK.replace("blue: 10", "blue: 0");
    assert_eq!(findings("rules/gas/gas_leak.yaml", &reading), Vec::<String>::new(), "a reading may be below zero");
}

#[test]
fn spans_that_nobody_means_are_refused() {
    table(
        "rules/gas/gas_count.yaml",
        COUNT,
        &[
            ("window: 7d", "window: 3650d", &[]),
            ("window: 7d", "window: 36500d", &["gas_count.yaml:7:9 long-duration"]),
            ("window: 7d", "window: 9999999999999999d", &["gas_count.yaml:7:9 long-duration"]),
            ("window: 7d", "window: { size: 99999d, pane: 1d }", &["gas_count.yaml:7:17 long-duration"]),
            ("on_null", "cool_down: { blue: 100000h }\non_null", &["gas_count.yaml:11:20 long-duration"]),
        ],
    );
}

#[test]
fn a_log_that_was_judged_by_such_rules_can_still_be_read() {
    let mut body = pack();
    let bad = LEAK.replace("sensor_type = 'gas_lel'", "sensor_type == 'gas_lal'");
    let text = COUNT.replace("blue: 1", "blue: 0").replace("7d", "9999d");
    body.files.insert("rules/gas/gas_leak.yaml".into(), bad);
    body.files.insert("rules/gas/gas_count.yaml".into(), text);
    assert_eq!(Pack::read(body.clone()).unwrap_err().len(), 4);
    assert_eq!(Pack::read_logged(body.clone()).unwrap().indicators.len(), 2);
    body.files.insert("rules/gas/gas_leak.yaml".into(), LEAK.replace("sensor_type", "sensor_typ"));
    assert!(Pack::read_logged(body).is_err(), "what no build accepts");
}

/// The first finding of a changed good file: place, what it says, and its hint.
#[track_caller]
fn first(path: &str, text: &str) -> (String, String, String) {
    let mut body = pack();
    body.files.insert(path.to_owned(), text.to_owned());
    let (_, findings) = judge(&body);
    let f = findings.first().unwrap_or_else(|| panic!("nothing is wrong with\n{text}")).clone();
    (format!("{}:{}", f.place.line, f.place.column), f.message_zh, f.hint.unwrap_or_default())
}

#[test]
fn hints_say_what_to_write_instead() {
    let leak = |from: &str, to: &str| {
        assert!(LEAK.contains(from), "the good file has no line {from}");
        first("rules/gas/gas_leak.yaml", &LEAK.replacen(from, to, 1))
    };
    let and = |more: &str| leak("'gas_lel'\"", &format!("'gas_lel' {more}\""));
    for ((place, zh, hint), at, says, hints) in [
        (leak("blue: 10", "blue: null"), "9:17", "不能写 null", "删去"),
        (leak("blue: 10", "blue: .inf"), "9:17", ".inf 不是可以比较的数", "普通数字"),
        (leak("blue: 10", "blue: -.INF"), "9:17", "不是可以比较的数", "普通数字"),
        (leak("blue: 10", "blue: .nan"), "9:17", "不是可以比较的数", "普通数字"),
        (leak("on_null", "duration: 365\non_null"), "10:11", "时长要写单位", "365d"),
        (leak("on_null", "clear: { below: 95 }\non_null"), "10:17", "百分比", "\"95%\""),
        (leak("= 'gas_lel'", "== 'gas_lel'"), "6:22", "没有 ==", "写 ="),
        (and("&& value > 3"), "6:34", "没有 &&", "AND"),
        (and("|| value > 3"), "6:34", "不是“或”", "OR"),
        (and("AND ! true"), "6:38", "没有 !", "NOT"),
        (and("AND AND value > 3"), "6:38", "AND 之后不能是 AND", "条件"),
        (and("AND (value > 3"), "6:38", "括号没有闭合", ""),
        (and("AND value >"), "6:44", "表达式不完整", ""),
        (leak("'gas_lel'\"", "'gas_lel\""), "6:24", "引号没有闭合", "'text'"),
        (leak("'gas_lel'", "gas_lel"), "6:24", "没有列", "'gas_lel'"),
        (leak("'gas_lel'", "'gas_lal'"), "6:24", "sensor_type 没有“gas_lal”这个值", "'gas_lel'"),
    ] {
        assert_eq!(place, at, "{zh}");
        assert!(zh.contains(says), "{zh} lacks {says}");
        assert!(hint.contains(hints), "{hint} lacks {hints}");
    }
    let count = |to: &str| first("rules/gas/gas_count.yaml", &COUNT.replace("window: 7d", to));
    assert_eq!(count("window: 365").1, "时长要写单位");
    assert!(count("window: { size: 365 }").2.contains("365d"));
}

/// A good card; a helper sends the signal that it counts.
const CARD: &str = "\
id: gas_card
name: \"综合分\"
status: shadow
source: supervision
key: { space: entity }
kind: scorecard
items:
  complaint: { points: 30, for: 60d, when: \"action = 'complaint'\" }
  fines: { points: 10, each: true, most: 30, for: 90d, when: \"action = 'penalty'\" }
  failed: { points: 25, for: 90d, source: inspection, when: \"conclusion = 'ordered_rectify'\" }
  leak: { points: { blue: 10, orange: 25 }, for: 30d, signal: gas_card__leak }
levels: { blue: 40, yellow: 55, orange: 70 }
on_null: zero
";

#[test]
fn items_of_a_card_say_what_counts_and_reach_its_levels() {
    let helper = LEAK
        .replace("gas_leak", "gas_card__leak")
        .replace("on_null", "signal_to: [{ space: entity, key: entity_id }]\non_null");
    let told = |text: &str| {
        let mut body = pack();
        body.files.insert("rules/gas/gas_card__leak.yaml".into(), helper.clone());
        body.files.insert("rules/gas/gas_card.yaml".into(), text.to_owned());
        told(&body)
    };
    assert_eq!(told(CARD), Vec::<String>::new());
    let cases: &[(&str, &str, &[&str])] = &[
        ("points: 30", "points: 0", &["gas_card.yaml:8:24 item"]),
        ("points: 30", "point: 30", &["gas_card.yaml:8:3 missing-field", "gas_card.yaml:8:16 unknown-field"]),
        ("for: 60d", "for: 0s", &["gas_card.yaml:8:33 duration"]),
        ("when: \"action = 'complaint'\"", "halves: 5d", &["gas_card.yaml:8:3 item"]),
        ("action = 'complaint'", "acton = 'complaint'", &["gas_card.yaml:8:45 sql-column"]),
        ("each: true, most: 30", "most: 30", &["gas_card.yaml:9:30 item"]),
        ("source: inspection, ", "", &["gas_card.yaml:10:42 sql-column"]),
        ("source: inspection", "source: inspecton", &["gas_card.yaml:10:43 unknown-source"]),
        ("source: inspection", "level: blue, source: inspection", &["gas_card.yaml:10:42 item"]),
        ("signal: gas_card__leak", "signal: gas_leak", &["gas_card.yaml:11:63 signal-route"]),
        ("signal: gas_card__leak", "signal: gas_card_leak", &["gas_card.yaml:11:63 unknown-indicator"]),
        ("signal: gas_card__leak", "signal: gas_card__leak, when: \"true\"", &["gas_card.yaml:11:63 item"]),
        ("signal: gas_card__leak", "source: signal, when: \"level_no > 1\"", &["gas_card.yaml:11:77 item"]),
        ("points: { blue: 10, orange: 25 }", "points: {}", &["gas_card.yaml:11:11 item"]),
        ("  leak:", "  score:", &["gas_card.yaml:11:3 item"]),
        ("space: entity }", "space: entity, state: [street] }", &["gas_card.yaml:5:23 item"]),
        (
            "orange: 70 }",
            "orange: 70, red: 120 }",
            &["gas_card.yaml:1:5 plan-level", "gas_card.yaml:12:50 unreachable"],
        ),
        ("levels: { blue: 40, yellow: 55, orange: 70 }\n", "", &["gas_card.yaml:1:5 no-levels"]),
        ("blue: 40", "blue: { measure: complant, above: 1 }", &["gas_card.yaml:12:28 unknown-measure"]),
        ("on_null: zero", "roster: \"tags_ = 'x'\"\non_null: zero", &["gas_card.yaml:13:10 sql-column"]),
        ("on_null: zero", "on_null: zero\nmessage: \"{{ readings.complaint }}\"", &[]),
    ];
    let mut wrong = Vec::new();
    for (line, now, expected) in cases {
        assert!(CARD.contains(line), "the good file has no line {line}");
        let found = told(&CARD.replacen(line, now, 1));
        if found != *expected {
            wrong.push(format!("{now}\n   expected {expected:?}\n      found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A good fusion.
const FUSED: &str = "\
id: gas_risk
name: \"综合风险\"
status: shadow
source: supervision
key: { space: entity }
kind: fusion
prior: 2
items:
  complaint: { ratio: 4, for: 60d, halves: 15d, when: \"action = 'complaint'\" }
  fine: { ratio: 6, for: 90d, when: \"action = 'penalty'\", department: fire_rescue }
levels: { blue: 10, yellow: 30 }
on_null: zero
";

#[test]
fn a_fusion_has_a_prior_and_ratios_that_say_something() {
    assert_eq!(findings("rules/gas/gas_risk.yaml", FUSED), Vec::<String>::new());
    table(
        "rules/gas/gas_risk.yaml",
        FUSED,
        &[
            ("prior: 2", "prior: 0", &["gas_risk.yaml:7:8 item"]),
            ("prior: 2", "prior: 2\nsame_department: 2", &["gas_risk.yaml:8:18 item"]),
            ("ratio: 4", "ratio: 1", &["gas_risk.yaml:9:23 item"]),
            ("ratio: 4", "ratio: { blue: 4 }", &["gas_risk.yaml:9:16 item"]),
            ("department: fire_rescue", "department: fire_rescu", &["gas_risk.yaml:10:71 unknown-department"]),
            ("  fine:", "  prior:", &["gas_risk.yaml:10:3 item"]),
            ("yellow: 30", "yellow: 100", &["gas_risk.yaml:11:29 unreachable"]),
        ],
    );
}

const TREND: &str = "\
id: gas_trend
name: \"趋势\"
status: shadow
source: iot
key: { space: object, state: [sensor_id] }
kind: trend
value: \"value\"
window: 24h
limit: \"limits_hi\"
levels: { blue: 24h, yellow: 12h }
on_null: skip
";

#[test]
fn a_trend_has_a_limit_and_times_left_that_shrink() {
    assert_eq!(findings("rules/gas/gas_trend.yaml", TREND), Vec::<String>::new());
    table(
        "rules/gas/gas_trend.yaml",
        TREND,
        &[
            ("limit: \"limits_hi\"", "limit: 1.6", &[]),
            ("limit: \"limits_hi\"", "limit: \"limits_hig\"", &["gas_trend.yaml:9:9 sql-column"]),
            ("limit: \"limits_hi\"\n", "", &["gas_trend.yaml:1:1 missing-field"]),
            ("yellow: 12h", "yellow: 36h", &["gas_trend.yaml:10:30 level-order"]),
            ("yellow: 12h", "yellow: 12", &["gas_trend.yaml:10:30 level-form"]),
            ("yellow: 12h", "yellow: 0s", &["gas_trend.yaml:10:30 duration"]),
            ("levels: {", "levels: { direction: outside,", &["gas_trend.yaml:10:22 level-form"]),
            ("window: 24h", "window: day", &["gas_trend.yaml:8:9 pane"]),
            ("window: 24h", "window: { size: 24h, pane: 4h }", &["gas_trend.yaml:8:1 pane"]),
            ("window: 24h", "window: 24h\npoints: 2", &["gas_trend.yaml:9:9 measure"]),
            ("window: 24h", "window: 24h\nr2: 1", &["gas_trend.yaml:9:5 measure"]),
            ("on_null", "clear: { below: \"95%\" }\non_null", &["gas_trend.yaml:11:17 clear"]),
            ("on_null", "clear: { above: \"110%\" }\non_null", &[]),
            ("yellow: 12h", "yellow: { measure: slop, above: 1 }", &["gas_trend.yaml:10:41 unknown-measure"]),
        ],
    );
}

const PEER: &str = "\
id: gas_peer
name: \"偏离同类\"
status: shadow
source: value
key: { space: trade, state: [entity_id] }
filter: \"indicator = 'gas_count'\"
kind: peer
value: \"value\"
group: \"region\"
levels: { blue: 3.5, yellow: 5 }
on_null: skip
";

#[test]
fn peers_are_values_of_one_indicator_routed_to_their_trade() {
    let sender = COUNT.replace("on_null", "emit: value\nsignal_to: [{ space: trade, key: object_type }]\non_null");
    let told = |text: &str| {
        let mut body = pack();
        body.files.insert("rules/gas/gas_count.yaml".into(), sender.clone());
        body.files.insert("rules/gas/gas_peer.yaml".into(), text.to_owned());
        told(&body)
    };
    assert_eq!(told(PEER), Vec::<String>::new());
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "source: value",
            "source: supervision",
            &[
                "gas_peer.yaml:4:9 peer",
                "gas_peer.yaml:5:15 route",
                "gas_peer.yaml:6:10 sql-column",
                "gas_peer.yaml:8:9 sql-column",
            ],
        ),
        ("space: trade", "space: entity", &["gas_peer.yaml:5:15 route"]),
        (", state: [entity_id]", "", &["gas_peer.yaml:5:1 peer"]),
        ("filter: \"indicator = 'gas_count'\"\n", "", &["gas_peer.yaml:4:9 peer"]),
        ("group: \"region\"", "group: \"regio\"", &["gas_peer.yaml:9:9 sql-column"]),
        ("on_null", "peers: 2\non_null", &["gas_peer.yaml:11:8 peer"]),
        ("yellow: 5", "yellow: 3", &["gas_peer.yaml:10:30 level-order"]),
    ];
    for (line, now, expected) in cases {
        assert!(PEER.contains(line), "the good file has no line {line}");
        assert_eq!(told(&PEER.replacen(line, now, 1)), *expected, "{now}");
    }
}

#[test]
fn a_count_surge_counts_weeks_or_days() {
    let good = COUNT.replace(
        "kind: measure\nwindow: 7d\nmeasures:\n  n: { count: true }",
        "kind: model\nmodel: count_surge\nwindow: 7d",
    );
    table(
        "rules/gas/gas_count.yaml",
        &good,
        &[
            ("window: 7d", "window: 1d", &[]),
            ("window: 7d", "window: 2d", &["gas_count.yaml:8:9 window"]),
            ("window: 7d\n", "", &["gas_count.yaml:7:8 no-window"]),
            ("window: 7d", "window: 7d\nparameters: { warm_up_week: 4 }", &["gas_count.yaml:9:29 unknown-parameter"]),
        ],
    );
}

#[test]
fn a_group_names_its_members() {
    let good = LEAK.replace("filter: \"sensor_type = 'gas_lel'\"\nkind: sustained\nvalue: \"value\"\n", GROUP);
    let good = good.replace("blue: 10, yellow: 25, orange: 50", "blue: 0.5, orange: { measure: temp_c, above: 90 }");
    let many: Vec<String> = (0..65).map(|n| format!("m{n}")).collect();
    let many = format!("[{}]", many.join(", "));
    let members = "[temp_c, pressure_mpa]";
    table(
        "rules/gas/gas_leak.yaml",
        &good,
        &[
            ("on_null", "member: \"sensor_id\"\nparameters: { calibrate: 2000 }\non_null", &[]),
            ("达{{ value }}", "达{{ readings.temp_c }}({{ readings.temp_c_part }})", &[]),
            (members, "[temp_c]", &["gas_leak.yaml:9:1 members"]),
            (members, &many, &["gas_leak.yaml:9:1 members", "gas_leak.yaml:10:41 unknown-measure"]),
            (members, "[temp_c, pressure_mpa, temp_c]", &["gas_leak.yaml:9:33 duplicate-id"]),
            (members, "[temp_c, score]", &["gas_leak.yaml:9:19 members"]),
            (members, "[temp_c, temp_c_part]", &["gas_leak.yaml:9:19 members"]),
            (
                "members: [temp_c, pressure_mpa]\n",
                "",
                &["gas_leak.yaml:7:8 members", "gas_leak.yaml:9:41 unknown-measure"],
            ),
            ("value: \"value\"\n", "", &["gas_leak.yaml:7:8 missing-field"]),
            ("measure: temp_c", "measure: value", &["gas_leak.yaml:10:41 unknown-measure"]),
            ("on_null", "member: \"sensor\"\non_null", &["gas_leak.yaml:11:10 sql-column"]),
            ("on_null", "parameters: { calibrat: 1000 }\non_null", &["gas_leak.yaml:11:25 unknown-parameter"]),
            ("on_null", "parameters: { calibrate: 1 }\non_null", &["gas_leak.yaml:11:26 parameter"]),
            ("on_null", "parameters: { calibrate: 50 }\non_null", &["gas_leak.yaml:11:26 parameter"]),
            ("on_null", "parameters: { threshold: 0 }\non_null", &["gas_leak.yaml:11:26 parameter"]),
            ("model: sensor_group", "model: ewma", &["gas_leak.yaml:9:1 members"]),
        ],
    );
}

/// The lines of a good group.
const GROUP: &str = "\
kind: model
model: sensor_group
value: \"value\"
members: [temp_c, pressure_mpa]
";

#[test]
fn a_rate_of_false_alarms_is_a_share_and_stands_for_a_threshold() {
    const MODEL: &str = "\
id: chart
name: \"控制图\"
method: ewma
version: 1
owner: joint_office
parameters: {}
threshold: 3
false_alarm_rate: 0.002
fitted_on: \"-\"
source: \"-\"
";
    table(
        "models/chart.yaml",
        MODEL,
        &[
            ("rate: 0.002", "rate: 0.2", &[]),
            ("false_alarm_rate: 0.002\n", "", &[]),
            ("rate: 0.002", "rate: 0", &["chart.yaml:8:19 rate"]),
            ("rate: 0.002", "rate: 8.4", &["chart.yaml:8:19 rate"]),
            ("threshold: 3\n", "", &["chart.yaml:7:19 rate"]),
        ],
    );
}

#[test]
fn helpers_tell_nobody_and_signals_make_no_circle() {
    let helper = COUNT.replace("gas_count", "gas_leak__near");
    let cases = [
        (format!("{helper}to: {{ lead: fire_rescue }}\n"), vec!["gas_leak__near.yaml:12:1 helper"]),
        (helper.clone(), vec![]),
    ];
    for (text, expected) in cases {
        assert_eq!(findings("rules/gas/gas_leak__near.yaml", &text), expected);
    }
    let mut body = pack();
    let a = LEAK
        .replace("orange: 50", "orange: { signal: gas_b }")
        .replace("on_null", "signal_to: [{ space: object, key: object_id }]\non_null");
    let b = a.replace("gas_leak", "gas_b").replace("signal: gas_b", "signal: gas_leak");
    body.files.insert("rules/gas/gas_leak.yaml".into(), a);
    body.files.insert("rules/gas/gas_b.yaml".into(), b);
    assert_eq!(told(&body), ["gas_b.yaml:1:5 cycle"]);
}

const FEED: &str = "\
name: meter
kind: iot
columns:
  - { name: t, type: time, format: [\"%Y-%m-%d %H:%M:%S\"] }
  - { name: v, type: float }
record:
  record_id: \"_file\"
  source_system: \"'meter'\"
  source_dept: \"'urban_management'\"
  industry: \"'gas'\"
  occurred_at: \"t\"
  sensor_id: \"_file\"
  sensor_type: \"'gas_lel'\"
  status: \"'good'\"
  value: \"v\"
";

#[test]
fn feeds_map_what_the_record_needs() {
    assert_eq!(findings("rules/sources/meter.yaml", FEED), Vec::<String>::new());
    table(
        "rules/sources/meter.yaml",
        FEED,
        &[
            ("name: meter", "name: meters", &["meter.yaml:1:7 id-file"]),
            ("kind: iot", "kind: signal", &["meter.yaml:2:7 kind-inside"]),
            ("kind: iot", "kind: iot\ncorrections: window", &["meter.yaml:3:14 reserved"]),
            ("kind: iot", "kind: iot\ntopic: raw.iot", &["meter.yaml:3:8 duplicate-topic"]),
            ("kind: iot", "kind: iot\nenvelope: true", &["meter.yaml:4:1 envelope", "meter.yaml:7:1 envelope"]),
            ("  sensor_id: \"_file\"\n", "", &["meter.yaml:6:1 unmapped"]),
            ("  value:", "  valu:", &["meter.yaml:15:9 unknown-field"]),
            ("value: \"v\"", "value: \"w\"", &["meter.yaml:15:11 sql-column"]),
            ("{ name: v,", "{ name: t,", &["meter.yaml:5:13 duplicate-id", "meter.yaml:15:11 sql-column"]),
            ("\"%Y-%m-%d %H:%M:%S\"", "epoch", &["meter.yaml:4:37 time-format"]),
            ("type: float", "type: float, zone: \"8\"", &["meter.yaml:5:35 time-format"]),
            ("record:", "routes: [{ space: object, key: \"sensor_id\" }]\nrecord:", &["meter.yaml:6:19 route"]),
            ("record:", "routes: [{ space: firm, key: \"nosuch\" }]\nrecord:", &["meter.yaml:6:31 sql-column"]),
        ],
    );
}

#[test]
fn shared_tables_and_plans_are_checked() {
    for (path, text, expected) in [
        (
            "rules/gas/industry.yaml",
            INDUSTRY.replace("id: gas", "id: gass"),
            vec!["industry.yaml:1:5 unknown-industry"],
        ),
        ("rules/gas/industry.yaml", INDUSTRY.replace("id: gas", "id: food"), vec!["industry.yaml:1:5 id-file"]),
        (
            "rules/gas/industry.yaml",
            INDUSTRY.replace("fire_rescue", "fire"),
            vec!["industry.yaml:5:10 unknown-department"],
        ),
        ("rules/gas/plan.yaml", PLAN.replace("by: fire_rescue", "by: fire"), vec!["plan.yaml:6:36 unknown-department"]),
        ("rules/gas/plan.yaml", PLAN.replacen("within: 2h", "within: 0s", 1), vec!["plan.yaml:4:57 duration"]),
        ("models/mine.yaml", "id: mine\nname: \"x\"\n".to_owned(), vec!["mine.yaml:1:1 missing-field"; 6]),
        ("rules/gas/deep/x.yaml", String::new(), vec!["x.yaml:0:0 unknown-file"]),
        ("rules/gas/x.yml", String::new(), vec!["x.yml:0:0 unknown-file"]),
    ] {
        assert_eq!(findings(path, &text), expected, "{path}\n{text}");
    }
}

#[test]
fn all_findings_of_all_files_come_at_once() {
    let mut body = pack();
    body.files.insert("rules/gas/gas_leak.yaml".into(), LEAK.replace("status: stable", "status：stable"));
    body.files.insert("rules/gas/gas_count.yaml".into(), COUNT.replace("shadow", "shade").replace("zero", "zeros"));
    body.files.remove("rules/shared/calendar.yaml");
    assert_eq!(
        told(&body),
        [
            "gas_count.yaml:3:9 unknown-word",
            "gas_count.yaml:11:10 unknown-word",
            "gas_leak.yaml:3:7 full-width",
            "calendar.yaml:0:0 missing-file",
        ]
    );
}

#[test]
fn mends_make_the_file_good_and_leave_the_rest() {
    for (bad, good) in [
        ("name：“泄漏”  # 说明，留下\n", "name: \"泄漏\"  # 说明，留下\n"),
        ("name：泄漏\n", "name: \"泄漏\"\n"),
        ("name: 泄漏，\"浓度\"\n", "name: \"泄漏，\\\"浓度\\\"\"\n"),
        ("levels: { blue：10，yellow: 25 }\n", "levels: { blue: 10, yellow: 25 }\n"),
        ("key:\n\u{3000}space: object\n", "key:\n  space: object\n"),
        ("key:\n\tspace: object\n", "key:\n  space: object\n"),
        ("a: 1\r\nb: 2\r\n", "a: 1\nb: 2\n"),
        ("text: |\n  原样：，“”\n  # no comment\nname: 好\n", "text: |\n  原样：，“”\n  # no comment\nname: \"好\"\n"),
        ("a: \"多行\n  引号：内\"\nb: 好\n", "a: \"多行\n  引号：内\"\nb: \"好\"\n"),
        ("good: \"不动：，\"\n", "good: \"不动：，\"\n"),
    ] {
        let (mended, mends) = fix("notes.yaml", bad);
        assert_eq!(mended, good);
        assert_eq!(mends.is_empty(), bad == good);
        assert_eq!(fix("notes.yaml", &mended).0, mended, "a mend stays mended");
    }
}

#[test]
fn a_mended_indicator_reads_like_the_good_one() {
    let bad = LEAK
        .replace("name: \"泄漏浓度\"", "name：“泄漏浓度”")
        .replace("levels:", "levls:")
        .replace("blue: 10,", "blue: 10，");
    let (mended, _) = fix("rules/gas/gas_leak.yaml", &bad);
    assert_eq!(mended, LEAK);
}

#[test]
fn the_packs_of_this_repository_are_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for folder in ["rules", "rules/examples/chicago-food", "rules/examples/nab"] {
        if !root.join(folder).is_dir() {
            continue;
        }
        let loaded = Loaded::read(&root.join(folder), &root.join("models")).unwrap();
        let (_, findings) = judge(&loaded.body);
        for f in findings {
            let hint = f.hint.unwrap_or_default();
            wrong.push(format!(
                "{folder} {}:{}:{} {} {} [{hint}]",
                f.place.file, f.place.line, f.place.column, f.code, f.message
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_schema_for_editors_accepts_what_check_accepts() {
    let schema = jsonschema::draft7::new(&super::form_schema("rule")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let loaded = Loaded::read(&root.join("rules"), &root.join("models")).unwrap();
    let mut seen = 0;
    for (path, text) in &loaded.body.files {
        if Form::of(path) == Some(Form::Rule) {
            let value = super::tree::read(text).unwrap().unwrap().json();
            assert!(schema.is_valid(&value), "{path}");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} rules were read");
    for bad in
        [LEAK.replace("levels:", "levls:"), LEAK.replace("kind: sustained", "kind: gap"), LEAK.replace("10", "no")]
    {
        let value = super::tree::read(&bad).unwrap().unwrap().json();
        assert!(!schema.is_valid(&value), "{bad}");
    }
}

#[test]
fn a_place_in_sql_is_found_through_quotes_and_blocks() {
    let filter = "filter: \"sensor_type = 'gas_lel'\"";
    for (text, expected) in [
        ("filter: 'sensor_type = ''gas_lel'' AND nosuch = 1'", "gas_leak.yaml:6:40 sql-column"),
        ("filter: \"sensor_type <> '\\\"' AND nosuch = 1\"", "gas_leak.yaml:6:34 sql-column"),
        ("filter: |\n  sensor_type = 'gas_lel'\n  AND nosuch = 1", "gas_leak.yaml:8:7 sql-column"),
        ("filter: >\n  sensor_type = 'gas_lel'\n  AND nosuch = 1", "gas_leak.yaml:8:7 sql-column"),
        ("filter: nosuch = 1", "gas_leak.yaml:6:9 sql-column"),
    ] {
        assert_eq!(findings("rules/gas/gas_leak.yaml", &LEAK.replace(filter, text)), [expected], "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}|[a-z：，“”#'\"\\[\\]{}|>&*!:, \n\t\u{3000}-]{0,120}") {
        let _findings = findings("rules/gas/gas_leak.yaml", &text);
        let (mended, _) = fix("rules/gas/gas_leak.yaml", &text);
        let _again = fix("rules/gas/gas_leak.yaml", &mended);
    }

    #[test]
    fn damaged_rules_never_panic(at in 0usize..300, cut in 0usize..6, put in "[a-z0-9：，“”#'\"\\[\\]{}:, \n\t-]{0,4}") {
        let chars: Vec<char> = LEAK.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        let text: String = chars[..at].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect();
        let _findings = findings("rules/gas/gas_leak.yaml", &text);
        let _mended = fix("rules/gas/gas_leak.yaml", &text);
    }
}
