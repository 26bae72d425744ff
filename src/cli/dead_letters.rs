//! `forewarn dead-letters`: what would not become a record.

use super::{CliError, Where};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Counts by source and reason, and the newest ones
    List {
        /// Where they are
        #[command(flatten)]
        at: Where,
    },
    /// One of them: reason, field, and where the bytes can be fetched again (never the payload)
    Show {
        /// Its number in `list`
        #[arg(value_name = "NUMBER")]
        number: u64,
        /// Where they are
        #[command(flatten)]
        at: Where,
    },
    /// Reads the bytes of the dead letters again and sends them in as new records, after the cause was mended
    Replay {
        /// Only this source
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Only this reason
        #[arg(long, value_name = "CODE")]
        reason: Option<String>,
        /// Where they are
        #[command(flatten)]
        at: Where,
    },
}

pub(crate) fn run(_command: &DeadLettersCommand) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("dead-letters"))
}
