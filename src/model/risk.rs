//! Which object will have a bad outcome next: features of streams of records as a scorecard.
//!
//! In: facts (what a record says, in the scorecard's words), in the order of their days. Out: the features of an object
//! as they stood before a day; the log odds and the points that they make.
//! Promise: a fact of the day asked about or later is refused by [`RiskState::features`], so that no score knows its own
//! outcome. State: 16 bytes and a key a decayed sum, one for each (feature, object or group); it does not grow with the
//! records of an object.
//! Not here: reading records (`log`), SQL over them (`pack`), who inspected: inspectors are never a feature.

use super::logistic::{Logistic, LogisticError, logistic, share};
use crate::pack::{Measure, Scorecard, ScorecardFeature, Shape, Span};
use std::collections::BTreeMap;

/// Log odds of a point: 20 points double the odds.
const POINT: f64 = std::f64::consts::LN_2 / 20.0;
/// A month, for `since`.
const MONTH: f64 = 30.0;
/// A year, for `age`.
const YEAR: f64 = 365.25;
/// Half-life, days, of the city's rates that rates and means of groups are compared with.
const CITY: f64 = 365.0;
/// Records that the city's rate at the start weighs as.
const START: f64 = 50.0;
/// Metres of a degree of latitude.
const DEGREE: f64 = 111_195.0;

/// A scorecard that does not hold together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RiskError {
    /// A feature names what is not there.
    #[error("feature {feature} needs {what}")]
    Feature {
        /// Its id.
        feature: String,
        /// What is missing or unknown.
        what: String,
    },
    /// The outcome is none of the events of its source.
    #[error("no source {origin} with an event {event} for the outcome")]
    Outcome {
        /// Source.
        origin: String,
        /// Event.
        event: String,
    },
    /// The rate at the start is none.
    #[error("the outcome's rate must lie between 0 and 1")]
    Rate,
    /// The weights could not be found.
    #[error("could not fit")]
    Fit(#[from] LogisticError),
}

/// What one record says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RiskFact {
    /// Day since 1970-01-01.
    pub day: i32,
    /// Number of its source, in the scorecard's order.
    pub source: usize,
    /// The object; a complaint about a street has none.
    pub key: Option<String>,
    /// Id of a record whose outcome is foretold.
    pub id: Option<String>,
    /// One a group of [`Risk::groups`]; `None`: the record does not say.
    pub groups: Vec<Option<String>>,
    /// Latitude and longitude, degrees.
    pub at: Option<(f64, f64)>,
    /// Number of the event in [`Risk::events`], and value.
    pub events: Vec<(usize, f64)>,
}

/// A line of an explained score.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskTerm<'a> {
    /// The feature.
    pub feature: &'a ScorecardFeature,
    /// Its value.
    pub value: f64,
    /// Points against an average object.
    pub points: f64,
}

/// A sum that halves every half-life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Decayed {
    sum: f64,
    day: i32,
}

impl Decayed {
    fn at(&self, day: i32, half_life: f64) -> f64 {
        if self.sum == 0.0 {
            return 0.0;
        }
        self.sum * libm::exp2(-f64::from((day - self.day).max(0)) / half_life)
    }

    fn add(&mut self, day: i32, half_life: f64, value: f64) {
        *self = Decayed { sum: self.at(day, half_life) + value, day };
    }
}

/// Whose events are summed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Object,
    City,
    Group(usize),
    /// Squares with sides of so many metres.
    Near(f64),
}

/// Decayed sums of one event by one grouping.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Series {
    of: Of,
    event: usize,
    half_life: f64,
}

/// A feature with the numbers of what it reads.
#[derive(Clone, Debug)]
enum Read {
    Count(usize),
    /// Sum and base of the group, and of the city; prior weight.
    Share {
        sum: usize,
        base: usize,
        city: (usize, usize),
        prior: f64,
        odds: bool,
    },
    Last(usize),
    Since(usize),
    Never(usize),
    Age(usize),
    Is(usize),
    Members(usize),
}

/// A scorecard made ready.
#[derive(Clone, Debug)]
pub struct Risk {
    card: Scorecard,
    sources: Vec<String>,
    /// Name and number of the source.
    events: Vec<(String, usize)>,
    groups: Vec<String>,
    series: Vec<Series>,
    reads: Vec<Read>,
    /// Number of the outcome's source and event.
    outcome: (usize, usize),
    /// Series of the city's outcomes and cases.
    baseline: (usize, usize),
}

fn days(span: Span) -> f64 {
    span.millis() as f64 / 86_400_000.0
}

impl Risk {
    /// Checks a scorecard and numbers its parts.
    ///
    /// # Errors
    /// The first thing that does not hold together.
    pub fn new(card: &Scorecard) -> Result<Risk, RiskError> {
        let sources: Vec<String> = card.records.keys().cloned().collect();
        let mut events: Vec<(String, usize)> = Vec::new();
        let mut groups: Vec<String> = Vec::new();
        for (number, record) in card.records.values().enumerate() {
            events.extend(record.events.keys().map(|e| (e.clone(), number)));
            for group in record.groups.keys() {
                if !groups.contains(group) {
                    groups.push(group.clone());
                }
            }
        }
        if !(card.outcome.rate > 0.0 && card.outcome.rate < 1.0) {
            return Err(RiskError::Rate);
        }
        let no_outcome =
            || RiskError::Outcome { origin: card.outcome.source.clone(), event: card.outcome.event.clone() };
        let source = sources.iter().position(|s| *s == card.outcome.source).ok_or_else(no_outcome)?;
        let event = events.iter().position(|e| *e == (card.outcome.event.clone(), source)).ok_or_else(no_outcome)?;
        let mut risk = Risk {
            card: card.clone(),
            sources,
            events,
            groups,
            series: Vec::new(),
            reads: Vec::new(),
            outcome: (source, event),
            baseline: (0, 0),
        };
        let half_life = days(card.outcome.half_life);
        // Cases are the records that have an outcome; `usize::MAX` stands for them.
        risk.baseline = (risk.series(Of::City, event, half_life), risk.series(Of::City, usize::MAX, half_life));
        for feature in &card.features {
            let read = risk.read(feature)?;
            risk.reads.push(read);
        }
        Ok(risk)
    }

    fn series(&mut self, of: Of, event: usize, half_life: f64) -> usize {
        let series = Series { of, event, half_life };
        match self.series.iter().position(|s| *s == series) {
            Some(number) => number,
            None => {
                self.series.push(series);
                self.series.len() - 1
            }
        }
    }

    fn read(&mut self, feature: &ScorecardFeature) -> Result<Read, RiskError> {
        let need = |what: String| RiskError::Feature { feature: feature.id.clone(), what };
        let event = |name: &Option<String>, field: &str| {
            let name = name.as_ref().ok_or_else(|| need(format!("`{field}`, an event")))?;
            self.events
                .iter()
                .position(|(e, _)| e == name)
                .ok_or_else(|| need(format!("an event {name}, which no record gives")))
        };
        let group = |name: &Option<String>| {
            let name = name.as_ref().ok_or_else(|| need("`by`, a group".to_owned()))?;
            self.groups
                .iter()
                .position(|g| g == name)
                .ok_or_else(|| need(format!("a group {name}, which no record gives")))
        };
        let over = || match feature.by.as_deref() {
            None => Ok(Of::Object),
            Some("city") => Ok(Of::City),
            Some("near") => {
                let metres = feature.metres.filter(|m| *m > 0.0 && m.is_finite());
                Ok(Of::Near(metres.ok_or_else(|| need("`metres`".to_owned()))?))
            }
            Some(_) => group(&feature.by).map(Of::Group),
        };
        let half_life = || {
            let span = feature.half_life.filter(|s| s.millis() > 0);
            span.map(days).ok_or_else(|| need("`half_life` above zero".to_owned()))
        };
        Ok(match feature.measure {
            Measure::Count => {
                let (of, event, half_life) = (over()?, event(&feature.of, "of")?, half_life()?);
                Read::Count(self.series(of, event, half_life))
            }
            Measure::Rate | Measure::Mean => {
                let (of, half_life) = (over()?, half_life()?);
                let (event, per) = (event(&feature.of, "of")?, event(&feature.per, "per")?);
                let prior = feature.prior.filter(|p| *p > 0.0).ok_or_else(|| need("`prior` above zero".to_owned()))?;
                Read::Share {
                    sum: self.series(of, event, half_life),
                    base: self.series(of, per, half_life),
                    city: (self.series(Of::City, event, CITY), self.series(Of::City, per, CITY)),
                    prior,
                    odds: feature.measure == Measure::Rate,
                }
            }
            Measure::Last => Read::Last(event(&feature.of, "of")?),
            Measure::Since => {
                feature.max.ok_or_else(|| need("`max`, the months that stand for never".to_owned()))?;
                Read::Since(event(&feature.of, "of")?)
            }
            Measure::Never => Read::Never(event(&feature.of, "of")?),
            Measure::Age => Read::Age(event(&feature.of, "of")?),
            Measure::Is => Read::Is(group(&feature.by)?),
            Measure::Members => Read::Members(group(&feature.by)?),
        })
    }

    /// The scorecard.
    #[must_use]
    pub fn card(&self) -> &Scorecard {
        &self.card
    }

    /// The sources, by the number that facts name them by.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The events and the number of the source that gives each.
    #[must_use]
    pub fn events(&self) -> &[(String, usize)] {
        &self.events
    }

    /// What objects belong to.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Whether a fact has an outcome, and which.
    #[must_use]
    pub fn outcome(&self, fact: &RiskFact) -> Option<bool> {
        let value = fact.events.iter().find(|(e, _)| *e == self.outcome.1)?.1;
        Some(value > 0.0)
    }

    /// Log odds of a bad outcome.
    #[must_use]
    pub fn log_odds(&self, features: &RiskFeatures) -> f64 {
        let points: f64 = self.terms(features).map(|t| t.points).sum();
        features.baseline + self.card.intercept + points * POINT
    }

    /// The probability of a bad outcome, 0 to 1.
    #[must_use]
    pub fn probability(&self, features: &RiskFeatures) -> f64 {
        share(self.log_odds(features))
    }

    /// The points of each feature against an average object, in the scorecard's order.
    pub fn terms<'a>(&'a self, features: &'a RiskFeatures) -> impl Iterator<Item = RiskTerm<'a>> {
        self.card.features.iter().zip(&features.values).map(|(feature, value)| RiskTerm {
            feature,
            value: *value,
            points: feature.points * (value - feature.center),
        })
    }

    /// The scorecard with points fitted to features and outcomes, to be written with two digits.
    ///
    /// # Errors
    /// When there is no fit.
    pub fn fit(&self, features: &[RiskFeatures], outcomes: &[bool]) -> Result<Scorecard, RiskError> {
        let (n, k) = (features.len() as f64, self.reads.len());
        let mean = |j: usize| features.iter().map(|f| f.values[j]).sum::<f64>() / n;
        let means: Vec<f64> = (0..k).map(mean).collect();
        let spread = |j: usize| {
            let squares: f64 = features.iter().map(|f| (f.values[j] - means[j]) * (f.values[j] - means[j])).sum();
            (squares / n).sqrt()
        };
        let spreads: Vec<f64> = (0..k).map(spread).collect();
        // A feature that never changes gets no points.
        let scaled = |f: &RiskFeatures| -> Vec<f64> {
            (0..k).map(|j| if spreads[j] > 1e-9 { (f.values[j] - means[j]) / spreads[j] } else { 0.0 }).collect()
        };
        let rows: Vec<Vec<f64>> = features.iter().map(scaled).collect();
        let offset: Vec<f64> = features.iter().map(|f| f.baseline).collect();
        let Logistic { intercept, weights } = logistic(&rows, &offset, outcomes, self.card.penalty)?;
        let mut card = self.card.clone();
        card.intercept = round(intercept, 4);
        for (j, feature) in card.features.iter_mut().enumerate() {
            feature.center = round(means[j], 4);
            feature.points = if spreads[j] > 1e-9 { round(weights[j] / spreads[j] / POINT, 2) } else { 0.0 };
        }
        Ok(card)
    }
}

fn round(x: f64, digits: i32) -> f64 {
    let scale = libm::pow(10.0, f64::from(digits));
    // + 0.0: no -0 in a file.
    (x * scale).round() / scale + 0.0
}

/// What is known of an object before a day.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskFeatures {
    /// Log odds of the city's recent rate.
    pub baseline: f64,
    /// One a feature of the scorecard.
    pub values: Vec<f64>,
}

/// An object.
#[derive(Clone, Debug, Default)]
struct Object {
    groups: Vec<Option<String>>,
    at: Option<(f64, f64)>,
    /// Day and value of the newest, one an event.
    last: Vec<Option<(i32, f64)>>,
}

/// The sums of one series.
#[derive(Clone, Debug)]
enum Sums {
    City(Decayed),
    Named(BTreeMap<String, Decayed>),
    Near(BTreeMap<(i32, i32), Decayed>),
}

/// Everything learnt from the facts so far.
#[derive(Clone, Debug)]
pub struct RiskState {
    objects: BTreeMap<String, Object>,
    sums: Vec<Sums>,
    /// How many objects a group has.
    members: Vec<BTreeMap<String, u32>>,
    /// Newest day, one a source.
    newest: Vec<Option<i32>>,
    day: i32,
}

/// A day before the day of a fact that was learnt was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of day {learnt} was learnt before day {asked} was asked about")]
pub struct Late {
    /// Day of the fact.
    pub learnt: i32,
    /// Day asked about.
    pub asked: i32,
}

impl RiskState {
    /// Nothing learnt yet.
    #[must_use]
    pub fn new(risk: &Risk) -> RiskState {
        let sums = |s: &Series| match s.of {
            Of::City => Sums::City(Decayed::default()),
            Of::Near(_) => Sums::Near(BTreeMap::new()),
            Of::Object | Of::Group(_) => Sums::Named(BTreeMap::new()),
        };
        RiskState {
            objects: BTreeMap::new(),
            sums: risk.series.iter().map(sums).collect(),
            members: vec![BTreeMap::new(); risk.groups.len()],
            newest: vec![None; risk.sources.len()],
            day: i32::MIN,
        }
    }

    /// Learns a fact; facts come in the order of their days.
    pub fn learn(&mut self, risk: &Risk, fact: &RiskFact) {
        self.day = self.day.max(fact.day);
        if let Some(newest) = self.newest.get_mut(fact.source) {
            *newest = Some(newest.map_or(fact.day, |d| d.max(fact.day)));
        }
        let mut groups = fact.groups.clone();
        let mut at = fact.at;
        if let Some(key) = &fact.key {
            let object = self.objects.entry(key.clone()).or_insert_with(|| Object {
                groups: vec![None; risk.groups.len()],
                at: None,
                last: vec![None; risk.events.len()],
            });
            for (number, group) in fact.groups.iter().enumerate() {
                let Some(group) = group else { continue };
                if object.groups[number].as_ref() != Some(group) {
                    if let Some(old) = object.groups[number].replace(group.clone())
                        && let Some(n) = self.members[number].get_mut(&old)
                    {
                        *n -= 1;
                    }
                    *self.members[number].entry(group.clone()).or_default() += 1;
                }
            }
            object.at = fact.at.or(object.at);
            groups.clone_from(&object.groups);
            at = object.at;
            for (event, value) in &fact.events {
                object.last[*event] = Some((fact.day, *value));
            }
        }
        let case = risk.outcome(fact).map(|_| (usize::MAX, 1.0));
        for (event, value) in fact.events.iter().copied().chain(case) {
            for (series, sums) in risk.series.iter().zip(&mut self.sums) {
                // A sum of nothing is not kept; the newest outcome counts as it is, above zero or not.
                let value = if event == risk.outcome.1 { f64::from(u8::from(value > 0.0)) } else { value };
                if series.event != event || value == 0.0 {
                    continue;
                }
                let name = match series.of {
                    Of::Object => fact.key.as_ref(),
                    Of::Group(g) => groups[g].as_ref(),
                    Of::City | Of::Near(_) => None,
                };
                let sum = match (sums, series.of) {
                    (Sums::City(sum), _) => Some(sum),
                    (Sums::Near(all), Of::Near(metres)) => at.map(|at| all.entry(square(at, metres)).or_default()),
                    (Sums::Named(all), _) => name.map(|name| all.entry(name.clone()).or_default()),
                    (Sums::Near(_), _) => None,
                };
                if let Some(sum) = sum {
                    sum.add(fact.day, series.half_life, value);
                }
            }
        }
    }

    /// The features of an object as they stood at the end of the day before `day`.
    ///
    /// # Errors
    /// [`Late`] when a fact of that day or a later one was learnt.
    pub fn features(&self, risk: &Risk, key: &str, day: i32) -> Result<RiskFeatures, Late> {
        if self.day >= day {
            return Err(Late { learnt: self.day, asked: day });
        }
        let nobody = Object { groups: vec![None; risk.groups.len()], at: None, last: vec![None; risk.events.len()] };
        let object = self.objects.get(key).unwrap_or(&nobody);
        let (bad, cases) = risk.baseline;
        let (bad, cases) = (self.sum(risk, bad, key, object, day), self.sum(risk, cases, key, object, day));
        let baseline = (bad + START * risk.card.outcome.rate) / (cases + START);
        let values = risk.card.features.iter().zip(&risk.reads).map(|(feature, read)| {
            let value = self.value(risk, feature, read, (key, object), day);
            let value = feature.max.map_or(value, |max| value.min(max));
            match feature.shape {
                Shape::Plain => value,
                Shape::Log => libm::log1p(value.max(0.0)),
            }
        });
        Ok(RiskFeatures { baseline: odds(baseline), values: values.collect() })
    }

    fn value(
        &self,
        risk: &Risk,
        feature: &ScorecardFeature,
        read: &Read,
        (key, object): (&str, &Object),
        day: i32,
    ) -> f64 {
        let sum = |series: usize| self.sum(risk, series, key, object, day);
        match *read {
            Read::Count(series) => sum(series),
            Read::Share { sum: of, base, city, prior, odds: as_odds } => {
                let (bad, all) = (sum(city.0), sum(city.1));
                let city = if as_odds { (bad + 0.5) / (all + 1.0) } else { bad / all.max(1.0) };
                let own = (sum(of) + prior * city) / (sum(base) + prior);
                if as_odds { odds(own) - odds(city) } else { own - city }
            }
            Read::Last(event) => object.last[event].map_or(0.0, |(_, value)| value),
            Read::Since(event) => {
                let source = risk.events[event].1;
                let clock = self.clock(risk, source, day);
                object.last[event].map_or(f64::INFINITY, |(last, _)| f64::from((clock - last).max(0)) / MONTH)
            }
            Read::Never(event) => f64::from(u8::from(object.last[event].is_none())),
            Read::Age(event) => object.last[event].map_or(0.0, |(_, born)| ((f64::from(day) - born) / YEAR).max(0.0)),
            Read::Is(group) => {
                let is = object.groups[group].as_ref().is_some_and(|g| feature.values.contains(g));
                f64::from(u8::from(is))
            }
            Read::Members(group) => {
                let name = object.groups[group].as_ref();
                name.and_then(|g| self.members[group].get(g)).map_or(0.0, |n| f64::from(n.saturating_sub(1)))
            }
        }
    }

    /// The day up to which a source's sums are aged: its own newest day when it has fallen silent.
    fn clock(&self, risk: &Risk, source: usize, day: i32) -> i32 {
        let silent = i32::try_from(risk.card.silent_days).unwrap_or(i32::MAX);
        match self.newest.get(source).copied().flatten() {
            Some(newest) if day - newest > silent => newest + 1,
            _ => day,
        }
    }

    fn sum(&self, risk: &Risk, number: usize, key: &str, object: &Object, day: i32) -> f64 {
        let series = &risk.series[number];
        let source = risk.events.get(series.event).map_or(risk.outcome.0, |e| e.1);
        let clock = self.clock(risk, source, day);
        let at = |sum: &Decayed| sum.at(clock, series.half_life);
        match (&self.sums[number], series.of) {
            (Sums::City(sum), _) => at(sum),
            (Sums::Named(all), Of::Group(group)) => {
                object.groups[group].as_ref().and_then(|g| all.get(g)).map_or(0.0, at)
            }
            (Sums::Named(all), _) => all.get(key).map_or(0.0, at),
            (Sums::Near(all), Of::Near(metres)) => object.at.map_or(0.0, |place| {
                let (row, _) = square(place, metres);
                let beside = (row - 1..=row + 1).flat_map(|r| {
                    // The neighbours of a row are those at the same longitude, whose squares may be counted otherwise.
                    let column = column_of(r, place.1, metres);
                    (column - 1..=column + 1).map(move |c| (r, c))
                });
                beside.filter_map(|s| all.get(&s)).map(at).sum()
            }),
            (Sums::Near(_), _) => 0.0,
        }
    }
}

fn odds(share: f64) -> f64 {
    libm::log(share / (1.0 - share))
}

/// The row and column of a place, in squares with sides of so many metres.
fn square((lat, lon): (f64, f64), metres: f64) -> (i32, i32) {
    let row = (lat * DEGREE / metres).floor() as i32;
    (row, column_of(row, lon, metres))
}

fn column_of(row: i32, lon: f64, metres: f64) -> i32 {
    let middle = (f64::from(row) + 0.5) * metres / DEGREE;
    (lon * DEGREE * libm::cos(middle.to_radians()) / metres).floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn feature(id: &str, rest: &Value) -> Value {
        let mut feature = json!({"id": id, "name": id, "points": 10.0, "center": 0.0});
        let fields = feature.as_object_mut().unwrap();
        fields.extend(rest.as_object().unwrap().clone());
        feature
    }

    fn card() -> Scorecard {
        serde_json::from_value(json!({
            "records": {
                "a_checks": {"key": "k", "groups": {"area": "z"}, "lat": "y", "lon": "x",
                    "events": {"checked": "TRUE", "bad": "b"}},
                "b_complaints": {"lat": "y", "lon": "x", "events": {"complaint": "TRUE"}},
            },
            "outcome": {"source": "a_checks", "event": "bad", "half_life": "90d", "rate": 0.2},
            "silent_days": 10, "intercept": 0.25, "penalty": 1.0,
            "features": [
                feature("count", &json!({"measure": "count", "of": "bad", "half_life": "100d"})),
                feature("rate", &json!({"measure": "rate", "of": "bad", "per": "checked", "by": "area",
                    "half_life": "365d", "prior": 4.0})),
                feature("last", &json!({"measure": "last", "of": "bad"})),
                feature("since", &json!({"measure": "since", "of": "checked", "max": 24.0})),
                feature("never", &json!({"measure": "never", "of": "checked"})),
                feature("area", &json!({"measure": "is", "by": "area", "values": ["north"]})),
                feature("others", &json!({"measure": "members", "by": "area", "shape": "log"})),
                feature("near", &json!({"measure": "count", "of": "complaint", "by": "near", "metres": 250.0,
                    "half_life": "60d"})),
            ],
        }))
        .unwrap()
    }

    fn check(day: i32, key: &str, area: &str, bad: bool, lat: f64) -> RiskFact {
        RiskFact {
            day,
            source: 0,
            key: Some(key.to_owned()),
            id: None,
            groups: vec![Some(area.to_owned())],
            at: Some((lat, -87.6)),
            // Events by name: bad, checked.
            events: vec![(0, f64::from(u8::from(bad))), (1, 1.0)],
        }
    }

    fn complaint(day: i32, lat: f64) -> RiskFact {
        RiskFact {
            day,
            source: 1,
            groups: vec![None],
            at: Some((lat, -87.6)),
            events: vec![(2, 1.0)],
            ..RiskFact::default()
        }
    }

    #[test]
    fn features_are_what_the_records_before_the_day_say() {
        let risk = Risk::new(&card()).unwrap();
        let mut state = RiskState::new(&risk);
        for fact in [
            check(0, "k1", "north", true, 41.8),
            check(100, "k2", "north", false, 41.9),
            check(100, "k3", "south", false, 41.7),
            complaint(100, 41.8),
            // 500 m further north: no neighbour.
            complaint(100, 41.8045),
        ] {
            state.learn(&risk, &fact);
        }
        let found = state.features(&risk, "k1", 101).unwrap();
        let half = |days: f64, half_life: f64| libm::exp2(-days / half_life);
        let city = (half(101.0, 365.0) + 0.5) / (half(101.0, 365.0) + 2.0 * half(1.0, 365.0) + 1.0);
        let (bad, all) = (half(101.0, 365.0), half(101.0, 365.0) + half(1.0, 365.0));
        let own = (bad + 4.0 * city) / (all + 4.0);
        let expected =
            [half(101.0, 100.0), odds(own) - odds(city), 1.0, 101.0 / 30.0, 0.0, 1.0, libm::log(2.0), half(1.0, 60.0)];
        for (value, expected) in found.values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12, "{:?} {expected}", found.values);
        }
        let recent = half(101.0, 90.0);
        let share_of_city = (recent + 10.0) / (recent + 2.0 * half(1.0, 90.0) + 50.0);
        assert!((found.baseline - odds(share_of_city)).abs() < 1e-12);
        let log_odds = found.baseline + 0.25 + 10.0 * POINT * expected.iter().sum::<f64>();
        assert!((risk.log_odds(&found) - log_odds).abs() < 1e-12);
        let nobody = state.features(&risk, "k9", 101).unwrap();
        assert_eq!(nobody.values, [0.0, 0.0, 0.0, 24.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_day_whose_records_are_known_cannot_be_asked_about() {
        let risk = Risk::new(&card()).unwrap();
        let mut state = RiskState::new(&risk);
        state.learn(&risk, &check(100, "k1", "north", true, 41.8));
        assert_eq!(state.features(&risk, "k1", 100), Err(Late { learnt: 100, asked: 100 }));
        assert!(state.features(&risk, "k1", 101).is_ok());
    }

    #[test]
    fn a_silent_source_does_not_make_its_objects_better() {
        let risk = Risk::new(&card()).unwrap();
        let mut state = RiskState::new(&risk);
        state.learn(&risk, &check(0, "k1", "north", true, 41.8));
        state.learn(&risk, &check(100, "k2", "north", false, 41.8));
        let at = |day| state.features(&risk, "k1", day).unwrap().values;
        assert!(at(110)[0] < at(101)[0], "ten days may pass");
        assert_eq!(at(111), at(101), "then the clock stands at the newest record");
        assert_eq!(at(900), at(101));
    }

    #[test]
    fn what_does_not_hold_together_is_refused() {
        for (field, value, says) in [
            ("of", json!("worse"), "feature count needs an event worse, which no record gives"),
            ("by", json!("street"), "feature count needs a group street, which no record gives"),
            ("by", json!("near"), "feature count needs `metres`"),
            ("half_life", json!(null), "feature count needs `half_life` above zero"),
        ] {
            let mut card = serde_json::to_value(card()).unwrap();
            card["features"][0][field] = value;
            let card: Scorecard = serde_json::from_value(card).unwrap();
            assert_eq!(Risk::new(&card).unwrap_err().to_string(), says);
        }
        let mut other = card();
        other.outcome.event = "worse".to_owned();
        assert!(matches!(Risk::new(&other), Err(RiskError::Outcome { .. })));
    }

    proptest! {
        /// Records of the day or later change no feature, and a fit says in all as many bad outcomes as there were.
        #[test]
        fn scores_know_nothing_of_their_day_and_a_fit_is_calibrated(
            rows in prop::collection::vec((0..400_i32, 0..12_u8, 0..3_u8, any::<bool>(), 0..20_u8), 30..120),
            asked in 1..400_i32,
        ) {
            let risk = Risk::new(&card()).unwrap();
            let mut facts: Vec<RiskFact> = rows
                .iter()
                .map(|(day, key, area, bad, lat)| {
                    let lat = 41.7 + f64::from(*lat) / 500.0;
                    if *key == 11 { complaint(*day, lat) } else {
                        check(*day, &format!("k{key}"), ["north", "south", "west"][usize::from(*area)], *bad, lat)
                    }
                })
                .collect();
            facts.sort_by_key(|f| f.day);
            let mut state = RiskState::new(&risk);
            let (mut seen, mut outcomes, mut before) = (Vec::new(), Vec::new(), None);
            let mut from = 0;
            while from < facts.len() {
                let day = facts[from].day;
                let to = from + facts[from..].iter().take_while(|f| f.day == day).count();
                if before.is_none() && day >= asked {
                    before = Some(state.features(&risk, "k3", asked).unwrap());
                }
                for fact in &facts[from..to] {
                    if let (Some(bad), Some(key)) = (risk.outcome(fact), &fact.key) {
                        seen.push(state.features(&risk, key, day).unwrap());
                        outcomes.push(bad);
                    }
                }
                for fact in &facts[from..to] {
                    state.learn(&risk, fact);
                }
                from = to;
            }
            let mut early = RiskState::new(&risk);
            for fact in facts.iter().filter(|f| f.day < asked) {
                early.learn(&risk, fact);
            }
            if let Some(before) = before {
                prop_assert_eq!(before, early.features(&risk, "k3", asked).unwrap());
            }
            let bad = outcomes.iter().filter(|b| **b).count();
            prop_assume!(bad > 0 && bad < outcomes.len());
            let fitted = risk.fit(&seen, &outcomes).unwrap();
            prop_assert_eq!(&fitted, &risk.fit(&seen, &outcomes).unwrap());
            let fitted = Risk::new(&fitted).unwrap();
            let said: f64 = seen.iter().map(|f| fitted.probability(f)).sum();
            // Points are written with two digits, hence the tolerance.
            prop_assert!((said - bad as f64).abs() < 0.01 * outcomes.len() as f64, "{said} {bad}");
        }
    }
}
