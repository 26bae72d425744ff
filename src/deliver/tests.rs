use super::files::{Lengths, Output, OutputError, Outputs};
use super::*;
use crate::engine::{ChangeKind, Signal, Subject};
use crate::log::{DeadLetter, Message};
use crate::record::{Kind, Level};
use crate::response::sample::{any_change, at, change, pack, reference};
use crate::response::{PackRef, Responder, Warning, respond};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An orange warning with evidence of three departments.
fn shared() -> Warning {
    let mut c = change(Level::Orange);
    c.evidence = vec![
        reference(Kind::Iot, "urban_management", "own-city", json!({ "value": 27.5 })),
        reference(Kind::Iot, "urban_management@371102", "own-here", json!({ "value": 28 })),
        reference(Kind::Iot, "urban_management@371103", "own-elsewhere", json!({ "value": 29 })),
        reference(Kind::Supervision, "market_regulation", "theirs", json!({ "category": "gas_leak" })),
        reference(Kind::Supervision, "health", "case", json!({ "ill": 2 })),
    ];
    respond(&pack(), &c)
}

fn value(message: &Message) -> Value {
    serde_json::from_str(message.value.as_deref().expect("a value")).expect("JSON")
}

/// Records of the evidence whose values a copy shows.
fn shown(copy: &Value) -> String {
    let evidence = copy["evidence"].as_array().expect("evidence");
    let with_values = evidence.iter().filter(|e| e.get("values").is_some());
    with_values.map(|e| e["record_id"].as_str().expect("an id")).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_department_sees_the_values_of_its_own_records_only() {
    let all = messages(&shared(), "city");
    for (topic, records) in [
        ("warn.urban-management.371100", "own-city own-here own-elsewhere"),
        ("warn.urban-management.371102", "own-city own-here"),
        ("warn.market-regulation.371100", "theirs"),
        ("warn.fire-rescue.371102", ""),
        ("warn.joint-office.371100", ""),
        // Cases stay at the health department; the centre sees what the measures counted.
        ("warn.all", "own-city own-here own-elsewhere theirs"),
        ("forewarn.warnings", "own-city own-here own-elsewhere theirs"),
    ] {
        let message = all.iter().find(|m| m.topic == topic).unwrap_or_else(|| panic!("no message in {topic}"));
        let copy = value(message);
        assert_eq!(shown(&copy), records, "{topic}");
        assert_eq!(copy["evidence"].as_array().map(Vec::len), Some(5), "{topic}: ids and lines are for all");
        assert_eq!(copy["evidence"][3]["summary"], "2026-05-08 市市场监督管理局监管记录", "{topic}");
        assert_eq!(copy["evidence"][1]["summary_en"], "2026-05-08 Urban Management (Donggang District), sensor record");
    }
}

#[test]
fn the_health_department_sees_its_cases() {
    let mut c = change(Level::Orange);
    c.subject.tags.clear();
    c.evidence = vec![reference(Kind::Supervision, "health", "case", json!({ "ill": 2 }))];
    let w = respond(&pack(), &c);
    let audience = |dept: &str| crate::response::Audience {
        dept: dept.to_owned(),
        region: "371100".to_owned(),
        role: crate::response::AudienceRole::Assist,
    };
    assert!(for_audience(&w, &audience("health")).evidence[0].values.is_some());
    assert!(for_audience(&w, &audience("education")).evidence[0].values.is_none());
    assert!(for_centre(&w).evidence[0].values.is_none());
}

#[test]
fn a_copy_names_its_audience() {
    for message in messages(&shared(), "city") {
        let copy = value(&message);
        let audience = copy.get("audience").map(|a| {
            let [dept, region] = ["dept", "region"].map(|field| a[field].as_str().expect("text"));
            warning_topic(dept, region)
        });
        let expected = message.topic.starts_with("warn.") && message.topic != EVERYONE;
        assert_eq!(audience, expected.then_some(message.topic.clone()));
    }
}

#[test]
fn headers_are_cloud_events_in_binary_mode() {
    let all = messages(&respond(&pack(), &change(Level::Orange)), "city");
    let message = all.iter().find(|m| m.topic == "warn.housing.371102").expect("housing is told");
    assert_eq!(message.key.as_deref(), Some("equip:371102-0007"));
    let headers: Vec<_> = message.headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    assert_eq!(
        headers,
        [
            "content-type: application/json",
            "ce_specversion: 1.0",
            "ce_id: w7k2p-3m9q.3",
            "ce_source: forewarn/city",
            "ce_type: forewarn.warning.upgraded.v1",
            "ce_time: 2026-05-08T09:30:00+08:00",
            "ce_subject: equip:371102-0007",
            "ce_dataschema: urn:forewarn:schema:warning:1",
            "fw_level: orange",
            "fw_department: housing",
        ]
    );
}

#[test]
fn a_message_is_keyed_by_the_object_else_the_enterprise_else_the_routing_key() {
    for (object, entity, key) in [
        (Some("equip:1"), Some("91371102MA0000015N"), "equip:1"),
        (None, Some("91371102MA0000015N"), "91371102MA0000015N"),
        (None, None, "371102001"),
    ] {
        let mut c = change(Level::Yellow);
        c.subject = Subject {
            object_id: object.map(str::to_owned),
            entity_id: entity.map(str::to_owned),
            ..Subject::default()
        };
        c.key = "371102001".to_owned();
        for message in messages(&respond(&pack(), &c), "city") {
            let expected = if message.topic == WARNINGS { "w7k2p-3m9q" } else { key };
            assert_eq!(message.key.as_deref(), Some(expected), "{}", message.topic);
        }
    }
}

#[test]
fn an_ended_warning_leaves_the_compacted_state() {
    for (kind, stays) in [(ChangeKind::Cleared, true), (ChangeKind::Returned, true), (ChangeKind::Expired, false)] {
        let mut c = change(Level::Blue);
        c.kind = kind;
        let all = messages(&respond(&pack(), &c), "city");
        let state: Vec<_> = all.iter().filter(|m| m.topic == WARNINGS).collect();
        assert_eq!(state.len(), 1);
        assert_eq!(state[0].value.is_some(), stays, "{kind:?}");
        assert!(all.iter().filter(|m| m.topic != WARNINGS).all(|m| m.value.is_some()), "the end itself is told");
    }
}

#[test]
fn a_trial_change_goes_nowhere_and_is_counted() {
    let mut c = change(Level::Blue);
    c.shadow = true;
    let w = respond(&pack(), &c);
    assert_eq!(messages(&w, "city"), []);
    let mut summary = Summary::new(PackRef { version: 1, hash: String::new() });
    summary.warning(&w);
    assert_eq!((summary.warnings.total, summary.shadow.total), (0, 1));
    assert_eq!(summary.shadow.by_indicator["gas_leak_lel"], 1);
}

#[test]
fn every_topic_a_warning_goes_to_is_one_the_pack_can_address() {
    let pack = pack();
    let known: BTreeSet<String> = topics(&pack).into_iter().collect();
    for wanted in [
        "warn.all",
        "warn.urban-management.371102",
        "feedback.urban-management.371102",
        "warn.joint-office.371100",
        "forewarn.log",
        "forewarn.packs",
        "forewarn.progress",
        "forewarn.warnings",
        "forewarn.registry",
        "forewarn.dead-letters",
    ] {
        assert!(known.contains(wanted), "{wanted}");
    }
    assert!(!known.contains("warn.joint-office.371102"), "an office of the city has no branch");
    assert!(known.iter().all(|t| t.len() < 100 && !t.contains('_')), "names that Kafka takes");
    let responder = Responder::new(&pack);
    for indicator in pack.indicators.keys() {
        for level in Level::ALL {
            let mut c = change(level);
            c.indicator = indicator.as_str().into();
            c.subject.tags.push("school_canteen".to_owned());
            for message in messages(&responder.respond(&c), "city") {
                assert!(known.contains(&message.topic), "{}", message.topic);
            }
        }
    }
}

#[test]
fn a_message_that_would_be_too_large_loses_evidence_and_says_so() {
    for (records, bytes, left_out, values) in
        [(50, 100, false, true), (50, 30_000, false, true), (5_000, 100, true, false)]
    {
        let mut c = change(Level::Orange);
        c.evidence = (0..records)
            .map(|n| reference(Kind::Iot, "urban_management", &format!("r{n}"), json!({ "text": "长".repeat(bytes) })))
            .collect();
        for message in messages(&respond(&pack(), &c), "city") {
            let text = message.value.as_deref().expect("a value");
            assert!(text.len() <= MESSAGE_BYTES_MAX, "{}", text.len());
            let copy = value(&message);
            let evidence = copy["evidence"].as_array().expect("evidence");
            let missing = copy["evidence_left_out"].as_u64().unwrap_or(0);
            assert_eq!(missing > 0, left_out, "{records} of {bytes}");
            assert_eq!(evidence.len() as u64 + missing, records, "{records} of {bytes}");
            assert_eq!(evidence[0]["record_id"], "r0", "the opener stays");
            assert_eq!(evidence[evidence.len() - 1]["record_id"], format!("r{}", records - 1), "the newest stays");
            if message.topic == EVERYONE {
                assert_eq!(evidence[0].get("values").is_some(), values, "{records} of {bytes}");
                assert_eq!(copy["values_left_out"].as_bool().unwrap_or(false), records * bytes as u64 > 100_000);
            }
        }
    }
}

fn letter() -> DeadLetter {
    DeadLetter {
        reason: "json".to_owned(),
        field: None,
        detail: "unexpected end".to_owned(),
        kind: "iot".to_owned(),
        source: "gas_scada".to_owned(),
        raw: "gas_scada/0".to_owned(),
        origin: "raw.gas_scada".to_owned(),
        offset: 42,
        row: 3,
        length: 17,
        sha256: "00".repeat(32),
        at: at(9, 30),
    }
}

#[test]
fn lines_are_one_json_object_each() {
    let signal = Signal {
        record_id: "x".to_owned(),
        indicator: "gas_leak_lel".into(),
        space: "object".into(),
        key: "equip:1/s1".to_owned(),
        level_no: 0,
        value: Some(f64::NAN),
        at: at(9, 30),
        subject: Subject::default(),
    };
    let parse = |line: &str| -> Value {
        assert!(!line.contains('\n'));
        serde_json::from_str(line).expect("JSON")
    };
    let left = parse(&signal_line(&signal));
    assert_eq!((left.get("level"), left.get("value"), &left["level_no"]), (None, None, &json!(0)));
    let crossed = parse(&signal_line(&Signal { level_no: 3, value: Some(2.5), ..signal }));
    assert_eq!((&crossed["level"], &crossed["value"]), (&json!("orange"), &json!(2.5)));
    assert_eq!(crossed["occurred"], "2026-05-08T09:30:00+08:00");
    let dead = parse(&dead_letter_line(&letter()));
    assert_eq!((&dead["offset"], &dead["at"]), (&json!(42), &json!("2026-05-08T09:30:00+08:00")));
    assert_eq!(shown(&parse(&warning_line(&shared()))), "own-city own-here own-elsewhere theirs");
}

#[test]
fn a_dead_letter_has_an_id_that_says_where_it_came_from() {
    let message = dead_letter_message(&letter(), "city");
    assert_eq!((message.topic.as_str(), message.key.as_deref()), (DEAD_LETTERS, Some("gas_scada")));
    assert!(message.headers.contains(&("ce_id".to_owned(), "gas_scada/0/42/3".to_owned())));
    assert_eq!(value(&message)["reason"], "json");
}

#[test]
fn files_hold_exactly_the_committed_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let mut outputs = Outputs::open(&path, Lengths::default()).expect("opens");
    outputs.append(Output::Warnings, "{\"a\":1}").expect("appends");
    outputs.append(Output::Signals, "{}").expect("appends");
    let committed = outputs.sync().expect("syncs");
    assert_eq!(committed, Lengths { warnings: 8, signals: 3, dead_letters: 0 });
    outputs.append(Output::Warnings, "{\"b\":2}").expect("appends");
    assert_eq!(outputs.sync().expect("syncs").warnings, 16, "written, but never committed");
    drop(outputs);

    let mut again = Outputs::open(&path, committed).expect("opens");
    again.append(Output::Warnings, "{\"c\":3}").expect("appends");
    again.sync().expect("syncs");
    let read = |output: Output| std::fs::read_to_string(path.join(output.file_name())).expect("reads");
    assert_eq!(read(Output::Warnings), "{\"a\":1}\n{\"c\":3}\n");
    assert_eq!(Output::ALL.map(|o| read(o).len()), [16, 3, 0]);
}

#[test]
fn a_file_that_lost_committed_lines_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let committed = Lengths { warnings: 5, ..Lengths::default() };
    match Outputs::open(folder.path(), committed) {
        Err(OutputError::Short { found: 0, committed: 5, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_summary_accounts_for_every_record() {
    let mut whole = Summary::new(PackRef { version: 7, hash: "ab".to_owned() });
    whole.records.came_in("iot", 10);
    whole.records.came_in("unknown", 1);
    for (kind, fate, records) in [
        ("iot", Fate::Used, 5),
        ("iot", Fate::Late, 2),
        ("iot", Fate::BeyondWindows, 1),
        ("iot", Fate::Duplicate, 2),
        ("iot", Fate::StaleRevision, 1),
        ("iot", Fate::Quarantined, 2),
        ("unknown", Fate::DeadLettered, 1),
    ] {
        whole.records.became(kind, fate, records);
    }
    whole.log_time(at(9, 0));
    whole.log_time(at(10, 0));
    assert_eq!(whole.check(), Ok(()));
    let file: Value = serde_json::from_str(&whole.json()).expect("JSON");
    assert_eq!(
        file["records"],
        json!({
            "in": 11, "used": 5, "late": 2, "beyond_windows": 1, "duplicate": 2, "stale_revision": 1,
            "dead_lettered": 1, "quarantined": 2,
            "by_kind": {
                "iot": { "in": 10, "used": 5, "late": 2, "beyond_windows": 1, "duplicate": 2, "stale_revision": 1,
                         "dead_lettered": 0, "quarantined": 2 },
                "unknown": { "in": 1, "used": 0, "late": 0, "beyond_windows": 0, "duplicate": 0, "stale_revision": 0,
                             "dead_lettered": 1, "quarantined": 0 }
            }
        })
    );
    assert_eq!(file["log_time"]["last"], "2026-05-08T10:00:00+08:00");
    assert_eq!(serde_json::from_value::<Summary>(file).expect("reads back"), whole);

    for (what, spoil) in [
        ("all: 12 records came in, but 11", (|s: &mut Summary| s.records.total.incoming += 1) as fn(&mut Summary)),
        ("all: 11 records came in, but 10", |s| s.records.total.used -= 1),
        ("iot: 11 records came in, but 10", |s| {
            s.records.came_in("iot", 1);
            s.records.total.incoming -= 1;
        }),
        ("all: 6 late", |s| s.records.became("iot", Fate::Late, 4)),
        ("do not add up", |s| s.records.total.late = 0),
    ] {
        let mut spoilt = whole.clone();
        spoil(&mut spoilt);
        let error = spoilt.check().expect_err(what).to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn a_warning_counts_once_at_the_highest_level_it_reached() {
    let mut summary = Summary::new(PackRef { version: 7, hash: String::new() });
    for level in [Level::Blue, Level::Yellow, Level::Orange] {
        summary.warning(&respond(&pack(), &change(level)));
    }
    let mut cleared = change(Level::Orange);
    cleared.kind = ChangeKind::Cleared;
    summary.warning(&respond(&pack(), &cleared));
    assert_eq!(
        serde_json::to_value(&summary.warnings).expect("JSON"),
        json!({
            "total": 1,
            "changes": { "cleared": 1, "raised": 1, "upgraded": 2 },
            "by_level": { "blue": 0, "yellow": 0, "orange": 1 },
            "by_industry": { "gas": 1 },
            "by_indicator": { "gas_leak_lel": 1 }
        })
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_json_below_the_limit(c in any_change()) {
        let w = respond(&pack(), &c);
        let all = messages(&w, "city");
        prop_assert_eq!(all.len(), w.told.len() + 2);
        for message in &all {
            let headers: usize = message.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
            let text = message.value.as_deref().unwrap_or_default();
            prop_assert!(headers + text.len() + message.key.as_ref().map_or(0, String::len) <= MESSAGE_BYTES_MAX);
            prop_assert!(message.value.is_none() || serde_json::from_str::<Warning>(text).is_ok());
        }
        prop_assert_eq!(all, messages(&w, "city"));
    }
}
