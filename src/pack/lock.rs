//! Keeps indicators from changing their meaning in silence: `rules/lock.json` holds a version and hashes of each.
//!
//! In: a checked pack and the lock beside it. Out: findings where they differ; with `accept` the next lock and what it
//! took in. Promise: names, texts and bases may change freely; what is counted, judged or told may not.
//! Not here: reading and writing the file (`cli/check`).

use super::{Finding, Indicator, Method, Pack, Place, Severity, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// The file's name beside the rules.
pub const LOCK_FILE: &str = "lock.json";

/// `rules/lock.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// By indicator id.
    #[serde(default)]
    pub indicators: BTreeMap<String, Locked>,
}

/// One indicator as it was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Raised by one with each change of meaning.
    pub version: u32,
    /// Day on which this version was accepted, `YYYY-MM-DD`.
    pub since: String,
    /// Hash of what is counted: source, key, filter, method and its model's parameters, lookups, null.
    pub state: String,
    /// Hash of how it is judged: levels, raises, segments, clearing, absence, incidents, signals.
    pub judgement: String,
    /// Hash of who is told: departments, matter, plan.
    pub response: String,
}

/// Fields that make up each part; what stands in none of them is text.
const STATE: &[&str] = &["source", "key", "filter", "lookups", "on_null"];
const JUDGEMENT: &[&str] =
    &["levels", "raise", "segments", "clear", "dwell", "cool_down", "absence", "incident", "emit", "signal_to"];
const RESPONSE: &[&str] = &["to", "matter_code", "plan"];
const TEXT: &[&str] = &["id", "name", "name_en", "status", "industry", "unit", "basis", "message", "message_en"];

impl Locked {
    fn of(pack: &Pack, rule: &Indicator, version: u32, since: &str) -> Locked {
        let mut whole = pruned(serde_json::to_value(rule).unwrap_or_default());
        let mut take = |names: &[&str]| {
            let fields = whole.as_object_mut();
            let part: BTreeMap<&str, serde_json::Value> = fields
                .map(|fields| names.iter().filter_map(|n| Some((*n, fields.remove(*n)?))).collect())
                .unwrap_or_default();
            serde_json::to_string(&part).unwrap_or_default()
        };
        let (judgement, response, fields) = (take(JUDGEMENT), take(RESPONSE), take(STATE));
        take(TEXT);
        // What is left are the fields of the method.
        let model = match &rule.kind {
            Method::Model(m) => pack.models.get(&m.model),
            _ => None,
        };
        let model = model.map(|m| serde_json::to_string(&(&m.method, &m.parameters)).unwrap_or_default());
        let state = format!("{fields}{}{}", ordered(&whole), model.unwrap_or_default());
        let hash = |text: &str| format!("{:016x}", xxh3_64(text.as_bytes()));
        Locked {
            version,
            since: since.to_owned(),
            state: hash(&state),
            judgement: hash(&judgement),
            response: hash(&response),
        }
    }

    /// What differs, in English and Chinese; empty when nothing does.
    fn differs(&self, now: &Locked) -> Vec<(&'static str, &'static str)> {
        let mut all = Vec::new();
        if self.state != now.state {
            all.push(("what is counted (its windows and runs begin anew)", "统计口径(窗口与累计重新开始)"));
        }
        if self.judgement != now.judgement {
            all.push(("how it is judged (kept state goes on)", "判定方式(已有状态保留)"));
        }
        if self.response != now.response {
            all.push(("who is told (kept state goes on)", "通知对象(已有状态保留)"));
        }
        all
    }
}

impl Lock {
    /// What the pack says otherwise than the lock. `files`: path inside the pack of each indicator.
    #[must_use]
    pub fn compare(&self, pack: &Pack, files: &BTreeMap<String, String>) -> Vec<Finding> {
        let find = |code, severity, id: &str, message: String, message_zh: String, hint: &str| Finding {
            code,
            severity,
            place: Place {
                file: files.get(id).cloned().unwrap_or_else(|| format!("rules/{LOCK_FILE}")),
                ..Place::default()
            },
            message,
            message_zh,
            hint: Some(hint.to_owned()),
        };
        let mut out = Vec::new();
        for (id, rule) in live(pack) {
            let Some(locked) = self.indicators.get(id) else {
                out.push(find(
                    "not-locked",
                    Severity::Warning,
                    id,
                    format!("\"{id}\" is new: lock.json does not have it yet"),
                    format!("“{id}”是新指标,尚未登记到 lock.json"),
                    "check --fix adds it as version 1 / check --fix 登记为第1版",
                ));
                continue;
            };
            let changed = locked.differs(&Locked::of(pack, rule, locked.version, &locked.since));
            if !changed.is_empty() {
                let en: Vec<&str> = changed.iter().map(|c| c.0).collect();
                let zh: Vec<&str> = changed.iter().map(|c| c.1).collect();
                out.push(find(
                    "meaning-changed",
                    Severity::Error,
                    id,
                    format!("the meaning of \"{id}\" is not that of version {}: {}", locked.version, en.join("; ")),
                    format!("“{id}”的含义与第{}版不同: {}", locked.version, zh.join("; ")),
                    "take the change back, or accept it with check --fix / 请撤回改动,或用 check --fix 确认为新版本",
                ));
            }
        }
        for id in self.indicators.keys().filter(|id| !pack.indicators.contains_key(*id)) {
            out.push(find(
                "indicator-gone",
                Severity::Error,
                id,
                format!("\"{id}\" is gone; indicators are never removed or renamed"),
                format!("指标“{id}”不见了;指标不得删除或改名"),
                "keep the file with status: retired / 保留文件并设 status: retired",
            ));
        }
        out
    }

    /// The lock after the changes of the indicators named, and a line for each.
    #[must_use]
    pub fn accept(&self, pack: &Pack, named: impl Fn(&str) -> bool, today: &str) -> (Lock, Vec<String>) {
        let mut next = self.clone();
        let mut notes = Vec::new();
        for (id, rule) in live(pack).filter(|(id, _)| named(id)) {
            match self.indicators.get(id) {
                None => {
                    next.indicators.insert(id.to_owned(), Locked::of(pack, rule, 1, today));
                    notes.push(format!("{id}: version 1 / 第1版"));
                }
                Some(locked) => {
                    let now = Locked::of(pack, rule, locked.version + 1, today);
                    let changed = locked.differs(&now);
                    if !changed.is_empty() {
                        let what: Vec<String> = changed.iter().map(|(en, zh)| format!("{en} / {zh}")).collect();
                        notes.push(format!("{id}: version {} / 第{0}版: {}", now.version, what.join("; ")));
                        next.indicators.insert(id.to_owned(), now);
                    }
                }
            }
        }
        (next, notes)
    }
}

/// Indicators that count or have counted; a draft may still become anything.
fn live(pack: &Pack) -> impl Iterator<Item = (&str, &Indicator)> {
    pack.indicators.iter().filter(|(_, i)| i.status != Status::Draft).map(|(id, i)| (id.as_str(), i))
}

/// Without what says nothing: a field that a later version adds must not change the hash of rules that lack it.
fn pruned(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let empty = |v: &Value| match v {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(all) => Value::Array(all.into_iter().map(pruned).collect()),
        Value::Object(all) => {
            Value::Object(all.into_iter().map(|(k, v)| (k, pruned(v))).filter(|(_, v)| !empty(v)).collect())
        }
        other => other,
    }
}

/// JSON text with sorted fields.
fn ordered(value: &serde_json::Value) -> String {
    let fields: BTreeMap<&String, &serde_json::Value> = value.as_object().into_iter().flatten().collect();
    serde_json::to_string(&fields).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Body;

    const INDUSTRY: &str = "id: gas\nname: \"燃气\"\nname_en: \"Gas\"\nlead: urban_management\nassist: [fire_rescue]\n";
    const PLAN: &str = "\
id: plan_gas
name: \"预案\"
levels:
  blue: { steps: [{ id: \"1\", by: lead, do: \"查\", within: 2h }] }
  yellow: { steps: [{ id: \"1\", by: lead, do: \"查\", within: 2h }] }
";
    const RULE: &str = "\
id: leak
name: \"泄漏\"
status: shadow
source: iot
key: { space: object }
kind: sustained
value: \"value\"
levels: { blue: 10, yellow: 25 }
on_null: skip
";

    fn pack(rule: &str) -> Pack {
        let id = rule.lines().next().and_then(|l| l.strip_prefix("id: ")).unwrap();
        let path = format!("rules/gas/{id}.yaml");
        let files = [("rules/gas/industry.yaml", INDUSTRY), ("rules/gas/plan.yaml", PLAN), (path.as_str(), rule)];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        Pack::read(Body::with_defaults(files)).unwrap_or_else(|findings| panic!("{findings:#?}"))
    }

    fn lock() -> Lock {
        Lock::default().accept(&pack(RULE), |_| true, "2026-05-08").0
    }

    fn codes(rule: &str) -> Vec<(&'static str, String)> {
        lock().compare(&pack(rule), &BTreeMap::new()).into_iter().map(|f| (f.code, f.message)).collect()
    }

    #[test]
    fn names_and_texts_change_freely_and_meaning_does_not() {
        assert_eq!(codes(RULE), []);
        assert_eq!(codes(&RULE.replace("泄漏", "浓度")), []);
        assert_eq!(codes(&format!("{RULE}message: \"{{{{ value }}}}\"\n")), []);
        for (from, to, says) in [
            ("blue: 10", "blue: 12", "how it is judged (kept state goes on)"),
            ("value: \"value\"", "value: \"value * 2\"", "what is counted (its windows and runs begin anew)"),
            ("on_null: skip", "on_null: skip\nto: { orange: [fire_rescue] }", "who is told (kept state goes on)"),
        ] {
            let found = codes(&RULE.replace(from, to));
            let [("meaning-changed", message)] = found.as_slice() else { panic!("{from}: {found:?}") };
            assert!(message.ends_with(&format!("version 1: {says}")), "{message}");
        }
        assert_eq!(
            codes(&RULE.replace("leak", "other")).iter().map(|c| c.0).collect::<Vec<_>>(),
            ["not-locked", "indicator-gone"]
        );
    }

    #[test]
    fn an_accepted_change_is_the_next_version() {
        let changed = pack(&RULE.replace("blue: 10", "blue: 12"));
        let (next, notes) = lock().accept(&changed, |_| true, "2026-06-01");
        assert_eq!((next.indicators["leak"].version, next.indicators["leak"].since.as_str()), (2, "2026-06-01"));
        assert_eq!(notes.len(), 1);
        assert_eq!(next.compare(&changed, &BTreeMap::new()), []);
        assert_eq!(next.accept(&changed, |_| true, "2026-07-01"), (next, Vec::new()));
    }
}
