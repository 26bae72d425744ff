//! What each audience may see of a warning.
//!
//! A department sees the values of its own records; of others' it sees id and one line, and may ask for the whole with
//! a reason. Health cases leave the health department as counts only, so their values are in nobody else's copy, the
//! monitoring centre's included.

use crate::record::Kind;
use crate::response::{Audience, Evidence, Warning};

/// The department whose case records nobody else reads.
const HEALTH: &str = "health";

/// The monitoring centre's copy: everything that may leave its department.
#[must_use]
pub fn for_centre(warning: &Warning) -> Warning {
    let mut copy = warning.clone();
    for evidence in &mut copy.evidence {
        if stays_at_health(evidence) {
            evidence.values = None;
        }
    }
    copy
}

/// The copy of one audience.
#[must_use]
pub fn for_audience(warning: &Warning, audience: &Audience) -> Warning {
    let mut copy = warning.clone();
    for evidence in &mut copy.evidence {
        if !is_own(evidence, audience) {
            evidence.values = None;
        }
    }
    copy.audience = Some(audience.clone());
    copy
}

fn stays_at_health(evidence: &Evidence) -> bool {
    evidence.kind == Kind::Supervision && department(evidence).0 == HEALTH
}

fn department(evidence: &Evidence) -> (&str, Option<&str>) {
    match evidence.source_dept.split_once('@') {
        Some((dept, region)) => (dept, Some(region)),
        None => (&evidence.source_dept, None),
    }
}

/// A branch in a district sees its own and the city's records; the city (a code that ends in 00) those of all branches.
fn is_own(evidence: &Evidence, audience: &Audience) -> bool {
    let (dept, branch) = department(evidence);
    let area = audience.region.trim_end_matches("00");
    dept == audience.dept && branch.is_none_or(|b| b.starts_with(area))
}
