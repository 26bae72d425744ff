//! What a warning asks of whom: lead and assisting departments, plan, deadlines, texts.
//!
//! In: one change of a warning as the engine found it, and the pack it was found under. Out: a [`Warning`], the
//! canonical document of that change.
//! Promise: pure and total: the same change under the same pack gives the same bytes, and no template, gap in a table or
//! odd value loses a warning. No document carries a reporter's hash, free text or a person's data.
//! Not here: finding risk (`engine`), who may read which part and in which topic (`deliver`).

mod deadline;
mod lead;
mod number;
mod personal;
mod plan;
mod responder;
#[cfg(test)]
pub(crate) mod sample;
mod text;
mod time;
mod told;
mod warning;

#[cfg(test)]
mod tests;

pub use lead::{Inspected, Lead, Owner, by_latest_inspection, by_main_duty, by_nearest_trade};
pub use number::plain;
pub use responder::{Responder, respond};
pub use time::Time;
pub use told::addressable;
pub use warning::{
    Assist, Audience, AudienceRole, BasisInForce, DATA_SCHEMA, Deadlines, Departments, DueStep, Evidence, IndicatorRef,
    IndustryRef, JointAssessment, LeadDepartment, LogRange, Mode, MsgType, PackRef, PlanInForce, RegionRef, Reminder,
    ReminderOf, Scope, StatePart, SubjectRef, Territory, Warning, WindowSpan, warning_schema,
};
