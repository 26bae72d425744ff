use super::*;
use crate::record::{Check, Column, Kind, Required, columns, time};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const MINUTE: Millis = 60_000;

fn parsed(record: &Record) -> Value {
    serde_json::from_str(&record.payload).unwrap_or_else(|e| panic!("{e}: {}", record.payload))
}

/// The value at `a.b`, if there is one.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |v, part| v.get(part)).filter(|v| !v.is_null())
}

/// The columns of a kind; built once, not for each of 100,000 records.
fn table(kind: Kind) -> &'static [Column] {
    static TABLES: LazyLock<BTreeMap<Kind, Vec<Column>>> =
        LazyLock::new(|| Kind::OUTSIDE.into_iter().map(|k| (k, columns(k))).collect());
    &TABLES[&kind]
}

/// What a record of our own form must have; every field stands in the tables.
fn sound(record: &Record) {
    let value = parsed(record);
    assert_eq!(value["kind"], record.kind.word());
    assert_eq!(record.source, record.kind.word());
    let mut known = BTreeSet::from(["kind"]);
    for column in table(record.kind) {
        known.insert(column.path.split('.').next().unwrap_or(column.path));
        let found = at(&value, column.path);
        assert!(column.required == Required::No || found.is_some(), "no {}: {value}", column.path);
        match (column.check, found.and_then(Value::as_str)) {
            (Check::OneOf(words), Some(word)) => assert!(words.contains(&word), "{}: {value}", column.path),
            (Check::Id(most), Some(text)) => assert!(text.chars().count() <= most && !text.is_empty(), "{value}"),
            (Check::Hash, Some(text)) => assert!(text.len() == 64, "{value}"),
            (Check::Region, Some(text)) => assert!(text.len() == 6, "{value}"),
            (Check::Street, Some(text)) => assert!(text.len() == 9 && text.starts_with("3711"), "{value}"),
            _ => {}
        }
    }
    for field in value.as_object().expect("an object").keys() {
        assert!(known.contains(field.as_str()), "{field} is no field of {}: {value}", record.kind.word());
    }
    let named = value.get("entity_id").or(value.get("object_id")).or(value.get("warning_id")).or(value.get("street"));
    assert!(named.is_some(), "about nobody: {value}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_whatever_steps_time_is_asked_for() {
    let until = START + 6 * MINUTE;
    let mut whole = City::new(7);
    let mut steps = City::new(7);
    let mut by_steps = Vec::new();
    let mut now = START - MINUTE;
    while now < until {
        now = (now + 37_123).min(until);
        by_steps.extend(steps.next(now));
    }
    assert_eq!(whole.next(until), by_steps);
    assert!(whole.registry().eq(steps.registry()));
    assert_eq!(whole.history(), steps.history());
    assert_ne!(City::new(8).next(until), by_steps);
}

#[test]
fn the_city_has_twenty_thousand_objects_with_keys_of_their_own() {
    let city = City::new(1);
    assert!(city.len() >= 20_000);
    let mut keys = BTreeSet::new();
    let mut regions: BTreeMap<String, u32> = BTreeMap::new();
    for record in city.registry() {
        sound(&record);
        let value = parsed(&record);
        let key = value.get("object_id").or(value.get("entity_id")).and_then(Value::as_str).expect("a key").to_owned();
        assert!(keys.insert(key.clone()), "{key} stands twice");
        *regions.entry(value["region"].as_str().expect("a region").to_owned()).or_default() += 1;
    }
    let all: Vec<&str> = regions.keys().map(String::as_str).collect();
    assert_eq!(all, ["371102", "371103", "371121", "371122", "371171", "371172", "371173"]);
    assert!(regions.values().all(|n| *n > 500), "{regions:?}");
}

#[test]
fn every_record_has_the_fields_of_its_kind_and_broken_ones_are_broken() {
    let mut city = City::new(3);
    for record in city.history() {
        sound(&record);
    }
    city.answer("wabc-def", "urban_management@371102", "371102", "gas", Level::Red, START + MINUTE);
    let mut kinds: BTreeMap<Kind, u32> = BTreeMap::new();
    let mut faults = BTreeSet::new();
    for record in city.next(START + 110 * MINUTE) {
        match record.fault {
            None => {
                sound(&record);
                *kinds.entry(record.kind).or_default() += 1;
            }
            Some(fault) => {
                faults.insert(fault);
                let value: Option<Value> = serde_json::from_str(&record.payload).ok();
                match fault {
                    "json" => assert_eq!(value, None),
                    "missing" => assert_eq!(value.and_then(|v| v.get("occurred_at").cloned()), None),
                    "enum" => assert_eq!(value.expect("JSON")["industry"], "bakery"),
                    _ => assert_eq!(fault, "uscc"),
                }
            }
        }
    }
    assert_eq!(faults, BTreeSet::from(["enum", "json", "missing", "uscc"]));
    for kind in [Kind::Iot, Kind::Supervision, Kind::Inspection, Kind::Licensing, Kind::Feedback] {
        assert!(kinds.contains_key(&kind), "no {kind:?} in {kinds:?}");
    }
    let answers = kinds[&Kind::Feedback];
    assert_eq!(answers, 3, "sign, dispose, conclude");
}

#[test]
fn records_come_in_order_and_at_a_rate_that_a_laptop_bears() {
    let mut city = City::new(5);
    let hour = city.next(START + 60 * MINUTE);
    let mut last = START;
    for record in hour.iter().filter(|r| r.fault.is_none()) {
        let text = parsed(record)["occurred_at"].as_str().expect("a time").to_owned();
        let time: jiff::Timestamp = text.parse().expect("RFC 3339");
        assert!(time.as_millisecond() >= last && time.as_millisecond() <= START + 60 * MINUTE);
        last = time.as_millisecond();
    }
    let per_second = hour.len() as u64 * u64::from(SPEED) / 3_600;
    assert!((1_500..4_000).contains(&per_second), "{per_second} records a second at the default speed");
}

#[test]
fn history_arrives_in_order_before_the_start() {
    let city = City::new(5);
    let (mut occurred, mut received) = (i64::MIN, START - 31 * MINUTE);
    for record in city.history() {
        let value = parsed(&record);
        let read = |field: &str| -> Millis {
            value[field].as_str().expect("a time").parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond()
        };
        assert!(read("occurred_at") >= occurred && read("occurred_at") < START);
        assert!(read("received_at") >= received && read("received_at") < START);
        (occurred, received) = (read("occurred_at"), read("received_at"));
    }
}

/// The object of a message, else its enterprise or street: found as text, because parsing 200,000 takes long.
fn key_of(record: &Record) -> &str {
    let after = |name: &str| record.payload.split_once(name).and_then(|(_, rest)| rest.split('"').next());
    after("\"object_id\":\"").or_else(|| after("\"entity_id\":\"")).or_else(|| after("\"street\":\"")).unwrap_or("")
}

/// Every value an object's sensor sent, with its minute since the start.
fn readings(records: &[Record], key: &str) -> Vec<(i64, f64)> {
    let all: Vec<(i64, f64)> = records
        .iter()
        .filter(|r| r.kind == Kind::Iot && r.fault.is_none() && r.payload.contains(key))
        .map(parsed)
        .filter(|v| v["object_id"] == key || (v.get("object_id").is_none() && v["entity_id"] == key))
        .filter(|v| v["sensor_type"] != "heartbeat")
        .map(|v| {
            let at: jiff::Timestamp = v["occurred_at"].as_str().expect("a time").parse().expect("RFC 3339");
            ((at.as_millisecond() - START) / MINUTE, v["value"].as_f64().expect("a number"))
        })
        .collect();
    assert!(!all.is_empty(), "{key} sends nothing");
    all
}

#[test]
fn each_incident_stands_in_the_records() {
    let mut city = City::new(11);
    let incidents = city.incidents();
    let mut keys: BTreeSet<String> = incidents.iter().map(|i| i.key.clone()).collect();
    let station = &incidents.iter().find(|i| i.indicator == "gas_cylinder_expired").expect("planted").key;
    // A fill names the cylinder, and the station as its enterprise.
    keys.extend(city.registry().filter(|r| r.payload.contains(station.as_str())).map(|r| key_of(&r).to_owned()));
    let mut records = city.next(START + 6 * 60 * MINUTE);
    records.retain(|r| keys.contains(key_of(r)));
    assert!(incidents.len() >= 12);
    assert!(incidents[0].raised_by - START <= 3 * 60_000, "the first shows within three seconds, at 60 times");
    let one = |indicator: &str| incidents.iter().find(|i| i.indicator == indicator).expect("planted").clone();

    let leak = readings(&records, &one("gas_leak_lel").key);
    for (bound, minute) in [(10.0, 1), (25.0, 5), (50.0, 9)] {
        assert!(leak.iter().any(|(m, v)| *m == minute && *v > bound), "{bound} %LEL at minute {minute}: {leak:?}");
    }
    assert!(leak.iter().filter(|(m, _)| (9..=15).contains(m)).all(|(_, v)| *v > 50.0), "three minutes above 50");

    let warm = readings(&records, &one("food_cold_temp").key);
    assert!(warm.iter().filter(|(m, _)| (45..=320).contains(m)).all(|(_, v)| *v > -12.0), "four hours too warm");

    let boiler = readings(&records, &one("se_pressure_limit").key);
    let rated = records
        .iter()
        .map(|r| r.payload.as_str())
        .filter(|p| p.contains(one("se_pressure_limit").key.as_str()) && p.contains("\"rated\""))
        .filter_map(|p| serde_json::from_str::<Value>(p).ok()?["limits"]["rated"].as_f64())
        .next()
        .expect("a rated pressure");
    assert!(boiler.iter().filter(|(m, _)| (34..=50).contains(m)).all(|(_, v)| *v / rated > 1.06));

    let drift = readings(&records, &one("gas_pressure_chart").key);
    assert!(drift.iter().any(|(_, v)| *v > 0.0040), "past its own upper limit");
    assert!(drift.iter().filter(|(m, _)| *m < 120).all(|(_, v)| (v - 0.0025).abs() < 0.0001));

    let traps = readings(&records, &one("se_trap_repeat").key);
    assert_eq!(traps.iter().filter(|(_, v)| *v >= 1.0).count(), 5);

    let silent = one("gas_alarm_offline").key;
    assert!(!records.iter().any(|r| r.kind == Kind::Iot && r.payload.contains(&silent)));
    let overdue = one("se_lift_maint_gap").key;
    assert!(!records.iter().any(|r| r.payload.contains(&overdue) && r.payload.contains("lift_maintenance")));

    let count = |key: &str, word: &str| {
        records.iter().filter(|r| r.fault.is_none() && r.payload.contains(key) && r.payload.contains(word)).count()
    };
    assert_eq!(count(&one("food_illness_cluster").key, "case_report"), 3);
    assert_eq!(count(&one("food_fail_complaint").key, "\"complaint\""), 6);
    assert_eq!(
        count(&one("gas_cylinder_expired").key, "\"fill\""),
        4 + count_plain_fills(&records, &one("gas_cylinder_expired").key, &city)
    );
    assert!(count(&one("gas_complaint_surge").key, "gas_leak") >= 13);
}

/// Fills of sound cylinders of the station, which come by chance.
fn count_plain_fills(records: &[Record], station: &str, city: &City) -> usize {
    let bad: BTreeSet<String> = city
        .registry()
        .map(|r| parsed(&r))
        .filter(|v| {
            v["object_type"] == "gas_cylinder"
                && (v["status"] == "closed"
                    || v["next_due_at"]["inspection"].as_str().is_some_and(|d| d < "2026-03-02"))
        })
        .map(|v| v["object_id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(bad.len(), 4);
    records
        .iter()
        .filter(|r| r.fault.is_none() && r.payload.contains(station) && r.payload.contains("\"fill\""))
        .filter(|r| !bad.contains(parsed(r)["object_id"].as_str().unwrap_or("")))
        .count()
}

#[test]
fn everybody_else_is_quiet() {
    let mut city = City::new(11);
    let planted: BTreeSet<String> = city.incidents().into_iter().map(|i| i.key).collect();
    for record in city.next(START + 60 * MINUTE) {
        if record.kind != Kind::Iot || record.fault.is_some() {
            continue;
        }
        let v = parsed(&record);
        let key = v.get("object_id").or(v.get("entity_id")).and_then(Value::as_str).unwrap_or("");
        if planted.contains(key) {
            continue;
        }
        let value = v["value"].as_f64().unwrap_or(0.0);
        match v["sensor_type"].as_str() {
            Some("gas_lel") => assert!(value < 10.0, "{v}"),
            Some("temp_c") => assert!(value < -12.0 || (0.0..8.0).contains(&value), "{v}"),
            Some("pressure_mpa") if v["limits"]["rated"].is_f64() => {
                assert!(value / v["limits"]["rated"].as_f64().unwrap_or(1.0) < 0.95, "{v}");
            }
            _ => {}
        }
    }
}

#[test]
fn licences_are_valid_but_for_the_two_that_were_planted() {
    let city = City::new(11);
    let planted: BTreeSet<String> =
        city.incidents().into_iter().filter(|i| i.indicator == "food_lic_active").map(|i| i.key).collect();
    let today = time::rfc3339(START).chars().take(10).collect::<String>();
    let mut ended = BTreeSet::new();
    for record in city.history().iter().filter(|r| r.kind == Kind::Licensing) {
        let v = parsed(record);
        if v["valid_to"].as_str().is_some_and(|d| d < today.as_str()) {
            ended.insert(v["entity_id"].as_str().expect("an enterprise").to_owned());
        }
    }
    assert_eq!(ended, planted);
}
