//! From a change to its document.

use super::lead::{self, Inspected, Owner};
use super::personal::Withheld;
use super::text::{self, Language, Texts, cut};
use super::time::Time;
use super::told;
use super::warning::{
    Assist, BasisInForce, Departments, Evidence, IndicatorRef, IndustryRef, JointAssessment, LeadDepartment, LogRange,
    Mode, MsgType, PackRef, RegionRef, Scope, StatePart, SubjectRef, Territory, Warning, WindowSpan,
};
use super::{deadline, plan};
use crate::engine::{Change, ChangeKind, Reading, Reference, Subject};
use crate::pack::calendar::Calendar;
use crate::pack::shared::{Deadlines, Matter};
use crate::pack::{Department, Indicator, IndustryFile, Pack, Plan, Regions, Span};
use crate::record::{Kind, Level};
use std::collections::{BTreeMap, BTreeSet};

/// Longest identifier, name or key in a document: what comes in is far shorter, and a message has a size limit.
const NAME_MAX: usize = 500;
/// Most tags, state columns and readings in a document.
const LIST_MAX: usize = 200;

/// 综合研判 within this time for red and for orange.
const RED_WITHIN: Span = Span(2 * 3_600_000);
const ORANGE_WITHIN: Span = Span(24 * 3_600_000);

/// The response of one pack: its tables, with the templates compiled.
pub struct Responder {
    mode: Mode,
    industries: BTreeMap<String, IndustryFile>,
    indicators: BTreeMap<String, Indicator>,
    plans: BTreeMap<String, Plan>,
    departments: BTreeMap<String, Department>,
    regions: Regions,
    calendar: Calendar,
    deadlines: Deadlines,
    matters: BTreeMap<String, Matter>,
    withheld: Withheld,
    texts: Texts,
}

/// The document of one change. For more than one change make a [`Responder`] and keep it.
#[must_use]
pub fn respond(pack: &Pack, change: &Change) -> Warning {
    Responder::new(pack).respond(change)
}

impl Responder {
    /// The response of a pack, for real warnings.
    #[must_use]
    pub fn new(pack: &Pack) -> Responder {
        Responder {
            mode: Mode::Actual,
            industries: pack.industries.clone(),
            indicators: pack.indicators.clone(),
            plans: pack.plans.clone(),
            departments: pack.departments.clone(),
            regions: pack.regions.clone(),
            calendar: pack.calendar.clone(),
            deadlines: pack.deadlines.clone(),
            matters: pack.matters.clone(),
            withheld: Withheld::of(pack),
            texts: Texts::of(pack),
        }
    }

    /// The same response, its documents marked as exercise or test.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Responder {
        Responder { mode, ..self }
    }

    /// The department that leads in an indicator by the matter list, the rule or the industry; the joint office when
    /// none of them names one.
    #[must_use]
    pub fn lead_of(&self, indicator: &str) -> &str {
        let found = self.indicators.get(indicator);
        let matter = found.and_then(|i| i.matter_code.as_ref()).and_then(|c| self.matters.get(c)).map(|m| &m.lead);
        let sector = found.and_then(|i| i.to.lead.as_ref());
        let owner = self.industry_of(indicator).and_then(|id| self.industries.get(id)).map(|i| &i.lead);
        matter.or(sector).or(owner).map_or(told::JOINT_OFFICE, String::as_str)
    }

    /// The industry of an indicator; reading a pack fills in the folder's where a rule names none.
    #[must_use]
    pub fn industry_of(&self, indicator: &str) -> Option<&str> {
        self.indicators.get(indicator)?.industry.as_deref()
    }

    /// The document of one change. Never fails: what the pack does not know is shown by its id.
    #[must_use]
    pub fn respond(&self, change: &Change) -> Warning {
        // Of a street or a firm's lifts the row that raised the warning is one of many: its object is not what the
        // warning is about, and its labels call nobody; unless the rule's own key names the object, as among peers.
        let own = matches!(&*change.space, "object" | "entity" | "record")
            || change.state.iter().any(|(column, _)| matches!(column.as_str(), "object_id" | "entity_id"));
        let shared = (!own).then(|| {
            let Subject { region, street, .. } = change.subject.clone();
            let street = street.filter(|_| &*change.space == "street");
            Change { subject: Subject { region, street, ..Subject::default() }, ..change.clone() }
        });
        let change = shared.as_ref().unwrap_or(change);
        let indicator = self.indicators.get(&*change.indicator);
        let industry_id = self.industry_of(&change.indicator).unwrap_or("");
        let industry = self.industries.get(industry_id);
        let district = told::district(&self.regions, change.subject.region.as_deref());

        let lead = self.lead(change, indicator, industry);
        let plan_file = self.plan_file(indicator, industry_id);
        let assist = told::assist(&told::Grounds {
            level: change.level,
            lead: &lead.dept,
            to: indicator.map(|i| &i.to),
            industry,
            plan: plan_file,
            tags: &change.subject.tags,
            departments: &self.departments,
        });
        let audiences = told::audiences(change.level, &lead.dept, &assist, &self.regions.city, district);

        // A raise and an upgrade start the clocks, when they are found: a record that came late leaves as much time as
        // any other. A clear and a return let them run on.
        let ended = change.kind == ChangeKind::Expired;
        let starts = (!ended).then_some(Time::new(change.level_since).millis());
        let table = self.deadlines.levels.get(&change.level);
        let clock = deadline::clock(table, change.level);
        let mut plan_in_force = plan_file
            .filter(|_| !ended)
            .and_then(|p| plan::in_force(p, change.level, &lead.dept, starts, &self.calendar, clock));
        if let Some(plan) = &mut plan_in_force {
            plan.off_site_first = off_site_first(change, industry);
        }
        let deadlines = starts.zip(table).map(|(from, table)| deadline::deadlines(&self.calendar, table, from));
        let joint_assessment =
            joint_assessment(change, &lead, matches!(change.kind, ChangeKind::Raised | ChangeKind::Upgraded));
        let departments = self.departments(lead, assist, change.level, district);

        let mut warning = Warning {
            id: cut(&change.warning_id, NAME_MAX),
            change: change.number,
            ce_id: message_id(change, change.number),
            msg_type: if change.number <= 1 { MsgType::Alert } else { MsgType::Update },
            references: references(change),
            status: self.mode,
            scope: Scope::Restricted,
            note: "内部提示".to_owned(),
            kind: change.kind,
            shadow: change.shadow,
            level: change.level,
            level_no: change.level.number(),
            level_name: text::level_name(change.level, Language::Chinese).to_owned(),
            level_name_en: text::level_name(change.level, Language::English).to_owned(),
            was: change.was,
            headline: String::new(),
            headline_en: String::new(),
            text: String::new(),
            text_en: String::new(),
            text_error: None,
            industry: industry_ref(industry_id, industry),
            indicator: indicator_ref(change, indicator),
            pack: PackRef { version: change.pack_version, hash: cut(&change.pack_hash, NAME_MAX) },
            subject: self.subject(&change.subject),
            space: cut(&change.space, NAME_MAX),
            key: cut(&change.key, NAME_MAX),
            state: self.state(change),
            value: change.value.filter(|v| v.is_finite()),
            bound: change.bound.filter(|v| v.is_finite()),
            readings: change.readings.iter().take(LIST_MAX).map(reading).collect(),
            window: change.window.map(|(from, to)| WindowSpan { from: Time::new(from), to: Time::new(to) }),
            segment: change.segment.as_deref().map(|s| cut(s, NAME_MAX)),
            absent: change.absent,
            partial: change.partial,
            model_failing: change.model_failing,
            evidence: change.evidence.iter().map(|r| self.evidence(r)).collect(),
            evidence_total: change.evidence_total,
            evidence_left_out: 0,
            values_left_out: false,
            log: LogRange { partition: change.partition, first: change.log_range.0, last: change.log_range.1 },
            cause: cut(&change.cause, NAME_MAX),
            occurred: Time::new(change.at),
            found: Time::new(change.log_time),
            departments,
            told: audiences,
            audience: None,
            joint_assessment,
            plan: plan_in_force,
            deadlines,
        };
        self.texts.write(&mut warning, indicator);
        warning
    }

    fn lead(&self, change: &Change, indicator: Option<&Indicator>, industry: Option<&IndustryFile>) -> lead::Lead {
        let matter = indicator.and_then(|i| i.matter_code.as_ref()).and_then(|code| self.matters.get(code));
        lead::assign(&lead::Grounds {
            matter: matter.map(|m| (m.code.as_str(), m.lead.as_str())),
            sector: indicator.and_then(|i| i.to.lead.as_deref()),
            industry: industry.map(|i| (i.name.as_str(), i.name_en.as_str(), i.lead.as_str())),
            owners: self.owners(&change.evidence),
            trade: change.evidence.iter().rev().find_map(|r| r.values.get("industry_code")?.as_str()),
            trades: self.industries.values().map(|i| (i.lead.as_str(), i.industry_codes.as_slice())).collect(),
            inspections: change
                .evidence
                .iter()
                .filter(|r| r.kind == Kind::Inspection)
                .map(|r| Inspected { dept: told::branch(&r.source_dept).0, at: r.occurred_at })
                .collect(),
            at: change.at,
        })
    }

    /// The departments in the evidence that lead some industry, in order of id.
    fn owners<'a>(&'a self, evidence: &'a [Reference]) -> Vec<Owner<'a>> {
        let leads: BTreeSet<&str> = self.industries.values().map(|i| i.lead.as_str()).collect();
        let mut matters: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut owners: BTreeMap<&str, Owner<'a>> = BTreeMap::new();
        for reference in evidence {
            if let Some(matter) =
                reference.values.get("matter_code").and_then(|v| v.as_str()).and_then(|code| self.matters.get(code))
            {
                matters.entry(&matter.lead).or_default().insert(&matter.code);
            }
            let (dept, _) = told::branch(&reference.source_dept);
            if leads.contains(dept) {
                let owner =
                    owners.entry(dept).or_insert(Owner { dept, matters: 0, issued_licence: false, evidence: 0 });
                owner.evidence += 1;
                owner.issued_licence |= reference.kind == Kind::Licensing;
            }
        }
        for (dept, codes) in matters {
            if let Some(owner) = owners.get_mut(dept) {
                owner.matters = codes.len();
            }
        }
        owners.into_values().collect()
    }

    fn plan_file(&self, indicator: Option<&Indicator>, industry: &str) -> Option<&Plan> {
        match indicator.and_then(|i| i.plan.as_ref()) {
            Some(id) => self.plans.get(id),
            None => self.plans.get(&format!("plan_{industry}")),
        }
    }

    fn departments(&self, lead: lead::Lead, assist: Vec<Assist>, level: Level, district: Option<&str>) -> Departments {
        let (dept, named) = told::branch(&lead.dept);
        let has_branch = !told::CITY_ONLY.contains(&dept);
        let branch = named.or(district.filter(|_| has_branch)).map(|region| format!("{dept}@{region}"));
        let (name, name_en) = told::name(&self.departments, &lead.dept);
        let territory = district.filter(|_| level >= Level::Orange).map(|code| {
            let region = self.region(code);
            Territory {
                region: region.code,
                name: region.name,
                name_en: region.name_en,
                duty: "属地先期处置".to_owned(),
                duty_en: "the district begins the first response".to_owned(),
            }
        });
        Departments {
            lead: LeadDepartment {
                id: dept.to_owned(),
                branch,
                name: name.to_owned(),
                name_en: name_en.to_owned(),
                step: lead.step,
                why: lead.why,
                why_en: lead.why_en,
            },
            assist,
            territory,
        }
    }

    fn region(&self, code: &str) -> RegionRef {
        let known = self.regions.regions.iter().find(|r| r.code == code);
        let code = cut(code, NAME_MAX);
        match known {
            Some(r) => RegionRef { code, name: r.name.clone(), name_en: r.name_en.clone() },
            None => RegionRef { name: code.clone(), name_en: code.clone(), code },
        }
    }

    /// The name of what is only a street: as listed, else its region with the code.
    fn street_name(&self, s: &Subject) -> Option<String> {
        let code = s.street.as_deref().filter(|_| s.object_id.is_none() && s.entity_id.is_none())?;
        let region = code.get(..6).and_then(|c| self.regions.regions.iter().find(|r| r.code == c));
        let region = region.map_or("", |r| r.name.as_str());
        let listed = self.regions.streets.iter().find(|street| street.code == code);
        let name = listed.map_or_else(|| format!("{region}街道{code}"), |street| format!("{region}{}", street.name));
        Some(cut(&name, NAME_MAX))
    }

    fn subject(&self, s: &Subject) -> SubjectRef {
        let short = |text: &Option<String>| text.as_deref().map(|t| cut(t, NAME_MAX));
        SubjectRef {
            object_id: short(&s.object_id),
            entity_id: short(&s.entity_id),
            name: short(&s.name).or_else(|| self.street_name(s)),
            object_type: short(&s.object_type),
            region: s.region.as_deref().map(|code| self.region(code)),
            street: short(&s.street),
            location: short(&s.location_id),
            sensor: short(&s.sensor_id),
            tags: s.tags.iter().take(LIST_MAX).map(|t| cut(t, NAME_MAX)).collect(),
            risk_class: short(&s.risk_class),
        }
    }

    fn state(&self, change: &Change) -> Vec<StatePart> {
        let part = |(column, value): &(String, String)| StatePart {
            column: cut(column, NAME_MAX),
            value: if self.withheld.holds(column) { "***".to_owned() } else { cut(value, NAME_MAX) },
        };
        change.state.iter().take(LIST_MAX).map(part).collect()
    }

    fn evidence(&self, r: &Reference) -> Evidence {
        let (kind, kind_en) = kind_names(r.kind);
        let (dept, region) = told::branch(&r.source_dept);
        let (name, name_en) = told::name(&self.departments, dept);
        let occurred_at = Time::new(r.occurred_at);
        let day = occurred_at.day();
        let (of, of_en) = match region.map(|code| self.region(code)) {
            Some(region) => (format!("{name}（{}）", region.name), format!("{name_en} ({})", region.name_en)),
            None => (name.to_owned(), name_en.to_owned()),
        };
        let values = r.values.iter().filter(|(column, _)| !self.withheld.holds(column));
        Evidence {
            kind: r.kind,
            source_system: cut(&r.source_system, NAME_MAX),
            source_dept: cut(&r.source_dept, NAME_MAX),
            record_id: cut(&r.record_id, NAME_MAX),
            revision: r.revision,
            occurred_at,
            summary: cut(&format!("{day} {of}{kind}记录"), NAME_MAX),
            summary_en: cut(&format!("{day} {of_en}, {kind_en} record"), NAME_MAX),
            values: Some(values.map(|(column, value)| (column.clone(), value.clone())).collect()),
        }
    }
}

fn message_id(change: &Change, number: u32) -> String {
    format!("{}.{number}", cut(&change.warning_id, NAME_MAX))
}

/// Ids of the changes before this one; only the newest thousand, which no warning reaches.
fn references(change: &Change) -> Vec<String> {
    let first = change.number.saturating_sub(1_000).max(1);
    (first..change.number).map(|n| message_id(change, n)).collect()
}

fn reading(r: &Reading) -> Reading {
    Reading {
        name: cut(&r.name, NAME_MAX),
        value: r.value.filter(|v| v.is_finite()),
        bound: r.bound.filter(|v| v.is_finite()),
    }
}

fn industry_ref(id: &str, industry: Option<&IndustryFile>) -> IndustryRef {
    match industry {
        Some(i) => IndustryRef { id: id.to_owned(), name: i.name.clone(), name_en: i.name_en.clone() },
        None => IndustryRef { id: id.to_owned(), name: id.to_owned(), name_en: id.to_owned() },
    }
}

fn indicator_ref(change: &Change, indicator: Option<&Indicator>) -> IndicatorRef {
    let day = Time::new(change.at).day();
    // Days as YYYY-MM-DD order like their texts.
    let in_force = |from: &Option<String>, to: &Option<String>| {
        from.as_ref().is_none_or(|f| *f <= day) && to.as_ref().is_none_or(|t| *t >= day)
    };
    let basis = indicator.map(|i| i.basis.as_slice()).unwrap_or_default();
    IndicatorRef {
        id: cut(&change.indicator, NAME_MAX),
        name: indicator.map_or_else(|| cut(&change.indicator, NAME_MAX), |i| i.name.clone()),
        name_en: indicator.map(|i| i.name_en.clone()).unwrap_or_default(),
        unit: indicator.map(|i| i.unit.clone()).unwrap_or_default(),
        basis: basis
            .iter()
            .filter(|b| in_force(&b.effective_from, &b.effective_to))
            .map(|b| BasisInForce { name: b.name.clone(), number: b.number.clone(), status: b.status })
            .collect(),
    }
}

/// Whether several departments must judge together. `starts` is false for changes that raise nothing.
fn joint_assessment(change: &Change, lead: &lead::Lead, starts: bool) -> JointAssessment {
    let departments: BTreeSet<&str> = change.evidence.iter().map(|r| told::branch(&r.source_dept).0).collect();
    let disputed = lead.step == 5;
    let (required, within, why, why_en) = match change.level {
        _ if !starts => (false, None, "", ""),
        Level::Red => (true, Some(RED_WITHIN), "红色预警", "red warning"),
        Level::Orange if departments.len() >= 2 => (
            true,
            Some(ORANGE_WITHIN),
            "橙色预警，证据来自多个部门",
            "orange warning with evidence of several departments",
        ),
        _ if disputed => (true, Some(ORANGE_WITHIN), "牵头部门待定", "the lead is undecided"),
        Level::Orange => (false, Some(ORANGE_WITHIN), "", ""),
        _ => (false, None, "", ""),
    };
    JointAssessment {
        required,
        on_request: starts && !required && change.level >= Level::Yellow,
        within,
        by: within.filter(|_| required).map(|span| Time::new(change.at.saturating_add(span.millis()))),
        why: why.to_owned(),
        why_en: why_en.to_owned(),
    }
}

/// A good credit class changes the response to blue and yellow, never the level, and nothing where lives are at risk.
fn off_site_first(change: &Change, industry: Option<&IndustryFile>) -> bool {
    change.level <= Level::Yellow
        && change.subject.risk_class.as_deref() == Some("A")
        && industry.is_some_and(|i| !i.life_safety)
}

fn kind_names(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Supervision => ("监管", "supervision"),
        Kind::Inspection => ("检查", "inspection"),
        Kind::Licensing => ("许可", "licensing"),
        Kind::Iot => ("物联", "sensor"),
        Kind::Registry => ("名录", "registry"),
        Kind::Feedback => ("反馈", "feedback"),
        Kind::Signal => ("风险信号", "signal"),
        Kind::Value => ("指标值", "value"),
    }
}
