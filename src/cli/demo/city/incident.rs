//! The planted incidents: what happens in the records, and what should come of it.

use super::START;
use super::feed::Draft;
use super::objects::{Object, Objects, Role, Sort};
use super::random::hash;
use crate::record::{Kind, Level, Millis};
use serde_json::{Value, json};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/// What should be raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incident {
    /// Indicator.
    pub(crate) indicator: &'static str,
    /// Industry.
    pub(crate) industry: &'static str,
    /// Object, enterprise or street that the warning is about.
    pub(crate) key: String,
    /// Its name; empty for a street.
    pub(crate) name: String,
    /// The highest level it reaches.
    pub(crate) level: Level,
    /// Simulated time by which the first change is out.
    pub(crate) raised_by: Millis,
    /// Simulated time by which the highest level is reached.
    pub(crate) level_by: Millis,
    /// True when the raise follows from a record; false when it follows from time or a trained model.
    pub(crate) by_record: bool,
}

/// The street where it smells of gas.
pub(super) const SMELL_STREET: (&str, &str) = ("371102", "371102002");

/// Straight lines between (minutes since the start, value); flat before and after.
fn course(at: Millis, points: &[(i64, f64)]) -> f64 {
    let minute = (at - START) as f64 / MINUTE as f64;
    let mut last = points.first().copied().unwrap_or((0, 0.0));
    for &(m, value) in points {
        let m_f = m as f64;
        if minute < m_f {
            let span = m_f - last.0 as f64;
            return if span <= 0.0 {
                value
            } else {
                last.1 + (value - last.1) * (minute - last.0 as f64).max(0.0) / span
            };
        }
        last = (m, value);
    }
    last.1
}

/// The reading of an object that plays a part, where the part sets it.
pub(super) fn reading(role: Role, at: Millis) -> Option<f64> {
    match role {
        // %LEL: blue at 08:02, yellow at 08:06, orange at 08:10, red at 08:12; shut off at 08:40.
        Role::Leak => Some(course(
            at,
            &[(0, 4.0), (1, 12.0), (4, 14.0), (5, 28.0), (8, 33.0), (9, 56.0), (18, 66.0), (40, 63.0), (50, 1.5)],
        )),
        // Share of the rated pressure; 1.08 for 20 minutes, then the valve is opened.
        Role::OverPressure => {
            Some(course(at, &[(8, 0.82), (14, 0.96), (20, 1.01), (26, 1.04), (32, 1.08), (52, 1.08), (60, 0.8)]))
        }
        // ℃ in a frozen store: above -12 from 08:36, repaired at 13:30.
        Role::WarmStore => {
            Some(course(at, &[(20, -18.4), (40, -10.5), (120, -7.2), (330, -6.8), (360, -14.0), (420, -18.4)]))
        }
        _ => None,
    }
}

/// What a drifting regulator adds to its pressure, MPa: from 10:00 on 0.0001 in 10 minutes, mended at 14:00.
pub(super) fn drift(at: Millis) -> f64 {
    course(at, &[(120, 0.0), (330, 0.0021), (360, 0.0021), (365, 0.0)])
}

/// How often an object that plays a part sends, where the part sets it: close while something happens.
pub(super) fn period(role: Role, at: Millis) -> Option<Millis> {
    let within = |hours: Millis| at < START + hours * HOUR;
    match role {
        Role::Leak if within(2) => Some(MINUTE),
        Role::OverPressure if within(2) => Some(20_000),
        Role::WarmStore if within(8) => Some(5 * MINUTE),
        _ => None,
    }
}

fn reporter(n: u64) -> String {
    (0..4).map(|k| format!("{:016x}", hash(0x12345, n, k))).collect()
}

pub(super) fn complaint(
    object: &Object,
    industry: &str,
    category: &str,
    content: &str,
    by: u64,
) -> serde_json::Map<String, Value> {
    let mut map = object.envelope("hotline", "hotline_12345", industry);
    map.extend(said(category, content, by));
    map
}

/// A complaint about a place: no enterprise is named.
pub(super) fn street_complaint(
    region: &str,
    street: &str,
    industry: &str,
    category: &str,
    content: &str,
    by: u64,
) -> serde_json::Map<String, Value> {
    let mut map = serde_json::Map::new();
    map.insert("source_system".into(), json!("hotline"));
    map.insert("source_dept".into(), json!("hotline_12345"));
    map.insert("industry".into(), json!(industry));
    map.insert("region".into(), json!(region));
    map.insert("street".into(), json!(street));
    map.extend(said(category, content, by));
    map
}

fn said(category: &str, content: &str, by: u64) -> serde_json::Map<String, Value> {
    let Value::Object(map) = json!({
        "action": "complaint",
        "channel": "hotline_12345",
        "category": category,
        "reporter_hash": reporter(by),
        "content": content,
    }) else {
        return serde_json::Map::new();
    };
    map
}

fn with(mut map: serde_json::Map<String, Value>, more: Value) -> serde_json::Map<String, Value> {
    if let Value::Object(more) = more {
        map.extend(more);
    }
    map
}

/// The records that the incidents add, in no order.
pub(super) fn script(objects: &Objects) -> Vec<Draft> {
    let mut all = Vec::new();
    let mut add = |minute: i64, kind: Kind, map| all.push(Draft { at: START + minute * MINUTE, kind, map });

    // 08:16 to 09:30: two calls, then three reports of patients of one school canteen.
    let canteen = objects.with(Role::Illness);
    for (n, minute) in [16, 25].into_iter().enumerate() {
        add(
            minute,
            Kind::Supervision,
            complaint(canteen, "food", "food_illness", "家长反映学生午餐后腹泻", 900 + n as u64),
        );
    }
    for (n, (minute, ill)) in [(40, 1), (55, 1), (90, 4)].into_iter().enumerate() {
        add(
            minute,
            Kind::Supervision,
            with(
                canteen.envelope("disease_report", "health", "food"),
                json!({"action": "case_report", "category": "food_illness", "casualties": {"ill": ill},
                    "ref_id": format!("case-demo-{n}")}),
            ),
        );
    }

    // 08:20 to 12:10: one lift stops five times with people inside; each time they are out within a quarter of an hour.
    let lift = objects.with(Role::Trapped);
    for minute in [20, 45, 100, 170, 250] {
        for (after, value) in [(0, 1), (12, 0)] {
            add(
                minute + after,
                Kind::Iot,
                with(
                    lift.envelope("lift_iot", "market_regulation", "special_equipment"),
                    json!({"sensor_id": format!("{}-trap", lift.key()), "sensor_type": "lift_trap", "value": value,
                        "status": "good", "location_id": "car"}),
                ),
            );
        }
    }

    // 09:00 to 10:45: it smells of gas in one street.
    for n in 0..13_u64 {
        let words = ["街边有燃气异味", "楼道内闻到煤气味", "路口疑似漏气"];
        let word = words[usize::try_from(n % 3).unwrap_or(0)];
        let minute = 60 + i64::try_from(n * 8).unwrap_or(0);
        let map = street_complaint(SMELL_STREET.0, SMELL_STREET.1, "gas", "gas_leak", word, 1_000 + n);
        add(minute, Kind::Supervision, map);
    }

    // 09:00 and later: two restaurants whose licences have ended go on selling.
    for (role, minutes) in [(Role::ExpiredLicence, [60, 150, 400]), (Role::LongExpiredLicence, [75, 160, 420])] {
        let object = objects.with(role);
        for minute in minutes {
            add(
                minute,
                Kind::Supervision,
                with(
                    object.envelope("pos_settlement", "tax", "food"),
                    json!({"action": "transaction", "category": "settlement", "amount_cny": "1860.50"}),
                ),
            );
        }
    }

    // 09:10 to 10:30: a station fills three cylinders whose inspection is overdue, then a scrapped one.
    let mut minute = 70;
    let bad: Vec<&Object> = objects
        .of(Sort::Cylinder)
        .map(|(_, o)| o)
        .filter(|o| matches!(o.role, Role::Overdue | Role::Scrapped))
        .collect();
    for cylinder in bad {
        add(
            minute,
            Kind::Supervision,
            with(
                cylinder.envelope("fill_trace", "market_regulation", "gas"),
                json!({"action": "transaction", "category": "fill"}),
            ),
        );
        minute += 20;
    }

    // 09:15: a sample fails; from 10:00 on people complain.
    let failed = objects.with(Role::FailedSample);
    add(
        75,
        Kind::Supervision,
        with(
            failed.envelope("sampling", "market_regulation", "food"),
            json!({"action": "sample_result", "result": "fail", "category": "food_sample", "product_code": "06900000000017",
                "batch_no": "D20260228"}),
        ),
    );
    for n in 0..6_u64 {
        add(
            120 + i64::try_from(n * 22).unwrap_or(0),
            Kind::Supervision,
            complaint(failed, "food", "food_quality", "反映食材不新鲜", 2_000 + n),
        );
    }
    all
}

/// What should come of it.
pub(super) fn expected(objects: &Objects) -> Vec<Incident> {
    let mut all = Vec::new();
    let mut add = |indicator, industry, key: &str, name: &str, level, raised: i64, highest: i64, by_record| {
        all.push(Incident {
            indicator,
            industry,
            key: key.to_owned(),
            name: name.to_owned(),
            level,
            raised_by: START + raised * MINUTE,
            level_by: START + highest * MINUTE,
            by_record,
        });
    };
    let it = |role| objects.with(role);
    let leak = it(Role::Leak);
    add("gas_leak_lel", "gas", leak.key(), &leak.name, Level::Red, 3, 15, true);
    let o = it(Role::InspectionOverdue);
    add("se_inspect_overdue", "special_equipment", o.key(), &o.name, Level::Orange, 5, 15, false);
    let o = it(Role::OverPressure);
    add("se_pressure_limit", "special_equipment", o.key(), &o.name, Level::Red, 18, 38, true);
    let o = it(Role::Illness);
    add("food_illness_cluster", "food", o.key(), &o.name, Level::Orange, 30, 60, true);
    let o = it(Role::ExpiredLicence);
    add("food_lic_active", "food", o.key(), &o.name, Level::Yellow, 65, 65, true);
    let o = it(Role::WarmStore);
    add("food_cold_temp", "food", o.key(), &o.name, Level::Red, 80, 285, true);
    let o = it(Role::LongExpiredLicence);
    add("food_lic_active", "food", o.key(), &o.name, Level::Orange, 80, 80, true);
    add("gas_complaint_surge", "gas", SMELL_STREET.1, "", Level::Orange, 95, 150, false);
    let o = it(Role::Trapped);
    add("se_trap_repeat", "special_equipment", o.key(), &o.name, Level::Orange, 50, 255, true);
    let o = it(Role::BadFills);
    add("gas_cylinder_expired", "gas", o.key(), &o.name, Level::Red, 75, 140, true);
    let o = it(Role::MaintenanceOverdue);
    add("se_lift_maint_gap", "special_equipment", o.key(), &o.name, Level::Blue, 100, 100, false);
    let o = it(Role::SilentDetector);
    add("gas_alarm_offline", "gas", o.key(), &o.name, Level::Blue, 130, 130, false);
    let o = it(Role::FailedSample);
    add("food_fail_complaint", "food", o.key(), &o.name, Level::Orange, 130, 215, true);
    let o = it(Role::Drift);
    add("gas_pressure_chart", "gas", o.key(), &o.name, Level::Orange, 180, 330, false);
    all.sort_by_key(|i| i.raised_by);
    all
}
