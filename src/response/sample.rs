//! A small pack and a change to vary: what the tests of `response` and `deliver` begin with.

use crate::engine::{Change, ChangeKind, Reading, Reference, Subject};
use crate::pack::calendar::Calendar;
use crate::pack::{Body, Pack};
use crate::record::{Kind, Level, Millis, time};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Local time of 2026-05-08, a Friday.
pub(crate) fn at(hour: i64, minute: i64) -> Millis {
    time::day_start(time::day_of(2026, 5, 8)) + (hour * 60 + minute) * 60_000
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the sample fits its form")
}

fn by<T: DeserializeOwned>(id: &str, values: Value) -> BTreeMap<String, T> {
    let Value::Array(values) = values else { panic!("a list") };
    values.into_iter().map(|v| (v[id].as_str().expect("an id").to_owned(), read(v))).collect()
}

/// Gas, food and prepaid cards, ten departments, two districts.
pub(crate) fn pack() -> Pack {
    let sustained = |id: &str, more: Value| {
        let mut rule = json!({
            "id": id, "name": "泄漏浓度", "name_en": "Gas leak", "status": "stable", "industry": "gas", "source": "iot",
            "key": { "space": "object", "state": ["sensor_id"] }, "kind": "sustained", "value": "value",
            "unit": "%LEL", "levels": { "blue": 10, "yellow": 25, "orange": 50, "red": { "any": [{ "above": 50 }] } },
            "on_null": "skip"
        });
        for (key, value) in more.as_object().expect("an object") {
            rule[key] = value.clone();
        }
        rule
    };
    let indicators = json!([
        sustained(
            "gas_leak_lel",
            json!({
                "segments": [{ "id": "kitchen", "name": "厨房", "when": "true", "levels": { "blue": 8, "yellow": 20 } }],
                "basis": [
                    { "name": "石油化工可燃气体和有毒气体检测报警设计标准", "number": "GB/T 50493-2019", "status": "S", "effective_from": "2020-01-01" },
                    { "name": "旧标准", "number": "GB 50493-2009", "status": "S", "effective_to": "2019-12-31" }
                ],
                "to": { "yellow": ["housing"], "orange": ["fire_rescue"], "red": ["public_security"], "by_tag": { "school_canteen": "education" } },
                "message": "{{ object.name }}可燃气体{{ value }}{{ unit }}，达{{ level.name }}（限值{{ bound }}）",
                "message_en": "{{ object.name }}: gas {{ value }} {{ unit }}, {{ level }} (bound {{ bound }})"
            })
        ),
        sustained("gas_matter", json!({ "matter_code": "QT-001", "message": "{{ nobody.knows }}" })),
        sustained("gas_sector", json!({ "to": { "lead": "commerce" }, "message": "{{ broken" })),
        sustained(
            "gas_silent",
            json!({
                "absence": { "roster": "true", "after": "30m", "level": "yellow" }, "message": "浓度{{ value }}"
            })
        ),
        sustained(
            "gas_hours",
            json!({
                "bound": 10, "levels": { "blue": "30m", "yellow": "1h30m" },
                "message": "{{ object }}在{{ region }}超过{{ bound }}，{{ window }}，{{ readings.mean }}，{{ location }}",
                "message_en": "{{ object }} in {{ region.name }} for {{ bound }}, {{ window.size }}, {{ readings.mean }}"
            })
        ),
        sustained("orphan", json!({ "industry": "none_of_ours" })),
        sustained(
            "card_balance",
            json!({ "industry": "prepaid_card", "plan": "plan_gas", "name": "预收超限", "name_en": "" })
        )
    ]);
    let department = |id: &str, name: &str, name_en: &str| json!({ "id": id, "name": name, "name_en": name_en });
    let departments = json!([
        department("urban_management", "市城市管理局", "Urban Management"),
        department("market_regulation", "市市场监督管理局", "Market Regulation"),
        department("health", "市卫生健康委", "Health Commission"),
        department("housing", "市住房城乡建设局", "Housing"),
        department("education", "市教育局", "Education"),
        department("commerce", "市商务局", "Commerce"),
        department("fire_rescue", "市消防救援支队", "Fire and Rescue"),
        department("public_security", "市公安局", "Public Security"),
        department("emergency_management", "市应急管理局", "Emergency Management"),
        department("joint_office", "联席会议办公室", "Joint Office"),
        department("duty_office", "政府值班室", "Duty Office")
    ]);
    let step = |id: &str, by: &str, within: &str| json!({ "id": id, "by": by, "with": ["lead"], "do": "关阀断气", "do_en": "Shut the valves", "within": within });
    Pack {
        hash: "ab".repeat(32),
        body: Body::default(),
        industries: by(
            "id",
            json!([
                { "id": "gas", "name": "燃气", "name_en": "Gas", "lead": "urban_management",
                  "assist": ["market_regulation", "housing"], "industry_codes": ["D45"], "life_safety": true },
                { "id": "food", "name": "食品", "name_en": "Food", "lead": "market_regulation", "assist": ["health"],
                  "industry_codes": ["C13", "C14", "H62"] },
                { "id": "prepaid_card", "name": "预付卡", "name_en": "Prepaid cards", "lead": "commerce", "assist": [] }
            ]),
        ),
        indicators: by("id", indicators),
        sources: by(
            "name",
            json!([
                { "name": "hotline", "kind": "supervision",
                  "columns": [{ "name": "caller", "personal": "phone" }, { "name": "words" }],
                  "record": { "doc_no": "concat('T', caller)" },
                  "attrs": { "caller": { "type": "text" }, "topic": { "type": "text", "value": "words" } } }
            ]),
        ),
        plans: by(
            "id",
            json!([{
                "id": "plan_gas", "name": "燃气预案", "name_en": "Gas plan", "levels": {
                    "blue": { "steps": [step("1", "lead", "2h")] },
                    "yellow": { "steps": [step("1", "lead", "1h")] },
                    "orange": { "steps": [step("1", "lead", "30m"), step("2", "fire_rescue", "1h")] },
                    "red": { "steps": [step("0", "duty_office", "15m"), step("1", "lead", "15m")] }
                }
            }]),
        ),
        departments: by("id", departments),
        regions: read(json!({ "city": "371100", "regions": [
            { "code": "371100", "name": "日照市", "name_en": "Rizhao City", "status": "S" },
            { "code": "371102", "name": "东港区", "name_en": "Donggang District", "parent": "371100", "status": "S" },
            { "code": "371103", "name": "岚山区", "name_en": "Lanshan District", "parent": "371100", "status": "S" }
        ], "streets": [{ "code": "371102001", "name": "海曲街道" }] })),
        calendar: Calendar::new(&read(json!({
            "hours": ["08:30-12:00", "13:30-17:30"], "holidays": ["2026-05-01"], "workdays": ["2026-05-09"]
        })))
        .expect("the sample's calendar is whole"),
        deadlines: read(json!({ "levels": {
            "blue": { "clock": "working", "sign": { "working_days": 1 }, "first_report": { "working_days": 3 }, "disposal": { "working_days": 10 } },
            "yellow": { "clock": "working", "sign": "8h", "first_report": { "working_days": 2 }, "disposal": { "working_days": 5 } },
            "orange": { "clock": "calendar", "sign": "2h", "first_report": "24h", "disposal": "3d" },
            "red": { "clock": "calendar", "sign": "30m", "first_report": "2h", "disposal": "24h" }
        } })),
        matters: by(
            "code",
            json!([
                { "code": "QT-001", "name": "燃气器具", "lead": "market_regulation" },
                { "code": "SP-014", "name": "餐饮", "lead": "market_regulation" }
            ]),
        ),
        models: BTreeMap::new(),
    }
}

/// A record of evidence with the values that an indicator read.
pub(crate) fn reference(kind: Kind, source_dept: &str, record_id: &str, values: Value) -> Reference {
    Reference {
        kind,
        source_system: "scada".to_owned(),
        source_dept: source_dept.to_owned(),
        record_id: record_id.to_owned(),
        revision: 1,
        occurred_at: at(9, 30),
        values: read(values),
    }
}

/// A gas leak in Donggang at a level: the first change when blue, else an upgrade from one level below.
pub(crate) fn change(level: Level) -> Change {
    let was = Level::from_number(level.number() - 1);
    Change {
        warning_id: "w7k2p-3m9q".to_owned(),
        number: u32::from(level.number()),
        kind: if was.is_none() { ChangeKind::Raised } else { ChangeKind::Upgraded },
        level,
        was,
        shadow: false,
        indicator: "gas_leak_lel".into(),
        at: at(9, 30),
        log_time: at(9, 31),
        level_since: at(9, 31),
        space: "object".into(),
        key: "equip:371102-0007".to_owned(),
        state: vec![("sensor_id".to_owned(), "s1".to_owned())],
        subject: Subject {
            object_id: Some("equip:371102-0007".to_owned()),
            entity_id: Some("91371102MA0000015N".to_owned()),
            name: Some("测试餐馆".to_owned()),
            object_type: Some("restaurant".to_owned()),
            region: Some("371102".to_owned()),
            street: Some("371102001".to_owned()),
            location_id: Some("厨房".to_owned()),
            sensor_id: Some("s1".to_owned()),
            tags: vec!["restaurant".to_owned()],
            risk_class: Some("B".to_owned()),
        },
        value: Some(27.5),
        bound: Some(25.0),
        readings: vec![Reading { name: "mean".to_owned(), value: Some(26.333_333), bound: None }],
        window: Some((at(9, 20), at(9, 30))),
        segment: None,
        absent: false,
        partial: false,
        model_failing: false,
        evidence: vec![reference(Kind::Iot, "urban_management", "r1", json!({ "value": 27.5, "status": "good" }))],
        evidence_total: 1,
        log_range: (10, 12),
        partition: 3,
        cause: "record scada r1 1".to_owned(),
        pack_version: 7,
        pack_hash: "ab".repeat(32).into(),
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("371102".to_owned()),
        Just("{{ 7 * 7 }}{% raw %}".to_owned()),
        "\\PC{0,40}",
        Just("长".repeat(5_000)),
    ]
}

fn float() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), any::<f64>().prop_map(Some), Just(Some(f64::NAN)), Just(Some(1e-300))]
}

/// Any change: odd names, missing places, extreme numbers and times.
pub(crate) fn any_change() -> impl Strategy<Value = Change> {
    let indicator = proptest::sample::select(vec![
        "gas_leak_lel",
        "gas_matter",
        "gas_sector",
        "gas_silent",
        "gas_hours",
        "orphan",
        "card_balance",
        "unknown",
    ]);
    let kind = proptest::sample::select(vec![
        ChangeKind::Raised,
        ChangeKind::Upgraded,
        ChangeKind::Cleared,
        ChangeKind::Returned,
        ChangeKind::Expired,
    ]);
    let level = proptest::sample::select(Level::ALL.to_vec());
    let instant = || prop_oneof![0..4_000_000_000_000_i64, Just(i64::MIN), Just(i64::MAX)];
    let record = (text(), text(), proptest::sample::select(Kind::OUTSIDE.to_vec()), instant()).prop_map(
        |(dept, value, kind, occurred_at)| Reference {
            occurred_at,
            ..reference(kind, &dept, &value.clone(), json!({ "value": value, "matter_code": "SP-014" }))
        },
    );
    let facts = (indicator, kind, level, 0_u32..5, float(), float());
    let places = (text(), text(), proptest::option::of(text()), proptest::collection::vec(text(), 0..5), instant());
    (facts, places, proptest::collection::vec(record, 0..60), any::<bool>()).prop_map(
        |((indicator, kind, level, number, value, bound), (id, key, name, tags, at), evidence, absent)| Change {
            warning_id: id,
            number,
            kind,
            level,
            indicator: indicator.into(),
            at,
            log_time: at,
            level_since: at,
            key,
            subject: Subject { name: name.clone(), region: name.clone(), object_id: name, tags, ..Subject::default() },
            value,
            bound,
            readings: vec![Reading { name: "mean".to_owned(), value, bound }],
            window: Some((at, at)),
            absent,
            evidence,
            ..change(Level::Orange)
        },
    )
}
