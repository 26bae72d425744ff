//! `forewarn publish`: a pack to a running system, in two steps.

use super::CliError;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Folder of the pack
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Settings file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// One step alone; both when absent
    #[arg(long, value_enum)]
    pub(crate) step: Option<PublishStep>,
}

/// The steps of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PublishStep {
    /// Intakes learn the pack and begin to map and route by it
    Prepare,
    /// The pack takes effect, at one exact place in each log partition
    Activate,
}

pub(crate) fn run(_args: &PublishArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("publish"))
}
