//! When each object sends what.

use super::START;
use super::incident::{self, complaint, street_complaint};
use super::objects::{Object, Objects, Role, Sort, date, round};
use super::random::{below, hash, noise, unit};
use crate::record::{Kind, Level, Millis, time};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// One message for one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Kind.
    pub(crate) kind: Kind,
    /// Name of the source (`rules/sources/<name>.yaml`): `registry`, `iot`, `supervision`, `inspection`, `licensing`
    /// or `feedback`.
    pub(crate) source: &'static str,
    /// One JSON object, without a line end.
    pub(crate) payload: String,
    /// Set when the message is broken on purpose: the reason code that its dead letter should carry.
    pub(crate) fault: Option<&'static str>,
}

/// A record that has no number yet.
pub(super) struct Draft {
    pub(super) at: Millis,
    pub(super) kind: Kind,
    pub(super) map: Map<String, Value>,
}

impl Draft {
    fn finish(self, number: &str, received: Option<Millis>) -> Record {
        let kind = self.kind.word();
        let short = match self.kind {
            Kind::Supervision => "sv",
            Kind::Inspection => "ip",
            Kind::Licensing => "lc",
            Kind::Iot => "io",
            Kind::Registry => "rg",
            _ => "fb",
        };
        let mut map = self.map;
        map.insert("record_id".into(), json!(format!("{short}-{number}")));
        map.insert("kind".into(), json!(kind));
        map.insert("occurred_at".into(), json!(time::rfc3339(self.at)));
        if let Some(received) = received {
            map.insert("received_at".into(), json!(time::rfc3339(received)));
        }
        Record { kind: self.kind, source: kind, payload: Value::Object(map).to_string(), fault: None }
    }
}

/// What comes next from whom. The numbers are indices of objects or streets, and how often it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Sample(usize, u64),
    Beat(usize, u64),
    DailyCheck(usize, u64),
    Settlement(usize, u64),
    Maintenance(usize, u64),
    FoodComplaint(usize, u64),
    GasComplaint(usize, u64),
    Check(u64),
    Renewal(u64),
    Trap(u64),
    Release(u64),
    Fill(u64),
    Script(usize),
    Answer(usize),
}

pub(super) struct Feeds {
    seed: u64,
    heap: BinaryHeap<Reverse<(Millis, Next)>>,
    script: Vec<Option<Draft>>,
    answers: Vec<Option<Draft>>,
    streets: Vec<(&'static str, String)>,
    /// Food businesses per street that play no part.
    shops: Vec<Vec<usize>>,
    lifts: Vec<usize>,
    businesses: Vec<usize>,
    cylinders: Vec<usize>,
    number: u64,
}

/// The ordinary period of an object's readings; `None` sends none.
fn ordinary(object: &Object) -> Option<Millis> {
    match object.sort {
        Sort::Restaurant if object.has("gas_user") => Some(30 * MINUTE),
        Sort::ColdStore | Sort::Regulator => Some(10 * MINUTE),
        Sort::GasStation => Some(10 * MINUTE),
        Sort::Well => Some(30 * MINUTE),
        Sort::Boiler => Some(5 * MINUTE),
        _ => None,
    }
}

impl Feeds {
    pub(super) fn new(seed: u64, objects: &Objects) -> Feeds {
        let mut heap = BinaryHeap::new();
        let phase = |n: usize, what: u64, period: Millis| {
            START + Millis::try_from(below(seed, n as u64, what, period.unsigned_abs())).unwrap_or(0)
        };
        for (n, object) in objects.all.iter().enumerate() {
            if object.role != Role::SilentDetector {
                if let Some(period) = ordinary(object) {
                    let first =
                        if incident::period(object.role, START).is_some() { START } else { phase(n, 20, period) };
                    heap.push(Reverse((first, Next::Sample(n, 0))));
                }
                if object.sort == Sort::Restaurant && object.has("gas_user") {
                    heap.push(Reverse((phase(n, 21, HOUR), Next::Beat(n, 0))));
                }
            }
            if object.food_business() {
                heap.push(Reverse((phase(n, 22, DAY), Next::DailyCheck(n, 0))));
                if object.role == Role::Plain {
                    heap.push(Reverse((phase(n, 23, DAY), Next::Settlement(n, 0))));
                }
            }
            if let Some(last) = object.maintained
                && object.role != Role::MaintenanceOverdue
            {
                heap.push(Reverse((next_maintenance(object, last, 0), Next::Maintenance(n, 0))));
            }
        }
        let streets = Objects::streets();
        for n in 0..streets.len() {
            heap.push(Reverse((complaint_at(seed, n, 24, 4, 0), Next::FoodComplaint(n, 0))));
            heap.push(Reverse((complaint_at(seed, n, 25, 5, 0), Next::GasComplaint(n, 0))));
        }
        for next in [Next::Check(0), Next::Renewal(0), Next::Trap(0), Next::Fill(0)] {
            heap.push(Reverse((START + 7 * MINUTE, next)));
        }
        let script: Vec<_> = incident::script(objects).into_iter().map(Some).collect();
        for (n, draft) in script.iter().enumerate() {
            if let Some(draft) = draft {
                heap.push(Reverse((draft.at, Next::Script(n))));
            }
        }
        Feeds {
            seed,
            heap,
            script,
            answers: Vec::new(),
            shops: shops(objects, &streets),
            streets,
            lifts: objects.of(Sort::Lift).filter(|(_, o)| o.role == Role::Plain).map(|(n, _)| n).collect(),
            businesses: objects
                .all
                .iter()
                .enumerate()
                .filter(|(_, o)| o.food_business() && o.role == Role::Plain)
                .map(|(n, _)| n)
                .collect(),
            cylinders: objects.of(Sort::Cylinder).filter(|(_, o)| o.role == Role::Plain).map(|(n, _)| n).collect(),
            number: 0,
        }
    }

    pub(super) fn next(&mut self, objects: &Objects, until: Millis) -> Vec<Record> {
        let mut out = Vec::new();
        while let Some(Reverse((at, next))) = self.heap.peek().copied() {
            if at > until {
                break;
            }
            self.heap.pop();
            let (draft, again) = self.happen(objects, at, next);
            if let Some((at, next)) = again {
                self.heap.push(Reverse((at, next)));
            }
            let Some(draft) = draft else { continue };
            self.number += 1;
            let record = draft.finish(&format!("{:08}", self.number), None);
            // A gateway that got no receipt sends again: the same record, a duplicate.
            if record.kind == Kind::Iot && self.number.is_multiple_of(997) {
                out.push(record.clone());
            }
            if self.number.is_multiple_of(4_001) {
                out.extend(broken(&record, self.number / 4_001));
            }
            out.push(record);
        }
        out
    }

    pub(super) fn answer(
        &mut self,
        warning_id: &str,
        department: &str,
        region: &str,
        industry: &str,
        level: Level,
        at: Millis,
    ) {
        let bare = department.split('@').next().unwrap_or(department);
        let unit = match level {
            Level::Red => 8 * MINUTE,
            Level::Orange => 35 * MINUTE,
            Level::Yellow => 2 * HOUR,
            Level::Blue => 3 * HOUR,
        };
        let seed = warning_id.bytes().fold(self.seed, |s, b| hash(s, u64::from(b), 1));
        let handler: String = (0..4).map(|k| format!("{:016x}", hash(seed, 77, k))).collect();
        for (times, action, note, more) in [
            (1, "sign", "已签收,安排人员核查", json!({})),
            (
                4,
                "dispose",
                "已到场处置,风险得到控制",
                json!({"result_code": "verified", "measures": ["现场核查", "责令整改"]}),
            ),
            (12, "conclude", "整改完成,复查合格", json!({"result_code": "rectified"})),
        ] {
            let Value::Object(mut map) = json!({
                "source_system": format!("{bare}_oa"),
                "source_dept": bare,
                "industry": industry,
                "region": region,
                "warning_id": warning_id,
                "dept": bare,
                "action": action,
                "handler_hash": handler,
                "note": note,
            }) else {
                continue;
            };
            if let Value::Object(more) = more {
                map.extend(more);
            }
            let at = at + unit * times + Millis::try_from(seed % 120_000).unwrap_or(0);
            self.heap.push(Reverse((at, Next::Answer(self.answers.len()))));
            self.answers.push(Some(Draft { at, kind: Kind::Feedback, map }));
        }
    }

    /// One thing that happens, and when it happens again.
    fn happen(&mut self, objects: &Objects, at: Millis, next: Next) -> (Option<Draft>, Option<(Millis, Next)>) {
        let seed = self.seed;
        let draft = |kind, map| Some(Draft { at, kind, map });
        match next {
            Next::Sample(n, k) => {
                let object = &objects.all[n];
                let period = incident::period(object.role, at).or(ordinary(object)).unwrap_or(HOUR);
                (Some(sample(object, at, k)), Some((at + period, Next::Sample(n, k + 1))))
            }
            Next::Beat(n, k) => (draft(Kind::Iot, beat(&objects.all[n], k)), Some((at + HOUR, Next::Beat(n, k + 1)))),
            Next::DailyCheck(n, k) => {
                let mut map = objects.all[n].envelope("food_selfcheck", "market_regulation", "food");
                map.insert("action".into(), json!("report_filing"));
                map.insert("category".into(), json!("food_daily_check"));
                (draft(Kind::Supervision, map), Some((at + DAY, Next::DailyCheck(n, k + 1))))
            }
            Next::Settlement(n, k) => {
                let mut map = objects.all[n].envelope("pos_settlement", "tax", "food");
                map.insert("action".into(), json!("transaction"));
                map.insert("category".into(), json!("settlement"));
                let yuan = 400.0 + 6_000.0 * unit(seed, n as u64, 1_000 + k);
                map.insert("amount_cny".into(), json!(format!("{yuan:.2}")));
                (draft(Kind::Supervision, map), Some((at + DAY, Next::Settlement(n, k + 1))))
            }
            Next::Maintenance(n, k) => {
                let object = &objects.all[n];
                (
                    draft(Kind::Supervision, maintenance(object)),
                    Some((next_maintenance(object, at, k + 1), Next::Maintenance(n, k + 1))),
                )
            }
            Next::FoodComplaint(s, k) => {
                let again = Some((complaint_at(seed, s, 24, 4, k + 1), Next::FoodComplaint(s, k + 1)));
                (self.food_complaint(objects, s, k).and_then(|map| draft(Kind::Supervision, map)), again)
            }
            Next::GasComplaint(s, k) => {
                let (region, street) = &self.streets[s];
                let by = hash(seed, s as u64, 5_000 + k);
                let map = street_complaint(region, street, "gas", "gas_leak", "反映附近有异味", by);
                (
                    draft(Kind::Supervision, map),
                    Some((complaint_at(seed, s, 25, 5, k + 1), Next::GasComplaint(s, k + 1))),
                )
            }
            Next::Check(k) => {
                let n = pick(&self.businesses, seed, 30, k);
                (
                    draft(Kind::Inspection, check(&objects.all[n], seed, k, at)),
                    Some((at + 12 * MINUTE, Next::Check(k + 1))),
                )
            }
            Next::Renewal(k) => {
                let n = pick(&self.businesses, seed, 31, k);
                (
                    draft(Kind::Licensing, renewal(&objects.all[n], k, at)),
                    Some((at + 40 * MINUTE, Next::Renewal(k + 1))),
                )
            }
            // One after the other: no lift comes twice within years.
            Next::Trap(k) => {
                let n = self.lifts[usize::try_from(k).unwrap_or(0) % self.lifts.len()];
                self.heap.push(Reverse((at + 14 * MINUTE, Next::Release(k))));
                (draft(Kind::Iot, trap(&objects.all[n], 1)), Some((at + 11 * HOUR, Next::Trap(k + 1))))
            }
            Next::Release(k) => {
                let n = self.lifts[usize::try_from(k).unwrap_or(0) % self.lifts.len()];
                (draft(Kind::Iot, trap(&objects.all[n], 0)), None)
            }
            Next::Fill(k) => {
                let mut map =
                    objects.all[pick(&self.cylinders, seed, 32, k)].envelope("fill_trace", "market_regulation", "gas");
                map.insert("action".into(), json!("transaction"));
                map.insert("category".into(), json!("fill"));
                (draft(Kind::Supervision, map), Some((at + 90_000, Next::Fill(k + 1))))
            }
            Next::Script(n) => (self.script[n].take(), None),
            Next::Answer(n) => (self.answers[n].take(), None),
        }
    }

    fn food_complaint(&self, objects: &Objects, street: usize, k: u64) -> Option<Map<String, Value>> {
        let shops = self.shops.get(street).filter(|s| !s.is_empty())?;
        let n = pick(shops, self.seed, 40 + street as u64, k);
        let by = hash(self.seed, street as u64, 6_000 + k);
        Some(complaint(&objects.all[n], "food", "food_hygiene", "反映店内卫生较差", by))
    }
}

fn pick(list: &[usize], seed: u64, what: u64, k: u64) -> usize {
    list[usize::try_from(below(seed, what, k, list.len() as u64)).unwrap_or(0)]
}

fn shops(objects: &Objects, streets: &[(&'static str, String)]) -> Vec<Vec<usize>> {
    let mut shops = vec![Vec::new(); streets.len()];
    for (n, object) in objects.all.iter().enumerate() {
        if object.food_business()
            && object.role == Role::Plain
            && let Some(street) = streets.iter().position(|(_, s)| *s == object.street)
        {
            shops[street].push(n);
        }
    }
    shops
}

/// Complaint `k` (negative: before the start) of a street: one in so many days, a day early or late. Even spacing keeps
/// the counts of a quiet week below what a surge needs.
fn complaint_at(seed: u64, street: usize, what: u64, days: i64, k: u64) -> Millis {
    let k = i64::try_from(k).unwrap_or(0);
    place(seed, street, what, days, k)
}

fn place(seed: u64, street: usize, what: u64, days: i64, k: i64) -> Millis {
    let phase = below(seed, street as u64, what, u64::try_from(days).unwrap_or(1) * 86_400);
    let jitter = below(seed, street as u64 + 1_000 * what, k.unsigned_abs(), 86_400);
    START + k * days * DAY + (Millis::try_from(phase).unwrap_or(0) + Millis::try_from(jitter).unwrap_or(0)) * 1000
}

/// 13 days and a bit after the last one: within the 15 of the rule.
fn next_maintenance(object: &Object, last: Millis, k: u64) -> Millis {
    let seed = object.key().bytes().fold(k, |s, b| hash(s, u64::from(b), 2));
    last + 13 * DAY + Millis::try_from(seed % 72_000).unwrap_or(0) * 1000
}

fn maintenance(object: &Object) -> Map<String, Value> {
    let mut map = object.envelope("lift_maintenance", "market_regulation", "special_equipment");
    map.insert("action".into(), json!("report_filing"));
    map.insert("category".into(), json!("lift_maintenance"));
    map
}

fn beat(object: &Object, k: u64) -> Map<String, Value> {
    let mut map = object.envelope("gas_scada", "urban_management", "gas");
    map.insert("sensor_id".into(), json!(format!("{}-g1", object.key())));
    map.insert("sensor_type".into(), json!("heartbeat"));
    map.insert("value".into(), json!(k + 1));
    map.insert("status".into(), json!("good"));
    map.insert("location_id".into(), json!("kitchen"));
    map
}

fn trap(object: &Object, value: u8) -> Map<String, Value> {
    let mut map = object.envelope("lift_iot", "market_regulation", "special_equipment");
    map.insert("sensor_id".into(), json!(format!("{}-trap", object.key())));
    map.insert("sensor_type".into(), json!("lift_trap"));
    map.insert("value".into(), json!(value));
    map.insert("status".into(), json!("good"));
    map.insert("location_id".into(), json!("car"));
    map
}

fn check(object: &Object, seed: u64, k: u64, at: Millis) -> Map<String, Value> {
    let mut map = object.envelope("double_random", "market_regulation", "food");
    let joint = below(seed, 33, k, 3) == 0;
    map.insert("task_id".into(), json!(format!("task-{k:06}")));
    map.insert("mode".into(), json!(if joint { "random_joint" } else { "random_single" }));
    map.insert("matter_codes".into(), json!(["SP-001"]));
    let present = if joint { vec!["market_regulation", "fire_rescue"] } else { vec!["market_regulation"] };
    map.insert("participants".into(), json!(present));
    map.insert("conclusion".into(), json!("no_issue"));
    map.insert("published_at".into(), json!(time::rfc3339(at + 5 * DAY)));
    map
}

fn licence(object: &Object, action: &str, from: i64, to: i64) -> Map<String, Value> {
    let mut map = object.envelope("licence_base", "admin_approval", "food");
    map.insert("license_type".into(), json!("food_operation"));
    map.insert(
        "license_no".into(),
        json!(format!("JY2{}", object.entity.chars().skip(2).take(15).collect::<String>())),
    );
    map.insert("action".into(), json!(action));
    map.insert("valid_from".into(), json!(date(from)));
    map.insert("valid_to".into(), json!(date(to)));
    map.insert("scope".into(), json!(["hot_dishes"]));
    map.insert("issuer_dept".into(), json!("admin_approval"));
    map.insert("site".into(), json!(object.name));
    map
}

fn renewal(object: &Object, k: u64, at: Millis) -> Map<String, Value> {
    let today = time::local_day(at);
    let to = today + 1_825 - i64::try_from(k % 30).unwrap_or(0);
    licence(object, "renew", today, to)
}

/// One reading of an object's sensor.
fn sample(object: &Object, at: Millis, k: u64) -> Draft {
    let seed = object.key().bytes().fold(0, |s, b| hash(s, u64::from(b), 3));
    let wobble = noise(seed, 1, k + 1);
    let (industry, system, dept, suffix, sensor, unit_of, location) = match object.sort {
        Sort::Restaurant => ("gas", "gas_scada", "urban_management", "g1", "gas_lel", "%LEL", "kitchen"),
        Sort::Well | Sort::GasStation => ("gas", "gas_scada", "urban_management", "g1", "gas_lel", "%LEL", "well"),
        Sort::ColdStore => ("food", "cold_chain", "market_regulation", "t1", "temp_c", "Cel", "room"),
        Sort::Regulator => ("gas", "gas_scada", "urban_management", "p1", "pressure_mpa", "MPa", "outlet"),
        _ => ("special_equipment", "boiler_iot", "market_regulation", "p1", "pressure_mpa", "MPa", "drum"),
    };
    let part = incident::reading(object.role, at);
    let rated = [0.7, 1.0, 1.25, 1.6][usize::try_from(seed % 4).unwrap_or(0)];
    let value = match object.sort {
        Sort::Restaurant | Sort::Well | Sort::GasStation => round(part.unwrap_or(1.6 + 1.2 * wobble).max(0.0), 100.0),
        Sort::ColdStore => {
            let set = if object.has("frozen") { -18.4 } else { 4.2 };
            round(part.unwrap_or(set) + 0.8 * wobble, 100.0)
        }
        Sort::Regulator => {
            let drift = if object.role == Role::Drift { incident::drift(at) } else { 0.0 };
            round(0.0025 + 0.000_06 * wobble + drift, 1e6)
        }
        _ => round(rated * (part.unwrap_or(0.82) + 0.004 * wobble), 10_000.0),
    };
    let mut map = object.envelope(system, dept, industry);
    map.insert("sensor_id".into(), json!(format!("{}-{suffix}", object.key())));
    map.insert("sensor_type".into(), json!(sensor));
    map.insert("value".into(), json!(value));
    map.insert("unit".into(), json!(unit_of));
    map.insert("status".into(), json!("good"));
    map.insert("location_id".into(), json!(location));
    map.insert("seq".into(), json!(k + 1));
    match object.sort {
        Sort::Regulator => {
            map.insert("limits".into(), json!({"lo": 0.0018, "hi": 0.0040}));
        }
        Sort::Boiler => {
            map.insert("limits".into(), json!({"rated": rated}));
        }
        _ => {}
    }
    Draft { at, kind: Kind::Iot, map }
}

/// A message that a careless sender could have sent, and the reason its dead letter should carry.
fn broken(record: &Record, n: u64) -> Option<Record> {
    let mut map: Map<String, Value> = serde_json::from_str(&record.payload).ok()?;
    let id = map.get("record_id")?.as_str()?.to_owned();
    map.insert("record_id".into(), json!(format!("{id}-x")));
    let (fault, payload) = match n % 4 {
        0 => {
            let code = map.get("entity_id")?.as_str()?.to_owned();
            let last = if code.ends_with('0') { '1' } else { '0' };
            let first: String = code.chars().take(17).collect();
            map.insert("entity_id".into(), json!(format!("{first}{last}")));
            ("uscc", Value::Object(map).to_string())
        }
        1 => {
            map.remove("occurred_at");
            ("missing", Value::Object(map).to_string())
        }
        2 => {
            map.insert("industry".into(), json!("bakery"));
            ("enum", Value::Object(map).to_string())
        }
        _ => {
            let whole = Value::Object(map).to_string();
            ("json", whole.chars().take(whole.chars().count() * 2 / 3).collect())
        }
    };
    Some(Record { kind: record.kind, source: record.source, payload, fault: Some(fault) })
}

/// What happened before the start and still counts.
pub(super) fn history(objects: &Objects) -> Vec<Record> {
    let seed = objects.seed;
    let mut drafts = Vec::new();
    let mut add = |at: Millis, kind, map| drafts.push(Draft { at, kind, map });
    for (n, object) in objects.all.iter().enumerate() {
        if object.food_business() {
            let to = object.licence_to();
            // Five years, less the day on which it was granted.
            let from = (to - 1_826).min(time::local_day(START) - 2);
            add(time::day_start(from) + 10 * HOUR, Kind::Licensing, licence(object, "grant", from, to));
        }
        if let Some(at) = object.maintained {
            add(at, Kind::Supervision, maintenance(object));
        }
        match object.role {
            // Every hour for ten days: a control chart needs 200 samples of a week.
            Role::Drift => {
                for k in 1..=245_u64 {
                    let mut draft =
                        sample(object, START - Millis::try_from(246 - k).unwrap_or(1) * HOUR, k + 1_000_000);
                    draft.map.insert("seq".into(), json!(k));
                    add(draft.at, draft.kind, draft.map);
                }
            }
            Role::SilentDetector => add(START - 22 * HOUR, Kind::Iot, beat(object, 4_711)),
            _ => {}
        }
        if object.food_business() && object.role == Role::Plain && below(seed, n as u64, 34, 40) == 0 {
            let at = START - DAY - Millis::try_from(below(seed, n as u64, 35, 150 * 86_400)).unwrap_or(0) * 1000;
            add(at, Kind::Inspection, check(object, seed, 900_000 + n as u64, at));
        }
    }
    let streets = Objects::streets();
    let shops = shops(objects, &streets);
    for (s, (region, street)) in streets.iter().enumerate() {
        for k in 1..=17_u64 {
            let back = -i64::try_from(k).unwrap_or(0);
            let food = place(seed, s, 24, 4, back);
            if food < START
                && let Some(list) = shops.get(s).filter(|l| !l.is_empty())
            {
                let object = &objects.all[pick(list, seed, 50 + s as u64, k)];
                let by = hash(seed, s as u64, 7_000 + k);
                add(food, Kind::Supervision, complaint(object, "food", "food_hygiene", "反映店内卫生较差", by));
            }
            let gas = place(seed, s, 25, 5, back);
            if gas < START {
                let by = hash(seed, s as u64, 8_000 + k);
                add(gas, Kind::Supervision, street_complaint(region, street, "gas", "gas_leak", "反映附近有异味", by));
            }
        }
    }
    drafts.sort_by_key(|d| d.at);
    let count = drafts.len().max(1);
    drafts
        .into_iter()
        .enumerate()
        .map(|(n, draft)| {
            let share = Millis::try_from(n * 1_700_000 / count).unwrap_or(0);
            draft.finish(&format!("h{n:07}"), Some(START - 30 * MINUTE + share))
        })
        .collect()
}
