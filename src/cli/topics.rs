//! `forewarn topics`: creates or checks the Kafka topics.

use super::CliError;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Creates every topic that is missing; fixes the number of partitions and the clock of the log
    Create {
        /// Settings file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Compares the topics with the settings and the pack; changes nothing
    Check {
        /// Settings file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

pub(crate) fn run(_command: &TopicsCommand) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("topics"))
}
