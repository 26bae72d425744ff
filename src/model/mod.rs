//! Statistical models: incremental, bounded state per key, deterministic.
//!
//! In: readings or counts of one key, in event-time order. Out: a score with its terms.
//! Not here: thresholds and levels (the rule has them), which rows count (`engine`).

mod chart;
mod count;
mod ears;
mod farrington;
mod fusion;
mod group;
mod logistic;
mod novelty;
mod peer;
mod reading;
mod risk;
mod season;
mod surge;
mod tail;
mod trend;
mod watch;
mod wide;

pub use chart::{Chart, ChartState, Method};
pub use count::{CountGroup, CountReading, CountSetting, CountState};
pub use ears::{Ears, EarsReading};
pub use farrington::{Farrington, FarringtonReading};
pub use fusion::{Fused, Strand, fuse};
pub use group::{Group, GroupReading, GroupState};
pub use logistic::{Logistic, LogisticError, logistic};
pub use novelty::{Novelty, NoveltyReading, NoveltyState};
pub use peer::Peers;
pub use reading::{ReadingModel, ReadingState, Scored, TERMS};
pub use risk::{Late, Risk, RiskError, RiskFact, RiskFeatures, RiskState, RiskTerm};
pub use season::{Season, SeasonState};
pub use surge::{SurgeScore, surge};
pub use trend::{Line, Trend};
pub use watch::{Declared, Watch};
