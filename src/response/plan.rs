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
    let department = |id: &str| if id == "lead" { lead } else { id }.to_owned();
    let steps = asked
        .steps
        .iter()
        .map(|step| {
            let by = department(&step.by);
            // `with: [lead]` where the lead itself acts: nobody assists himself.
            let with = step.with.iter().map(|id| department(id)).filter(|id| *id != by).collect();
            let due = from.map(|from| Time::new(calendar.due(from, Allowed::Span(step.within), clock)));
            DueStep {
                id: step.id.clone(),
                action: step.action.clone(),
                do_en: step.do_en.clone(),
                by,
                with,
                within: step.within,
                due,
            }
        })
        .collect();
    Some(PlanInForce {
        id: plan.id.clone(),
        name: plan.name.clone(),
        name_en: plan.name_en.clone(),
        level,
        off_site_first: false,
        steps,
    })
}
