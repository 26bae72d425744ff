//! What the files say together: names that must exist, bounds that must rise, SQL that must compile.
//!
//! In: the typed files of a pack and their documents. Out: findings in the documents.
//! A file that did not reach its typed form is not held against the others: what it would have defined counts as known.

use super::document::{Document, Form};
use super::rules::Rules;
use super::schema::near;
use super::sources;
use crate::pack::calendar::Calendar;
use crate::pack::expression::{Expression, ExpressionError, WORDS, Want, never};
use crate::pack::shared::{CalendarFile, Deadlines, Matter};
use crate::pack::{Department, Indicator, IndustryFile, ModelFile, Plan, Regions, Severity, Source, Sql};
use crate::record::{Check, ENVELOPE, Kind, Level, words};
use arrow::datatypes::{Field, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// The typed files. Indicators, plans and sources by path; two of one name are both here.
#[derive(Debug, Default)]
pub(super) struct Typed {
    pub(super) industries: BTreeMap<String, IndustryFile>,
    pub(super) plans: BTreeMap<String, Plan>,
    pub(super) rules: BTreeMap<String, Indicator>,
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) models: BTreeMap<String, ModelFile>,
    pub(super) departments: Option<Vec<Department>>,
    pub(super) regions: Option<Regions>,
    pub(super) calendar: Option<CalendarFile>,
    pub(super) deadlines: Option<Deadlines>,
    pub(super) matters: Option<Vec<Matter>>,
    /// The working time that `calendar` gives.
    pub(super) working: Option<Calendar>,
}

/// The name of a file without folders and ending.
pub(super) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".yaml").unwrap_or(name)
}

/// The folder that a file stands in.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit('/').nth(1).unwrap_or_default()
}

/// The checks over a whole pack.
pub(super) struct Meaning<'a> {
    pub(super) typed: &'a Typed,
    pub(super) documents: &'a mut BTreeMap<String, Document>,
    /// Sources by name.
    pub(super) sources: BTreeMap<String, Source>,
    /// Path of each indicator by id.
    pub(super) paths: BTreeMap<String, String>,
    /// Ids and names that broken files would have defined.
    pub(super) broken: BTreeSet<(Form, String)>,
    departments: BTreeSet<String>,
}

/// Checks everything, and fills the working time.
pub(super) fn check(typed: &mut Typed, documents: &mut BTreeMap<String, Document>, broken: &[String]) {
    typed.working = typed.calendar.as_ref().and_then(|file| match Calendar::new(file) {
        Ok(calendar) => Some(calendar),
        Err((words, field)) => {
            if let Some(document) = documents.get_mut("rules/shared/calendar.yaml") {
                let place = document.value(&format!("/{}", field.replace('.', "/")));
                let words_zh = format!("工作日历不成立: {words}");
                document.find("calendar", Severity::Error, place, (words, words_zh), None);
            }
            None
        }
    });
    let mut meaning = Meaning {
        typed,
        documents,
        sources: BTreeMap::new(),
        paths: BTreeMap::new(),
        broken: broken.iter().filter_map(|p| Some((Form::of(p)?, stem(p).to_owned()))).collect(),
        departments: BTreeSet::new(),
    };
    meaning.tables();
    meaning.names();
    sources::check(&mut meaning);
    meaning.industries();
    meaning.plans();
    meaning.models();
    Rules::new(&mut meaning).check();
}

impl Meaning<'_> {
    /// Adds an error at the value of a pointer.
    pub(super) fn error(&mut self, at: (&str, &str), code: &'static str, en: &str, zh: &str, hint: Option<String>) {
        self.tell(Severity::Error, at, code, en, zh, hint);
    }

    /// Adds a warning at the value of a pointer.
    pub(super) fn warning(&mut self, at: (&str, &str), code: &'static str, en: &str, zh: &str, hint: Option<String>) {
        self.tell(Severity::Warning, at, code, en, zh, hint);
    }

    fn tell(
        &mut self,
        severity: Severity,
        (path, pointer): (&str, &str),
        code: &'static str,
        en: &str,
        zh: &str,
        hint: Option<String>,
    ) {
        let document = self.documents.get_mut(path).expect("only files that were read are checked");
        let place = document.value(pointer);
        document.find(code, severity, place, (en.to_owned(), zh.to_owned()), hint);
    }

    /// Compiles an expression; a finding where it does not.
    pub(super) fn sql(&mut self, at: (&str, &str), sql: &Sql, columns: &Schema, want: Want) -> Option<Expression> {
        match Expression::compile(&sql.0, columns, want) {
            Ok(expression) => {
                let mut vain = never(&sql.0, columns);
                if vain.is_empty() && want == Want::Bool && expression.is_never_true() {
                    self.error(at, "sql-constant", "this condition never holds", "此条件永远不成立", None);
                }
                vain.drain(..).for_each(|error| self.wrong_sql(at, error));
                Some(expression)
            }
            Err(error) => {
                self.wrong_sql(at, error);
                None
            }
        }
    }

    pub(super) fn wrong_sql(&mut self, at: (&str, &str), error: ExpressionError) {
        let document = self.documents.get_mut(at.0).expect("only files that were read are checked");
        let place = document.inside(at.1, error.span);
        document.find(error.code, Severity::Error, place, (error.message, error.message_zh), error.hint);
    }

    /// A column that knows the words it may hold, for the expressions over it.
    pub(super) fn worded(&self, kind: Kind, field: Field) -> Field {
        let fixed = words(kind, field.name()).map(|words| words.join(" "));
        // Signals and values name the indicator that sent them.
        let sender = matches!(kind, Kind::Signal | Kind::Value) && field.name() == "indicator";
        let known = || {
            let broken = self.broken.iter().filter(|(form, _)| *form == Form::Rule).map(|(_, id)| id);
            self.paths.keys().chain(broken).cloned().collect::<Vec<_>>().join(" ")
        };
        match fixed.or_else(|| sender.then(known)) {
            Some(words) => field.with_metadata([(WORDS.to_owned(), words)].into()),
            None => field,
        }
    }

    /// True when a file of this form and name was there but did not reach its typed form.
    pub(super) fn is_broken(&self, form: Form, name: &str) -> bool {
        self.broken.contains(&(form, name.to_owned()))
    }

    /// A department must exist: an id, or `id@region`.
    pub(super) fn department(&mut self, at: (&str, &str), id: &str) {
        if self.typed.departments.is_none() {
            return;
        }
        let (unit, region) = id.split_once('@').map_or((id, None), |(u, r)| (u, Some(r)));
        if !self.departments.contains(unit) {
            let hint = near(unit, self.departments.iter().map(String::as_str));
            let hint = hint.or_else(|| Some("see rules/shared/departments.yaml".to_owned()));
            self.error(
                at,
                "unknown-department",
                &format!("there is no department \"{unit}\""),
                &format!("没有部门“{unit}”"),
                hint,
            );
        }
        if let (Some(region), Some(regions)) = (region, &self.typed.regions)
            && regions.regions.iter().all(|r| r.code != region)
        {
            self.error(
                at,
                "unknown-region",
                &format!("there is no region \"{region}\""),
                &format!("没有区划“{region}”"),
                Some("see rules/shared/regions.yaml".to_owned()),
            );
        }
    }

    /// The shared tables.
    fn tables(&mut self) {
        let typed = self.typed;
        let twice = |meaning: &mut Meaning<'_>, path: &str, pointer: &str, id: &str| {
            let (en, zh) = (format!("\"{id}\" stands here twice"), format!("“{id}”重复"));
            meaning.error((path, pointer), "duplicate-id", &en, &zh, None);
        };
        let path = "rules/shared/departments.yaml";
        for (i, department) in typed.departments.iter().flatten().enumerate() {
            if !self.departments.insert(department.id.clone()) {
                twice(self, path, &format!("/{i}/id"), &department.id);
            }
        }
        let path = "rules/shared/regions.yaml";
        if let Some(regions) = &typed.regions {
            let mut seen = BTreeSet::new();
            let codes: BTreeSet<&str> = regions.regions.iter().map(|r| r.code.as_str()).collect();
            for (i, region) in regions.regions.iter().enumerate() {
                if !seen.insert(region.code.as_str()) {
                    twice(self, path, &format!("/regions/{i}/code"), &region.code);
                }
                if let Some(parent) = region.parent.as_deref().filter(|p| !codes.contains(p)) {
                    let (en, zh) = (format!("there is no region \"{parent}\""), format!("没有区划“{parent}”"));
                    self.error((path, &format!("/regions/{i}/parent")), "unknown-region", &en, &zh, None);
                }
            }
            let mut seen = BTreeSet::new();
            for (i, street) in regions.streets.iter().enumerate() {
                let pointer = format!("/streets/{i}/code");
                if !seen.insert(street.code.as_str()) {
                    twice(self, path, &pointer, &street.code);
                }
                let digits = street.code.len() == 9 && street.code.bytes().all(|b| b.is_ascii_digit());
                if !digits || !codes.contains(street.code.get(..6).unwrap_or("")) {
                    let code = &street.code;
                    let en =
                        format!("\"{code}\" is no code of a street: nine digits, the first six one of the regions");
                    let zh = format!("“{code}”不是街道代码：九位数字，前六位应为所列区划");
                    self.error((path, &pointer), "bad-street", &en, &zh, None);
                }
            }
            if !codes.contains(regions.city.as_str()) {
                let city = &regions.city;
                let (en, zh) = (format!("there is no region \"{city}\""), format!("没有区划“{city}”"));
                self.error((path, "/city"), "unknown-region", &en, &zh, None);
            }
        }
        let path = "rules/shared/deadlines.yaml";
        if let Some(deadlines) = &typed.deadlines {
            for level in Level::ALL.into_iter().filter(|l| !deadlines.levels.contains_key(l)) {
                let (word, zh) = (level.word(), level.name_zh());
                let (en, zh) = (format!("the level {word} has no deadlines"), format!("{zh}没有时限"));
                self.error((path, "/levels"), "missing-field", &en, &zh, None);
            }
        }
        let path = "rules/shared/matters.yaml";
        let mut seen = BTreeSet::new();
        for (i, matter) in typed.matters.iter().flatten().enumerate() {
            if !seen.insert(matter.code.as_str()) {
                twice(self, path, &format!("/{i}/code"), &matter.code);
            }
            self.department((path, &format!("/{i}/lead")), &matter.lead);
        }
    }

    /// The rate that a model declares is that of its threshold.
    fn models(&mut self) {
        let typed = self.typed;
        for (path, model) in &typed.models {
            let Some(rate) = model.false_alarm_rate else { continue };
            let at = (path.as_str(), "/false_alarm_rate");
            if !(rate > 0.0 && rate < 1.0) {
                self.error(at, "rate", "a share above 0 and below 1", "应大于 0、小于 1", Some("0.01".to_owned()));
            } else if model.threshold.is_none() {
                let (en, zh) = ("a rate of false alarms stands for a threshold", "误报率应有对应的阈值 threshold");
                self.error(at, "rate", en, zh, None);
            }
        }
    }

    /// Ids equal the names of their files, and are there once.
    fn names(&mut self) {
        let typed = self.typed;
        let mut seen: BTreeMap<(Form, &str), &str> = BTreeMap::new();
        let rules = typed.rules.iter().map(|(p, r)| (Form::Rule, p, &r.id));
        let sources = typed.sources.iter().map(|(p, s)| (Form::Source, p, &s.name));
        let models = typed.models.iter().map(|(p, m)| (Form::Model, p, &m.id));
        let plans = typed.plans.iter().map(|(p, m)| (Form::Plan, p, &m.id));
        for (form, path, id) in rules.chain(sources).chain(models).chain(plans) {
            let field = if form == Form::Source { "/name" } else { "/id" };
            if form != Form::Plan && id != stem(path) {
                let file = stem(path);
                let en = format!("the file is called {file}.yaml, but says \"{id}\"");
                let zh = format!("文件名为 {file}.yaml,内容却是“{id}”");
                let hint = Some("both must be the same / 两者必须一致".to_owned());
                self.error((path, field), "id-file", &en, &zh, hint);
            }
            match seen.insert((form, id), path) {
                Some(first) => {
                    let en = format!("\"{id}\" is already defined in {first}");
                    let zh = format!("“{id}”已在 {first} 中定义");
                    self.error((path, field), "duplicate-id", &en, &zh, None);
                }
                None if form == Form::Rule => {
                    self.paths.insert(id.clone(), path.clone());
                }
                None if form == Form::Source => {
                    self.sources.insert(id.clone(), typed.sources[path].clone());
                }
                None => {}
            }
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
            if id.is_empty() || id.len() > 80 || !id.chars().all(plain) {
                let en = format!("\"{id}\" is no id: lower-case letters, digits and _ only, at most 80");
                let zh = format!("“{id}”不能作编号:只能用小写字母、数字和下划线,不超过 80 个字符");
                self.error((path, field), "id-form", &en, &zh, None);
            }
        }
    }

    fn industries(&mut self) {
        let typed = self.typed;
        let words = industry_words();
        for (path, industry) in &typed.industries {
            if !words.contains(&industry.id.as_str()) {
                let en = format!("\"{}\" is none of the sixteen industries", industry.id);
                let zh = format!("“{}”不是十六个行业之一", industry.id);
                let hint = near(&industry.id, words.iter().copied());
                self.error((path, "/id"), "unknown-industry", &en, &zh, hint);
            } else if industry.id != folder(path) {
                let (id, name) = (&industry.id, folder(path));
                let en = format!("the folder is called {name}, but the industry is \"{id}\"");
                let zh = format!("文件夹名为 {name},行业却是“{id}”");
                self.error((path, "/id"), "id-file", &en, &zh, None);
            }
            self.department((path, "/lead"), &industry.lead);
            for (i, assist) in industry.assist.iter().enumerate() {
                self.department((path, &format!("/assist/{i}")), assist);
            }
        }
    }

    fn plans(&mut self) {
        let typed = self.typed;
        for (path, plan) in &typed.plans {
            for (level, steps) in &plan.levels {
                let base = format!("/levels/{}/steps", level.word());
                let mut seen = BTreeSet::new();
                for (i, step) in steps.steps.iter().enumerate() {
                    if !seen.insert(&step.id) {
                        let (en, zh) =
                            (format!("step \"{}\" stands here twice", step.id), format!("步骤“{}”重复", step.id));
                        self.error((path, &format!("{base}/{i}/id")), "duplicate-id", &en, &zh, None);
                    }
                    if step.by != "lead" {
                        self.department((path, &format!("{base}/{i}/by")), &step.by);
                    }
                    for (n, with) in step.with.iter().enumerate().filter(|(_, w)| *w != "lead") {
                        self.department((path, &format!("{base}/{i}/with/{n}")), with);
                    }
                    if step.within.millis() <= 0 {
                        let at = format!("{base}/{i}/within");
                        self.error((path, &at), "duration", "a time limit is above zero", "时限应大于零", None);
                    }
                }
            }
        }
    }
}

/// The sixteen industries.
pub(super) fn industry_words() -> &'static [&'static str] {
    ENVELOPE
        .iter()
        .find_map(|c| match c.check {
            Check::OneOf(words) if c.name == "industry" => Some(words),
            _ => None,
        })
        .unwrap_or_default()
}
