//! A pack compiled for the engine: what is read from which rows, kept in which columns and judged how.
//!
//! In: a checked pack. Out: a [`Program`]. Promise: equal expressions, key sets and windows stand in it once, however
//! many indicators use them. Not here: state, rows.

use super::level::{Formula, Ladder, LadderContext, RunSpec};
use super::pane::{Cut, Panes};
use super::window::{Function, Shape};
use crate::model::{CountSetting, Declared, Group, GroupReading, ReadingModel};
use crate::pack::expression::{Expression, Want};
use crate::pack::{
    Aggregate, Condition, Direction, GROUP_TERMS, Indicator, Keep, Levels, Method, OnNull, Pack, RowMatch, Segment,
    SignalRoute, Sql, Status, Window as WindowRule,
};
use crate::record::{Kind, Level, Millis, columns};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pack that is checked and yet does not compile: a finding that `check` missed.
#[derive(Debug, thiserror::Error)]
#[error("indicator {indicator}: {what}")]
pub struct ProgramError {
    /// The indicator.
    pub indicator: String,
    /// What is wrong.
    pub what: String,
}

/// What rows of a source look like to the expressions of an indicator.
#[derive(Debug)]
pub(crate) struct ViewSpec {
    pub(crate) source: String,
    pub(crate) schema: SchemaRef,
    /// Columns that come from the rows; the rest are lookup columns.
    pub(crate) own: usize,
    /// Lookup node and value number per lookup column.
    pub(crate) lookups: Vec<(usize, usize)>,
}

/// A key set: a key space cut further by state columns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SetSpec {
    pub(crate) space: usize,
    pub(crate) columns: Vec<String>,
    /// Some indicator over these keys listens to signals: it is judged for every key that is known.
    pub(crate) listened: bool,
}

/// One shared measure.
#[derive(Debug)]
pub(crate) struct MeasureSpec {
    pub(crate) set: usize,
    pub(crate) view: usize,
    pub(crate) filter: Option<usize>,
    pub(crate) only: Option<usize>,
    pub(crate) input: Option<usize>,
    pub(crate) function: Function,
    pub(crate) shape: Shape,
    pub(crate) keep_rows: bool,
    pub(crate) null_is_zero: bool,
    /// An indicator sends its values as records: closes are kept until they are so old.
    pub(crate) closes: Option<Millis>,
    /// Only indicators in trial read it.
    pub(crate) trial: bool,
    pub(crate) fingerprint: u64,
}

/// Which rows an indicator reads, and why.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) role: Role,
    pub(crate) source: String,
    pub(crate) view: usize,
    pub(crate) filter: Option<usize>,
    pub(crate) item: Option<usize>,
}

/// Why rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The rows that the indicator is about.
    Main,
    /// Rows that end a deadline, end a gap, or follow in a sequence.
    Then,
    /// Rows that stop a gap's clock.
    Stop,
    /// Registry rows.
    Roster,
    /// Rows of an item of a scorecard or a fusion.
    Item(usize),
}

/// An item of a scorecard or a fusion.
#[derive(Debug)]
pub(crate) struct ItemSpec {
    /// The indicator's filter over the item's rows.
    pub(crate) filter: Option<usize>,
    /// Rows are signals: each counts from its level until its sender leaves it.
    pub(crate) signal: bool,
    /// The least level of a signal.
    pub(crate) least: u8,
    /// Weight by level number; 0 for a record without one. Points, or logarithms of likelihood ratios.
    pub(crate) weights: [f64; 5],
    pub(crate) keep: Millis,
    pub(crate) halves: Option<Millis>,
    /// Every row counts, up to `most` together.
    pub(crate) each: bool,
    pub(crate) most: f64,
    /// Whose knowledge it is; the department of the record when absent.
    pub(crate) department: Option<String>,
}

/// How items become one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Joined {
    /// The sum of points, at most 100.
    Points,
    /// Percent, from the odds: share with the risk before any signal (0 to 1), discount within a department.
    Odds { prior: f64, same: f64 },
}

/// The method of an indicator, compiled.
#[derive(Debug)]
pub(crate) enum Kinded {
    Measure {
        measures: Vec<usize>,
        value: Option<Expression>,
        value_measure: Option<usize>,
        schema: SchemaRef,
    },
    Sustained {
        value: usize,
        gap: Option<Millis>,
    },
    Deadline {
        due: usize,
        at_once: Option<(usize, Level)>,
        offsets: Vec<Millis>,
        replace: bool,
        item: Option<usize>,
    },
    /// `feeds`: sources that its matches come from; while one cannot be read, the gap does not grow.
    Gap {
        offsets: Vec<Millis>,
        roster: bool,
        feeds: Vec<String>,
    },
    Sequence {
        within: Millis,
        wait: Millis,
        distinct: Option<usize>,
        item: Option<usize>,
    },
    Lookup {
        effective: Option<usize>,
        values: Vec<(String, usize)>,
    },
    /// `group`: whose mean stands in for a history shorter than `least` windows.
    Surge {
        window: Millis,
        windows: usize,
        least: usize,
        distinct: Option<usize>,
        group: Option<usize>,
    },
    /// `hold`: readings wait so long for earlier ones.
    Reading {
        value: usize,
        relearn: Option<usize>,
        model: ReadingModel,
        hold: Millis,
    },
    /// Readings of several sensors at one time. `hold`: a time is judged so long after it.
    Group {
        value: usize,
        member: usize,
        members: Vec<String>,
        relearn: Option<usize>,
        settings: Group,
        hold: Millis,
    },
    /// Counts of closed weeks or days. `wait`: a close is judged so long after it; `warm_up`: steps.
    Counts {
        setting: CountSetting,
        panes: Panes,
        distinct: Option<usize>,
        wait: Millis,
        warm_up: u32,
    },
    Trend {
        value: usize,
        limit: usize,
        shape: Shape,
        above: bool,
        points: usize,
        r2: f64,
    },
    Peer {
        value: usize,
        group: Option<usize>,
        peers: usize,
        wait: Millis,
    },
    Items {
        items: Vec<ItemSpec>,
        joined: Joined,
        /// Only keys that the roster names.
        roster: bool,
    },
}

impl Kinded {
    /// The word of rule files, which causes of warnings name.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Kinded::Measure { .. } => "measure",
            Kinded::Sustained { .. } => "sustained",
            Kinded::Deadline { .. } => "deadline",
            Kinded::Gap { .. } => "gap",
            Kinded::Sequence { .. } => "sequence",
            Kinded::Lookup { .. } => "lookup",
            Kinded::Surge { .. } | Kinded::Reading { .. } | Kinded::Group { .. } | Kinded::Counts { .. } => "model",
            Kinded::Trend { .. } => "trend",
            Kinded::Peer { .. } => "peer",
            Kinded::Items { joined: Joined::Points, .. } => "scorecard",
            Kinded::Items { .. } => "fusion",
        }
    }
}

/// One indicator, compiled.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: Arc<str>,
    pub(crate) rule: Arc<Indicator>,
    pub(crate) shadow: bool,
    /// A helper or lookup: sends signals or answers, never warns.
    pub(crate) silent: bool,
    /// The companion that watches for absence.
    pub(crate) absent: bool,
    pub(crate) set: usize,
    pub(crate) space: usize,
    pub(crate) inputs: Vec<Input>,
    pub(crate) kind: Kinded,
    pub(crate) quantities: Vec<String>,
    /// Some level can be reached without a model's score: the key is judged while there is none.
    pub(crate) plain: bool,
    /// Quantities that are known without a model's score.
    pub(crate) plain_quantities: Vec<bool>,
    /// How often the model says that it alarms falsely; `None` where that is not watched.
    pub(crate) declared: Option<Declared>,
    pub(crate) runs: Vec<RunSpec>,
    /// Row conditions, over the view of the main input.
    pub(crate) rows: Vec<usize>,
    pub(crate) segments: Vec<usize>,
    /// Segments, then row conditions, over the registry's view where a roster is read; none for what it cannot answer.
    pub(crate) roster_notes: Vec<Option<usize>>,
    /// Ladder 0 is the default, then one per segment.
    pub(crate) ladders: Vec<Ladder>,
    pub(crate) raise: Vec<(Formula, u8, Option<Level>)>,
    pub(crate) evaluations: u32,
    pub(crate) dwell: Millis,
    pub(crate) cool_down: [Millis; 5],
    /// Columns shown as evidence.
    pub(crate) reads: Vec<String>,
    /// Indicators whose signals its conditions read.
    pub(crate) listens: bool,
    pub(crate) fingerprint: u64,
}

/// How long rows of a source may be late, and for how long its ids are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceTimes {
    pub(crate) lateness: Millis,
    pub(crate) dedupe: Millis,
}

/// The compiled pack.
#[derive(Debug)]
pub struct Program {
    pub(crate) hash: Arc<str>,
    pub(crate) views: Vec<ViewSpec>,
    pub(crate) expressions: Vec<(usize, Expression)>,
    pub(crate) spaces: Vec<Arc<str>>,
    pub(crate) sets: Vec<SetSpec>,
    pub(crate) measures: Vec<MeasureSpec>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) sources: BTreeMap<String, SourceTimes>,
    /// Key spaces in which some indicator reads signals or values.
    pub(crate) loop_spaces: Vec<Arc<str>>,
    /// The longest window, for log ranges and idle keys.
    pub(crate) horizon: Millis,
}

/// How long models wait for earlier readings, unless the rule says otherwise.
const MODEL_HOLD: Millis = 30_000;
/// How long a close waits for the values of peers: another partition may stand behind.
const PEER_WAIT: Millis = 60 * MINUTE;
/// Terms of a count against what its season and its level let expect.
pub(crate) const COUNT_TERMS: [&str; 8] =
    ["score", "count", "expected", "level", "season", "weekday", "common", "tail"];
const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;

impl Program {
    /// Compiles a pack.
    ///
    /// # Errors
    /// The first indicator that does not compile; `Pack::read` finds such errors before.
    pub fn new(pack: &Pack) -> Result<Program, ProgramError> {
        let mut c = Compiler { pack, program: Program::empty(&pack.hash), index: BTreeMap::new() };
        for source in pack.sources.values() {
            let iot = source.kind == Kind::Iot;
            let default_late = match source.kind {
                Kind::Iot => 10 * MINUTE,
                Kind::Feedback => 60 * MINUTE,
                _ => 3 * DAY,
            };
            let times = SourceTimes {
                lateness: source.lateness.map_or(default_late, |s| s.millis()),
                dedupe: source.dedupe.map_or(if iot { 60 * MINUTE } else { 35 * DAY }, |s| s.millis()),
            };
            c.program.sources.insert(source.name.clone(), times);
        }
        for word in ["signal", "value"] {
            c.program.sources.insert(word.to_owned(), SourceTimes { lateness: DAY, dedupe: 35 * DAY });
        }
        let active = |i: &&Indicator| matches!(i.status, Status::Stable | Status::Shadow);
        // Lookups first: others read their columns.
        for wanted in [true, false] {
            for rule in pack.indicators.values().filter(active) {
                if matches!(rule.kind, Method::Lookup(_)) == wanted {
                    c.indicator(rule).map_err(|what| ProgramError { indicator: rule.id.clone(), what })?;
                }
            }
        }
        let mut program = c.program;
        program.nodes.sort_by(|a, b| {
            let lookup = |n: &Node| !matches!(n.kind, Kinded::Lookup { .. });
            (lookup(a), &a.id, a.absent).cmp(&(lookup(b), &b.id, b.absent))
        });
        for node in program.nodes.iter().filter(|n| !n.shadow) {
            if let Kinded::Measure { measures, .. } = &node.kind {
                measures.iter().for_each(|m| program.measures[*m].trial = false);
            }
        }
        for node in program.nodes.iter().filter(|n| n.listens) {
            program.sets[node.set].listened = true;
        }
        for node in &program.nodes {
            let loops = node.listens || node.inputs.iter().any(|i| i.source == "signal" || i.source == "value");
            let space = program.spaces[node.space].clone();
            if loops && !program.loop_spaces.contains(&space) {
                program.loop_spaces.push(space);
            }
        }
        Ok(program)
    }

    /// The longest time that a model waits for earlier readings.
    pub(crate) fn longest_hold(&self) -> Millis {
        let holds = self.nodes.iter().map(|n| match &n.kind {
            Kinded::Reading { hold, .. } | Kinded::Group { hold, .. } => *hold,
            Kinded::Peer { wait, .. } => *wait,
            _ => 0,
        });
        holds.max().unwrap_or(0)
    }

    fn empty(hash: &str) -> Program {
        Program {
            hash: hash.into(),
            views: Vec::new(),
            expressions: Vec::new(),
            spaces: vec!["object".into()],
            sets: Vec::new(),
            measures: Vec::new(),
            nodes: Vec::new(),
            sources: BTreeMap::new(),
            loop_spaces: Vec::new(),
            horizon: DAY,
        }
    }
}

struct Compiler<'a> {
    pack: &'a Pack,
    program: Program,
    /// (view, text, want) to expression number.
    index: BTreeMap<(usize, String, String), usize>,
}

impl Compiler<'_> {
    fn kind_of(&self, source: &str) -> Result<Kind, String> {
        match source {
            "signal" => Ok(Kind::Signal),
            "value" => Ok(Kind::Value),
            word => Kind::from_word(word)
                .or_else(|| self.pack.sources.get(word).map(|s| s.kind))
                .ok_or_else(|| format!("no source \"{word}\"")),
        }
    }

    /// The view of a source with lookup columns. Lookups must have been compiled.
    fn view(&mut self, source: &str, lookups: &BTreeMap<String, String>) -> Result<usize, String> {
        let kind = self.kind_of(source)?;
        let mut fields: Vec<Field> = columns(kind).iter().map(|c| c.field()).collect();
        if Kind::from_word(source).is_none()
            && let Some(feed) = self.pack.sources.get(source)
        {
            fields.extend(feed.attrs.iter().map(|(name, attr)| Field::new(name, attr.ty.arrow(), true)));
        }
        let own = fields.len();
        let mut bound = Vec::new();
        for (alias, id) in lookups {
            let at = self.program.nodes.iter().position(|n| *n.id == **id).ok_or(format!("no lookup \"{id}\""))?;
            let node = &self.program.nodes[at];
            let Kinded::Lookup { values, .. } = &node.kind else { return Err(format!("\"{id}\" is no lookup")) };
            for (i, (name, expression)) in values.iter().enumerate() {
                let ty = self.type_of(*expression);
                fields.push(Field::new(format!("{alias}_{name}"), ty, true));
                bound.push((at, i));
            }
        }
        let schema = Arc::new(Schema::new(fields));
        if let Some(i) =
            self.program.views.iter().position(|v| v.source == source && v.schema == schema && v.lookups == bound)
        {
            return Ok(i);
        }
        self.program.views.push(ViewSpec { source: source.to_owned(), schema, own, lookups: bound });
        Ok(self.program.views.len() - 1)
    }

    fn type_of(&self, expression: usize) -> arrow::datatypes::DataType {
        let (view, expression) = &self.program.expressions[expression];
        let empty = RecordBatch::new_empty(self.program.views[*view].schema.clone());
        expression.evaluate(&empty).array.data_type().clone()
    }

    fn expression(&mut self, view: usize, text: &str, want: Want) -> Result<usize, String> {
        let key = (view, text.to_owned(), format!("{want:?}"));
        if let Some(i) = self.index.get(&key) {
            return Ok(*i);
        }
        let compiled = Expression::compile(text, &self.program.views[view].schema, want)
            .map_err(|e| format!("{text}: {}", e.message))?;
        self.program.expressions.push((view, compiled));
        let i = self.program.expressions.len() - 1;
        self.index.insert(key, i);
        Ok(i)
    }

    fn maybe(&mut self, view: usize, sql: Option<&Sql>, want: Want) -> Result<Option<usize>, String> {
        sql.map(|s| self.expression(view, &s.0, want)).transpose()
    }

    fn space(&mut self, name: &str) -> usize {
        match self.program.spaces.iter().position(|s| **s == *name) {
            Some(i) => i,
            None => {
                self.program.spaces.push(name.into());
                self.program.spaces.len() - 1
            }
        }
    }

    fn set(&mut self, space: usize, columns: &[String], item: bool) -> usize {
        let mut columns = columns.to_vec();
        if item {
            columns.push(super::core::ITEM.to_owned());
        }
        let spec = SetSpec { space, columns, listened: false };
        match self.program.sets.iter().position(|s| *s == spec) {
            Some(i) => i,
            None => {
                self.program.sets.push(spec);
                self.program.sets.len() - 1
            }
        }
    }

    fn input(&mut self, role: Role, m: &RowMatch) -> Result<Input, String> {
        let view = self.view(&m.source, &BTreeMap::new())?;
        Ok(Input {
            role,
            source: m.source.clone(),
            view,
            filter: Some(self.expression(view, &m.when.0, Want::Bool)?),
            item: self.maybe(view, m.item.as_ref(), Want::Text)?,
        })
    }

    /// Names of the source files whose rows these inputs read, the registry left out.
    fn feeds(&self, inputs: &[Input]) -> Vec<String> {
        let read = |name: &str, kind: Kind| {
            inputs.iter().any(|i| i.role != Role::Roster && (i.source == name || i.source == kind.word()))
        };
        self.pack.sources.values().filter(|s| read(&s.name, s.kind)).map(|s| s.name.clone()).collect()
    }

    fn roster(&mut self, sql: &Sql) -> Result<Input, String> {
        let view = self.view("registry", &BTreeMap::new())?;
        let filter = Some(self.expression(view, &sql.0, Want::Bool)?);
        Ok(Input { role: Role::Roster, source: "registry".to_owned(), view, filter, item: None })
    }

    /// How late rows of a source, or of every source of a kind, may be.
    fn lateness(&self, source: &str, kind: Kind) -> Millis {
        let of = |name: &str| self.program.sources.get(name).map(|times| times.lateness);
        of(source)
            .or_else(|| self.pack.sources.values().filter(|s| s.kind == kind).filter_map(|s| of(&s.name)).max())
            .unwrap_or(DAY)
    }

    fn shape(&mut self, window: &WindowRule, kind: Kind, distinct: bool) -> (Shape, bool) {
        let (shape, rows) = match window {
            WindowRule::Calendar(period) => {
                (Shape { panes: Panes::Calendar((*period).into()), count: 1, size: None }, kind != Kind::Iot)
            }
            WindowRule::Sliding(size) => (sliding(size.millis(), None), kind != Kind::Iot),
            WindowRule::Full(full) => {
                let rows = full.keep.map_or(kind != Kind::Iot, |keep| keep == Keep::Rows);
                (sliding(full.size.millis(), full.pane.map(|p| p.millis())), rows)
            }
        };
        let span = shape.size.unwrap_or(366 * DAY);
        self.program.horizon = self.program.horizon.max(span);
        (shape, rows || distinct)
    }

    fn measure(
        &mut self,
        rule: &Indicator,
        aggregate: &Aggregate,
        default: Option<&WindowRule>,
        set: usize,
        view: usize,
        filter: Option<usize>,
    ) -> Result<usize, String> {
        let kind = self.kind_of(&rule.source)?;
        let window = aggregate.window.as_ref().or(default).ok_or("a measure without a window")?;
        let (function, sql) = [
            (Function::Sum, &aggregate.sum),
            (Function::Avg, &aggregate.avg),
            (Function::Min, &aggregate.min),
            (Function::Max, &aggregate.max),
            (Function::Last, &aggregate.last),
            (Function::Distinct, &aggregate.distinct),
        ]
        .into_iter()
        .find_map(|(f, sql)| sql.as_ref().map(|sql| (f, Some(sql))))
        .unwrap_or((Function::Count, None));
        let distinct = function == Function::Distinct;
        let (shape, keep_rows) = self.shape(window, kind, distinct);
        let input = self.maybe(view, sql, if distinct { Want::Text } else { Want::Number })?;
        let only = self.maybe(view, aggregate.filter.as_ref(), Want::Bool)?;
        let null_is_zero = rule.on_null == OnNull::Zero;
        let text = |i: Option<usize>| i.map_or("", |i| self.program.expressions[i].1.text()).to_owned();
        let description = format!(
            "{}|{:?}|{}|{}|{}|{function:?}|{shape:?}|{keep_rows}|{null_is_zero}|{:?}",
            rule.source,
            self.program.sets[set],
            text(filter),
            text(only),
            text(input),
            rule.lookups
        );
        let closes = (rule.emit == Some(crate::pack::Emit::Value)).then(|| self.lateness(&rule.source, kind));
        let fingerprint = xxhash_rust::xxh3::xxh3_64(description.as_bytes());
        if let Some(i) = self.program.measures.iter().position(|m| m.fingerprint == fingerprint) {
            let shared = &mut self.program.measures[i].closes;
            *shared = (*shared).max(closes);
            return Ok(i);
        }
        self.program.measures.push(MeasureSpec {
            set,
            view,
            filter,
            only,
            input,
            function,
            shape,
            keep_rows,
            null_is_zero,
            closes,
            trial: true,
            fingerprint,
        });
        Ok(self.program.measures.len() - 1)
    }

    fn indicator(&mut self, rule: &Indicator) -> Result<(), String> {
        let view = self.view(&rule.source, &rule.lookups)?;
        let filter = self.maybe(view, rule.filter.as_ref(), Want::Bool)?;
        let space = self.space(&rule.key.space);
        let mut inputs = vec![Input { role: Role::Main, source: rule.source.clone(), view, filter, item: None }];
        let mut quantities = vec!["value".to_owned()];
        let mut sustained = None;
        let mut set = self.set(space, &rule.key.state, false);
        let kind = match &rule.kind {
            Method::Measure(m) => {
                let mut measures = Vec::new();
                let mut fields = Vec::new();
                for (name, aggregate) in &m.measures {
                    measures.push(self.measure(rule, aggregate, m.window.as_ref(), set, view, filter)?);
                    quantities.push(name.clone());
                    fields.push(Field::new(name, arrow::datatypes::DataType::Float64, true));
                }
                let schema = Arc::new(Schema::new(fields));
                let mut value_measure = None;
                let mut value = None;
                match &m.value {
                    None if measures.len() == 1 => value_measure = Some(0),
                    None => return Err("several measures need a value".to_owned()),
                    Some(sql) => match m.measures.keys().position(|name| *name == sql.0.trim()) {
                        Some(i) => value_measure = Some(i),
                        None => {
                            value = Some(
                                Expression::compile(&sql.0, &schema, Want::Number)
                                    .map_err(|e| format!("{}: {}", sql.0, e.message))?,
                            );
                        }
                    },
                }
                Kinded::Measure { measures, value, value_measure, schema }
            }
            Method::Sustained(m) => {
                let samples = m.samples.unwrap_or(1);
                sustained = Some((m.bound, m.duration.map_or(0, |d| d.millis()), samples));
                Kinded::Sustained {
                    value: self.expression(view, &m.value.0, Want::Number)?,
                    gap: m.gap.map(|g| g.millis()),
                }
            }
            Method::Deadline(m) => {
                let item = self.maybe(view, m.item.as_ref(), Want::Text)?;
                set = self.set(space, &rule.key.state, item.is_some());
                for done in &m.done {
                    inputs.push(self.input(Role::Then, done)?);
                }
                let at_once = match &m.at_once {
                    Some(a) => Some((self.expression(view, &a.when.0, Want::Bool)?, a.level)),
                    None => None,
                };
                let due = self.expression(view, &m.due.0, Want::Time)?;
                quantities[0] = "days".to_owned();
                Kinded::Deadline { due, at_once, offsets: Vec::new(), replace: m.replace, item }
            }
            Method::Gap(m) => {
                for also in &m.also {
                    inputs.push(self.input(Role::Then, also)?);
                }
                for stop in &m.stop {
                    inputs.push(self.input(Role::Stop, stop)?);
                }
                if let Some(roster) = &m.roster {
                    inputs.push(self.roster(roster)?);
                }
                quantities[0] = "days".to_owned();
                Kinded::Gap { offsets: Vec::new(), roster: m.roster.is_some(), feeds: self.feeds(&inputs) }
            }
            Method::Sequence(m) if m.absent => {
                // A without b is a deadline that b ends.
                let item = self.maybe(view, m.item.as_ref(), Want::Text)?;
                set = self.set(space, &rule.key.state, item.is_some());
                inputs.push(self.input(Role::Then, &m.then)?);
                let due = self.expression(view, "occurred_at", Want::Time)?;
                quantities[0] = "days".to_owned();
                Kinded::Deadline { due, at_once: None, offsets: Vec::new(), replace: true, item }
            }
            Method::Sequence(m) => {
                let item = self.maybe(view, m.item.as_ref(), Want::Text)?;
                set = self.set(space, &rule.key.state, item.is_some());
                let then = self.input(Role::Then, &m.then)?;
                let distinct = self.maybe(then.view, m.distinct.as_ref(), Want::Text)?;
                inputs.push(then);
                self.program.horizon = self.program.horizon.max(m.within.millis());
                Kinded::Sequence { within: m.within.millis(), wait: m.wait.map_or(0, |w| w.millis()), distinct, item }
            }
            Method::Lookup(m) => {
                let effective = self.maybe(view, m.effective.as_ref(), Want::Time)?;
                let mut values = Vec::new();
                for (name, sql) in &m.values {
                    values.push((name.clone(), self.expression(view, &sql.0, Want::Any)?));
                }
                Kinded::Lookup { effective, values }
            }
            Method::Model(m) => {
                let file = self.pack.models.get(&m.model).ok_or(format!("no model \"{}\"", m.model))?;
                let parameter = |name: &str, default: f64| {
                    m.parameters.get(name).or_else(|| file.parameters.get(name)).copied().unwrap_or(default)
                };
                match file.method.as_str() {
                    "surge" => {
                        quantities = ["score", "count", "mean", "tail"].map(str::to_owned).to_vec();
                        let window = m.window.ok_or("surge needs a window")?.millis();
                        let windows = parameter("windows", 8.0) as usize;
                        self.program.horizon = self.program.horizon.max(window * (windows as i64 + 1));
                        Kinded::Surge {
                            window,
                            windows,
                            least: parameter("min_windows", 4.0) as usize,
                            distinct: self.maybe(view, m.distinct.as_ref(), Want::Text)?,
                            group: self.maybe(view, m.group.as_ref(), Want::Text)?,
                        }
                    }
                    "count_surge" => {
                        quantities = COUNT_TERMS.map(str::to_owned).to_vec();
                        let window = m.window.ok_or("count_surge needs a window")?.millis();
                        let (setting, panes, weeks) = match window / DAY {
                            7 => (CountSetting::WEEKLY, Panes::Calendar(Cut::Week), 1.0),
                            1 => (CountSetting::DAILY, Panes::Calendar(Cut::Day), 7.0),
                            _ => return Err("count_surge counts a week (7d) or a day (1d)".to_owned()),
                        };
                        Kinded::Counts {
                            setting,
                            panes,
                            distinct: self.maybe(view, m.distinct.as_ref(), Want::Text)?,
                            wait: m.reorder.map_or(0, |s| s.millis()),
                            warm_up: (parameter("warm_up_weeks", 8.0) * weeks) as u32,
                        }
                    }
                    "sensor_group" => {
                        quantities = m.group_quantities();
                        let value = m.value.as_ref().ok_or("sensor_group needs a value")?;
                        let member = m.member.as_ref().map_or("sensor_type", |sql| &sql.0);
                        Kinded::Group {
                            value: self.expression(view, &value.0, Want::Number)?,
                            member: self.expression(view, member, Want::Text)?,
                            members: m.members.clone(),
                            relearn: self.maybe(view, m.relearn.as_ref(), Want::Bool)?,
                            settings: Group::of(&parameter),
                            hold: m.reorder.map_or(MODEL_HOLD, |s| s.millis()),
                        }
                    }
                    method => {
                        let no_method = || format!("no method \"{method}\" for models");
                        let model = ReadingModel::of(method, &parameter).ok_or_else(no_method)?;
                        quantities = ["score", "value"].iter().chain(model.terms()).map(|q| (*q).to_owned()).collect();
                        let value = m.value.as_ref().ok_or("the model needs a value")?;
                        Kinded::Reading {
                            value: self.expression(view, &value.0, Want::Number)?,
                            relearn: self.maybe(view, m.relearn.as_ref(), Want::Bool)?,
                            model,
                            hold: m.reorder.map_or(MODEL_HOLD, |s| s.millis()),
                        }
                    }
                }
            }
            Method::Trend(m) => {
                quantities = ["hours", "value", "limit", "slope", "r2", "points"].map(str::to_owned).to_vec();
                let (shape, _) = self.shape(&m.window, Kind::Iot, false);
                Kinded::Trend {
                    value: self.expression(view, &m.value.0, Want::Number)?,
                    limit: self.expression(view, &m.limit.sql().0, Want::Number)?,
                    shape,
                    above: !matches!(rule.levels.direction, Some(Direction::Below | Direction::Under)),
                    points: m.points.unwrap_or(10) as usize,
                    r2: m.r2.unwrap_or(0.6),
                }
            }
            Method::Peer(m) => {
                quantities = ["score", "value", "z", "median", "mad", "peers", "city"].map(str::to_owned).to_vec();
                Kinded::Peer {
                    value: self.expression(view, &m.value.0, Want::Number)?,
                    group: self.maybe(view, m.group.as_ref(), Want::Text)?,
                    peers: m.peers.unwrap_or(10) as usize,
                    wait: m.wait.map_or(PEER_WAIT, |w| w.millis()),
                }
            }
            Method::Scorecard(m) => {
                if let Some(roster) = &m.roster {
                    inputs.push(self.roster(roster)?);
                }
                let mut items = self.items(rule, &mut inputs, 0.0)?;
                for (spec, item) in items.iter_mut().zip(m.items.values()) {
                    (spec.each, spec.most) = (item.each, item.highest());
                }
                quantities.extend(m.items.keys().cloned());
                Kinded::Items { items, joined: Joined::Points, roster: m.roster.is_some() }
            }
            Method::Fusion(m) => {
                if let Some(roster) = &m.roster {
                    inputs.push(self.roster(roster)?);
                }
                let mut items = self.items(rule, &mut inputs, 1.0)?;
                items.iter_mut().flat_map(|spec| &mut spec.weights).for_each(|ratio| *ratio = libm::log(*ratio));
                quantities.extend(std::iter::once("prior".to_owned()).chain(m.items.keys().cloned()));
                let (prior, same) = (m.prior / 100.0, m.same_department.unwrap_or(0.5));
                Kinded::Items { items, joined: Joined::Odds { prior, same }, roster: m.roster.is_some() }
            }
        };
        let mut runs = Vec::new();
        let mut rows = Vec::new();
        let mut context = LadderContext {
            quantities: &quantities,
            sustained,
            runs: &mut runs,
            rows: &mut rows,
            direction: rule.levels.direction.unwrap_or_default(),
        };
        let trend = matches!(rule.kind, Method::Trend(_));
        let levels = |levels: &Levels| if trend { time_left(levels) } else { levels.clone() };
        let mut ladders = vec![context.ladder(&levels(&rule.levels), None, &rule.clear)?];
        for segment in &rule.segments {
            let segment = Segment { levels: levels(&segment.levels), ..segment.clone() };
            ladders.push(context.ladder(&rule.levels, Some(&segment), &rule.clear)?);
        }
        let mut raise = Vec::new();
        for step in &rule.raise {
            raise.push((context.condition(&step.when)?, step.by, step.ceiling));
        }
        let listens = format!("{ladders:?}{raise:?}").contains("Signal(");
        let plain_quantities: Vec<bool> =
            quantities.iter().enumerate().map(|(q, name)| is_plain(&kind, name, q)).collect();
        let plain = ladders.iter().any(|ladder| ladder.has_plain(&plain_quantities));
        let least = ladders.iter().filter_map(Ladder::least).reduce(f64::min);
        let declared = least.and_then(|least| self.declared(rule, &kind, least));
        let mut kind = kind;
        if let Kinded::Deadline { offsets, .. } | Kinded::Gap { offsets, .. } = &mut kind {
            let mut all: Vec<Millis> = ladders.iter().flat_map(Ladder::offsets).collect();
            all.sort_unstable();
            all.dedup();
            *offsets = all;
        }
        let roster_notes = match inputs.iter().find(|i| i.role == Role::Roster).map(|i| i.view) {
            Some(roster) => {
                let all = rule.segments.iter().map(|s| s.when.0.as_str()).chain(rows.iter().map(String::as_str));
                all.map(|sql| self.expression(roster, sql, Want::Bool).ok()).collect()
            }
            None => Vec::new(),
        };
        let rows = rows.iter().map(|sql| self.expression(view, sql, Want::Bool)).collect::<Result<Vec<_>, _>>()?;
        if rows.len() > 32 {
            return Err("more than 32 row conditions".to_owned());
        }
        let segments = rule
            .segments
            .iter()
            .map(|s| self.expression(view, &s.when.0, Want::Bool))
            .collect::<Result<Vec<_>, _>>()?;
        let mut reads: Vec<String> = Vec::new();
        for input in &inputs {
            for (v, e) in &self.program.expressions {
                if *v == input.view && self.uses(rule, e.text()) {
                    reads.extend(e.reads().iter().cloned());
                }
            }
        }
        if let Kinded::Group { member, .. } = &kind {
            // Which member a row is, though the rule may leave it to the default.
            reads.extend(self.program.expressions[*member].1.reads().iter().cloned());
        }
        if inputs.iter().any(|i| matches!(i.role, Role::Item(_)) && i.source == "signal") {
            reads.extend(["indicator", "level_no", "value"].map(str::to_owned));
        }
        reads.sort();
        reads.dedup();
        let mut cool_down = [0; 5];
        for (level, span) in &rule.cool_down {
            cool_down[level.number() as usize] = span.millis();
        }
        let silent = rule.id.contains("__") || matches!(kind, Kinded::Lookup { .. });
        let file = match &rule.kind {
            Method::Model(m) => self.pack.models.get(&m.model).map(|file| (&file.method, &file.parameters)),
            _ => None,
        };
        let own = (&rule.source, &rule.key, &rule.filter, &rule.kind, &rule.lookups, &rule.on_null);
        let canonical = serde_json::to_string(&(own, file)).unwrap_or_default();
        let fingerprint = xxhash_rust::xxh3::xxh3_64(canonical.as_bytes());
        let rule = Arc::new(rule.clone());
        let node = Node {
            id: rule.id.as_str().into(),
            shadow: rule.status == Status::Shadow,
            silent,
            absent: false,
            set,
            space,
            inputs,
            kind,
            quantities,
            plain,
            plain_quantities,
            declared,
            runs,
            rows,
            segments,
            roster_notes,
            ladders,
            raise,
            evaluations: rule.clear.evaluations.unwrap_or(1).max(1),
            dwell: rule.dwell.map_or(0, |d| d.millis()),
            cool_down,
            reads,
            listens,
            fingerprint,
            rule: rule.clone(),
        };
        self.program.nodes.push(node);
        if let Some(absence) = &rule.absence {
            self.absence(&rule, absence, space)?;
        }
        Ok(())
    }

    /// The items of a scorecard or a fusion, and the rows that they read. `none`: the weight of a level without one.
    fn items(&mut self, rule: &Indicator, inputs: &mut Vec<Input>, none: f64) -> Result<Vec<ItemSpec>, String> {
        let mut specs = Vec::new();
        for (number, (_, item)) in rule.kind.items().into_iter().enumerate() {
            let source = if item.signal.is_some() { "signal" } else { item.source.unwrap_or(&rule.source) };
            let view = self.view(source, &BTreeMap::new())?;
            let when = match item.signal {
                Some(id) => Some(self.expression(view, &format!("indicator = '{id}'"), Want::Bool)?),
                None => self.maybe(view, item.when, Want::Bool)?,
            };
            let lead = |id: &str| {
                let sender = self.pack.indicators.get(id)?;
                let industry = || self.pack.industries.get(sender.industry.as_deref()?);
                sender.to.lead.clone().or_else(|| industry().map(|i| i.lead.clone()))
            };
            let department = item.department.map(str::to_owned).or_else(|| item.signal.and_then(lead));
            specs.push(ItemSpec {
                filter: self.maybe(view, rule.filter.as_ref(), Want::Bool)?,
                signal: source == "signal",
                least: item.level.unwrap_or(Level::Blue).number(),
                weights: std::array::from_fn(|level| item.weight.at(level as u8, none)),
                keep: item.keep.millis(),
                halves: item.halves.map(|h| h.millis()),
                each: false,
                most: f64::INFINITY,
                department,
            });
            inputs.push(Input { role: Role::Item(number), source: source.to_owned(), view, filter: when, item: None });
            self.program.horizon = self.program.horizon.max(item.keep.millis());
        }
        Ok(specs)
    }

    /// What the file of an indicator's model says of its false alarms. Scores that reach no level, of which `least` is
    /// the lowest, trouble nobody and are none: above the threshold alarms are rarer still than declared.
    fn declared(&self, rule: &Indicator, kind: &Kinded, least: f64) -> Option<Declared> {
        let Method::Model(m) = &rule.kind else { return None };
        let file = self.pack.models.get(&m.model)?;
        let threshold = match kind {
            // The threshold is one of the statistic, which the score of a group is relative to.
            Kinded::Group { .. } => file.threshold.map(|_| GroupReading::ALARM)?,
            Kinded::Reading { .. } | Kinded::Counts { .. } => file.threshold?,
            _ => return None,
        };
        Some(Declared { threshold: threshold.max(least), rate: file.false_alarm_rate? })
    }

    /// The companion of an indicator that watches a roster for silence.
    fn absence(&mut self, rule: &Arc<Indicator>, absence: &crate::pack::Absence, space: usize) -> Result<(), String> {
        let view = self.view(&rule.source, &BTreeMap::new())?;
        let filter = match &rule.filter {
            Some(sql) if rule.lookups.is_empty() => Some(self.expression(view, &sql.0, Want::Bool)?),
            _ => None,
        };
        let main = Input { role: Role::Main, source: rule.source.clone(), view, filter, item: None };
        let roster = self.roster(&absence.roster)?;
        let mut levels = crate::pack::Levels::default();
        let after = Some(LevelRule::After(absence.after));
        match absence.level {
            Level::Blue => levels.blue = after,
            Level::Yellow => levels.yellow = after,
            Level::Orange => levels.orange = after,
            Level::Red => levels.red = after,
        }
        let quantities = vec!["days".to_owned()];
        let mut context = LadderContext {
            quantities: &quantities,
            sustained: None,
            runs: &mut Vec::new(),
            rows: &mut Vec::new(),
            direction: crate::pack::Direction::Above,
        };
        let ladders = vec![context.ladder(&levels, None, &rule.clear)?];
        let set = self.set(space, &[], false);
        let feeds = self.feeds(std::slice::from_ref(&main));
        self.program.nodes.push(Node {
            id: rule.id.as_str().into(),
            rule: rule.clone(),
            shadow: rule.status == Status::Shadow,
            silent: false,
            absent: true,
            set,
            space,
            inputs: vec![main, roster],
            kind: Kinded::Gap { offsets: vec![absence.after.millis()], roster: true, feeds },
            quantities,
            plain: true,
            plain_quantities: Vec::new(),
            declared: None,
            runs: Vec::new(),
            rows: Vec::new(),
            segments: Vec::new(),
            roster_notes: Vec::new(),
            ladders,
            raise: Vec::new(),
            evaluations: 1,
            dwell: 0,
            cool_down: [0; 5],
            reads: Vec::new(),
            listens: false,
            fingerprint: xxhash_rust::xxh3::xxh3_64(format!("absence|{}|{absence:?}", rule.id).as_bytes()),
        });
        Ok(())
    }

    /// True when a text stands anywhere in the rule as an expression.
    fn uses(&self, rule: &Indicator, text: &str) -> bool {
        serde_json::to_value(rule).is_ok_and(|v| contains(&v, text))
    }
}

use crate::pack::LevelRule;

/// True for a quantity that is known without a model's score: a reading, a count.
fn is_plain(kind: &Kinded, name: &str, number: usize) -> bool {
    match kind {
        Kinded::Reading { .. } => name == "value",
        Kinded::Counts { .. } => name == "count",
        // The terms of the group, then the reading and the part of each member.
        Kinded::Group { .. } => number >= GROUP_TERMS.len() && (number - GROUP_TERMS.len()).is_multiple_of(2),
        _ => true,
    }
}

fn contains(value: &serde_json::Value, text: &str) -> bool {
    match value {
        serde_json::Value::String(s) => s == text,
        serde_json::Value::Array(all) => all.iter().any(|v| contains(v, text)),
        serde_json::Value::Object(map) => map.values().any(|v| contains(v, text)),
        _ => false,
    }
}

fn sliding(size: Millis, pane: Option<Millis>) -> Shape {
    let size = size.max(1);
    let mut pane = pane.unwrap_or((size / 60).max(1)).clamp(1, size);
    if pane > DAY {
        // Whole days, so that panes begin at local midnight.
        pane -= pane % DAY;
    }
    let count = (size + pane - 1) / pane;
    Shape { panes: Panes::Span(pane), count: u32::try_from(count).unwrap_or(u32::MAX), size: Some(size) }
}

/// Levels that are times left, as bounds of the hours left.
fn time_left(levels: &Levels) -> Levels {
    let hours = |rule: &Option<LevelRule>| {
        rule.as_ref().map(|rule| match rule {
            LevelRule::After(span) => {
                LevelRule::When(Condition { below: Some(span.millis() as f64 / HOUR), ..Condition::default() })
            }
            other => other.clone(),
        })
    };
    Levels {
        direction: None,
        blue: hours(&levels.blue),
        yellow: hours(&levels.yellow),
        orange: hours(&levels.orange),
        red: hours(&levels.red),
    }
}

/// Milliseconds.
pub(crate) const HOUR: f64 = 3_600_000.0;

/// The signals of a rule go to these key spaces.
pub(crate) fn targets<'a>(program: &Program, rule: &'a Indicator) -> Vec<&'a SignalRoute> {
    rule.signal_to.iter().filter(|r| program.loop_spaces.iter().any(|s| **s == *r.space)).collect()
}
