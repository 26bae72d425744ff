//! Records and packs that the benches share.
//!
//! Records: our own envelope, one object a message, 200 to 300 bytes, all six kinds, mixed as a city sends them: mostly
//! readings. They are made from their number alone, so every run sees the same bytes.

#![allow(dead_code, reason = "each bench uses a part")]

use forewarn::pack::{Body, Pack};
use forewarn::record::time::rfc3339;
use forewarn::record::{Kind, Millis, Uscc};
use std::collections::BTreeMap;

/// 2026-05-08 09:00 at +08:00.
pub(crate) const START: Millis = 1_778_202_000_000;

/// Sensor types with their units; object i has a sensor of type i mod 20.
pub(crate) const SENSORS: [(&str, &str); 20] = [
    ("temp_c", "Cel"),
    ("humidity_rh", "%RH"),
    ("gas_lel", "%LEL"),
    ("toxic_oel", "%OEL"),
    ("o2_vol", "%VOL"),
    ("pressure_mpa", "MPa"),
    ("level_pct", "%"),
    ("flow_m3h", "m3/h"),
    ("wind_ms", "m/s"),
    ("moment_pct", "%"),
    ("weight_pct", "%"),
    ("tilt_permille", "‰"),
    ("settle_mm", "mm"),
    ("disp_mm", "mm"),
    ("pm10_ugm3", "ug/m3"),
    ("noise_dba", "dB(A)"),
    ("ppv_cms", "cm/s"),
    ("tank_l", "L"),
    ("nox_ppm", "ppm"),
    ("power_kw", "kW"),
];

/// A well mixed number from a number.
pub(crate) fn mix(i: u64) -> u64 {
    let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Id of an object.
pub(crate) fn object(number: u64) -> String {
    format!("equip:371102-{number:07}")
}

/// A valid code of an enterprise.
pub(crate) fn entity(number: u64) -> String {
    let body = format!("91371102MA{number:07}");
    let check = Uscc::check_character(body.as_bytes()).expect("digits and two letters are in the alphabet");
    format!("{body}{}", char::from(check))
}

/// A reading of the object's sensor. One in 10,000 is far above all others.
pub(crate) fn reading(i: u64, objects: u64, at: Millis) -> String {
    let object_no = mix(i) % objects;
    let (sensor_type, unit) = SENSORS[(object_no % 20) as usize];
    let value = if mix(i ^ 0xabcd).is_multiple_of(10_000) { 95.5 } else { (mix(i ^ 0x77) % 200) as f64 / 10.0 };
    format!(
        "{{\"record_id\":\"g-{i:010}\",\"kind\":\"iot\",\"source_system\":\"scada\",\"source_dept\":\
         \"urban_management\",\"object_id\":\"{}\",\"industry\":\"gas\",\"region\":\"371102\",\"occurred_at\":\"{}\",\
         \"sensor_id\":\"s-{object_no}\",\"sensor_type\":\"{sensor_type}\",\"value\":{value},\"unit\":\"{unit}\",\
         \"status\":\"good\",\"seq\":{i}}}",
        object(object_no),
        rfc3339(at)
    )
}

/// A record of any kind.
pub(crate) fn record(kind: Kind, i: u64, objects: u64, at: Millis) -> String {
    let object_no = mix(i) % objects;
    let head = format!(
        "{{\"record_id\":\"{}-{i:010}\",\"kind\":\"{}\",\"source_system\":\"bench\",\"source_dept\":\
         \"market_regulation\",\"entity_id\":\"{}\",\"object_id\":\"{}\",\"industry\":\"gas\",\"occurred_at\":\"{}\"",
        kind.word().get(..1).unwrap_or("x"),
        kind.word(),
        entity(object_no / 4),
        object(object_no),
        rfc3339(at)
    );
    let own = match kind {
        Kind::Supervision => {
            "\"action\":\"complaint\",\"channel\":\"hotline_12345\",\"category\":\"gas_leak\",\"content\":\
             \"三楼住户反映厨房有异味,请派人查看\""
        }
        Kind::Inspection => {
            "\"task_id\":\"t-20260508-17\",\"mode\":\"routine\",\"matter_codes\":[\"gas-01\"],\"participants\":\
             [\"market_regulation\"],\"conclusion\":\"no_issue\""
        }
        Kind::Licensing => {
            "\"license_type\":\"gas_operation\",\"license_no\":\"L-371102-0017\",\"action\":\"renew\",\"valid_from\":\
             \"2026-05-08\",\"valid_to\":\"2031-05-07\""
        }
        Kind::Registry => {
            "\"name\":\"海曲路供气站\",\"object_type\":\"station\",\"status\":\"active\",\"region\":\"371102\",\
             \"street\":\"371102001\",\"tags\":[\"gas_detector\"],\"risk_class\":\"B\",\"valid_from\":\"2026-01-01\""
        }
        Kind::Feedback => {
            "\"warning_id\":\"wabcdefghijklm-nopqrstuvwxyz\",\"dept\":\"market_regulation\",\"action\":\"sign\",\
             \"handler_hash\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"note\":\"已签收\""
        }
        _ => return reading(i, objects, at),
    };
    format!("{head},{own}}}")
}

/// Kind of the i-th record of a city: of 100 records 80 are readings.
pub(crate) fn kind_of(i: u64) -> Kind {
    match mix(i ^ 0x5151) % 100 {
        0..80 => Kind::Iot,
        80..88 => Kind::Supervision,
        88..92 => Kind::Inspection,
        92..95 => Kind::Licensing,
        95..98 => Kind::Feedback,
        _ => Kind::Registry,
    }
}

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
  red: { steps: [{ id: \"1\", by: fire_rescue, do: \"查\", within: 2h }] }
";

/// The files of a pack of indicators (id, what differs).
pub(crate) fn files(indicators: &[(String, String)]) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    files.insert("rules/gas/industry.yaml".into(), INDUSTRY.into());
    files.insert("rules/gas/plan.yaml".into(), PLAN.into());
    for (id, rule) in indicators {
        let text = format!(
            "id: gas_{id}\nname: \"{id}\"\nname_en: \"{id}\"\nstatus: stable\nbasis: [{{ name: \"{id}\", status: D }}]\n\
             {rule}\n"
        );
        files.insert(format!("rules/gas/gas_{id}.yaml"), text);
    }
    files
}

/// A pack of indicators, with the main pack's departments, regions and sources.
pub(crate) fn pack(indicators: &[(String, String)]) -> Pack {
    match Pack::read(Body::with_defaults(files(indicators))) {
        Ok(pack) => pack,
        Err(findings) => panic!("{:#?}", findings.into_iter().take(3).collect::<Vec<_>>()),
    }
}

/// A hundred indicators, five for each sensor type, so that a reading is of concern to five and other records to none.
pub(crate) fn hundred() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (sensor_type, _) in SENSORS {
        let filter = format!("filter: \"sensor_type = '{sensor_type}' AND status = 'good'\"");
        let head = format!("source: iot\nkey: {{ space: object }}\n{filter}\non_null: skip");
        for (name, rest) in [
            (
                "mean",
                "kind: measure\nwindow: 1h\nmeasures: { mean: { avg: \"value\" } }\nlevels: { blue: 60, red: 80 }",
            ),
            ("high", "kind: measure\nwindow: 10m\nmeasures: { high: { max: \"value\" } }\nlevels: { yellow: 90 }"),
            ("often", "kind: measure\nwindow: 1h\nmeasures: { n: { count: true } }\nlevels: { blue: 100000 }"),
            ("total", "kind: measure\nwindow: 24h\nmeasures: { sum: { sum: \"value\" } }\nlevels: { blue: 1e9 }"),
            ("stays", "kind: sustained\nvalue: \"value\"\nsamples: 2\nlevels: { direction: above, orange: 90 }"),
        ] {
            all.push((format!("{sensor_type}_{name}"), format!("{head}\n{rest}")));
        }
    }
    all
}
