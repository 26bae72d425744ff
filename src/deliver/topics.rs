//! Names of topics, and all those that a pack can address.

use crate::pack::Pack;
use crate::response::addressable;
use std::collections::BTreeSet;

/// The monitoring centre's topic: every change, whole.
pub const EVERYONE: &str = "warn.all";
/// The ordered log.
pub const LOG: &str = "forewarn.log";
/// Packs, compacted.
pub const PACKS: &str = "forewarn.packs";
/// Commit records of the engine, compacted.
pub const PROGRESS: &str = "forewarn.progress";
/// The state of every open warning, compacted.
pub const WARNINGS: &str = "forewarn.warnings";
/// Registry versions, compacted.
pub const REGISTRY: &str = "forewarn.registry";
/// Pointers to what would not become a record.
pub const DEAD_LETTERS: &str = "forewarn.dead-letters";

/// `warn.<dept>.<region>` with `_` written `-`: mixing `.` and `_` in names collides in Kafka's metrics.
#[must_use]
pub fn warning_topic(dept: &str, region: &str) -> String {
    format!("warn.{}.{region}", dept.replace('_', "-"))
}

/// `feedback.<dept>.<region>`: where the department answers.
#[must_use]
pub fn feedback_topic(dept: &str, region: &str) -> String {
    format!("feedback.{}.{region}", dept.replace('_', "-"))
}

/// Every topic that warnings under a pack can go to or be answered in, and our own, sorted.
#[must_use]
pub fn topics(pack: &Pack) -> Vec<String> {
    let mut all: BTreeSet<String> =
        [EVERYONE, LOG, PACKS, PROGRESS, WARNINGS, REGISTRY, DEAD_LETTERS].map(str::to_owned).into();
    for (dept, regions) in addressable(pack) {
        for region in regions {
            all.insert(warning_topic(&dept, &region));
            all.insert(feedback_topic(&dept, &region));
        }
    }
    all.into_iter().collect()
}
