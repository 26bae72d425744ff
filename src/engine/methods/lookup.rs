//! `lookup`: the newest matching row as of a time.

use super::super::batch::Scalar;
use super::super::core::NODE;
use super::super::state::{MethodState, NodeState};
use crate::record::Millis;

/// Versions kept per key; older ones give way.
const VERSIONS: usize = 64;

impl NodeState {
    /// A row says what holds from `at` on. Of two rows with one time the later in the log counts.
    pub(in super::super) fn lookup_set(&mut self, key: u32, at: Millis, values: Vec<Scalar>) {
        let MethodState::Lookup { versions } = &mut self.method else { return };
        let Some(all) = versions.get_mut(key as usize) else { return };
        let place = all.partition_point(|(from, _)| *from <= at);
        all.insert(place, (at, values));
        if all.len() > VERSIONS {
            all.remove(0);
        }
    }

    /// What held at `at`.
    pub(in super::super) fn lookup_get(&self, key: u32, at: Millis, value: usize) -> Scalar {
        let MethodState::Lookup { versions } = &self.method else { return Scalar::Null };
        if key == NODE {
            return Scalar::Null;
        }
        let Some(all) = versions.get(key as usize) else { return Scalar::Null };
        let place = all.partition_point(|(from, _)| *from <= at);
        place.checked_sub(1).and_then(|i| all[i].1.get(value)).cloned().unwrap_or(Scalar::Null)
    }
}
