//! The log over Kafka: consumer groups place the partitions, transactions make read and write one thing.
//!
//! In: raw topics, and what the intake and engine steps make of them. Out: `forewarn.*` and the audiences' topics.
//! Promise: exactly once for readers with `isolation.level=read_committed`: after any kill, restart, takeover, broker
//! failure or lost answer nothing is lost, doubled, or seen that was never committed.
//! How: outputs are kept until their commit is confirmed. After any doubtful commit the producer is dropped, a new one
//! with the same transactional id fences it, the commit record (engine) or the group's offsets (intake) say what
//! counts, and the same outputs are sent again or not.
//! Not here: what entries mean. Nothing else in the program names Kafka's client.
//! Cost: one transaction a commit. The two waits of 100 ms that the client hides in each by default are tuned away.

mod client;
mod ending;
mod engine;
mod engine_step;
mod follow;
mod history;
mod intake;
mod intake_step;
mod judge;
mod member;
mod packs;
mod progress;
mod publish;
mod reader;
mod recover;
mod retell;
pub(super) mod snapshots;
mod standing;
mod topics;
mod transaction;

pub use client::Client;
pub use ending::{RaiseAtEnd, told};
pub use engine::{EngineOptions, Step, run_engine};
pub use engine_step::{EngineStep, Engines};
pub use follow::{OpenWarnings, follow_warnings};
pub use history::MessagesInput;
pub use intake::{IntakeOptions, IntakeStep, RawRange, run_intake};
pub use intake_step::Mapping;
pub use packs::{Packs, activate, prepare, raw_partitions, read_packs, wait_prepared};
pub use progress::{CommitRecord, Progress, read_progress};
pub use publish::{PublishError, publish_activate, publish_prepare};
pub use reader::RawMessage;
pub use recover::{fetch_message, read_dead_letters, resend};
pub use retell::{retell_warning, sent_warning};
pub use topics::{LogForm, TopicFinding, check_topics, create_topics, raw_topics};

/// The entries.
pub const LOG: &str = "forewarn.log";
/// Packs, and the form of the log.
pub const PACKS: &str = "forewarn.packs";
/// Commit records of the engines.
pub const PROGRESS: &str = "forewarn.progress";
/// The full state of each open warning.
pub const WARNINGS: &str = "forewarn.warnings";
/// Registry versions.
pub const REGISTRY: &str = "forewarn.registry";
/// Pointers to what would not become a record.
pub const DEAD_LETTERS: &str = "forewarn.dead-letters";

/// Largest message of the log, bytes. The others keep Kafka's 1 MB.
pub const LOG_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest message of any other topic, bytes: Kafka's default less 4 KB for its own framing.
pub const MESSAGE_BYTES_MAX: usize = 1_044_484;
