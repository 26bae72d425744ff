//! The response plan of a level with the time each step is due.

use super::time::Time;
use super::warning::{DueStep, PlanInForce};
use crate::pack::Plan;
use crate::pack::calendar::Calendar;
use crate::pack::shared::{Allowed, Clock};
use crate::record::{Level, Millis};

/// The steps of a level. `from` is the start of the level, absent when the change starts no clock.
/// `lead` stands for the lead department in a step.
pub(super) fn in_force(
    plan: &Plan,
    level: Level,
    lead: &str,
    from: Option<Millis>,
    calendar: &Calendar,
    clock: Clock,
) -> Option<PlanInForce> {
    let asked = plan.levels.get(&level)?;
    let department = |id: &String| if id == "lead" { lead.to_owned() } else { id.clone() };
    let steps = asked
        .steps
        .iter()
        .map(|step| DueStep {
            id: step.id.clone(),
            action: step.action.clone(),
            do_en: step.do_en.clone(),
            by: department(&step.by),
            with: step.with.iter().map(department).collect(),
            within: step.within,
            due: from.map(|from| Time::new(calendar.due(from, Allowed::Span(step.within), clock))),
        })
        .collect();
    Some(PlanInForce { id: plan.id.clone(), name: plan.name.clone(), name_en: plan.name_en.clone(), level, steps })
}
