//! Statistical models: incremental, bounded state per key, deterministic.
//!
//! In: readings or counts of one key, in event-time order. Out: a score with its terms.
//! Not here: thresholds and levels (the rule has them), which rows count (`engine`).

mod chart;
mod surge;

pub use chart::{Chart, ChartState, Method, Scored};
pub use surge::{SurgeScore, surge};
