//! Models of readings behind one interface: a reading in, a score with its terms out.
//!
//! In: readings of one key in event-time order. Out: [`Scored`]. State is bounded and saved bit for bit.

use super::{Chart, ChartState, Method, Season, SeasonState};
use serde::{Deserialize, Serialize};

/// Milliseconds.
const MINUTE: f64 = 60_000.0;
const DAY: f64 = 86_400_000.0;

/// Most terms that a score can have.
pub const TERMS: usize = 4;

/// A scored reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The statistic that levels are bounds of, in the unit that the model states.
    pub score: f64,
    /// What it is made of, in the order of [`ReadingModel::terms`]; NaN for a term that does not apply.
    pub terms: [f64; TERMS],
}

/// A model's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReadingModel {
    /// A control chart around a learnt baseline.
    Chart(Chart),
    /// Forecasts of level, trend and season.
    Season(Season),
}

/// One key's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReadingState {
    /// See [`Chart`].
    Chart(ChartState),
    /// See [`Season`].
    Season(Box<SeasonState>),
}

impl ReadingModel {
    /// The model of a method with its parameters, as a file in `models/` names them; `parameter` gives the value of a
    /// name, or the default that it is called with. `None` for a method that is no model of readings.
    #[must_use]
    pub fn of(method: &str, parameter: &dyn Fn(&str, f64) -> f64) -> Option<ReadingModel> {
        let chart = |method: Method| {
            ReadingModel::Chart(Chart {
                method,
                warm_up: parameter("warm_up", 200.0) as u32,
                warm_up_span: (parameter("warm_up_days", 7.0) * DAY) as i64,
                sigma_floor: parameter("sigma_floor", 0.0),
            })
        };
        Some(match method {
            "ewma" => chart(Method::Ewma { weight: parameter("lambda", 0.2) }),
            "cusum" => chart(Method::Cusum { slack: parameter("k", 0.5) }),
            "shewhart" => chart(Method::Shewhart),
            "page_hinkley" => chart(Method::PageHinkley { slack: parameter("k", 0.1) }),
            "holt_winters" => ReadingModel::Season(Season {
                alpha: parameter("alpha", 0.2),
                beta: parameter("beta", 0.0),
                gamma: parameter("gamma", 0.2),
                step: (parameter("step_minutes", 60.0) * MINUTE) as i64,
                steps: parameter("steps", 24.0) as u32,
                multiplicative: parameter("multiplicative", 0.0) > 0.0,
                warm_up: parameter("warm_up", 3.0) as u32,
                sigma_floor: parameter("sigma_floor", 0.0),
            }),
            _ => return None,
        })
    }

    /// A key that has said nothing.
    #[must_use]
    pub fn state(&self) -> ReadingState {
        match self {
            ReadingModel::Chart(_) => ReadingState::Chart(ChartState::default()),
            ReadingModel::Season(_) => ReadingState::Season(Box::default()),
        }
    }

    /// Names of the terms of a score.
    #[must_use]
    pub fn terms(&self) -> &'static [&'static str] {
        match self {
            ReadingModel::Chart(chart) => chart.terms(),
            ReadingModel::Season(_) => &["mean", "sigma", "level", "trend"],
        }
    }
}

impl ReadingState {
    /// Applies a reading. `None` while the baseline is learnt, or when the reading is older than the newest applied.
    ///
    /// - `at`: event time, milliseconds; `reading`: finite
    pub fn apply(&mut self, model: &ReadingModel, at: i64, reading: f64) -> Option<Scored> {
        match (self, model) {
            (ReadingState::Chart(state), ReadingModel::Chart(chart)) => state.apply(chart, at, reading),
            (ReadingState::Season(state), ReadingModel::Season(season)) => state.apply(season, at, reading),
            (state, model) => {
                // The rule names another method now: what was learnt does not fit.
                *state = model.state();
                state.apply(model, at, reading)
            }
        }
    }

    /// True for a time before the newest reading.
    #[must_use]
    pub fn is_older(&self, at: i64) -> bool {
        self.newest().is_some_and(|newest| at < newest)
    }

    /// Starts anew.
    pub fn relearn(&mut self) {
        *self = match self {
            ReadingState::Chart(_) => ReadingState::Chart(ChartState::default()),
            ReadingState::Season(_) => ReadingState::Season(Box::default()),
        };
    }

    /// Event time of the newest reading applied, milliseconds; `None` before the first.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        match self {
            ReadingState::Chart(state) => state.newest(),
            ReadingState::Season(state) => state.newest(),
        }
    }

    /// True while the baseline is being learnt.
    #[must_use]
    pub fn is_warming_up(&self) -> bool {
        match self {
            ReadingState::Chart(state) => state.is_warming_up(),
            ReadingState::Season(state) => state.is_warming_up(),
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        std::mem::size_of::<ReadingState>()
            + match self {
                ReadingState::Chart(_) => 0,
                ReadingState::Season(state) => state.bytes(),
            }
    }
}
