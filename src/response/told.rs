//! Who assists and who is told, by level.

use super::warning::{Assist, Audience, AudienceRole};
use crate::pack::{Department, IndustryFile, Pack, Plan, Regions, To};
use crate::record::Level;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const JOINT_OFFICE: &str = "joint_office";
pub(crate) const DUTY_OFFICE: &str = "duty_office";
pub(crate) const EMERGENCY_MANAGEMENT: &str = "emergency_management";

/// Offices of the city that have no branch in a district.
pub(crate) const CITY_ONLY: [&str; 2] = [JOINT_OFFICE, DUTY_OFFICE];

/// `dept@region` in its two parts.
pub(crate) fn branch(id: &str) -> (&str, Option<&str>) {
    match id.split_once('@') {
        Some((dept, region)) => (dept, Some(region)),
        None => (id, None),
    }
}

/// The district of a subject: a known region below the city.
pub(crate) fn district<'a>(regions: &'a Regions, code: Option<&str>) -> Option<&'a str> {
    let code = code?;
    regions.regions.iter().map(|r| r.code.as_str()).find(|c| *c == code && *c != regions.city)
}

/// Names of departments.
pub(super) fn name<'a>(departments: &'a BTreeMap<String, Department>, id: &'a str) -> (&'a str, &'a str) {
    let (dept, _) = branch(id);
    departments.get(dept).map_or((dept, dept), |d| (d.name.as_str(), d.name_en.as_str()))
}

/// What decides who assists.
pub(super) struct Grounds<'a> {
    pub(super) level: Level,
    pub(super) lead: &'a str,
    pub(super) to: Option<&'a To>,
    pub(super) industry: Option<&'a IndustryFile>,
    pub(super) plan: Option<&'a Plan>,
    pub(super) tags: &'a [String],
    pub(super) departments: &'a BTreeMap<String, Department>,
}

/// Assisting departments in the order of their reasons: the rule, the object's tags, the plan's steps, the industry,
/// the offices of the level. Each stands once, with its first reason; a higher level only adds.
pub(super) fn assist(g: &Grounds<'_>) -> Vec<Assist> {
    let mut all: Vec<Assist> = Vec::new();
    let mut add = |id: &str, why: String, why_en: String| {
        if id.is_empty() || id == g.lead || all.iter().any(|a| a.id == id) {
            return;
        }
        let (name, name_en) = name(g.departments, id);
        all.push(Assist { id: id.to_owned(), name: name.to_owned(), name_en: name_en.to_owned(), why, why_en });
    };
    if let Some(to) = g.to {
        for id in &to.assist {
            add(id, "规则指定".to_owned(), "named by the rule".to_owned());
        }
        let by_level = [
            (Level::Blue, &to.blue, "规则指定（蓝色起）"),
            (Level::Yellow, &to.yellow, "规则指定（黄色起）"),
            (Level::Orange, &to.orange, "规则指定（橙色起）"),
            (Level::Red, &to.red, "规则指定（红色）"),
        ];
        for (from, ids, why) in by_level {
            for id in ids.iter().filter(|_| g.level >= from) {
                add(id, why.to_owned(), format!("named by the rule from {} on", from.word()));
            }
        }
        for (tag, id) in to.by_tag.iter().filter(|(tag, _)| g.tags.contains(tag)) {
            add(id, format!("对象标签{tag}"), format!("tag {tag} of the object"));
        }
    }
    if let Some(level) = g.plan.and_then(|p| p.levels.get(&g.level)) {
        for step in level.steps.iter().filter(|s| s.by != "lead") {
            add(&step.by, format!("预案步骤{}", step.id), format!("owns step {} of the plan", step.id));
        }
    }
    if g.level >= Level::Orange {
        for id in g.industry.iter().flat_map(|i| &i.assist) {
            add(id, "行业协同部门（橙色起）".to_owned(), "assists in this industry from orange on".to_owned());
        }
        add(JOINT_OFFICE, "橙色起通报".to_owned(), "told from orange on".to_owned());
    }
    if g.level == Level::Red {
        for id in [DUTY_OFFICE, EMERGENCY_MANAGEMENT] {
            add(id, "红色通报".to_owned(), "told of every red warning".to_owned());
        }
    }
    all
}

/// Every audience of a level: the lead first, then the assisting departments, each at the city before its district.
/// Blue stays in the district. A subject outside every district is told at the city.
pub(super) fn audiences(
    level: Level,
    lead: &str,
    assist: &[Assist],
    city: &str,
    district: Option<&str>,
) -> Vec<Audience> {
    let mut told: Vec<Audience> = Vec::new();
    let everyone = std::iter::once((lead, AudienceRole::Lead)).chain(assist.iter().map(|a| {
        let role = if CITY_ONLY.contains(&a.id.as_str()) { AudienceRole::Office } else { AudienceRole::Assist };
        (a.id.as_str(), role)
    }));
    for (id, role) in everyone {
        let (dept, named) = branch(id);
        for region in regions(level, dept, named, city, district) {
            let new = Audience { dept: dept.to_owned(), region: region.to_owned(), role };
            if !told.iter().any(|a| a.dept == new.dept && a.region == new.region) {
                told.push(new);
            }
        }
    }
    told
}

fn regions<'a>(
    level: Level,
    dept: &str,
    named: Option<&'a str>,
    city: &'a str,
    district: Option<&'a str>,
) -> Vec<&'a str> {
    match (named, district) {
        (Some(region), _) => vec![region],
        (None, Some(district)) if !CITY_ONLY.contains(&dept) => {
            if level == Level::Blue {
                vec![district]
            } else {
                vec![city, district]
            }
        }
        _ => vec![city],
    }
}

/// Every department that a warning under the pack can be told to, with the regions of its audiences: the city and all
/// districts, one alone for an office of the city or a branch that is named.
pub fn addressable(pack: &Pack) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeSet<&str> = [JOINT_OFFICE, DUTY_OFFICE, EMERGENCY_MANAGEMENT].into();
    for industry in pack.industries.values() {
        ids.insert(&industry.lead);
        ids.extend(industry.assist.iter().map(String::as_str));
    }
    ids.extend(pack.matters.values().map(|m| m.lead.as_str()));
    for indicator in pack.indicators.values() {
        let to = &indicator.to;
        let lists = [&to.assist, &to.blue, &to.yellow, &to.orange, &to.red];
        ids.extend(to.lead.as_deref());
        ids.extend(lists.into_iter().flatten().map(String::as_str));
        ids.extend(to.by_tag.values().map(String::as_str));
    }
    let steps = pack.plans.values().flat_map(|p| p.levels.values()).flat_map(|l| &l.steps);
    ids.extend(steps.map(|s| s.by.as_str()).filter(|by| *by != "lead"));

    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for id in ids.into_iter().filter(|id| !id.is_empty()) {
        let (dept, named) = branch(id);
        let regions = all.entry(dept.to_owned()).or_default();
        if let Some(region) = named {
            regions.insert(region.to_owned());
            continue;
        }
        regions.insert(pack.regions.city.clone());
        if !CITY_ONLY.contains(&dept) {
            regions.extend(pack.regions.regions.iter().map(|r| r.code.clone()));
        }
    }
    all
}
