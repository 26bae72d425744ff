//! Judges quantities against levels, and keeps each key's level with its hysteresis.
//!
//! In: the quantities of one key at one instant. Out: the level reached and the bound that was met; then, through the
//! clear rule, the level the key stands at. Promise: missing data never clears; a value swinging around a bound gives
//! one raise and one clear. Not here: warnings (`incident`), windows.

use crate::pack::{Bound, Condition, Direction, LevelRule, Levels, Segment};
use crate::record::{Level, Millis};
use serde::{Deserialize, Serialize};

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Test {
    Above(f64),
    Over(f64),
    Below(f64),
    Under(f64),
    Outside(f64, f64),
}

impl Test {
    fn new(direction: Direction, bound: Bound) -> Option<Test> {
        Some(match (direction, bound) {
            (Direction::Above, Bound::One(b)) => Test::Above(b),
            (Direction::Over, Bound::One(b)) => Test::Over(b),
            (Direction::Below, Bound::One(b)) => Test::Below(b),
            (Direction::Under, Bound::One(b)) => Test::Under(b),
            (Direction::Outside, Bound::Two([lo, hi])) => Test::Outside(lo, hi),
            _ => return None,
        })
    }

    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Test::Above(b) => value >= b,
            Test::Over(b) => value > b,
            Test::Below(b) => value <= b,
            Test::Under(b) => value < b,
            Test::Outside(lo, hi) => value < lo || value > hi,
        }
    }

    /// The number shown as the bound.
    pub(crate) fn bound(self, value: Option<f64>) -> f64 {
        match self {
            Test::Above(b) | Test::Over(b) | Test::Below(b) | Test::Under(b) => b,
            Test::Outside(lo, hi) => {
                if value.is_some_and(|v| v < lo) {
                    lo
                } else {
                    hi
                }
            }
        }
    }

    /// The same comparison with its bound moved by the clear rule: while it holds, the level is kept.
    fn kept(self, below: Option<f64>, above: Option<f64>) -> Test {
        match self {
            Test::Above(b) => Test::Above(below.map_or(b, |share| b * share)),
            Test::Over(b) => below.map_or(Test::Over(b), |share| Test::Above(b * share)),
            Test::Below(b) => Test::Below(above.map_or(b, |share| b * share)),
            Test::Under(b) => above.map_or(Test::Under(b), |share| Test::Below(b * share)),
            Test::Outside(lo, hi) => {
                let margin = (hi - lo) * below.map_or(0.0, |share| 1.0 - share);
                Test::Outside(lo + margin, hi - margin)
            }
        }
    }
}

/// A run: how long and how often in a row a comparison has held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunSpec {
    pub(crate) test: Test,
}

/// What a level needs, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Formula {
    /// Quantity number, comparison.
    Compare(usize, Test),
    /// Run number, least duration, least samples.
    Held(usize, Millis, u32),
    /// So long after the due time or anchor.
    Elapsed(Millis),
    /// An open signal of this indicator, at least at this level.
    Signal(String, Level),
    /// Row condition number.
    Row(usize),
    Any(Vec<Formula>),
    All(Vec<Formula>),
}

/// What a formula is judged on.
pub(crate) struct Facts<'a> {
    /// Quantities by number.
    pub(crate) quantities: &'a [Option<f64>],
    /// Per run: (since, samples) while it holds.
    pub(crate) runs: &'a [Option<(Millis, u32)>],
    /// Event time of the newest sample, for runs.
    pub(crate) at: Millis,
    /// Time since the due time or anchor.
    pub(crate) elapsed: Option<Millis>,
    /// The level of an open signal for this routing key, 0 if none.
    pub(crate) signal: &'a dyn Fn(&str) -> u8,
    /// Row conditions as bits.
    pub(crate) rows: u32,
}

impl Formula {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Formula::Compare(quantity, test) => {
                facts.quantities.get(*quantity).copied().flatten().is_some_and(|v| test.holds(v))
            }
            Formula::Held(run, least, samples) => facts
                .runs
                .get(*run)
                .copied()
                .flatten()
                .is_some_and(|(since, n)| facts.at - since >= *least && n >= *samples),
            Formula::Elapsed(after) => facts.elapsed.is_some_and(|elapsed| elapsed >= *after),
            Formula::Signal(id, level) => (facts.signal)(id) >= level.number(),
            Formula::Row(bit) => facts.rows & (1 << bit) != 0,
            Formula::Any(all) => all.iter().any(|f| f.holds(facts)),
            Formula::All(all) => all.iter().all(|f| f.holds(facts)),
        }
    }

    /// The bound of the comparison that this formula rests on, if it rests on one.
    fn bound(&self, facts: &Facts<'_>, runs: &[RunSpec]) -> Option<f64> {
        match self {
            Formula::Compare(quantity, test) => Some(test.bound(facts.quantities.get(*quantity).copied().flatten())),
            Formula::Held(run, _, _) => {
                runs.get(*run).map(|r| r.test.bound(facts.quantities.first().copied().flatten()))
            }
            Formula::Elapsed(_) | Formula::Signal(..) | Formula::Row(_) => None,
            Formula::Any(all) | Formula::All(all) => {
                all.iter().filter(|f| f.holds(facts)).find_map(|f| f.bound(facts, runs))
            }
        }
    }

    /// True when it can hold without a model's score; `plain` says which quantities are none of the score's.
    fn has_plain(&self, plain: &[bool]) -> bool {
        match self {
            Formula::Compare(quantity, _) => plain.get(*quantity).copied().unwrap_or(true),
            Formula::Any(all) => all.iter().any(|f| f.has_plain(plain)),
            Formula::All(all) => all.iter().all(|f| f.has_plain(plain)),
            Formula::Held(..) | Formula::Elapsed(_) | Formula::Signal(..) | Formula::Row(_) => true,
        }
    }

    /// The least that quantity 0 must reach in some comparison.
    fn least(&self) -> Option<f64> {
        match self {
            Formula::Compare(0, Test::Above(b) | Test::Over(b)) => Some(*b),
            Formula::Any(all) | Formula::All(all) => all.iter().filter_map(Formula::least).reduce(f64::min),
            _ => None,
        }
    }

    /// Every `Elapsed` in it.
    fn offsets(&self, into: &mut Vec<Millis>) {
        match self {
            Formula::Elapsed(after) => into.push(*after),
            Formula::Any(all) | Formula::All(all) => all.iter().for_each(|f| f.offsets(into)),
            _ => {}
        }
    }

    fn kept(&self, clear: &crate::pack::Clear, runs: &[RunSpec]) -> Formula {
        let (below, above) = (clear.below.map(|p| p.0), clear.above.map(|p| p.0));
        match self {
            Formula::Compare(quantity, test) => Formula::Compare(*quantity, test.kept(below, above)),
            Formula::Held(run, _, _) => Formula::Compare(0, runs[*run].test.kept(below, above)),
            Formula::Any(all) => Formula::Any(all.iter().map(|f| f.kept(clear, runs)).collect()),
            Formula::All(all) => Formula::All(all.iter().map(|f| f.kept(clear, runs)).collect()),
            other => other.clone(),
        }
    }
}

/// The levels of one segment, compiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    /// Lowest level first.
    rungs: Vec<(Level, Formula)>,
    /// The same with bounds moved by the clear rule.
    kept: Vec<Formula>,
    /// The comparison of the lowest level, when it is a plain one on quantity 0: most rows stop here.
    pub(crate) quick: Option<Test>,
}

impl Ladder {
    /// The highest level whose formula holds.
    pub(crate) fn reached(&self, facts: &Facts<'_>, runs: &[RunSpec]) -> Option<(Level, Option<f64>)> {
        self.rungs
            .iter()
            .rev()
            .find(|(_, formula)| formula.holds(facts))
            .map(|(level, formula)| (*level, formula.bound(facts, runs)))
    }

    /// True while any level holds at its moved bound: the key is not clear yet.
    pub(crate) fn keeps(&self, facts: &Facts<'_>) -> bool {
        self.kept.iter().any(|formula| formula.holds(facts))
    }

    /// True when some level has a condition that does not ask for a model's score.
    pub(crate) fn has_plain(&self, plain: &[bool]) -> bool {
        self.rungs.iter().any(|(_, formula)| formula.has_plain(plain))
    }

    /// The least value of quantity 0 that some level asks for.
    pub(crate) fn least(&self) -> Option<f64> {
        self.rungs.iter().filter_map(|(_, formula)| formula.least()).reduce(f64::min)
    }

    /// Every offset at which a deadline or gap must be judged, ascending.
    pub(crate) fn offsets(&self) -> Vec<Millis> {
        let mut all = Vec::new();
        for (_, formula) in &self.rungs {
            formula.offsets(&mut all);
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What a compile of levels needs to know and collects.
pub(crate) struct LadderContext<'a> {
    /// Names of quantities; number 0 is the value.
    pub(crate) quantities: &'a [String],
    /// `sustained`: default duration and samples; the run specs collected so far.
    pub(crate) sustained: Option<(Option<Bound>, Millis, u32)>,
    pub(crate) runs: &'a mut Vec<RunSpec>,
    /// Row conditions collected so far (SQL texts).
    pub(crate) rows: &'a mut Vec<String>,
    pub(crate) direction: Direction,
}

impl LadderContext<'_> {
    fn run(&mut self, test: Test) -> usize {
        match self.runs.iter().position(|r| r.test == test) {
            Some(i) => i,
            None => {
                self.runs.push(RunSpec { test });
                self.runs.len() - 1
            }
        }
    }

    fn row(&mut self, sql: &str) -> usize {
        match self.rows.iter().position(|r| r == sql) {
            Some(i) => i,
            None => {
                self.rows.push(sql.to_owned());
                self.rows.len() - 1
            }
        }
    }

    pub(crate) fn condition(&mut self, c: &Condition) -> Result<Formula, String> {
        let mut all = Vec::new();
        if !c.any.is_empty() {
            all.push(Formula::Any(c.any.iter().map(|c| self.condition(c)).collect::<Result<_, _>>()?));
        }
        if !c.all.is_empty() {
            all.push(Formula::All(c.all.iter().map(|c| self.condition(c)).collect::<Result<_, _>>()?));
        }
        if let Some(signal) = &c.signal {
            all.push(Formula::Signal(signal.clone(), c.level.unwrap_or(Level::Blue)));
        }
        if let Some(sql) = &c.row {
            all.push(Formula::Row(self.row(&sql.0)));
        }
        if let Some(after) = c.after {
            all.push(Formula::Elapsed(after.millis()));
        }
        let quantity = match &c.measure {
            Some(name) => self
                .quantities
                .iter()
                .position(|q| q == name)
                .ok_or_else(|| format!("no measure \"{name}\"; there are {}", self.quantities.join(", ")))?,
            None => 0,
        };
        let tests =
            [c.above.map(Test::Above), c.over.map(Test::Over), c.below.map(Test::Below), c.under.map(Test::Under)];
        for test in tests.into_iter().flatten() {
            match (c.sustained, self.sustained, quantity) {
                (Some(span), Some((_, _, samples)), 0) => {
                    let run = self.run(test);
                    all.push(Formula::Held(run, span.millis(), samples));
                }
                (None, Some((_, duration, samples)), 0) => {
                    let run = self.run(test);
                    all.push(Formula::Held(run, duration, samples));
                }
                _ => all.push(Formula::Compare(quantity, test)),
            }
        }
        match all.len() {
            0 => Err("an empty condition".to_owned()),
            1 => Ok(all.remove(0)),
            _ => Ok(Formula::All(all)),
        }
    }

    fn rule(&mut self, rule: &LevelRule, bound: Option<Bound>) -> Result<Formula, String> {
        match rule {
            LevelRule::Bound(b) => {
                let test = Test::new(self.direction, *b).ok_or("the bound does not fit the direction")?;
                Ok(match self.sustained {
                    Some((_, duration, samples)) => Formula::Held(self.run(test), duration, samples),
                    None => Formula::Compare(0, test),
                })
            }
            LevelRule::After(span) => match self.sustained {
                Some((shared, _, samples)) => {
                    let bound = bound.or(shared).ok_or("levels are durations but there is no bound")?;
                    let test = Test::new(self.direction, bound).ok_or("the bound does not fit the direction")?;
                    Ok(Formula::Held(self.run(test), span.millis(), samples))
                }
                None => Ok(Formula::Elapsed(span.millis())),
            },
            LevelRule::When(condition) => self.condition(condition),
        }
    }

    pub(crate) fn ladder(
        &mut self,
        levels: &Levels,
        segment: Option<&Segment>,
        clear: &crate::pack::Clear,
    ) -> Result<Ladder, String> {
        let levels = segment.map_or(levels, |s| &s.levels);
        let bound = segment.and_then(|s| s.bound);
        let was = self.direction;
        self.direction = levels.direction.unwrap_or(was);
        let mut rungs = Vec::new();
        for level in Level::ALL {
            if let Some(rule) = levels.get(level) {
                rungs.push((level, self.rule(rule, bound)?));
            }
        }
        self.direction = was;
        let kept = rungs.iter().map(|(_, f)| f.kept(clear, self.runs)).collect();
        let quick = match rungs.first() {
            Some((_, Formula::Compare(0, test))) if rungs.iter().all(|(_, f)| implies(f, *test)) => Some(*test),
            _ => None,
        };
        Ok(Ladder { rungs, kept, quick })
    }
}

/// True when the formula cannot hold unless the comparison of the lowest level does.
fn implies(formula: &Formula, lowest: Test) -> bool {
    match (formula, lowest) {
        (Formula::Compare(0, Test::Above(b)), Test::Above(l)) => *b >= l,
        (Formula::Compare(0, Test::Over(b)), Test::Over(l)) => *b >= l,
        (Formula::Compare(0, Test::Below(b)), Test::Below(l)) => *b <= l,
        (Formula::Compare(0, Test::Under(b)), Test::Under(l)) => *b <= l,
        (Formula::All(all), _) => all.iter().any(|f| implies(f, lowest)),
        _ => false,
    }
}

/// Each key's level, as columns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// 0 none, 1 blue .. 4 red.
    pub(crate) level: Vec<u8>,
    /// Evaluations in a row that were clear.
    pub(crate) clears: Vec<u32>,
    /// Since when a level has been reached that dwell still holds back; `MIN` when none.
    pub(crate) pending: Vec<Millis>,
    /// Segment used last; 0 none, else number + 1.
    pub(crate) segment: Vec<u8>,
    /// Row conditions of the newest row.
    pub(crate) rows: Vec<u32>,
    /// Incident the key is part of; `u32::MAX` when none.
    pub(crate) incident: Vec<u32>,
    /// The level was reached, or held, with a model's score: without one it is not left.
    pub(crate) scored: Vec<bool>,
}

/// No incident.
pub(crate) const NONE: u32 = u32::MAX;

impl Standing {
    pub(crate) fn reserve(&mut self, len: usize) {
        if self.level.len() >= len {
            return;
        }
        self.level.resize(len, 0);
        self.clears.resize(len, 0);
        self.pending.resize(len, Millis::MIN);
        self.segment.resize(len, 0);
        self.rows.resize(len, 0);
        self.incident.resize(len, NONE);
        self.scored.resize(len, false);
    }

    pub(crate) fn idle(&self, key: u32) -> bool {
        let key = key as usize;
        self.level.get(key).is_none_or(|l| *l == 0)
            && self.pending.get(key).is_none_or(|p| *p == Millis::MIN)
            && self.incident.get(key).is_none_or(|i| *i == NONE)
    }

    pub(crate) fn forget(&mut self, key: u32) {
        let key = key as usize;
        if key < self.level.len() {
            self.level[key] = 0;
            self.clears[key] = 0;
            self.pending[key] = Millis::MIN;
            self.segment[key] = 0;
            self.rows[key] = 0;
            self.incident[key] = NONE;
            self.scored[key] = false;
        }
    }
}

/// The level after applying `raise` steps.
pub(crate) fn raised(level: Level, steps: &[(Formula, u8, Option<Level>)], facts: &Facts<'_>) -> Level {
    let mut level = level;
    for (formula, by, ceiling) in steps {
        if formula.holds(facts) {
            let higher = level.raised(*by);
            level = level.max(ceiling.map_or(higher, |c| higher.min(c)));
        }
    }
    level
}
