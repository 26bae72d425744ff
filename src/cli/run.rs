//! `forewarn run`: intake, engine and console by a settings file.

use super::CliError;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Settings file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Which parts to run here
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
    /// Name of this instance in the transactional ids; the host name when absent, and never the same twice
    #[arg(long, value_name = "NAME")]
    pub(crate) slot: Option<String>,
    /// Start although no usable snapshot reaches back to where the log begins: windows of that time are lost
    #[arg(long)]
    pub(crate) accept_lost_state: bool,
}

/// The parts of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything
    All,
    /// Raw topics to log
    Intake,
    /// Log to warnings
    Engine,
    /// Page and API
    Console,
}

pub(crate) fn run(_args: &RunArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("run"))
}
