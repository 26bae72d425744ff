//! `forewarn replay`: history at full speed; log time comes from the records.

use super::CliError;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Files or folders of records, `.gz` accepted; SOURCE is a name of rules/sources, our own envelope without it
    #[arg(long, value_name = "[SOURCE=]PATH", num_args = 1.., required = true)]
    pub(crate) records: Vec<String>,
    /// Folder of the pack
    #[arg(long, value_name = "DIR", default_value = "rules")]
    pub(crate) rules: PathBuf,
    /// Folder of the models
    #[arg(long, value_name = "DIR", default_value = "models")]
    pub(crate) models: PathBuf,
    /// Folder for the outcomes
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

pub(crate) fn run(_args: &ReplayArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("replay"))
}
