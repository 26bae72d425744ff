//! Working time: which hours count, and when a deadline falls.

use super::shared::{Allowed, CalendarFile, Clock};
use crate::record::Millis;

/// The working-time calendar of a pack.
#[derive(Clone, Debug, Default)]
pub struct Calendar {}

impl Calendar {
    /// Reads the table.
    ///
    /// # Errors
    /// Plain words and the field at fault.
    pub fn new(_file: &CalendarFile) -> Result<Calendar, (String, String)> {
        Ok(Calendar {})
    }

    /// True in working hours.
    #[must_use]
    pub fn is_working(&self, _at: Millis) -> bool {
        true
    }

    /// The instant at which the time allowed is used up. A start outside working hours counts from the next opening.
    #[must_use]
    pub fn due(&self, from: Millis, _allowed: Allowed, _clock: Clock) -> Millis {
        from
    }
}
