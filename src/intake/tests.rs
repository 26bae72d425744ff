//! What becomes of every kind of bad input, case by case; and what holds for all input.

use super::{Mapped, Mapper, Message, Options, Registry, Router, block_schema, kind_of, row_schema};
use crate::log::{Block, Clock};
use crate::pack::{Body, Department, Pack, Regions, Source};
use crate::record::time::parse_rfc3339;
use crate::record::{Kind, Millis, hash_text, partition, warning_hash};
use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

fn pack(sources: &[serde_json::Value]) -> Pack {
    let department = |id: &str| Department { id: id.into(), name: id.into(), name_en: id.into(), listed: true };
    let sources = sources.iter().map(|s| {
        let source: Source = serde_json::from_value(s.clone()).unwrap();
        (source.name.clone(), source)
    });
    Pack {
        hash: "test".into(),
        body: Body::default(),
        industries: BTreeMap::new(),
        indicators: BTreeMap::new(),
        sources: sources.collect(),
        plans: BTreeMap::new(),
        departments: ["urban_management", "market_regulation", "ecology", "hotline_12345"]
            .map(|id| (id.to_owned(), department(id)))
            .into(),
        regions: Regions { city: "371100".into(), regions: Vec::new(), streets: Vec::new() },
        calendar: Default::default(),
        deadlines: crate::pack::shared::Deadlines { levels: BTreeMap::new() },
        matters: BTreeMap::new(),
        models: BTreeMap::new(),
    }
}

fn own(kind: &str) -> serde_json::Value {
    json!({ "name": kind, "kind": kind, "envelope": true })
}

fn options(clock: Clock) -> Options {
    Options { partitions: 4, clock, secret: b"a secret of the tests".to_vec() }
}

/// 2026-05-08 10:00, half an hour after the records of these tests.
fn now() -> Millis {
    parse_rfc3339("2026-05-08T10:00:00+08:00", None).unwrap()
}

fn push(mapper: &mut Mapper, payload: Option<&[u8]>) {
    let raw: Arc<str> = "iot/0".into();
    mapper.push(&Message { raw: &raw, origin: "raw.iot", offset: 7, payload }, now());
}

fn map(source: &serde_json::Value, payload: &[u8]) -> Mapped {
    let pack = pack(std::slice::from_ref(source));
    let name = source["name"].as_str().unwrap();
    let mut mapper = Mapper::new(&pack, name, &options(Clock::Wall)).unwrap();
    push(&mut mapper, Some(payload));
    mapper.take()
}

fn value(rows: &RecordBatch, column: &str, row: usize) -> String {
    let array = rows.column_by_name(column).unwrap();
    if array.is_null(row) { "null".into() } else { array_value_to_string(array, row).unwrap() }
}

/// One line: the values of the columns asked for, row by row, then the dead letters.
fn shown(mapped: &Mapped, columns: &[&str]) -> String {
    let mut parts: Vec<String> = (0..mapped.rows.num_rows())
        .map(|row| columns.iter().map(|c| value(&mapped.rows, c, row)).collect::<Vec<_>>().join(","))
        .collect();
    parts.extend(mapped.dead_letters.iter().map(|d| match &d.field {
        Some(field) => format!("#{} {} {field}", d.row, d.reason),
        None => format!("#{} {}", d.row, d.reason),
    }));
    assert_eq!(mapped.seen, (mapped.rows.num_rows() + mapped.dead_letters.len()) as u64);
    assert_eq!(mapped.merge_time.len(), mapped.rows.num_rows());
    parts.join("; ")
}

const IOT: &[(&str, &str)] = &[
    ("record_id", r#""r1""#),
    ("kind", r#""iot""#),
    ("source_system", r#""gas_scada""#),
    ("source_dept", r#""urban_management""#),
    ("object_id", r#""equip:371102-0007""#),
    ("industry", r#""gas""#),
    ("region", r#""371102""#),
    ("occurred_at", r#""2026-05-08T09:30:00+08:00""#),
    ("sensor_id", r#""s1""#),
    ("sensor_type", r#""gas_lel""#),
    ("value", "27.5"),
    ("unit", r#""%LEL""#),
    ("status", r#""good""#),
];

const COMPLAINT: &[(&str, &str)] = &[
    ("record_id", r#""r1""#),
    ("kind", r#""supervision""#),
    ("source_system", r#""hotline""#),
    ("source_dept", r#""hotline_12345""#),
    ("entity_id", r#""91371102MA0000015N""#),
    ("industry", r#""food""#),
    ("region", r#""371102""#),
    ("occurred_at", r#""2026-05-08T09:30:00+08:00""#),
    ("action", r#""complaint""#),
];

/// A record with some members changed; a member set to `-` is left out, one not in the record is added.
fn record(base: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let mut members: Vec<(&str, &str)> = base.to_vec();
    for (name, text) in changes {
        match members.iter_mut().find(|(n, _)| n == name) {
            Some(member) => member.1 = text,
            None => members.push((name, text)),
        }
    }
    let members = members.iter().filter(|(_, text)| *text != "-").map(|(name, text)| format!("\"{name}\":{text}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Members to change, columns to show, what comes out.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a str);

fn table(source: &serde_json::Value, base: &[(&str, &str)], cases: &[Case<'_>]) {
    let mut wrong = Vec::new();
    for (changes, columns, expected) in cases {
        let found = shown(&map(source, record(base, changes).as_bytes()), columns);
        if found != *expected {
            wrong.push(format!("{changes:?}\n   expected {expected}\n   found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn readings_are_judged_member_by_member() {
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let long = format!("\"{}\"", "x".repeat(65));
    let longest = format!("\"{}\"", "x".repeat(64));
    table(
        &own("iot"),
        IOT,
        &[
            (&[], &["value", "unit", "status", "revision"], "27.5,%LEL,good,1"),
            // numbers
            (&[("value", "NaN")], &["value"], "#0 json"),
            (&[("value", "Infinity")], &["value"], "#0 json"),
            (&[("value", "-Infinity")], &["value"], "#0 json"),
            (&[("value", "1e999")], &["value"], "#0 number value"),
            (&[("value", "\"NaN\"")], &["value"], "#0 type value"),
            (&[("value", "\"27.5\"")], &["value"], "#0 type value"),
            (&[("value", "007")], &["value"], "#0 json"),
            (&[("value", "+1")], &["value"], "#0 json"),
            (&[("value", ".5")], &["value"], "#0 json"),
            (&[("value", "1.")], &["value"], "#0 json"),
            (&[("value", "0x1F")], &["value"], "#0 json"),
            (&[("value", "-0.0")], &["value"], "0.0"),
            (&[("value", "1e-400")], &["value"], "0.0"),
            (&[("value", "2.75e1")], &["value"], "27.5"),
            (&[("value", "0.1234567890123456789")], &["value"], "0.12345678901234568"),
            (&[("value", "true")], &["value"], "#0 type value"),
            (&[("value", "[1]")], &["value"], "#0 type value"),
            (&[("value", "{\"a\":1}")], &["value"], "#0 type value"),
            (&[("value", "null")], &["value", "status"], "null,good"),
            (&[("value", "-")], &["value", "status"], "null,good"),
            (&[("value", "9999")], &["value"], "#0 range value"),
            (&[("value", "-1")], &["value"], "#0 range value"),
            (&[("seq", "1.5")], &["seq"], "#0 type seq"),
            (&[("seq", "1.0")], &["seq"], "1"),
            (&[("seq", "1e3")], &["seq"], "1000"),
            (&[("seq", "9223372036854775808")], &["seq"], "#0 range seq"),
            (&[("seq", "1e30")], &["seq"], "#0 range seq"),
            (&[("seq", "-1")], &["seq"], "#0 range seq"),
            (&[("revision", "0")], &["revision"], "#0 range revision"),
            (&[("revision", "2")], &["revision"], "2"),
            (&[("void", "1")], &["void"], "#0 type void"),
            // units
            (
                &[
                    ("sensor_type", "\"pressure_mpa\""),
                    ("value", "1600"),
                    ("unit", "\"kPa\""),
                    ("limits", "{\"hi\":1200}"),
                ],
                &["value", "unit", "limits_hi"],
                "1.6,MPa,1.2",
            ),
            (
                &[("sensor_type", "\"pressure_mpa\""), ("value", "1600"), ("unit", "\"MPa\"")],
                &["value"],
                "#0 range value",
            ),
            (
                &[("sensor_type", "\"pressure_mpa\""), ("value", "-0.1"), ("unit", "\"MPa\"")],
                &["value"],
                "#0 range value",
            ),
            (&[("sensor_type", "\"pressure_mpa\""), ("value", "1.6"), ("unit", "\"Cel\"")], &["value"], "#0 unit unit"),
            (&[("sensor_type", "\"temp_c\""), ("value", "36.5"), ("unit", "\"℃\"")], &["value", "unit"], "36.5,Cel"),
            (&[("unit", "\"%\"")], &["value"], "#0 unit unit"),
            (&[("unit", "-")], &["value", "unit"], "27.5,%LEL"),
            (&[("sensor_type", "\"gas_lal\"")], &["value"], "#0 sensor_type sensor_type"),
            // enums, words, ids
            (&[("status", "\"Good\"")], &["status"], "#0 enum status"),
            (&[("status", "\"ｇｏｏｄ\"")], &["status"], "good"),
            (&[("status", "null")], &["status"], "#0 missing status"),
            (&[("status", "-")], &["status"], "#0 missing status"),
            (&[("industry", "\"fish\"")], &["industry"], "#0 enum industry"),
            (&[("kind", "\"ito\"")], &["status"], "#0 kind kind"),
            (&[("kind", "\"supervision\"")], &["status"], "#0 kind kind"),
            (&[("kind", "-")], &["status"], "#0 kind kind"),
            (&[("kind", "5")], &["status"], "#0 kind kind"),
            (&[("source_dept", "\"urban\"")], &["source_dept"], "#0 department source_dept"),
            (&[("source_dept", "\"ecology@371102\"")], &["source_dept"], "ecology@371102"),
            (&[("source_dept", "\"ecology@3711\"")], &["source_dept"], "#0 department source_dept"),
            (&[("region", "\"37110\"")], &["region"], "#0 region region"),
            (&[("region", "371102")], &["region"], "#0 type region"),
            (&[("region", "-")], &["region"], "null"),
            (&[("street", "\"371102001\"")], &["street"], "371102001"),
            (&[("street", "\"3711020\"")], &["street"], "#0 street street"),
            (&[("record_id", "\"r\u{200b}1\u{a0}\"")], &["record_id"], "r1"),
            (&[("record_id", "\"\\ufeffr1\"")], &["record_id"], "r1"),
            (&[("record_id", "\"ｒ１\"")], &["record_id"], "r1"),
            (&[("record_id", "\"r\\u00001\"")], &["record_id"], "#0 id record_id"),
            (&[("record_id", "\"\"")], &["record_id"], "#0 missing record_id"),
            (&[("record_id", "\"  \"")], &["record_id"], "#0 missing record_id"),
            (&[("record_id", &long)], &["record_id"], "#0 id record_id"),
            (&[("record_id", &longest)], &["sensor_id"], "s1"),
            (&[("record_id", "17")], &["record_id"], "#0 type record_id"),
            (&[("record_id", "-"), ("sensor_id", "-")], &["sensor_id"], "#0 missing record_id"),
            (&[("object_id", "\"equip\"")], &["object_id"], "#0 id object_id"),
            (&[("object_id", "\"Equip:1\"")], &["object_id"], "#0 id object_id"),
            (&[("object_id", "\"equip:1 2\"")], &["object_id"], "#0 id object_id"),
            (&[("object_id", "\"card:11010519491231002X\"")], &["object_id"], "#0 personal object_id"),
            (&[("object_id", "-")], &["object_id"], "#0 key"),
            (
                &[("object_id", "\"equip:1\""), ("entity_id", "\"91371102ma0000015n\"")],
                &["entity_id"],
                "91371102MA0000015N",
            ),
            (&[("entity_id", "\"91371102MA00000150\"")], &["entity_id"], "#0 uscc entity_id"),
            (&[("entity_id", "\"91371102MA000001\"")], &["entity_id"], "#0 uscc entity_id"),
            (&[("entity_id", "\"91371102MAO000015N\"")], &["entity_id"], "#0 uscc entity_id"),
            (&[("entity_id", "\"９１３７１１０２ＭＡ０００００１５Ｎ\"")], &["entity_id"], "91371102MA0000015N"),
            (&[("entity_id", "\"91371102MA\u{200b}0000015N\"")], &["entity_id"], "91371102MA0000015N"),
            (&[("entity_id", "\"11010519491231002X\"")], &["entity_id"], "#0 personal entity_id"),
            // times
            (&[("occurred_at", "\"2026-05-08T01:30:00Z\"")], &["occurred_at"], "2026-05-08T09:30:00+08:00"),
            (&[("occurred_at", "\"2026-05-07T24:00:00+08:00\"")], &["occurred_at"], "2026-05-08T00:00:00+08:00"),
            (&[("occurred_at", "\"2026-02-30T09:30:00+08:00\"")], &["occurred_at"], "#0 time occurred_at"),
            (&[("occurred_at", "\"2026-05-08 09:30:00\"")], &["occurred_at"], "#0 time occurred_at"),
            (&[("occurred_at", "\"2026-05-08T09:30:00\"")], &["occurred_at"], "#0 time occurred_at"),
            (&[("occurred_at", "\"2026-05-08T09:30:60+08:00\"")], &["occurred_at"], "#0 time occurred_at"),
            (&[("occurred_at", "1778203800")], &["occurred_at"], "#0 time occurred_at"),
            (&[("occurred_at", "\"0000-00-00T00:00:00+08:00\"")], &["occurred_at"], "#0 time occurred_at"),
            (&[("occurred_at", "\"0000-01-01T00:00:00+08:00\"")], &["occurred_at"], "#0 time_range occurred_at"),
            (&[("occurred_at", "\"1970-01-01T08:00:00+08:00\"")], &["occurred_at"], "#0 time_range occurred_at"),
            (&[("occurred_at", "\"9999-12-31T23:59:59+08:00\"")], &["occurred_at"], "#0 time_range occurred_at"),
            (&[("occurred_at", "\"2026-05-08T10:02:00+08:00\"")], &["status"], "good"),
            (&[("occurred_at", "\"2026-05-08T10:02:01+08:00\"")], &["status"], "#0 future occurred_at"),
            (&[("occurred_at", "null")], &["status"], "#0 missing occurred_at"),
            (&[("received_at", "\"2026-05-08T09:31:00+08:00\"")], &["received_at"], "2026-05-08T09:31:00+08:00"),
            (&[], &["received_at"], "2026-05-08T10:00:00+08:00"),
            // nested, unlisted, doubled, deep
            (&[("limits", "{\"lo\":1,\"hi\":2}")], &["limits_lo", "limits_hi", "limits_hihi"], "1.0,2.0,null"),
            (&[("limits", "null")], &["limits_lo"], "null"),
            (&[("limits", "5")], &["limits_lo"], "#0 type limits"),
            (&[("limits", "[{\"lo\":1}]")], &["limits_lo"], "#0 type limits"),
            (&[("limits", "{\"lo\":1,\"lo\":2}")], &["limits_lo"], "#0 duplicate_key limits_lo"),
            (&[("foo", "{\"bar\":[1,{\"a\":null}]}")], &["status"], "good"),
            (&[("foo", "{\"bar\":[1,]}")], &["status"], "#0 json"),
            (&[("foo", "\"tab\tinside\"")], &["status"], "#0 json"),
            (&[("foo", "\"\\ud800\"")], &["status"], "#0 json"),
            (&[("foo", "\"\\ud83d\\ude00\"")], &["status"], "good"),
            (&[("foo", &deep)], &["status"], "#0 depth"),
        ],
    );
}

#[test]
fn complaints_are_judged_member_by_member() {
    let content = |text: &str| serde_json::to_string(text).unwrap();
    let long = content(&"长".repeat(2001));
    table(
        &own("supervision"),
        COMPLAINT,
        &[
            (&[("amount_cny", "\"50000.00\"")], &["amount_cny"], "50000.00"),
            (&[("amount_cny", "50000.1")], &["amount_cny"], "50000.10"),
            (&[("amount_cny", "1.2E4")], &["amount_cny"], "12000.00"),
            (&[("amount_cny", "\"1234567890123456.78\"")], &["amount_cny"], "#0 range amount_cny"),
            (&[("amount_cny", "\"123456789012345.67\"")], &["amount_cny"], "123456789012345.67"),
            (&[("amount_cny", "\"0.001\"")], &["amount_cny"], "#0 decimal amount_cny"),
            (&[("amount_cny", "\"1.500\"")], &["amount_cny"], "1.50"),
            (&[("amount_cny", "\"１２３．４５\"")], &["amount_cny"], "123.45"),
            (&[("amount_cny", "\"1,234.5\"")], &["amount_cny"], "#0 type amount_cny"),
            (&[("amount_cny", "\"5万\"")], &["amount_cny"], "#0 type amount_cny"),
            (&[("amount_cny", "\"\"")], &["amount_cny"], "null"),
            (&[("amount_cny", "-1")], &["amount_cny"], "#0 range amount_cny"),
            (&[("amount_cny", "0e99999999999")], &["amount_cny"], "#0 range amount_cny"),
            (&[("amount_cny", "1e2147483647")], &["amount_cny"], "#0 range amount_cny"),
            (&[("casualties", "{\"ill\":2}")], &["ill", "dead"], "2,null"),
            (&[("penalty_types", "[\"fine\",\"close\"]")], &["penalty_types"], "[fine, close]"),
            (&[("penalty_types", "[]")], &["penalty_types"], "[]"),
            (&[("penalty_types", "\"fine\"")], &["penalty_types"], "#0 type penalty_types"),
            (&[("penalty_types", "[\"fined\"]")], &["penalty_types"], "#0 enum penalty_types"),
            (&[("penalty_types", "[1]")], &["penalty_types"], "#0 type penalty_types"),
            (&[("metrics", "{ \"prepaid_balance\" : 1200000 }")], &["metrics"], "{\"prepaid_balance\":1200000}"),
            (&[("metrics", "{\"a\":1,\"a\":2}")], &["metrics"], "#0 duplicate_key"),
            (&[("metrics", "5")], &["metrics"], "#0 type metrics"),
            (&[("content", &content("电话13812341234"))], &["content"], "电话138****1234"),
            (&[("content", &content("身份证11010519491231002X"))], &["content"], "身份证110***********2X"),
            (&[("content", &content("第一行\n第二行"))], &["content"], "第一行\n第二行"),
            (&[("content", "\"a\\u0000b\"")], &["content"], "#0 text content"),
            (&[("content", &long)], &["content"], "#0 text content"),
            (&[("reporter_hash", "\"13812341234\"")], &["content"], "#0 hash reporter_hash"),
            // whom it is about
            (&[("entity_id", "\"91371102MA00000150\"")], &["entity_id"], "#0 uscc entity_id"),
            (
                &[("entity_id", "\"91371102MA00000150\""), ("street", "\"371102001\"")],
                &["entity_id", "street"],
                "null,371102001",
            ),
            (&[("entity_id", "-"), ("location_id", "\"market-3\"")], &["entity_id", "location_id"], "null,market-3"),
            (&[("entity_id", "-")], &["entity_id"], "#0 key"),
            (&[("entity_id", "-"), ("location_id", "\"market-3\""), ("action", "\"penalty\"")], &["action"], "#0 key"),
            (&[("action", "\"gossip\"")], &["action"], "#0 enum action"),
        ],
    );
}

#[test]
fn messages_are_split_strictly() {
    let good = record(IOT, &[]);
    let bom = [b"\xef\xbb\xbf", good.as_bytes()].concat();
    let gbk = encoding_rs::GBK.encode("{\"record_id\":\"阀门\"}").0.into_owned();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let trailing_comma = good.replace('}', ",}");
    let cut: String = good.chars().take(good.chars().count() - 20).collect();
    let deep = "[".repeat(20_000);
    let big = format!("{{\"foo\":\"{}\"}}", "x".repeat(50 << 20));
    let bad = record(IOT, &[("status", "\"fine\"")]);
    for (name, bytes, expected) in [
        ("an object", good.as_bytes(), "r1"),
        ("white space around", format!(" \r\n{good}\t").as_bytes(), "r1"),
        ("a byte order mark", &bom, "r1"),
        ("GBK where UTF-8 is declared", &gbk, "#0 charset"),
        ("UTF-16", &utf16, "#0 json"),
        ("an array", format!("[{good},{good}]").as_bytes(), "r1; r1"),
        ("an array with a bad record", format!("[{good},{bad},{good}]").as_bytes(), "r1; r1; #1 enum status"),
        ("an array with a bad literal", format!("[{good},{{\"a\":NaN}},{good}]").as_bytes(), "r1; r1; #1 json"),
        ("an array with null and a number", format!("[null,{good},5]").as_bytes(), "r1; #0 top_level; #2 top_level"),
        ("an array inside an array", format!("[[{good}],{good}]").as_bytes(), "r1; #0 top_level"),
        ("a truncated array", format!("[{good},{cut}").as_bytes(), "r1; #1 json"),
        ("an array without its end", format!("[{good}").as_bytes(), "#0 json"),
        ("a trailing comma in an array", format!("[{good},]").as_bytes(), "r1; #1 json"),
        ("a deep element", format!("[{good},{deep}").as_bytes(), "r1; #1 depth"),
        ("an empty array", b"[]", "#0 empty"),
        ("something behind an array", format!("[{good}] x").as_bytes(), "r1; #1 json"),
        ("a trailing comma", trailing_comma.as_bytes(), "#0 json"),
        ("single quotes", good.replace('"', "'").as_bytes(), "#0 json"),
        ("truncated JSON", cut.as_bytes(), "#0 json"),
        ("two documents", format!("{good}{good}").as_bytes(), "#0 json"),
        ("two documents on two lines", format!("{good}\n{good}").as_bytes(), "#0 json"),
        ("a number", b"17", "#0 top_level"),
        ("a text", b"\"hello\"", "#0 top_level"),
        ("null", b"null", "#0 top_level"),
        ("an empty payload", b"", "#0 empty"),
        ("white space only", b" \n", "#0 empty"),
        ("an HTML error page", b"<html><body>502 Bad Gateway</body></html>", "#0 json"),
        ("20,000 levels", deep.as_bytes(), "#0 depth"),
        ("50 MB", big.as_bytes(), "#0 size"),
        ("a comment", format!("/* hi */{good}").as_bytes(), "#0 json"),
        ("an unquoted name", b"{kind:1}", "#0 json"),
        ("a name without a value", b"{\"kind\"}", "#0 json"),
        ("a doubled name", good.replace("\"status\"", "\"value\":1,\"status\"").as_bytes(), "#0 duplicate_key value"),
        ("a doubled unlisted name", good.replace("{", "{\"foo\":1,\"foo\":2,").as_bytes(), "#0 duplicate_key"),
        ("an object", b"{}", "#0 kind kind"),
    ] {
        assert_eq!(shown(&map(&own("iot"), bytes), &["record_id"]), expected, "{name}");
    }
    let pack = pack(&[own("iot")]);
    let mut mapper = Mapper::new(&pack, "iot", &options(Clock::Wall)).unwrap();
    push(&mut mapper, None);
    assert_eq!(shown(&mapper.take(), &[]), "#0 tombstone");
}

#[test]
fn a_line_never_costs_its_neighbours() {
    let mut source = own("iot");
    source["format"] = json!("ndjson");
    let good = record(IOT, &[]);
    let text = [good.as_bytes(), b"\r\n\n{\"kind\n", b"\xff\xfe\n", b"[1]\n", good.as_bytes()].concat();
    let mapped = map(&source, &text);
    assert_eq!(shown(&mapped, &["record_id"]), "r1; r1; #2 json; #3 charset; #4 top_level");

    let pack = pack(&[source]);
    let raw: Arc<str> = "iot/0".into();
    let mut mapper = Mapper::new(&pack, "iot", &options(Clock::Records)).unwrap();
    let mut used = 0;
    for end in (0..=text.len()).step_by(50).chain([text.len()]) {
        let piece = Message { raw: &raw, origin: "f", offset: used as i64, payload: Some(&text[used..end]) };
        used += mapper.push_lines(&piece, end == text.len(), 0);
    }
    let pieces = mapper.take();
    assert_eq!(pieces.rows.num_rows(), 2);
    let places: Vec<(i64, u64)> = pieces.dead_letters.iter().map(|d| (d.offset, d.length)).collect();
    for (offset, length) in places {
        let line = &text[offset as usize..offset as usize + length as usize];
        assert!([&b"{\"kind"[..], b"\xff\xfe", b"[1]"].contains(&line), "{line:?}");
    }
}

#[test]
fn dead_letters_point_at_the_message_and_hold_nothing_of_it() {
    let payload = record(IOT, &[("source_dept", "\"secret-department\"")]);
    let mapped = map(&own("iot"), payload.as_bytes());
    let letter = &mapped.dead_letters[0];
    assert_eq!((letter.raw.as_str(), letter.origin.as_str(), letter.offset), ("iot/0", "raw.iot", 7));
    assert_eq!((letter.kind.as_str(), letter.source.as_str(), letter.at), ("iot", "iot", now()));
    assert_eq!(letter.length, payload.len() as u64);
    assert_eq!(letter.sha256.len(), 64);
    assert!(!format!("{letter:?}").contains("secret"));
    // SHA-256 of no bytes, FIPS 180-4.
    let empty = map(&own("iot"), b"");
    assert_eq!(empty.dead_letters[0].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(empty.dead_letters[0].kind, "unknown");
}

#[test]
fn unlisted_names_are_counted_not_kept() {
    let payload =
        record(IOT, &[("foo", "1"), ("13812341234", "{\"a\":1}"), ("limits", "{\"max\":1}"), ("attrs", "{\"x\":1}")]);
    let mut mapped = map(&own("iot"), format!("[{payload},{payload}]").as_bytes());
    assert_eq!(mapped.rows.num_rows(), 2);
    assert_eq!(mapped.unlisted.remove("foo"), Some(2));
    assert_eq!(mapped.unlisted.remove("138****1234"), Some(2), "a name may be personal data");
    assert_eq!(mapped.unlisted.remove("limits.max"), Some(2));
    assert_eq!(mapped.unlisted.remove("attrs"), Some(2));
    assert!(mapped.unlisted.is_empty());

    let many: Vec<String> = (0..3000).map(|i| format!("\"n{i}\":1")).collect();
    let mapped = map(&own("iot"), format!("{{{}}}", many.join(",")).as_bytes());
    assert_eq!(mapped.unlisted.len(), 1001);
    assert_eq!(mapped.unlisted["…"], 2000);
}

#[test]
fn only_listed_attributes_pass() {
    let mut source = own("iot");
    source["attrs"] = json!({ "freq_hz": { "type": "float" }, "line": { "type": "text" } });
    let payload = record(IOT, &[("attrs", "{\"freq_hz\":12.5,\"line\":\"A\",\"other\":1}")]);
    let mapped = map(&source, payload.as_bytes());
    assert_eq!(shown(&mapped, &["freq_hz", "line"]), "12.5,A");
    assert_eq!(mapped.unlisted["attrs.other"], 1);
}

#[test]
fn nested_lists_lose_what_nobody_may_send() {
    let license = record(
        COMPLAINT,
        &[
            ("kind", "\"licensing\""),
            ("action", "\"grant\""),
            ("license_type", "\"food_operation\""),
            ("license_no", "\"JY1\""),
            (
                "staff",
                "[{\"name\":\"张三\",\"qual_type\":\"pharmacist\",\"phone\":{\"a\":1}},{\"post\":\"打13812341234\"}]",
            ),
        ],
    );
    let mapped = map(&own("licensing"), license.as_bytes());
    assert_eq!(shown(&mapped, &["staff"]), "[{\"qual_type\":\"pharmacist\"},{\"post\":\"打138****1234\"}]");
    assert_eq!((mapped.unlisted["staff.name"], mapped.unlisted["staff.phone"]), (1, 1));
}

#[test]
fn ids_of_another_scheme_are_taken_as_text() {
    let mut source = own("iot");
    source["ids"] = json!("other");
    let payload = record(IOT, &[("entity_id", "\"CHI-1234\"")]);
    assert_eq!(shown(&map(&source, payload.as_bytes()), &["entity_id"]), "CHI-1234");
}

#[test]
fn with_the_clock_of_records_the_record_is_judged_by_its_own_reception() {
    let pack = pack(&[own("iot")]);
    let mut mapper = Mapper::new(&pack, "iot", &options(Clock::Records)).unwrap();
    let at = |occurred: &str, received: &str| record(IOT, &[("occurred_at", occurred), ("received_at", received)]);
    push(&mut mapper, Some(at("\"2031-01-01T00:00:00+08:00\"", "-").as_bytes()));
    push(&mut mapper, Some(at("\"2026-01-01T00:05:00+08:00\"", "\"2026-01-01T00:00:00+08:00\"").as_bytes()));
    let mapped = mapper.take();
    assert_eq!(
        shown(&mapped, &["occurred_at", "received_at"]),
        "2031-01-01T00:00:00+08:00,null; #0 future occurred_at"
    );
    assert_eq!(mapped.merge_time, [parse_rfc3339("2031-01-01T00:00:00+08:00", None).unwrap()]);
}

#[test]
fn csv_rows_keep_their_places() {
    let mut source = own("supervision");
    source["format"] = json!("csv");
    source["charset"] = json!("gbk");
    let pack = pack(&[source]);
    let mut mapper = Mapper::new(&pack, "supervision", &options(Clock::Records)).unwrap();
    let header = "record_id,source_system,source_dept,entity_id,industry,region,occurred_at,action,content,casualties.ill,note\n";
    let rows = "r1,hotline,hotline_12345,91371102MA0000015N,food,371102,2026-05-08T09:30:00+08:00,complaint,\"变质,\n有异味\",2,x\r\n\
                r2,hotline,hotline_12345,91371102MA0000015N,food\n\
                1.23E+17,hotline,hotline_12345,91371102MA0000015N,food,371102,2026-05-08T09:30:00+08:00,complaint,,,\n\
                r4,hotline,hotline_12345,91371102MA0000015N,food,371102,2026-05-08T09:30:00+08:00,complaint,,two,\n\
                r5,hotline,hotline_12345,91371102MA0000015N,food,371102,2026-05-08T09:30:00+08:00,complaint,好,,";
    let bytes = encoding_rs::GBK.encode(rows).0.into_owned();
    let raw: Arc<str> = "complaints/0".into();
    mapper.push_csv_header("complaints.csv", header.as_bytes()).unwrap();
    let start = header.len() as i64;
    let mut used = 0;
    for end in (0..bytes.len()).step_by(37).chain([bytes.len()]) {
        let piece = Message {
            raw: &raw,
            origin: "complaints.csv",
            offset: start + used as i64,
            payload: Some(&bytes[used.min(end)..end]),
        };
        used += mapper.push_csv_rows(&piece, end == bytes.len(), 0);
    }
    assert_eq!(used, bytes.len());
    let mapped = mapper.take();
    assert_eq!(
        shown(&mapped, &["record_id", "content", "ill"]),
        "r1,变质,\n有异味,2; r5,好,null; #0 csv; #0 id record_id; #0 type ill"
    );
    let offset = |row: usize| {
        mapped.rows.column_by_name(Block::OFFSET).unwrap().as_primitive::<arrow::datatypes::Int64Type>().value(row)
    };
    assert!(bytes[(offset(1) - start) as usize..].starts_with(b"r5"));
    for (letter, begins) in mapped.dead_letters.iter().zip([&b"r2"[..], b"1.23", b"r4"]) {
        let from = (letter.offset - start) as usize;
        let row = &bytes[from..from + letter.length as usize];
        assert!(row.starts_with(begins) && !row.contains(&b'\n'), "{row:?}");
    }
    assert_eq!(mapped.unlisted["note"], 1);
    assert!(mapper.push_csv_header("x.csv", b"record_id,record_id\n").is_err());
}

#[test]
fn the_kind_of_a_mixed_file_is_seen_without_reading_the_record() {
    for (payload, expected) in [
        (record(IOT, &[]), Some(Kind::Iot)),
        (record(COMPLAINT, &[]), Some(Kind::Supervision)),
        ("{\"a\":{\"kind\":\"iot\"}}".into(), None),
        ("{\"a\":{\"kind\":\"iot\"},\"kind\":\"registry\"}".into(), Some(Kind::Registry)),
        ("{\"kind\":\"signal\"}".into(), None),
        ("[{\"kind\":\"iot\"}]".into(), None),
        ("{\"kind\":".into(), None),
        (String::new(), None),
    ] {
        assert_eq!(kind_of(payload.as_bytes()), expected, "{payload}");
    }
}

fn registry_row(object: &str, from: &str, changes: &[(&str, &str)]) -> String {
    let object = format!("\"{object}\"");
    let from = format!("\"{from}\"");
    let base = [
        ("record_id", "\"o1\""),
        ("kind", "\"registry\""),
        ("source_system", "\"registry\""),
        ("source_dept", "\"market_regulation\""),
        ("object_id", object.as_str()),
        ("industry", "\"gas\""),
        ("region", "\"371102\""),
        ("occurred_at", "\"2026-01-01T00:00:00+08:00\""),
        ("name", "\"阀门井\""),
        ("object_type", "\"valve\""),
        ("status", "\"active\""),
        ("valid_from", from.as_str()),
    ];
    record(&base, changes)
}

fn rows_of(pack: &Pack, source: &str, payload: &str) -> RecordBatch {
    let mut mapper = Mapper::new(pack, source, &options(Clock::Records)).unwrap();
    push(&mut mapper, Some(payload.as_bytes()));
    let mapped = mapper.take();
    assert!(mapped.dead_letters.is_empty(), "{:?}", mapped.dead_letters);
    mapped.rows
}

#[test]
fn rows_take_the_version_that_was_valid_when_they_occurred() {
    let pack = pack(&[own("iot"), own("registry")]);
    let mut router = Router::new(Arc::new(pack.clone()), &options(Clock::Records)).unwrap();
    let versions = format!(
        "[{},{},{}]",
        registry_row(
            "equip:1",
            "2026-01-01",
            &[
                ("tags", "[\"gas_user\"]"),
                ("entity_id", "\"91371102MA0000015N\""),
                ("whitelist", "{\"on\":true,\"until\":\"2026-04-01\"}"),
                (
                    "links",
                    "[{\"type\":\"branch\",\"other_id\":\"x\"},{\"type\":\"maintains\",\"other_id\":\"firm-9\"}]"
                ),
            ]
        ),
        registry_row("equip:1", "2026-05-01", &[("status", "\"suspended\""), ("region", "\"371103\"")]),
        registry_row(
            "firm:2",
            "2026-01-01",
            &[
                ("object_id", "-"),
                ("entity_id", "\"91371102MA0000015N\""),
                ("risk_class", "\"C\""),
                ("group_id", "\"g1\"")
            ]
        ),
    );
    let routed = router.route("registry", &rows_of(&pack, "registry", &versions));
    let keys: Vec<&str> = routed.registry.iter().map(|r| r.key.as_str()).collect();
    assert_eq!(keys, ["equip:1|2026-01-01", "equip:1|2026-05-01", "91371102MA0000015N|2026-01-01"]);
    let mut loaded = Registry::default();
    assert!(routed.registry.iter().all(|r| loaded.load(r)));
    assert_eq!((loaded.len(), router.registry().len()), (2, 2));
    *router.registry() = loaded;

    let reading = |object: &str, at: &str, region: &str| {
        record(
            IOT,
            &[
                ("object_id", &format!("\"{object}\"")),
                ("occurred_at", &format!("\"{at}T00:00:00+08:00\"")),
                ("region", region),
            ],
        )
    };
    let readings = format!(
        "[{},{},{},{}]",
        reading("equip:1", "2026-03-31", "-"),
        reading("equip:1", "2026-04-15", "\"371102\""),
        reading("equip:1", "2026-05-01", "-"),
        reading("equip:7", "2026-05-01", "-"),
    );
    let rows = rows_of(&pack, "iot", &readings);
    let routed = router.route("iot", &rows);
    assert_eq!((routed.unknown_objects.values().sum::<u64>(), routed.without_region), (1, 1));
    let columns = [
        "object_known",
        "object_status",
        "object_entity",
        "tags",
        "risk_class",
        "whitelisted",
        "group_id",
        "maintained_by",
        "region",
    ];
    let mut lines = Vec::new();
    for (part, block) in &routed.blocks {
        assert_eq!(block.rows.schema(), block_schema(&pack, &pack.sources["iot"], "object"));
        for row in 0..block.rows.num_rows() {
            let key = value(&block.rows, Block::KEY, row);
            assert_eq!(*part, partition("object", &key, 4));
            lines.push(columns.iter().map(|c| value(&block.rows, c, row)).collect::<Vec<_>>().join(","));
        }
    }
    lines.sort();
    assert_eq!(
        lines,
        [
            "false,null,null,null,null,null,null,null,null",
            "true,active,91371102MA0000015N,[gas_user],C,false,g1,firm-9,371102",
            "true,active,91371102MA0000015N,[gas_user],C,true,g1,firm-9,371102",
            "true,suspended,null,null,null,null,null,null,371103",
        ]
    );
}

#[test]
fn a_version_is_replaced_by_a_higher_revision_and_withdrawn_by_a_void_one() {
    let pack = pack(&[own("registry")]);
    let mut registry = Registry::default();
    let mut apply = |changes: &[(&str, &str)]| {
        registry.apply(&rows_of(&pack, "registry", &registry_row("equip:1", "2026-01-01", changes)));
        registry.at("equip:1", now()).map(|v| v.status.clone().unwrap())
    };
    assert_eq!(apply(&[("revision", "2")]).as_deref(), Some("active"));
    assert_eq!(apply(&[("revision", "1"), ("status", "\"closed\"")]).as_deref(), Some("active"));
    assert_eq!(apply(&[("revision", "3"), ("status", "\"closed\"")]).as_deref(), Some("closed"));
    assert_eq!(apply(&[("revision", "4"), ("void", "true")]), None);
}

#[test]
fn a_warning_id_says_its_partition() {
    for hash in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
        assert_eq!(warning_hash(&format!("w{}-abc", hash_text(hash))), Some(hash));
    }
    for id in ["", "w-", "wabc-d", "waaaaaaaaaaaa1-x", "wzzzzzzzzzzzzz-x", "waaaaaaaaaaaaa"] {
        assert_eq!(warning_hash(id), None, "{id}");
    }
}

#[test]
fn schemas_name_each_column_once() {
    let pack = pack(&Kind::OUTSIDE.map(|k| own(k.word())));
    for source in pack.sources.values() {
        for schema in [row_schema(&pack, source), block_schema(&pack, source, "object")] {
            let mut names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", source.name);
        }
    }
}

/// A feed with its own names, as departments send them.
fn pressure_feed() -> serde_json::Value {
    json!({
        "name": "boiler_scada",
        "kind": "iot",
        "columns": [
            { "name": "id", "path": "msg.id" },
            { "name": "at", "type": "time", "format": ["epoch_seconds", "%Y-%m-%d %H:%M:%S", "%Y年%m月%d日%H时"] },
            { "name": "boiler" },
            { "name": "p", "type": "float", "unit": "kPa", "sentinels": [9999, -999], "quoted": true },
            { "name": "n", "type": "int" },
            { "name": "phone", "personal": "phone" },
            { "name": "remark", "personal": "text" }
        ],
        "only": "boiler IS NULL OR boiler <> 'test'",
        "record": {
            "record_id": "id",
            "source_system": "'boiler_scada'",
            "source_dept": "'market_regulation'",
            "object_id": "'equip:' || boiler",
            "industry": "'special_equipment'",
            "region": "'371102'",
            "occurred_at": "at",
            "sensor_id": "boiler || '-p'",
            "sensor_type": "'pressure_mpa'",
            "value": "p",
            "status": "'good'",
            "seq": "100 / n"
        },
        "attrs": { "operator_hash": { "type": "text", "value": "phone" }, "remark": { "type": "text" } }
    })
}

#[test]
fn a_feed_is_mapped_by_its_source_file() {
    let base: &[(&str, &str)] = &[
        ("msg", "{\"id\":\"m1\",\"more\":[1,2]}"),
        ("at", "1778203800"),
        ("boiler", "\"b1\""),
        ("p", "800"),
        ("n", "4"),
        ("phone", "\"13812341234\""),
        ("remark", "\"打 13812341234\""),
    ];
    table(
        &pressure_feed(),
        base,
        &[
            (&[], &["record_id", "object_id", "value", "seq", "remark"], "m1,equip:b1,0.8,25,打 138****1234"),
            (&[("p", "\"８００\"")], &["value"], "0.8"),
            (&[("p", "9999")], &["value", "status"], "null,suspect"),
            (&[("p", "-999")], &["value", "status"], "null,suspect"),
            (&[("p", "-5")], &["value"], "#0 range value"),
            (&[("n", "0")], &["seq"], "#0 mapping seq"),
            (&[("n", "null")], &["seq"], "null"),
            (&[("boiler", "\"test\"")], &["seq"], ""),
            (&[("boiler", "-")], &["seq"], "#0 missing sensor_id"),
            (&[("at", "\"2026-05-08 09:30:00\"")], &["occurred_at"], "2026-05-08T09:30:00+08:00"),
            (&[("at", "\"2026-05-07 24:00:00\"")], &["occurred_at"], "2026-05-08T00:00:00+08:00"),
            (&[("at", "\"2026年05月08日09时\"")], &["occurred_at"], "2026-05-08T09:00:00+08:00"),
            (&[("at", "\"2026-02-30 09:30:00\"")], &["occurred_at"], "#0 time at"),
            (&[("at", "\"2026-05-08 09:30:60\"")], &["occurred_at"], "#0 time at"),
            (&[("at", "1778203800000")], &["occurred_at"], "#0 time_range occurred_at"),
            (&[("at", "\"2026/05/08 09:30\"")], &["occurred_at"], "#0 time at"),
        ],
    );
    let mapped = map(&pressure_feed(), record(base, &[]).as_bytes());
    assert_eq!(mapped.unlisted["msg.more"], 1);
    let hash = value(&mapped.rows, "operator_hash", 0);
    assert_eq!(hash.len(), 64);
    assert!(!hash.contains("138"), "a hash, not the number");
}

/// Public records in the form in which their city publishes them.
fn visits_feed() -> serde_json::Value {
    json!({
        "name": "visits",
        "kind": "inspection",
        "format": "csv",
        "ids": "other",
        "columns": [
            { "name": "license", "path": "License", "required": true },
            { "name": "day", "path": "Inspection_Date", "type": "date", "format": ["%Y-%m-%d"], "required": true },
            { "name": "purpose", "path": "Inspection_Purpose" }
        ],
        "only": "license <> '0'",
        "record": {
            "record_id": "_file || '-' || license",
            "source_system": "'visits'",
            "source_dept": "'market_regulation'",
            "entity_id": "regexp_replace(license, '^[A-Z]+', '')",
            "industry": "'food'",
            "region": "'999900'",
            "occurred_at": "make_time(day)",
            "task_id": "license",
            "mode": "CASE WHEN purpose LIKE '%Complaint%' THEN 'clue_check' ELSE 'routine' END",
            "matter_codes": "'visit;food'",
            "participants": "'market_regulation'",
            "conclusion": "'not_published'"
        },
        "attrs": { "purpose": { "type": "text" } },
        "routes": [{ "space": "entity", "key": "COALESCE(entity_id, ref_id)", "columns": ["purpose"] }]
    })
}

#[test]
fn a_file_of_another_city_is_mapped_by_its_source_file() {
    let pack = pack(&[visits_feed()]);
    let mut mapper = Mapper::new(&pack, "visits", &options(Clock::Records)).unwrap();
    let raw: Arc<str> = "visits/0".into();
    mapper
        .push_csv_header("d/v1.csv.gz", b"\xef\xbb\xbfLicense,Inspection_Date,Inspection_Purpose,Inspector\r\n")
        .unwrap();
    let rows = b"R1145429,2011-01-04,Tag Removal,blue\n0,2011-01-04,Canvass,blue\n17,2011-02-30,Canvass,red\n18,2011-01-05,Complaint,\n";
    let piece = Message { raw: &raw, origin: "d/v1.csv.gz", offset: 60, payload: Some(rows) };
    assert_eq!(mapper.push_csv_rows(&piece, true, 0), rows.len());
    let mapped = mapper.take();
    assert_eq!(
        shown(&mapped, &["record_id", "entity_id", "occurred_at", "mode", "matter_codes", "purpose"]),
        "v1-R1145429,1145429,2011-01-04T00:00:00+08:00,routine,[visit, food],Tag Removal; \
         v1-18,18,2011-01-05T00:00:00+08:00,clue_check,[visit, food],Complaint; #0 time day"
    );
    assert_eq!((mapped.filtered, mapped.seen, mapped.unlisted["Inspector"]), (1, 3, 3));
    let mut router = Router::new(Arc::new(pack.clone()), &options(Clock::Records)).unwrap();
    let routed = router.route("visits", &mapped.rows);
    for (part, block) in &routed.blocks {
        assert_eq!(block.rows.schema(), block_schema(&pack, &pack.sources["visits"], &block.space));
        assert_eq!(*part, partition(&block.space, &value(&block.rows, Block::KEY, 0), 4));
        assert_eq!(block.rows.column_by_name("mode").is_some(), block.home);
        assert!(block.rows.column_by_name("purpose").is_some());
    }
    assert_eq!(routed.unknown_objects.values().sum::<u64>(), 2);
}

/// `<space> <key> <object>` of every row of every block, by partition.
fn copies(routed: &super::Routed) -> Vec<String> {
    let mut lines = Vec::new();
    for (part, block) in &routed.blocks {
        for row in 0..block.rows.num_rows() {
            let (key, id) = (value(&block.rows, Block::KEY, row), value(&block.rows, "record_id", row));
            lines.push(format!("{part} {} {key} {id}", block.space));
        }
    }
    lines
}

#[test]
fn each_row_has_a_home_copy_and_one_copy_per_route_and_key() {
    let mut source = own("supervision");
    source["routes"] = json!([
        { "space": "entity", "key": "COALESCE(entity_id, object_entity)" },
        { "space": "kind_of_penalty", "key": "penalty_types" },
        { "space": "broadcast", "key": "CASE WHEN action = 'weather' THEN 'all' END" }
    ]);
    let pack = pack(&[source]);
    let mut router = Router::new(Arc::new(pack.clone()), &options(Clock::Records)).unwrap();
    let rows = format!(
        "[{},{},{}]",
        record(COMPLAINT, &[("record_id", "\"a\""), ("penalty_types", "[\"fine\",\"close\",\"fine\"]")]),
        record(COMPLAINT, &[("record_id", "\"b\""), ("object_id", "\"equip:1\"")]),
        record(
            COMPLAINT,
            &[("record_id", "\"c\""), ("entity_id", "-"), ("action", "\"weather\""), ("street", "\"371102001\"")]
        ),
    );
    let routed = router.route("supervision", &rows_of(&pack, "supervision", &rows));
    let at = |space: &str, key: &str, id: &str| format!("{} {space} {key} {id}", partition(space, key, 4));
    let uscc = "91371102MA0000015N";
    let mut expected = vec![
        at("object", uscc, "a"),
        at("object", "equip:1", "b"),
        at("object", "371102001", "c"),
        at("entity", uscc, "a"),
        at("entity", uscc, "b"),
        at("kind_of_penalty", "close", "a"),
        at("kind_of_penalty", "fine", "a"),
    ];
    expected.extend((0..4).map(|p| format!("{p} broadcast all c")));
    expected.sort();
    let mut found = copies(&routed);
    let partitions: Vec<u32> = routed.blocks.iter().map(|(p, _)| *p).collect();
    assert!(partitions.is_sorted());
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_version_that_changes_the_enterprise_goes_to_the_old_one_too() {
    let mut source = own("registry");
    source["routes"] = json!([{ "space": "entity", "key": "entity_id" }]);
    let pack = pack(&[source]);
    let mut router = Router::new(Arc::new(pack.clone()), &options(Clock::Records)).unwrap();
    let (old, new) = ("91371102MA0000015N", "91350100M000100Y43");
    let mut route = |from: &str, entity: &str| {
        let payload = registry_row("equip:1", from, &[("entity_id", &format!("\"{entity}\""))]);
        let routed = router.route("registry", &rows_of(&pack, "registry", &payload));
        let mut keys: Vec<String> = routed
            .blocks
            .iter()
            .filter(|(_, b)| !b.home)
            .flat_map(|(_, b)| (0..b.rows.num_rows()).map(|row| value(&b.rows, Block::KEY, row)).collect::<Vec<_>>())
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(route("2026-01-01", old), [old]);
    assert_eq!(route("2026-02-01", old), [old]);
    assert_eq!(route("2026-03-01", new), [new, old]);
    assert_eq!(route("2026-04-01", new), [new]);
}

/// Bytes that are often almost a record.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just(record(IOT, &[])),
        Just(format!("[{},{}]", record(IOT, &[]), record(IOT, &[("value", "1e5")]))),
        Just(record(IOT, &[("foo", "[[{\"a\":\"\\ud83d\\ude00\"}],null]")])),
    ];
    (text, proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..4)).prop_map(
        |(text, edits)| {
            let mut bytes = text.into_bytes();
            for (at, byte, way) in edits {
                // Cut to one byte and that one taken: nothing is left to edit.
                if bytes.is_empty() {
                    break;
                }
                let i = at.index(bytes.len());
                match way {
                    0 => bytes[i] = byte,
                    1 => bytes[i] = b"{}[],:\"\\0e-"[usize::from(byte) % 11],
                    2 => drop(bytes.remove(i)),
                    _ => bytes.truncate(i.max(1)),
                }
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn no_bytes_bring_intake_down_and_nothing_is_lost(bytes in prop_oneof![nearly(), proptest::collection::vec(any::<u8>(), 0..200)]) {
        for format in ["json", "ndjson"] {
            let mut source = own("iot");
            source["format"] = json!(format);
            let mapped = map(&source, &bytes);
            prop_assert!(mapped.seen > 0);
            prop_assert_eq!(mapped.seen, (mapped.rows.num_rows() + mapped.dead_letters.len()) as u64);
        }
    }

    #[test]
    fn batches_cannot_be_seen(messages in proptest::collection::vec(nearly(), 1..12), cuts in proptest::collection::vec(any::<bool>(), 12)) {
        let pack = pack(&[own("iot")]);
        let raw: Arc<str> = "iot/0".into();
        let run = |cuts: &[bool]| {
            let mut mapper = Mapper::new(&pack, "iot", &options(Clock::Wall)).unwrap();
            let mut lines = Vec::new();
            let mut letters = Vec::new();
            let mut flush = |mapper: &mut Mapper| {
                let mapped = mapper.take();
                for row in 0..mapped.rows.num_rows() {
                    lines.push(mapped.rows.schema().fields().iter().map(|f| value(&mapped.rows, f.name(), row)).collect::<Vec<_>>());
                }
                letters.extend(mapped.dead_letters);
            };
            for (i, payload) in messages.iter().enumerate() {
                mapper.push(&Message { raw: &raw, origin: "raw.iot", offset: i as i64, payload: Some(payload) }, now());
                if cuts[i] {
                    flush(&mut mapper);
                }
            }
            flush(&mut mapper);
            (lines, letters)
        };
        prop_assert_eq!(run(&[false; 12]), run(&cuts));
    }
}
