//! A pack with one indicator of each kind, each way of counting and each answer to a crossed bound.

use crate::engine::Program;
use crate::pack::{Body, Pack};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

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

/// Id and what differs; `rule` adds what all have.
const RULES: &[(&str, &str)] = &[
    // Panes: every function, a value over them, the clear rule, dwell and cool-down, a value record a border.
    (
        "panes",
        "source: iot
key: { space: object, state: [sensor_id] }
kind: measure
window: { size: 1h, pane: 15m }
measures:
  n: { count: true }
  total: { sum: \"value\" }
  mean: { avg: \"value\" }
  low: { min: \"value\" }
  high: { max: \"value\" }
  newest: { last: \"value\" }
value: \"total + high - low + mean * 0 + newest * 0\"
levels: { blue: 60, yellow: 120, orange: 180 }
clear: { below: \"90%\", evaluations: 2 }
dwell: 3m
cool_down: { blue: 40m, yellow: 20m }
emit: value
signal_to: [{ space: entity, key: entity_id }]
on_null: skip",
    ),
    // Division by zero gives null whenever there are exactly three readings.
    (
        "zero_divisor",
        "source: iot
key: { space: object }
kind: measure
window: { size: 30m, pane: 5m }
measures:
  n: { count: true, where: \"value / (value - value) IS NULL\" }
  total: { sum: \"value\" }
value: \"total / (n - 3)\"
levels: { blue: 40, yellow: 100 }
on_null: skip",
    ),
    // Kept rows: distinct, raises, segments, an incident over several state keys.
    (
        "rows",
        "source: supervision
key: { space: entity, state: [violation_code] }
incident: []
filter: \"action IN ('penalty', 'complaint')\"
kind: measure
window: { size: 2h, pane: 10m, keep: rows }
measures:
  n: { count: true }
  depts: { distinct: \"source_dept\" }
  fines: { sum: \"amount_cny\", where: \"action = 'penalty'\" }
  worst: { max: \"amount_cny\" }
  least: { min: \"amount_cny\" }
  mean: { avg: \"amount_cny\" }
  latest: { last: \"amount_cny\" }
value: \"n\"
levels: { blue: 2, yellow: 4, orange: 6 }
raise: [{ when: { measure: depts, above: 2 }, by: 1, ceiling: orange }]
segments:
  - { id: big, name: \"大额\", when: \"amount_cny > 30\", levels: { blue: 1, yellow: 3 } }
clear: { evaluations: 3 }
cool_down: { blue: 30m }
signal_to: [{ space: entity, key: entity_id }]
on_null: zero",
    ),
    (
        "day",
        "source: supervision
key: { space: street }
incident: []
kind: measure
window: day
measures:
  n: { count: true }
levels: { blue: 3, yellow: 6 }
emit: value
on_null: zero",
    ),
    // Reads what `panes` says at its closes.
    (
        "closes",
        "source: value
key: { space: entity }
incident: []
kind: measure
window: { size: 2h, pane: 10m, keep: rows }
measures:
  n: { count: true }
  total: { sum: \"value\" }
value: \"total\"
levels: { blue: 200, yellow: 900 }
on_null: skip",
    ),
    // Hears the others.
    (
        "joint",
        "source: signal
key: { space: entity }
incident: []
filter: \"level_no > 0\"
kind: measure
window: { size: 3h, keep: rows }
measures:
  kinds: { distinct: \"indicator\" }
  n: { count: true }
value: \"n\"
levels: { blue: 1, yellow: { all: [{ above: 1 }, { signal: rows, level: yellow }] }, orange: { measure: kinds, above: 2 } }
on_null: zero",
    ),
    (
        "held",
        "source: iot
key: { space: object, state: [sensor_id] }
filter: \"status = 'good'\"
kind: sustained
value: \"value\"
samples: 2
break: 30m
levels: { blue: 20, yellow: 30, orange: { any: [{ above: 25, sustained: 6m }, { row: \"value > limits_hi\" }] } }
clear: { below: \"80%\", evaluations: 2 }
cool_down: { blue: 1h }
absence: { roster: \"status = 'active'\", after: 45m, level: yellow }
on_null: skip",
    ),
    (
        "long_held",
        "source: iot
key: { space: object, state: [sensor_id] }
kind: sustained
value: \"value\"
bound: 15
levels: { blue: 10m, yellow: 2h, orange: 30h }
on_null: zero",
    ),
    (
        "order_open",
        "source: supervision
key: { space: entity }
filter: \"action = 'order'\"
kind: deadline
due: \"occurred_at + INTERVAL '1 hour'\"
item: \"violation_code\"
done: [{ source: supervision, when: \"action = 'report_filing'\", item: \"violation_code\" }]
at_once: { when: \"amount_cny > 50\", level: yellow }
levels: { blue: -30m, yellow: 0s, orange: 2h }
cool_down: { blue: 30m, yellow: 30m }
on_null: skip",
    ),
    (
        "filing_gap",
        "source: supervision
key: { space: object }
filter: \"action = 'report_filing'\"
kind: gap
also: [{ source: inspection, when: \"conclusion = 'no_issue'\" }]
roster: \"status = 'active'\"
levels: { blue: 1h, yellow: 3h, orange: 26h }
on_null: skip",
    ),
    (
        "fail_then_complaint",
        "source: inspection
key: { space: entity }
filter: \"conclusion = 'ordered_rectify'\"
incident: []
kind: sequence
then: { source: supervision, when: \"action = 'complaint'\" }
within: 90m
wait: 1m
distinct: \"source_dept\"
levels: { blue: 1, yellow: 2 }
clear: { evaluations: 2 }
on_null: zero",
    ),
    (
        "complaint_unanswered",
        "source: supervision
key: { space: entity }
filter: \"action = 'complaint'\"
kind: sequence
absent: true
then: { source: inspection, when: \"conclusion = 'no_issue'\" }
within: 2h
levels: { blue: 30m, yellow: 2h }
on_null: skip",
    ),
    (
        "unlicensed__licence",
        "source: licensing
key: { space: entity }
kind: lookup
values:
  action: \"action\"
  since: \"occurred_at\"
on_null: skip",
    ),
    (
        "unlicensed",
        "source: supervision
key: { space: entity }
filter: \"lic_action = 'revoke'\"
lookups: { lic: unlicensed__licence }
kind: measure
window: 6h
measures:
  n: { count: true, where: \"lic_since <= occurred_at\" }
levels: { blue: 1, yellow: 3 }
on_null: zero",
    ),
    (
        "chart_ewma",
        "source: iot
key: { space: object, state: [sensor_id] }
kind: model
model: ewma
value: \"CASE WHEN status = 'good' THEN value END\"
relearn: \"status = 'maintenance'\"
parameters: { warm_up: 3, warm_up_days: 0, sigma_floor: 1 }
levels: { blue: 2, yellow: 4 }
clear: { below: \"80%\", evaluations: 2 }
on_null: skip",
    ),
    (
        "chart_cusum",
        "source: iot
key: { space: object }
kind: model
model: cusum
value: \"value\"
parameters: { warm_up: 4, warm_up_days: 0 }
levels: { blue: 3, yellow: 6 }
on_null: skip",
    ),
    (
        "chart_season",
        "source: iot
key: { space: object }
kind: model
model: holt_winters
value: \"value\"
reorder: 0s
parameters: { step_minutes: 5, steps: 2, warm_up: 1 }
levels: { blue: 2, yellow: 4 }
on_null: skip",
    ),
    // Sensors of an object at one time; a bound on one of them and on a row hold while it calibrates.
    (
        "together",
        "source: iot
key: { space: object }
kind: model
model: sensor_group
value: \"CASE WHEN status <> 'suspect' THEN value END\"
member: \"sensor_id\"
members: [s0, s1, s2]
relearn: \"status = 'maintenance'\"
reorder: 20s
parameters: { calibrate: 3, threshold: 0.5 }
levels: { blue: 0.3, yellow: 0.6, orange: { measure: s1, above: 55 }, red: { row: \"value > 58\" } }
clear: { evaluations: 2 }
on_null: skip",
    ),
    (
        "complaint_surge",
        "source: supervision
key: { space: street }
filter: \"action = 'complaint'\"
incident: []
kind: model
model: surge
window: 10m
group: \"region\"
parameters: { windows: 4, min_windows: 2 }
levels: { blue: { all: [{ measure: score, above: 1 }, { measure: count, above: 2 }] }, yellow: { measure: count, above: 4 } }
clear: { evaluations: 2 }
on_null: skip",
    ),
    // Records that count each or once, a signal by its level, one that fades.
    (
        "card",
        "source: supervision
key: { space: entity }
kind: scorecard
items:
  penalties: { points: 15, each: true, most: 40, for: 2h, when: \"action = 'penalty'\" }
  complaint: { points: 20, for: 30m, when: \"action = 'complaint'\" }
  failed: { points: 30, for: 3h, halves: 1h, source: inspection, when: \"conclusion = 'ordered_rectify'\" }
  repeated: { points: { blue: 10, orange: 35 }, for: 1h, signal: rows }
  readings: { points: 5, each: true, for: 40m, source: signal, when: \"indicator = 'panes'\", level: yellow }
segments:
  - { id: big, name: \"大额\", when: \"amount_cny > 30\", levels: { blue: 20, yellow: 35 } }
levels: { blue: 40, yellow: 55, orange: 70, red: 85 }
clear: { below: \"95%\", evaluations: 2 }
cool_down: { blue: 20m }
signal_to: [{ space: entity, key: entity_id }]
on_null: zero",
    ),
    (
        "fused",
        "source: signal
key: { space: entity }
kind: fusion
prior: 2
roster: \"status = 'active'\"
items:
  repeated: { ratio: { blue: 3, yellow: 6 }, for: 2h, halves: 1h, signal: rows }
  card: { ratio: 8, for: 1h, signal: card, level: yellow, department: fire_rescue }
  fine: { ratio: 4, for: 90m, source: supervision, when: \"amount_cny > 20\" }
  clean: { ratio: 0.3, for: 3h, source: inspection, when: \"conclusion = 'no_issue'\" }
levels: { blue: 5, yellow: 15, orange: 40, red: 70 }
on_null: zero",
    ),
    (
        "rising",
        "source: iot
key: { space: object, state: [sensor_id] }
kind: trend
value: \"value\"
window: { size: 2h, pane: 5m }
limit: \"limits_hi\"
points: 3
r2: 0.3
levels: { blue: 6h, yellow: 2h, orange: { any: [{ below: 0.5 }, { row: \"value > 55\" }] } }
clear: { above: \"120%\", evaluations: 2 }
on_null: skip",
    ),
    // Values of each day, and how far one object's lies from those of the others.
    (
        "daily",
        "source: iot
key: { space: object }
kind: measure
window: { size: 1d, pane: 1d }
measures:
  mean: { avg: \"value\" }
emit: value
signal_to: [{ space: trade, key: object_type }]
levels: { blue: 100 }
on_null: skip",
    ),
    (
        "apart",
        "source: value
key: { space: trade, state: [object_id] }
incident: [object_id]
filter: \"indicator = 'daily'\"
kind: peer
value: \"value\"
group: \"street\"
peers: 3
wait: 10m
levels: { blue: 0.5, yellow: 2 }
on_null: skip",
    ),
    (
        "weekly",
        "source: supervision
key: { space: street }
filter: \"action = 'complaint'\"
incident: []
kind: model
model: count_surge
window: 7d
distinct: \"source_dept\"
reorder: 2h
parameters: { warm_up_weeks: 2 }
levels: { blue: 0.3, yellow: 0.6 }
clear: { evaluations: 2 }
on_null: skip",
    ),
];

fn rule((id, body): &(&str, &str)) -> String {
    format!("id: {id}\nname: \"{id}\"\nstatus: shadow\n{body}\n")
}

/// A program of the rules given, in trial.
pub(super) fn compile(rules: &[(&str, &str)]) -> Arc<Program> {
    let texts: Vec<(&str, String)> = rules.iter().map(|r| (r.0, rule(r))).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
    compile_files(&texts)
}

/// A program of whole rule files.
pub(super) fn compile_files(rules: &[(&str, &str)]) -> Arc<Program> {
    let mut files: BTreeMap<String, String> = [("rules/gas/industry.yaml", INDUSTRY), ("rules/gas/plan.yaml", PLAN)]
        .map(|(p, t)| (p.into(), t.into()))
        .into();
    files.extend(rules.iter().map(|(id, text)| (format!("rules/gas/{id}.yaml"), (*text).to_owned())));
    let pack = Pack::read(Body::with_defaults(files)).unwrap_or_else(|findings| panic!("{findings:#?}"));
    Arc::new(Program::new(&pack).expect("what `read` passes compiles"))
}

/// The program of all rules.
pub(super) fn all() -> Arc<Program> {
    static PROGRAM: OnceLock<Arc<Program>> = OnceLock::new();
    PROGRAM.get_or_init(|| compile(RULES)).clone()
}
