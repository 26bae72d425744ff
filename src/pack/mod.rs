//! Packs: everything that officials write (rules, sources, plans, shared tables, models), read, checked and published
//! under one hash.
//!
//! In: the texts of a folder, or the body of a published pack. Out: a [`Pack`], or all findings at once.
//! Promise: a pack that loads is whole and consistent; the same texts give the same hash and the same pack anywhere.
//! Not here: judging rows (`engine`), reading topics (`log`).

mod body;
pub mod calendar;
mod duration;
pub mod expression;
mod finding;
pub(crate) mod load;
mod lock;
mod model;
mod plan;
pub(crate) mod read;
mod rule;
mod scorecard;
pub mod shared;
mod source;
pub mod view;

pub use body::{Body, Pack};
pub use duration::{Span, SpanError};
pub use finding::{Finding, Place, Severity};
pub use load::{LoadError, Loaded};
pub use lock::{LOCK_FILE, Lock, Locked};
pub use model::ModelFile;
pub use plan::{Plan, PlanLevel, Step};
pub use read::{Expected, Fields, Series, TestCase, TestFile, TestRow};
pub use rule::*;
pub use scorecard::{Measure, Scorecard, ScorecardFeature, ScorecardOutcome, ScorecardRecord, Shape};
pub use shared::{Department, IndustryFile, Region, Regions};
pub use source::*;
